package artifact

import (
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/opencontainers/go-digest"
	"github.com/opencontainers/image-spec/specs-go"
	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
)

// The layout is that of CNCF's TAG Runtime for Wasm: a manifest with a configuration
// of a type of its own, and the module as its one layer.
const (
	configType = "application/vnd.wasm.config.v0+json"
	layerType  = "application/wasm"

	// SignatureAnnotation of the layer is a minisign signature of the plugin.
	SignatureAnnotation = "dev.edgeset.minisign"

	maxManifest  = 1 << 20  // bytes
	maxSignature = 16 << 10 // bytes; minisign's comments have 8 KiB at most
)

// layerTypes are those that a plugin may have: that of the layout, and what
// wasm-to-oci and Envoy's tools push.
var layerTypes = []string{
	layerType,
	"application/vnd.wasm.content.layer.v1+wasm",
	"application/vnd.module.wasm.content.layer.v1+wasm",
}

// manifestTypes are those of a manifest of one artifact.
var manifestTypes = []string{
	ocispec.MediaTypeImageManifest,
	"application/vnd.docker.distribution.manifest.v2+json",
}

// A wasmConfig is the configuration of an artifact.
type wasmConfig struct {
	Created      time.Time `json:"created"`
	Architecture string    `json:"architecture"`
	OS           string    `json:"os"`
	LayerDigests []Digest  `json:"layerDigests"`
}

// A blob is bytes, and what a manifest says of them.
type blob struct {
	desc ocispec.Descriptor
	data []byte
}

func newBlob(mediaType string, data []byte) blob {
	return blob{ocispec.Descriptor{MediaType: mediaType, Digest: digest.Digest(DigestOf(data)), Size: int64(len(data))}, data}
}

// pack makes the parts of an artifact.
func pack(wasm []byte, o PushOptions) (manifest, config, layer blob, err error) {
	created := o.Created
	if created.IsZero() {
		created = time.Now()
	}
	text, err := json.Marshal(wasmConfig{
		Created: created.UTC().Truncate(time.Second), Architecture: "wasm", OS: "wasip1",
		LayerDigests: []Digest{DigestOf(wasm)},
	})
	if err != nil {
		return manifest, config, layer, err
	}
	config, layer = newBlob(configType, text), newBlob(layerType, wasm)
	if o.Signature != "" {
		layer.desc.Annotations = map[string]string{SignatureAnnotation: o.Signature}
	}
	text, err = json.Marshal(ocispec.Manifest{
		Versioned: specs.Versioned{SchemaVersion: 2}, MediaType: ocispec.MediaTypeImageManifest,
		Config: config.desc, Layers: []ocispec.Descriptor{layer.desc}, Annotations: o.Annotations,
	})
	if err == nil && len(text) > maxManifest {
		err = fmt.Errorf("its manifest has %d bytes: want fewer annotations, and at most %d bytes", len(text), maxManifest)
	}
	return newBlob(ocispec.MediaTypeImageManifest, text), config, layer, err
}

// findLayer returns the one layer of a manifest that is a plugin.
func findLayer(text []byte) (layer ocispec.Descriptor, err error) {
	var m ocispec.Manifest
	if err := json.Unmarshal(text, &m); err != nil {
		return layer, fmt.Errorf("its manifest is no JSON of a manifest: %s", clean(err.Error()))
	}
	found, types := 0, []string{}
	for _, l := range m.Layers {
		if slices.Contains(layerTypes, l.MediaType) {
			layer, found = l, found+1
		}
		types = append(types, l.MediaType)
	}
	switch {
	case len(m.Layers) == 0:
		return layer, errors.New("its manifest has no layers: want one of type " + layerType)
	case found == 0:
		return layer, fmt.Errorf("none of its layers is Wasm, but they are %s: want one of type %s", clean(strings.Join(types, ", ")), layerType)
	case found > 1:
		return layer, fmt.Errorf("%d of its layers are Wasm: want one", found)
	case layer.Size < 0 || layer.Size > MaxSize:
		return layer, fmt.Errorf("the plugin is said to have %d bytes: want at most %d", layer.Size, MaxSize)
	case len(layer.Annotations[SignatureAnnotation]) > maxSignature:
		return layer, fmt.Errorf("its signature has %d bytes: want at most %d", len(layer.Annotations[SignatureAnnotation]), maxSignature)
	}
	if _, err := ParseDigest(string(layer.Digest)); err != nil {
		return layer, fmt.Errorf("the plugin: %w", err)
	}
	return layer, nil
}

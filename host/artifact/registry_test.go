package artifact

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"

	"github.com/edgeset/edgeset/host/artifact/registrytest"
)

// big is a module with a custom section of about n bytes, which do not compress.
func big(n int) []byte {
	random := rand.NewChaCha8([32]byte{1})
	data := make([]byte, n)
	_, _ = random.Read(data) // never fails
	body := append([]byte("\x04junk"), data...)
	size := len(body)
	wasm := append([]byte(tiny), 0)
	for ; size >= 0x80; size >>= 7 {
		wasm = append(wasm, byte(size)|0x80)
	}
	return append(append(wasm, byte(size)), body...)
}

func TestARealRegistryGivesBackWhatWasPushed(t *testing.T) {
	host := registrytest.Start(t)
	s := newSigner(t)
	keys := keysOf(t, s.Public())
	wasm := big(3 << 20)
	parse := func(text string) Reference {
		r, err := ParseReference(text)
		if err != nil {
			t.Fatal(err)
		}
		return r
	}
	var sent, got []int64
	pinned, err := Push(t.Context(), parse("oci://"+host+"/edgeset/big:1.4"), wasm, PushOptions{
		Signature: s.Sign(wasm, "big.wasm", time.Now()), Annotations: map[string]string{"org.opencontainers.image.version": "1.4"},
		Created: time.Unix(1700000000, 0), Progress: func(done, total int64) { sent = append(sent, done, total) },
	})
	if err != nil {
		t.Fatal(err)
	}
	if want := "oci://" + host + "/edgeset/big:1.4@sha256:"; !strings.HasPrefix(pinned, want) {
		t.Errorf("%s; want %s…", pinned, want)
	}
	for _, from := range []string{"oci://" + host + "/edgeset/big:1.4", pinned, strings.Replace(pinned, ":1.4@", "@", 1)} {
		got = nil
		p, err := Pull(t.Context(), parse(from), PullOptions{Progress: func(done, total int64) { got = append(got, done, total) }})
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Equal(p.Wasm, wasm) || !strings.HasSuffix(p.Reference, pinned[strings.Index(pinned, "@"):]) {
			t.Errorf("%s: %d bytes of %s", from, len(p.Wasm), p.Reference)
		}
		if id, err := keys.Verify(p.Wasm, p.Signature); err != nil || id != s.ID() {
			t.Errorf("%s: %q, %v", from, id, err)
		}
	}
	for what, steps := range map[string][]int64{"push": sent, "pull": got} {
		if n := len(steps); n < 4 || steps[n-2] != int64(len(wasm)) || steps[n-1] != int64(len(wasm)) || !slices.IsSorted(every(steps, 2)) {
			t.Errorf("%s: the progress is %v", what, steps)
		}
	}

	// The same again is the same, and sends nothing that is there.
	sent = nil
	again, err := Push(t.Context(), parse("oci://"+host+"/edgeset/big:1.4"), wasm, PushOptions{Progress: func(done, total int64) { sent = append(sent, done) }})
	if err != nil || sent != nil {
		t.Errorf("%v, sent %v", err, sent)
	}
	if again == pinned {
		t.Error("without the signature, the manifest is the same")
	}
	// A tag that was moved does not change what was pinned.
	if p, err := Pull(t.Context(), parse(pinned), PullOptions{}); err != nil || p.Signature == "" {
		t.Errorf("%q, %v", p.Signature, err)
	}
	if p, err := Pull(t.Context(), parse("oci://"+host+"/edgeset/big:1.4"), PullOptions{}); err != nil || p.Signature != "" {
		t.Errorf("%q, %v", p.Signature, err)
	}
	if _, err := Pull(t.Context(), parse("oci://"+host+"/edgeset/big:1.5"), PullOptions{}); err == nil || !strings.Contains(err.Error(), host+" does not have it (404)") {
		t.Error(err)
	}
	if _, err := Pull(t.Context(), parse("oci://"+host+"/edgeset/none"), PullOptions{}); err == nil || !strings.Contains(err.Error(), host+" does not have it (404)") {
		t.Error(err)
	}
	// No tag is the tag "latest".
	if p, err := Push(t.Context(), parse("oci://"+host+"/edgeset/tiny"), []byte(tiny), PushOptions{}); err != nil || !strings.Contains(p, "/edgeset/tiny:latest@sha256:") {
		t.Errorf("%s, %v", p, err)
	}
	if p, err := Pull(t.Context(), parse("oci://"+host+"/edgeset/tiny"), PullOptions{}); err != nil || string(p.Wasm) != tiny {
		t.Errorf("%q, %v", p.Wasm, err)
	}
}

// every returns each nth number.
func every(list []int64, n int) (some []int64) {
	for i := 0; i < len(list); i += n {
		some = append(some, list[i])
	}
	return some
}

func TestWhatIsPushedHasTheLayoutOfWasmArtifacts(t *testing.T) {
	host := registrytest.Start(t)
	ref := Reference{Host: host, Repository: "tiny", Tag: "1"}
	if _, err := Push(t.Context(), ref, []byte(tiny), PushOptions{Created: time.Unix(1700000000, 0), Annotations: map[string]string{"a": "b"}}); err != nil {
		t.Fatal(err)
	}
	get := func(path string, v any) {
		req, err := http.NewRequestWithContext(t.Context(), "GET", "http://"+host+"/v2/tiny/"+path, nil)
		if err != nil {
			t.Fatal(err)
		}
		req.Header.Set("Accept", ocispec.MediaTypeImageManifest)
		resp, err := http.DefaultClient.Do(req)
		if err != nil {
			t.Fatal(err)
		}
		defer resp.Body.Close()
		text, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != 200 || json.Unmarshal(text, v) != nil {
			t.Fatalf("%s: %s, %v: %s", path, resp.Status, err, text)
		}
	}
	var m ocispec.Manifest
	get("manifests/1", &m)
	if m.SchemaVersion != 2 || m.MediaType != ocispec.MediaTypeImageManifest || m.Config.MediaType != "application/vnd.wasm.config.v0+json" ||
		len(m.Layers) != 1 || m.Layers[0].MediaType != "application/wasm" || m.Annotations["a"] != "b" {
		t.Errorf("the manifest is %+v", m)
	}
	var config map[string]any
	get("blobs/"+string(m.Config.Digest), &config)
	if want := fmt.Sprintf("map[architecture:wasm created:2023-11-14T22:13:20Z layerDigests:[%s] os:wasip1]", m.Layers[0].Digest); fmt.Sprint(config) != want {
		t.Errorf("the configuration is %v\nwant %s", config, want)
	}
}

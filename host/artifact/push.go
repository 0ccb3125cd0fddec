package artifact

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"time"
)

// PushOptions say what goes with a plugin.
type PushOptions struct {
	Signature   string            // minisign's, of the plugin; "": none
	Annotations map[string]string // of the manifest, such as org.opencontainers.image.version
	Created     time.Time         // when it was made; zero: now
	// Progress is told of the bytes that were sent. It is called by one goroutine at
	// a time; done begins anew when the plugin has to be sent again. Nil: nobody
	// wants to know.
	Progress func(done, total int64)
}

// Push puts a plugin into a registry. It returns where it is, with the digest of the
// manifest.
func Push(ctx context.Context, ref Reference, wasm []byte, o PushOptions) (pinned string, err error) {
	return push(ctx, ref, wasm, o, defaultPatience())
}

func push(ctx context.Context, ref Reference, wasm []byte, o PushOptions, p patience) (pinned string, err error) {
	if err := checkPush(ref, wasm, o); err != nil {
		return "", fmt.Errorf("artifact: push to %s: %w", ref, err)
	}
	ctx, cancel := context.WithTimeoutCause(ctx, p.total, fmt.Errorf("%s takes more than %v", ref.Host, p.total))
	defer cancel()
	if ref, err = pushTo(ctx, ref, wasm, o, p); err != nil {
		return "", fmt.Errorf("artifact: push to %s: %w", ref, err)
	}
	return ref.String(), nil
}

func checkPush(ref Reference, wasm []byte, o PushOptions) error {
	switch {
	case ref.Digest != "":
		return errors.New("it has a digest, which only comes with a push: want a tag")
	case len(wasm) > MaxSize:
		return fmt.Errorf("a plugin of %d bytes: want at most %d", len(wasm), MaxSize)
	case !bytes.HasPrefix(wasm, []byte("\x00asm\x01\x00\x00\x00")):
		return errors.New("not a WebAssembly module: want it to begin with \"\\0asm\" and version 1")
	case len(o.Signature) > maxSignature:
		return fmt.Errorf("a signature of %d bytes: want at most %d", len(o.Signature), maxSignature)
	}
	return nil
}

func pushTo(ctx context.Context, ref Reference, wasm []byte, o PushOptions, p patience) (Reference, error) {
	manifest, config, layer, err := pack(wasm, o)
	if err != nil {
		return ref, err
	}
	s, err := newSession(ref, p, int64(len(wasm)), o.Progress)
	if err != nil {
		return ref, err
	}
	defer s.close()
	for _, b := range []blob{layer, config} {
		there, err := s.repo.Blobs().Exists(ctx, b.desc)
		if err == nil && !there {
			err = s.repo.Blobs().Push(ctx, b.desc, bytes.NewReader(b.data))
		}
		if err != nil {
			return ref, fmt.Errorf("%s of %d bytes: %w", b.desc.MediaType, len(b.data), s.explain(ctx, err))
		}
	}
	if err := s.repo.Manifests().PushReference(ctx, manifest.desc, bytes.NewReader(manifest.data), ref.version()); err != nil {
		return ref, fmt.Errorf("its manifest: %w", s.explain(ctx, err))
	}
	ref.Tag, ref.Digest = ref.version(), Digest(manifest.desc.Digest)
	return ref, nil
}

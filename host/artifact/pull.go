package artifact

import (
	"context"
	"errors"
	"fmt"
	"io"
	"slices"
	"time"

	ocispec "github.com/opencontainers/image-spec/specs-go/v1"
	"oras.land/oras-go/v2/content"
)

// PullOptions say how a plugin is fetched.
type PullOptions struct {
	// Progress is told of the bytes that are there. It is called by one goroutine at
	// a time; done begins anew when the plugin has to be fetched again. Nil: nobody
	// wants to know.
	Progress func(done, total int64)
}

// Pulled is a plugin from a registry.
type Pulled struct {
	Wasm      []byte
	Signature string // minisign's, that came with it, and was not verified; "": none
	Reference string // where it was, with the digest of the manifest
}

// Pull fetches a plugin from a registry. The bytes are those that the manifest names,
// and that is the one that ref names by its digest, if it does so.
func Pull(ctx context.Context, ref Reference, o PullOptions) (Pulled, error) {
	return pull(ctx, ref, o, defaultPatience())
}

func pull(ctx context.Context, ref Reference, o PullOptions, p patience) (Pulled, error) {
	failed := func(err error) (Pulled, error) { return Pulled{}, fmt.Errorf("artifact: pull %s: %w", ref, err) }
	ctx, cancel := context.WithTimeoutCause(ctx, p.total, fmt.Errorf("%s takes more than %v", ref.Host, p.total))
	defer cancel()
	s, err := newSession(ref, p, 0, nil)
	if err != nil {
		return failed(err)
	}
	defer s.close()
	manifest, err := s.manifest(ctx)
	if err != nil {
		return failed(err)
	}
	layer, err := findLayer(manifest)
	if err != nil {
		return failed(err)
	}
	wasm, err := s.layer(ctx, layer, o.Progress)
	if err != nil {
		return failed(fmt.Errorf("the plugin, %s: %w", layer.Digest, err))
	}
	pinned := ref
	pinned.Digest = DigestOf(manifest)
	return Pulled{Wasm: wasm, Signature: layer.Annotations[SignatureAnnotation], Reference: pinned.String()}, nil
}

// manifest fetches and verifies the manifest.
func (s *session) manifest(ctx context.Context) ([]byte, error) {
	ctx, watched := s.watch(ctx)
	defer watched.stop()
	desc, body, err := s.repo.Manifests().FetchReference(ctx, s.ref.version())
	if err != nil {
		return nil, s.explain(ctx, err)
	}
	defer body.Close()
	switch {
	case desc.MediaType == ocispec.MediaTypeImageIndex || desc.MediaType == "application/vnd.docker.distribution.manifest.list.v2+json":
		return nil, errors.New("it is an index of several artifacts: want the manifest of one plugin, by its own tag or digest")
	case !slices.Contains(manifestTypes, desc.MediaType):
		return nil, fmt.Errorf("%s answers with %q, which is no manifest: want a registry there, and %s", s.ref.Host, clean(desc.MediaType), ocispec.MediaTypeImageManifest)
	case desc.Size > maxManifest:
		return nil, fmt.Errorf("its manifest has %d bytes: want at most %d", desc.Size, maxManifest)
	}
	text, err := content.ReadAll(watched.reader(body), desc)
	if err != nil {
		return nil, fmt.Errorf("its manifest: %w", s.explain(ctx, err))
	}
	if got := DigestOf(text); s.ref.Digest != "" && got != s.ref.Digest {
		return nil, fmt.Errorf("%s answers with the manifest %s", s.ref.Host, got)
	}
	return text, nil
}

// layer fetches and verifies the plugin, again if it is cut off in the middle. A
// request that is not answered was tried again already.
func (s *session) layer(ctx context.Context, desc ocispec.Descriptor, progress func(done, total int64)) ([]byte, error) {
	for n := 1; ; n++ {
		wasm, begun, err := s.layerOnce(ctx, desc, progress)
		if err == nil {
			return wasm, nil
		}
		if n == attempts || !begun || !cutOff(err) || ctx.Err() != nil {
			return nil, s.explain(ctx, err)
		}
		select {
		case <-ctx.Done():
		case <-time.After(s.patience.wait):
		}
	}
}

func (s *session) layerOnce(ctx context.Context, desc ocispec.Descriptor, progress func(done, total int64)) (wasm []byte, begun bool, err error) {
	ctx, watched := s.watch(ctx)
	defer watched.stop()
	defer func() {
		if err != nil && ctx.Err() != nil {
			err = context.Cause(ctx)
		}
	}()
	body, err := s.repo.Blobs().Fetch(ctx, desc)
	if err != nil {
		return nil, false, err
	}
	defer body.Close()
	if progress != nil {
		body = &countedBody{ReadCloser: body, total: desc.Size, report: progress}
	}
	// Memory comes with the bytes, not with what is said of them.
	verified := content.NewVerifyReader(watched.reader(body), desc)
	if wasm, err = io.ReadAll(verified); err == nil {
		err = verified.Verify()
	}
	return wasm, true, err
}

// A watch ends a context when no byte has come for too long.
type watch struct {
	timer *time.Timer
	after time.Duration
	end   context.CancelCauseFunc
}

func (s *session) watch(ctx context.Context) (context.Context, *watch) {
	ctx, cancel := context.WithCancelCause(ctx)
	w := &watch{after: s.patience.stall, end: cancel}
	stalled := &stallError{s.ref.Host, w.after}
	// What is asked before the first byte has the time that its retries need.
	w.timer = time.AfterFunc(time.Duration(attempts)*(w.after+s.patience.wait), func() { cancel(stalled) })
	return ctx, w
}

// A stallError is the end of what a watch has ended.
type stallError struct {
	host  string
	after time.Duration
}

func (e *stallError) Error() string {
	return fmt.Sprintf("%s has sent nothing for %v", e.host, e.after)
}

func (w *watch) stop() {
	w.timer.Stop()
	w.end(nil)
}

// reader returns r, each byte of which gives the watch more time.
func (w *watch) reader(r io.Reader) io.Reader {
	w.timer.Reset(w.after)
	return readerFunc(func(p []byte) (int, error) {
		n, err := r.Read(p)
		if n > 0 {
			w.timer.Reset(w.after)
		}
		return n, err
	})
}

type readerFunc func(p []byte) (int, error)

func (f readerFunc) Read(p []byte) (int, error) { return f(p) }

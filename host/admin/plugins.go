package admin

import (
	"fmt"

	"github.com/edgeset/edgeset/host/artifact"
	"github.com/valyala/fasthttp"
)

// A Library keeps the bytes of plugins, by their digests.
type Library interface {
	Put(wasm []byte) (artifact.Digest, error)
	Get(d artifact.Digest) ([]byte, error)
}

// havePlugin answers whether there is a plugin with a digest already, whole. It counts
// as put in now: the manifest that names it is about to follow.
func (s *Server) havePlugin(ctx *fasthttp.RequestCtx, at []string) {
	d, err := artifact.ParseDigest(at[0])
	if err != nil {
		fail(ctx, badRequest("%v", err))
		return
	}
	wasm, err := s.config.Library.Get(d)
	if err == nil {
		_, err = s.config.Library.Put(wasm)
	}
	if err != nil {
		problem(ctx, 404, "not_found", "There is no plugin with this digest.")
	}
}

// putPlugin takes the bytes of a plugin. They serve nothing until a manifest is deployed
// that names them.
func (s *Server) putPlugin(ctx *fasthttp.RequestCtx, at []string) {
	d, err := artifact.ParseDigest(at[0])
	if err != nil {
		fail(ctx, badRequest("%v", err))
		return
	}
	wasm, err := readBody(ctx, artifact.MaxSize)
	if err != nil {
		fail(ctx, err)
		return
	}
	if got := artifact.DigestOf(wasm); got != d {
		problem(ctx, 422, "digest_mismatch", "The body has the digest "+string(got)+", which is not the one of the path.")
		return
	}
	_, missing := s.config.Library.Get(d) // or damaged
	if _, err := s.config.Library.Put(wasm); err != nil {
		fail(ctx, fmt.Errorf("admin: keep the plugin: %w", err))
		return
	}
	if missing != nil {
		ctx.SetStatusCode(201)
	}
	answer(ctx, struct {
		Digest artifact.Digest `json:"digest"`
		Size   int             `json:"size"`
	}{d, len(wasm)})
}

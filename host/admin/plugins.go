package admin

import (
	"errors"

	"github.com/edgeset/edgeset/host/artifact"
	"github.com/valyala/fasthttp"
)

// A Library keeps the bytes of plugins, by their digests.
type Library interface {
	Put(wasm []byte) (artifact.Digest, error)
	Has(d artifact.Digest) bool
}

// havePlugin answers whether there is a plugin with a digest already.
func (s *Server) havePlugin(ctx *fasthttp.RequestCtx, at []string) {
	d, err := artifact.ParseDigest(at[0])
	switch {
	case err != nil:
		fail(ctx, badRequest("%v", err))
	case !s.config.Library.Has(d):
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
	there := s.config.Library.Has(d)
	if !there {
		if _, err := s.config.Library.Put(wasm); err != nil {
			fail(ctx, errors.Join(errors.New("admin: keep the plugin"), err))
			return
		}
		ctx.SetStatusCode(201)
	}
	answer(ctx, struct {
		Digest artifact.Digest `json:"digest"`
		Size   int             `json:"size"`
	}{d, len(wasm)})
}

package admin

import (
	"context"
	"fmt"
	"log/slog"
	"runtime/debug"

	"github.com/edgeset/edgeset/host/rollout"
	"github.com/valyala/fasthttp"
)

// A panic is a mistake of ours that a client, or a plugin that is about to be deployed,
// has found. It costs the answer, and not the process with all that it serves.

var errPanic = &errBody{500, "internal", "The host has made a mistake; its log says which."}

func (s *Server) caught(panicked any) {
	s.config.Log.LogAttrs(s.ctx, slog.LevelError, "a request to the admin API failed inside the host",
		slog.String("panic", fmt.Sprint(panicked)), slog.String("stack", string(debug.Stack())))
}

// guard answers a request whose handler has panicked. It is to be deferred.
func (s *Server) guard(ctx *fasthttp.RequestCtx) {
	if r := recover(); r != nil {
		s.caught(r)
		ctx.Response.Reset()
		ctx.SetConnectionClose() // whatever is left of the body
		fail(ctx, errPanic)
	}
}

// guarded is do without its panics.
func (s *Server) guarded(do doing) doing {
	return func(ctx context.Context, progress func(rollout.Event)) (result *rollout.Result, err error) {
		defer func() {
			if r := recover(); r != nil {
				s.caught(r)
				result, err = nil, errPanic
			}
		}()
		return do(ctx, progress)
	}
}

package admin

import (
	"github.com/edgeset/edgeset/host/secret"
	"github.com/valyala/fasthttp"
)

func (s *Server) secrets(ctx *fasthttp.RequestCtx, at []string) {
	list, err := s.config.Deployments.Secrets(s.ctx, at[0])
	if err != nil {
		fail(ctx, err)
		return
	}
	if list == nil {
		list = []secret.Entry{}
	}
	answer(ctx, struct {
		Secrets []secret.Entry `json:"secrets"`
	}{list})
}

// setSecret takes a value as it is, as the body. No answer has anything of it, also not
// one that says what is wrong with it.
func (s *Server) setSecret(ctx *fasthttp.RequestCtx, at []string) {
	ch, err := change(ctx, saidInQuery(ctx))
	if err != nil {
		fail(ctx, err)
		return
	}
	value, err := readBody(ctx, secret.MaxValue)
	if err != nil {
		fail(ctx, err)
		return
	}
	watched, cancel := s.watch(ctx.Conn())
	defer cancel()
	s.done(ctx, s.config.Deployments.SetSecret(watched, at[0], at[1], at[2], string(value), ch))
}

func (s *Server) deleteSecret(ctx *fasthttp.RequestCtx, at []string) {
	ch, err := change(ctx, saidInQuery(ctx))
	if err != nil {
		fail(ctx, err)
		return
	}
	watched, cancel := s.watch(ctx.Conn())
	defer cancel()
	s.done(ctx, s.config.Deployments.DeleteSecret(watched, at[0], at[1], at[2], ch))
}

// done answers that something was done of which there is nothing to tell, or why not.
func (s *Server) done(ctx *fasthttp.RequestCtx, err error) {
	if err != nil {
		fail(ctx, err)
		return
	}
	ctx.SetStatusCode(204)
}

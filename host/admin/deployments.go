package admin

import (
	"fmt"
	"strconv"

	"github.com/edgeset/edgeset/host/deploy"
	"github.com/edgeset/edgeset/host/rollout"
	"github.com/valyala/fasthttp"
)

// What is deployed, and what was.

func (s *Server) list(ctx *fasthttp.RequestCtx, _ []string) {
	list, revision := s.config.Deployments.List()
	if list == nil {
		list = []rollout.Status{}
	}
	ctx.Response.Header.Set("ETag", etag(revision))
	answer(ctx, struct {
		Deployments []rollout.Status `json:"deployments"`
		Revision    int64            `json:"revision"`
	}{list, revision})
}

func (s *Server) status(ctx *fasthttp.RequestCtx, at []string) {
	status, ok := s.config.Deployments.Status(at[0])
	if !ok {
		fail(ctx, noDeployment(at[0]))
		return
	}
	ctx.Response.Header.Set("ETag", etag(status.Revision))
	answer(ctx, status)
}

func noDeployment(name string) error {
	return &errBody{404, "not_found", fmt.Sprintf("There is no deployment %.100q.", name)}
}

func (s *Server) versions(ctx *fasthttp.RequestCtx, at []string) {
	list, err := s.config.Deployments.Versions(s.ctx, at[0])
	if err != nil {
		fail(ctx, err)
		return
	}
	if list == nil {
		list = []rollout.Version{}
	}
	answer(ctx, list)
}

func (s *Server) version(ctx *fasthttp.RequestCtx, at []string) {
	format := string(ctx.QueryArgs().Peek("format"))
	if format != "" && format != "json" && format != "toml" {
		fail(ctx, badRequest("format: %.50q: want json, or toml for the manifest.", format))
		return
	}
	v, err := s.find(at[0], at[1])
	switch {
	case err != nil:
		fail(ctx, err)
	case format == "toml":
		plain(ctx, v.Manifest)
	default:
		answer(ctx, v)
	}
}

// diff answers what changed from one version to another, which is the current one if
// the query does not say.
func (s *Server) diff(ctx *fasthttp.RequestCtx, at []string) {
	from, err := s.find(at[0], at[1])
	if err != nil {
		fail(ctx, err)
		return
	}
	with := string(ctx.QueryArgs().Peek("with"))
	if with == "" {
		status, ok := s.config.Deployments.Status(at[0])
		if !ok {
			fail(ctx, noDeployment(at[0]))
			return
		}
		if status.Current == 0 {
			fail(ctx, badRequest("No version of deployment %q serves; want with to be the number of one.", at[0]))
			return
		}
		with = strconv.Itoa(status.Current)
	}
	to, err := s.find(at[0], with)
	if err != nil {
		fail(ctx, err)
		return
	}
	plain(ctx, deploy.Diff(from.Manifest, to.Manifest, versionName(from), versionName(to)))
}

func versionName(v *rollout.Version) string {
	return fmt.Sprintf("%s@%d", v.Deployment, v.Number)
}

// find returns a version by its number as text.
func (s *Server) find(name, number string) (*rollout.Version, error) {
	n, err := strconv.Atoi(number)
	if err != nil || n <= 0 || strconv.Itoa(n) != number {
		return nil, badRequest("version: %.50q: want the number of a version.", number)
	}
	return s.config.Deployments.Version(s.ctx, name, n)
}

func plain(ctx *fasthttp.RequestCtx, text string) {
	ctx.SetContentType("text/plain; charset=utf-8")
	ctx.SetBodyString(text)
}

package admin

import (
	"slices"
	"strings"

	"github.com/valyala/fasthttp"
)

// A route answers the requests with a method to the paths of a pattern, whose segment
// "*" stands for any. It is given what stands there.
type route struct {
	method, pattern string
	answer          func(ctx *fasthttp.RequestCtx, at []string)
}

func (s *Server) table() []route {
	return []route{
		{"HEAD", "/v1/plugins/*", s.havePlugin},
		{"PUT", "/v1/plugins/*", s.putPlugin},
		{"POST", "/v1/deploy", s.deploy},
		{"GET", "/v1/deployments", s.list},
		{"GET", "/v1/deployments/*", s.status},
		{"DELETE", "/v1/deployments/*", s.remove},
		{"GET", "/v1/deployments/*/versions", s.versions},
		{"GET", "/v1/deployments/*/versions/*", s.version},
		{"GET", "/v1/deployments/*/versions/*/diff", s.diff},
		{"POST", "/v1/deployments/*/rollback", s.rollback},
		{"POST", "/v1/deployments/*/promote", s.promote},
		{"POST", "/v1/deployments/*/abort", s.abort},
		{"GET", "/v1/deployments/*/secrets", s.secrets},
		{"PUT", "/v1/deployments/*/secrets/*/*", s.setSecret},
		{"DELETE", "/v1/deployments/*/secrets/*/*", s.deleteSecret},
		{"GET", "/v1/deployments/*/outbox", s.entries},
		{"POST", "/v1/deployments/*/outbox/retry", s.retryEntries},
		{"GET", "/v1/deployments/*/outbox/*", s.entry},
		{"DELETE", "/v1/deployments/*/outbox/*", s.discardEntry},
		{"POST", "/v1/deployments/*/outbox/*/retry", s.retryEntry},
		{"GET", "/v1/audit", s.audit},
	}
}

// maxPath bounds what is a path of ours.
const maxPath = 1000

// dispatch answers a request of somebody who has shown the token.
func (s *Server) dispatch(ctx *fasthttp.RequestCtx, path string) {
	ctx.Response.Header.Set("Cache-Control", "no-store")
	method := string(ctx.Method())
	if !printable(path, maxPath, "") { // names in it go into messages and records
		problem(ctx, 404, "not_found", "The admin API has nothing at paths that cannot be printed.")
		return
	}
	var allow []string
	for _, r := range s.routes {
		at, ok := match(r.pattern, path)
		if !ok {
			continue
		}
		if r.method == method {
			r.answer(ctx, at)
			return
		}
		allow = append(allow, r.method)
	}
	switch {
	case allow == nil:
		problem(ctx, 404, "not_found", "The admin API has nothing at this path.")
	default:
		wrongMethod(ctx, strings.Join(allow, ", "))
	}
}

func match(pattern, path string) (at []string, ok bool) {
	want, have := strings.Split(pattern, "/"), strings.Split(path, "/")
	if len(want) != len(have) || slices.Contains(have[1:], "") {
		return nil, false
	}
	for i, segment := range want {
		switch segment {
		case have[i]:
		case "*":
			at = append(at, have[i])
		default:
			return nil, false
		}
	}
	return at, true
}

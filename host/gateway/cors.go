package gateway

import "slices"

// allowOrigin lets a browser on one of the deployment's origins read the
// response. Credentials travel in headers that a script sets, never in cookies
// of another origin, so no Access-Control-Allow-Credentials is sent.
func (x *exchange) allowOrigin() {
	origin := x.ctx.Request.Header.Peek("Origin")
	if len(origin) == 0 || len(x.site.origins) == 0 {
		return
	}
	h := &x.ctx.Response.Header
	switch {
	case slices.Contains(x.site.origins, "*"):
		h.Set("Access-Control-Allow-Origin", "*")
	case slices.Contains(x.site.origins, string(origin)):
		h.SetBytesV("Access-Control-Allow-Origin", origin)
		h.Add("Vary", "Origin")
	default:
		h.Add("Vary", "Origin")
		return
	}
	h.Set("Access-Control-Expose-Headers", "Content-Range, ETag, Last-Modified, Location, RateLimit-Limit, RateLimit-Policy, RateLimit-Remaining, RateLimit-Reset, Retry-After, X-Request-Id")
}

// allowCredentials lets a page of an origin that may call send its requests with
// credentials, as clients 2.x of socket.io do by default, in which case "*" is not
// enough. An endpoint of sockets looks at no cookie, so there is nothing to be had by
// it; proxies in front may use one to find the host that a client polls.
func (x *exchange) allowCredentials() {
	h := &x.ctx.Response.Header
	if len(h.Peek("Access-Control-Allow-Origin")) == 0 {
		return
	}
	h.SetBytesV("Access-Control-Allow-Origin", x.ctx.Request.Header.Peek("Origin"))
	h.Set("Access-Control-Allow-Credentials", "true")
	h.Set("Vary", "Origin")
}

// preflight answers OPTIONS: what a path takes, and, to a browser that asks
// before it calls from another origin, what it may send.
func (x *exchange) preflight(n *node) {
	h := &x.ctx.Response.Header
	h.Set("Allow", n.allow())
	if len(h.Peek("Access-Control-Allow-Origin")) > 0 && len(x.ctx.Request.Header.Peek("Access-Control-Request-Method")) > 0 {
		h.Set("Access-Control-Allow-Methods", n.allow())
		h.Set("Access-Control-Allow-Headers", "Authorization, Content-Digest, Content-Type, If-Modified-Since, If-None-Match, Last-Event-ID, Range, Signature, Signature-Input, X-Request-Id")
		h.Set("Access-Control-Max-Age", "7200")
	}
	x.ctx.SetStatusCode(204)
}

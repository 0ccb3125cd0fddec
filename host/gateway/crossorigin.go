package gateway

import (
	"bytes"
	"strings"

	"github.com/edgeset/edgeset/abi"
	"github.com/valyala/fasthttp"
)

// A browser sends the cookies of a deployment with each request to it, whatever
// page has it make the request. So a cookie says who somebody is, but not that
// they want what the request does.

// checkOrigin refuses a request whose credential is a cookie if a page of another
// origin may have had it made and it may change something. It is the rule for all
// plugins: none has to put tokens into its forms. The origins that a deployment
// lists for CORS are no exception: they call with credentials that a script adds.
func (x *exchange) checkOrigin() error {
	if !x.route.Write && (x.ctx.IsGet() || x.ctx.IsHead()) || !x.crossOrigin() {
		return nil
	}
	return &abi.Error{Status: 403, Code: x.route.family.Code(abi.HostCrossOrigin),
		Message: "A page of another origin made this request, so the cookie with it does not count."}
}

// crossOrigin tells whether a browser makes the request for a page of another
// origin. Its rules are those of http.CrossOriginProtection of Go.
//
// Browsers say so themselves, in a header that no script can set, to services
// that they reach by HTTPS. To others, and from browsers of before 2023, there is
// the Origin, with any request that has a body or another method than GET. Its
// host is compared, and not its scheme: behind a proxy the host's own scheme is
// not the client's, and to refuse the service's own pages for that would be worse
// than to trust what came to its own host over HTTP; a service that sends
// Strict-Transport-Security has no such pages. Without either header it is no
// browser, or a page of the same origin, or, to a service without HTTPS, a link:
// a route that writes should not be a GET.
func (x *exchange) crossOrigin() bool {
	h := &x.ctx.Request.Header
	switch string(h.Peek("Sec-Fetch-Site")) {
	case "same-origin", "none": // none: the user typed it, or has it as a bookmark
		return false
	case "":
	default:
		return true
	}
	if len(h.Peek("Origin")) == 0 {
		return false
	}
	origin := webOrigin(h.Peek("Origin"))
	if origin == "" { // "null", of a page that is to have no rights, or none of the web's
		return true
	}
	scheme, _, _ := strings.Cut(origin, "://")
	asked := webOrigin(append([]byte(scheme+"://"), h.Host()...))
	// A proxy may have put another host into the request. What clients see is
	// base_url then.
	return origin != asked && origin != webOrigin([]byte(x.site.deployment.Spec.BaseURL))
}

// origin returns the web origin that a browser makes the request from; "" if it
// does not say, or if it is none of the web. An Origin that is there decides: a
// page that has "null" is to have no rights, whatever page it is part of.
func (x *exchange) origin() string { return originOf(&x.ctx.Request.Header) }

func originOf(h *fasthttp.RequestHeader) string {
	if origin := h.Peek("Origin"); len(origin) > 0 {
		return webOrigin(origin)
	}
	return webOrigin(h.Peek("Referer"))
}

// maxOrigin bounds an origin: a name in the DNS has at most 253 bytes, and what
// is longer is that of no page. It is "" then, which is what a credential that is
// restricted to some origins is refused for.
const maxOrigin = 256

// webOrigin returns the origin of a URL as browsers write it: scheme and host in
// lower case, and the port unless it is the scheme's own. It is "" if the URL is
// not of HTTP, or has a user's name, or a host that is none.
func webOrigin(url []byte) string {
	scheme, host, found := bytes.Cut(url, []byte("://"))
	var port string
	switch {
	case found && equalFold(scheme, "https"):
		port = ":443"
	case found && equalFold(scheme, "http"):
		port = ":80"
	default:
		return ""
	}
	if end := bytes.IndexAny(host, "/?#"); end >= 0 {
		host = host[:end]
	}
	host = bytes.TrimSuffix(host, []byte(port))
	if len(host) == 0 || host[0] == ':' || len(scheme)+len("://")+len(host) > maxOrigin {
		return ""
	}
	for _, c := range host {
		if !('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || bytes.IndexByte([]byte("-._:[]"), c) >= 0) {
			return ""
		}
	}
	return strings.ToLower(string(scheme) + "://" + string(host))
}

package main

import (
	"strconv"
	"strings"

	"github.com/edgeset/edgeset/abi/guest"
)

// webOrigin returns a web origin as the host tells where a request comes from: in
// lower case, and without the port that its scheme has anyway. It takes
// http[s]://host[:port] and nothing behind it.
func webOrigin(s string) (string, bool) {
	const longest = 256 // a name in the DNS has at most 253 characters
	scheme, host, _ := strings.Cut(strings.ToLower(s), "://")
	if len(s) > longest || scheme != "http" && scheme != "https" {
		return "", false
	}
	origin := scheme + "://" + host
	if i := strings.LastIndexByte(host, ':'); i >= 0 && !strings.HasSuffix(host, "]") {
		port := host[i+1:]
		if n, err := strconv.ParseUint(port, 10, 16); err != nil || n == 0 || port[0] == '0' {
			return "", false
		}
		host = host[:i]
		if scheme == "https" && port == "443" || scheme == "http" && port == "80" {
			origin = scheme + "://" + host
		}
	}
	return origin, isHost(host)
}

// isHost tells whether s is a name, an address, or an IPv6 address in brackets. A
// name beyond ASCII is to be written as browsers send it, in Punycode.
func isHost(s string) bool {
	inner := s
	others := "-._"
	if strings.HasPrefix(s, "[") && strings.HasSuffix(s, "]") {
		inner, others = s[1:len(s)-1], ":."
	}
	ok := inner != ""
	for i := range len(inner) {
		ok = ok && (isAlphanumeric(inner[i]) || strings.IndexByte(others, inner[i]) >= 0)
	}
	return ok
}

// requestOrigin returns the web origin that a request comes from, as the browser
// says, "" if it does not.
func requestOrigin(r *guest.Request) string {
	s := r.Header("Origin")
	if s == "" {
		s = r.Header("Referer")
		if i := strings.Index(s, "://"); i >= 0 {
			if end := strings.IndexAny(s[i+3:], "/?#"); end >= 0 {
				s = s[:i+3+end]
			}
		}
	}
	if origin, ok := webOrigin(s); ok {
		return origin
	}
	return ""
}

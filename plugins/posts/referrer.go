package main

import (
	"strings"

	"github.com/edgeset/edgeset/abi/guest"
)

// maxReferrer bounds the address that a client is sent back to, in bytes.
const maxReferrer = 4096

// answerReferrer sends the client back to the page that it came from, if the request
// wants that, and tells whether it did.
func answerReferrer(w *guest.Response, r *guest.Request) bool {
	if !isTrue(r, "referrer") {
		return false
	}
	page := r.Header("Referer")
	if !isPage(page) {
		return false
	}
	w.Redirect(303, page)
	return true
}

// isPage tells whether a text is the address of a page on the web: http or https,
// with a host and without a name before it, and nothing that a browser would read
// in another way.
func isPage(address string) bool {
	if len(address) > maxReferrer {
		return false
	}
	for i := range len(address) {
		if c := address[i]; c <= ' ' || c >= 0x7f || c == '\\' {
			return false
		}
	}
	scheme, rest, found := strings.Cut(address, "://")
	if scheme = strings.ToLower(scheme); !found || scheme != "http" && scheme != "https" {
		return false
	}
	host := rest
	if end := strings.IndexAny(rest, "/?#"); end >= 0 {
		host = rest[:end]
	}
	return host != "" && host[0] != ':' && strings.IndexByte(host, '@') < 0
}

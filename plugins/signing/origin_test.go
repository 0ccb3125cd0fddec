package main

import (
	"strings"
	"testing"
)

func TestWebOriginIsAsBrowsersWriteIt(t *testing.T) {
	for s, want := range map[string]string{
		"https://example.org": "https://example.org", "HTTPS://EXAMPLE.ORG": "https://example.org",
		"https://example.org:443": "https://example.org", "http://example.org:80": "http://example.org",
		"https://example.org:80": "https://example.org:80", "http://localhost:3000": "http://localhost:3000",
		"http://127.0.0.1:1": "http://127.0.0.1:1", "http://[2001:DB8::1]": "http://[2001:db8::1]", "https://[::1]:65535": "https://[::1]:65535",
		"https://xn--bcher-kva.example": "https://xn--bcher-kva.example",
	} {
		if got, ok := webOrigin(s); !ok || got != want {
			t.Errorf("%q: got %q, %v, want %q", s, got, ok, want)
		}
	}
	for _, s := range []string{
		"", "null", "*", "https", "https:", "https:/", "https://", "://a", "//a", "a.example", "a.example:80", "1http://a", "ht_tp://a",
		"https://a/", "https://a?b", "https://a#b", "https://a b", "https://a\x00", "https://u@a", "https://u:p@a", "https://a:", "https://a:x",
		"https://a:0", "https://a:080", "https://a:+80", "https://a:65536", "https://a:1:2", "https://[::1", "https://::1", "https://[]", "https://[a b]", "https://b\u00fccher.example",
		"https://*.a.example", "ftp://a", "capacitor://localhost", "https://" + strings.Repeat("a", 256),
	} {
		if got, ok := webOrigin(s); ok {
			t.Errorf("%q: got %q", s, got)
		}
	}
}

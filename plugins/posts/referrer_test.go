package main

import (
	"strings"
	"testing"

	"github.com/edgeset/edgeset/abi/guesttest"
)

// pages that a client is sent back to, and addresses that it is not.
var (
	pagesToReturnTo = []string{
		"http://news.example.org/form", "https://news.example.org/form?a=b&c=%20d#e", "HTTP://NEWS.EXAMPLE.ORG/", "https://example.org",
		"https://example.org:8443/x", "http://[::1]:8080/x", "http://localhost/", "https://example.org/@bob", "https://example.org/?to=a@b",
	}
	noPages = []string{
		"", "/form", "form", "//example.org/", "javascript:alert(1)", "javascript://example.org/%0aalert(1)", "data:text/html,x", "ftp://example.org/",
		"file:///etc/passwd", "http:", "http:/example.org", "http://", "http:///x", "http://?x", "https://bob@example.org/", "https://bob:secret@example.org/x",
		"https://example.org\\@other.example/", "https://example.org/\r\nSet-Cookie: a=b", "https://example.org/\nx", "https://example.org/\x00",
		"https://example.org/ x", " https://example.org/", "https://example.org/é", "http://:80/", "https://example.org/\t", "https://example.org/\x7f",
		"about:blank", "x http://example.org/", "https://example.org/" + strings.Repeat("x", maxReferrer),
	}
)

func TestOnlyPagesOfTheWebAreReturnedTo(t *testing.T) {
	for _, address := range pagesToReturnTo {
		if !isPage(address) {
			t.Errorf("%q is refused", address)
		}
	}
	for _, address := range noPages {
		if isPage(address) {
			t.Errorf("%q is taken", address)
		}
	}
}

func TestReferrerSendsBackAfterSuccessAlone(t *testing.T) {
	d := newDesk(t)
	const page = "https://news.example.org/form"
	write := func(method, path, referer string, params ...string) *guesttest.Response {
		t.Helper()
		q := guesttest.Request{
			Method: method, Path: path, Caller: &deskAnn, Form: fieldsOf(params), Headers: map[string]string{"Referer": referer},
		}
		if method == "POST" && (strings.HasSuffix(path, "posts") || strings.HasSuffix(path, "create")) {
			q.Files = []guesttest.File{{Field: "image", Content: photo(1, 4, 4)}}
		}
		return d.send(q)
	}
	sentBack := func(r *guesttest.Response) {
		t.Helper()
		if r.Status != 303 || r.Headers["Location"] != page || r.Kind != 0 && r.JSON != nil {
			t.Fatalf("got %v %v, want 303 to %s", r, r.Headers, page)
		}
	}
	sentBack(write("POST", "/1.0/posts", page, "udid", "1", "referrer", "yes"))
	sentBack(write("POST", "/1.0/posts/create", page, "udid", "1", "referrer", "1"))
	sentBack(write("POST", "/1.0/posts/1/update", page, "city", "Tulsa", "referrer", "true"))
	sentBack(write("PUT", "/1.0/posts/1", page, "city", "Norman", "referrer", "x"))
	sentBack(write("PUT", "/1.0/posts/1", page, "flag", "1", "referrer", "x"))
	d.wantList("1", "city", "norman")
	sentBack(write("POST", "/1.0/posts/1/delete", page, "referrer", "yes"))
	sentBack(write("DELETE", "/1.0/posts/2?referrer=yes", page))
	d.wantList("")

	// Without it, or with a header that is no page, the answer is the usual one.
	for i, referer := range noPages[1:] {
		r := write("POST", "/1.0/posts", referer, "udid", "1", "referrer", "yes")
		if r.Status != 201 || strings.Contains(r.Headers["Location"], "example.org") {
			t.Fatalf("%d: %q: got %v %v", i, referer, r, r.Headers)
		}
	}
	for _, off := range []string{"", "0", "false", "no", "Off"} {
		d.wantStatus(write("POST", "/1.0/posts", page, "udid", "1", "referrer", off), 201)
	}
	d.wantStatus(d.call(deskAnn, "PUT", "/1.0/posts/3", "referrer", "yes", "city", "x"), 200)
	d.wantStatus(write("PUT", "/1.0/posts/3", page, "city", "x"), 200)

	// A refusal is not sent back.
	d.wantRefusal(write("POST", "/1.0/posts", page, "referrer", "yes"), 400, "missing_parameter", "udid")
	d.wantRefusal(write("PUT", "/1.0/posts/3", page, "referrer", "yes", "email", "x"), 400, "bad_parameter", "email")
	d.wantRefusal(write("DELETE", "/1.0/posts/999?referrer=yes", page), 404, "not_found")
}

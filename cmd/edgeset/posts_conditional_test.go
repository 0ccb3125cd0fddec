package main_test

import (
	"bytes"
	"compress/gzip"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"
)

// dated gets what has a Last-Modified, as soon as the second of the last change is over.
func (c *client) dated(path string) reply {
	c.t.Helper()
	for begin := time.Now(); ; time.Sleep(50 * time.Millisecond) {
		r := c.shown(path)
		if r.header.Get("Last-Modified") != "" {
			return r
		}
		if time.Since(begin) > callTime {
			c.fatalf("%s has no Last-Modified: %v", path, r.header)
		}
	}
}

// unchanged wants a client that has an answer to be told that it is still good, or
// not.
func (c *client) unchanged(path string, had reply, same bool) {
	c.t.Helper()
	etag, modified := had.header.Get("ETag"), had.header.Get("Last-Modified")
	for _, headers := range [][]string{
		{"If-None-Match", etag}, {"If-None-Match", `"x", ` + etag}, {"If-Modified-Since", modified},
		{"If-None-Match", etag, "If-Modified-Since", modified}, {"If-None-Match", etag, "If-Modified-Since", "Mon, 01 Jan 2001 00:00:00 GMT"},
	} {
		r := c.fetch(path, headers...)
		switch {
		case same && (r.status != 304 || len(r.raw) != 0 || r.header.Get("ETag") != etag || r.header.Get("Content-Length") != "" ||
			r.header.Get("Cache-Control") != had.header.Get("Cache-Control")):
			c.t.Errorf("%s with %q: %d %v %s\nwant 304", path, headers, r.status, r.header, r.raw)
		case !same && (r.status != 200 || string(r.raw) == string(had.raw) || r.header.Get("ETag") == etag):
			c.t.Errorf("%s with %q: %d %v %s\nwant 200, and something else", path, headers, r.status, r.header, r.raw)
		}
	}
}

func TestFeedsAreSentWhenTheyHaveChanged(t *testing.T) {
	t.Parallel()
	op := newOpenIDProvider(t)
	s := newPostsServer(t, "", op)
	a, bob := s.newSigner(""), s.newMember(op, "bob")
	a.posts("description", "the first", "tags", "a")
	a.posts("description", "the second")
	bob.comments(1, "first")
	for _, format := range postFormats {
		list, filtered, one := "/1.0/posts."+format, "/1.0/posts."+format+"?tags=a", "/1.0/posts/1."+format
		comments, comment := "/1.0/comments."+format, "/1.0/comments/1."+format
		had := map[string]reply{}
		// look wants these to have changed, and the others to be as they were.
		look := func(changed ...string) {
			t.Helper()
			for _, path := range []string{list, filtered, one, comments, comment} {
				old, known := had[path]
				is := false
				for _, c := range changed {
					is = is || c == path
				}
				if known && old.status == 200 {
					a.unchanged(path, old, !is)
				}
			}
			for _, path := range []string{list, filtered, one, comments, comment} {
				r := a.dated(path)
				at, err := http.ParseTime(r.header.Get("Last-Modified"))
				if err != nil || time.Since(at).Abs() > startTime || !strings.Contains(r.header.Get("Cache-Control"), "no-cache") || r.header.Get("ETag") == "" {
					t.Errorf("%s: %v", path, r.header)
				}
				had[path] = r
				a.unchanged(path, r, true)
			}
		}
		look()
		// A list is of another time whenever any post has changed: its date says so,
		// and if it is the same its tag does.
		made := a.posts("description", "another")
		a.unchanged(list, had[list], false)
		a.unchanged(one, had[one], true)
		a.unchanged(comments, had[comments], true)
		if r := a.fetch(filtered, "If-Modified-Since", had[filtered].header.Get("Last-Modified")); r.status != 200 && r.status != 304 {
			t.Error(r)
		}
		if r := a.fetch(filtered, "If-None-Match", had[filtered].header.Get("ETag")); r.status != 304 && format != "atom" && format != "rss" {
			t.Errorf("%v\nwant 304: nothing in it has changed", r)
		}
		clear(had)
		look()
		if r := a.sends("PUT", "/1.0/posts/1", []string{"description", "changed for " + format}); r.status != 200 {
			t.Fatal(r)
		}
		look(list, filtered, one)
		if r := a.sends("POST", "/1.0/posts/"+made.text("id")+"/delete", nil); r.status != 204 {
			t.Fatal(r)
		}
		a.unchanged(list, had[list], false)
		a.unchanged(one, had[one], true)
		clear(had)
		look()
		if r := bob.sends("PUT", "/1.0/comments/1", []string{"content", "changed for " + format}); r.status != 200 {
			t.Fatal(r)
		}
		look(comments, comment)
	}
	// Compressed it is the same.
	a.posts("description", strings.Repeat("long enough ", 160))
	plain := a.shown("/1.0/posts.plist?count=100")
	zipped := a.shown("/1.0/posts.plist?count=100", "Accept-Encoding", "gzip")
	if text, err := unzipped(zipped.raw); err != nil || zipped.header.Get("Content-Encoding") != "gzip" || string(text) != string(plain.raw) ||
		zipped.header.Get("ETag") != plain.header.Get("ETag") || zipped.header.Get("Vary") == "" {
		t.Errorf("%v, %v: %v", zipped.header, plain.header, err)
	}
	if r := a.fetch("/1.0/posts.plist?count=100", "Accept-Encoding", "gzip", "If-None-Match", plain.header.Get("ETag")); r.status != 304 || r.header.Get("Vary") != zipped.header.Get("Vary") {
		t.Errorf("%v %v\nwant 304, and the header Vary", r, r.header)
	}
	// A format does not tell of another one.
	if r := a.fetch("/1.0/posts.rss", "If-None-Match", a.shown("/1.0/posts.atom").header.Get("ETag")); r.status != 200 {
		t.Errorf("%v\nwant 200", r)
	}
	r, err := a.client.submit("HEAD", "/1.0/posts.rss", "", nil, "If-None-Match", a.shown("/1.0/posts.rss").header.Get("ETag"))
	if err != nil || r.status != 304 {
		t.Errorf("%v, %v\nwant 304", r, err)
	}
	// Two changes within a second: whoever was between them is not told that nothing
	// has changed.
	for range 20 {
		before := a.shown("/1.0/posts.json")
		if r := a.sends("PUT", "/1.0/posts/1", []string{"description", "at " + time.Now().String()}); r.status != 200 {
			t.Fatal(r)
		}
		for _, headers := range [][]string{{"If-None-Match", before.header.Get("ETag")}, {"If-Modified-Since", before.header.Get("Last-Modified")}} {
			if r := a.fetch("/1.0/posts.json", headers...); r.status != 200 {
				t.Errorf("with %q: %d, want 200", headers, r.status)
			}
		}
	}
}

func unzipped(text []byte) ([]byte, error) {
	r, err := gzip.NewReader(bytes.NewReader(text))
	if err != nil {
		return nil, err
	}
	return io.ReadAll(r)
}

package main

import (
	"encoding/xml"
	"errors"
	"io"
	"strings"
	"testing"
)

func TestTheGuideIsAPageThatTellsAllCallsAndErrors(t *testing.T) {
	d := newDesk(t)
	r := d.wantStatus(d.get(documentation), 200)
	if r.Headers["Content-Type"] != "text/html; charset=utf-8" {
		t.Error(r.Headers)
	}
	page := string(r.Raw)
	for _, route := range plugin().Description().Routes {
		path := strings.ReplaceAll(route.Pattern, ":id", "ID")
		if len(route.Auth) > 0 && route.Auth[0] != "operator" && !strings.Contains(page, "<code>"+route.Method+" "+path+"</code>") {
			t.Errorf("%s %s is not told", route.Method, path)
		}
	}
	for _, word := range []string{
		"count", "page", "sdate", "edate", "city", "state", "zip", "latitude", "longitude", "miles", "km", "search", "tags", "udid", "image",
		"description", "address", "email", "referrer", "flag", "postId", "content", "format_missing", "format_unknown", "format_not_taken",
		"missing_parameter", "bad_parameter", "not_yours", "not_found", "bad_image", "image_too_large", "unsupported_image",
		"/1.0/posts.rss?count=10&amp;page=1&amp;city=Oklahoma+City&amp;search=%23traffic", "/1.0/posts/42.rss",
	} {
		if !strings.Contains(page, word) {
			t.Errorf("%q is not told", word)
		}
	}
	links := map[string]bool{}
	tags := xml.NewDecoder(strings.NewReader(page))
	tags.Strict, tags.AutoClose, tags.Entity = false, append(xml.HTMLAutoClose, "meta", "input"), xml.HTMLEntity
	for {
		token, err := tags.Token()
		if errors.Is(err, io.EOF) {
			break
		}
		if err != nil {
			t.Fatalf("at %d: %v", tags.InputOffset(), err)
		}
		if start, ok := token.(xml.StartElement); ok {
			for _, a := range start.Attr {
				links[a.Name.Local+"="+a.Value] = true
			}
		}
	}
	for link := range links {
		if anchor, ok := strings.CutPrefix(link, "href=#"); ok && !links["id="+anchor] {
			t.Errorf("#%s leads nowhere", anchor)
		}
	}
}

//go:build !wasip1

package main_test

import (
	"testing"

	"github.com/edgeset/edgeset/abi/guest"
	"github.com/edgeset/edgeset/abi/guesttest"
	posts "github.com/edgeset/edgeset/plugins/posts"
)

// startAt has the numbers of posts and comments begin behind those. A plugin of its
// own writes that into the state of the client's.
func startAt(t testing.TB, c *guesttest.Client, lastPost, lastComment int64) {
	p := guest.New("start", "1.0.0")
	p.Family("/start", nil).POST("/start", func(_ *guest.Response, r *guest.Request) error {
		return posts.CountFrom(r.KV(), uint32(lastPost), uint32(lastComment))
	})
	start := guesttest.New(t, p)
	start.Host = c.Host
	if r := start.Do(guesttest.Request{Method: "POST", Path: "/start"}); r.Err != nil {
		t.Fatalf("the start of a history: %s", r)
	}
}

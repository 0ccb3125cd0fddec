//go:build !wasip1

package main

import (
	"bytes"
	"encoding/json"
	"testing"

	"github.com/edgeset/edgeset/abi/guest"
	"github.com/edgeset/edgeset/host/bench"
	"github.com/edgeset/edgeset/host/bench/bed"
	"github.com/edgeset/edgeset/store/badgerstore"
)

// newBed starts a host with this plugin.
func newBed(tb testing.TB, durability badgerstore.Durability, compiled ...*guest.Plugin) *bed.Bed {
	tb.Helper()
	return bed.NewOf(tb, durability, []string{"plugins/signing", "plugins/posts"}, compiled...)
}

// reader returns a side that reads one path.
func reader(host *bed.Bed, path string) bench.Side {
	return host.Each("GET", func(int) (string, string, []byte) { return path, "", nil })
}

// A listed is what is looked at of a page as JSON.
type listed struct {
	Total int
	Posts []json.RawMessage
}

func read(tb testing.TB, host *bed.Bed, path string) (page listed) {
	tb.Helper()
	if err := json.Unmarshal(host.Ask("", "GET", path, nil), &page); err != nil {
		tb.Fatalf("%s: %v", path, err)
	}
	return page
}

// BenchmarkListOverHTTP compares the first page of all posts, which has twenty, in each
// of the formats from end to end, client included, with the plugin in Wasm and the same
// handlers native.
func BenchmarkListOverHTTP(b *testing.B) {
	const posts = postsOfRegion
	wasm, native := newBed(b, badgerstore.Process), newBed(b, badgerstore.Process, guest.Served())
	fillWorld(wasm, posts)
	fillWorld(native, posts)
	for format, item := range map[string]string{"rss": "<item>", "atom": "<entry>", "json": `"thumbnail"`, "plist": "<key>thumbnail</key>"} {
		path := "/1.0/posts." + format
		for _, host := range []*bed.Bed{wasm, native} {
			if n := bytes.Count(host.Ask("", "GET", path, nil), []byte(item)); n != 20 {
				b.Fatalf("%s has %d posts, want 20", path, n)
			}
		}
		b.Run(format, func(b *testing.B) {
			bench.Compare(b, "http/posts_"+format, "native", "µs", reader(wasm, path), reader(native, path))
		})
	}
}

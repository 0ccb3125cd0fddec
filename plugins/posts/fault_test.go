package main

import (
	"crypto/sha256"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// A faultyHost is a host that fails when it has been asked so often. What is written is
// kept if the call is answered.
type faultyHost struct {
	abi.Host // what the plugin does not use is nil
	entries  map[string]string
	links    map[string]bool
	left     int
}

func (f *faultyHost) fails() error {
	if f.left--; f.left < 0 {
		return abi.ErrHost
	}
	return nil
}

func (f *faultyHost) Get(key []byte) ([]byte, bool, error) {
	value, found := f.entries[string(key)]
	return []byte(value), found, f.fails()
}

func (f *faultyHost) GetMany(keys [][]byte) ([][]byte, error) {
	values := make([][]byte, len(keys))
	for i, key := range keys {
		if value, found := f.entries[string(key)]; found {
			values[i] = append([]byte{}, value...)
		}
	}
	return values, f.fails()
}

func (f *faultyHost) Put(key, value []byte, _ time.Duration) error {
	f.entries[string(key)] = string(value)
	return f.fails()
}

func (f *faultyHost) Delete(key []byte) error {
	delete(f.entries, string(key))
	return f.fails()
}

func (f *faultyHost) Scan(r abi.Range) (p abi.Page, err error) {
	keys := slices.DeleteFunc(slices.Sorted(maps.Keys(f.entries)), func(k string) bool {
		return k < string(r.Start) || len(r.End) > 0 && k >= string(r.End)
	})
	if r.Reverse {
		slices.Reverse(keys)
	}
	if r.Limit > 0 && len(keys) > r.Limit {
		keys, p.More = keys[:r.Limit], true
	}
	for _, k := range keys {
		p.Entries = append(p.Entries, abi.Entry{Key: []byte(k), Value: []byte(f.entries[k])})
	}
	return p, f.fails()
}

func (f *faultyHost) Image(q *abi.ImageQuery) (*abi.Image, error) {
	m := &abi.Image{Format: "png", Width: 9, Height: 9}
	for _, b := range q.Renditions {
		m.Renditions = append(m.Renditions, abi.Blob{ID: sha256.Sum256([]byte{byte(b.Width)}), Size: 9, Width: 9, Height: 9})
	}
	return m, f.fails()
}

func (f *faultyHost) KeepFile(index int) (abi.Blob, error) {
	return abi.Blob{ID: sha256.Sum256([]byte("upload")), Size: 9}, f.fails()
}

func (f *faultyHost) LinkBlob(id abi.BlobID, name []byte) error {
	f.links[id.String()+string(name)] = true
	return f.fails()
}

func (f *faultyHost) UnlinkBlob(id abi.BlobID, name []byte) error {
	delete(f.links, id.String()+string(name))
	return f.fails()
}

func (f *faultyHost) Config(key string) (string, bool) {
	value, found := map[string]string{"keep_original": "true", "hide_after": "2"}[key]
	return value, found
}

func (f *faultyHost) Log(abi.LogLevel, string) {}

func textsOf(list []string) abi.Value {
	var w abi.Writer
	w.Array()
	for _, s := range list {
		w.Text(s)
	}
	w.End()
	return w.Value()
}

// frameOf makes the frame of a call of a route, whose parameters are the rest of the
// line: those of the path, then those of the query or form, "name=value".
func frameOf(p *guest.Plugin, who abi.Caller, line string) []byte {
	words := strings.Fields(line)
	method, pattern := words[0], words[1]
	f := abi.Request{Kind: abi.CallRequest, Method: method, Caller: who, Time: 1246385107000000, BaseURL: "http://edge.test", Path: pattern}
	f.Route = slices.IndexFunc(p.Description().Routes, func(r abi.Route) bool { return r.Method == method && r.Pattern == pattern })
	var params, query []string
	for _, word := range words[2:] {
		if name, value, found := strings.Cut(word, "="); found {
			value, _ = url.QueryUnescape(value)
			query = append(query, name, value)
			continue
		}
		params = append(params, word)
		f.Path = strings.Replace(f.Path, ":id", word, 1)
	}
	f.Params, f.Query = textsOf(params), abi.Pairs(textsOf(query))
	f.Files = []abi.File{{Field: "image", Name: "x", Size: 9}}
	var w abi.Writer
	f.Append(&w)
	return w.Value()
}

// Whatever the host refuses to do, the request fails with it: nothing is answered from
// half of what there is, and nothing is half done.
func TestAFailureOfTheHostIsTheRequestsFailure(t *testing.T) {
	p := plugin()
	call := p.NewCall()
	entries, links := map[string]string{}, map[string]bool{}
	for _, step := range []struct {
		who  abi.Caller
		line string
	}{
		{deskAnn, "POST /1.0/posts udid=1 description=one+%23two city=Tulsa tags=a,b latitude=1 longitude=2"},
		{deskApp, "POST /1.0/posts/create udid=1"},
		{deskAnn, "GET /1.0/posts.json"},
		{deskAnn, "GET /1.0/posts.json city=tulsa tags=a search=one latitude=1 longitude=2 km=9"},
		{deskAnn, "GET /1.0/posts/:id 1.atom"},
		{deskAnn, "PUT /1.0/posts/:id 1 city=Ada latitude= longitude= description=three"},
		{deskBob, "POST /1.0/comments postId=1 content=hello"},
		{deskBob, "POST /1.0/comments postId=1 content=there"},
		{deskBob, "GET /1.0/comments.rss"},
		{deskBob, "GET /1.0/comments.rss postId=1"},
		{deskBob, "GET /1.0/comments/:id 1.json"},
		{deskBob, "PUT /1.0/comments/:id 1 content=hi"},
		{deskAnn, "PUT /1.0/comments/:id 1 flag=1"},
		{deskBob, "PUT /1.0/comments/:id 1 flag=1"},
		{deskBoss, "GET /queue kind=comments"},
		{deskBoss, "GET /comments/:id 1"},
		{deskBoss, "POST /comments/:id/restore 1"},
		{deskBob, "PUT /1.0/posts/:id 1 flag=1"},
		{deskApp, "PUT /1.0/posts/:id 1 flag=1"},
		{deskBoss, "GET /queue"},
		{deskBoss, "GET /posts/:id 1"},
		{deskBoss, "POST /posts/:id/restore 1"},
		{deskAnn, "PUT /1.0/posts/:id 1 flag=1"},
		{deskBoss, "POST /comments/:id/remove 2"},
		{deskBob, "DELETE /1.0/posts/:id 1"}, // is refused
		{deskAnn, "DELETE /1.0/posts/:id 1"},
		{deskBoss, "POST /posts/:id/remove 2"},
	} {
		frame := frameOf(p, step.who, step.line)
		for asked := 0; ; asked++ {
			x := &faultyHost{entries: maps.Clone(entries), links: maps.Clone(links), left: asked}
			out, err := call.Do(x, frame)
			if err != nil {
				t.Fatal(err)
			}
			var reply abi.Reply
			if err := abi.ReadReply(out, &reply); err != nil {
				t.Fatal(err)
			}
			if reply.Status == 500 && asked < 500 {
				continue
			}
			refused := step.who == deskBob && strings.HasPrefix(step.line, "DELETE")
			if refused != (reply.Status == 403) || !refused && reply.Status >= 300 || asked == 0 {
				t.Fatalf("%s: %d when it could ask %d times", step.line, reply.Status, asked)
			}
			if x.left != 0 {
				t.Fatalf("%s: was answered although the host had failed", step.line)
			}
			if !refused {
				entries, links = x.entries, x.links
			}
			break
		}
	}
	var left string
	for _, key := range slices.Sorted(maps.Keys(entries)) {
		left += key[:1]
	}
	// The last numbers, the times of the last changes, and the lengths of the queues.
	if left != "mmnnqq" || len(links) != 0 {
		t.Errorf("left are %q and links %v", left, links)
	}
}

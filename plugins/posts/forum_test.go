package main

import (
	"bytes"
	"fmt"
	pixels "image"
	"image/png"
	"net/url"
	"slices"
	"strconv"
	"testing"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
	"github.com/edgeset/edgeset/abi/guesttest"
	render "github.com/edgeset/edgeset/host/text"
)

// A forum is the plugin, with people who are called by their accounts.
type forum struct {
	*guesttest.Client
	t testing.TB
}

func newForum(t testing.TB) *forum { return &forum{guesttest.New(t, plugin()), t} }

// person is somebody who has signed in with an OpenID.
func person(name string) *abi.Caller {
	return &abi.Caller{Account: name, Proof: "session", Name: name + " the great"}
}

// fields makes a form of names and values in turn.
func fields(list []string) url.Values {
	f := url.Values{}
	for i := 0; i < len(list); i += 2 {
		f.Set(list[i], list[i+1])
	}
	return f
}

// as sends a form on behalf of somebody.
func (f *forum) as(name, method, path string, params ...string) *guesttest.Response {
	f.t.Helper()
	return f.Do(guesttest.Request{Method: method, Path: path, Form: fields(params), Caller: person(name)})
}

// ok is as for a request that must succeed.
func (f *forum) ok(status int, name, method, path string, params ...string) *guesttest.Response {
	f.t.Helper()
	r := f.as(name, method, path, params...)
	if r.Status != status {
		f.t.Fatalf("%s %s %q: want %d, got %s", method, path, params, status, r)
	}
	return r
}

// refused is as for a request that must be refused.
func (f *forum) refused(status int, code, name, method, path string, params ...string) *guesttest.Response {
	f.t.Helper()
	r := f.as(name, method, path, params...)
	if r.Status != status || r.Text("error.code") != code || r.Text("error.message") == "" || r.Text("error.documentation") != documentation {
		f.t.Fatalf("%s %s %q: want %d %s, got %s", method, path, params, status, code, r)
	}
	return r
}

// operator makes a request on behalf of an operator.
func (f *forum) operator(status int, method, path string) *guesttest.Response {
	f.t.Helper()
	r := f.Do(guesttest.Request{Method: method, Path: path, Caller: &abi.Caller{Proof: "operator"}})
	if r.Status != status {
		f.t.Fatalf("operator: %s %s: want %d, got %s", method, path, status, r)
	}
	return r
}

// dot is a picture that is as small as it can be.
func dot() []byte {
	var b bytes.Buffer
	if err := png.Encode(&b, pixels.NewGray(pixels.Rect(0, 0, 3, 2))); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// upload posts a picture, and returns the post's number.
func (f *forum) upload(name string, params ...string) string {
	f.t.Helper()
	r := f.Do(guesttest.Request{
		Method: "POST", Path: "/1.0/posts", Form: fields(append(params, "udid", "1234")), Caller: person(name),
		Files: []guesttest.File{{Field: "image", Name: "dot.png", Type: "image/png", Content: dot()}},
	})
	if r.Status != 201 {
		f.t.Fatal(r)
	}
	return r.Text("id")
}

// say comments on a post, and returns the comment's number.
func (f *forum) say(name, post, content string) string {
	f.t.Helper()
	return f.ok(201, name, "POST", "/1.0/comments", "postId", post, "content", content).Text("id")
}

// get returns the answer to a GET of a path that must succeed.
func (f *forum) get(path string) *guesttest.Response {
	f.t.Helper()
	r := f.Do(guesttest.Request{Path: path})
	if r.Status != 200 {
		f.t.Fatalf("GET %s: %s", path, r)
	}
	return r
}

// lists checks the total and the items of a list of comments.
func (f *forum) lists(query string, total int, want ...string) {
	f.t.Helper()
	r := f.get("/1.0/comments.json" + query)
	if got := idsIn(r, "comments"); r.Text("total") != strconv.Itoa(total) || !slices.Equal(got, want) {
		f.t.Fatalf("comments%s: got %s of them, %v; want %d, %v", query, r.Text("total"), got, total, want)
	}
}

// sees checks what all people see: every comment there is, a total in every list.
func (f *forum) sees(want ...string) {
	f.t.Helper()
	f.lists("", len(want), want...)
}

func idsIn(r *guesttest.Response, shelf string) (ids []string) {
	items, _ := r.Field(shelf).([]any)
	for i := range items {
		ids = append(ids, r.Text(fmt.Sprint(shelf, ".", i, ".id")))
	}
	return ids
}

// document is an answer as the host renders it.
func (f *forum) document(path string) string {
	f.t.Helper()
	r := f.get(path)
	var b []byte
	var err error
	switch r.Kind {
	case abi.BodyXML:
		b, err = render.AppendXML(nil, r.Value)
	case abi.BodyPlist:
		b, err = render.AppendPlist(nil, r.Value)
	case abi.BodyValue:
		b, err = render.AppendJSON(nil, r.Value)
	}
	if err != nil || len(b) == 0 {
		f.t.Fatalf("GET %s: %v, a body of kind %d: %s", path, err, r.Kind, r)
	}
	return string(b)
}

// within runs fn in a transaction of its own.
func (f *forum) within(fn func(r *guest.Request) error) {
	f.t.Helper()
	p := guest.New("within", "1")
	p.Family("/", nil).POST("/", func(w *guest.Response, r *guest.Request) error { return fn(r) })
	c := guesttest.New(f.t, p)
	c.Host = f.Host
	if r := c.Do(guesttest.Request{Method: "POST", Path: "/"}); r.Status != 200 {
		f.t.Fatal(r)
	}
}

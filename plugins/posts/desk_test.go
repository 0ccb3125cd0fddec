package main

import (
	"bytes"
	"fmt"
	pixels "image"
	"image/color"
	encoder "image/jpeg"
	"image/png"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guesttest"
)

// A desk is the plugin with people and applications that post.
type desk struct {
	*guesttest.Client
	t       *testing.T
	replies []string // to all but operators
}

func newDesk(t *testing.T) *desk { return &desk{Client: guesttest.New(t, plugin()), t: t} }

// Those who post: people who are logged in, one who came through an application, and
// applications that sign on their own.
var (
	deskAnn   = abi.Caller{Account: "ann-account", Proof: "session", Name: "Ann"}
	deskBob   = abi.Caller{Account: "bob-account", Proof: "session", Name: "Bob"}
	deskPhone = abi.Caller{Account: "ann-account", App: "phone-app", Proof: "token"}
	deskApp   = abi.Caller{App: "phone-app", Proof: "signature", Scheme: "md5"}
	deskOther = abi.Caller{App: "other-app", Proof: "signature", Scheme: "md5"}
	deskBoss  = abi.Caller{Proof: "operator"}
)

// photo returns a picture that no other seed makes, as a PNG.
func photo(seed, width, height int) []byte {
	m := pixels.NewRGBA(pixels.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			m.Set(x, y, color.RGBA{uint8(40 * seed), uint8(x * 255 / width), uint8(y * 255 / height), 255})
		}
	}
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// photoJPEG is photo as a JPEG.
func photoJPEG(seed, width, height int) []byte {
	m, err := png.Decode(bytes.NewReader(photo(seed, width, height)))
	if err != nil {
		panic(err)
	}
	var b bytes.Buffer
	if err := encoder.Encode(&b, m, nil); err != nil {
		panic(err)
	}
	return b.Bytes()
}

// fieldsOf makes a form of names and values in turn.
func fieldsOf(params []string) url.Values {
	f := url.Values{}
	for i := 0; i < len(params); i += 2 {
		f.Set(params[i], params[i+1])
	}
	return f
}

func (d *desk) send(q guesttest.Request) *guesttest.Response {
	d.t.Helper()
	r := d.Do(q)
	if q.Caller == nil || q.Caller.Proof != "operator" {
		d.replies = append(d.replies, fmt.Sprint(r, r.Headers))
	}
	return r
}

// upload posts a picture.
func (d *desk) upload(who abi.Caller, content []byte, params ...string) *guesttest.Response {
	d.t.Helper()
	return d.send(guesttest.Request{
		Method: "POST", Path: "/1.0/posts", Caller: &who, Form: fieldsOf(params),
		Files: []guesttest.File{{Field: "image", Name: "photo.png", Type: "application/octet-stream", Content: content}},
	})
}

// post makes a post of a small picture and returns its number.
func (d *desk) post(who abi.Caller, params ...string) string {
	d.t.Helper()
	r := d.upload(who, photo(len(d.replies)%6, 8, 6), append([]string{"udid", "u-1234"}, params...)...)
	if r.Status != 201 {
		d.t.Fatal(r)
	}
	return r.Text("id")
}

func (d *desk) call(who abi.Caller, method, path string, params ...string) *guesttest.Response {
	d.t.Helper()
	return d.send(guesttest.Request{Method: method, Path: path, Caller: &who, Form: fieldsOf(params)})
}

func (d *desk) get(path string, params ...string) *guesttest.Response {
	d.t.Helper()
	if len(params) > 0 {
		path += "?" + fieldsOf(params).Encode()
	}
	return d.send(guesttest.Request{Path: path})
}

// list returns the ids of the posts that match, and checks that the total is right.
func (d *desk) list(params ...string) string {
	d.t.Helper()
	r := d.get("/1.0/posts.json", params...)
	if r.Status != 200 {
		d.t.Fatal(r)
	}
	var ids []string
	posts, _ := r.Field("posts").([]any)
	for i := range posts {
		ids = append(ids, r.Text(fmt.Sprintf("posts.%d.id", i)))
	}
	if len(params) == 0 && r.Text("total") != fmt.Sprint(len(ids)) {
		d.t.Fatalf("total %s of %d posts", r.Text("total"), len(ids))
	}
	return strings.Join(ids, " ")
}

func (d *desk) wantList(want string, params ...string) {
	d.t.Helper()
	if got := d.list(params...); got != want {
		d.t.Fatalf("%q: listed are %q, want %q", params, got, want)
	}
}

// wantRefusal checks status and code of a refusal, and that it says how to go on.
func (d *desk) wantRefusal(r *guesttest.Response, status int, code string, says ...string) {
	d.t.Helper()
	if r.Err == nil || r.Status != status || r.Err.Code != code {
		d.t.Fatalf("got %v, want %d %s", r, status, code)
	}
	for _, text := range says {
		if !strings.Contains(r.Err.Message, text) {
			d.t.Fatalf("%q does not speak of %q", r.Err.Message, text)
		}
	}
	if r.Text("error.documentation") != documentation || r.Text("error.code") != code || r.Text("error.status") != fmt.Sprint(status) {
		d.t.Fatalf("form of the refusal: %v", r)
	}
}

func (d *desk) wantStatus(r *guesttest.Response, status int) *guesttest.Response {
	d.t.Helper()
	if r.Status != status {
		d.t.Fatalf("got %v, want %d", r, status)
	}
	return r
}

// picturePath returns the path of a picture's URL.
func (d *desk) picturePath(r *guesttest.Response, field string) string {
	d.t.Helper()
	u, err := url.Parse(r.Text(field))
	if err != nil || !strings.HasPrefix(u.Path, "/1.0/images/") || u.Host != "edge.test" {
		d.t.Fatalf("%s: %q is no URL of a picture: %v", field, r.Text(field), err)
	}
	return u.Path
}

// setNow sets the clock.
func (d *desk) setNow(s string) {
	d.t.Helper()
	now, err := time.Parse("2006-01-02 15:04:05", s)
	if err != nil {
		d.t.Fatal(err)
	}
	d.Host.Now = now
}

package main

import (
	"encoding/hex"
	"net/url"
	"strings"
	"testing"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
	"github.com/edgeset/edgeset/abi/guesttest"
)

// A bench is the plugin with one application, and everything it answered.
type bench struct {
	*guesttest.Client
	t       *testing.T
	app     string
	secret  string
	replies []string
}

func newBench(t *testing.T) *bench {
	b := &bench{Client: guesttest.New(t, plugin()), t: t}
	r := b.operator("POST", "/apps", `{"name":"Test app"}`)
	if r.Status != 201 {
		t.Fatal(r)
	}
	b.app, b.secret = r.Text("id"), r.Text("secret")
	return b
}

func (b *bench) send(q guesttest.Request) *guesttest.Response {
	b.t.Helper()
	r := b.Do(q)
	b.replies = append(b.replies, r.String())
	return r
}

func (b *bench) operator(method, path, body string) *guesttest.Response {
	b.t.Helper()
	return b.send(guesttest.Request{
		Method: method, Path: path, JSON: body, Caller: &abi.Caller{Proof: operatorProof},
	})
}

// post sends parameters, given as name and value in turn, as a form.
func (b *bench) post(caller abi.Caller, path string, params ...string) *guesttest.Response {
	b.t.Helper()
	return b.send(guesttest.Request{Method: "POST", Path: path, Form: form(params), Caller: &caller})
}

func (b *bench) get(caller abi.Caller, path string, params ...string) *guesttest.Response {
	b.t.Helper()
	if len(params) > 0 {
		path += "?" + form(params).Encode()
	}
	return b.send(guesttest.Request{Path: path, Caller: &caller})
}

func form(params []string) url.Values {
	f := url.Values{}
	for i := 0; i < len(params); i += 2 {
		f.Set(params[i], params[i+1])
	}
	return f
}

// create makes an account and returns its id.
func (b *bench) create(username, password string) string {
	b.t.Helper()
	r := b.post(abi.Caller{}, "/v2/account/create", "api_key", b.app, "username", username, "password", password)
	if r.Status != 200 {
		b.t.Fatal(r)
	}
	return r.Text("response.id")
}

func (b *bench) login(id, password string) *guesttest.Response {
	b.t.Helper()
	return b.post(abi.Caller{}, "/v2/account/login", "api_key", b.app, "id", id, "password", password)
}

// session logs in and returns the token and who it stands for.
func (b *bench) session(id, password, device string) (string, abi.Caller) {
	b.t.Helper()
	r := b.post(abi.Caller{}, "/v2/account/login",
		"api_key", b.app, "id", id, "password", password, "device", device)
	if r.Status != 200 {
		b.t.Fatal(r)
	}
	secret := r.Text("response.access_token")
	caller, err := b.Authenticate(tokenProof, secret)
	if err != nil {
		b.t.Fatal(err)
	}
	return secret, caller
}

// refused checks status and code of a refusal.
func (b *bench) refused(r *guesttest.Response, status int, code string) {
	b.t.Helper()
	if r.Err == nil || r.Status != status || r.Err.Code != code {
		b.t.Fatalf("got %v, want %d %s", r, status, code)
	}
}

// rejects checks that a token is refused with a code.
func (b *bench) rejects(secret, code string) {
	b.t.Helper()
	caller, err := b.Authenticate(tokenProof, secret)
	e, ok := err.(*abi.Error)
	if !ok || e.Status != 401 || e.Code != code {
		b.t.Fatalf("got %v, %v, want 401 %s", caller, err, code)
	}
}

func (b *bench) accepts(secret string) {
	b.t.Helper()
	if _, err := b.Authenticate(tokenProof, secret); err != nil {
		b.t.Fatal(err)
	}
}

// dump returns all that is stored, as text: hexadecimal keys and values.
func (b *bench) dump() string {
	b.t.Helper()
	p := guest.New("dump", "1.0.0")
	p.Family("/", nil).GET("/dump", func(w *guest.Response, r *guest.Request) error {
		page, err := r.KV().Scan(abi.Range{})
		if err != nil {
			return err
		}
		var s strings.Builder
		for _, e := range page.Entries {
			s.WriteString(hex.EncodeToString(e.Key) + "=" + hex.EncodeToString(e.Value) + "\n")
		}
		w.Bytes("text/plain", []byte(s.String()))
		return nil
	})
	c := guesttest.New(b.t, p)
	c.Host = b.Host
	return string(c.Do(guesttest.Request{Path: "/dump"}).Raw)
}

var nobody abi.Caller

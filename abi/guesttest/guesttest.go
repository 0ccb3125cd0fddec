// Package guesttest runs a plugin natively, in go test, against a host that
// keeps everything in memory. A test of a plugin sends requests and looks at
// the answers; it needs no Wasm, no server and no clock but its own:
//
//	func TestHello(t *testing.T) {
//		c := guesttest.New(t, guest.Served())
//		r := c.Do(guesttest.Request{Method: "GET", Path: "/hello/ann"})
//		if r.Status != 200 || r.Field("greeting") != "Hello, ann" {
//			t.Fatal(r)
//		}
//	}
//
// Like the host it makes a request one transaction: what a handler wrote is
// gone if it returns an error.
package guesttest

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// A Client sends requests to a plugin.
type Client struct {
	t      testing.TB
	plugin *guest.Plugin
	call   *guest.Call

	// Host keeps the plugin's state and settings.
	Host *Host
	// Caller is who makes the requests that do not say so themselves.
	Caller abi.Caller
}

// New returns a client of p with an empty host whose clock stands at
// 2026-01-01 00:00 UTC.
func New(t testing.TB, p *guest.Plugin) *Client {
	return &Client{t: t, plugin: p, call: p.NewCall(), Host: NewHost(t)}
}

// A Request is what a test sends.
type Request struct {
	Method  string            // "" is GET
	Path    string            // with its query, as in a URL
	JSON    string            // a JSON body
	Form    url.Values        // or a form
	Files   []File            // that are uploaded with the form
	Raw     []byte            // or bytes
	Headers map[string]string //
	Caller  *abi.Caller       // instead of the client's
	Remote  string            // "" is 127.0.0.1
	Family  string            // prefix of the family that a credential is shown to
	BaseURL string            // "" is http://edge.test
	AnyHost bool              // see guest.Request
}

// Do sends a request through the plugin's route table and returns the answer.
func (c *Client) Do(q Request) *Response {
	c.t.Helper()
	if q.Method == "" {
		q.Method = "GET"
	}
	u, err := url.Parse(q.Path)
	if err != nil {
		c.t.Fatalf("guesttest: path %q: %v", q.Path, err)
	}
	index, params := c.route(q.Method, u.Path)
	if index < 0 {
		return c.failure(&abi.Error{Status: 404, Code: "not_found", Message: "no such route"}, 0)
	}
	route := &c.plugin.Description().Routes[index]

	caller := c.Caller
	if q.Caller != nil {
		caller = *q.Caller
	}
	if len(route.Auth) == 0 {
		caller = abi.Caller{}
	} else if !proves(caller, route) {
		return c.failure(&abi.Error{Status: 401, Code: "unauthenticated", Message: "no credential"}, route.Family)
	}
	f := abi.Request{
		Kind: abi.CallRequest, Route: index, Method: q.Method, Path: u.Path, Target: q.Path, Caller: caller,
		Time: c.Host.Now.UnixMicro(), Remote: "127.0.0.1", ID: "test", BaseURL: "http://edge.test", AnyHost: q.AnyHost,
	}
	if q.Remote != "" {
		f.Remote = q.Remote
	}
	if q.BaseURL != "" {
		f.BaseURL = q.BaseURL
	}
	f.Params = value(params)
	f.Query = abi.Pairs(queryPairs(c.t, u.RawQuery))
	f.Headers = headerPairs(q.Headers)
	switch {
	case route.Body == abi.JSONBody && q.JSON != "":
		if f.Body, err = parseJSON(q.JSON); err != nil {
			return c.failure(&abi.Error{Status: 400, Code: "bad_json", Message: err.Error()}, route.Family)
		}
		f.BodyKind = abi.BodyValue
	case route.Body == abi.UploadBody:
		f.BodyKind, f.Body, f.Files = abi.BodyForm, queryPairs(c.t, q.Form.Encode()), files(q.Files)
		c.Host.files = q.Files
		defer func() { c.Host.files = nil }()
	case route.Body == abi.FormBody:
		f.BodyKind, f.Body = abi.BodyForm, queryPairs(c.t, q.Form.Encode())
	case route.Body == abi.RawBody:
		f.BodyKind, f.Body = abi.BodyRaw, q.Raw
	case route.Body == abi.AnyBody:
		switch {
		case q.JSON != "":
			if f.Body, err = parseJSON(q.JSON); err != nil {
				return c.failure(&abi.Error{Status: 400, Code: "bad_json", Message: err.Error()}, route.Family)
			}
			f.BodyKind, c.Host.body = abi.BodyValue, []byte(q.JSON)
		case q.Form != nil:
			f.BodyKind, f.Body, c.Host.body = abi.BodyForm, queryPairs(c.t, q.Form.Encode()), []byte(q.Form.Encode())
		case q.Raw != nil:
			f.BodyKind, f.Body, c.Host.body = abi.BodyRaw, q.Raw, q.Raw
		}
		defer func() { c.Host.body = nil }()
	}
	if !route.Stream {
		return c.do(&f, !route.Write, route.Family)
	}
	stream := c.Host.open(c, u.Path)
	f.Connection = stream.ID
	r := c.do(&f, false, route.Family)
	if stream.subscribed {
		r.Stream = stream
	} else {
		stream.Close()
	}
	return r
}

// Authenticate asks the plugin who presents a credential.
func (c *Client) Authenticate(kind, secret string) (abi.Caller, error) {
	c.t.Helper()
	return c.check(&abi.Request{
		Kind: abi.CallAuthenticate, Time: c.Host.Now.UnixMicro(), ID: "test",
		Credential: abi.Credential{Kind: kind, Value: secret},
	}, true)
}

// AuthenticateIn is Authenticate for a credential that is shown in a place: the
// prefix of a family, and a web origin.
func (c *Client) AuthenticateIn(family, origin, kind, secret string) (abi.Caller, error) {
	c.t.Helper()
	return c.check(&abi.Request{
		Kind: abi.CallAuthenticate, Time: c.Host.Now.UnixMicro(), ID: "test",
		Credential: abi.Credential{Kind: kind, Value: secret, Family: family, Origin: origin},
	}, true)
}

// AuthenticateRequest asks the plugin who makes a request that is its own
// credential; value is what stood where the plugin has the host look. What the
// check writes is kept unless it refuses. Of the bodies of q there is at most
// one; a Host header is the request's authority.
func (c *Client) AuthenticateRequest(kind, value string, q Request) (abi.Caller, error) {
	c.t.Helper()
	if q.Method == "" {
		q.Method = "GET"
	}
	u, err := url.Parse(q.Path)
	if err != nil {
		c.t.Fatalf("guesttest: path %q: %v", q.Path, err)
	}
	f := &abi.Request{
		Kind: abi.CallAuthenticate, Method: q.Method, Path: u.Path, Target: q.Path, Query: abi.Pairs(queryPairs(c.t, u.RawQuery)),
		Headers: headerPairs(q.Headers), Time: c.Host.Now.UnixMicro(), Remote: "127.0.0.1", ID: "test", BaseURL: "http://edge.test",
		Credential: abi.Credential{Kind: kind, Value: value, Family: q.Family, Origin: q.Headers["Origin"]},
	}
	if host := q.Headers["Host"]; host != "" {
		f.BaseURL = "http://" + host
	}
	switch {
	case q.JSON != "":
		f.BodyKind, c.Host.body = abi.BodyValue, []byte(q.JSON)
	case q.Form != nil:
		f.BodyKind, f.Body, c.Host.body = abi.BodyForm, queryPairs(c.t, q.Form.Encode()), []byte(q.Form.Encode())
	case q.Raw != nil:
		f.BodyKind, c.Host.body = abi.BodyRaw, q.Raw
	}
	defer func() { c.Host.body = nil }()
	return c.check(f, false)
}

func (c *Client) check(f *abi.Request, readOnly bool) (abi.Caller, error) {
	c.t.Helper()
	r := c.do(f, readOnly, 0)
	if r.Err != nil {
		return abi.Caller{}, r.Err
	}
	caller, err := abi.ReadCaller(r.Value)
	if err != nil {
		c.t.Fatalf("guesttest: authenticate: %v", err)
	}
	return caller, nil
}

func (c *Client) do(f *abi.Request, readOnly bool, family int) *Response {
	c.t.Helper()
	var w abi.Writer
	f.Append(&w)
	txn := c.Host.begin(readOnly)
	frame, err := c.call.Do(txn, w.Value())
	if err != nil {
		c.t.Fatalf("guesttest: %v", err)
	}
	var reply abi.Reply
	if err := abi.ReadReply(append([]byte(nil), frame...), &reply); err != nil {
		c.t.Fatalf("guesttest: reply: %v", err)
	}
	if reply.BodyKind != abi.BodyError {
		txn.commit()
	}
	if reply.BodyKind != abi.BodyError && reply.BodyKind != abi.BodyRefusal {
		return c.Host.response(reply)
	}
	e, err := abi.ReadError(reply.Status, reply.Body)
	if err != nil {
		c.t.Fatalf("guesttest: error reply: %v", err)
	}
	r := c.failure(e, family)
	r.Headers = headers(reply.Headers)
	return r
}

func proves(caller abi.Caller, route *abi.Route) bool {
	if caller.IsZero() {
		return route.Optional
	}
	for _, kind := range route.Auth {
		if kind == caller.Proof {
			return true
		}
	}
	return false
}

// route finds the most literal pattern that matches.
func (c *Client) route(method, path string) (index int, params []string) {
	index = -1
	segments := strings.Split(path, "/")
	for i, r := range c.plugin.Description().Routes {
		if r.Method != method {
			continue
		}
		if p, ok := match(strings.Split(r.Pattern, "/"), segments); ok && (index < 0 || len(p) < len(params)) {
			index, params = i, p
		}
	}
	return index, params
}

func match(pattern, segments []string) (params []string, ok bool) {
	if n := len(pattern); strings.HasPrefix(pattern[n-1], "*") && len(segments) >= n {
		rest := strings.Join(segments[n-1:], "/")
		if params, ok = match(pattern[:n-1], segments[:n-1]); !ok || rest == "" {
			return nil, false
		}
		return append(params, rest), true
	}
	if len(pattern) != len(segments) {
		return nil, false
	}
	for i, p := range pattern {
		switch {
		case strings.HasPrefix(p, ":") && segments[i] != "":
			params = append(params, segments[i])
		case p != segments[i]:
			return nil, false
		}
	}
	return params, true
}

// Advance moves the host's clock on.
func (c *Client) Advance(d time.Duration) { c.Host.Now = c.Host.Now.Add(d) }

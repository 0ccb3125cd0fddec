package main_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"testing"
)

// A client calls the API of a server.
type client struct {
	server *server
	t      testing.TB
	host   string // of the deployment; "": as the address says
	scheme string // of the header Authorization; "": Bearer
	token  string // "": nobody
}

// client returns one that is not logged in.
func (s *server) client() *client { return &client{server: s, t: s.t} }

// in returns the client for a subtest.
func (c *client) in(t testing.TB) *client {
	other := *c
	other.t = t
	return &other
}

// fatalf ends the test, with the end of the server's log.
func (c *client) fatalf(format string, args ...any) {
	c.t.Helper()
	c.t.Fatalf("%s\n%s", fmt.Sprintf(format, args...), c.server.tail())
}

// as returns the client with another token.
func (c *client) as(token string) *client {
	other := *c
	other.token = token
	return &other
}

// A reply is an answer, taken apart.
type reply struct {
	what   string
	status int
	header http.Header
	raw    []byte
	doc    any
}

func (r reply) String() string { return fmt.Sprintf("%s: %d %s", r.what, r.status, r.raw) }

// at returns the value at a path such as "response.items.0.id", nil if there is
// none.
func (r reply) at(path string) any {
	v := r.doc
	for key := range strings.SplitSeq(path, ".") {
		switch in := v.(type) {
		case map[string]any:
			v = in[key]
		case []any:
			i, err := strconv.Atoi(key)
			if err != nil || i >= len(in) {
				return nil
			}
			v = in[i]
		default:
			return nil
		}
	}
	return v
}

func (r reply) text(path string) string {
	switch v := r.at(path).(type) {
	case nil:
		return ""
	case string:
		return v
	default:
		return fmt.Sprint(v)
	}
}

func (r reply) int(path string) int64 {
	n, _ := strconv.ParseInt(r.text(path), 10, 64)
	return n
}

func (r reply) items(path string) []any {
	list, _ := r.at(path).([]any)
	return list
}

// failure tells what is wrong with a reply that should be a success.
func (r reply) failure() error {
	if r.status != 200 || r.text("result") != "ok" || r.at("response") == nil || r.int("meta.time") == 0 {
		return fmt.Errorf("%v\nwant a success", r)
	}
	return nil
}

// refusal tells what is wrong with a reply that should be a refusal in the form
// of /v2.
func (r reply) refusal(status int, code string) error {
	response, ok := r.at("response").(map[string]any)
	if r.status != status || r.text("result") != "failure" || !ok || len(response) != 0 ||
		r.text("meta.error") != code || r.text("meta.error_detail") == "" || r.int("meta.time") == 0 ||
		!strings.HasPrefix(r.header.Get("Content-Type"), "application/json") {
		return fmt.Errorf("%v\nwant %d %s in the envelope", r, status, code)
	}
	return nil
}

// call sends a request. Parameters are given as name, value, name, value and go
// into the query; a body is text as it is, or a value to be sent as JSON. The
// error is about the connection.
func (c *client) call(method, path string, body any, params ...string) (reply, error) {
	target := "http://" + c.server.listen + path
	if len(params) > 0 {
		query := url.Values{}
		for i := 0; i < len(params); i += 2 {
			query.Add(params[i], params[i+1])
		}
		target += "?" + query.Encode()
	}
	var sent []byte
	switch b := body.(type) {
	case nil:
	case string:
		sent = []byte(b)
	case []byte:
		sent = b
	default:
		var err error
		if sent, err = json.Marshal(body); err != nil {
			return reply{}, err
		}
	}
	req, err := http.NewRequest(method, target, bytes.NewReader(sent))
	if err != nil {
		return reply{}, err
	}
	if body != nil {
		req.Header.Set("Content-Type", "application/json")
	}
	return c.send(req)
}

// send sends a request as who the client is.
func (c *client) send(req *http.Request) (reply, error) {
	if c.host != "" {
		req.Host = c.host
	}
	if c.token != "" {
		scheme := c.scheme
		if scheme == "" {
			scheme = "Bearer"
		}
		req.Header.Set("Authorization", scheme+" "+c.token)
	}
	r := reply{what: req.Method + " " + req.URL.RequestURI()}
	resp, err := c.server.http.Do(req)
	if err != nil {
		return r, err
	}
	defer resp.Body.Close()
	r.status, r.header = resp.StatusCode, resp.Header
	if r.raw, err = io.ReadAll(resp.Body); err != nil {
		return r, err
	}
	d := json.NewDecoder(bytes.NewReader(r.raw))
	d.UseNumber()
	if err := d.Decode(&r.doc); err != nil {
		r.doc = nil
	}
	return r, nil
}

// do is call for tests that cannot go on without a connection.
func (c *client) do(method, path string, body any, params ...string) reply {
	c.t.Helper()
	r, err := c.call(method, path, body, params...)
	if err != nil {
		c.fatalf("%s %s: %v", method, path, err)
	}
	return r
}

// get and post want a success.
func (c *client) get(path string, params ...string) reply {
	c.t.Helper()
	return c.must(c.do("GET", path, nil, params...))
}

func (c *client) post(path string, params ...string) reply {
	c.t.Helper()
	return c.must(c.do("POST", path, nil, params...))
}

// upload posts a body.
func (c *client) upload(path string, body any, params ...string) reply {
	c.t.Helper()
	return c.must(c.do("POST", path, body, params...))
}

func (c *client) must(r reply) reply {
	c.t.Helper()
	if err := r.failure(); err != nil {
		c.fatalf("%v", err)
	}
	return r
}

// refused wants a refusal.
func refused(t testing.TB, r reply, status int, code string) {
	t.Helper()
	if err := r.refusal(status, code); err != nil {
		t.Error(err)
	}
}

// An account is what account/create gives.
type account struct{ key, id, password string }

// newAccount makes an account of an application.
func (c *client) newAccount(key string) account {
	c.t.Helper()
	r := c.post("/v2/account/create", "api_key", key)
	a := account{key: key, id: r.text("response.id"), password: r.text("response.password")}
	if a.id == "" || a.password == "" {
		c.fatalf("%v\nwant an id and a password", r)
	}
	return a
}

// login logs a device in and returns the client that holds the token.
func (c *client) login(a account, device string) *client {
	c.t.Helper()
	r := c.post("/v2/account/login", "api_key", a.key, "id", a.id, "password", a.password, "device", device)
	if r.text("response.type") != "access_token" || r.text("response.access_token") == "" || r.int("response.expires_in") <= 0 {
		c.fatalf("%v\nwant an access token", r)
	}
	return c.as(r.text("response.access_token"))
}

// newUser is a new account, logged in.
func (c *client) newUser(key string) *client {
	c.t.Helper()
	return c.login(c.newAccount(key), "phone")
}

// newTicket makes a ticket of four hours.
func (c *client) newTicket() string {
	c.t.Helper()
	r := c.post("/v2/users/self/create_ticket", "duration", "14400000")
	if r.text("response.id") == "" || r.text("response.state") != "active" {
		c.fatalf("%v\nwant an active ticket", r)
	}
	return r.text("response.id")
}

// newInvite makes an invite and returns its code.
func (c *client) newInvite(ticket string, params ...string) string {
	c.t.Helper()
	if len(params) == 0 {
		params = []string{"type", "link"}
	}
	r := c.post("/v2/tickets/"+ticket+"/create_invite", params...)
	if r.text("response.id") == "" {
		c.fatalf("%v\nwant an invite", r)
	}
	return r.text("response.id")
}

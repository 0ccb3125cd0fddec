package main

import (
	"fmt"
	"slices"
	"testing"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
	"github.com/edgeset/edgeset/abi/guesttest"
)

// A scene is the plugin, with people who are called by the names of their accounts.
type scene struct {
	*guesttest.Client
	t     testing.TB
	shown int // updates so far
}

func newScene(t testing.TB) *scene { return &scene{Client: guesttest.New(t, plugin()), t: t} }

func callerNamed(name string) *abi.Caller {
	return &abi.Caller{Account: name, App: "app", Proof: "token", Name: name + "@example"}
}

// uuidOf returns the identity of somebody.
func uuidOf(name string) string { return identityOf(name).String() }

// as makes a request on behalf of somebody.
func (s *scene) as(name, method, path, json string) *guesttest.Response {
	s.t.Helper()
	return s.Do(guesttest.Request{Method: method, Path: path, JSON: json, Caller: callerNamed(name)})
}

// ok is as for a request that must succeed.
func (s *scene) ok(name, method, path, json string, status int) *guesttest.Response {
	s.t.Helper()
	r := s.as(name, method, path, json)
	if r.Status != status {
		s.t.Fatalf("%s %s %s: want %d, got %s", method, path, json, status, r)
	}
	return r
}

// refused is as for a request that must be refused.
func (s *scene) refused(name, method, path, json string, status int, code, field string) {
	s.t.Helper()
	isRefused(s.t, s.as(name, method, path, json), status, code, field)
}

func isRefused(t testing.TB, r *guesttest.Response, status int, code, field string) {
	t.Helper()
	if r.Status != status || r.Text("error.code") != code || r.Text("error.detail.field") != field || r.Text("error.message") == "" {
		t.Fatalf("want %d %s at %q, got %s", status, code, field, r)
	}
}

// upload has somebody upload an update, and returns its uuid.
func (s *scene) upload(name, kind, source string) string {
	s.t.Helper()
	return s.uploadAt(name, kind, source, "2026-01-01T00:00:00Z")
}

func (s *scene) uploadAt(name, kind, source, created string) string {
	s.t.Helper()
	s.shown++
	id := fmt.Sprintf("00000000-0000-4000-8000-%012d", s.shown)
	s.ok(name, "POST", "/v1/status", fmt.Sprintf(`[{"uuid":%q,"type":%q,"source":%q,"created_at":%q,"payload":{}}]`, id, kind, source, created), 201)
	return id
}

// share has somebody create a permission, and returns its id.
func (s *scene) share(name, fields string) string {
	s.t.Helper()
	return s.ok(name, "POST", "/v1/status/permissions", "{"+fields+"}", 201).Text("id")
}

func toOne(name string) string {
	return fmt.Sprintf(`"source":"*","type":"*","recipient_type":"individual","recipient_uuid":%q`, uuidOf(name))
}

const (
	toEveryone = `"source":"*","type":"*","recipient_type":"all"`
	toFriends  = `"source":"*","type":"*","recipient_type":"contacts"`
)

func toMembers(group string) string {
	return fmt.Sprintf(`"source":"*","type":"*","recipient_type":"group","recipient_uuid":%q`, group)
}

// sees checks which updates somebody finds shared with him.
func (s *scene) sees(name, query string, want ...string) {
	s.t.Helper()
	r := s.ok(name, "GET", "/v1/status/shared"+query, "", 200)
	if got := uuidsIn(r); !slices.Equal(got, want) {
		s.t.Fatalf("%s sees at %q %q, want %q", name, query, got, want)
	}
}

func uuidsIn(r *guesttest.Response) (list []string) {
	items, _ := r.JSON.([]any)
	for i := range items {
		list = append(list, r.Text(fmt.Sprint(i, ".uuid")))
	}
	return list
}

// listens has somebody open a socket and listen, with filters in JSON.
func (s *scene) listens(name, filters string) *guesttest.Connection {
	s.t.Helper()
	conn := s.Connect("/v1/socket/")
	r := conn.Emit("LISTEN", fmt.Sprintf(`[{"access_token":"t","gid_uuid":%q,"filters":%s}]`, uuidOf(name), filters), callerNamed(name))
	if r.Status != 200 || r.Text("gid_uuid") != uuidOf(name) {
		s.t.Fatal(r)
	}
	if len(conn.Received) != 1 || conn.Received[0].Name != listening {
		s.t.Fatalf("LISTEN: received %v", conn.Received)
	}
	conn.Received = nil
	return conn
}

// heard checks what a connection has been sent since it was last asked.
func heard(t testing.TB, conn *guesttest.Connection, want ...string) {
	t.Helper()
	var got []string
	for _, e := range conn.Received {
		fields, _ := e.Args[0].(map[string]any)
		if e.Name != statusUpdate || len(e.Args) != 1 || len(fields) != 6 || fields["uuid"] != e.ID {
			t.Fatalf("received %v", e)
		}
		got = append(got, e.ID)
	}
	if !slices.Equal(got, want) {
		t.Fatalf("received %q, want %q", got, want)
	}
	conn.Received = nil
}

// group has somebody create a group, and returns its uuid.
func (s *scene) group(owner, fields string) string {
	s.t.Helper()
	return s.ok(owner, "POST", "/v1/groups", `{"name":"them"`+fields+`}`, 201).Text("gid_uuid")
}

// within runs fn in a transaction of its own.
func (s *scene) within(fn func(r *guest.Request) error) {
	s.t.Helper()
	p := guest.New("within", "1")
	p.Need(abi.GrantEvents)
	p.Family("/", nil).POST("/", func(w *guest.Response, r *guest.Request) error { return fn(r) })
	c := guesttest.New(s.t, p)
	c.Host = s.Host
	if r := c.Do(guesttest.Request{Method: "POST", Path: "/"}); r.Status != 200 {
		s.t.Fatal(r)
	}
}

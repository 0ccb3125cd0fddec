package main_test

import (
	"crypto/rand"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/host/wasmtest"
)

// newStatusServer starts a server. What it compiles is kept for the next time: the
// plugin of the status API takes many seconds.
func newStatusServer(t testing.TB) *server {
	t.Helper()
	return newServer(t, "", "--cache", wasmtest.CacheDir(t))
}

// A person has an account and an identity.
type person struct {
	*client
	account account
	gid     string
}

// newPerson makes an account of an application and logs it in. The header
// Authorization is written as the document of the status API has it.
func (s *server) newPerson(app string) *person {
	s.t.Helper()
	p := &person{client: s.client(), account: s.client().newAccount(app)}
	p.login()
	p.gid = p.want(200, "GET", "/v1/identities/me", nil).text("gid_uuid")
	return p
}

// newPersons makes several, with accounts of one application.
func (s *server) newPersons(n int) []*person {
	s.t.Helper()
	app, list := s.newApp(), make([]*person, n)
	for i := range list {
		list[i] = s.newPerson(app)
	}
	return list
}

// login gets another token.
func (p *person) login() {
	p.t.Helper()
	p.client = p.client.as("").login(p.account, "phone")
	p.scheme = "BEARER"
}

// want sends a request that is to be answered with a status.
func (p *person) want(status int, method, path string, body any, params ...string) reply {
	p.t.Helper()
	r := p.do(method, path, body, params...)
	if r.status != status {
		p.fatalf("%v\nwant %d", r, status)
	}
	return r
}

// An update is what somebody uploads.
type update map[string]any

// newUpdate makes one of a type and a source, created now.
func newUpdate(kind, source string) update {
	return update{
		"uuid": newUUID(), "type": kind, "source": source, "payload": map[string]any{"available": false},
		"created_at": time.Now().UTC().Format("2006-01-02T15:04:05.000Z"),
	}
}

func newUpdates(n int, kind, source string) []update {
	list := make([]update, n)
	for i := range list {
		list[i] = newUpdate(kind, source)
	}
	return list
}

func (u update) id() string { return u["uuid"].(string) }

func newUUID() string {
	var b [16]byte
	_, _ = rand.Read(b[:]) // never fails
	b[6], b[8] = b[6]&0x0f|0x40, b[8]&0x3f|0x80
	return fmt.Sprintf("%x-%x-%x-%x-%x", b[:4], b[4:6], b[6:8], b[8:10], b[10:])
}

func idsOf(list []update) []string {
	ids := make([]string, len(list))
	for i, u := range list {
		ids[i] = u.id()
	}
	return ids
}

// uploads uploads updates, and wants the answer to have them.
func (p *person) uploads(list ...update) reply {
	p.t.Helper()
	r := p.want(201, "POST", "/v1/status", list)
	p.listed(r, ownFields, idsOf(list)...)
	return r
}

// permits makes a permission and returns its id. The recipient is a type, and a UUID
// for those that have one.
func (p *person) permits(kind, source string, recipient ...string) string {
	p.t.Helper()
	body := map[string]any{"type": kind, "source": source, "recipient_type": recipient[0]}
	if len(recipient) > 1 {
		body["recipient_uuid"] = recipient[1]
	}
	r := p.want(201, "POST", "/v1/status/permissions", body)
	if r.text("id") == "" {
		p.fatalf("%v\nwant an id", r)
	}
	return r.text("id")
}

// adds makes somebody a contact, or blocks him: list is "contacts" or "blocks".
func (p *person) adds(list string, other *person) {
	p.t.Helper()
	p.want(201, "POST", "/v1/"+list, map[string]string{"gid_uuid": other.gid})
}

func (p *person) removes(list string, other *person) {
	p.t.Helper()
	p.want(204, "DELETE", "/v1/"+list+"/"+other.gid, nil)
}

// newGroup makes a group with members.
func (p *person) newGroup(members ...*person) string {
	p.t.Helper()
	group := p.want(201, "POST", "/v1/groups", map[string]any{"name": "cyclists"}).text("gid_uuid")
	for _, m := range members {
		p.want(201, "POST", "/v1/groups/"+group+"/members", map[string]string{"gid_uuid": m.gid})
	}
	return group
}

// Fields of what the API gives, sorted.
const (
	ownFields        = "created_at gid_uuid payload source type uploaded_at uuid"
	sharedFields     = "created_at gid_uuid payload source type uuid"
	permissionFields = "created_at gid_uuid id recipient_type recipient_uuid source type updated_at valid_from valid_to"
)

// fieldsOf returns the names of an object's fields, sorted.
func fieldsOf(object any) string {
	fields, _ := object.(map[string]any)
	names := make([]string, 0, len(fields))
	for name := range fields {
		names = append(names, name)
	}
	slices.Sort(names)
	return strings.Join(names, " ")
}

// listed wants an array of objects with these fields and ids, in this order.
func (p *person) listed(r reply, fields string, ids ...string) {
	p.t.Helper()
	list, ok := r.doc.([]any)
	if !ok || len(list) != len(ids) {
		p.t.Fatalf("%v\nwant an array of %d", r, len(ids))
	}
	for i, e := range list {
		if got := fieldsOf(e); got != fields {
			p.t.Fatalf("%s: element %d has the fields %q, want %q", r.what, i, got, fields)
		}
		if got := (reply{doc: e}).text("uuid"); got != ids[i] {
			p.t.Fatalf("%s: element %d has the uuid %s, want %s", r.what, i, got, ids[i])
		}
	}
}

// turnedDown wants a refusal of /v1.
func (p *person) turnedDown(r reply, status int, code, field string) {
	p.t.Helper()
	if r.status != status || r.text("error.code") != code || r.text("error.message") == "" || r.text("error.detail.field") != field {
		p.t.Errorf("%v\nwant %d %s of %q", r, status, code, field)
	}
}

// allPages gets a list page by page until there is nothing more, and returns the ids.
func (p *person) allPages(path, perPage string) (ids []string) {
	p.t.Helper()
	for page := 1; ; page++ {
		r := p.want(200, "GET", path, nil, "per_page", perPage, "page", fmt.Sprint(page))
		list, _ := r.doc.([]any)
		for _, e := range list {
			ids = append(ids, (reply{doc: e}).text("uuid"))
		}
		if len(list) == 0 {
			return ids
		}
	}
}

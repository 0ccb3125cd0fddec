package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/text"
)

// A faultyHost is a host whose store fails when it has been asked so often.
type faultyHost struct {
	*ledgerCall
	left int
}

func (f *faultyHost) fails() bool {
	f.left--
	return f.left < 0
}

func (f *faultyHost) Get(key []byte) ([]byte, bool, error) {
	if f.fails() {
		return nil, false, abi.ErrHost
	}
	return f.ledgerCall.Get(key)
}

func (f *faultyHost) GetMany(keys [][]byte) ([][]byte, error) {
	if f.fails() {
		return nil, abi.ErrHost
	}
	return f.ledgerCall.GetMany(keys)
}

func (f *faultyHost) Put(key, value []byte, ttl time.Duration) error {
	if f.fails() {
		return abi.ErrHost
	}
	return f.ledgerCall.Put(key, value, ttl)
}

func (f *faultyHost) PutStamped(prefix, suffix, value []byte, ttl time.Duration) error {
	if f.fails() {
		return abi.ErrHost
	}
	return f.ledgerCall.PutStamped(prefix, suffix, value, ttl)
}

func (f *faultyHost) Delete(key []byte) error {
	if f.fails() {
		return abi.ErrHost
	}
	return f.ledgerCall.Delete(key)
}

func (f *faultyHost) Scan(r abi.Range) (abi.Page, error) {
	if f.fails() {
		return abi.Page{}, abi.ErrHost
	}
	return f.ledgerCall.Scan(r)
}

func (f *faultyHost) Publish(m abi.Value) error {
	if f.fails() {
		return abi.ErrHost
	}
	return f.ledgerCall.Publish(m)
}

func (f *faultyHost) Log(abi.LogLevel, string) {}

func textsOf(list ...string) abi.Value {
	var w abi.Writer
	w.Array()
	for _, s := range list {
		w.Text(s)
	}
	w.End()
	return w.Value()
}

// Whatever the store refuses to do, the request fails with it: nothing is answered from
// half of what there is, and nothing is half done.
func TestAFailureOfTheStoreIsTheRequestsFailure(t *testing.T) {
	l := newLedger(t)
	frameOf := func(name, call, params, query, body string) []byte {
		method, pattern, _ := strings.Cut(call, " ")
		f := abi.Request{Kind: abi.CallRequest, Method: method, Caller: *callerNamed(name), Time: l.now.UnixMicro(), Connection: "c"}
		f.Route = slices.IndexFunc(l.plugin.Description().Routes, func(r abi.Route) bool { return r.Method == method && r.Pattern == pattern })
		if method == "LISTEN" {
			f.Kind, f.Route = abi.CallEvent, 0
		}
		f.Params, f.Query = textsOf(strings.Fields(params)...), abi.Pairs(textsOf(strings.Fields(query)...))
		if body != "" {
			value, err := text.ParseJSON(nil, []byte(body), abi.MaxDepth)
			if err != nil {
				t.Fatal(err)
			}
			f.BodyKind, f.Body = abi.BodyValue, value
		}
		var w abi.Writer
		f.Append(&w)
		return w.Value()
	}
	const first = "00000000-0000-4000-9000-000000000001"
	group, permission := "", ""
	upload := `[{"uuid":"` + first + `","type":"a","source":"b","created_at":"2026-01-01","payload":{}}]`
	for i, step := range []struct{ name, call, params, query, body string }{
		{"ann", "GET /v1/identities/me", "", "", ""},
		{"ann", "PUT /v1/identities/me", "", "", `{"display_name":"Ann"}`},
		{"bob", "GET /v1/identities/:uuid", uuidOf("ann"), "", ""},
		{"ann", "POST /v1/contacts", "", "", gidUUID("bob")},
		{"ann", "GET /v1/contacts", "", "", ""},
		{"ann", "POST /v1/blocks", "", "", gidUUID("mal")},
		{"ann", "GET /v1/blocks", "", "", ""},
		{"ann", "POST /v1/groups", "", "", `{"name":"them","open":true}`},
		{"ann", "GET /v1/groups", "", "", ""},
		{"ann", "GET /v1/groups/:uuid", "GROUP", "", ""},
		{"ann", "PUT /v1/groups/:uuid", "GROUP", "", `{"name":"us"}`},
		{"ann", "POST /v1/groups/:uuid/members", "GROUP", "", gidUUID("bob")},
		{"cas", "POST /v1/groups/:uuid/join", "GROUP", "", ""},
		{"ann", "GET /v1/groups/:uuid/members", "GROUP", "", ""},
		{"ann", "POST /v1/status/permissions", "", "", `{"source":"*","type":"*","recipient_type":"group","recipient_uuid":"GROUP"}`},
		{"ann", "POST /v1/status/permissions", "", "", "{" + toFriends + "}"},
		{"ann", "GET /v1/status/permissions", "", "", ""},
		{"ann", "GET /v1/status/permissions/:id", "PERMISSION", "", ""},
		{"ann", "POST /v1/status", "", "", upload},
		{"bob", "LISTEN", "", "", `[{"gid_uuid":"` + uuidOf("bob") + `"}]`},
		{"bob", "GET /v1/status/shared", "", "", ""},
		{"bob", "GET /v1/status/shared", "", "shared_by " + uuidOf("ann"), ""},
		{"bob", "GET /v1/status/shared", "", "since_uuid " + first, ""},
		{"bob", "GET /v1/status/stream", "", "", ""},
		{"bob", "GET /v1/status/stream", "", "since_uuid " + first, ""},
		{"ann", "PUT /v1/status/permissions/:id", "PERMISSION", "", `{"recipient_type":"individual","recipient_uuid":"` + uuidOf("bob") + `"}`},
		{"ann", "DELETE /v1/status/permissions/:id", "PERMISSION", "", ""},
		{"cas", "POST /v1/groups/:uuid/leave", "GROUP", "", ""},
		{"ann", "DELETE /v1/groups/:uuid/members/:member", "GROUP " + uuidOf("bob"), "", ""},
		{"ann", "DELETE /v1/groups/:uuid", "GROUP", "", ""},
		{"ann", "DELETE /v1/contacts/:uuid", uuidOf("bob"), "", ""},
		{"ann", "DELETE /v1/blocks/:uuid", uuidOf("mal"), "", ""},
	} {
		names := strings.NewReplacer("GROUP", group, "PERMISSION", permission)
		frame := frameOf(step.name, step.call, names.Replace(step.params), step.query, names.Replace(step.body))
		for asked := 0; ; asked++ {
			x := &faultyHost{&ledgerCall{ledger: l}, asked}
			out, err := l.call.Do(x, frame)
			if err != nil {
				t.Fatal(err)
			}
			var reply abi.Reply
			if err := abi.ReadReply(out, &reply); err != nil {
				t.Fatal(err)
			}
			if reply.Status == 500 && asked < 100 {
				continue
			}
			if reply.Status >= 300 || asked == 0 {
				t.Fatalf("step %d, %s: %d when it could ask %d times", i, step.call, reply.Status, asked)
			}
			if id, ok := reply.Body.Get("id").Text(); ok && permission == "" {
				permission = id
			}
			if id, ok := reply.Body.Get("gid_uuid").Text(); ok && step.call == "POST /v1/groups" {
				group = id
			}
			if x.left != 0 {
				t.Fatalf("step %d, %s: was answered although the store had failed", i, step.call)
			}
			x.commit()
			break
		}
	}
	left := ""
	for _, e := range l.entries {
		left += fmt.Sprintf("%q ", e.key[0])
	}
	// The update, the other permission, and the identity.
	if left != "'f' 'h' 'i' 'p' 'u' " {
		t.Errorf("left are %s", left)
	}
}

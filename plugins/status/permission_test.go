package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
	"github.com/edgeset/edgeset/host/text"
)

const permissions = "/v1/status/permissions"

func TestAPermissionIsMadeReadChangedAndDeleted(t *testing.T) {
	s := newScene(t)
	r := s.ok("ann", "POST", permissions, `{"source":"web","type":"mood","recipient_type":"individual","recipient_uuid":"`+strings.ToUpper(uuidOf("bob"))+
		`","valid_from":"2026-01-01T10:00:00+02:00","valid_to":""}`, 201)
	id := r.Text("id")
	want := fmt.Sprintf(`{"created_at":"2026-01-01T00:00:00.000Z","gid_uuid":%q,"id":%q,"recipient_type":"individual","recipient_uuid":%q,`+
		`"source":"web","type":"mood","updated_at":"2026-01-01T00:00:00.000Z","valid_from":"2026-01-01T10:00:00+02:00","valid_to":null}`, uuidOf("ann"), id, uuidOf("bob"))
	if r.String() != "201 "+want {
		t.Fatalf("got %s, want %s", r, want)
	}
	if r := s.ok("ann", "GET", permissions, "", 200); r.String() != "200 ["+want+"]" {
		t.Error(r)
	}
	if r := s.ok("ann", "GET", permissions+"/"+id, "", 200); r.String() != "200 "+want {
		t.Error(r)
	}
	s.Advance(1e9)
	r = s.ok("ann", "PUT", permissions+"/"+id, `{"type":"*","valid_from":null,"valid_to":"20270101T000000.5","recipient_type":"all"}`, 202)
	want = fmt.Sprintf(`202 {"created_at":"2026-01-01T00:00:00.000Z","gid_uuid":%q,"id":%q,"recipient_type":"all","recipient_uuid":null,`+
		`"source":"web","type":"*","updated_at":"2026-01-01T00:00:01.000Z","valid_from":null,"valid_to":"2027-01-01T00:00:00.500Z"}`, uuidOf("ann"), id)
	if r.String() != want {
		t.Fatalf("got %s, want %s", r, want)
	}
	for method, json := range map[string]string{"GET": "", "PUT": "{}", "DELETE": ""} {
		for _, other := range []string{id, "x", uuidOf("ann")} {
			s.refused("bob", method, permissions+"/"+other, json, 404, "not_found", "id")
		}
	}
	s.ok("ann", "DELETE", permissions+"/"+id, "", 204)
	s.refused("ann", "DELETE", permissions+"/"+id, "", 404, "not_found", "id")
	if s.Host.Len() != 0 {
		t.Errorf("%d entries are left of the permission", s.Host.Len())
	}
}

func TestAPermissionThatMakesNoSenseIsRefused(t *testing.T) {
	s := newScene(t)
	id := s.share("ann", toEveryone)
	g := s.group("ann", "")
	type fault struct{ json, code, field string }
	both := []fault{
		{`"source":""`, "bad_field", "source"}, {`"source":5`, "bad_field", "source"}, {`"source":null`, "missing_field", "source"},
		{`"source":"` + strings.Repeat("x", 129) + `"`, "bad_field", "source"},
		{`"type":""`, "bad_field", "type"}, {`"type":[]`, "bad_field", "type"},
		{`"recipient_type":"friends"`, "bad_field", "recipient_type"}, {`"recipient_type":1`, "bad_field", "recipient_type"},
		{`"recipient_type":"group"`, "missing_field", "recipient_uuid"}, {`"recipient_type":"individual"`, "missing_field", "recipient_uuid"},
		{`"recipient_type":"individual","recipient_uuid":null`, "missing_field", "recipient_uuid"},
		{`"recipient_type":"individual","recipient_uuid":"x"`, "bad_uuid", "recipient_uuid"},
		{`"recipient_type":"group","recipient_uuid":7`, "bad_uuid", "recipient_uuid"},
		{`"recipient_type":"individual","recipient_uuid":"` + uuidOf("ann") + `"`, "bad_field", "recipient_uuid"},
		{`"recipient_type":"group","recipient_uuid":"` + uuidOf("bob") + `"`, "unknown_group", "recipient_uuid"},
		{`"valid_from":"soon"`, "bad_date", "valid_from"}, {`"valid_to":5`, "bad_date", "valid_to"}, {`"valid_to":false`, "bad_date", "valid_to"},
		{`"valid_from":"2026-01-01T00:00:00Z","valid_to":"2026-01-01T00:00:00Z"`, "bad_field", "valid_to"},
		{`"valid_from":"2026-01-01T00:00:00Z","valid_to":"2026-01-01T01:00:00+02:00"`, "bad_field", "valid_to"},
	}
	before := s.ok("ann", "GET", permissions, "", 200).String()
	for _, f := range both {
		s.refused("ann", "PUT", permissions+"/"+id, "{"+f.json+"}", 400, f.code, f.field)
		s.refused("ann", "POST", permissions, "{"+toEveryone+","+f.json+"}", 400, f.code, f.field)
	}
	for _, field := range []string{"source", "type", "recipient_type"} {
		s.refused("ann", "POST", permissions, strings.Replace("{"+toEveryone+"}", `"`+field+`"`, `"other"`, 1), 400, "missing_field", field)
	}
	for _, json := range []string{"", "[]", "5"} {
		s.refused("ann", "POST", permissions, json, 400, "bad_body", "")
		s.refused("ann", "PUT", permissions+"/"+id, json, 400, "bad_body", "")
	}
	if after := s.ok("ann", "GET", permissions, "", 200).String(); after != before {
		t.Errorf("a refused change has left %s", after)
	}
	// A bound that is there from before counts.
	s.ok("ann", "PUT", permissions+"/"+id, `{"valid_from":"2026-01-02"}`, 202)
	s.refused("ann", "PUT", permissions+"/"+id, `{"valid_to":"2026-01-01"}`, 400, "bad_field", "valid_to")
	s.ok("ann", "PUT", permissions+"/"+id, `{"valid_from":"","valid_to":"2026-01-01"}`, 202)
	// So does a recipient, and one that is not asked for is not looked at.
	s.ok("ann", "PUT", permissions+"/"+id, `{"recipient_type":"group","recipient_uuid":"`+g+`"}`, 202)
	s.ok("ann", "PUT", permissions+"/"+id, `{"recipient_type":"individual"}`, 202)
	s.refused("ann", "PUT", permissions+"/"+id, `{"recipient_uuid":"`+uuidOf("ann")+`"}`, 400, "bad_field", "recipient_uuid")
	s.ok("ann", "PUT", permissions+"/"+id, `{"recipient_type":"contacts","recipient_uuid":"nonsense"}`, 202)
	if r := s.ok("ann", "PUT", permissions+"/"+id, `{"recipient_uuid":"nonsense"}`, 202); r.Field("recipient_uuid") != nil {
		t.Error(r)
	}
	s.refused("ann", "PUT", permissions+"/"+id, `{"recipient_type":"individual"}`, 400, "missing_field", "recipient_uuid")
}

func TestPermissionsAreListedInTheOrderOfTheirCreationAndBounded(t *testing.T) {
	s := newScene(t)
	var ids []string
	for range maxPermissions {
		ids = append(ids, s.share("ann", toEveryone))
	}
	s.refused("ann", "POST", permissions, "{"+toEveryone+"}", 409, "too_many", "")
	s.share("bob", toEveryone)
	s.ok("ann", "PUT", permissions+"/"+ids[0], `{"type":"x"}`, 202)
	for _, q := range []struct {
		query    string
		first, n int
	}{{"", 0, 50}, {"?per_page=30&page=2", 30, 30}, {"?per_page=150&page=2", 150, 50}, {"?page=5", 0, 0}, {"?per_page=500", 0, 200}} {
		r := s.ok("ann", "GET", permissions+q.query, "", 200)
		if r.Field(fmt.Sprint(q.n)) != nil {
			t.Errorf("%s: more than %d", q.query, q.n)
		}
		for i := range q.n {
			if got := r.Text(fmt.Sprint(i, ".id")); got != ids[q.first+i] {
				t.Fatalf("%s: %d is %s, want %s", q.query, i, got, ids[q.first+i])
			}
		}
	}
	s.refused("ann", "GET", permissions+"?page=x", "", 400, "bad_parameter", "page")
	s.ok("ann", "DELETE", permissions+"/"+ids[7], "", 204)
	s.share("ann", toEveryone)
}

func TestTheIndexOfSharersFollowsEveryChange(t *testing.T) {
	s := newScene(t)
	g := s.group("ann", "")
	indexed := func() string {
		var names []string
		s.within(func(r *guest.Request) error {
			group, _, _ := parseUUID(g)
			for name, prefix := range map[string][]byte{"all": shareAllKey(), "bob": shareIdentityKey(identityOf("bob")), "group": shareGroupKey(group)} {
				keys, err := keysUnder(r.KV(), prefix, 0, everything)
				if err != nil {
					return err
				}
				for _, k := range keys {
					if lastGID(k) != identityOf("ann") {
						t.Errorf("%q", k)
					}
					names = append(names, name)
				}
			}
			return nil
		})
		joined := ""
		for _, name := range []string{"all", "bob", "group"} {
			if strings.Contains(fmt.Sprint(names), name) {
				joined += name + " "
			}
		}
		return joined
	}
	steps := []struct{ call, json, want string }{
		{"POST", toEveryone, "all "}, {"POST", toEveryone, "all "}, {"POST", toOne("bob"), "all bob "}, {"POST", toFriends, "all bob "},
		{"PUT 0", `"recipient_type":"contacts"`, "all bob "}, {"PUT 1", toMembers(g), "bob group "}, {"PUT 3", toOne("bob"), "bob group "},
		{"DELETE 2", "", "bob group "}, {"PUT 1", `"type":"x"`, "bob group "}, {"DELETE 1", "", "bob "}, {"DELETE 3", "", ""},
		{"PUT 0", toMembers(g), "group "}, {"PUT 0", toOne("bob"), "bob "}, {"DELETE 0", "", ""},
	}
	var ids []string
	for _, step := range steps {
		var index int
		method, number, _ := strings.Cut(step.call, " ")
		fmt.Sscan(number, &index)
		switch method {
		case "POST":
			ids = append(ids, s.share("ann", step.json))
		case "PUT":
			s.ok("ann", method, permissions+"/"+ids[index], "{"+step.json+"}", 202)
		case "DELETE":
			s.ok("ann", method, permissions+"/"+ids[index], "", 204)
		}
		if got := indexed(); got != step.want {
			t.Fatalf("%s %s: the index has %q, want %q", step.call, step.json, got, step.want)
		}
	}
}

func FuzzPermissionFields(f *testing.F) {
	for _, seed := range []string{"{" + toEveryone + "}", "{" + toFriends + "}", "{" + toOne("bob") + `,"valid_from":"2026-01-01","valid_to":null}`, `{"source":5}`, `[]`} {
		value, err := text.ParseJSON(nil, []byte(seed), abi.MaxDepth)
		if err != nil {
			f.Fatal(err)
		}
		f.Add([]byte(value))
	}
	l := newLedger(f)
	index := slices.IndexFunc(l.plugin.Description().Routes, func(r abi.Route) bool { return r.Method == "POST" && r.Pattern == permissions })
	f.Fuzz(func(t *testing.T, body []byte) {
		if !abi.Value(body).Valid() {
			return // the host checks it
		}
		q := abi.Request{Kind: abi.CallRequest, Route: index, Caller: *callerNamed("ann"), BodyKind: abi.BodyValue, Body: body}
		var w abi.Writer
		q.Append(&w)
		x := &ledgerCall{ledger: l}
		out, err := l.call.Do(x, w.Value())
		if err != nil {
			t.Fatal(err)
		}
		var reply abi.Reply
		if err := abi.ReadReply(out, &reply); err != nil || reply.Status != 201 && reply.Status != 400 {
			t.Fatal(reply.Status, err)
		}
		if reply.Status == 400 {
			return
		}
		list, err := readPermissions(nil, x.get(string(permissionsKey(identityOf("ann")))))
		if err != nil || len(list) != 1 {
			t.Fatal(list, err)
		}
		if p := &list[0]; p.source == "" || p.kind == "" || len(p.source) > maxText || len(p.kind) > maxText || p.from >= p.until ||
			!p.audience.named() && p.recipient != (gid{}) {
			t.Fatalf("%+v", p)
		}
	})
}

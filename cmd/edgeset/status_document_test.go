package main_test

import (
	"strings"
	"testing"
	"time"
)

// TestStatusDocument goes through the document of the status API in its order: all of
// it but its websockets.
func TestStatusDocument(t *testing.T) {
	t.Parallel()
	s := newStatusServer(t)
	people := s.newPersons(3)
	d := &statusDocument{people[0], people[1], people[2]}
	for _, section := range []struct {
		name string
		read func()
	}{
		{"Uploading Status Updates", d.upload},
		{"Retrieving Status Updates", d.retrieve},
		{"Deleting Status Updates", d.remove},
		{"Creating Permissions", d.permissions},
		{"Retrieving Shared Status Updates", d.shared},
		{"The last status updates that were received", d.since},
	} {
		t.Run(section.name, func(t *testing.T) {
			for _, p := range people {
				p.client = p.client.in(t)
			}
			section.read()
		})
		if t.Failed() {
			return
		}
	}
}

// A statusDocument has somebody who shares, and two with whom it is shared.
type statusDocument struct{ ann, bob, cyd *person }

// at gives updates their dates.
func at(u update, date string) update {
	u["created_at"] = date
	return u
}

func (d *statusDocument) upload() {
	ann := d.ann
	u := update{
		"uuid": strings.ToUpper(newUUID()), "source": "web", "type": "available for work",
		"created_at": "2026-11-21T10:15:00+01:00", "payload": map[string]any{"available": false},
	}
	r := ann.uploads(u)
	if r.text("0.gid_uuid") != ann.gid || r.text("0.source") != "web" || r.text("0.type") != "available for work" ||
		r.text("0.created_at") != "2026-11-21T10:15:00+01:00" || r.text("0.payload.available") != "false" {
		ann.t.Errorf("%v\nwant what was uploaded", r)
	}
	if uploaded, err := time.Parse(time.RFC3339, r.text("0.uploaded_at")); err != nil || time.Since(uploaded).Abs() > callTime {
		ann.t.Errorf("%v\nwant the time of the upload", r)
	}
	// The device does not know whether they have arrived, so it uploads them again.
	again := ann.uploads(u)
	if string(again.raw) != string(r.raw) {
		ann.t.Errorf("%v\nwant %s", again, r.raw)
	}
	ann.listed(ann.want(200, "GET", "/v1/status", nil), ownFields, u.id())
	for _, name := range []string{"uuid", "source", "type", "created_at", "payload"} {
		bad := newUpdate("heart rate", "watch")
		delete(bad, name)
		r := ann.do("POST", "/v1/status", []update{newUpdate("heart rate", "watch"), bad})
		ann.turnedDown(r, 400, "missing_field", name)
		if r.text("error.detail.index") != "1" {
			ann.t.Errorf("%v\nwant index 1", r)
		}
	}
	ann.listed(ann.want(200, "GET", "/v1/status", nil), ownFields, u.id())
	if r := ann.do("POST", "/v1/status", "{}"); r.status != 400 {
		ann.t.Errorf("%v\nwant 400", r)
	}
	if r, err := ann.client.as("").call("GET", "/v1/status", nil); err != nil || r.status != 401 {
		ann.t.Errorf("%v, %v\nwant 401", r, err)
	}
	ann.want(204, "DELETE", "/v1/status", nil)
}

func (d *statusDocument) retrieve() {
	ann := d.ann
	var list []update
	for i := range 120 {
		u := newUpdate([]string{"location", "heart rate"}[i%2], []string{"watch", "phone", "bicycle"}[i%3])
		list = append(list, at(u, time.Date(2026, 1, 1, 0, i, 0, 0, time.UTC).Format(time.RFC3339)))
	}
	ann.uploads(list...)
	ids := idsOf(list)
	ann.listed(ann.want(200, "GET", "/v1/status", nil), ownFields, ids[:50]...)
	for page, want := range map[string][]string{"1": ids[:100], "2": ids[100:], "3": nil} {
		ann.listed(ann.want(200, "GET", "/v1/status?per_page=100&page="+page, nil), ownFields, want...)
	}
	ann.listed(ann.want(200, "GET", "/v1/status?page=3", nil), ownFields, ids[100:]...)

	chosen := func(pass func(i int) bool) (some []string) {
		for i, id := range ids {
			if pass(i) {
				some = append(some, id)
			}
		}
		return some
	}
	for _, test := range []struct {
		params []string
		pass   func(i int) bool
	}{
		{[]string{"source", "phone"}, func(i int) bool { return i%3 == 1 }},
		{[]string{"type", "heart rate"}, func(i int) bool { return i%2 == 1 }},
		{[]string{"type", "heart rate", "source", "phone"}, func(i int) bool { return i%6 == 1 }},
		{[]string{"start", "2026-01-01T01:30:00Z"}, func(i int) bool { return i > 90 }},
		{[]string{"end", "2026-01-01T01:30:00Z"}, func(i int) bool { return i < 90 }},
		{[]string{"start", "2026-01-01T02:10:00+01:00", "end", "20260101T013000Z", "type", "location"}, func(i int) bool { return 70 < i && i < 90 && i%2 == 0 }},
		{[]string{"type", "mood"}, func(int) bool { return false }},
	} {
		r := ann.want(200, "GET", "/v1/status", nil, append(test.params, "per_page", "500")...)
		ann.listed(r, ownFields, chosen(test.pass)...)
	}
	for name, value := range map[string]string{"page": "0", "per_page": "501", "start": "yesterday", "end": "2026-13-01"} {
		ann.turnedDown(ann.do("GET", "/v1/status", nil, name, value), 400, "bad_parameter", name)
	}
	d.bob.listed(d.bob.want(200, "GET", "/v1/status", nil), ownFields)
}

func (d *statusDocument) remove() {
	ann := d.ann
	left := func(n int) {
		ann.t.Helper()
		if got := len(ann.allPages("/v1/status", "100")); got != n {
			ann.t.Fatalf("%d updates are left, want %d", got, n)
		}
	}
	remove := func(params ...string) {
		ann.t.Helper()
		if r := ann.do("DELETE", "/v1/status", nil, params...); r.status != 204 || len(r.raw) != 0 {
			ann.t.Fatalf("%v\nwant 204 without a body", r)
		}
	}
	left(120)
	remove("source", "phone", "type", "heart rate")
	left(100)
	remove("start", "2026-01-01T01:30:00Z")
	left(76)
	remove("end", "2026-01-01T00:30:00Z")
	left(51)
	ann.turnedDown(ann.do("DELETE", "/v1/status", nil, "start", "x"), 400, "bad_parameter", "start")
	left(51)
	remove()
	left(0)
}

// permissions are created, retrieved, updated and deleted.
func (d *statusDocument) permissions() {
	ann, group := d.ann, d.ann.newGroup(d.bob)
	const path = "/v1/status/permissions"
	create := func(body map[string]any) reply {
		ann.t.Helper()
		r := ann.want(201, "POST", path, body)
		if fieldsOf(r.doc) != permissionFields || r.text("gid_uuid") != ann.gid || r.text("updated_at") != r.text("created_at") {
			ann.t.Fatalf("%v\nwant the fields %s", r, permissionFields)
		}
		for name, value := range body {
			if got := r.at(name); got != value && value != "" {
				ann.t.Errorf("%v\nwant the %s %v", r, name, value)
			}
		}
		return r
	}
	made := []reply{
		create(map[string]any{"source": "web", "type": "location", "recipient_type": "individual", "recipient_uuid": d.bob.gid}),
		create(map[string]any{"source": "*", "type": "*", "recipient_type": "all", "valid_from": "2026-01-01T00:00:00Z", "valid_to": ""}),
		create(map[string]any{"source": "*", "type": "heart rate", "recipient_type": "contacts"}),
		create(map[string]any{"source": "watch", "type": "*", "recipient_type": "group", "recipient_uuid": group}),
	}
	for name, value := range map[string]string{"source": "", "type": "", "recipient_type": "friends", "valid_from": "soon"} {
		body := map[string]any{"source": "*", "type": "*", "recipient_type": "all"}
		body[name] = value
		if r := ann.do("POST", path, body); r.status != 400 || r.text("error.detail.field") != name {
			ann.t.Errorf("%v\nwant 400 of %s", r, name)
		}
	}

	r := ann.want(200, "GET", path, nil)
	if len(r.doc.([]any)) != len(made) {
		ann.t.Fatalf("%v\nwant %d permissions", r, len(made))
	}
	for i, e := range r.doc.([]any) {
		if (reply{doc: e}).text("id") != made[i].text("id") || fieldsOf(e) != permissionFields {
			ann.t.Errorf("%v\nwant %v", e, made[i])
		}
	}
	for page, want := range map[string]int{"1": 3, "2": 1, "3": 0} {
		if r := ann.want(200, "GET", path, nil, "per_page", "3", "page", page); len(r.doc.([]any)) != want {
			ann.t.Errorf("%v\nwant %d", r, want)
		}
	}

	one := path + "/" + made[0].text("id")
	r = ann.want(202, "PUT", one, map[string]any{"type": "*", "valid_to": "2026-12-01T00:00:00Z"})
	if fieldsOf(r.doc) != permissionFields || r.text("type") != "*" || r.text("source") != "web" || r.text("valid_to") != "2026-12-01T00:00:00Z" ||
		r.text("recipient_uuid") != d.bob.gid || r.text("created_at") != made[0].text("created_at") {
		ann.t.Errorf("%v\nwant it changed", r)
	}
	if got := ann.want(200, "GET", one, nil); string(got.raw) != string(r.raw) {
		ann.t.Errorf("%v\nwant %s", got, r.raw)
	}
	ann.turnedDown(ann.do("PUT", path+"/"+made[1].text("id"), map[string]any{"recipient_type": "group"}), 400, "missing_field", "recipient_uuid")
	for _, method := range []string{"GET", "PUT", "DELETE"} {
		if r := d.bob.do(method, one, map[string]any{"type": "x"}); r.status != 404 {
			ann.t.Errorf("%v\nwant 404", r)
		}
	}
	for _, m := range made {
		ann.want(204, "DELETE", path+"/"+m.text("id"), nil)
		ann.want(404, "DELETE", path+"/"+m.text("id"), nil)
	}
	if r := ann.want(200, "GET", path, nil); len(r.doc.([]any)) != 0 {
		ann.t.Errorf("%v\nwant none", r)
	}
}

func (d *statusDocument) shared() {
	ann, bob, cyd := d.ann, d.bob, d.cyd
	list := []update{
		at(newUpdate("location", "phone"), "2026-01-01T10:00:00Z"),
		at(newUpdate("location", "watch"), "2026-01-01T11:00:00Z"),
		at(newUpdate("heart rate", "watch"), "2026-01-01T12:00:00Z"),
		at(newUpdate("diary", "web"), "2026-01-01T13:00:00Z"),
	}
	ann.uploads(list...)
	ids := idsOf(list)
	sees := func(p *person, want []string, params ...string) {
		p.t.Helper()
		p.listed(p.want(200, "GET", "/v1/status/shared", nil, params...), sharedFields, want...)
	}
	// with shares while something is looked at.
	with := func(kind, source string, look func(), recipient ...string) {
		ann.t.Helper()
		id := ann.permits(kind, source, recipient...)
		look()
		ann.want(204, "DELETE", "/v1/status/permissions/"+id, nil)
		sees(bob, nil)
		sees(cyd, nil)
	}
	with("*", "*", func() { sees(bob, ids); sees(cyd, ids); sees(ann, nil) }, "all")
	with("location", "*", func() { sees(bob, ids[:2]); sees(cyd, nil) }, "individual", bob.gid)
	ann.adds("contacts", cyd)
	with("*", "watch", func() { sees(cyd, ids[1:3]); sees(bob, nil) }, "contacts")
	group := ann.newGroup(bob)
	with("diary", "web", func() {
		sees(bob, ids[3:])
		ann.want(204, "DELETE", "/v1/groups/"+group+"/members/"+bob.gid, nil)
		sees(bob, nil)
	}, "group", group)

	// Two permissions, and no update twice.
	ann.permits("*", "*", "individual", bob.gid)
	ann.permits("*", "*", "all")
	cyd.permits("*", "*", "individual", bob.gid)
	of := newUpdate("location", "web")
	cyd.uploads(at(of, "2026-01-01T11:00:00Z"))
	all := append(ids, of.id())
	sees(bob, all)
	sees(bob, all[:2], "per_page", "2")
	sees(bob, all[4:], "per_page", "2", "page", "3")
	sees(bob, nil, "per_page", "2", "page", "4")
	sees(bob, []string{ids[1], ids[2], ids[3], of.id()}, "start", "2026-01-01T11:00:00Z")
	sees(bob, []string{ids[0], ids[1], of.id()}, "end", "2026-01-01T11:00:00Z")
	sees(bob, []string{ids[3], of.id()}, "source", "web")
	sees(bob, []string{ids[0], ids[1], of.id()}, "type", "location")
	sees(bob, []string{of.id()}, "shared_by", cyd.gid)
	sees(bob, ids[:2], "shared_by", ann.gid, "type", "location")
	sees(bob, []string{ids[3], of.id()}, "since_uuid", ids[2])

	// A block ends it in both directions.
	bob.adds("blocks", cyd)
	sees(bob, ids)
	bob.removes("blocks", cyd)
	cyd.adds("blocks", bob)
	sees(bob, ids)
	cyd.removes("blocks", bob)
	sees(bob, all)
}

// since polls for what is new.
func (d *statusDocument) since() {
	ann, bob := d.ann, d.bob
	known := bob.allPages("/v1/status/shared", "50")
	last := known[len(known)-1]
	poll := func(want []string) {
		bob.t.Helper()
		bob.listed(bob.want(200, "GET", "/v1/status/shared?since_uuid="+last, nil), sharedFields, want...)
		if len(want) > 0 {
			last = want[len(want)-1]
		}
	}
	poll(nil)
	list := newUpdates(120, "location", "phone")
	ann.uploads(list...)
	ids := idsOf(list)
	poll(ids[:50])
	poll(ids[50:100])
	// The last one that was received is deleted, and still a place to go on from.
	ann.want(204, "DELETE", "/v1/status", nil, "start", "2026-06-01")
	poll(nil)
	u := newUpdate("location", "watch")
	ann.uploads(u)
	poll([]string{u.id()})
	bob.turnedDown(bob.do("GET", "/v1/status/shared", nil, "since_uuid", "4470009d-ca3c-4819-aa3a-7fa04e9af258"), 400, "unknown_uuid", "since_uuid")
}

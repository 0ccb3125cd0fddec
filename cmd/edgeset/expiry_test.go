package main_test

import (
	"testing"
	"time"
)

// TestExpiry lets a ticket run out, with nobody doing anything about it.
func TestExpiry(t *testing.T) {
	t.Parallel()
	s := newServer(t, "")
	nobody := s.client()
	key := s.newApp()
	ann := nobody.newUser(key)
	const duration = 3 * time.Second // long enough for what is done before the end
	r := ann.post("/v2/users/self/create_ticket", "duration", "3000")
	begin, ticket, end := time.Now(), r.text("response.id"), r.int("response.end_time")
	if end-r.int("response.start_time") != duration.Milliseconds() {
		t.Errorf("%v\nwant a ticket of %v", r, duration)
	}
	code := ann.newInvite(ticket)
	d := &device{client: ann, ticket: ticket, trail: newTrail()}
	if err := d.upload(3); err != nil {
		s.fatalf("%v", err)
	}
	watching := newViewer(nobody, code, "watching")
	if err := watching.poll(); err != nil {
		s.fatalf("%v", err)
	}
	if watching.property("expired") != "" {
		t.Errorf("expired from the start: %s", watching.properties)
	}
	since := ann.get("/v2/users/self/invites", "since", "0").text("response.last_refresh")
	if time.Since(begin) > duration {
		t.Skip("the machine is too slow for a short ticket")
	}
	time.Sleep(time.Until(begin.Add(duration + 100*time.Millisecond)))

	t.Run("a viewer is told once", func(t *testing.T) {
		nobody := nobody.in(t)
		r := nobody.get("/v2/invites/" + code + "/properties")
		if !hasProperty(r, "expired", "true") {
			t.Errorf("%v\nwant the property expired", r)
		}
		if err := watching.poll(); err != nil {
			t.Fatal(err)
		}
		if watching.property("expired") != "true" {
			t.Errorf("not told that it is over: %s", watching.properties)
		}
		clear(watching.properties)
		if err := watching.poll(); err != nil {
			t.Fatal(err)
		}
		if len(watching.properties) != 0 || watching.snapshots != 1 {
			t.Errorf("told again: %s", watching.properties)
		}
	})
	t.Run("who comes late sees the trail", func(t *testing.T) {
		late := newViewer(nobody, code, "late")
		if err := late.poll(); err != nil {
			t.Fatal(err)
		}
		if err := d.trail.check(late.seen); err != nil || late.property("expired") != "true" {
			t.Errorf("%v; properties %s", err, late.properties)
		}
	})
	t.Run("the sharer is told, and can do no more", func(t *testing.T) {
		ann := ann.in(t)
		r := ann.get("/v2/users/self/invites", "since", since)
		if len(r.items("response.items")) != 1 || r.text("response.items.0.state") != "expired" {
			t.Errorf("%v\nwant the invite, expired", r)
		}
		if r = ann.get("/v2/users/self/invites", "since", r.text("response.last_refresh")); r.at("response.items") != nil {
			t.Errorf("%v\nwant no items", r)
		}
		if r = ann.get("/v2/users/self/invites", "since", "0"); r.at("response.items") != nil {
			t.Errorf("%v\nwant no invite of an active ticket", r)
		}
		if r = ann.get("/v2/users/self/invites", "since", "0", "expired", "true"); len(r.items("response.items")) != 1 {
			t.Errorf("%v\nwant the expired one", r)
		}
		r = ann.get("/v2/tickets/"+ticket, "properties", "true")
		if r.text("response.state") != "expired" || r.int("response.end_time") != end || !hasProperty(r, "expired", "true") {
			t.Errorf("%v\nwant it expired as of %d", r, end)
		}
		if r = ann.get("/v2/users/self/tickets", "state", "active"); len(r.items("response.items")) != 0 {
			t.Errorf("%v\nwant none", r)
		}
		path := "/v2/tickets/" + ticket
		for _, r := range []reply{
			ann.do("POST", path+"/append_location", [][]int64{{time.Now().UnixMilli(), 1, 1}}),
			ann.do("POST", path+"/append_location", "[]", "since", "0"),
			ann.do("POST", path+"/append_data", `[{"t":1,"n":"message","v":1}]`),
			ann.do("POST", path+"/create_invite", nil, "type", "link"),
			ann.do("POST", path+"/update", nil, "duration", "60000"),
			ann.do("POST", path+"/set_visibility", nil, "location", "hidden"),
		} {
			refused(t, r, 409, "ticket_expired")
		}
		if r := ann.upload("/v2/tickets/append_location", [][]int64{{time.Now().UnixMilli(), 1, 1}}); r.int("response.stored") != 0 {
			t.Errorf("%v\nwant nothing stored", r)
		}
	})
	t.Run("deleted, nobody sees it", func(t *testing.T) {
		nobody, ann := nobody.in(t), ann.in(t)
		ann.post("/v2/tickets/" + ticket + "/delete")
		refused(t, ann.do("GET", "/v2/tickets/"+ticket, nil), 404, "ticket_id")
		refused(t, nobody.do("GET", "/v2/invites/"+code, nil), 404, "invite_code")
		refused(t, nobody.do("GET", "/v2/invites/"+code+"/properties", nil), 404, "invite_code")
	})
}

// hasProperty tells whether a reply has a property of the name space 0 with a
// value.
func hasProperty(r reply, name, value string) bool {
	for _, p := range r.items("response.properties") {
		p := reply{doc: p}
		if p.text("n") == name && p.text("pid") == "0" && p.text("v") == value {
			return true
		}
	}
	return false
}

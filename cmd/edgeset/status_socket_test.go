package main_test

import (
	"fmt"
	"testing"
)

// The document's own JavaScript, run by all libraries that it may have meant, in all
// ways to connect.
func TestStatusSocketOfTheDocument(t *testing.T) {
	t.Parallel()
	cs, s := newStatusClients(t), newStatusServer(t)
	people := s.newPersons(2)
	ann, bob := people[0], people[1]
	ann.permits("*", "*", "individual", bob.gid)

	var listeners []*statusClient
	for _, version := range []int{2, 3, 4} {
		for _, way := range []struct {
			name    string
			options map[string]any
		}{{"upgrade", nil}, {"polling", byPolling}, {"websocket", byWebSocket}} {
			c := cs.listen(fmt.Sprintf("socket.io-client %d by %s", version, way.name), version, bob, "*", way.options)
			// The upgrade takes its time, and may come first.
			want := []string{"connect", "LISTENING"}
			if way.name == "upgrade" {
				want = append(want, "upgrade")
			}
			got := c.wantsAll(want...)
			if by := got["connect"][0]; by != way.name && way.name != "upgrade" {
				t.Errorf("client %s: connected by %v", c.name, by)
			}
			if as := (reply{doc: got["LISTENING"]}).text("0.gid_uuid"); as != bob.gid {
				t.Errorf("client %s: listening as %q, want %s", c.name, as, bob.gid)
			}
			listeners = append(listeners, c)
		}
	}
	for n := range 4 {
		list := newUpdates(1+n*20, "available for work", "web")
		list[n]["payload"] = map[string]any{"text": "grüße 日本 😀 \u2028 \x00", "deep": []any{nil, 1.5, map[string]any{}}}
		ann.uploads(list...)
		ann.uploads(list[0]) // again: nobody hears of it
		for _, c := range listeners {
			c.hears(idsOf(list)...)
		}
	}
	// After a restart they come back by themselves.
	s.restart()
	for _, c := range listeners {
		e := c.next()
		if e.what == "error" { // what version 2 calls the end of a connection, too
			e = c.next()
		}
		if e.what != "disconnect" {
			t.Fatalf("client %s: %v, want it disconnected", c.name, e)
		}
		c.wants("connect")
		c.wants("LISTENING")
	}
	u := newUpdate("available for work", "web")
	ann.uploads(u)
	for _, c := range listeners {
		c.hears(u.id())
		c.close()
	}
}

func TestStatusSocketFilters(t *testing.T) {
	t.Parallel()
	cs, s := newStatusClients(t), newStatusServer(t)
	people := s.newPersons(2)
	ann, bob := people[0], people[1]
	ann.permits("*", "*", "all")
	list := []update{
		newUpdate("location", "phone"), newUpdate("location", "watch"), newUpdate("heart rate", "watch"), newUpdate("mood", "web"),
	}
	ids := idsOf(list)
	type pairs [][2]string
	want := map[*statusClient][]string{}
	for n, test := range []struct {
		filters any
		want    []string
	}{
		{"*", ids},
		{nil, ids},
		{pairs{{"location", "watch"}}, ids[1:2]},
		{pairs{{"*", "watch"}, {"mood", "web"}}, ids[1:]},
		{pairs{{"location", "*"}}, ids[:2]},
		{pairs{{"*", "*"}}, ids},
		{pairs{{"watch", "location"}}, nil},
		{pairs{}, nil},
	} {
		c := cs.listen(fmt.Sprintf("client %d", n), 4, bob, test.filters, byWebSocket)
		c.wants("connect")
		c.wants("LISTENING")
		want[c] = test.want
	}
	ann.uploads(list...)
	// Who listens again has other filters from then on, and nothing twice.
	for c, ids := range want {
		c.hears(ids...)
		c.listens(bob, "*")
	}
	u := newUpdate("mood", "phone")
	ann.uploads(u)
	for c := range want {
		c.hears(u.id())
	}
	// Nobody hears of what he has shared himself.
	self := cs.listening("the sharer", ann)
	ann.uploads(newUpdate("mood", "phone"))
	other := newUpdate("mood", "phone")
	bob.permits("mood", "*", "all")
	bob.uploads(other)
	self.hears(other.id())
}

func TestStatusSocketRefusals(t *testing.T) {
	t.Parallel()
	cs, s := newStatusClients(t), newStatusServer(t)
	people := s.newPersons(3)
	ann, bob, cyd := people[0], people[1], people[2]
	ann.permits("*", "*", "all")
	good := cs.listening("good", bob)
	var bad []*statusClient
	for n, test := range []struct {
		token, gid string
		filters    any
		code       string
		field      string
	}{
		{"wrong", bob.gid, "*", "oauth_token", ""},
		{"", bob.gid, "*", "unauthenticated", ""},
		{cyd.token, bob.gid, "*", "forbidden", "gid_uuid"},
		{bob.token, newUUID(), "*", "forbidden", "gid_uuid"},
		{bob.token, "bob", "*", "bad_uuid", "gid_uuid"},
		{bob.token, bob.gid, "all", "bad_filters", "filters"},
		{bob.token, bob.gid, []string{"location", "phone"}, "bad_filters", "filters"},
		{bob.token, bob.gid, [][]string{{"location"}}, "bad_filters", "filters"},
		{bob.token, bob.gid, [][]any{{"location", 1}}, "bad_filters", "filters"},
		{bob.token, bob.gid, make([][2]string, 129), "bad_filters", "filters"},
	} {
		p := &person{client: bob.client.as(test.token), gid: test.gid}
		c := cs.listen(fmt.Sprintf("client %d", n), 2+n%3, p, test.filters, byWebSocket)
		c.wants("connect")
		c.refused(test.code, test.field)
		bad = append(bad, c)
	}
	u := newUpdate("location", "phone")
	ann.uploads(u)
	good.hears(u.id())
	// They may try again. Had they heard of the update, it would come first.
	for _, c := range bad {
		c.listens(bob, "*")
	}
	// An attempt that fails leaves things as they were.
	good.sendListen(&person{client: bob.client, gid: cyd.gid}, "*")
	good.refused("forbidden", "gid_uuid")
	good.wants("acknowledged")
	u = newUpdate("location", "phone")
	ann.uploads(u)
	for _, c := range append(bad, good) {
		c.hears(u.id())
	}
}

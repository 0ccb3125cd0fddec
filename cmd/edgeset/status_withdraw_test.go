package main_test

import "testing"

// Whatever somebody gets updates by ends with the next update when it is withdrawn,
// and begins with the next one when it is given back. What others get goes on.
func TestStatusIsWithdrawnAtOnce(t *testing.T) {
	t.Parallel()
	cs, s := newStatusClients(t), newStatusServer(t)
	people := s.newPersons(4)
	ann, bob, cyd, dan := people[0], people[1], people[2], people[3]
	dan.permits("*", "*", "all") // his updates show that nothing comes before them
	ann.permits("*", "*", "individual", cyd.gid)
	w := &withdrawal{ann: ann, dan: dan, sockets: map[string]*statusClient{
		"bob": cs.listening("bob", bob), "cyd": cs.listening("cyd", cyd),
	}, stream: bob.stream()}

	for _, test := range []struct {
		name           string
		give, withdraw func()
	}{
		w.permission("individual", bob.gid),
		w.permission("all"),
		w.changed(bob),
		{"a contact", func() {
			if !w.given {
				ann.permits("*", "*", "contacts")
			}
			ann.adds("contacts", bob)
		}, func() { ann.removes("contacts", bob) }},
		w.group("removed from a group", func(group string) { ann.want(204, "DELETE", "/v1/groups/"+group+"/members/"+bob.gid, nil) }, bob),
		w.group("leaves a group", func(group string) { bob.want(204, "POST", "/v1/groups/"+group+"/leave", nil) }, bob),
		w.deletedGroup(bob),
		{"blocked by the sharer", func() {
			if !w.given {
				ann.permits("*", "*", "individual", bob.gid)
			} else {
				ann.removes("blocks", bob)
			}
		}, func() { ann.adds("blocks", bob) }},
		{"has blocked the sharer", func() {
			if !w.given { // he was left blocked
				ann.removes("blocks", bob)
			} else {
				bob.removes("blocks", ann)
			}
		}, func() { bob.adds("blocks", ann) }},
	} {
		t.Run(test.name, func(t *testing.T) {
			w.in(t)
			w.given = false
			w.share("cyd")
			for range 2 {
				test.give()
				w.given = true
				w.share("bob", "cyd")
				test.withdraw()
				w.share("cyd")
			}
		})
		if t.Failed() {
			return
		}
	}
	w.in(t)
	bob.removes("blocks", ann)
	group := ann.newGroup(bob)
	ann.permits("*", "*", "group", group)
	w.share("bob", "cyd")

	t.Run("logged out", func(t *testing.T) {
		w.in(t)
		again := *bob
		again.login()
		bob.want(200, "POST", "/v2/account/logout", nil)
		u := newUpdate("mood", "web")
		ann.uploads(u)
		w.sockets["cyd"].hears(u.id())
		w.sockets["bob"].refused("oauth_token", "")
		w.stream.ends(t)
		ann.uploads(u)
		// He hears nothing until he listens with another token.
		u = newUpdate("mood", "web")
		ann.uploads(u)
		w.sockets["cyd"].hears(u.id())
		w.sockets["bob"].listens(&again, "*")
		w.stream = again.stream()
		w.share("bob", "cyd")
	})
}

// A withdrawal is a sharer, ann, and two who listen: bob by a socket and a stream, and
// cyd.
type withdrawal struct {
	ann, dan *person
	sockets  map[string]*statusClient
	stream   *statusStream
	given    bool // it is not the first time
}

// in has all report to a subtest.
func (w *withdrawal) in(t testing.TB) {
	w.ann.client, w.dan.client = w.ann.client.in(t), w.dan.client.in(t)
	for _, c := range w.sockets {
		c.t = t
	}
}

// share uploads an update of ann's, which these get and nobody else.
func (w *withdrawal) share(names ...string) {
	w.ann.t.Helper()
	u, after := newUpdate("mood", "web"), newUpdate("mood", "web")
	w.ann.uploads(u)
	w.dan.uploads(after)
	want := map[string][]string{}
	for _, name := range names {
		want[name] = append(want[name], u.id())
	}
	for name, c := range w.sockets {
		c.hears(append(want[name], after.id())...)
	}
	w.stream.hears(w.ann.t, append(want["bob"], after.id())...)
}

type withdrawalTest = struct {
	name           string
	give, withdraw func()
}

// permission is deleted.
func (w *withdrawal) permission(recipient ...string) withdrawalTest {
	var id string
	return withdrawalTest{"a permission for " + recipient[0],
		func() { id = w.ann.permits("mood", "*", recipient...) },
		func() { w.ann.want(204, "DELETE", "/v1/status/permissions/"+id, nil) },
	}
}

// changed is a permission that turns to something else.
func (w *withdrawal) changed(bob *person) withdrawalTest {
	var id string
	turn := func(kind string) {
		w.ann.want(202, "PUT", "/v1/status/permissions/"+id, map[string]string{"type": kind})
	}
	return withdrawalTest{"a permission that changes", func() {
		if id == "" {
			id = w.ann.permits("mood", "web", "individual", bob.gid)
		}
		turn("*")
	}, func() { turn("diary") }}
}

// group is a membership that ends.
func (w *withdrawal) group(name string, withdraw func(group string), bob *person) withdrawalTest {
	var group string
	return withdrawalTest{name, func() {
		if group == "" {
			group = w.ann.newGroup()
			w.ann.permits("*", "web", "group", group)
		}
		w.ann.want(201, "POST", "/v1/groups/"+group+"/members", map[string]string{"gid_uuid": bob.gid})
	}, func() { withdraw(group) }}
}

// deletedGroup is a group that somebody is in until it is deleted.
func (w *withdrawal) deletedGroup(bob *person) withdrawalTest {
	var group string
	return withdrawalTest{"a group is deleted", func() {
		group = w.ann.newGroup(bob)
		w.ann.permits("mood", "web", "group", group)
	}, func() { w.ann.want(204, "DELETE", "/v1/groups/"+group, nil) }}
}

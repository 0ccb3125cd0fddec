package main_test

import (
	"strings"
	"testing"
	"time"
)

// TestGuide goes the way of the sharing guide, in its words and its order, with
// two devices of one account and three viewers; and on through a restart and a
// kill, which neither sharer nor viewer may notice.
func TestGuide(t *testing.T) {
	t.Parallel()
	s := newServer(t, "")
	g := &guide{server: s}
	g.authenticate()
	g.createTicket()
	g.uploadProperties()
	g.uploadLocation()
	g.retrieveStats()
	g.view()
	if t.Failed() {
		return
	}

	span := 3 * time.Second
	if testing.Short() {
		span = time.Second
	}
	t.Log("a restart, with everybody at it")
	g.underLoad(span, s.restart)
	t.Log("a kill, with everybody at it")
	g.underLoad(span, func() { s.kill(); s.start() })
	g.endTicket()
}

// A guide is where one has come to in the guide.
type guide struct {
	*server
	account     account
	phone       *client // two devices of one account
	watch       *client
	ticket      string
	sms         string // codes
	link        string
	lastRefresh string
	trail       *trail
	devices     []*device
	viewers     []*viewer
	full        *viewer // the first of the viewers
}

// "Authentication", with what comes before it: an API key and an account.
func (g *guide) authenticate() {
	g.t.Helper()
	nobody := g.client()
	g.account = nobody.newAccount(g.newApp())
	g.phone = nobody.login(g.account, "phone")
	g.watch = nobody.login(g.account, "watch")
	if g.phone.token == g.watch.token {
		g.fatalf("two logins have one token")
	}
	if id := g.watch.get("/v2/users/self").text("response.id"); id != g.account.id {
		g.fatalf("users/self is %s, want %s", id, g.account.id)
	}
}

// "Creating a Ticket", and its invites.
func (g *guide) createTicket() {
	g.t.Helper()
	r := g.phone.post("/v2/users/self/create_ticket", "duration", "14400000")
	g.ticket = r.text("response.id")
	if r.text("response.type") != "ticket" || r.int("response.end_time")-r.int("response.start_time") != 14400000 ||
		r.text("response.owner") != g.account.id || strings.Trim(g.ticket, "0123456789") != "" {
		g.fatalf("%v\nwant a ticket of four hours", r)
	}
	path := "/v2/tickets/" + g.ticket + "/create_invite"
	r = g.phone.post(path, "type", "sms", "send", "client", "name", "Bob", "address", "+1 206 555 1234")
	g.sms = r.text("response.id")
	if r.text("response.type") != "invite" || r.text("response.recipient.type") != "sms" ||
		r.text("response.recipient.name") != "Bob" || r.text("response.recipient.address") != "+1 206 555 1234" ||
		r.text("response.status") != "need_to_send" || r.text("response.ticket_id") != g.ticket ||
		!strings.HasSuffix(r.text("response.url"), "/"+g.sms) || !strings.Contains(r.text("response.text"), g.sms) {
		g.errorf("%v\nwant the invite as it was asked for", r)
	}
	g.link = g.phone.newInvite(g.ticket, "type", "link", "send", "client")
	// The ticket itself is private: without an invite nobody sees it.
	stranger := g.client().newUser(g.account.key)
	refused(g.t, stranger.do("GET", "/v2/tickets/"+g.ticket, nil), 404, "ticket_id")
}

// "Uploading Initial Properties", with the guide's own message.
func (g *guide) uploadProperties() {
	g.t.Helper()
	r := g.phone.upload("/v2/tickets/"+g.ticket+"/append_data", `[
  {
    "t": 1469998688756,
    "pid": 0,
    "n": "message",
    "v": "Heading home!"
  }
]`)
	if r.int("response.stored") != 1 {
		g.errorf("%v\nwant 1 stored", r)
	}
}

// "Uploading Location Data", from both devices.
func (g *guide) uploadLocation() {
	g.t.Helper()
	g.trail = newTrail()
	for _, c := range []*client{g.phone, g.watch} {
		d := &device{client: c, ticket: g.ticket, trail: g.trail}
		g.devices = append(g.devices, d)
		if err := d.upload(5); err != nil {
			g.fatalf("%v", err)
		}
	}
}

// "Retrieving Viewing Stats": the initial snapshot, then updates, from either of
// the two calls.
func (g *guide) retrieveStats() {
	g.t.Helper()
	r := g.phone.get("/v2/users/self/invites", "since", "0")
	if r.text("response.type") != "invites" || len(r.items("response.items")) != 2 || r.int("response.last_refresh") == 0 {
		g.fatalf("%v\nwant two invites and last_refresh", r)
	}
	g.lastRefresh = r.text("response.last_refresh")
	// An upload with since=0 answers the same.
	d := g.devices[1]
	again, err := d.send(d.trail.draw(2), "since", "0")
	if err != nil {
		g.fatalf("%v", err)
	}
	if again.text("response.type") != "invites" || len(again.items("response.items")) != 2 {
		g.errorf("%v\nwant what users/self/invites answered", again)
	}
	for _, poll := range []func() reply{g.pollInvites, g.pollByUpload} {
		if r := poll(); r.at("response.items") != nil {
			g.errorf("%v\nwant no items, as nothing has changed", r)
		}
	}
}

func (g *guide) pollInvites() reply {
	g.t.Helper()
	r := g.phone.get("/v2/users/self/invites", "since", g.lastRefresh)
	g.lastRefresh = r.text("response.last_refresh")
	return r
}

func (g *guide) pollByUpload() reply {
	g.t.Helper()
	r, err := g.devices[1].send(g.trail.draw(2), "since", g.lastRefresh)
	if err != nil {
		g.fatalf("%v", err)
	}
	if r.text("response.type") != "invites" || r.int("response.last_refresh") == 0 {
		g.errorf("%v\nwant what users/self/invites answers", r)
	}
	g.lastRefresh = r.text("response.last_refresh")
	return r
}

// view has three viewers look at the ticket by its codes, and the sharer hear of
// each: by one of the two calls or by the other, never by both.
func (g *guide) view() {
	g.t.Helper()
	bob := g.client().newUser(g.account.key)
	nobody := g.client()
	g.viewers = []*viewer{
		newViewer(bob, g.sms, "bob"),
		newViewer(nobody, g.link, "kitchen"),
		newViewer(nobody, g.link, "hall"),
	}
	g.full = g.viewers[0]
	g.viewers[2].uncompressed = true
	polls := []func() reply{g.pollInvites, g.pollByUpload, g.pollInvites}
	others := []func() reply{g.pollByUpload, g.pollInvites, g.pollByUpload}
	for i, want := range []struct {
		code    string
		viewers int64
	}{{g.sms, 1}, {g.link, 1}, {g.link, 2}} {
		v := g.viewers[i]
		before := time.Now().UnixMilli()
		if err := v.poll(); err != nil {
			g.fatalf("%v", err)
		}
		if v.property("message") != `"Heading home!"` || v.property("owner") != `"`+g.account.id+`"` {
			g.errorf("viewer %s sees the properties %s", v.name, v.properties)
		}
		r := polls[i]()
		if len(r.items("response.items")) != 1 || r.text("response.items.0.id") != want.code ||
			r.int("response.items.0.viewers") != want.viewers || r.int("response.items.0.viewing") != want.viewers ||
			r.int("response.items.0.last_view") < before {
			g.errorf("%v\nwant invite %s with viewers and viewing %d and last_view since %d", r, want.code, want.viewers, before)
		}
		if r := others[i](); r.at("response.items") != nil {
			g.errorf("%v\nwant no items, as they were told already", r)
		}
	}
	// The sharer's own look is none.
	if err := newViewer(g.watch, g.link, "").poll(); err != nil {
		g.errorf("%v", err)
	}
	if r := g.pollInvites(); r.at("response.items") != nil {
		g.errorf("%v\nwant no items: to look at one's own ticket is not to view it", r)
	}
	r := g.phone.get("/v2/users/self/invites", "since", "0", "viewers", "true")
	names := 0
	for _, i := range []string{"0", "1"} {
		for _, who := range r.items("response.items." + i + ".viewers_all") {
			if id := (reply{doc: who}).text("id"); id == g.viewers[0].client.get("/v2/users/self").text("response.id") ||
				strings.HasPrefix(id, "anonymous-") {
				names++
			}
		}
	}
	if names != 3 {
		g.errorf("%v\nwant a list with the three viewers", r)
	}
	g.caughtUp()
}

// underLoad has something done to the server while devices and viewers are at
// it, in the middle of a span.
func (g *guide) underLoad(span time.Duration, done func()) {
	g.t.Helper()
	before := g.trail.points()
	l := startLoad(g.devices, g.viewers, time.Millisecond)
	time.Sleep(span / 2)
	done()
	time.Sleep(span / 2)
	if err := l.stop(); err != nil {
		g.fatalf("%v", err)
	}
	for _, d := range g.devices {
		g.t.Logf("%d uploads deferred by now", d.deferred)
	}
	g.t.Logf("%d points acknowledged", g.trail.points()-before)
	if g.trail.points() == before {
		g.errorf("nothing was uploaded")
	}
	g.caughtUp()

	// The cursor of before is good: who viewed on is told, and nothing else.
	r := g.pollInvites()
	for _, invite := range r.items("response.items") {
		if v := (reply{doc: invite}); v.int("viewers") < 1 || v.int("viewers") > 2 {
			g.errorf("%v\nwant invites with the viewers of before", r)
		}
	}
	if r := g.pollInvites(); r.at("response.items") != nil {
		g.errorf("%v\nwant no items", r)
	}
	// Tokens are good, properties are there.
	if r := g.watch.get("/v2/tickets/"+g.ticket, "properties", "true", "invites", "true"); r.text("response.state") != "active" ||
		len(r.items("response.invites")) != 2 || !strings.Contains(string(r.raw), "Heading home!") {
		g.errorf("%v\nwant the ticket as it was", r)
	}
}

// caughtUp has all viewers, and one that is new, come to the end of the trail.
func (g *guide) caughtUp() {
	g.t.Helper()
	fresh := newViewer(g.full.client, g.sms, "bob")
	for _, v := range append([]*viewer{fresh}, g.viewers...) {
		if err := v.poll(); err != nil {
			g.fatalf("%v", err)
		}
		if err := g.trail.check(v.seen); err != nil {
			g.errorf("viewer %s: %v", v.name, err)
		}
	}
	for _, v := range g.viewers {
		if v.snapshots > 2 { // the first page of the trail and the last
			g.errorf("viewer %s was given %d snapshots: its cursor was lost", v.name, v.snapshots)
		}
	}
}

// endTicket has the sharer end the ticket, and all see it.
func (g *guide) endTicket() {
	g.t.Helper()
	r := g.phone.post("/v2/tickets/" + g.ticket + "/expire")
	if r.text("response.state") != "expired" {
		g.errorf("%v\nwant it expired", r)
	}
	for _, v := range g.viewers {
		if err := v.poll(); err != nil {
			g.fatalf("%v", err)
		}
		if v.property("expired") != "true" {
			g.errorf("viewer %s was not told that the ticket is over", v.name)
		}
	}
	if r := g.pollInvites(); len(r.items("response.items")) != 2 || r.text("response.items.0.state") != "expired" ||
		r.text("response.items.1.state") != "expired" {
		g.errorf("%v\nwant both invites expired", r)
	}
	for _, c := range []*client{g.phone, g.watch} {
		refused(g.t, c.do("POST", "/v2/tickets/"+g.ticket+"/append_location", [][]int64{{time.Now().UnixMilli(), 1, 1}}), 409, "ticket_expired")
	}
}

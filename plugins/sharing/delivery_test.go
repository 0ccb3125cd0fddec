package main

import (
	"encoding/json"
	"fmt"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guesttest"
)

// inviteBy asks for an invite, with parameters as they stand in a query.
func (d *desk) inviteBy(ticket, query string) *guesttest.Response {
	d.t.Helper()
	return d.post("tickets/"+ticket+"/create_invite?"+query, "")
}

// property sets a property of a ticket to a text.
func (d *desk) property(ticket, name, value string) {
	d.t.Helper()
	v, err := json.Marshal(value)
	if err != nil {
		d.t.Fatal(err)
	}
	d.ok(d.post("tickets/"+ticket+"/append_data", fmt.Sprintf(`[{"t":%d,"n":%q,"v":%s}]`, d.ms(), name, v)))
}

// told returns the one invite that has changed, as the owner's poll tells it.
func (d *desk) told(since string) (item, next string) {
	d.t.Helper()
	r := d.ok(d.get("users/self/invites?since=" + since))
	if r.Field("response.items.1") != nil {
		d.t.Fatalf("want one change, got %s", r)
	}
	field := func(name string) string { return r.Text("response.items.0." + name) }
	return field("id") + " " + field("send") + " " + field("status") + " " + field("status_detail"), r.Text("response.last_refresh")
}

func TestTheServerMailsAnInvite(t *testing.T) {
	d := newDesk(t)
	id := d.ticket()
	d.property(id, "name", "Ann & Al")
	d.Advance(10 * time.Second)
	r := d.ok(d.inviteBy(id, "type=email&send=server&address=+bo@Example.COM&name=Bo&text=Hi!%0AI+am+late&locale=en-gb"))
	code := r.Text("response.id")
	for field, want := range map[string]string{"status": "queued", "status_detail": "", "send": "server", "locale": "en-GB", "recipient.address": " bo@Example.COM"} {
		if got := r.Text("response." + field); got != want {
			t.Errorf("%s: got %q, want %q", field, got, want)
		}
	}
	if len(d.Host.Outbox) != 1 {
		t.Fatalf("%d dispatches", len(d.Host.Outbox))
	}
	o := d.Host.Outbox[0]
	link := "http://edge.test/" + code
	if o.Key != code || o.Via != "mail" || o.To != "bo@example.com" || o.Sender != "Ann & Al via edgeset" || o.Locale != "en-GB" ||
		o.Subject != "Ann & Al is sharing their location with you" || o.Until != d.Host.Now.Add(time.Hour-10*time.Second).UnixMicro() {
		t.Errorf("%+v", o)
	}
	want := "Hello Bo,\n\nAnn & Al is sharing their location with you for 1 hour.\n" + link +
		"\n\n“Hi!\nI am late”\n\nOpen the link to follow on a map. You need no account.\n\n-- \n" +
		"You get this mail because somebody has given your address to edgeset. If you do not know who, ignore it."
	if o.Text != want {
		t.Errorf("got %q\nwant %q", o.Text, want)
	}
	for _, piece := range []string{"Ann &amp; Al is sharing", `<a href="` + link + `"`, ">" + link + "</p>", "“Hi!<br>\nI am late”", ">Show the map<"} {
		if !strings.Contains(o.HTML, piece) {
			t.Errorf("want %q in %s", piece, o.HTML)
		}
	}
}

func TestTheServerSendsTextMessagesAndTellsApps(t *testing.T) {
	d := newDesk(t)
	id := d.ticket()
	d.property(id, "name", "Ann")
	d.property(id, "message", "Heading home")
	for i, c := range []struct{ query, via, to, channel string }{
		{"type=sms&send=server&address=%2B1+(206)+555-0100&name=Bo&locale=de", "webhook:sms", "+12065550100", "sms"},
		{"type=app&send=server&address=device-7&locale=de", "webhook:app", "device-7", "app"},
	} {
		r := d.ok(d.inviteBy(id, c.query))
		code := r.Text("response.id")
		if r.Text("response.status") != "queued" || len(d.Host.Outbox) != i+1 {
			t.Fatal(r)
		}
		o := d.Host.Outbox[i]
		if o.Key != code || o.Via != c.via || o.To != c.to || o.Text != "" || o.HTML != "" {
			t.Errorf("%+v", o)
		}
		link := "http://edge.test/" + code
		for field, want := range map[string]string{
			"type": "invite", "channel": c.channel, "to": c.to, "link": link, "sender": "Ann", "message": "Heading home", "locale": "de", "code": code,
			"recipient": r.Text("response.recipient.name"), "text": "Ann teilt den eigenen Standort mit dir: " + link + "\n„Heading home“",
		} {
			if got, _ := o.Body.Get(field).Text(); got != want {
				t.Errorf("%s: got %q, want %q", field, got, want)
			}
		}
	}
}

func TestWhatTheServerCannotDeliverFailsAtOnce(t *testing.T) {
	d := newDesk(t)
	d.Host.Undelivered = []string{"mail", "webhook:sms", "webhook:app"}
	id := d.ticket()
	for query, detail := range map[string]string{
		"type=email&address=bo@example.com": "delivers no mail;", "type=sms&address=112": "delivers no text messages;", "type=app&address=x": "delivers no messages to apps;",
	} {
		r := d.ok(d.inviteBy(id, query+"&send=server"))
		if r.Text("response.status") != "failed" || !strings.Contains(r.Text("response.status_detail"), detail) || r.Text("response.text") == "" {
			t.Error(r)
		}
		// The client can do it instead.
		r = d.ok(d.post("invites/"+r.Text("response.id")+"/update?status=sent", ""))
		if r.Text("response.status") != "sent" || r.Text("response.status_detail") != "" || r.Text("response.send") != "client" {
			t.Error(r)
		}
	}
	d.Host.Undelivered = nil
	d.Host.Settings["invite_html"] = strings.Repeat("x", abi.MaxDispatchSize)
	r := d.ok(d.inviteBy(id, "type=email&send=server&address=cy@example.com"))
	if r.Text("response.status") != "failed" || !strings.Contains(r.Text("response.status_detail"), "could not make the message") {
		t.Error(r)
	}
	if len(d.Host.Outbox) != 0 {
		t.Errorf("%+v", d.Host.Outbox)
	}
}

func TestOfAnInviteThatIsOneTooManyNothingIsKept(t *testing.T) {
	d := newDesk(t)
	id := d.ticket()
	d.Host.Limited = []string{"bo@example.com"}
	before := d.Host.Len()
	d.refused(d.inviteBy(id, "type=email&send=server&address=bo@example.com&request_id=1"), 429, "throttled", "try again later")
	if d.Host.Len() != before || len(d.Host.Outbox) != 0 {
		t.Error("something is kept")
	}
	d.Host.Limited = nil
	first := d.ok(d.inviteBy(id, "type=email&send=server&address=bo@example.com&request_id=1"))
	again := d.ok(d.inviteBy(id, "type=email&send=server&address=bo@example.com&request_id=1"))
	if first.Text("response.id") != again.Text("response.id") || len(d.Host.Outbox) != 1 {
		t.Errorf("%s\n%s\n%d dispatches", first, again, len(d.Host.Outbox))
	}
}

func TestAnAccountHasSoManyInvitesDeliveredInAnHour(t *testing.T) {
	d := newDesk(t)
	d.Host.Settings["invites_per_hour"] = "2"
	id := d.ticket()
	invite := func(query string, status int) {
		t.Helper()
		if r := d.inviteBy(id, query); r.Status != status || status == 429 && r.Text("meta.error") != "throttled" {
			t.Errorf("%s: got %s, want %d", query, r, status)
		}
	}
	invite("type=email&send=server&address=a@example.com", 200)
	d.Advance(30 * time.Minute)
	d.Host.Undelivered = []string{"webhook:sms"}
	invite("type=sms&send=server&address=555111", 200) // which fails, and is not delivered
	invite("type=email&send=server&address=b@example.com", 200)
	before := d.Host.Len()
	invite("type=email&send=server&address=c@example.com", 429)
	if d.Host.Len() != before || len(d.Host.Outbox) != 2 {
		t.Errorf("%d entries more, %d dispatches", d.Host.Len()-before, len(d.Host.Outbox))
	}
	invite("type=email&send=client&address=c@example.com", 200)
	invite("type=link", 200)
	d.Advance(30*time.Minute - time.Second)
	invite("type=email&send=server&address=d@example.com", 429)
	d.Advance(time.Second)
	id = d.ticket()
	invite("type=email&send=server&address=d@example.com", 200)
	// It is an account's limit, and not the server's.
	invite("type=email&send=server&address=e@example.com", 200)
	invite("type=email&send=server&address=f@example.com", 429)
	d.Caller.Account = "bo"
	id = d.ticket()
	invite("type=email&send=server&address=f@example.com", 200)
}

func TestTheServerSendsToWhatLooksLikeAnAddress(t *testing.T) {
	d := newDesk(t)
	id := d.ticket()
	for kind, list := range map[string][]string{
		"email": {
			"bo", "bo@", "@example.com", "bo@x@example.com", "bo @example.com", "bo@exam ple.com", "bo@example.com, cy@example.com", "Bo <bo@example.com>",
			"bo@example..com", "bo@.com", "bo@example.com\r\nBcc: cy@example.com", "bo\x00@example.com", "bo\u2028@example.com", "-bo@example.com", "bo@-example.com",
			`"bo"@example.com`, "bo@[192.0.2.1]", strings.Repeat("x", 65) + "@example.com", "bo@" + strings.Repeat("x.", 125) + "com", "bo\u202e@example.com", "bo\xff@example.com",
		},
		"sms": {"12", "+", "++1234567", "1+234567", "tel:12345", "12345678901234567", "١٢٣٤٥٦", "123;456", "123\n456"},
		"app": {"a\nb", "a\x00b", strings.Repeat("é", 161)},
	} {
		for _, address := range list {
			d.refused(d.inviteBy(id, "type="+kind+"&send=server&address="+url.QueryEscape(address)), 400, "bad_parameter", "address: want")
			if r := d.inviteBy(id, "type="+kind+"&address="+url.QueryEscape(address)); r.Status != 200 {
				t.Errorf("%q, which the client sends to: %s", address, r)
			}
		}
	}
	for _, kind := range []string{"link", "clipboard", "account", "group", "share", "twitter", "facebook", "evernote"} {
		d.refused(d.inviteBy(id, "type="+kind+"&send=server&address=ann"+kind), 400, "bad_parameter", "send: the server delivers")
	}
	if len(d.Host.Outbox) != 0 {
		t.Errorf("%+v", d.Host.Outbox)
	}
	for address, want := range map[string]string{
		"o'neil+x_y@a-b.example": "o'neil+x_y@a-b.example", "Bo@EXAMPLE.com": "Bo@example.com", "bo@localhost": "bo@localhost", "jürgen@bücher.example": "jürgen@bücher.example",
	} {
		d.ok(d.inviteBy(id, "type=email&send=server&address="+url.QueryEscape(address)))
		if o := d.Host.Outbox[len(d.Host.Outbox)-1]; o.To != want {
			t.Errorf("%q: got %q, want %q", address, o.To, want)
		}
	}
}

func TestAnOutcomeIsToldToTheOwner(t *testing.T) {
	d := newDesk(t)
	id := d.ticket()
	code := d.ok(d.inviteBy(id, "type=email&send=server&address=bo@example.com")).Text("response.id")
	_, since := d.told("0")
	tell := func(sent bool, reason string) {
		t.Helper()
		d.Advance(time.Second)
		if err := d.Tell(abi.Outcome{Key: code, Via: "mail", To: "bo@example.com", Sent: sent, Reason: reason, Attempts: 3, Time: d.Host.Now.UnixMicro()}); err != nil {
			t.Fatal(err)
		}
	}
	// An operator may have tried again what failed.
	for _, c := range []struct {
		sent         bool
		reason, want string
	}{
		{false, "550 no such user\r\n" + strings.Repeat("é", 400), "failed 550 no such user " + strings.Repeat("é", 300-len("550 no such user "))},
		{true, "", "sent "},
	} {
		tell(c.sent, c.reason)
		item, next := d.told(since)
		if want := code + " server " + c.want; item != want {
			t.Errorf("got %q, want %q", item, want)
		}
		if _, since = d.told(next); since != next {
			t.Error("told twice")
		}
	}
	r := d.ok(d.post("tickets/"+id+"/append_location?since=0", "[]"))
	if r.Text("response.items.0.status") != "sent" || r.Text("response.items.0.last_modified") != fmt.Sprint(d.ms()) {
		t.Error(r)
	}
}

func TestAnOutcomeOfWhatIsNotTheServersChangesNothing(t *testing.T) {
	d := newDesk(t)
	id, gone := d.ticket(), d.ticket()
	create := func(ticket, address string) string {
		return d.ok(d.inviteBy(ticket, "type=email&send=server&address="+address)).Text("response.id")
	}
	deleted, taken, ofGone := create(id, "a@example.com"), create(id, "b@example.com"), create(gone, "c@example.com")
	d.ok(d.post("invites/"+deleted+"/delete", ""))
	d.ok(d.post("invites/"+taken+"/update?status=failed_to_send", ""))
	d.ok(d.post("tickets/"+gone+"/delete", ""))
	since := d.ok(d.get("users/self/invites")).Text("response.last_refresh")
	before := d.Host.Len()
	for _, key := range []string{deleted, taken, ofGone, "2222-2222", "no code", ""} {
		for _, sent := range []bool{true, false} {
			if err := d.Tell(abi.Outcome{Key: key, Via: "mail", To: "x", Sent: sent, Reason: "no"}); err != nil {
				t.Errorf("%q: %v", key, err)
			}
		}
	}
	if r := d.ok(d.get("users/self/invites?since=" + since)); r.Field("response.items") != nil || d.Host.Len() != before {
		t.Error(r)
	}
	r := d.ok(d.get("tickets/" + id + "/invites"))
	if r.Text("response.items.0.status") != "failed" || r.Text("response.items.0.send") != "client" || r.Field("response.items.0.status_detail") != nil {
		t.Error(r)
	}
	// Its invite outlives the ticket's end for a while; then it is gone.
	late := create(id, "d@example.com")
	d.ok(d.post("tickets/"+id+"/expire", ""))
	if err := d.Tell(abi.Outcome{Key: late, Via: "mail", To: "x", Reason: "expired: try later"}); err != nil {
		t.Fatal(err)
	}
	if r := d.ok(d.get("tickets/" + id + "/invites")); r.Text("response.items.1.status_detail") != "expired: try later" {
		t.Error(r)
	}
	d.Advance(30 * 24 * time.Hour)
	if err := d.Tell(abi.Outcome{Key: late, Via: "mail", To: "x", Sent: true}); err != nil {
		t.Fatal(err)
	}
}

// Whoever calls a server that answers to any name could have it mail links to a site
// of theirs.
func TestALinkThatOnlyTheClientVouchesForIsNotDelivered(t *testing.T) {
	d := newDesk(t)
	id := d.ticket()
	n := 0
	create := func(base string, any bool) *guesttest.Response {
		n++
		return d.ok(d.Do(guesttest.Request{
			Method: "POST", Path: fmt.Sprintf("/v2/tickets/%s/create_invite?type=email&send=server&address=bo%d@example.com", id, n), BaseURL: base, AnyHost: any,
		}))
	}
	for _, base := range []string{
		"http://evil.example", "https://edge.test", "http://192.0.2.1", "http://10.0.0.1:8080", "http://[2001:db8::1]:8080", "http://localhost.evil.example",
		"http://127.0.0.1.evil.example", "http://127.0.0.1x", "http://127.0.0", "http://127.0.0.0.1", "http://1270.0.0.1", "http://[::1]evil.example", "http://[::1", "http://", "localhost",
	} {
		r := create(base, true)
		if r.Text("response.status") != "failed" || !strings.Contains(r.Text("response.status_detail"), "base_url") {
			t.Errorf("%s: %s", base, r)
		}
	}
	if len(d.Host.Outbox) != 0 {
		t.Fatalf("%+v", d.Host.Outbox)
	}
	for _, base := range []string{"http://localhost:8080", "http://127.0.0.1:8080", "http://127.9.9.9/eu", "http://[::1]:8080", "http://[::1]"} {
		if r := create(base, true); r.Text("response.status") != "queued" || !strings.Contains(d.Host.Outbox[len(d.Host.Outbox)-1].Text, base+"/") {
			t.Errorf("%s: %s", base, r)
		}
	}
	if r := create("https://go.example", false); r.Text("response.status") != "queued" {
		t.Error(r)
	}
	d.Host.Settings["link_base"] = "https://go.example"
	r := create("http://evil.example", true)
	if o := d.Host.Outbox[len(d.Host.Outbox)-1]; r.Text("response.status") != "queued" || !strings.Contains(o.Text, "https://go.example/") || strings.Contains(o.Text+o.HTML, "evil") {
		t.Error(r, o.Text)
	}
}

func TestRecordsOfInvitesOfAnEarlierVersionAreRead(t *testing.T) {
	for _, c := range []struct{ send, status, want, detail string }{
		{"client", "need_to_send", "need_to_send", ""}, {"client", "failed_to_send", "failed", ""}, {"server", "failed_to_send", "failed", oldDetail},
	} {
		var w abi.Writer
		w.FixedArray(14)
		w.Uint(7)
		for _, s := range []string{"ann", "email", "home", "bo@example.com", "Bo", "hi", "none", c.send, c.status} {
			w.Text(s)
		}
		w.Int(1)
		w.Int(2)
		w.Int(3)
		w.Bool(false)
		v, err := readInvite(9, w.Value())
		if err != nil {
			t.Fatal(err)
		}
		want := invite{
			code: 9, ticket: 7, owner: "ann", kind: "email", subtype: "home", address: "bo@example.com", name: "Bo", text: "hi", visible: "none",
			send: c.send, status: c.want, detail: c.detail, created: 1, modified: 2, until: 3,
		}
		if *v != want {
			t.Errorf("got %+v, want %+v", *v, want)
		}
	}
}

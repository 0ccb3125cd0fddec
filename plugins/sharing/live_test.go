package main

import (
	"errors"
	"fmt"
	"math/rand"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guesttest"
)

// stream opens the stream of a code, for a viewer who has no account.
func (d *desk) stream(code, query string) *guesttest.Response {
	d.t.Helper()
	r := d.nobody("invites/"+code+"/stream"+query, "192.0.2.7")
	if r.Status != 200 || len(r.Events) != 1 || r.Events[0].Name != eventView {
		d.t.Fatalf("%s, events %v: want one view", r, r.Events)
	}
	return r
}

// events returns what a stream has got since the last call.
func events(c *guesttest.Connection) (names []string, data []map[string]any) {
	for _, e := range c.Received {
		names = append(names, e.Name)
		data = append(data, e.Args[0].(map[string]any))
	}
	c.Received = nil
	return names, data
}

func (d *desk) hears(c *guesttest.Connection, want ...string) []map[string]any {
	d.t.Helper()
	names, data := events(c)
	if fmt.Sprint(names) != fmt.Sprint(want) {
		d.t.Fatalf("the stream got %v, want %v", names, want)
	}
	return data
}

func TestAStreamBeginsWithWhatAPollGets(t *testing.T) {
	d := newDesk(t)
	id := d.ticket()
	code := d.invite(id)
	d.ok(d.post("tickets/"+id+"/append_location", batch(d.ms(), 1, 3)))
	next := d.ok(d.get("invites/" + code)).Text("response.next")
	d.ok(d.post("tickets/"+id+"/append_location", batch(d.ms()+10, 1, 3)))
	d.ok(d.post("tickets/"+id+"/append_data", fmt.Sprintf(`[{"t":%d,"n":"message","v":"hi"}]`, d.ms())))
	for _, query := range []string{"", "?next=0", "?full_trail=true", "?next=" + next, "?properties=true&next=" + next} {
		polled := query + "?uncompressed=true"
		if query != "" {
			polled = query + "&uncompressed=true"
		}
		want := d.ok(d.get("invites/" + code + polled)).Field("response")
		r := d.stream(code, query)
		if r.Stream == nil || !reflect.DeepEqual(r.Events[0].Args[0], want) {
			t.Errorf("%q: got %v\nwant %v", query, r.Events[0].Args[0], want)
		}
		if id := r.Events[0].ID; id != fmt.Sprint(want.(map[string]any)["next"]) {
			t.Errorf("%q: event id %q", query, id)
		}
	}
	d.refused(d.nobody("invites/2222-2222/stream", ""), 404, "invite_code", "")
	d.refused(d.nobody("invites/"+code+"/stream?next=x", ""), 400, "bad_parameter", "next")
	for _, header := range []string{"x", "-1", "9007199254740992", "1.5"} {
		r := d.Do(guesttest.Request{Path: "/v2/invites/" + code + "/stream", Headers: map[string]string{"Last-Event-ID": header}})
		d.refused(r, 400, "bad_parameter", "Last-Event-ID")
	}
	// A browser that comes back shows the header beside the address that it had.
	r := d.Do(guesttest.Request{Path: "/v2/invites/" + code + "/stream?next=0", Headers: map[string]string{"Last-Event-ID": next}})
	if e := r.Events[0].Args[0].(map[string]any); e["data"] == nil || len(e["location"].([]any)) != 3 {
		t.Error(e)
	}
}

func TestAStreamTellsWhatIsNew(t *testing.T) {
	d := newDesk(t)
	id := d.ticket()
	other := d.ticket()
	code := d.invite(id)
	c, stranger := d.stream(code, "").Stream, d.stream(d.invite(other), "").Stream
	d.ok(d.post("tickets/"+id+"/append_location", fmt.Sprintf(`[[%d,47000000,-122000000,null,90],[%d,47000001,-122000001]]`, d.ms(), d.ms()-1000)))
	e := d.hears(c, eventView)[0]
	want := fmt.Sprintf("map[location:[[%d 47000001 -122000001 <nil> <nil> <nil> <nil> <nil>] [%d 47000000 -122000000 <nil> 90 <nil> <nil> <nil>]] uncompressed:true]", d.ms()-1000, d.ms())
	if fmt.Sprint(e) != want {
		t.Errorf("got %v\nwant %s", e, want)
	}
	// What is there already is not new.
	d.ok(d.post("tickets/"+id+"/append_location", fmt.Sprintf(`[[%d,47000000,-122000000]]`, d.ms())))
	d.hears(c)

	d.ok(d.post("tickets/"+id+"/append_data", fmt.Sprintf(`[{"t":%d,"n":"name","v":"Ann"},{"t":%d,"pid":3,"n":"x","v":[1]}]`, d.ms(), d.ms())))
	if e := d.hears(c, eventView)[0]; fmt.Sprint(e) != fmt.Sprintf("map[data:[map[n:name pid:0 t:%d v:Ann] map[n:x pid:3 t:%d v:[1]]] uncompressed:true]", d.ms(), d.ms()) {
		t.Error(e)
	}
	d.ok(d.post("tickets/"+id+"/append_data", fmt.Sprintf(`[{"t":%d,"n":"name","v":"Eve"}]`, d.ms()-1)))
	d.hears(c)
	d.hears(stranger)

	d.Advance(time.Second)
	d.ok(d.post("tickets/append_location", batch(d.ms(), 1, 2)))
	d.ok(d.post("tickets/append_data", fmt.Sprintf(`[{"t":%d,"n":"name","v":"Ann"}]`, d.ms())))
	d.hears(c, eventView, eventView)
	d.hears(stranger, eventView, eventView)

	d.ok(d.post("tickets/"+id+"/update?duration=1000000", ""))
	d.ok(d.post("tickets/"+id+"/update?duration=1000000", "")) // the same end
	d.hears(c, eventRefresh)
	d.hears(stranger)
}

func TestAnUploadOfManyIsPolled(t *testing.T) {
	d := newDesk(t)
	id := d.ticket()
	c := d.stream(d.invite(id), "").Stream
	d.ok(d.post("tickets/"+id+"/append_location", batch(d.ms()-1000, 1, maxPushedPoints)))
	d.hears(c, eventView)
	d.ok(d.post("tickets/"+id+"/append_location", batch(d.ms()-2000, 1, maxPushedPoints+1)))
	d.hears(c, eventRefresh)
	large := func(n int) string {
		list := make([]string, n)
		for i := range list {
			list[i] = fmt.Sprintf(`{"t":%d,"n":"p%d","v":%q}`, d.ms(), i, strings.Repeat("x", 15_000))
		}
		return "[" + strings.Join(list, ",") + "]"
	}
	for n, want := range map[int]string{1: eventView, 2: eventRefresh, 20: eventRefresh} {
		d.ok(d.post("tickets/"+id+"/append_data", large(n)))
		d.hears(c, want)
	}
}

// A hundred tickets, each followed, and the largest upload that is pushed.
func TestAllEventsOfOneUploadFitACall(t *testing.T) {
	d := newDesk(t)
	var list []*guesttest.Connection
	for range maxActive {
		list = append(list, d.stream(d.invite(d.ticket()), "").Stream)
	}
	d.ok(d.post("tickets/append_location", batch(d.ms(), 1, maxPushedPoints)))
	d.ok(d.post("tickets/append_data", fmt.Sprintf(`[{"t":%d,"n":"p","v":%q}]`, d.ms(), strings.Repeat("x", maxValue-100))))
	for _, c := range list {
		d.hears(c, eventView, eventView)
	}
}

func TestNothingOfAHiddenStretchIsPushed(t *testing.T) {
	d := newDesk(t)
	id := d.ticket()
	c := d.stream(d.invite(id), "").Stream
	d.Advance(time.Minute)
	hidden := d.ms()
	d.ok(d.post("tickets/"+id+"/set_visibility?location=hidden", ""))
	d.ok(d.post("tickets/"+id+"/set_visibility?location=hidden", ""))
	d.hears(c, eventRefresh)
	d.Advance(time.Minute)
	// One of before, which comes late, and one that is nobody's business.
	d.ok(d.post("tickets/"+id+"/append_location", fmt.Sprintf(`[[%d,1,1],[%d,2,2]]`, hidden-1000, d.ms())))
	d.hears(c)
	d.ok(d.post("tickets/"+id+"/append_data", fmt.Sprintf(`[{"t":%d,"n":"name","v":"Ann"}]`, d.ms())))
	d.hears(c, eventView)
	d.ok(d.post("tickets/"+id+"/set_visibility?location=visible", ""))
	d.hears(c, eventRefresh)
	d.ok(d.post("tickets/"+id+"/append_location", fmt.Sprintf(`[[%d,3,3],[%d,4,4]]`, d.ms()-1000, d.ms())))
	if e := d.hears(c, eventView)[0]; fmt.Sprint(e["location"]) != fmt.Sprintf("[[%d 4 4 <nil> <nil> <nil> <nil> <nil>]]", d.ms()) {
		t.Error(e)
	}
}

func TestAStreamOfATicketThatIsOverEnds(t *testing.T) {
	for _, how := range []string{"by itself", "by hand"} {
		d := newDesk(t)
		id := d.ticket()
		code := d.invite(id)
		d.ok(d.post("tickets/"+id+"/append_location", batch(d.ms(), 1, 3)))
		r := d.stream(code, "")
		before := r.Events[0].ID
		if how == "by hand" {
			d.ok(d.post("tickets/"+id+"/expire", ""))
			d.hears(r.Stream, eventRefresh)
		} else {
			d.Advance(time.Hour)
		}
		for _, query := range []string{"", "?next=" + before} {
			r := d.stream(code, query)
			if r.Stream != nil || !strings.Contains(fmt.Sprint(r.Events[0].Args[0]), "n:expired") {
				t.Errorf("%s, %q: %v goes on: %v", how, query, r.Events, r.Stream != nil)
			}
			again := d.Do(guesttest.Request{Path: "/v2/invites/" + code + "/stream" + query, Headers: map[string]string{"Last-Event-ID": r.Events[0].ID}})
			if again.Status != 204 || again.Events != nil || again.Stream != nil {
				t.Errorf("%s, %q: come back: %s %v", how, query, again, again.Events)
			}
		}
	}
}

func TestAStreamThatCannotTellAllAtOnceEndsAndGoesOn(t *testing.T) {
	d := newDesk(t)
	id := d.ticket()
	code := d.invite(id)
	for i := range int64(25) {
		d.ok(d.post("tickets/"+id+"/append_location", batch(d.ms()-300_000+i*1000, 1, 100)))
	}
	seen, last, streams := 0, "", 0
	for c := (*guesttest.Connection)(nil); c == nil; streams++ {
		r := d.Do(guesttest.Request{Path: "/v2/invites/" + code + "/stream?full_trail=true", Headers: map[string]string{"Last-Event-ID": last}})
		rows, _ := r.Events[0].Args[0].(map[string]any)["location"].([]any)
		seen += len(rows)
		c, last = r.Stream, r.Events[0].ID
	}
	if seen != 2500 || streams != 3 {
		t.Errorf("%d points in %d streams", seen, streams)
	}
}

func TestWhatIsDeletedIsGone(t *testing.T) {
	d := newDesk(t)
	id := d.ticket()
	one, two := d.invite(id), d.invite(id)
	first, second := d.stream(one, "").Stream, d.stream(two, "").Stream
	d.refused(d.as(bob, "POST", "invites/"+one+"/delete", ""), 404, "invite_code", "")
	d.hears(first)
	d.ok(d.post("invites/"+strings.ToLower(one)+"/delete", ""))
	if d.hears(first, eventGone); first.Closed == "" || second.Closed != "" {
		t.Errorf("the stream of the code is closed: %q; that of another code: %q", first.Closed, second.Closed)
	}
	d.refused(d.nobody("invites/"+one+"/stream", ""), 404, "invite_code", "")
	d.ok(d.post("tickets/"+id+"/delete", ""))
	if d.hears(second, eventGone); second.Closed == "" {
		t.Error("the stream of a ticket that is gone is open")
	}
	d.refused(d.nobody("invites/"+two+"/stream", ""), 404, "invite_code", "")
}

func TestWhoStreamsIsCounted(t *testing.T) {
	d := newDesk(t)
	id := d.ticket()
	code := d.invite(id)
	since := d.ok(d.get("users/self/invites")).Text("response.last_refresh")
	d.get("invites/" + code + "/stream") // the owner's own
	d.stream(code, "?no_count=true")
	if got := d.stats(id); got != "0/0" {
		t.Error(got)
	}
	d.stream(code, "?viewer=a")
	if got := d.stats(id); got != "1/1" {
		t.Error(got)
	}
	d.ok(d.nobody("invites/"+code+"?viewer=a", "192.0.2.7"))
	if got := d.stats(id); got != "1/1" {
		t.Errorf("with the polls beside the stream: %s", got)
	}
	r := d.ok(d.get("users/self/invites?since=" + since))
	if r.Text("response.items.0.viewing") != "1" {
		t.Error(r)
	}
	since = r.Text("response.last_refresh")

	leave := func(viewer, remote string) {
		t.Helper()
		d.ok(d.Do(guesttest.Request{Method: "POST", Path: "/v2/invites/" + code + "/leave?viewer=" + viewer, Caller: &abi.Caller{}, Remote: remote}))
	}
	leave("b", "192.0.2.7")
	leave("a", "192.0.2.8")
	if r := d.ok(d.get("users/self/invites?since=" + since)); d.stats(id) != "1/1" || r.Field("response.items") != nil {
		t.Errorf("others left: %s, %s", d.stats(id), r)
	}
	d.Advance(20 * time.Second)
	left := d.ms()
	leave("a", "192.0.2.7")
	leave("a", "192.0.2.7")
	r = d.ok(d.get("users/self/invites?viewers=true&since=" + since))
	if r.Text("response.items.0.viewing") != "0" || r.Text("response.items.0.viewers") != "1" || r.Text("response.items.0.last_view") != fmt.Sprint(left) ||
		r.Text("response.items.0.viewers_all.0.last_view") != fmt.Sprint(left) {
		t.Error(r)
	}
	since = r.Text("response.last_refresh")
	if r := d.ok(d.get("users/self/invites?since=" + since)); r.Field("response.items") != nil {
		t.Errorf("told twice: %s", r)
	}
	d.ok(d.nobody("invites/"+code+"?viewer=a", "192.0.2.7"))
	if got := d.stats(id); got != "1/1" {
		t.Errorf("back again: %s", got)
	}
	d.Advance(2 * time.Minute) // gone, and written off by nobody
	leave("a", "192.0.2.7")
	if r := d.ok(d.get("tickets/" + id + "/invites")); d.stats(id) != "1/0" || r.Text("response.items.0.last_view") != fmt.Sprint(left) {
		t.Error(r)
	}
	d.refused(d.as(bob, "POST", "invites/2222-2222/leave", ""), 404, "invite_code", "")
	d.refused(d.as(bob, "POST", "invites/"+code+"/leave?viewer="+strings.Repeat("x", 129), ""), 400, "bad_parameter", "viewer")
	d.ok(d.post("tickets/"+id+"/delete", ""))
	d.refused(d.as(bob, "POST", "invites/"+code+"/leave", ""), 404, "invite_code", "")
}

func TestATicketThatNobodyFollowsIsCheap(t *testing.T) {
	h := newHistory(t)
	id := h.do("ann", "POST", "/v2/users/self/create_ticket", "duration=3600000", "").body["id"].(string)
	code := h.do("ann", "POST", "/v2/tickets/"+id+"/create_invite", "type=link", "").body["id"].(string)
	h.do("bob", "GET", "/v2/invites/"+code, "", "")
	calls := []struct{ path, query, body string }{
		{"append_location", "", batch(h.now.UnixMilli(), 1, 10)},
		{"append_data", "", fmt.Sprintf(`[{"t":%d,"n":"name","v":"Ann"}]`, h.now.UnixMilli())},
		{"set_visibility", "location=hidden", ""},
		{"set_visibility", "location=visible", ""},
		{"update", "duration=1000", ""},
		{"expire", "", ""},
		{"delete", "", ""},
	}
	for _, c := range calls {
		q := h.start("ann", "POST", "/v2/tickets/"+id+"/"+c.path, c.query, c.body, nil)
		if len(q.txn.messages) != 0 || q.finish().status != 200 {
			t.Errorf("%s: %v", c.path, q.txn.messages)
		}
	}
}

// quiet is a host whose manifest gives the plugin no events.
type quiet struct{ *txn }

func (quiet) Publish(abi.Value) error { return abi.ErrDenied }

func TestWithoutEventsViewersPoll(t *testing.T) {
	h := newHistory(t)
	id := h.do("ann", "POST", "/v2/users/self/create_ticket", "duration=3600000", "").body["id"].(string)
	code := h.do("ann", "POST", "/v2/tickets/"+id+"/create_invite", "type=link", "").body["id"].(string)
	s := &shuffle{r: rand.New(rand.NewSource(1))}
	l := newListener(h, code, "listener")
	h.heard = l.tell
	answer := func(r *request) abi.Reply {
		t.Helper()
		frame, err := h.plugin.NewCall().Do(quiet{h.begin(true)}, r.frame)
		var reply abi.Reply
		if err := errors.Join(err, abi.ReadReply(frame, &reply)); err != nil {
			t.Fatal(err)
		}
		return reply
	}
	l.open(s, false)
	s.drain()
	if l.rooms == nil {
		t.Fatal("no stream")
	}
	// The ticket was followed once, and its manifest has changed since.
	for path, body := range map[string]string{
		"/v2/tickets/" + id + "/append_location": batch(h.now.UnixMilli(), 1, 10),
		"/v2/tickets/" + id + "/append_data":     fmt.Sprintf(`[{"t":%d,"n":"name","v":"Ann"}]`, h.now.UnixMilli()),
		"/v2/tickets/" + id + "/expire":          "",
		"/v2/tickets/" + id + "/delete":          "",
		"/v2/invites/" + code + "/delete":        "",
		"/v2/tickets/" + id + "/update":          "",
		"/v2/tickets/" + id + "/set_visibility":  "",
	} {
		query := map[string]string{"update": "duration=1000", "set_visibility": "location=hidden"}[path[strings.LastIndex(path, "/")+1:]]
		if reply := answer(h.start("ann", "POST", path, query, body, nil)); reply.Status != 200 {
			t.Errorf("%s: %d", path, reply.Status)
		}
	}
	reply := answer(h.start("", "GET", "/v2/invites/"+code+"/stream", "", "", nil, func(q *abi.Request) { q.Connection = "another" }))
	e, err := abi.ReadError(reply.Status, reply.Body)
	if err != nil || e.Status != 404 || e.Code != "no_stream" {
		t.Errorf("%v, %v", e, err)
	}
}

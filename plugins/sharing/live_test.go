package main

import (
	"errors"
	"fmt"
	"maps"
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

// A listener is a viewer who follows a stream, as the clients of the guide do: it
// moves its cursor by what it polls, and by the view that a stream begins with.
type listener struct {
	h     *history
	code  string
	name  string
	rooms []string // nil: no stream
	heard []event  // and not looked at yet
	next  int64
	stale bool // was told to poll
	gone  bool
	ended bool
	busy  bool

	points map[int64]string
	props  map[string]property
}

type event struct {
	name string
	data map[string]any
}

type property struct {
	t     int64
	value string
}

func newListener(h *history, code, name string) *listener {
	return &listener{h: h, code: code, name: name, points: map[int64]string{}, props: map[string]property{}}
}

// take takes in a view.
func (l *listener) take(body map[string]any) {
	for _, row := range rowsOf(l.h.t, body) {
		l.points[row[0].(int64)] = shown(row)
	}
	for _, key := range []string{"properties", "data"} {
		list, _ := body[key].([]any)
		for _, p := range list {
			m := p.(map[string]any)
			name, at := shown(m["pid"])+shown(m["n"]), m["t"].(int64)
			if m["n"] == propExpired {
				l.ended = true
			}
			if known, ok := l.props[name]; !ok || at >= known.t {
				l.props[name] = property{at, shown(m["v"])}
			}
		}
	}
}

// poll asks for what is new.
func (l *listener) poll(s *shuffle) {
	if l.busy || l.gone {
		return
	}
	l.busy, l.stale = true, false
	s.add(l.h.start("", "GET", "/v2/invites/"+l.code, fmt.Sprintf("uncompressed=true&full_trail=true&next=%d&viewer=%s", l.next, l.name), "", func(a *answered) {
		l.busy = false
		if a.status == 404 {
			l.gone = true
			return
		}
		l.take(a.body)
		l.next = a.body["next"].(int64)
		if a.body["more"] != nil {
			l.stale = true
		}
	}))
}

// open opens a stream. What it begins with is looked at at once, as it is before what
// comes later.
func (l *listener) open(s *shuffle, header bool) {
	if l.busy || l.gone || l.rooms != nil {
		return
	}
	l.busy = true
	query, headers := fmt.Sprintf("full_trail=true&next=%d&viewer=%s", l.next, l.name), []any{}
	if header {
		query, headers = "full_trail=true&next=0&viewer="+l.name, []any{"Last-Event-ID", fmt.Sprint(l.next)}
	}
	s.add(l.h.start("", "GET", "/v2/invites/"+l.code+"/stream", query, "", l.opened, func(q *abi.Request) {
		q.Connection, q.Headers = l.name, abi.Pairs(encode(headers))
	}))
}

func (l *listener) opened(a *answered) {
	l.busy = false
	switch a.status {
	case 404:
		l.gone = true
		return
	case 204:
		if !l.ended {
			l.h.t.Error("a stream ends for good, and its viewer was not told of the end")
		}
		return
	}
	l.next, _ = a.body["next"].(int64)
	if a.status != 200 || a.event != eventView || a.id != fmt.Sprint(l.next) {
		l.h.t.Fatalf("a stream begins with %d %s %s: %v", a.status, a.event, a.id, a.body)
	}
	l.take(a.body)
}

// tell delivers a message as it is committed.
func (l *listener) tell(m *abi.Message) {
	in := func(room string) bool {
		for _, r := range l.rooms {
			if r == room {
				return true
			}
		}
		return false
	}
	switch {
	case m.Op == abi.OpSubscribe && m.To[0] == l.name:
		l.rooms = m.Rooms
	case m.Op == abi.OpEmit && in(m.To[0]):
		for _, e := range m.Events {
			it := e.Args.Items()
			it.Next()
			l.heard = append(l.heard, event{e.Name, decode(it.Value()).(map[string]any)})
		}
	case m.Op == abi.OpDisconnect && in(m.To[0]):
		l.rooms = nil
	}
}

// look takes in the next event that was heard.
func (l *listener) look() {
	if len(l.heard) == 0 || l.busy && l.rooms == nil {
		return
	}
	e := l.heard[0]
	l.heard = l.heard[1:]
	switch e.name {
	case eventView:
		if e.data["next"] != nil {
			l.h.t.Error("an event has a cursor")
		}
		l.take(e.data)
	case eventRefresh:
		l.stale = true
	case eventGone:
		l.gone = true
	}
}

// cut is what happens to a connection: what was on its way is lost.
func (l *listener) cut() { l.rooms, l.heard = nil, nil }

// TestWhoStreamsSeesWhatWhoPollsSees runs random histories of a ticket, with calls
// that overlap, connections that are lost, and events that come late.
func TestWhoStreamsSeesWhatWhoPollsSees(t *testing.T) {
	histories := 150
	if testing.Short() {
		histories = 20
	}
	pushed := 0
	for seed := range int64(histories) {
		if !t.Run(fmt.Sprint(seed), func(t *testing.T) { pushed += runStreams(t, seed) }) {
			return
		}
	}
	if pushed < 10*histories {
		t.Errorf("%d events were pushed in %d histories: that tests little", pushed, histories)
	}
}

func runStreams(t *testing.T, seed int64) (pushed int) {
	h := newHistory(t)
	r := rand.New(rand.NewSource(seed))
	s := &shuffle{r: r}
	id := h.do("ann", "POST", "/v2/users/self/create_ticket", "duration=540000", "").body["id"].(string)
	var number uint64
	fmt.Sscan(id, &number)
	code := h.do("ann", "POST", "/v2/tickets/"+id+"/create_invite", "type=link", "").body["id"].(string)
	var list []*listener
	for i := range 4 {
		list = append(list, newListener(h, code, fmt.Sprint("listener", i)))
	}
	h.heard = func(m *abi.Message) {
		if m.Op == abi.OpEmit {
			pushed++
			inspect(h, number, m)
		}
		for _, l := range list {
			l.tell(m)
		}
	}
	base := "/v2/tickets/" + id + "/"
	rows := 0
	// All points are within the minutes that a snapshot shows, so that all viewers are
	// to know all of them.
	for range 150 {
		l := list[r.Intn(len(list)-1)] // the last one polls
		switch op := r.Intn(20); {
		case op < 6:
			var points []string
			for range 1 + r.Intn(3) {
				at := max(h.now.UnixMilli()-int64(r.Intn(20))*500, newHistoryStart)
				points = append(points, fmt.Sprintf("[%d,%d,2]", at, at%1000))
			}
			s.add(h.start("ann", "POST", base+"append_location", "", "["+strings.Join(points, ",")+"]", nil))
		case op < 8:
			rows++
			body := fmt.Sprintf(`[{"t":%d,"n":"p%d","v":"row %d"}]`, h.now.UnixMilli()-int64(r.Intn(3)), r.Intn(3), rows)
			s.add(h.start("ann", "POST", base+"append_data", "", body, nil))
		case op < 9:
			s.add(h.start("ann", "POST", base+"set_visibility", "location="+[]string{"hidden", "visible"}[r.Intn(2)], "", nil))
		case op < 11:
			l.open(s, r.Intn(2) == 0)
		case op < 12 && r.Intn(2) == 0:
			l.cut()
		case op < 15:
			l.look()
		case op < 16:
			list[r.Intn(len(list))].poll(s)
		case op < 18:
			if l.stale {
				l.poll(s)
			}
		default:
			h.now = h.now.Add(time.Duration(r.Intn(4000)) * time.Millisecond)
		}
	}
	ends := r.Intn(3)
	s.drain()
	h.do("ann", "POST", base+"set_visibility", "location=visible", "")
	switch ends {
	case 0:
		h.do("ann", "POST", base+"expire", "", "")
	case 1:
		h.now = h.now.Add(20 * time.Minute)
	}
	truth := newListener(h, code, "truth")
	truth.poll(s)
	s.drain()
	for i, l := range list {
		// A stream is heard to its end, or is lost and opened again; who polls, polls.
		if i == len(list)-1 {
			l.rooms = nil
		} else if l.rooms == nil {
			l.cut()
			l.open(s, true)
			s.drain()
		}
		for len(l.heard) > 0 {
			l.look()
		}
		// Time alone ends a ticket without a word: who polls beside notices.
		for l.stale || l.rooms == nil || ends == 1 && !l.ended {
			l.poll(s)
			s.drain()
			if !l.stale && (l.rooms == nil || l.ended) {
				break
			}
		}
		if !maps.Equal(l.points, truth.points) {
			t.Errorf("%s knows the points %v\nwant %v", l.name, l.points, truth.points)
		}
		if l.ended != (ends < 2) {
			t.Errorf("%s knows of the end: %v", l.name, l.ended)
		}
		for name, p := range truth.props {
			if strings.Contains(name, propVisibility) {
				continue // which a snapshot tells, too, and an increment by its row
			}
			if l.props[name] != p {
				t.Errorf("%s knows %s as %v, want %v", l.name, name, l.props[name], p)
			}
		}
	}
	return pushed
}

// newHistoryStart is when a history begins.
var newHistoryStart = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).UnixMilli()

// inspect fails if a message tells points that nobody may see.
func inspect(h *history, id uint64, m *abi.Message) {
	i, ok := find(h.entries, string(ticketKey(nil, keyTicket, id)))
	x := new(ticket)
	if !ok || x.read(id, h.entries[i].value) != nil {
		h.t.Fatal("no ticket")
	}
	for _, e := range m.Events {
		it := e.Args.Items()
		it.Next()
		list, _ := decode(it.Value()).(map[string]any)["location"].([]any)
		for _, row := range list {
			if at := row.([]any)[0].(int64); x.hidden || x.withheld(at) {
				h.t.Errorf("a point of a hidden stretch was pushed: %v", row)
			}
		}
	}
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

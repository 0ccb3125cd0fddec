package main

import (
	"fmt"
	"maps"
	"math/rand"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
)

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
	start := h.now.UnixMilli()
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
				at := max(h.now.UnixMilli()-int64(r.Intn(20))*500, start)
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
		// Time alone ends a ticket without a word, and whoever has no stream hears none.
		for due := ends == 1 || l.rooms == nil; due || l.stale; due = false {
			l.poll(s)
			s.drain()
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

package main

import (
	"fmt"
	"maps"
	"math/rand"
	"testing"
	"time"
)

// A follower is a viewer who goes on from next.
type follower struct {
	code   string
	next   int64
	full   bool
	busy   bool
	gone   bool              // was told that there is no such invite
	points map[int64]int     // times seen, and how often
	props  map[string]string // as it knows them
	rows   map[string]int    // rows seen in increments, and how often
	ended  int               // how often it was told of the end
	before map[int64]bool    // points that were there before its snapshot
	idle   int               // empty replies in a row
}

func (f *follower) take(t testing.TB, a *answered) {
	f.busy = false
	if a.status == 404 {
		f.gone = true
		return
	}
	if a.status != 200 {
		t.Fatalf("view: %d %s", a.status, a.code)
	}
	next := a.body["next"].(int64)
	if next&^catchUp < f.next&^catchUp {
		t.Fatalf("next went back from %d to %d", f.next, next)
	}
	snapshot, _ := a.body["properties"].([]any)
	data, _ := a.body["data"].([]any)
	rows := rowsOf(t, a.body)
	if next == f.next && (len(data) > 0 || len(rows) > 0) {
		t.Fatalf("news, and next stays %d", next)
	}
	f.idle++
	if next != f.next {
		f.idle = 0
	}
	f.next = next
	for _, row := range rows {
		f.points[row[0].(int64)]++
	}
	if snapshot != nil {
		f.props = map[string]string{}
	}
	for _, list := range [][]any{snapshot, data} {
		for _, p := range list {
			m := p.(map[string]any)
			if m["n"] == "expired" {
				f.ended++
			}
			f.props[shown(m["pid"])+shown(m["n"])] = shown(m["v"])
		}
	}
	for _, p := range data {
		f.rows[shown(p)]++
	}
}

// A sharer is a client that goes on from last_refresh.
type sharer struct {
	since int64
	busy  bool
	known map[string]map[string]any
	told  map[string]int // how often of each invite
	empty int
}

func (s *sharer) take(t testing.TB, a *answered) {
	s.busy = false
	if a.status != 200 {
		t.Fatalf("poll: %d %s", a.status, a.code)
	}
	since := a.body["last_refresh"].(int64)
	if since < s.since {
		t.Fatalf("last_refresh went back from %d to %d", s.since, since)
	}
	items, ok := a.body["items"].([]any)
	if ok != (len(items) > 0) {
		t.Fatal("an empty list")
	}
	if s.empty++; ok {
		s.empty = 0
		if since == s.since {
			t.Fatal("news, and last_refresh stays")
		}
	}
	s.since = since
	for _, item := range items {
		m := item.(map[string]any)
		id := m["id"].(string)
		s.known[id] = m
		s.told[id]++
	}
}

// A share is one ticket in the model, and what was put into it.
type share struct {
	id     string
	start  time.Time
	points map[int64]bool
	codes  []string
	rows   int
}

// TestNothingIsMissedAndNothingComesTwice runs random histories of one account,
// with calls that overlap, and compares what its viewers and its own clients
// were told with what is there.
func TestNothingIsMissedAndNothingComesTwice(t *testing.T) {
	histories := 150
	if testing.Short() {
		histories = 20
	}
	for seed := range int64(histories) {
		if !t.Run(fmt.Sprint(seed), func(t *testing.T) { runHistory(t, seed) }) {
			return
		}
	}
}

func runHistory(t *testing.T, seed int64) {
	r := rand.New(rand.NewSource(seed))
	h := newHistory(t)
	s := &shuffle{r: r}
	var shares []*share
	var followers []*follower
	sharers := []*sharer{}
	for range 2 {
		sharers = append(sharers, &sharer{known: map[string]map[string]any{}, told: map[string]int{}})
	}
	ofCode := map[string]*share{}
	deleted := map[string]bool{}
	// What may be told of an invite: calls about it, and for each view that it
	// was seen, and later that the viewer had gone.
	events := map[string]int{}

	create := func() {
		a := h.do("ann", "POST", "/v2/users/self/create_ticket", fmt.Sprintf("duration=%d", 60000*(1+r.Intn(20))), "")
		shares = append(shares, &share{id: a.body["id"].(string), start: h.now, points: map[int64]bool{}})
	}
	create()
	some := func() *share { return shares[r.Intn(len(shares))] }

	poll := func(p *sharer) {
		if p.busy {
			return
		}
		p.busy = true
		query := fmt.Sprintf("since=%d", p.since)
		s.add(h.start("ann", "GET", "/v2/users/self/invites", query, "", func(a *answered) { p.take(t, a) }))
	}
	look := func(f *follower) {
		if f.busy || f.gone {
			return
		}
		f.busy = true
		query := fmt.Sprintf("next=%d&no_count=true", f.next)
		if f.full {
			query += "&full_trail=true"
		}
		first := f.next == 0
		if first {
			f.before = maps.Clone(ofCode[f.code].points)
		}
		var q *request
		q = h.start("", "GET", "/v2/invites/"+f.code, query, "", func(a *answered) {
			if first && q.runs > 1 {
				f.before = maps.Clone(ofCode[f.code].points)
			}
			f.take(t, a)
		})
		s.add(q)
	}

	for range 200 {
		switch op := r.Intn(20); {
		case op < 5: // upload, sometimes late, sometimes again
			x := some()
			now := h.now.UnixMilli()
			var times []int64
			for range 1 + r.Intn(4) {
				at := now - int64(r.Intn(8))*500
				if r.Intn(4) == 0 {
					at = now - int64(r.Intn(500_000))
				}
				times = append(times, max(at, x.start.UnixMilli()))
			}
			body := "["
			for i, at := range times {
				if i > 0 {
					body += ","
				}
				body += fmt.Sprintf("[%d,%d,2]", at, i)
			}
			body += "]"
			stored := func(a *answered) {
				if a.status == 200 {
					for _, at := range times {
						x.points[at] = true
					}
				} else if a.code != "ticket_expired" && a.code != "ticket_id" {
					t.Fatalf("append: %d %s", a.status, a.code)
				}
			}
			for range 1 + r.Intn(2) {
				s.add(h.start("ann", "POST", "/v2/tickets/"+x.id+"/append_location", "", body, stored))
			}
		case op < 7:
			x := some()
			x.rows++
			body := fmt.Sprintf(`[{"t":%d,"n":"p%d","v":"row %d"}]`, h.now.UnixMilli()-int64(r.Intn(3000)), r.Intn(3), x.rows)
			s.add(h.start("ann", "POST", "/v2/tickets/"+x.id+"/append_data", "", body, nil))
		case op < 8:
			x := some()
			s.add(h.start("ann", "POST", "/v2/tickets/"+x.id+"/create_invite", "type=link", "", func(a *answered) {
				if a.status != 200 {
					return
				}
				code := a.body["id"].(string)
				ofCode[code] = x
				x.codes = append(x.codes, code)
				events[code]++
				for _, full := range []bool{false, true} {
					followers = append(followers, &follower{
						code: code, full: full, points: map[int64]int{}, props: map[string]string{}, rows: map[string]int{},
					})
				}
			}))
		case op < 12:
			if x := some(); len(x.codes) > 0 {
				code := x.codes[r.Intn(len(x.codes))]
				s.add(h.start(fmt.Sprintf("viewer%d", r.Intn(3)), "GET", "/v2/invites/"+code, "", "", func(a *answered) { events[code] += 2 }))
			}
		case op < 15 && len(followers) > 0:
			for range 3 {
				look(followers[r.Intn(len(followers))])
			}
		case op < 17:
			poll(sharers[r.Intn(len(sharers))])
		case op < 18:
			h.now = h.now.Add(time.Duration(r.Intn(90_000)) * time.Millisecond)
		case r.Intn(4) > 0:
			if x := some(); len(x.codes) > 0 {
				code := x.codes[r.Intn(len(x.codes))]
				call := "update"
				if r.Intn(3) == 0 {
					call = "delete"
				}
				s.add(h.start("ann", "POST", "/v2/invites/"+code+"/"+call, fmt.Sprintf("name=n%d", r.Intn(1000)), "", func(a *answered) {
					events[code]++
					if a.status == 200 && call == "delete" {
						deleted[code] = true
					}
				}))
			}
		default:
			x := some()
			call, query := "expire", ""
			switch r.Intn(4) {
			case 0:
				call = "delete"
			case 1:
				call, query = "update", fmt.Sprintf("duration=%d", 60000*(1+r.Intn(20)))
			}
			s.add(h.start("ann", "POST", "/v2/tickets/"+x.id+"/"+call, query, "", func(a *answered) {
				for _, code := range x.codes {
					events[code]++
				}
			}))
			if r.Intn(3) == 0 {
				create()
			}
		}
		// Many calls fall into one millisecond.
		if r.Intn(3) == 0 {
			h.now = h.now.Add(time.Duration(r.Intn(9000)) * time.Millisecond)
		}
	}
	s.drain()
	if r.Intn(2) == 0 {
		h.now = h.now.Add(2 * time.Minute)
	}

	// All catch up; then nothing more is told, and what was told is all there is.
	for range 6 {
		for _, p := range sharers {
			poll(p)
		}
		for _, f := range followers {
			look(f)
		}
		s.drain()
	}
	for i, p := range sharers {
		if p.empty < 2 {
			t.Fatalf("sharer %d is told the same again and again", i)
		}
		p.check(t, h, shares, deleted, events)
	}
	for _, f := range followers {
		f.check(t, h, ofCode[f.code])
	}
}

// check compares what a sharer knows with what it would be told afresh.
func (p *sharer) check(t *testing.T, h *history, shares []*share, deleted map[string]bool, events map[string]int) {
	for _, x := range shares {
		truth := map[string]map[string]any{}
		a := h.do("ann", "GET", "/v2/tickets/"+x.id+"/invites", "", "")
		if a.status == 200 {
			for _, item := range a.body["items"].([]any) {
				m := item.(map[string]any)
				truth[m["id"].(string)] = m
			}
		}
		for _, code := range x.codes {
			known, want := p.known[code], truth[code]
			if known == nil {
				// Made and gone between two polls of everything.
				if want != nil && want["state"] == "active" {
					t.Fatalf("was never told of %s: %v", code, want)
				}
				continue
			}
			if want == nil {
				if known["state"] != "deleted" {
					t.Fatalf("was not told that %s is gone: %v", code, known)
				}
				continue
			}
			for _, field := range []string{"state", "status", "viewers", "viewing", "recipient", "last_modified"} {
				if shown(known[field]) != shown(want[field]) {
					t.Fatalf("%s of %s: knows %v, is %v", field, code, known[field], want[field])
				}
			}
			seen, _ := known["last_view"].(int64)
			last, _ := want["last_view"].(int64)
			if last-seen > presenceSpan || seen > last {
				t.Fatalf("last_view of %s: knows %d, is %d", code, seen, last)
			}
			if want["viewing"] == int64(0) && seen != last {
				t.Fatalf("last_view of %s, whom nobody views: knows %d, is %d", code, seen, last)
			}
		}
	}
	for code, told := range p.told {
		// And once for the end of its ticket, which nobody calls for.
		if told > events[code]+1 {
			t.Fatalf("told %d times of %s, about which there were %d events", told, code, events[code])
		}
	}
}

// check compares what a viewer has seen with what is there.
func (f *follower) check(t *testing.T, h *history, x *share) {
	a := h.do("ann", "GET", "/v2/tickets/"+x.id, "properties=true", "")
	if f.gone {
		if a.status == 200 {
			if v := h.do("", "GET", "/v2/invites/"+f.code, "no_count=true", ""); v.status == 200 {
				t.Fatalf("%s was told to be gone and is not", f.code)
			}
		}
		return
	}
	if f.idle < 2 {
		t.Fatalf("%s: next goes on without end", f.code)
	}
	for at, times := range f.points {
		if times != 1 || !x.points[at] {
			t.Fatalf("%s: point %d was told %d times", f.code, at, times)
		}
	}
	for row, times := range f.rows {
		if times != 1 {
			t.Fatalf("%s: %s was told %d times", f.code, row, times)
		}
	}
	for at := range x.points {
		// A snapshot shows the last minutes.
		if f.points[at] == 0 && (f.full || !f.before[at]) {
			t.Fatalf("%s: point %d was never told", f.code, at)
		}
	}
	props := map[string]string{}
	for _, p := range a.body["properties"].([]any) {
		m := p.(map[string]any)
		props[shown(m["pid"])+shown(m["n"])] = shown(m["v"])
	}
	if shown(props) != shown(f.props) {
		t.Fatalf("%s: knows %s, is %s", f.code, shown(f.props), shown(props))
	}
	if expired := a.body["state"] == "expired"; expired != (f.ended == 1) || f.ended > 1 {
		t.Fatalf("%s: expired %v, told %d times", f.code, expired, f.ended)
	}
}

package main

import (
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
)

// trailOf makes a history with a ticket of so many points, a second apart and
// ten to an upload, whose newest is now; without going through the handlers,
// which would take a while for a million.
func trailOf(t testing.TB, points int) (h *history, id, code string) {
	h = newHistory(t)
	a := h.do("ann", "POST", "/v2/users/self/create_ticket", "duration=14400000", "")
	id = a.body["id"].(string)
	code = h.do("ann", "POST", "/v2/tickets/"+id+"/create_invite", "type=link", "").body["id"].(string)
	var number64 uint64
	fmt.Sscan(id, &number64)
	begin := h.now.Add(-time.Duration(points) * time.Second)
	x := &ticket{}
	i, _ := find(h.entries, string(ticketKey(nil, keyTicket, number64)))
	x.read(number64, h.entries[i].value)
	never := h.now.Add(1000 * time.Hour)
	var added []entry
	for n := 0; n < points; n += 10 {
		var pts []point
		for k := range 10 {
			p := point{has: 0xff}
			p.at[colTime] = begin.Add(time.Duration(n+k+1) * time.Second).UnixMilli()
			p.at[colLat], p.at[colLng] = int64(47e6+n), int64(-122e6-n)
			pts = append(pts, p)
		}
		chunk := appendPoints(nil, pts)
		// Stamps that are recent, so that a cursor can be anywhere in the log.
		stamp := uint64(h.now.UnixMicro()) - uint64(points-n)
		added = append(added,
			entry{string(number(ticketKey(nil, keyPoints, number64), uint64(pts[0].at[colTime]))), chunk, never},
			entry{string(number(ticketKey(nil, keyLog, number64), stamp)), append([]byte{logPoints}, chunk...), never})
		x.first, x.last = min(x.first, pts[0].at[colTime]), pts[9].at[colTime]
	}
	x.start = begin.UnixMilli()
	var w abi.Writer
	x.append(&w)
	h.entries[i].value = w.Value()
	h.entries = append(h.entries, added...)
	slices.SortFunc(h.entries, func(a, b entry) int { return strings.Compare(a.key, b.key) })
	h.now = h.now.Add(time.Second)
	return h, id, code
}

// cost counts what a call asks of the store.
func cost(q *request) string {
	return fmt.Sprintf("%d gets, %d scans, %d puts", len(q.txn.gets), q.txn.scans, q.txn.puts)
}

func tenPoints(from int64) string { return batch(from, 100, 10) }

func TestCostGrowsWithThePageAndNotWithTheHistory(t *testing.T) {
	costs := map[string]string{}
	for _, points := range []int{1000, 100_000} {
		h, id, code := trailOf(t, points)
		now := h.now.UnixMilli()
		check := func(what string, rows int, q *request) {
			t.Helper()
			got := cost(q)
			a := q.finish()
			if a.status != 200 {
				t.Fatalf("%s: %d %s", what, a.status, a.code)
			}
			if list, _ := a.body["location"].([]any); len(list) != rows {
				t.Errorf("%s at %d points: %d rows, want %d", what, points, len(list), rows)
			}
			if old := costs[what]; old != "" && old != got {
				t.Errorf("%s: %s, and with the longer history %s", what, old, got)
			}
			costs[what] = got
		}
		check("append", 0, h.start("ann", "POST", "/v2/tickets/"+id+"/append_location", "", tenPoints(now), nil))
		check("append late", 0, h.start("ann", "POST", "/v2/tickets/"+id+"/append_location", "", tenPoints(now-300_050), nil))
		check("snapshot", 619, h.start("ann", "GET", "/v2/invites/"+code, "", "", nil))
		check("full trail", 1000, h.start("ann", "GET", "/v2/invites/"+code, "full_trail=true", "", nil))
		a := h.do("ann", "GET", "/v2/invites/"+code, "", "")
		next := fmt.Sprintf("next=%d", a.body["next"])
		check("poll", 0, h.start("ann", "GET", "/v2/invites/"+code, next, "", nil))
		h.do("ann", "POST", "/v2/tickets/"+id+"/append_location", "", tenPoints(now+2000))
		check("poll with news", 10, h.start("ann", "GET", "/v2/invites/"+code, next, "", nil))
	}
	for what, want := range map[string]string{"append": "1 gets, 0 scans, 3 puts", "poll": "3 gets, 1 scans, 0 puts"} {
		if costs[what] != want {
			t.Errorf("%s: %s, want %s", what, costs[what], want)
		}
	}
}

// A still is a host that answers from one state and throws writes away, so that
// the time measured is the handler's.
type still struct{ *txn }

func (s still) Put(key, value []byte, ttl time.Duration) error                   { return nil }
func (s still) PutStamped(prefix, suffix, value []byte, ttl time.Duration) error { return nil }

func benchmark(b *testing.B, q *request) {
	q.txn.writing = true
	call := q.h.plugin.NewCall()
	var host abi.Host = still{q.txn}
	var frames int
	b.ReportAllocs()
	for b.Loop() {
		q.txn.gets, q.txn.ranges = q.txn.gets[:0], q.txn.ranges[:0]
		frame, err := call.Do(host, q.frame)
		if err != nil {
			b.Fatal(err)
		}
		frames += len(frame)
	}
	b.SetBytes(int64(frames / b.N))
}

func BenchmarkAppendTenPoints(b *testing.B) {
	h, id, _ := trailOf(b, 1000)
	q := h.start("ann", "POST", "/v2/tickets/"+id+"/append_location", "", tenPoints(h.now.UnixMilli()), nil)
	q.txn = h.begin(true)
	benchmark(b, q)
}

func BenchmarkPollWithoutNews(b *testing.B) {
	h, _, code := trailOf(b, 1000)
	next := fmt.Sprintf("next=%d", h.do("ann", "GET", "/v2/invites/"+code, "", "").body["next"])
	benchmark(b, h.start("ann", "GET", "/v2/invites/"+code, next, "", nil))
}

func BenchmarkSnapshot(b *testing.B) {
	for _, points := range []int{1000, 1_000_000} {
		b.Run(fmt.Sprint(points), func(b *testing.B) {
			h, _, code := trailOf(b, points)
			benchmark(b, h.start("ann", "GET", "/v2/invites/"+code, "", "", nil))
		})
	}
}

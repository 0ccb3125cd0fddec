package main

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"slices"
	"testing"
	"time"
)

// manyFeeds has some people upload in turn, and returns all of their feeds, and all
// that is in them by stamp.
func manyFeeds(t testing.TB, people, rounds int) (l *ledger, feeds []feed, updates []*update) {
	r := newRecord(t, 7)
	for range rounds {
		for who := range people {
			r.tick()
			batch := []*entry{}
			for range 1 + r.rand.IntN(4) {
				batch = append(batch, r.fresh(4))
			}
			if a := r.l.do(fmt.Sprint("p", who), "POST", "/v1/status", body(batch)); a.status != 201 {
				t.Fatal(a)
			}
		}
	}
	kv := kvOf(r.l)
	for who := range people {
		h, err := loadHead(kv, identityOf(fmt.Sprint("p", who)))
		if err != nil {
			t.Fatal(err)
		}
		for _, topic := range h.topics {
			feeds = append(feeds, feed{owner: h.owner, head: h, topic: topic, from: math.MinInt64, to: math.MaxInt64})
		}
	}
	for _, e := range r.l.entries {
		if e.key[0] != keyFeed {
			continue
		}
		at, ok := positionOf([]byte(e.key))
		u := new(update)
		if err := errors.Join(u.read(gid([]byte(e.key)[1:]), at, e.value), u.readFields()); err != nil || !ok {
			t.Fatal(err)
		}
		updates = append(updates, u)
	}
	slices.SortFunc(updates, func(a, b *update) int { return cmp.Compare(a.stamp, b.stamp) })
	return r.l, feeds, updates
}

func TestManyFeedsAreMergedByStamp(t *testing.T) {
	l, feeds, updates := manyFeeds(t, 12, 20)
	random := rand.New(rand.NewPCG(8, 8))
	for range 1000 {
		some := slices.Clone(feeds)
		random.Shuffle(len(some), func(i, j int) { some[i], some[j] = some[j], some[i] })
		some = some[:random.IntN(len(some)+1)]
		border := updates[random.IntN(len(updates))].created
		for i := range some {
			if random.IntN(4) == 0 {
				kind, source := some[i].topic.kind, some[i].topic.source
				some[i].allow = func(u *update) bool {
					if u.kind != kind || u.source != source || u.owner == (gid{}) || u.stamp == 0 {
						t.Error("allow is asked about something else")
					}
					return u.created < border
				}
			}
		}
		s := selection{from: math.MinInt64, to: math.MaxInt64, skip: random.IntN(1 + random.IntN(200)), limit: 1 + random.IntN(100)}
		if random.IntN(3) == 0 {
			s.from = updates[random.IntN(len(updates))].created
		}
		if random.IntN(3) == 0 {
			s.to = updates[random.IntN(len(updates))].created
		}
		if random.IntN(3) == 0 {
			s.after = updates[random.IntN(len(updates))].stamp
		}
		var want []*update
		for _, u := range updates {
			if slices.ContainsFunc(some, func(f feed) bool {
				return f.owner == u.owner && f.topic.kind == u.kind && f.topic.source == u.source && (f.allow == nil || u.created < border)
			}) && u.created >= s.from && u.created <= s.to && u.stamp > s.after {
				want = append(want, u)
			}
		}
		want = want[min(s.skip, len(want)):]
		want = want[:min(s.limit, len(want))]
		got, err := collect(kvOf(l), some, s)
		if err != nil || !slices.EqualFunc(got, want, func(a, b *update) bool { return a.text() == b.text() && a.stamp == b.stamp && a.created == b.created }) {
			t.Fatalf("%+v of %d feeds: got %d, %v, want %d", s, len(some), len(got), err, len(want))
		}
	}
}

// history is a record of n updates of one topic, one a second.
func history(t testing.TB, n int) *record {
	r := newRecord(t, 9)
	r.more(n)
	return r
}

// more goes on until there are n updates.
func (r *record) more(n int) {
	r.t.Helper()
	for len(r.list) < n {
		batch := []*entry{}
		for range min(n-len(r.list), 1000) {
			r.l.now = r.l.now.Add(time.Second)
			r.made++
			batch = append(batch, &entry{
				uuid: fmt.Sprintf("aaaaaaaa-0000-4000-8000-%012d", r.made), kind: "work", source: "web",
				created: formatDate(r.l.now.UnixMicro()), at: r.l.now.UnixMicro(), payload: `{"available":true}`,
			})
		}
		for _, e := range batch {
			e.uploaded = r.l.now
		}
		r.same(r.l.do("ann", "POST", "/v1/status", body(batch)), 201, batch)
		r.list = append(r.list, batch...)
	}
}

func TestAPageCostsWhatIsOnIt(t *testing.T) {
	r := history(t, 20_000)
	last := r.list[len(r.list)-1].at
	date := func(before time.Duration) string { return formatDate(last - before.Microseconds()) }
	for _, c := range []struct {
		query              string
		updates, crossings int
		scanned            int
	}{
		{"", 50, 2, 50},
		{"?per_page=500", 500, 2, 500},
		{"?page=3", 50, 3, 150},
		{"?per_page=500&page=40", 500, 30, 21_000},
		{"?per_page=500&page=41", 0, 30, 21_000},
		{"?type=none", 0, 1, 0},
		// A batch of a thousand seconds is uploaded at once.
		{"?start=" + date(time.Minute), 50, 5, 1400},
		{"?start=" + date(4*time.Hour), 50, 5, 1400},
		{"?start=" + date(3*time.Hour) + "&end=" + date(2*time.Hour), 50, 5, 1400},
		{"?end=" + date(5*time.Hour), 50, 5, 1400},
		{"?end=1999-01-01", 0, 2, 0},
		{"?start=2026-01-02&end=2026-01-01", 0, 1, 0},
		{"?start=2999-01-01", 0, 2, 0},
	} {
		a := r.l.do("ann", "GET", "/v1/status"+c.query, "")
		if n := len(a.updates(t)); n != c.updates || r.l.crossings > c.crossings || r.l.scanned > c.scanned {
			t.Errorf("%s: %d updates for %d crossings and %d entries; want %d, and at most %d and %d", c.query, n, r.l.crossings, r.l.scanned, c.updates, c.crossings, c.scanned)
		}
	}
	// An upload reads and writes no more than for the first update.
	r.upload(1, 0, 1)
	if r.l.crossings > 8 || r.l.writes > 3 {
		t.Errorf("an upload: %d crossings, %d writes", r.l.crossings, r.l.writes)
	}
	if r.upload(1, 0, 1); r.l.writes > 2 {
		t.Errorf("a second one: %d writes", r.l.writes)
	}
}

func TestAPermissionForATimeCostsWhatIsInIt(t *testing.T) {
	// Ten thousand updates, one a second, and as many a week later.
	r := history(t, 10_000)
	early := r.list[len(r.list)-1].at
	r.l.now = r.l.now.Add(7 * 24 * time.Hour)
	r.more(20_000)
	late := r.list[len(r.list)-1].at
	for i, c := range []struct {
		from, to         instant
		query            string
		updates, scanned int
	}{
		// A batch of a thousand seconds is uploaded at once.
		{late - hour, never, "", 50, 1400},
		{late - hour, never, "per_page=500&page=8", 100, 5000},
		{late - hour, late - hour/2, "", 50, 1400},
		{late - minute, never, "since_uuid=" + r.list[1000].uuid, 50, 1400},
		{always, early - hour, "per_page=500&page=13", 399, 10_000},
		{always, early - hour, "since_uuid=" + r.list[10_001].uuid, 0, 0},
		{early - hour, early - hour/2, "page=2", 50, 1500},
		{late - hour, never, "start=" + formatDate(late-minute), 50, 1400},
		{early, early + second, "", 0, 1400},
	} {
		from, until := "", ""
		if c.from != always {
			from = formatDate(c.from)
		}
		if c.to != never {
			until = formatDate(c.to)
		}
		reader := fmt.Sprint("reader", i)
		a := r.l.do("ann", "POST", "/v1/status/permissions", fmt.Sprintf(
			`{"source":"*","type":"work","recipient_type":"individual","recipient_uuid":%q,"valid_from":%q,"valid_to":%q}`, identityOf(reader), from, until))
		if a.status != 201 {
			t.Fatal(a)
		}
		a = r.l.do(reader, "GET", "/v1/status/shared?"+c.query, "")
		// Three more are for finding out who shares.
		if n := len(a.updates(t)); n != c.updates || r.l.scanned > c.scanned+3 {
			t.Errorf("%d, %s: %d updates for %d entries; want %d, and at most %d", i, c.query, n, r.l.scanned, c.updates, c.scanned)
		}
	}
}

func TestTheLastPageThatCanBeAskedForIsEmpty(t *testing.T) {
	l, feeds, _ := manyFeeds(t, 2, 4)
	for n := range feeds {
		list, err := collect(kvOf(l), feeds[:n+1], selection{from: math.MinInt64, to: math.MaxInt64, skip: (maxPageNumber - 1) * maxPerPage, limit: maxPerPage})
		if err != nil || len(list) > 0 {
			t.Errorf("%d feeds: %d updates, %v", n+1, len(list), err)
		}
	}
}

func TestAPageBehindTooMuchIsRefused(t *testing.T) {
	// The rows of a list that is longer than what a request passes over; the plugin reads
	// nothing of them but their keys.
	l := newLedger(t)
	if a := l.do("ann", "POST", "/v1/status", "["+good+"]"); a.status != 201 {
		t.Fatal(a)
	}
	i := slices.IndexFunc(l.entries, func(e item) bool { return e.key[0] == keyFeed })
	row := l.entries[i]
	rows := make([]item, 0, maxPassed+1)
	at, _ := positionOf([]byte(row.key))
	for n := range uint64(maxPassed + 1) {
		key := []byte(row.key)
		stamp := stampsOf(identityOf("ann"), 1, at.stamp+n-1, latest).Start
		copy(key, stamp)
		rows = append(rows, item{string(key), row.value})
	}
	l.entries = slices.Replace(l.entries, i, i+1, rows...)
	for query, status := range map[string]int{
		"?per_page=500&page=100": 200, "?start=2026-01-01T00:00:01Z": 422, "?start=2026-01-01T00:00:01Z&end=2026-01-01T00:00:00Z": 200,
	} {
		if a := l.do("ann", "GET", "/v1/status"+query, ""); a.status != status {
			t.Errorf("%s: %v, want %d", query, a, status)
		}
	}
}

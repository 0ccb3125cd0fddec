package main

import (
	"encoding/json"
	"fmt"
	"math/rand/v2"
	"net/url"
	"reflect"
	"slices"
	"strings"
	"testing"
	"time"
)

// A record is a person's updates, as a list: what the plugin must say of them.
type record struct {
	t    testing.TB
	l    *ledger
	rand *rand.Rand
	list []*entry
	made int
}

type entry struct {
	uuid, source, kind, created, payload string
	at                                   int64
	uploaded                             time.Time
	deleted                              bool
}

func newRecord(t testing.TB, seed uint64) *record {
	return &record{t: t, l: newLedger(t), rand: rand.New(rand.NewPCG(seed, 1))}
}

func (r *record) tick() { r.l.now = r.l.now.Add(time.Duration(1+r.rand.IntN(1000)) * time.Millisecond) }

// fresh makes an update that there has not been. Of most, the topic is one of few.
func (r *record) fresh(topics int) *entry {
	r.made++
	at := r.l.now.Add(time.Duration(r.rand.Int64N(int64(time.Hour))) - 50*time.Minute)
	switch r.rand.IntN(50) {
	case 0:
		at = at.AddDate(0, 0, r.rand.IntN(400)-200)
	case 1:
		at = at.AddDate(r.rand.IntN(200)-100, 0, 0)
	}
	at = at.UTC().Truncate(time.Millisecond)
	topic := r.rand.IntN(topics)
	return &entry{
		uuid:    fmt.Sprintf("aaaaaaaa-0000-4000-8000-%012d", r.made),
		kind:    fmt.Sprint("kind", topic%20),
		source:  fmt.Sprint("source", topic/20),
		created: at.Format("2006-01-02T15:04:05.000Z07:00"), at: at.UnixMicro(),
		payload: fmt.Sprintf(`{"n":%d}`, r.made),
	}
}

func (e *entry) String() string {
	return fmt.Sprintf(`{"uuid":%q,"source":%q,"type":%q,"created_at":%q,"payload":%s}`, e.uuid, e.source, e.kind, e.created, e.payload)
}

func body(list []*entry) string {
	texts := make([]string, len(list))
	for i, e := range list {
		texts[i] = e.String()
	}
	return "[" + strings.Join(texts, ",") + "]"
}

// upload uploads new updates, and some that were there before, changed a little.
func (r *record) upload(n, repeats, topics int) {
	r.t.Helper()
	r.tick()
	batch := make([]*entry, 0, n+repeats)
	for range n {
		e := r.fresh(topics)
		e.uploaded = r.l.now
		batch = append(batch, e)
	}
	known := slices.Concat(r.list, batch)
	r.list = known
	want := slices.Clone(batch)
	for range repeats {
		if len(known) == 0 {
			break
		}
		old := known[r.rand.IntN(len(known))]
		other := *old
		if r.rand.IntN(2) == 0 {
			other.payload, other.kind, other.created = `{"other":true}`, "other", "2020-01-01T00:00:00Z"
		}
		// Behind those that are new: they count as they came first.
		batch = append(batch, &other)
		if !old.deleted && !slices.Contains(want, old) {
			want = append(want, old)
		}
	}
	a := r.l.do("ann", "POST", "/v1/status", body(batch))
	r.same(a, 201, want)
}

func (r *record) same(a *answer, status int, want []*entry) {
	r.t.Helper()
	if a.status != status {
		r.t.Fatalf("%v: want %d", a, status)
	}
	got := a.updates(r.t)
	if len(got) != len(want) {
		r.t.Fatalf("got %d updates, want %d", len(got), len(want))
	}
	for i, e := range want {
		var payload any
		if err := json.Unmarshal([]byte(e.payload), &payload); err != nil {
			r.t.Fatal(err)
		}
		form := map[string]any{
			"uuid": e.uuid, "gid_uuid": identityOf("ann").String(), "source": e.source, "type": e.kind,
			"created_at": e.created, "uploaded_at": e.uploaded.UTC().Format("2006-01-02T15:04:05.000Z07:00"), "payload": payload,
		}
		if !reflect.DeepEqual(form, got[i]) {
			r.t.Fatalf("update %d of %d: got %v, want %v", i, len(want), got[i], form)
		}
	}
}

// A filter is what the parameters of a list say.
type filter struct {
	query      url.Values
	start, end int64 // exclusive
}

func (r *record) filter(topics int) filter {
	f := filter{query: url.Values{}, start: firstInstant - 1, end: lastInstant + 1}
	some := r.fresh(topics)
	r.made--
	if r.rand.IntN(3) == 0 {
		f.query.Set("type", some.kind)
	}
	if r.rand.IntN(3) == 0 {
		f.query.Set("source", some.source)
	}
	date := func() *entry {
		if len(r.list) > 0 && r.rand.IntN(2) == 0 {
			return r.list[r.rand.IntN(len(r.list))]
		}
		return some
	}
	if r.rand.IntN(3) == 0 {
		e := date()
		f.query.Set("start", e.created)
		f.start = e.at
	}
	if r.rand.IntN(3) == 0 {
		e := date()
		f.query.Set("end", e.created)
		f.end = e.at
	}
	return f
}

func (f *filter) matches(e *entry) bool {
	return !e.deleted && e.at > f.start && e.at < f.end &&
		(!f.query.Has("type") || f.query.Get("type") == e.kind) && (!f.query.Has("source") || f.query.Get("source") == e.source)
}

func (r *record) matching(f filter) (list []*entry) {
	for _, e := range r.list {
		if f.matches(e) {
			list = append(list, e)
		}
	}
	return list
}

// page looks at a page of a list.
func (r *record) page(f filter, perPage, page int) {
	r.t.Helper()
	want := r.matching(f)
	want = want[min(len(want), (page-1)*perPage):]
	want = want[:min(len(want), perPage)]
	f.query.Set("per_page", fmt.Sprint(perPage))
	f.query.Set("page", fmt.Sprint(page))
	r.same(r.l.do("ann", "GET", "/v1/status?"+f.query.Encode(), ""), 200, want)
}

func (r *record) erase(f filter) {
	r.t.Helper()
	r.tick()
	a := r.l.do("ann", "DELETE", "/v1/status?"+f.query.Encode(), "")
	if a.status == 503 && len(r.head().erasures) >= maxErasures {
		return
	}
	if a.status != 204 {
		r.t.Fatalf("DELETE %v: %v", f.query, a)
	}
	for _, e := range r.matching(f) {
		e.deleted = true
	}
}

func (r *record) head() *head {
	i, ok := at(r.l.entries, string(headKey(identityOf("ann"))))
	var value []byte
	if ok {
		value = r.l.entries[i].value
	}
	h, err := readHead(identityOf("ann"), value)
	if err != nil {
		r.t.Fatal(err)
	}
	return h
}

// rows counts the updates that are stored.
func (r *record) rows() (n int) {
	for _, e := range r.l.entries {
		if e.key[0] == keyFeed {
			n++
		}
	}
	return n
}

func (r *record) step(batch, topics int) {
	r.t.Helper()
	switch r.rand.IntN(10) {
	case 0, 1, 2, 3:
		n := r.rand.IntN(batch)
		r.upload(n, r.rand.IntN(1+min(n, 20)), topics)
	case 4:
		r.upload(0, r.rand.IntN(20), topics)
	case 5:
		r.erase(r.filter(topics))
	default:
		perPage := 1 + r.rand.IntN(maxPerPage)
		r.page(r.filter(topics), perPage, 1+r.rand.IntN(2+len(r.list)/perPage))
	}
}

// all is the filter that leaves nothing out.
func all() filter { return filter{query: url.Values{}, start: firstInstant - 1, end: lastInstant + 1} }

func TestAnOwnersUpdatesAreWhatAListWouldBe(t *testing.T) {
	batches, topics := []int{3, 30, 300, 900}, []int{1, 5, 60, 400}
	for seed := range uint64(8) {
		if testing.Short() && seed%5 > 0 {
			continue
		}
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			r := newRecord(t, seed)
			topics := topics[(seed+seed/4)%4]
			for range 30 {
				r.step(batches[seed%4], topics)
			}
			for page := range 2 + len(r.matching(all()))/maxPerPage {
				r.page(all(), maxPerPage, page+1)
			}
			// What was deleted goes, bit by bit.
			for i := 0; i < 1000 && len(r.head().erasures) > 0; i++ {
				r.upload(1, 0, topics)
			}
			if n, alive := r.rows(), len(r.matching(all())); n != alive || len(r.head().erasures) > 0 {
				t.Errorf("%d rows are stored and %d erasures pending, for %d updates", n, len(r.head().erasures), alive)
			}
		})
	}
}

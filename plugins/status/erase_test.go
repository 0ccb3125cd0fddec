package main

import (
	"fmt"
	"testing"
)

// uploadMany uploads n updates of few topics.
func (r *record) uploadMany(n int) {
	for ; n > 0; n -= maxBatch {
		r.upload(min(n, maxBatch), 0, 3)
	}
}

// between is a filter of what was created between two updates.
func between(a, b *entry) filter {
	f := all()
	f.query.Set("start", a.created)
	f.query.Set("end", b.created)
	f.start, f.end = a.at, b.at
	return f
}

func TestADeletionThatFitsLeavesNothingBehind(t *testing.T) {
	r := newRecord(t, 2)
	r.upload(1400, 0, 300)
	r.erase(all())
	if h := r.head(); len(h.erasures)+len(h.topics) > 0 || r.rows() > 0 {
		t.Errorf("%d erasures, %d topics and %d rows are left", len(h.erasures), len(h.topics), r.rows())
	}
	r.page(all(), 10, 1)
	r.upload(3, 10, 3)
	r.page(all(), 10, 1)
}

func TestADeletionOfMoreTakesEffectAtOnceAndIsDoneBitByBit(t *testing.T) {
	r := newRecord(t, 3)
	r.uploadMany(5000)
	r.erase(all())
	if a := r.l.do("ann", "GET", "/v1/status", ""); string(a.body) != "[]" {
		t.Fatal(a)
	}
	if n := r.rows(); n != 5000-eraseAtOnce {
		t.Errorf("%d rows are left, want %d", n, 5000-eraseAtOnce)
	}
	// What comes later is not hit, whenever it was created.
	for len(r.head().erasures) > 0 {
		before := r.rows()
		r.upload(5, 5, 3)
		if removed := before + 5 - r.rows(); removed > eraseLater {
			t.Fatalf("an upload has removed %d", removed)
		}
		r.page(all(), 100, 1)
	}
	if n, alive := r.rows(), len(r.matching(all())); n != alive {
		t.Errorf("%d rows are left of %d updates", n, alive)
	}
}

func TestAWindowIsDeletedAndNothingElse(t *testing.T) {
	r := newRecord(t, 4)
	r.uploadMany(8000)
	f := between(r.list[1000], r.list[7000])
	r.erase(f)
	r.page(all(), 500, 2)
	r.page(f, 50, 1)
	for range 200 {
		r.upload(1, 0, 3)
	}
	r.page(all(), 500, 1)
	if n, alive := r.rows(), len(r.matching(all())); n != alive || len(r.head().erasures) > 0 {
		t.Errorf("%d rows are left of %d updates, and %d erasures", n, alive, len(r.head().erasures))
	}
}

func TestDeletionsThatPileUpAreRefusedUntilEarlierOnesAreThrough(t *testing.T) {
	r := newRecord(t, 5)
	r.uploadMany(36000)
	busy, most := 0, 0
	for i := 0; i < 400 && busy < 3; i++ {
		// Windows that overlap, none of which has another inside.
		f := all()
		from := r.l.now.UnixMicro() - 90*minute + int64(i)*second
		f.query.Set("start", formatDate(from))
		f.query.Set("end", formatDate(from+100*minute))
		f.start, f.end = from, from+100*minute
		rows := r.rows()
		a := r.l.do("ann", "DELETE", "/v1/status?"+f.query.Encode(), "")
		most = max(most, len(r.head().erasures))
		switch a.status {
		case 503:
			if busy++; a.code != "busy" || r.rows() >= rows {
				t.Fatalf("%v: %d rows, then %d", a, rows, r.rows())
			}
		case 204:
			for _, e := range r.matching(f) {
				e.deleted = true
			}
		default:
			t.Fatal(a)
		}
		if i%4 == 0 {
			r.page(all(), 50, 1)
		}
	}
	if busy == 0 || most != maxErasures {
		t.Errorf("at most %d were pending, and %d refused", most, busy)
	}
	// One of all takes the place of all the others.
	r.erase(all())
	if n := len(r.head().erasures); n != 1 {
		t.Errorf("%d are pending", n)
	}
	if a := r.l.do("ann", "GET", "/v1/status", ""); string(a.body) != "[]" {
		t.Error(a)
	}
}

func TestATopicIsMixedWhenThereAreTooMany(t *testing.T) {
	r := newRecord(t, 6)
	for i := range 6 {
		r.upload(300, 20, 100*(i+1))
	}
	h := r.head()
	if len(h.topics) != maxTopics+1 {
		t.Fatalf("%d topics", len(h.topics))
	}
	mixed := 0
	for _, e := range r.list {
		f := all()
		f.query.Set("type", e.kind)
		f.query.Set("source", e.source)
		if len(h.topicsFor(e.kind, e.source)) == 1 {
			mixed++
		}
		if mixed > 40 {
			break
		}
		r.page(f, 500, 1)
	}
	if mixed == 0 {
		t.Error("no update is of the mixed topic")
	}
	// Of it, a deletion hits what it is about.
	f := all()
	f.query.Set("type", "kind7")
	r.erase(f)
	r.page(all(), 500, 3)
	f = all()
	f.query.Set("source", "source29")
	r.erase(f)
	r.page(all(), 500, 3)
	// A topic of which nothing is left makes room.
	r.erase(all())
	r.erase(all())
	r.upload(10, 0, 1)
	if h := r.head(); len(h.topics) != 1 || h.topics[0].mixed() || h.next <= maxTopics+1 {
		t.Errorf("%d topics, the next is %d", len(h.topics), h.next)
	}
}

func TestTopicsRunOutOfNumbers(t *testing.T) {
	h := &head{next: maxNumber}
	for i := range 3 {
		u := &update{kind: fmt.Sprint(i)}
		if got, want := h.topicOf(u).number, []uint16{maxNumber, mixedTopic, mixedTopic}[i]; got != want {
			t.Errorf("topic %d: got number %d, want %d", i, got, want)
		}
	}
	if len(h.topics) != 2 {
		t.Errorf("%d topics", len(h.topics))
	}
}

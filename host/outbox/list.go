package outbox

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/edgeset/edgeset/store"
)

// A Query says which entries are meant. What is empty means all.
type Query struct {
	State State
	Via   string
	To    string
	After string // Next of the Listing before
	Limit int    // entries at once; 0: 50; at most 500
}

// A Listing is a page of entries, newest first. It may be short, or empty, while Next
// is set: looking for a few among many stops now and then.
type Listing struct {
	Entries []Entry
	Next    string // where the next page goes on; empty: there is none
}

// Bounds of a page.
const (
	defaultPage = 50
	maxPage     = 500
	maxSearched = 10_000  // entries that are looked at
	maxRead     = 4 << 20 // bytes of entries
)

// List returns entries of a deployment.
func (o *Outbox) List(ctx context.Context, deployment string, q Query) (Listing, error) {
	list, next, err := o.page(ctx, deployment, q)
	if err != nil {
		return Listing{}, err
	}
	l := Listing{Entries: make([]Entry, 0, len(list)), Next: next}
	show := o.show(deployment)
	for _, r := range list {
		l.Entries = append(l.Entries, show(r))
	}
	return l, nil
}

// page returns a page of records.
func (o *Outbox) page(ctx context.Context, deployment string, q Query) (list []*record, next string, err error) {
	which := states[:]
	if q.State != "" {
		if q.State.code() == 0xff {
			return nil, "", fmt.Errorf("outbox: list entries that are %.64q: want %q, %q or %q", string(q.State), StateQueued, StateSent, StateFailed)
		}
		which = []State{q.State}
	}
	if q.Limit <= 0 {
		q.Limit = defaultPage
	}
	q.Limit = min(q.Limit, maxPage)
	var from []byte
	if q.After != "" {
		raw, err := alphabet.DecodeString(q.After)
		if err != nil || len(raw) != len(place{}) {
			return nil, "", fmt.Errorf("outbox: list entries after %.64q: want what a page before has given", q.After)
		}
		from = append(raw, 0)
	}
	err = o.config.Store.View(ctx, deployment, func(txn store.Txn) error {
		shelves := make([]*shelf, len(which))
		for i, s := range which {
			shelves[i] = openShelf(txn, s, from)
		}
		list, next, err = q.collect(ctx, txn, shelves)
		return err
	})
	if err != nil {
		return nil, "", fmt.Errorf("outbox: list: %w", err)
	}
	return list, next, nil
}

// collect takes the newest that are meant off the shelves.
func (q *Query) collect(ctx context.Context, txn store.Txn, shelves []*shelf) (list []*record, next string, err error) {
	size := 0
	for searched := 0; ; searched++ {
		var newest *shelf
		for _, s := range shelves {
			if err := s.fill(); err != nil {
				return nil, "", err
			}
			if s.has() && (newest == nil || bytes.Compare(s.place(), newest.place()) < 0) {
				newest = s
			}
		}
		switch {
		case newest == nil:
			return list, "", nil
		case len(list) == q.Limit, searched == maxSearched, size > maxRead:
			return list, next, nil
		}
		if err := ctx.Err(); err != nil {
			return nil, "", err
		}
		at, via, to := newest.next()
		next = alphabet.EncodeToString(at[:])
		if q.Via != "" && q.Via != via || q.To != "" && q.To != to {
			continue
		}
		r, err := load(txn, at.id())
		switch {
		case errors.Is(err, errDamaged), err == nil && r == nil: // the others can be shown
		case err != nil:
			return nil, "", err
		default:
			list = append(list, r)
			size += len(r.message)
		}
	}
}

// A shelf is the list of entries of a state, as it is read.
type shelf struct {
	txn     store.Txn
	r       store.Range
	front   int // bytes of keys before the place
	entries []store.Entry
	more    bool
}

func openShelf(txn store.Txn, state State, from []byte) *shelf {
	front := append([]byte(lists), state.code())
	return &shelf{
		txn: txn, front: len(front), more: true,
		r: store.Range{Start: append(bytes.Clone(front), from...), End: after(front), Limit: 100},
	}
}

// fill reads on when nothing is left of what was read.
func (s *shelf) fill() error {
	if len(s.entries) > 0 || !s.more {
		return nil
	}
	page, err := s.txn.Scan(s.r)
	if err != nil {
		return err
	}
	if s.entries, s.more = page.Entries, page.More; s.more {
		s.r.Start = append(bytes.Clone(page.Entries[len(page.Entries)-1].Key), 0)
	}
	return nil
}

func (s *shelf) has() bool     { return len(s.entries) > 0 }
func (s *shelf) place() []byte { return s.entries[0].Key[s.front:] }

// next takes the first entry.
func (s *shelf) next() (at place, via, to string) {
	e := s.entries[0]
	s.entries = s.entries[1:]
	copy(at[:], e.Key[s.front:])
	via, to = readListValue(e.Value)
	return at, via, to
}

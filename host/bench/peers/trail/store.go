// Package trail is what the hosts of the peers that are written in Go share: the
// store that edgeset itself uses, a transaction for each request, as edgeset has
// it, and what stands before the guest.
package trail

import (
	"context"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"time"

	"github.com/edgeset/edgeset/host/bench/peers/app"
	"github.com/edgeset/edgeset/store"
	"github.com/edgeset/edgeset/store/badgerstore"
)

const (
	space = "peer"
	keep  = 48 * time.Hour
)

// A Store holds the state.
type Store struct{ state store.Store }

// Open opens the store in a folder. What was acknowledged survives the end of the
// process.
func Open(dir string) (*Store, error) {
	state, err := badgerstore.Open(badgerstore.Options{
		Dir: dir, Durability: badgerstore.Process, Logger: slog.New(slog.DiscardHandler),
	})
	if err != nil {
		return nil, err
	}
	return &Store{state}, nil
}

// Close closes the store.
func (s *Store) Close() error { return s.state.Close() }

// A Txn is the transaction of a request. The functions that a host gives its
// guest work on it; an error of one of them is kept, and undoes it all.
type Txn struct {
	txn store.Txn
	err error
}

type txnKey struct{}

// From returns the transaction of a context that Update made.
func From(ctx context.Context) *Txn { return ctx.Value(txnKey{}).(*Txn) }

// Update runs a guest in a transaction and commits it, again if it met another
// one.
func (s *Store) Update(ctx context.Context, call func(ctx context.Context) error) error {
	return store.Repeat(ctx, s.state, space, func(txn store.Txn) error {
		t := &Txn{txn: txn}
		if err := call(context.WithValue(ctx, txnKey{}, t)); err != nil {
			return err
		}
		return t.err
	})
}

func (t *Txn) keepError(err error) {
	if t.err == nil {
		t.err = err
	}
}

// Get implements app.KV.
func (t *Txn) Get(key []byte) ([]byte, bool) {
	value, found, err := t.txn.Get(key)
	t.keepError(err)
	return value, found
}

// Put implements app.KV.
func (t *Txn) Put(key, value []byte) { t.keepError(t.txn.Put(key, value, keep)) }

// PutStamped implements app.KV.
func (t *Txn) PutStamped(prefix, value []byte) {
	t.keepError(t.txn.PutStamped(prefix, nil, value, keep))
}

// Scan implements app.KV.
func (t *Txn) Scan(start, end []byte, limit int, yield func(key, value []byte) bool) {
	page, err := t.txn.Scan(store.Range{Start: start, End: end, Limit: limit})
	t.keepError(err)
	for _, e := range page.Entries {
		if !yield(e.Key, e.Value) {
			return
		}
	}
}

// Frame is Scan for a guest: it appends the entries to dst.
func (t *Txn) Frame(dst, start, end []byte, limit int) []byte {
	t.Scan(start, end, limit, func(key, value []byte) bool {
		dst = app.AppendEntry(dst, key, value)
		return true
	})
	return dst
}

// Create makes a ticket and an invite. That is not compared, so no guest does it.
func (s *Store) Create(ctx context.Context, owner string) (id, code string, err error) {
	id = strconv.FormatUint(rand.Uint64()>>1, 10)
	err = s.Update(ctx, func(ctx context.Context) error {
		var r app.Room
		code = r.Create(From(ctx), owner, id, time.Now().UnixMilli())
		return nil
	})
	return id, code, err
}

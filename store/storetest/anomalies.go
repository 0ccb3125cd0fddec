package storetest

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/edgeset/edgeset/store"
	"github.com/edgeset/edgeset/store/storetest/hammer"
)

// An anomaly is two transactions that no serial order explains. The first reads,
// then the second runs from beginning to end, then the first writes and commits:
// it has to be refused.
type anomaly struct {
	name   string
	setup  func(store.Txn) error
	read   func(store.Txn) error
	second func(store.Txn) error
	write  func(store.Txn) error
}

func anomalies() []anomaly {
	none := func(store.Txn) error { return nil }
	puts := func(keys ...string) func(store.Txn) error {
		return func(tx store.Txn) error {
			for _, key := range keys {
				if err := put(tx, key, "x"); err != nil {
					return err
				}
			}
			return nil
		}
	}
	deletes := func(key string) func(store.Txn) error {
		return func(tx store.Txn) error { return tx.Delete([]byte(key)) }
	}
	gets := func(keys ...string) func(store.Txn) error {
		return func(tx store.Txn) error {
			for _, key := range keys {
				if _, err := getText(tx, key); err != nil {
					return err
				}
			}
			return nil
		}
	}
	scans := func(r store.Range) func(store.Txn) error {
		return func(tx store.Txn) error { _, err := tx.Scan(r); return err }
	}
	r := store.Range{Start: []byte("r/"), End: []byte("r0")}
	back := store.Range{Start: r.Start, End: r.End, Reverse: true}
	page := store.Range{Start: r.Start, End: r.End, Limit: 2}
	return []anomaly{
		{"lost update", puts("x"), gets("x"), puts("x"), puts("x")},
		{"lost update of a key that was absent", none, gets("x"), puts("x"), puts("x")},
		{"lost update of a key that was deleted", puts("x"), gets("x"), deletes("x"), puts("x")},
		{"write skew", puts("x", "y"), gets("x", "y"), puts("y"), puts("x")},
		{"write skew on absent keys", none, gets("x", "y"), puts("y"), puts("x")},
		{"phantom: insert into a range that was scanned", puts("r/1", "r/3"), scans(r), puts("r/2"), puts("x")},
		{"phantom: insert before the first entry", puts("r/2"), scans(r), puts("r/1"), puts("x")},
		{"phantom: insert behind the last entry", puts("r/2"), scans(r), puts("r/3"), puts("x")},
		{"phantom: insert into an empty range", none, scans(r), puts("r/1"), puts("x")},
		{"phantom: insert into an empty space", none, scans(store.Range{}), puts("r/1"), puts("x")},
		{"phantom: delete from a range", puts("r/1", "r/2"), scans(r), deletes("r/1"), puts("x")},
		{"phantom: overwrite in a range", puts("r/1", "r/2"), scans(r), puts("r/2"), puts("x")},
		{"phantom: insert into a range scanned backwards", puts("r/1", "r/3"), scans(back), puts("r/2"), puts("x")},
		{"phantom: append to a range scanned backwards", puts("r/1", "r/3"), scans(back), puts("r/9"), puts("x")},
		{"phantom: insert into an empty range scanned backwards", none, scans(back), puts("r/1"), puts("x")},
		{"phantom: insert into the page that was read", puts("r/1", "r/3", "r/5"), scans(page), puts("r/2"), puts("x")},
		{"phantom: delete what made the page say more", puts("r/1", "r/3", "r/5"), scans(page), deletes("r/5"), puts("x")},
		{"phantom: stamped entry", none, scans(r), func(tx store.Txn) error { return tx.PutStamped([]byte("r/"), nil, nil, 0) }, puts("x")},
		{"phantom: the first writes a stamped entry", puts("r/1"), scans(r), puts("r/2"), func(tx store.Txn) error { return tx.PutStamped([]byte("f/"), nil, nil, 0) }},
		{"phantom: the first deletes", puts("r/1", "x"), scans(r), puts("r/2"), deletes("x")},
		{"phantom: the first writes into the range", puts("r/1"), scans(r), puts("r/2"), puts("r/3")},
	}
}

func testAnomalies(t *testing.T, open Open) {
	s := start(t, open)
	for _, a := range anomalies() {
		t.Run(a.name, func(t *testing.T) { a.test(t, s) })
	}
	t.Run("read skew", func(t *testing.T) { testReadSkew(t, s) })
	t.Run("phantoms under load", func(t *testing.T) { testPhantoms(t, s) })
}

func (a anomaly) test(t *testing.T, s store.Store) {
	space := a.name
	must(t, update(s, space, a.setup))
	const trace = "trace of the first" // must not be found if it was refused
	err := s.Update(context.Background(), space, func(tx store.Txn) error {
		if err := a.read(tx); err != nil {
			return err
		}
		second := make(chan error, 1)
		go func() { second <- update(s, space, a.second) }()
		if err := <-second; err != nil {
			return fmt.Errorf("second transaction: %w", err)
		}
		return errors.Join(a.write(tx), put(tx, trace, "x"))
	})
	if !errors.Is(err, store.ErrConflict) {
		t.Errorf("got error %v, want %v", err, store.ErrConflict)
	}
	if got := get(t, s, space, trace); got != "-" {
		t.Errorf("the first was refused and has written all the same")
	}
	// Run again it sees what the second has done, and passes.
	must(t, update(s, space, func(tx store.Txn) error { return errors.Join(a.read(tx), a.write(tx)) }))
}

// testReadSkew reads before and after another transaction: both times the same
// has to be seen, and a transaction that only reads is never refused.
func testReadSkew(t *testing.T, s store.Store) {
	const space = "read skew"
	both := func(value string) {
		t.Helper()
		must(t, update(s, space, func(tx store.Txn) error {
			return errors.Join(put(tx, "x", value), put(tx, "y", value), put(tx, "z "+value, value), tx.Delete([]byte("gone")))
		}))
	}
	must(t, update(s, space, func(tx store.Txn) error { return put(tx, "gone", "old") }))
	must(t, update(s, space, func(tx store.Txn) error { return errors.Join(put(tx, "x", "old"), put(tx, "y", "old")) }))
	for what, run := range map[string]func(context.Context, string, func(store.Txn) error) error{"view": s.View, "update": s.Update} {
		must(t, update(s, space, func(tx store.Txn) error { return put(tx, "gone", "old") }))
		x := get(t, s, space, "x")
		err := run(context.Background(), space, func(tx store.Txn) error {
			if _, err := getText(tx, "x"); err != nil {
				return err
			}
			done := make(chan bool)
			go func() {
				defer close(done)
				both("new in " + what)
			}()
			<-done
			y, err := getText(tx, "y")
			if err != nil || y != x {
				return fmt.Errorf("x was %q, then y is %q (%v)", x, y, err)
			}
			if gone, err := getText(tx, "gone"); err != nil || gone != "old" {
				return fmt.Errorf("key that was deleted meanwhile: got %q, %v", gone, err)
			}
			for _, reverse := range []bool{false, true} {
				entries, err := all(tx, store.Range{Reverse: reverse})
				if err != nil {
					return err
				}
				for _, e := range entries {
					if string(e.Value) == "new in "+what {
						return fmt.Errorf("scan sees %q of a later commit", e.Key)
					}
				}
			}
			return nil
		})
		if err != nil {
			t.Errorf("%s: %v", what, err)
		}
	}
}

// testPhantoms lets many transactions do what must happen only once: each adds an
// entry to a range if it finds the range empty, and takes it out if it is there.
func testPhantoms(t *testing.T, s store.Store) {
	const space = "phantoms under load"
	r := store.Range{Start: []byte("r/"), End: []byte("r0")}
	hammer.For(t, 8, 400*time.Millisecond, func(g, round int) error {
		return update(s, space, func(tx store.Txn) error {
			page, err := tx.Scan(r)
			if err != nil {
				return err
			}
			switch len(page.Entries) {
			case 0:
				return put(tx, fmt.Sprintf("r/%d/%d", g, round), "x")
			case 1:
				return tx.Delete(page.Entries[0].Key)
			}
			return fmt.Errorf("range that never has two entries has %d", len(page.Entries))
		})
	})
}

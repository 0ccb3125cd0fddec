// Package storetest is the conformance suite of store drivers. A driver that
// passes it can be put in the place of any other.
//
//	func TestStore(t *testing.T) {
//		storetest.RunDurable(t, func(t testing.TB, dir string) store.Store {
//			s, err := mydriver.Open(dir)
//			if err != nil {
//				t.Fatal(err)
//			}
//			return s
//		})
//	}
//
// The suite asks for what the contract promises and for nothing more: a driver
// may report a conflict where there was none, as long as running again helps.
package storetest

import (
	"context"
	"errors"
	"fmt"
	"runtime"
	"testing"
	"time"

	"github.com/edgeset/edgeset/store"
)

// An Open opens a new, empty store. The suite closes it.
type Open func(t testing.TB) store.Store

// A Reopen opens the store that is kept in dir, which exists. If the directory is
// empty the store is new; else it is the one that was opened there and closed, or
// whose process was killed. A driver that keeps its data elsewhere takes the
// directory's path as a name.
type Reopen func(t testing.TB, dir string) store.Store

// Run tests a driver, except for what needs a store to be opened again.
func Run(t *testing.T, open Open) {
	for _, c := range []struct {
		name string
		test func(*testing.T, Open)
	}{
		{"a random history agrees with a model", testModel},
		{"reads and writes", testBasics},
		{"scans", testScans},
		{"limits", testLimits},
		{"spaces are isolated", testSpaces},
		{"ends of transactions", testEnds},
		{"entries expire", testExpiry},
		{"anomalies are refused", testAnomalies},
		{"concurrent histories are serializable", testSerializable},
		{"sums are kept under concurrency", testBank},
		{"stamps", testStamps},
		{"messages", testMessages},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			c.test(t, open)
		})
	}
}

// RunDurable tests a driver whose stores can be opened again.
func RunDurable(t *testing.T, reopen Reopen) {
	Run(t, func(t testing.TB) store.Store { return reopen(t, t.TempDir()) })
	t.Run("everything is there when opened again", func(t *testing.T) {
		t.Parallel()
		testReopen(t, reopen)
	})
}

// start opens a store for one test.
func start(t testing.TB, open Open) store.Store {
	t.Helper()
	s := open(t)
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close: %v", err)
		}
	})
	return s
}

// update runs fn until it does not conflict, with some patience.
func update(s store.Store, space string, fn func(store.Txn) error) error {
	pause := 50 * time.Microsecond
	for try := range 1000 {
		err := s.Update(context.Background(), space, fn)
		if !errors.Is(err, store.ErrConflict) {
			return err
		}
		if try < 3 {
			runtime.Gosched()
			continue
		}
		time.Sleep(pause)
		pause = min(2*pause, 5*time.Millisecond)
	}
	return fmt.Errorf("still conflicts after 1,000 tries: %w", store.ErrConflict)
}

func view(s store.Store, space string, fn func(store.Txn) error) error {
	return s.View(context.Background(), space, fn)
}

// must fails the test if an error is none that is allowed.
func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// get returns a committed value as text, and "-" if there is none.
func get(t testing.TB, s store.Store, space, key string) string {
	t.Helper()
	var text string
	must(t, view(s, space, func(tx store.Txn) (err error) {
		text, err = getText(tx, key)
		return err
	}))
	return text
}

func getText(tx store.Txn, key string) (string, error) {
	value, found, err := tx.Get([]byte(key))
	if err != nil || !found {
		return "-", err
	}
	return string(value), nil
}

func put(tx store.Txn, key, value string) error {
	return tx.Put([]byte(key), []byte(value), 0)
}

// all scans a range to its end, page by page, and returns copies.
func all(tx store.Txn, r store.Range) ([]store.Entry, error) {
	var entries []store.Entry
	for {
		page, err := tx.Scan(r)
		if err != nil {
			return nil, err
		}
		for _, e := range page.Entries {
			entries = append(entries, store.Entry{Key: clone(e.Key), Value: clone(e.Value)})
		}
		if !page.More {
			return entries, nil
		}
		if len(page.Entries) == 0 {
			return nil, errors.New("scan: a page without entries says that there are more")
		}
		last := page.Entries[len(page.Entries)-1].Key
		if r.Reverse {
			r.End = clone(last)
		} else {
			r.Start = append(clone(last), 0)
		}
	}
}

func clone(b []byte) []byte { return append([]byte{}, b...) }

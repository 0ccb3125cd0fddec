package storetest

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/edgeset/edgeset/store"
	"github.com/edgeset/edgeset/store/storetest/hammer"
)

var (
	feed    = []byte("feed/")
	feedEnd = []byte("feed0")
)

// stampOf takes the stamp out of a key of the feed.
func stampOf(key []byte) (uint64, error) {
	if !bytes.HasPrefix(key, feed) || len(key) < len(feed)+store.StampSize {
		return 0, fmt.Errorf("key %q is none of the feed", key)
	}
	return binary.BigEndian.Uint64(key[len(feed):]), nil
}

func testStamps(t *testing.T, open Open) {
	s := start(t, open)
	t.Run("a stamped key is prefix, stamp, suffix", func(t *testing.T) { testStampForm(t, s) })
	t.Run("stamps follow the order of commits", func(t *testing.T) { testStampOrder(t, s) })
	t.Run("a tailing reader misses nothing", func(t *testing.T) { testTail(t, s) })
}

func testStampForm(t *testing.T, s store.Store) {
	const space = "form"
	prefix, suffix, value := clone(feed), []byte("/suffix"), []byte("value")
	before := time.Now().UnixMicro()
	must(t, update(s, space, func(tx store.Txn) error {
		if err := tx.PutStamped(prefix, suffix, value, 0); err != nil {
			return err
		}
		scribble(prefix, suffix, value)
		entries, err := all(tx, store.Range{})
		if err == nil && len(entries) != 0 {
			err = fmt.Errorf("a stamped write is seen before the commit: %q", entries)
		}
		return err
	}))
	after := time.Now().UnixMicro()
	must(t, view(s, space, func(tx store.Txn) error {
		entries, err := all(tx, store.Range{})
		if err != nil {
			return err
		}
		if len(entries) != 1 || !bytes.HasSuffix(entries[0].Key, []byte("/suffix")) || string(entries[0].Value) != "value" {
			return fmt.Errorf("got %q", entries)
		}
		stamp, err := stampOf(entries[0].Key)
		if err != nil {
			return err
		}
		if len(entries[0].Key) != len(feed)+store.StampSize+len("/suffix") {
			return fmt.Errorf("key %q has %d bytes", entries[0].Key, len(entries[0].Key))
		}
		// The store may be ahead of the clock by one for each stamp and commit.
		if int64(stamp) < before || int64(stamp) > after+1_000_000 {
			return fmt.Errorf("stamp %d is not the time: %d to %d", stamp, before, after)
		}
		return nil
	}))
}

func testStampOrder(t *testing.T, s store.Store) {
	const space, n = "order", 100
	for i := range n {
		must(t, update(s, space, func(tx store.Txn) error {
			// Several in one transaction, with suffixes that would sort otherwise.
			var err error
			for j := range 3 {
				err = errors.Join(err, tx.PutStamped(feed, []byte{byte('z' - j)}, fmt.Appendf(nil, "%d", 3*i+j), 0))
			}
			return err
		}))
	}
	must(t, view(s, space, func(tx store.Txn) error {
		entries, err := all(tx, store.Range{Start: feed, End: feedEnd})
		if err != nil {
			return err
		}
		if len(entries) != 3*n {
			return fmt.Errorf("got %d entries, want %d", len(entries), 3*n)
		}
		last := uint64(0)
		for i, e := range entries {
			stamp, err := stampOf(e.Key)
			if err != nil {
				return err
			}
			if stamp <= last || string(e.Value) != fmt.Sprint(i) {
				return fmt.Errorf("entry %d: write %s with stamp %d after stamp %d", i, e.Value, stamp, last)
			}
			last = stamp
		}
		return nil
	}))
}

// testTail lets 32 goroutines append to a feed while others follow it, each from
// the last key it has seen. In the end all must have seen the feed as it is.
func testTail(t *testing.T, s store.Store) {
	const space, writers, tails = "tail", 32, 2
	rounds := 40
	if testing.Short() {
		rounds = 10
	}
	var (
		left  atomic.Int64 // writes not yet acknowledged
		seen  [tails][]string
		next  [tails][]byte
		total = writers * rounds
	)
	left.Store(int64(total))
	follow := func(tail int) error {
		return view(s, space, func(tx store.Txn) error {
			start := next[tail]
			if start == nil {
				start = feed
			}
			entries, err := all(tx, store.Range{Start: start, End: feedEnd, Limit: 10})
			for _, e := range entries {
				seen[tail] = append(seen[tail], string(e.Key)+"="+string(e.Value))
				next[tail] = append(e.Key, 0)
			}
			return err
		})
	}
	hammer.Rounds(t, writers+tails, rounds, func(g, round int) error {
		if g < tails {
			for round == rounds-1 && left.Load() > 0 { // the last round: until all is written
				if t.Failed() {
					return nil
				}
				if err := follow(g); err != nil {
					return err
				}
			}
			return follow(g)
		}
		err := update(s, space, func(tx store.Txn) error {
			// Half of them read, so that some are refused and run again.
			if g%2 == 0 {
				if _, err := getText(tx, fmt.Sprintf("counter/%d", g%3)); err != nil {
					return err
				}
				if err := put(tx, fmt.Sprintf("counter/%d", g%3), "x"); err != nil {
					return err
				}
			}
			return tx.PutStamped(feed, nil, fmt.Appendf(nil, "%d/%d", g, round), 0)
		})
		left.Add(-1)
		return err
	})
	var feedNow []string
	must(t, view(s, space, func(tx store.Txn) error {
		entries, err := all(tx, store.Range{Start: feed, End: feedEnd})
		for _, e := range entries {
			feedNow = append(feedNow, string(e.Key)+"="+string(e.Value))
		}
		return err
	}))
	if len(feedNow) != total {
		t.Fatalf("feed has %d entries, want %d", len(feedNow), total)
	}
	for tail := range seen {
		if len(seen[tail]) != total {
			t.Errorf("tail %d saw %d entries of %d", tail, len(seen[tail]), total)
		}
		for i, e := range seen[tail] {
			if e != feedNow[i] {
				t.Fatalf("tail %d missed an entry: at %d it saw %q, the feed has %q", tail, i, e, feedNow[i])
			}
		}
	}
}

package storetest

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/edgeset/edgeset/store"
)

// lateBy is how much later than its ttl an entry may still be seen: a driver may
// keep whole seconds and round up once more, and the machine may be busy.
const lateBy = 3 * time.Second

func testExpiry(t *testing.T, open Open) {
	s := start(t, open)
	const space, lonely = "expiry", "expiry only"
	entries := []struct {
		key       string
		ttl, want time.Duration // 0 means for ever
	}{
		{"a nanosecond is a second", time.Nanosecond, time.Second},
		{"a second", time.Second, time.Second},
		{"a bit more than one second is two", time.Second + time.Millisecond, 2 * time.Second},
		{"longer than the test", time.Hour, time.Hour},
		{"centuries", 1<<63 - 1, time.Hour},
		{"zero", 0, 0},
		{"negative", -time.Second, 0},
		{"overwritten", time.Second, 0},
	}
	before := time.Now()
	must(t, update(s, space, func(tx store.Txn) error {
		for _, e := range entries {
			if err := tx.Put([]byte(e.key), []byte("v"), e.ttl); err != nil {
				return err
			}
			if got, err := getText(tx, e.key); err != nil || got != "v" {
				return fmt.Errorf("own entry with ttl %v: got %q, %v", e.ttl, got, err)
			}
		}
		return tx.PutStamped([]byte("stamped"), nil, []byte("v"), time.Second)
	}))
	must(t, update(s, space, func(tx store.Txn) error { return put(tx, "overwritten", "v") }))
	must(t, update(s, lonely, func(tx store.Txn) error { return tx.Put([]byte("k"), nil, time.Second) }))
	written := time.Now()

	// A view that began before an entry expired sees it to its end.
	const brief = "a second"
	must(t, view(s, space, func(tx store.Txn) error {
		seen, err := getText(tx, brief)
		if err != nil {
			return err
		}
		if time.Since(before) < time.Second && seen != "v" {
			t.Errorf("entry is gone before its ttl")
		}
		time.Sleep(time.Until(written.Add(time.Second + 1100*time.Millisecond)))
		again, err := getText(tx, brief)
		if err != nil {
			return err
		}
		if again != seen {
			t.Errorf("entry with a ttl within one view: first %q, then %q", seen, again)
		}
		return nil
	}))

	for deadline := written.Add(2*time.Second + lateBy); ; time.Sleep(20 * time.Millisecond) {
		asked := time.Now()
		var got []string
		var more bool
		must(t, view(s, space, func(tx store.Txn) error {
			page, err := tx.Scan(store.Range{})
			for _, e := range page.Entries {
				got = append(got, string(e.Key[:min(len(e.Key), 40)]))
				if len(e.Key) == len("stamped")+store.StampSize && string(e.Key[:len("stamped")]) == "stamped" {
					got[len(got)-1] = "stamped"
				}
			}
			more = page.More
			return err
		}))
		answered := time.Now()
		if more {
			t.Fatal("scan: more is true at the end")
		}
		waiting := false
		for _, e := range entries {
			there := slices.Contains(got, e.key)
			direct := get(t, s, space, e.key) == "v"
			early := e.want == 0 || answered.Sub(before) < e.want
			late := e.want != 0 && asked.Sub(written) > e.want+lateBy
			switch {
			case early && !there:
				t.Fatalf("entry %q with ttl %v is gone after %v", e.key, e.ttl, answered.Sub(before))
			case late && (there || direct):
				t.Fatalf("entry %q with ttl %v is there after %v", e.key, e.ttl, asked.Sub(written))
			}
			waiting = waiting || there && e.want != 0 && e.want < time.Hour
		}
		spaces, err := s.Spaces(context.Background())
		must(t, err)
		lingers := slices.Contains(spaces, lonely) || slices.Contains(got, "stamped")
		if !waiting && !lingers {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("after %v there still are %q in spaces %q", time.Since(written), got, spaces)
		}
	}
}

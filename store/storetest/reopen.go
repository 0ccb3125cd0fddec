package storetest

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/edgeset/edgeset/store"
)

// testReopen closes and opens a store between the steps of a random history, and
// wants its state to be there and its stamps to go on rising.
func testReopen(t *testing.T, reopen Reopen) {
	dir := t.TempDir()
	model := Model{}
	times := 6
	if testing.Short() {
		times = 3
	}
	const space = "stamps across openings"
	last := uint64(0)
	for opening := range times {
		s := reopen(t, dir)
		err := func() error {
			if err := model.Check(s); err != nil {
				return fmt.Errorf("as it was opened: %w", err)
			}
			random := rand.New(rand.NewPCG(uint64(opening), 1))
			for range 80 {
				if err := model.Step(s, random.IntN); err != nil {
					return err
				}
			}
			// The last write is a deletion: of what the store has to remember, it
			// is what leaves the least behind.
			if err := update(s, space, func(tx store.Txn) error {
				return errors.Join(tx.PutStamped(feed, nil, nil, 0), tx.PutStamped(feed, nil, nil, 0))
			}); err != nil {
				return err
			}
			var entries []store.Entry
			if err := view(s, space, func(tx store.Txn) (err error) {
				entries, err = all(tx, store.Range{})
				return err
			}); err != nil {
				return err
			}
			if len(entries) != 2 {
				return fmt.Errorf("got %d stamped entries, want 2", len(entries))
			}
			for _, e := range entries {
				stamp, err := stampOf(e.Key)
				if err != nil {
					return err
				}
				if stamp <= last {
					return fmt.Errorf("stamp %d after stamp %d", stamp, last)
				}
				last = stamp
			}
			if err := update(s, space, func(tx store.Txn) error {
				return errors.Join(tx.Delete(entries[0].Key), tx.Delete(entries[1].Key))
			}); err != nil {
				return err
			}
			return model.Check(s)
		}()
		if err = errors.Join(err, s.Close()); err != nil {
			t.Fatalf("opening %d: %v", opening, err)
		}
	}
}

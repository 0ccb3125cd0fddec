package store

import (
	"context"
	"errors"
	"math/rand/v2"
	"time"
)

// MaxRuns bounds how often a transaction is run before it is given up. One that
// reads what others write in every group of commits, as a viewer who is counted
// does beside uploads without a pause, loses most of the time; with the pauses
// between its runs, so many take half a second.
const MaxRuns = 20

// eager is how many runs follow each other without a pause: the other one is
// through by then.
const eager = 2

// Repeat is s.Update, again while the transaction meets others, MaxRuns times at
// most. fn begins anew each time.
func Repeat(ctx context.Context, s Store, space string, fn func(Txn) error) error {
	for run := 1; ; run++ {
		err := s.Update(ctx, space, fn)
		if !errors.Is(err, ErrConflict) || run == MaxRuns {
			return err
		}
		if err := BackOff(ctx, run); err != nil {
			return err
		}
	}
}

// BackOff waits before a transaction that has met another one in so many runs is
// run again, longer from run to run, and by chance, so that two do not meet for
// ever. It fails if ctx ends.
func BackOff(ctx context.Context, runs int) error {
	if runs <= eager {
		return nil
	}
	limit := min(time.Millisecond<<(runs-eager-1), 50*time.Millisecond)
	select {
	case <-time.After(rand.N(limit) + limit/2):
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

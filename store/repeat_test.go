package store_test

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/edgeset/edgeset/store"
)

// A crowd is a store in which a transaction meets others so many times.
type crowd struct {
	store.Store
	others, runs int
}

func (c *crowd) Update(_ context.Context, _ string, fn func(store.Txn) error) error {
	c.runs++
	if err := fn(nil); err != nil {
		return err
	}
	if c.runs <= c.others {
		return fmt.Errorf("key k: %w", store.ErrConflict)
	}
	return nil
}

func TestATransactionIsRepeatedUntilItMeetsNobody(t *testing.T) {
	failed := errors.New("failed")
	for _, c := range []struct {
		others, failing int // failing: in which run fn fails
		runs            int
		want            error
	}{
		{0, 0, 1, nil}, {1, 0, 2, nil}, {5, 0, 6, nil}, {store.MaxRuns - 1, 0, store.MaxRuns, nil},
		{store.MaxRuns, 0, store.MaxRuns, store.ErrConflict}, {9, 3, 3, failed},
	} {
		s := &crowd{others: c.others}
		err := store.Repeat(t.Context(), s, "a", func(store.Txn) error {
			if s.runs == c.failing {
				return failed
			}
			return nil
		})
		if !errors.Is(err, c.want) || s.runs != c.runs {
			t.Errorf("%+v: %v after %d runs", c, err, s.runs)
		}
	}
}

func TestNobodyWaitsForOthersBehindTheEndOfTheContext(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	s := &crowd{others: store.MaxRuns}
	err := store.Repeat(ctx, s, "a", func(store.Txn) error {
		if s.runs == 4 {
			cancel()
		}
		return nil
	})
	if !errors.Is(err, context.Canceled) || s.runs != 4 {
		t.Errorf("%v after %d runs", err, s.runs)
	}
}

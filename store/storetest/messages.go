package storetest

import (
	"context"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/edgeset/edgeset/store"
	"github.com/edgeset/edgeset/store/storetest/hammer"
)

// An inbox keeps the messages that a subscription has brought.
type inbox struct {
	mu   sync.Mutex
	list [][]string // of each transaction
}

func (b *inbox) take(messages [][]byte) {
	var texts []string
	for _, m := range messages {
		texts = append(texts, string(m))
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	b.list = append(b.list, texts)
}

func (b *inbox) all() [][]string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return slices.Clone(b.list)
}

func testMessages(t *testing.T, open Open) {
	s := start(t, open)
	t.Run("messages come with the commit", func(t *testing.T) { testMessageDelivery(t, s) })
	t.Run("messages follow the order of commits", func(t *testing.T) { testMessageOrder(t, s) })
	t.Run("a transaction that only publishes is serializable", func(t *testing.T) { testMessageConflict(t, s) })
}

func testMessageDelivery(t *testing.T, s store.Store) {
	var here, there inbox
	cancel := s.Subscribe("here", here.take)
	defer s.Subscribe("there", there.take)()
	publish := func(tx store.Txn, texts ...string) error {
		for _, text := range texts {
			message := []byte(text)
			if err := tx.Publish(message); err != nil {
				return err
			}
			scribble(message)
		}
		return nil
	}
	must(t, s.Update(context.Background(), "here", func(tx store.Txn) error {
		if err := publish(tx, "one", "two"); err != nil {
			return err
		}
		if got := here.all(); len(got) != 0 {
			return fmt.Errorf("before the commit there is %q", got)
		}
		return put(tx, "k", "v")
	}))
	if got := here.all(); len(got) != 1 || !slices.Equal(got[0], []string{"one", "two"}) {
		t.Fatalf("after Update there is %q", got)
	}
	// Without a write.
	must(t, s.Update(context.Background(), "here", func(tx store.Txn) error { return publish(tx, "three") }))
	// Never if the transaction fails.
	failed := errors.New("failed")
	err := s.Update(context.Background(), "here", func(tx store.Txn) error { return errors.Join(publish(tx, "never"), failed) })
	if !errors.Is(err, failed) {
		t.Fatal(err)
	}
	if got := here.all(); len(got) != 2 || !slices.Equal(got[1], []string{"three"}) {
		t.Fatalf("there is %q", got)
	}
	if got := there.all(); len(got) != 0 {
		t.Fatalf("another space has %q", got)
	}
	err = view(s, "here", func(tx store.Txn) error { return publish(tx, "never") })
	if !errors.Is(err, store.ErrReadOnly) {
		t.Fatalf("publish in a View: %v", err)
	}
	err = s.Update(context.Background(), "here", func(tx store.Txn) error {
		if err := tx.Publish(make([]byte, store.MaxMessages)); err != nil {
			return err
		}
		return tx.Publish([]byte("x"))
	})
	if !errors.Is(err, store.ErrTooLarge) {
		t.Fatalf("more than may be published: %v", err)
	}
	cancel()
	must(t, s.Update(context.Background(), "here", func(tx store.Txn) error { return publish(tx, "late") }))
	if got := here.all(); len(got) != 2 {
		t.Fatalf("after cancel there is %q", got)
	}
}

// Each transaction counts up, alone or beside others, and tells the number.
func testMessageOrder(t *testing.T, s store.Store) {
	const space, goroutines, rounds = "count", 8, 50
	var mu sync.Mutex
	var got []uint64
	defer s.Subscribe(space, func(messages [][]byte) {
		mu.Lock()
		defer mu.Unlock()
		for _, m := range messages {
			got = append(got, binary.BigEndian.Uint64(m))
		}
	})()
	hammer.Rounds(t, goroutines, rounds, func(_, round int) error {
		return update(s, space, func(tx store.Txn) error {
			value, _, err := tx.Get([]byte("n"))
			if err != nil {
				return err
			}
			n := uint64(1)
			if len(value) > 0 {
				n += binary.BigEndian.Uint64(value)
			}
			next := binary.BigEndian.AppendUint64(nil, n)
			if err := tx.Publish(next); err != nil {
				return err
			}
			return tx.Put([]byte("n"), next, 0)
		})
	})
	mu.Lock()
	defer mu.Unlock()
	if len(got) != goroutines*rounds {
		t.Fatalf("%d messages of %d", len(got), goroutines*rounds)
	}
	for i, n := range got {
		if n != uint64(i+1) {
			t.Fatalf("message %d is %d", i+1, n)
		}
	}
}

func testMessageConflict(t *testing.T, s store.Store) {
	const space = "conflict"
	var box inbox
	defer s.Subscribe(space, box.take)()
	for _, read := range []func(store.Txn) error{
		func(tx store.Txn) error { _, _, err := tx.Get([]byte("k")); return err },
		func(tx store.Txn) error { _, err := tx.Scan(store.Range{}); return err },
	} {
		err := s.Update(context.Background(), space, func(tx store.Txn) error {
			if err := read(tx); err != nil {
				return err
			}
			must(t, s.Update(context.Background(), space, func(tx store.Txn) error { return put(tx, "k", "new") }))
			return tx.Publish([]byte("out of date"))
		})
		if !errors.Is(err, store.ErrConflict) {
			t.Fatalf("what was read has changed: %v", err)
		}
	}
	if got := box.all(); len(got) != 0 {
		t.Fatalf("there is %q", got)
	}
}

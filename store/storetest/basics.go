package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/store"
)

func testBasics(t *testing.T, open Open) {
	s := start(t, open)
	must(t, update(s, "a", func(tx store.Txn) error {
		if got, err := getText(tx, "k"); err != nil || got != "-" {
			return fmt.Errorf("get of an absent key: got %q, %v", got, err)
		}
		if err := put(tx, "k", "1"); err != nil {
			return err
		}
		if got, err := getText(tx, "k"); err != nil || got != "1" {
			return fmt.Errorf("get of an own write: got %q, %v", got, err)
		}
		if err := errors.Join(put(tx, "k", "2"), put(tx, "gone", "x"), tx.Delete([]byte("gone")), put(tx, "empty", "")); err != nil {
			return err
		}
		if got, err := getText(tx, "gone"); err != nil || got != "-" {
			return fmt.Errorf("get of an own deletion: got %q, %v", got, err)
		}
		return tx.Delete([]byte("never there"))
	}))
	for key, want := range map[string]string{"k": "2", "gone": "-", "empty": ""} {
		if got := get(t, s, "a", key); got != want {
			t.Errorf("get %q: got %q, want %q", key, got, want)
		}
	}

	t.Run("what was returned stays valid until the transaction ends", func(t *testing.T) {
		big := bytes.Repeat([]byte("b"), 300_000)
		must(t, update(s, "slices", func(tx store.Txn) error {
			for i := range 50 {
				if err := tx.Put(fmt.Appendf(nil, "%02d", i), append(fmt.Appendf(nil, "%02d", i), big[:i*i*100]...), 0); err != nil {
					return err
				}
			}
			return nil
		}))
		check := func(tx store.Txn) error {
			var keys, values [][]byte
			for i := range 50 {
				value, _, err := tx.Get(fmt.Appendf(nil, "%02d", i))
				if err != nil {
					return err
				}
				page, err := tx.Scan(store.Range{Start: fmt.Appendf(nil, "%02d", i), Limit: 1, Reverse: false})
				if err != nil {
					return err
				}
				keys = append(keys, page.Entries[0].Key)
				values = append(values, value, page.Entries[0].Value)
			}
			for i := range keys {
				want := fmt.Sprintf("%02d", i)
				for _, got := range [][]byte{keys[i], values[2*i][:2], values[2*i+1][:2]} {
					if string(got) != want {
						return fmt.Errorf("slice of key %s has changed to %q", want, got)
					}
				}
			}
			return nil
		}
		must(t, view(s, "slices", check))
		must(t, update(s, "slices", check))
	})

	t.Run("a view sees what was acknowledged before", func(t *testing.T) {
		for i := range 200 {
			want := fmt.Sprint(i)
			must(t, update(s, "fresh", func(tx store.Txn) error { return put(tx, "k", want) }))
			if got := get(t, s, "fresh", "k"); got != want {
				t.Fatalf("got %q, want %q", got, want)
			}
		}
	})
}

func testScans(t *testing.T, open Open) {
	s := start(t, open)

	t.Run("bounds of no bytes are none", func(t *testing.T) {
		must(t, update(s, "bounds", func(tx store.Txn) error {
			return errors.Join(put(tx, "\x00", ""), put(tx, "m", ""), put(tx, "\xff\xff", ""))
		}))
		for _, r := range []store.Range{{}, {Start: []byte{}, End: []byte{}}, {Reverse: true}, {Start: []byte{}, End: []byte{}, Reverse: true}} {
			must(t, view(s, "bounds", func(tx store.Txn) error {
				page, err := tx.Scan(r)
				if err == nil && (len(page.Entries) != 3 || page.More) {
					err = fmt.Errorf("scan %+v: got %d entries, more %v; want 3, false", r, len(page.Entries), page.More)
				}
				return err
			}))
		}
	})

	t.Run("a range without keys is empty", func(t *testing.T) {
		for _, r := range []store.Range{
			{Start: []byte("n"), End: []byte("n")},
			{Start: []byte("z"), End: []byte("a")},
			{Start: []byte("n"), End: []byte("z")},
		} {
			for _, reverse := range []bool{false, true} {
				r.Reverse = reverse
				must(t, view(s, "bounds", func(tx store.Txn) error {
					page, err := tx.Scan(r)
					if err == nil && (len(page.Entries) != 0 || page.More) {
						err = fmt.Errorf("scan %+v: got %d entries, more %v", r, len(page.Entries), page.More)
					}
					return err
				}))
			}
		}
	})

	t.Run("a page is bounded in entries and bytes", func(t *testing.T) {
		value := bytes.Repeat([]byte("v"), 100)
		large := bytes.Repeat([]byte("v"), store.MaxValueSize)
		for base := 0; base < store.MaxPageSize+500; base += 500 {
			must(t, update(s, "pages", func(tx store.Txn) error {
				for i := range 500 {
					if err := tx.Put(fmt.Appendf(nil, "small/%04d", base+i), value, 0); err != nil {
						return err
					}
				}
				return nil
			}))
		}
		must(t, update(s, "pages", func(tx store.Txn) error {
			return errors.Join(tx.Put([]byte("large/1"), large, 0), tx.Put([]byte("large/2"), large, 0), tx.Put([]byte("medium"), large[:len(large)/2], 0))
		}))
		for _, c := range []struct {
			r    store.Range
			want int
			more bool
		}{
			{store.Range{Start: []byte("small/")}, store.MaxPageSize, true},
			{store.Range{Start: []byte("small/"), Limit: store.MaxPageSize * 5}, store.MaxPageSize, true},
			{store.Range{Start: []byte("small/"), Limit: 7}, 7, true},
			{store.Range{Start: []byte("small/1499")}, 1, false},
			{store.Range{Start: []byte("small/1499"), Limit: 1}, 1, false},
			{store.Range{Start: []byte("large/")}, 1, true},
			{store.Range{Start: []byte("large/2")}, 1, true},
			{store.Range{Start: []byte("medium"), Limit: 3}, 3, true},
			{store.Range{End: []byte("large/2\x00"), Reverse: true}, 1, true},
			{store.Range{End: []byte("large/2"), Reverse: true}, 1, false},
		} {
			must(t, view(s, "pages", func(tx store.Txn) error {
				page, err := tx.Scan(c.r)
				if err != nil {
					return err
				}
				if len(page.Entries) != c.want || page.More != c.more {
					t.Errorf("scan %+v: got %d entries, more %v; want %d, %v", c.r, len(page.Entries), page.More, c.want, c.more)
				}
				return nil
			}))
		}
	})
}

func testLimits(t *testing.T, open Open) {
	s := start(t, open)
	text := func(n int) []byte { return bytes.Repeat([]byte("x"), n) }
	big, small := text(store.MaxValueSize), text(store.LargeValue-1)

	for _, c := range []struct {
		name string
		fn   func(store.Txn) error
		want error
	}{
		{"key of no bytes", func(tx store.Txn) error { return tx.Put(nil, nil, 0) }, store.ErrEmptyKey},
		{"get of no key", func(tx store.Txn) error { _, _, err := tx.Get(nil); return err }, store.ErrEmptyKey},
		{"delete of no key", func(tx store.Txn) error { return tx.Delete([]byte{}) }, store.ErrEmptyKey},
		{"largest key", func(tx store.Txn) error { return tx.Put(text(store.MaxKeySize), nil, 0) }, nil},
		{"key too large", func(tx store.Txn) error { return tx.Put(text(store.MaxKeySize+1), nil, 0) }, store.ErrKeyTooLarge},
		{"get of a key too large", func(tx store.Txn) error { _, _, err := tx.Get(text(store.MaxKeySize + 1)); return err }, store.ErrKeyTooLarge},
		{"delete of a key too large", func(tx store.Txn) error { return tx.Delete(text(store.MaxKeySize + 1)) }, store.ErrKeyTooLarge},
		{"largest value", func(tx store.Txn) error { return tx.Put([]byte("k"), big, 0) }, nil},
		{"value too large", func(tx store.Txn) error { return tx.Put([]byte("k"), text(store.MaxValueSize+1), 0) }, store.ErrValueTooLarge},
		{"stamp without prefix and suffix", func(tx store.Txn) error { return tx.PutStamped(nil, nil, nil, 0) }, nil},
		{"largest stamped key", func(tx store.Txn) error { return tx.PutStamped(text(1000), text(store.MaxStampedKey-1000), nil, 0) }, nil},
		{"stamped key too large", func(tx store.Txn) error { return tx.PutStamped(text(1000), text(store.MaxStampedKey-999), nil, 0) }, store.ErrKeyTooLarge},
		{"stamped value too large", func(tx store.Txn) error { return tx.PutStamped([]byte("k"), nil, text(store.MaxValueSize+1), 0) }, store.ErrValueTooLarge},
		{"most writes", func(tx store.Txn) error { return manyWrites(tx, store.MaxTxnWrites) }, nil},
		{"too many writes", func(tx store.Txn) error { return manyWrites(tx, store.MaxTxnWrites+1) }, store.ErrTooLarge},
		{"most bytes", func(tx store.Txn) error { return manyBytes(tx, small, store.MaxTxnBytes) }, nil},
		{"too many bytes", func(tx store.Txn) error { return manyBytes(tx, small, store.MaxTxnBytes+1) }, store.ErrTooLarge},
		{"most of large values", func(tx store.Txn) error { return manyLarge(tx, big, store.MaxTxnLarge) }, nil},
		{"too much of large values", func(tx store.Txn) error { return manyLarge(tx, big, store.MaxTxnLarge+1) }, store.ErrTooLarge},
		{"most of all", mostOfAll, nil},
	} {
		t.Run(c.name, func(t *testing.T) {
			if err := update(s, strings.Repeat("s", store.MaxSpaceSize), c.fn); !errors.Is(err, c.want) {
				t.Errorf("got error %v, want %v", err, c.want)
			}
		})
	}

	t.Run("a write that was refused leaves the transaction as it was", func(t *testing.T) {
		must(t, update(s, "refused", func(tx store.Txn) error {
			if err := put(tx, "k", "1"); err != nil {
				return err
			}
			if err := tx.Put([]byte("k"), text(store.MaxValueSize+1), 0); !errors.Is(err, store.ErrValueTooLarge) {
				return fmt.Errorf("got error %v", err)
			}
			return nil
		}))
		if got := get(t, s, "refused", "k"); got != "1" {
			t.Errorf("got %q, want 1", got)
		}
	})

	t.Run("names of spaces", func(t *testing.T) {
		for name, want := range map[string]error{
			"": store.ErrBadSpace,
			strings.Repeat("s", store.MaxSpaceSize+1): store.ErrBadSpace,
			strings.Repeat("s", store.MaxSpaceSize):   nil,
			"\x00":                                    nil,
		} {
			nop := func(store.Txn) error { return nil }
			for what, err := range map[string]error{"view": view(s, name, nop), "update": update(s, name, nop)} {
				if !errors.Is(err, want) {
					t.Errorf("%s in a space of %d bytes: got error %v, want %v", what, len(name), err, want)
				}
			}
		}
	})
}

func manyWrites(tx store.Txn, n int) error {
	for i := range n {
		var err error
		switch i % 3 {
		case 0:
			err = tx.Put(fmt.Appendf(nil, "many/%04d", i), []byte("v"), 0)
		case 1:
			err = tx.Delete(fmt.Appendf(nil, "many/%04d", i-1))
		case 2:
			err = tx.PutStamped([]byte("many/"), nil, []byte("v"), 0)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// manyBytes writes n bytes, keys included.
func manyBytes(tx store.Txn, big []byte, n int) error {
	for i := 0; n > 0; i++ {
		key := fmt.Appendf(nil, "bytes/%04d", i)
		size := max(0, min(n-len(key), len(big)))
		if left := n - len(key) - size; left > 0 && left < len(key) {
			size -= len(key)
		}
		if err := tx.Put(key, big[:size], 0); err != nil {
			return err
		}
		n -= len(key) + size
	}
	return nil
}

// manyLarge writes n bytes in large values.
func manyLarge(tx store.Txn, big []byte, n int) error {
	for i := 0; n > 0; i++ {
		size := min(n, len(big))
		if left := n - size; left > 0 && left < store.LargeValue {
			size -= store.LargeValue
		}
		if err := tx.Put(fmt.Appendf(nil, "large/%04d", i), big[:size], 0); err != nil {
			return err
		}
		n -= size
	}
	return nil
}

// mostOfAll writes as much as is allowed in every respect at once: no driver may
// find that its own limits are tighter because of what it adds to each entry.
func mostOfAll(tx store.Txn) error {
	big := bytes.Repeat([]byte("v"), store.MaxValueSize)
	value := bytes.Repeat([]byte("v"), store.MaxTxnBytes/store.MaxTxnWrites-store.MaxKeySize)
	for i := range store.MaxTxnWrites {
		value := value
		if i < store.MaxTxnLarge/store.MaxValueSize {
			value = big
		}
		if err := tx.Put(fmt.Appendf(nil, "%0*d", store.MaxKeySize, i), value, 0); err != nil {
			return err
		}
	}
	return nil
}

func testSpaces(t *testing.T, open Open) {
	s := start(t, open)
	ctx := context.Background()
	if spaces, err := s.Spaces(ctx); err != nil || len(spaces) != 0 {
		t.Fatalf("spaces of a new store: got %q, %v", spaces, err)
	}
	// Each name and key together read the same as a neighbour's.
	names := []string{"a", "aa", "aaa", "b", "\x01", "\x01a", "\xff", strings.Repeat("\xff", store.MaxSpaceSize)}
	for _, name := range names {
		must(t, update(s, name, func(tx store.Txn) error {
			return errors.Join(put(tx, "a", name), put(tx, "aa", name), put(tx, "\xff", name))
		}))
	}
	for _, name := range names {
		must(t, view(s, name, func(tx store.Txn) error {
			for _, reverse := range []bool{false, true} {
				entries, err := all(tx, store.Range{Reverse: reverse})
				if err != nil {
					return err
				}
				if len(entries) != 3 {
					return fmt.Errorf("space %.10q: got %d entries, want 3: %q", name, len(entries), entries)
				}
				for _, e := range entries {
					if string(e.Value) != name {
						return fmt.Errorf("space %.10q: entry %q is of space %.10q", name, e.Key, e.Value)
					}
				}
			}
			return nil
		}))
	}
	listed := func(want []string) {
		t.Helper()
		got, err := s.Spaces(ctx)
		must(t, err)
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("spaces: got %.10q, want %.10q", got, want)
		}
	}
	listed(names)
	must(t, update(s, "aa", func(tx store.Txn) error {
		return errors.Join(tx.Delete([]byte("a")), tx.Delete([]byte("aa")), tx.Delete([]byte("\xff")))
	}))
	listed(slices.DeleteFunc(names, func(name string) bool { return name == "aa" }))
}

func testEnds(t *testing.T, open Open) {
	s := open(t)
	ctx := context.Background()
	nop := func(store.Txn) error { return nil }

	t.Run("writes in a view are refused", func(t *testing.T) {
		must(t, view(s, "a", func(tx store.Txn) error {
			for what, err := range map[string]error{
				"put":         tx.Put([]byte("k"), nil, 0),
				"put stamped": tx.PutStamped([]byte("k"), nil, nil, 0),
				"delete":      tx.Delete([]byte("k")),
			} {
				if !errors.Is(err, store.ErrReadOnly) {
					t.Errorf("%s: got error %v, want %v", what, err, store.ErrReadOnly)
				}
			}
			return nil
		}))
	})

	t.Run("the error of fn comes back as it is", func(t *testing.T) {
		if err := view(s, "a", func(store.Txn) error { return errAbort }); err != errAbort {
			t.Errorf("view: got %v", err)
		}
		err := s.Update(ctx, "a", func(tx store.Txn) error { return errors.Join(put(tx, "aborted", "x"), errAbort) })
		if !errors.Is(err, errAbort) {
			t.Errorf("update: got %v", err)
		}
		if got := get(t, s, "a", "aborted"); got != "-" {
			t.Errorf("what an aborted update wrote is there: %q", got)
		}
	})

	t.Run("a panic of fn passes and writes nothing", func(t *testing.T) {
		for what, run := range map[string]func(context.Context, string, func(store.Txn) error) error{"view": s.View, "update": s.Update} {
			func() {
				defer func() {
					if p := recover(); p != "bang" {
						t.Errorf("%s: recovered %v, want bang", what, p)
					}
				}()
				_ = run(ctx, "a", func(tx store.Txn) error {
					_ = put(tx, "panicked", "x")
					panic("bang")
				})
			}()
		}
		if got := get(t, s, "a", "panicked"); got != "-" {
			t.Errorf("what fn wrote before its panic is there: %q", got)
		}
	})

	t.Run("a context that has ended", func(t *testing.T) {
		ended, cancel := context.WithCancel(ctx)
		err := s.Update(ended, "a", func(tx store.Txn) error {
			cancel()
			return put(tx, "cancelled", "x")
		})
		if !errors.Is(err, context.Canceled) {
			t.Errorf("ended within fn: got error %v", err)
		}
		if got := get(t, s, "a", "cancelled"); got != "-" {
			t.Errorf("what was written is there: %q", got)
		}
		if err := s.Update(ended, "a", nop); !errors.Is(err, context.Canceled) {
			t.Errorf("update: got error %v", err)
		}
		if err := s.View(ended, "a", nop); !errors.Is(err, context.Canceled) {
			t.Errorf("view: got error %v", err)
		}
		if _, err := s.Spaces(ended); !errors.Is(err, context.Canceled) {
			t.Errorf("spaces: got error %v", err)
		}
	})

	t.Run("close waits for transactions that run", func(t *testing.T) {
		inside, leave, updated := make(chan bool), make(chan bool), make(chan error, 1)
		go func() {
			updated <- s.Update(ctx, "a", func(tx store.Txn) error {
				close(inside)
				<-leave
				return put(tx, "late", "x")
			})
		}()
		<-inside
		closed := make(chan error, 1)
		go func() { closed <- s.Close() }()
		select {
		case err := <-closed:
			t.Errorf("close returned (%v) while an update was running", err)
		case <-time.After(50 * time.Millisecond):
		}
		close(leave)
		if err := <-updated; err != nil {
			t.Errorf("update that ran when close was called: %v", err)
		}
		must(t, <-closed)
	})

	t.Run("a closed store", func(t *testing.T) {
		if err := s.View(ctx, "a", nop); !errors.Is(err, store.ErrClosed) {
			t.Errorf("view: got error %v", err)
		}
		if err := s.Update(ctx, "a", nop); !errors.Is(err, store.ErrClosed) {
			t.Errorf("update: got error %v", err)
		}
		if _, err := s.Spaces(ctx); !errors.Is(err, store.ErrClosed) {
			t.Errorf("spaces: got error %v", err)
		}
		if err := s.Close(); err != nil {
			t.Errorf("close again: %v", err)
		}
	})
}

package storetest

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/edgeset/edgeset/store"
)

// A Chooser decides what a random history does next: it returns a number from 0
// up to n, n excluded. A random generator is one, and so is a fuzzer's input.
type Chooser func(n int) int

// A Model is what a store must look like: spaces, keys, values. Nothing expires.
type Model map[string]map[string]string

func testModel(t *testing.T, open Open) {
	s := start(t, open)
	model := Model{}
	rounds := 300
	if testing.Short() {
		rounds = 60
	}
	for seed := range 4 {
		random := rand.New(rand.NewPCG(uint64(seed), 0))
		for round := range rounds {
			if err := model.Step(s, random.IntN); err != nil {
				t.Fatalf("seed %d, round %d: %v", seed, round, err)
			}
		}
	}
	must(t, model.Check(s))
}

// The names of spaces and the keys are few, so that they meet often, and are
// those at which an encoding may break: prefixes of each other, the lowest and
// the highest bytes.
var (
	modelSpaces = []string{"a", "ab", "\x00", "\xff\xff", "!badger!", strings.Repeat("!", 33), strings.Repeat("\xff", store.MaxSpaceSize)}
	modelBytes  = []byte{0x00, 0x01, 'a', 'b', 0xff}
	errAbort    = errors.New("storetest: fn gives up")
)

func chooseKey(choose Chooser, least int) []byte {
	key := make([]byte, least+choose(4))
	for i := range key {
		key[i] = modelBytes[choose(len(modelBytes))]
	}
	return key
}

func chooseValue(choose Chooser) []byte {
	size := [...]int{0, 1, 20, 300, 5000, 100_000}[choose(6)]
	value := bytes.Repeat([]byte{byte(choose(256))}, size)
	return value
}

func chooseRange(choose Chooser) store.Range {
	var r store.Range
	if choose(4) > 0 {
		r.Start = chooseKey(choose, 0)
	}
	if choose(4) > 0 {
		r.End = chooseKey(choose, 1)
	}
	r.Limit = [...]int{0, 1, 2, 3, 10, store.MaxPageSize, store.MaxPageSize + 1, -1}[choose(8)]
	r.Reverse = choose(2) == 1
	return r
}

// Step runs one transaction of a few operations on the store and on the model and
// compares what they return. The transaction is committed or given up.
func (m Model) Step(s store.Store, choose Chooser) error {
	space := modelSpaces[choose(len(modelSpaces))]
	pending := maps.Clone(m[space])
	if pending == nil {
		pending = map[string]string{}
	}
	readOnly := choose(4) == 0
	abort := choose(5) == 0
	run := s.Update
	if readOnly {
		run = s.View
	}
	err := run(context.Background(), space, func(tx store.Txn) error {
		for range 1 + choose(12) {
			if err := step(tx, pending, readOnly, choose); err != nil {
				return fmt.Errorf("space %q: %w", space, err)
			}
		}
		if abort {
			return errAbort
		}
		return nil
	})
	switch {
	case abort && errors.Is(err, errAbort):
		return nil
	case err != nil:
		return err
	case abort:
		return errors.New("the error of fn was not returned")
	}
	if !readOnly {
		m[space] = pending
	}
	return nil
}

func step(tx store.Txn, model map[string]string, readOnly bool, choose Chooser) error {
	kind := choose(8)
	if readOnly && kind < 4 {
		kind += 4
	}
	switch kind {
	case 0, 1, 2:
		key, value := chooseKey(choose, 1), chooseValue(choose)
		model[string(key)] = string(value)
		if err := tx.Put(key, value, 0); err != nil {
			return err
		}
		scribble(key, value)
	case 3:
		key := chooseKey(choose, 1)
		delete(model, string(key))
		if err := tx.Delete(key); err != nil {
			return err
		}
		scribble(key)
	case 4, 5:
		key := chooseKey(choose, 1)
		value, found, err := tx.Get(key)
		if err != nil {
			return err
		}
		want, there := model[string(key)]
		if found != there || string(value) != want {
			return fmt.Errorf("get %q: got %.20q (%d bytes), %v; want %.20q (%d bytes), %v", key, value, len(value), found, want, len(want), there)
		}
	default:
		r := chooseRange(choose)
		return compareScan(tx, model, r, choose(2) == 0)
	}
	return nil
}

// scribble overwrites what was passed to a Txn, which must have copied it.
func scribble(slices ...[]byte) {
	for _, s := range slices {
		for i := range s {
			s[i] ^= 0x55
		}
	}
}

// compareScan compares one page, or the whole range page by page.
func compareScan(tx store.Txn, model map[string]string, r store.Range, whole bool) error {
	want := modelRange(model, r)
	if whole {
		got, err := all(tx, r)
		if err != nil {
			return err
		}
		return compareEntries(r, got, want)
	}
	page, err := tx.Scan(r)
	if err != nil {
		return err
	}
	limit := r.Limit
	if limit <= 0 || limit > store.MaxPageSize {
		limit = store.MaxPageSize
	}
	size := 0
	for i, e := range want {
		size += len(e.Key) + len(e.Value)
		if i == limit || i > 0 && size > store.MaxPageBytes {
			if !page.More {
				return fmt.Errorf("scan %+v: more is false after %d of %d entries", r, i, len(want))
			}
			return compareEntries(r, page.Entries, want[:i])
		}
	}
	if page.More {
		return fmt.Errorf("scan %+v: more is true at the end", r)
	}
	return compareEntries(r, page.Entries, want)
}

func modelRange(model map[string]string, r store.Range) []store.Entry {
	var entries []store.Entry
	for _, key := range slices.Sorted(maps.Keys(model)) {
		if key < string(r.Start) || len(r.End) > 0 && key >= string(r.End) {
			continue
		}
		entries = append(entries, store.Entry{Key: []byte(key), Value: []byte(model[key])})
	}
	if r.Reverse {
		slices.Reverse(entries)
	}
	return entries
}

func compareEntries(r store.Range, got, want []store.Entry) error {
	for i := range max(len(got), len(want)) {
		switch {
		case i >= len(got):
			return fmt.Errorf("scan %+v: got %d entries, want %d: %q is missing", r, len(got), len(want), want[i].Key)
		case i >= len(want):
			return fmt.Errorf("scan %+v: got %d entries, want %d: %q is too many", r, len(got), len(want), got[i].Key)
		case !bytes.Equal(got[i].Key, want[i].Key):
			return fmt.Errorf("scan %+v: entry %d: got key %q, want %q", r, i, got[i].Key, want[i].Key)
		case !bytes.Equal(got[i].Value, want[i].Value):
			return fmt.Errorf("scan %+v: key %q: got %d bytes %.20q, want %d bytes %.20q", r, want[i].Key,
				len(got[i].Value), got[i].Value, len(want[i].Value), want[i].Value)
		}
	}
	return nil
}

// Check compares the whole store with the model, the list of its spaces included.
func (m Model) Check(s store.Store) error {
	var want []string
	for space, keys := range m {
		if len(keys) > 0 {
			want = append(want, space)
		}
		for _, reverse := range []bool{false, true} {
			err := s.View(context.Background(), space, func(tx store.Txn) error {
				return compareScan(tx, keys, store.Range{Reverse: reverse}, true)
			})
			if err != nil {
				return fmt.Errorf("space %q: %w", space, err)
			}
		}
	}
	got, err := s.Spaces(context.Background())
	if err != nil {
		return err
	}
	slices.Sort(want)
	slices.Sort(got)
	if !slices.Equal(got, want) {
		return fmt.Errorf("spaces: got %q, want %q", got, want)
	}
	return nil
}

// Clear deletes everything from the store and from the model.
func (m Model) Clear(s store.Store) error {
	for space := range m {
		for left := true; left; {
			err := s.Update(context.Background(), space, func(tx store.Txn) error {
				page, err := tx.Scan(store.Range{})
				left = page.More
				for _, e := range page.Entries {
					err = errors.Join(err, tx.Delete(e.Key))
				}
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	clear(m)
	return nil
}

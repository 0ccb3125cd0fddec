package main

import (
	"slices"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// An indexStore is the key space of a plugin in memory, for much. It counts what is
// asked of it, and refuses what the host would refuse.
type indexStore struct {
	abi.Host // of which it has no more than the key space

	t       testing.TB
	kv      *guest.KV
	entries map[string][]byte
	keys    []string // in order; nil: to be sorted
	asked
}

// asked is what was asked of a store.
type asked struct {
	crossings, keys, found, foundBytes int // of reads
	writes, writtenBytes               int
}

func newIndexStore(t testing.TB) *indexStore {
	s := &indexStore{t: t, entries: map[string][]byte{}}
	p := guest.New("index", "1.0.0")
	p.Family("/", nil).GET("/", func(_ *guest.Response, r *guest.Request) error { s.kv = r.KV(); return nil })
	f := abi.Request{Kind: abi.CallRequest, Method: "GET", Path: "/"}
	var w abi.Writer
	f.Append(&w)
	if _, err := p.NewCall().Do(s, w.Value()); err != nil {
		t.Fatal(err)
	}
	return s
}

// do runs what a call does.
func (s *indexStore) do(err error) asked {
	s.t.Helper()
	if err != nil {
		s.t.Fatal(err)
	}
	a := s.asked
	s.asked = asked{}
	return a
}

func (s *indexStore) get(key []byte) []byte {
	v := s.entries[string(key)]
	s.asked.keys++
	if v != nil {
		s.found++
		s.foundBytes += len(v)
	}
	return v
}

func (s *indexStore) Get(key []byte) ([]byte, bool, error) {
	s.crossings++
	v := s.get(key)
	return v, v != nil, nil
}

func (s *indexStore) GetMany(keys [][]byte) ([][]byte, error) {
	s.crossings++
	list := make([][]byte, len(keys))
	for i, key := range keys {
		list[i] = s.get(key)
	}
	return list, nil
}

func (s *indexStore) write(key, value []byte) error {
	s.writes++
	s.writtenBytes += len(key) + len(value)
	if s.writes > 4096 || s.writtenBytes > 8<<20 {
		return abi.ErrTooLarge
	}
	if len(key) > 1000 {
		return abi.ErrKey
	}
	return nil
}

func (s *indexStore) Put(key, value []byte, _ time.Duration) error {
	if _, there := s.entries[string(key)]; !there {
		s.keys = nil
	}
	s.entries[string(key)] = append([]byte{}, value...)
	return s.write(key, value)
}

func (s *indexStore) Delete(key []byte) error {
	delete(s.entries, string(key))
	s.keys = nil
	return s.write(key, nil)
}

func (s *indexStore) Scan(r abi.Range) (p abi.Page, err error) {
	if s.keys == nil {
		for key := range s.entries {
			if key[0] == keyMoment {
				s.keys = append(s.keys, key)
			}
		}
		slices.Sort(s.keys)
	}
	s.crossings++
	lo, _ := slices.BinarySearch(s.keys, string(r.Start))
	hi, _ := slices.BinarySearch(s.keys, string(r.End))
	for range r.Limit {
		key := ""
		switch {
		case lo >= hi:
			return p, nil
		case r.Reverse:
			hi--
			key = s.keys[hi]
		default:
			key = s.keys[lo]
			lo++
		}
		s.get([]byte(key))
		p.Entries = append(p.Entries, abi.Entry{Key: []byte(key), Value: []byte{}})
	}
	return p, nil
}

// empty fails if there are records left.
func (s *indexStore) empty() {
	s.t.Helper()
	for key := range s.entries {
		s.t.Errorf("%q is left", key)
	}
}

// pagesOf reads all pages of a size.
func pagesOf(t testing.TB, size int, page func(skip, limit int) (int, []uint32, error)) (numbers []uint32) {
	t.Helper()
	for {
		total, some, err := page(len(numbers), size)
		if err != nil {
			t.Fatal(err)
		}
		numbers = append(numbers, some...)
		if len(some) != min(size, max(total-len(numbers)+len(some), 0)) {
			t.Fatalf("a page behind %d of %d has %d numbers", len(numbers)-len(some), total, len(some))
		}
		if len(some) < size {
			if len(numbers) != total {
				t.Fatalf("pages have %d numbers of %d", len(numbers), total)
			}
			return numbers
		}
	}
}

package badgerstore

import (
	"bytes"
	"fmt"

	"github.com/dgraph-io/badger/v4"

	"github.com/edgeset/edgeset/store"
)

// A cursor is a Badger iterator over the transaction's space. It is kept for the
// transaction's further scans, because opening one costs more than seeking.
type cursor struct{ it *badger.Iterator }

func (t *txn) open(reverse bool) *badger.Iterator {
	c := &t.cursor[0]
	if reverse {
		c = &t.cursor[1]
	}
	if c.it == nil {
		c.it = t.base.NewIterator(badger.IteratorOptions{
			Reverse: reverse,
			Prefix:  t.prefix,
			// Badger prefetches with a goroutine for each value, which costs
			// more than copying one that is in memory or in the page cache.
			PrefetchValues: false,
		})
	}
	return c.it
}

func (c *cursor) close() {
	if c.it != nil {
		c.it.Close()
		c.it = nil
	}
}

// Scan is part of store.Txn. A bound of no bytes is taken as none.
func (t *txn) Scan(r store.Range) (store.Page, error) {
	if t.scratch == nil {
		return store.Page{}, errEnded
	}
	limit := r.Limit
	if limit <= 0 || limit > store.MaxPageSize {
		limit = store.MaxPageSize
	}
	start := t.arena.concat(t.prefix, r.Start)
	var end []byte
	if len(r.End) > 0 {
		end = t.arena.concat(t.prefix, r.End)
	} else {
		end = t.arena.keep(appendAfter(t.arena.tail(len(t.prefix)), t.prefix))
	}
	if bytes.Compare(start, end) >= 0 {
		return store.Page{}, nil
	}

	m := merge{t: t, start: start, end: end, reverse: r.Reverse}
	m.seek()
	var page store.Page
	size := 0
	for m.next() {
		if len(page.Entries) == limit {
			page.More = true
			break
		}
		var value []byte
		if !r.KeysOnly {
			var err error
			if value, err = m.value(); err != nil {
				return store.Page{}, fmt.Errorf("badgerstore: scan space %q at %q: %w", t.space, m.key[len(t.prefix):], err)
			}
		}
		size += len(m.key) - len(t.prefix) + len(value)
		if size > store.MaxPageBytes && len(page.Entries) > 0 {
			page.More = true
			break
		}
		if page.Entries == nil {
			page.Entries = make([]store.Entry, 0, min(limit, 64))
		}
		key := m.key
		if m.item != nil {
			key = t.arena.copy(key) // the iterator will reuse it
		}
		page.Entries = append(page.Entries, store.Entry{Key: key[len(t.prefix):], Value: value})
	}

	// What was read is what the caller can conclude from the page: that it holds
	// all keys up to its last one, and whether another key follows. So the entry
	// that made More true belongs to it, and all that lies behind does not.
	if page.More {
		last := t.arena.copy(m.key)
		if r.Reverse {
			start = last
		} else {
			end = t.arena.concat(last, zero)
		}
	}
	t.readSpan(start, end)
	return page, nil
}

var zero = []byte{0}

// A merge walks over the committed entries of a range and the transaction's own
// writes, as if these were committed.
type merge struct {
	t          *txn
	start, end []byte
	reverse    bool

	it  *badger.Iterator
	own int // the next of t.overlay.sorted

	// The current entry, after next has returned true.
	key  []byte
	item *badger.Item // nil if the entry is the transaction's own
	mine write
}

func (m *merge) seek() {
	m.it = m.t.open(m.reverse)
	if !m.reverse {
		m.it.Seek(m.start)
		m.own, _ = m.t.overlay.find(m.start)
		return
	}
	m.it.Seek(m.end)
	if m.it.Valid() && bytes.Equal(m.it.Item().Key(), m.end) {
		m.it.Next() // the range is open at its end
	}
	m.own, _ = m.t.overlay.find(m.end)
	m.own--
}

// next moves to the next entry that is there.
func (m *merge) next() bool {
	for {
		if m.item != nil {
			m.it.Next()
			m.item = nil
		}
		item := m.peekItem()
		mine := m.peekOwn()
		switch order := m.compare(item, mine); {
		case item == nil && mine == nil:
			return false
		case order < 0: // the committed entry comes first
			m.item, m.key = item, item.Key()
			if m.t.expired(item) {
				continue
			}
			return true
		case order == 0: // the own write hides the committed entry
			m.it.Next()
		}
		m.mine, m.key = *mine, mine.key
		if m.reverse {
			m.own--
		} else {
			m.own++
		}
		if m.mine.deleted {
			continue
		}
		return true
	}
}

// compare tells which entry comes first; one that is not there comes last.
func (m *merge) compare(item *badger.Item, mine *write) int {
	switch {
	case item == nil:
		return 1
	case mine == nil:
		return -1
	case m.reverse:
		return bytes.Compare(mine.key, item.Key())
	}
	return bytes.Compare(item.Key(), mine.key)
}

func (m *merge) peekItem() *badger.Item {
	if !m.it.Valid() {
		return nil
	}
	item := m.it.Item()
	if !m.contains(item.Key()) {
		return nil
	}
	return item
}

func (m *merge) peekOwn() *write {
	own := m.t.overlay.sorted
	if m.own < 0 || m.own >= len(own) || !m.contains(own[m.own].key) {
		return nil
	}
	return &own[m.own]
}

// contains looks only at the end towards which the merge walks.
func (m *merge) contains(key []byte) bool {
	if m.reverse {
		return bytes.Compare(key, m.start) >= 0
	}
	return bytes.Compare(key, m.end) < 0
}

func (m *merge) value() ([]byte, error) {
	if m.item == nil {
		return m.mine.value, nil
	}
	value, err := m.t.value(m.item)
	if err == errNoValue {
		// Badger holds value-log files back while an iterator is open, but one
		// may have been moved just before ours was opened.
		var found bool
		if value, found, err = m.t.load(m.key); err == nil && !found {
			err = errNoValue
		}
	}
	return value, err
}

package badgerstore

import (
	"bytes"
	"slices"
)

// A write is one pending Put or Delete.
type write struct {
	key     []byte // Badger's key
	value   []byte
	expires int64 // unix seconds at which the entry is gone; 0 means never
	deleted bool
	stampAt int // where in key the stamp goes; 0 means that there is none
}

// An overlay holds what a transaction wants to write, in the order of keys, so
// that the transaction's own reads can be merged with it. It holds at most
// store.MaxTxnWrites writes, so that moving what lies behind a new one costs less
// than the allocations of a tree.
type overlay struct {
	sorted  []write // by key, each key once
	stamped []write // in the order of the calls; not readable before the commit
}

// find returns where key is or would be.
func (o *overlay) find(key []byte) (int, bool) {
	// Keys often come in order: look behind the last one first.
	n := len(o.sorted)
	if n == 0 || bytes.Compare(o.sorted[n-1].key, key) < 0 {
		return n, false
	}
	return slices.BinarySearchFunc(o.sorted, key, func(w write, key []byte) int {
		return bytes.Compare(w.key, key)
	})
}

func (o *overlay) get(key []byte) (write, bool) {
	at, ok := o.find(key)
	if !ok {
		return write{}, false
	}
	return o.sorted[at], true
}

func (o *overlay) put(w write) {
	at, ok := o.find(w.key)
	if ok {
		o.sorted[at] = w
		return
	}
	o.sorted = slices.Insert(o.sorted, at, w)
}

func (o *overlay) len() int { return len(o.sorted) + len(o.stamped) }

// reset forgets all writes and what they point to.
func (o *overlay) reset() {
	clear(o.sorted)
	clear(o.stamped)
	o.sorted, o.stamped = o.sorted[:0], o.stamped[:0]
}

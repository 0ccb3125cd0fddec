package main

import (
	"fmt"
	"math"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// nextNumber gives a number to what is created on a shelf, and the time of that in
// microseconds, which never falls when numbers rise.
func nextNumber(r *guest.Request, s shelf) (number uint32, created int64, err error) {
	key := shelfKey(keyCounter, s)
	record, found, err := r.KV().Get(key)
	if err != nil {
		return 0, 0, err
	}
	var last int64
	created = r.Time().UnixMicro()
	if found {
		fields := abi.Value(record).Read()
		more := fields.Array() - 2
		last, created = fields.Int(), max(created, fields.Int())
		if fields.Skip(more); more < 0 || !fields.Done() {
			return 0, 0, fmt.Errorf("counter of shelf %c: cannot be read: want an array of a number and a time", s)
		}
	}
	if last >= math.MaxUint32 {
		return 0, 0, fmt.Errorf("counter of shelf %c: all %d numbers are given", s, uint32(math.MaxUint32))
	}
	var w abi.Writer
	w.FixedArray(2)
	w.Int(last + 1)
	w.Int(created)
	return uint32(last + 1), created, r.KV().Put(key, w.Value())
}

// touch remembers that something on a shelf is changed. No two changes are of the same
// second, and a later one has a later second: of two requests the one that began first
// may be committed last, and who knows the time of the other would not see it.
func touch(r *guest.Request, s shelf) error {
	last, err := changed(r.KV(), s)
	if err != nil {
		return err
	}
	var w abi.Writer
	w.Int(later(r, last))
	return r.KV().Put(shelfKey(keyChanged, s), w.Value())
}

// later is the time of a change behind one of another time: the request's, or the next
// second.
func later(r *guest.Request, last int64) int64 {
	const second = 1_000_000
	return max(r.Time().UnixMicro(), (last/second+1)*second)
}

// changed returns when something on a shelf was last changed, in microseconds; 0 if
// nothing ever was.
func changed(kv *guest.KV, s shelf) (micros int64, err error) {
	record, found, err := kv.Get(shelfKey(keyChanged, s))
	if err != nil || !found {
		return 0, err
	}
	r := abi.Value(record).Read()
	if micros = r.Int(); !r.Done() {
		return 0, fmt.Errorf("time of the last change of shelf %c: cannot be read: want a number", s)
	}
	return micros, nil
}

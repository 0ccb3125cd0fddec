package main

import (
	"encoding/binary"
	"math"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// Moments tell which numbers the posts of some time have, as later posts have larger
// numbers:
//
//	t created number         a post; in microseconds since 1970
const keyMoment = 't'

const microsecond = 1_000_000 // in a second

// appendInstant appends an instant so that its bytes sort as the instants do.
func appendInstant(b []byte, micros int64) []byte {
	return binary.BigEndian.AppendUint64(b, uint64(micros)^1<<63)
}

func momentKey(created int64, number uint32) []byte {
	b := appendInstant(append(make([]byte, 0, 1+8+4), keyMoment), created)
	return binary.BigEndian.AppendUint32(b, number)
}

// numbersBetween returns the first and the last number of the posts that were created
// between two times in seconds, both inclusive; to 0 is no end. There are none if lo
// is larger than hi. It costs a scan of one entry for each end.
func numbersBetween(kv *guest.KV, from, to int64) (lo, hi uint32, err error) {
	const latest = math.MaxInt64/microsecond - 1
	lo, hi = 0, math.MaxUint32
	from, to = min(from, latest), min(to, latest)
	if from > 0 {
		r := abi.Range{Start: appendInstant([]byte{keyMoment}, from*microsecond), End: []byte{keyMoment + 1}}
		n, found, err := edgeOf(kv, r)
		if err != nil || !found {
			return 1, 0, err
		}
		lo = n
	}
	if to != 0 {
		if to < from || to < 0 {
			return 1, 0, nil
		}
		r := abi.Range{Start: []byte{keyMoment}, End: appendInstant([]byte{keyMoment}, (to+1)*microsecond), Reverse: true}
		n, found, err := edgeOf(kv, r)
		if err != nil || !found {
			return 1, 0, err
		}
		hi = n
	}
	return lo, hi, nil
}

// edgeOf returns the number of the first post of a range.
func edgeOf(kv *guest.KV, r abi.Range) (n uint32, found bool, err error) {
	r.Limit, r.KeysOnly = 1, true
	page, err := kv.Scan(r)
	if err != nil || len(page.Entries) == 0 {
		return 0, false, err
	}
	key := page.Entries[0].Key
	if len(key) != 1+8+4 {
		return 0, false, errDamaged
	}
	return binary.BigEndian.Uint32(key[1+8:]), true, nil
}

package main

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// Flags are what is known of those who find something inappropriate: how many since
// the last time that operators found it to be all right, and who ever did.
type flags struct {
	count int
	by    []byte // markSize bytes for each
}

const (
	// markSize is how much is kept of a flagger's hash. Two flaggers with one mark
	// are so rare that nobody minds that they count as one.
	markSize = 8

	// maxFlaggers bounds the record. Who comes later does not count.
	maxFlaggers = 20000
)

func readFlags(kv *guest.KV, s shelf, number uint32) (f flags, err error) {
	record, found, err := kv.Get(flagsKey(s, number))
	if err != nil || !found {
		return f, err
	}
	r := abi.Value(record).Read()
	more := r.Array() - 2
	f.count, f.by = int(r.Int()), r.Bytes()
	if r.Skip(more); more < 0 || !r.Done() || len(f.by)%markSize != 0 {
		return f, fmt.Errorf("flags of %c %d: cannot be read: want an array of a number and marks of %d bytes", s, number, markSize)
	}
	return f, nil
}

func (f *flags) save(kv *guest.KV, s shelf, number uint32) error {
	var w abi.Writer
	w.FixedArray(2)
	w.Int(int64(f.count))
	w.Bytes(f.by)
	return kv.Put(flagsKey(s, number), w.Value())
}

// add counts somebody, once.
func (f *flags) add(who string) bool {
	sum := sha256.Sum256([]byte(who))
	mark := binary.BigEndian.Uint64(sum[:])
	for b := f.by; len(b) > 0; b = b[markSize:] {
		if binary.BigEndian.Uint64(b) == mark {
			return false
		}
	}
	if len(f.by) >= maxFlaggers*markSize {
		return false
	}
	f.count++
	f.by = append(append(make([]byte, 0, len(f.by)+markSize), f.by...), sum[:markSize]...)
	return true
}

// addFlag notes that the caller flags something on a shelf, and puts it into the
// operators' queue. It sets *count to the number of flags, and tells whether it is
// to be hidden for that.
func addFlag(r *guest.Request, s shelf, number uint32, count *int) (hide bool, err error) {
	limit, err := hideAfter(r)
	if err != nil {
		return false, err
	}
	kv := r.KV()
	f, err := readFlags(kv, s, number)
	if err != nil {
		return false, err
	}
	before := f.count
	if !f.add(flagger(r)) {
		return false, nil
	}
	if err := moveInQueue(kv, s, number, before, f.count); err != nil {
		return false, err
	}
	*count = f.count
	return limit > 0 && f.count >= limit, f.save(kv, s, number)
}

// clearFlags sets the number of flags to none, and takes it out of the operators'
// queue. Who has flagged it does not count again.
func clearFlags(kv *guest.KV, s shelf, number uint32) error {
	f, err := readFlags(kv, s, number)
	if err != nil || f.count == 0 {
		return err
	}
	if err := moveInQueue(kv, s, number, f.count, 0); err != nil {
		return err
	}
	f.count = 0
	return f.save(kv, s, number)
}

// dropFlags forgets the flags of what is deleted.
func dropFlags(kv *guest.KV, s shelf, number uint32) error {
	f, err := readFlags(kv, s, number)
	if err != nil || len(f.by) == 0 {
		return err
	}
	if err := moveInQueue(kv, s, number, f.count, 0); err != nil {
		return err
	}
	return kv.Delete(flagsKey(s, number))
}

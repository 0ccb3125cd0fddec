package main

import (
	"encoding/binary"
	"errors"
	"slices"

	"github.com/edgeset/edgeset/abi/guest"
)

// A set is a set of numbers that counts them and reads pages of them, the largest
// first. It is kept as
//
//	s 0 key              → head: how many blocks there are (4 bytes); for each where it
//	                       starts (4) and how many numbers it has (2); the tail, a pack
//	s 1 len key start    → block: a pack
//
// Numbers are mostly added at the end, to the tail. When that has more than maxTail,
// the older ones go to the last block, or to a new one. So to add one writes the head,
// some hundred bytes, and a block only once in a while; a total, and a page of the
// newest numbers, are one read, however many there are.
//
// A block has the numbers from its start to the next one's start, or to the tail's
// first number. A tail is never empty: a set without numbers has no records.
type set struct {
	kv     *guest.KV
	key    []byte
	opened *opened // what was read; nil after a change
}

const (
	maxTail  = 256
	keepTail = 128              // what stays there when it is full
	maxBlock = packHead + 8*256 // bytes
	dirEntry = 4 + 2
)

// errDamaged stands for a record that is not as this plugin writes it.
var errDamaged = errors.New("posts: a record of the index is damaged")

// newSet returns the set under a key of at most 255 bytes.
func newSet(kv *guest.KV, key ...byte) *set { return &set{kv: kv, key: key} }

const (
	keySet     = 's'
	headPrefix = 2 // bytes before the set's key in that of its head
)

func appendHeadKey(b, key []byte) []byte { return append(append(b, keySet, 0), key...) }

func appendBlockKey(b, key []byte, start uint32) []byte {
	b = append(append(b, keySet, 1, byte(len(key))), key...)
	return binary.BigEndian.AppendUint32(b, start)
}

// add puts a number in; one that is there stays.
func (s *set) add(number uint32) error { return s.change(number, false) }

// remove takes a number out; one that is not there is no error.
func (s *set) remove(number uint32) error { return s.change(number, true) }

func (s *set) change(number uint32, remove bool) error {
	s.opened = nil
	return applyEdits(s.kv, []edit{{key: s.key, number: number, remove: remove}})
}

// count returns how many numbers there are.
func (s *set) count() (int, error) {
	o, err := s.open()
	if err != nil {
		return 0, err
	}
	return o.total(), nil
}

// page returns numbers from the largest downwards, at most limit, less the first
// skip.
func (s *set) page(skip, limit int) ([]uint32, error) {
	o, err := s.open()
	if err != nil {
		return nil, err
	}
	return o.newest(s.kv, nil, skip, limit)
}

// addAll puts in the numbers that other has, and removeAll takes them out. They write
// each block in which there are, or will be, such numbers once.
func (s *set) addAll(other *set) error    { return s.combine(other, false) }
func (s *set) removeAll(other *set) error { return s.combine(other, true) }

func (s *set) combine(other *set, remove bool) error {
	o, err := s.open()
	if err != nil {
		return err
	}
	numbers, err := other.all()
	if err != nil || len(numbers) == 0 || remove && o.total() == 0 {
		return err
	}
	within := func(lo, end uint64) []uint32 {
		from, _ := slices.BinarySearch(numbers, uint32(lo))
		to := len(numbers)
		if end <= uint64(numbers[to-1]) {
			to, _ = slices.BinarySearch(numbers, uint32(end))
		}
		return numbers[min(from, to):to]
	}
	err = load(s.kv, []*opened{o}, func(o *opened, i int) bool { return len(within(o.bounds(i))) > 0 })
	if err != nil {
		return err
	}
	w := writer{kv: s.kv, key: s.key}
	for i := range o.blocks() {
		start := o.start(i)
		if some := within(o.bounds(i)); len(some) > 0 {
			left := combined(o.loaded[i].appendTo(nil), some, remove)
			if len(left) != o.size(i) {
				if len(left) == 0 || left[0] < start {
					if err := w.putBlock(start, nil); err != nil {
						return err
					}
				}
				if err := w.appendBlocks(left, start); err != nil {
					return err
				}
				continue
			}
		}
		w.dir = appendEntry(w.dir, start, o.size(i))
	}
	lo := uint64(0)
	if o.blocks() > 0 {
		lo = uint64(o.tail.lowest())
	}
	s.opened = nil
	return w.putTail(combined(o.tail.appendTo(nil), within(lo, beyond), remove))
}

// combined returns numbers with others or without them; all are in order.
func combined(numbers, others []uint32, without bool) []uint32 {
	if !without {
		numbers = append(numbers, others...)
		slices.Sort(numbers)
		return slices.Compact(numbers)
	}
	return slices.DeleteFunc(numbers, func(n uint32) bool {
		for len(others) > 0 && others[0] < n {
			others = others[1:]
		}
		return len(others) > 0 && others[0] == n
	})
}

// drop removes the set.
func (s *set) drop() error {
	o, err := s.open()
	if err != nil || o.total() == 0 {
		return err
	}
	s.opened = nil
	for i := range o.blocks() {
		if err := s.kv.Delete(appendBlockKey(nil, s.key, o.start(i))); err != nil {
			return err
		}
	}
	return s.kv.Delete(appendHeadKey(nil, s.key))
}

// all returns all numbers, in order.
func (s *set) all() ([]uint32, error) {
	o, err := s.open()
	if err != nil {
		return nil, err
	}
	if err := load(s.kv, []*opened{o}, everyBlock); err != nil {
		return nil, err
	}
	return o.appendAll(nil), nil
}

func (s *set) open() (*opened, error) {
	if s.opened == nil {
		list, err := openSets(s.kv, [][]byte{s.key})
		if err != nil {
			return nil, err
		}
		s.opened = list[0]
	}
	return s.opened, nil
}

// An edit is a number that goes into a set or out of it.
type edit struct {
	key    []byte
	number uint32
	remove bool
	head   []byte // of the set, if it was read already
}

// applyEdits changes sets, each of them once: it reads the heads, then the blocks that
// are concerned, both at once.
func applyEdits(kv *guest.KV, edits []edit) error {
	sets := make([]*opened, len(edits))
	var keys [][]byte
	for i := range edits {
		e := &edits[i]
		if e.head == nil {
			keys = append(keys, e.key)
			continue
		}
		sets[i] = new(opened)
		if err := sets[i].read(e.key, e.head); err != nil {
			return err
		}
	}
	if len(keys) > 0 {
		others, err := openSets(kv, keys)
		if err != nil {
			return err
		}
		for i := range sets {
			if sets[i] == nil {
				sets[i], others = others[0], others[1:]
			}
		}
	}
	for i, o := range sets {
		o.held = o.holder(edits[i].number)
	}
	if err := load(kv, sets, func(o *opened, i int) bool { return i == o.held }); err != nil {
		return err
	}
	w := writer{kv: kv}
	for i, o := range sets {
		if err := w.apply(o, &edits[i]); err != nil {
			return err
		}
	}
	return nil
}

// A writer writes the records of sets, one set after the other.
type writer struct {
	kv  *guest.KV
	key []byte
	dir []byte

	numbers  []uint32
	keyB     []byte
	out      []byte
	head     []byte
	unpacked []uint32
}

// apply makes an edit of a set of which the block that is concerned was read.
func (w *writer) apply(o *opened, e *edit) error {
	w.key, w.dir = e.key, append(w.dir[:0], o.dir...)
	at, p := o.held, o.tail
	if at >= 0 {
		p = o.loaded[at]
	}
	if p.has(e.number) != e.remove {
		return nil
	}
	w.numbers = p.appendTo(w.numbers[:0])
	place, _ := slices.BinarySearch(w.numbers, e.number)
	if e.remove {
		w.numbers = slices.Delete(w.numbers, place, place+1)
	} else {
		w.numbers = slices.Insert(w.numbers, place, e.number)
	}
	if at < 0 {
		return w.putTail(w.numbers)
	}
	if err := w.changeBlock(at, o.start(at), w.numbers); err != nil {
		return err
	}
	return w.putPacked(o.tail)
}

// changeBlock writes a block, in two if it has become too large.
func (w *writer) changeBlock(at int, start uint32, numbers []uint32) error {
	if len(numbers) > 0 {
		if numbers[0] < start { // the first block has been given an older number
			if err := w.putBlock(start, nil); err != nil {
				return err
			}
			start = numbers[0]
		}
		if _, size := shortest(numbers); size > maxBlock {
			half := len(numbers) / 2
			next := numbers[half]
			if err := w.putBlock(next, numbers[half:]); err != nil {
				return err
			}
			w.dir = slices.Insert(w.dir, (at+1)*dirEntry, appendEntry(nil, next, len(numbers)-half)...)
			numbers = numbers[:half]
		}
	}
	if len(numbers) == 0 {
		w.dir = slices.Delete(w.dir, at*dirEntry, (at+1)*dirEntry)
	} else {
		setEntry(w.dir[at*dirEntry:], start, len(numbers))
	}
	return w.putBlock(start, numbers)
}

// putTail writes the head with this tail, which may be too long or empty.
func (w *writer) putTail(tail []uint32) error {
	switch {
	case len(tail) > maxTail:
		old := tail[:len(tail)-keepTail]
		if err := w.append(old); err != nil {
			return err
		}
		tail = tail[len(old):]
	case len(tail) == 0 && len(w.dir) > 0:
		last := len(w.dir)/dirEntry - 1
		start := entryStart(w.dir, last)
		numbers, err := w.getBlock(start)
		if err != nil {
			return err
		}
		left := max(len(numbers)-keepTail, 0)
		if err := w.changeBlock(last, start, numbers[:left]); err != nil {
			return err
		}
		tail = numbers[left:]
	}
	return w.putHead(tail)
}

// append adds numbers that are larger than all to the last block, or as a new one.
func (w *writer) append(numbers []uint32) error {
	if n := len(w.dir) / dirEntry; n > 0 {
		start := entryStart(w.dir, n-1)
		last, err := w.getBlock(start)
		if err != nil {
			return err
		}
		last = append(last, numbers...)
		w.unpacked = last
		if _, size := shortest(last); size <= maxBlock {
			setEntry(w.dir[(n-1)*dirEntry:], start, len(last))
			return w.putBlock(start, last)
		}
	}
	return w.appendBlocks(numbers, numbers[0])
}

// appendBlocks writes numbers as new last blocks. The first of them starts where it
// did, or at a smaller number.
func (w *writer) appendBlocks(numbers []uint32, start uint32) error {
	if len(numbers) == 0 {
		return nil
	}
	if _, size := shortest(numbers); size > maxBlock {
		half := len(numbers) / 2
		if err := w.appendBlocks(numbers[:half], start); err != nil {
			return err
		}
		return w.appendBlocks(numbers[half:], numbers[half])
	}
	start = min(start, numbers[0])
	w.dir = appendEntry(w.dir, start, len(numbers))
	return w.putBlock(start, numbers)
}

func (w *writer) getBlock(start uint32) ([]uint32, error) {
	w.keyB = appendBlockKey(w.keyB[:0], w.key, start)
	b, _, err := w.kv.Get(w.keyB)
	if err != nil {
		return nil, err
	}
	if p := pack(b); len(p) > 0 && p.valid() {
		w.unpacked = p.appendTo(w.unpacked[:0])
		return w.unpacked, nil
	}
	return nil, errDamaged
}

// putBlock writes a block, or removes it if it is empty.
func (w *writer) putBlock(start uint32, numbers []uint32) error {
	w.keyB = appendBlockKey(w.keyB[:0], w.key, start)
	if len(numbers) == 0 {
		return w.kv.Delete(w.keyB)
	}
	w.out = appendPack(w.out[:0], numbers)
	return w.kv.Put(w.keyB, w.out)
}

// putHead writes the head, or removes it if nothing is left.
func (w *writer) putHead(tail []uint32) error {
	w.out = appendPack(w.out[:0], tail)
	return w.putPacked(pack(w.out))
}

// putPacked is putHead for a tail that is a pack.
func (w *writer) putPacked(tail pack) error {
	w.keyB = appendHeadKey(w.keyB[:0], w.key)
	if len(tail) == 0 {
		return w.kv.Delete(w.keyB)
	}
	w.head = binary.BigEndian.AppendUint32(w.head[:0], uint32(len(w.dir)/dirEntry))
	w.head = append(append(w.head, w.dir...), tail...)
	return w.kv.Put(w.keyB, w.head)
}

func appendEntry(dir []byte, start uint32, size int) []byte {
	dir = binary.BigEndian.AppendUint32(dir, start)
	return binary.BigEndian.AppendUint16(dir, uint16(size))
}

func setEntry(entry []byte, start uint32, size int) {
	binary.BigEndian.PutUint32(entry, start)
	binary.BigEndian.PutUint16(entry[4:], uint16(size))
}

func entryStart(dir []byte, i int) uint32 { return binary.BigEndian.Uint32(dir[i*dirEntry:]) }

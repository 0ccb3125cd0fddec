package main

import (
	"encoding/binary"
	"math"

	"github.com/edgeset/edgeset/abi/guest"
)

// An opened is a set as a call reads it: its head, and blocks that were asked for.
type opened struct {
	key    []byte
	dir    []byte
	tail   pack
	loaded []pack // by place in dir; nil: not read
	held   int    // of an edit: the block that is concerned
}

// beyond is larger than all numbers.
const beyond = math.MaxUint32 + 1

// openSets reads the heads of sets, all at once.
func openSets(kv *guest.KV, keys [][]byte) ([]*opened, error) {
	heads := make([][]byte, len(keys))
	var room []byte
	for i, key := range keys {
		at := len(room)
		room = appendHeadKey(room, key)
		heads[i] = room[at:len(room):len(room)]
	}
	heads, err := kv.GetMany(heads)
	if err != nil {
		return nil, err
	}
	list, sets := make([]opened, len(keys)), make([]*opened, len(keys))
	for i, key := range keys {
		sets[i] = &list[i]
		if err := sets[i].read(key, heads[i]); err != nil {
			return nil, err
		}
	}
	return sets, nil
}

// read takes a head apart; no bytes are that of an empty set.
func (o *opened) read(key, head []byte) error {
	*o = opened{key: key}
	if len(head) == 0 {
		return nil
	}
	if len(head) < 4 {
		return errDamaged
	}
	end := 4 + dirEntry*uint64(binary.BigEndian.Uint32(head))
	if end >= uint64(len(head)) || !pack(head[end:]).valid() {
		return errDamaged
	}
	o.dir, o.tail = head[4:end:end], head[end:]
	return nil
}

func (o *opened) blocks() int        { return len(o.dir) / dirEntry }
func (o *opened) start(i int) uint32 { return entryStart(o.dir, i) }
func (o *opened) size(i int) int     { return int(binary.BigEndian.Uint16(o.dir[i*dirEntry+4:])) }

// bounds returns which numbers a block may have, from lo up to but not including end.
func (o *opened) bounds(i int) (lo, end uint64) {
	if i > 0 {
		lo = uint64(o.start(i))
	}
	if i+1 < o.blocks() {
		return lo, uint64(o.start(i + 1))
	}
	return lo, uint64(o.tail.lowest())
}

// holder returns the block that a number belongs to, -1 for the tail.
func (o *opened) holder(n uint32) int {
	if len(o.dir) == 0 || n >= o.tail.lowest() {
		return -1
	}
	lo, hi := 1, o.blocks()
	for lo < hi {
		if mid := (lo + hi) / 2; o.start(mid) <= n {
			lo = mid + 1
		} else {
			hi = mid
		}
	}
	return lo - 1
}

// total returns how many numbers the set has.
func (o *opened) total() int {
	n := o.tail.count()
	for i := range o.blocks() {
		n += o.size(i)
	}
	return n
}

func everyBlock(*opened, int) bool { return true }

// load reads the blocks that are needed, all at once.
func load(kv *guest.KV, sets []*opened, need func(o *opened, i int) bool) error {
	var keys [][]byte
	var places []*pack
	for _, o := range sets {
		for i := range o.blocks() {
			if !need(o, i) {
				continue
			}
			if o.loaded == nil {
				o.loaded = make([]pack, o.blocks())
			}
			if o.loaded[i] == nil {
				keys = append(keys, appendBlockKey(make([]byte, 0, 3+len(o.key)+4), o.key, o.start(i)))
				places = append(places, &o.loaded[i])
			}
		}
	}
	if len(keys) == 0 {
		return nil
	}
	values, err := kv.GetMany(keys)
	if err != nil {
		return err
	}
	for i, b := range values {
		if len(b) == 0 || !pack(b).valid() {
			return errDamaged
		}
		*places[i] = b
	}
	return nil
}

// below returns how many numbers are smaller than n. If n lies within a block, that
// must have been read.
func (o *opened) below(n uint64) int {
	if n >= beyond {
		return o.total()
	}
	at := o.holder(uint32(n))
	count := 0
	for i := range o.blocks() {
		if i == at {
			if o.cuts(i, n) {
				count += o.loaded[i].below(uint32(n))
			}
			return count
		}
		count += o.size(i)
	}
	return count + o.tail.below(uint32(n))
}

// cuts tells whether a block has to be read to know how many of its numbers are
// smaller than n.
func (o *opened) cuts(i int, n uint64) bool {
	_, end := o.bounds(i)
	return n > uint64(o.start(i)) && n < end
}

// newest appends numbers from the largest downwards, at most limit, less the first
// skip.
func (o *opened) newest(kv *guest.KV, numbers []uint32, skip, limit int) ([]uint32, error) {
	if limit <= 0 {
		return numbers, nil
	}
	limit += len(numbers)
	n := o.tail.count()
	numbers = o.tail.appendNewest(numbers, skip, limit)
	skip = max(skip-n, 0)
	last := o.blocks() - 1
	for ; last >= 0 && skip >= o.size(last); last-- {
		skip -= o.size(last)
	}
	first, more := last+1, limit-len(numbers)+skip
	for ; first > 0 && more > 0; first-- {
		more -= o.size(first - 1)
	}
	if first > last || len(numbers) == limit {
		return numbers, nil
	}
	err := load(kv, []*opened{o}, func(_ *opened, i int) bool { return i >= first && i <= last })
	if err != nil {
		return nil, err
	}
	for i := last; i >= first; i-- {
		numbers = o.loaded[i].appendNewest(numbers, skip, limit)
		skip = 0
	}
	return numbers, nil
}

// appendAll appends all numbers in order, of which all blocks were read.
func (o *opened) appendAll(numbers []uint32) []uint32 {
	for _, p := range o.loaded {
		numbers = p.appendTo(numbers)
	}
	return o.tail.appendTo(numbers)
}

// has tells whether a number is there, of which the block was read.
func (o *opened) has(n uint32) bool {
	i := o.holder(n)
	if i < 0 {
		return o.tail.has(n)
	}
	return i < len(o.loaded) && o.loaded[i].has(n)
}

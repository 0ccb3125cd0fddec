package main

import (
	"encoding/binary"
	"math"
	"math/bits"
)

// A pack is a few numbers in one of three forms, whichever is the shortest; all of
// them are in order. Numbers are little endian.
//
//	short  first (4 bytes), then for each number how far it is from the first (2)
//	long   each number (4)
//	dense  a multiple of 64 (4), then words of 8 bytes with a bit for each number
//
// The first byte says which form it is. No bytes are no numbers.
type pack []byte

const (
	packShort = 1
	packLong  = 2
	packDense = 3
)

// sizes of what stands before the numbers of a short or dense pack.
const packHead = 1 + 4

// appendPack appends the shortest form of numbers that are in order.
func appendPack(b []byte, numbers []uint32) []byte {
	if len(numbers) == 0 {
		return b
	}
	form, _ := shortest(numbers)
	b = append(b, form)
	first := numbers[0]
	switch form {
	case packShort:
		b = binary.LittleEndian.AppendUint32(b, first)
		for _, n := range numbers {
			b = binary.LittleEndian.AppendUint16(b, uint16(n-first))
		}
	case packLong:
		for _, n := range numbers {
			b = binary.LittleEndian.AppendUint32(b, n)
		}
	case packDense:
		at, word := first>>6, uint64(0)
		b = binary.LittleEndian.AppendUint32(b, at<<6)
		for _, n := range numbers {
			for ; at < n>>6; at++ {
				b = binary.LittleEndian.AppendUint64(b, word)
				word = 0
			}
			word |= 1 << (n & 63)
		}
		b = binary.LittleEndian.AppendUint64(b, word)
	}
	return b
}

// shortest returns the form that takes the fewest bytes, and how many.
func shortest(numbers []uint32) (form byte, size int) {
	first, last := numbers[0], numbers[len(numbers)-1]
	form, size = packLong, 1+4*len(numbers)
	if short := packHead + 2*len(numbers); last-first <= math.MaxUint16 && short < size {
		form, size = packShort, short
	}
	if dense := packHead + 8*int(last>>6-first>>6+1); dense < size {
		form, size = packDense, dense
	}
	return form, size
}

// valid tells whether the bytes are a pack. The other methods take any bytes for
// one, and find some numbers or other in them.
func (p pack) valid() bool {
	if len(p) == 0 {
		return true
	}
	switch p[0] {
	case packShort:
		return len(p) > packHead && (len(p)-packHead)%2 == 0
	case packLong:
		return len(p) > 1 && (len(p)-1)%4 == 0
	case packDense:
		return len(p) > packHead && (len(p)-packHead)%8 == 0 && p.first()&63 == 0
	}
	return false
}

// first is what a short or dense pack begins with.
func (p pack) first() uint32 { return binary.LittleEndian.Uint32(p[1:]) }

// words returns the words of a dense pack.
func (p pack) words() int { return (len(p) - packHead) / 8 }

func (p pack) word(i int) uint64 { return binary.LittleEndian.Uint64(p[packHead+8*i:]) }

// count returns how many numbers there are.
func (p pack) count() int {
	if len(p) == 0 {
		return 0
	}
	switch p[0] {
	case packShort:
		return (len(p) - packHead) / 2
	case packLong:
		return (len(p) - 1) / 4
	}
	n := 0
	for i := range p.words() {
		n += bits.OnesCount64(p.word(i))
	}
	return n
}

// at returns the number at a place of a short or long pack.
func (p pack) at(i int) uint32 {
	if p[0] == packShort {
		return p.first() + uint32(binary.LittleEndian.Uint16(p[packHead+2*i:]))
	}
	return binary.LittleEndian.Uint32(p[1+4*i:])
}

// below returns how many numbers are smaller than n.
func (p pack) below(n uint32) int {
	if len(p) == 0 {
		return 0
	}
	if p[0] != packDense {
		lo, hi := 0, p.count()
		for lo < hi {
			if mid := (lo + hi) / 2; p.at(mid) < n {
				lo = mid + 1
			} else {
				hi = mid
			}
		}
		return lo
	}
	first, count := p.first(), 0
	if n <= first {
		return 0
	}
	whole := int((n - first) >> 6)
	for i := range min(whole, p.words()) {
		count += bits.OnesCount64(p.word(i))
	}
	if whole < p.words() {
		count += bits.OnesCount64(p.word(whole) & (1<<((n-first)&63) - 1))
	}
	return count
}

// has tells whether n is there.
func (p pack) has(n uint32) bool {
	if len(p) == 0 {
		return false
	}
	if p[0] == packDense {
		first := p.first()
		i := int((n - first) >> 6)
		return n >= first && i < p.words() && p.word(i)>>(n&63)&1 != 0
	}
	i := p.below(n)
	return i < p.count() && p.at(i) == n
}

// lowest returns the smallest number of a pack that has some.
func (p pack) lowest() uint32 {
	if p[0] != packDense {
		return p.at(0)
	}
	for i := range p.words() {
		if w := p.word(i); w != 0 {
			return p.first() + uint32(i)<<6 + uint32(bits.TrailingZeros64(w))
		}
	}
	return p.first()
}

// appendTo appends all numbers, in order.
func (p pack) appendTo(numbers []uint32) []uint32 {
	if len(p) == 0 {
		return numbers
	}
	if p[0] != packDense {
		for i := range p.count() {
			numbers = append(numbers, p.at(i))
		}
		return numbers
	}
	first := p.first()
	for i := range p.words() {
		for w := p.word(i); w != 0; w &= w - 1 {
			numbers = append(numbers, first+uint32(i)<<6+uint32(bits.TrailingZeros64(w)))
		}
	}
	return numbers
}

// appendNewest appends numbers from the largest downwards, less the first skip of
// them, until there are limit in all.
func (p pack) appendNewest(numbers []uint32, skip, limit int) []uint32 {
	if len(p) == 0 {
		return numbers
	}
	if p[0] != packDense {
		for i := p.count() - 1 - skip; i >= 0 && len(numbers) < limit; i-- {
			numbers = append(numbers, p.at(i))
		}
		return numbers
	}
	first := p.first()
	for i := p.words() - 1; i >= 0 && len(numbers) < limit; i-- {
		w := p.word(i)
		if n := bits.OnesCount64(w); skip >= n {
			skip -= n
			continue
		}
		for w != 0 && len(numbers) < limit {
			top := 63 - bits.LeadingZeros64(w)
			w &^= 1 << top
			if skip--; skip < 0 {
				numbers = append(numbers, first+uint32(i)<<6+uint32(top))
			}
		}
		skip = max(skip, 0)
	}
	return numbers
}

// A field has a bit for each number of a range, which begins at a multiple of 64.
type field struct {
	first uint32
	words []uint64
}

// newField returns an empty field for the numbers from lo to hi.
func newField(lo, hi uint32) *field {
	return &field{first: lo &^ 63, words: make([]uint64, hi>>6-lo>>6+1)}
}

func (f *field) set(n uint32) {
	if i := uint64(n-f.first) >> 6; n >= f.first && i < uint64(len(f.words)) {
		f.words[i] |= 1 << (n & 63)
	}
}

func (f *field) has(n uint32) bool {
	i := uint64(n-f.first) >> 6
	return n >= f.first && i < uint64(len(f.words)) && f.words[i]>>(n&63)&1 != 0
}

// add sets the numbers of a pack.
func (f *field) add(p pack) {
	if len(p) == 0 {
		return
	}
	if p[0] != packDense {
		for i := range p.count() {
			f.set(p.at(i))
		}
		return
	}
	shift := int(p.first()>>6) - int(f.first>>6)
	for i := max(0, -shift); i < min(p.words(), len(f.words)-shift); i++ {
		f.words[i+shift] |= p.word(i)
	}
}

// keep clears what the other field, of the same range, has not.
func (f *field) keep(other *field) {
	for i := range f.words {
		f.words[i] &= other.words[i]
	}
}

// crop clears what is not from lo to hi, the range that the field was made for.
func (f *field) crop(lo, hi uint32) {
	f.words[0] &= math.MaxUint64 << (lo & 63)
	f.words[len(f.words)-1] &= math.MaxUint64 >> (63 - hi&63)
}

// any tells whether there is a number from lo up to but not including hi, give or
// take 63.
func (f *field) any(lo, hi uint64) bool {
	from := (max(lo, uint64(f.first)) - uint64(f.first)) >> 6
	to := min((max(hi, uint64(f.first))-uint64(f.first)+63)>>6, uint64(len(f.words)))
	for i := from; i < to; i++ {
		if f.words[i] != 0 {
			return true
		}
	}
	return false
}

func (f *field) count() (n int) {
	for _, w := range f.words {
		n += bits.OnesCount64(w)
	}
	return n
}

// newest returns limit numbers from the largest downwards, less the first skip.
func (f *field) newest(skip, limit int) (numbers []uint32) {
	for i := len(f.words) - 1; i >= 0 && len(numbers) < limit; i-- {
		w := f.words[i]
		if n := bits.OnesCount64(w); skip >= n {
			skip -= n
			continue
		}
		for ; w != 0 && len(numbers) < limit; skip-- {
			top := 63 - bits.LeadingZeros64(w)
			w &^= 1 << top
			if skip <= 0 {
				numbers = append(numbers, f.first+uint32(i)<<6+uint32(top))
			}
		}
		skip = max(skip, 0)
	}
	return numbers
}

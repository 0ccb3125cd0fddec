package main

import (
	"math"
	"slices"

	"github.com/edgeset/edgeset/abi/guest"
)

// A term is a part of a filter: posts that are in at least one of some sets, or among
// loose numbers.
type term struct {
	sets  []*opened
	loose []uint32 // in order
	apart bool     // no number is in two of them
	most  int      // numbers, if they are apart; more else
}

func newTerm(sets []*opened, loose []uint32, apart bool) *term {
	t := &term{sets: sets, loose: loose, apart: apart || len(sets)+min(len(loose), 1) == 1, most: len(loose)}
	for _, o := range sets {
		t.most += o.total()
	}
	return t
}

const (
	// fewNumbers is how many are looked up one by one.
	fewNumbers = 2048
	// fieldSize is how many numbers are put together at once.
	fieldSize = 1 << 22
	// nearTop is how far from the newest a page may end that is merged from many sets.
	nearTop = 1000
)

// A query asks for numbers of a range that are in all terms.
type query struct {
	kv    *guest.KV
	lo    uint32 // inclusive, both
	hi    uint32
	terms []*term
}

// run returns how many numbers there are, and from the largest downwards those of a
// page.
//
// One set costs a read or two, whatever its size; a range of it two more. Terms that
// have to be put together cost, if one of them is small, a read for each block in
// which its numbers may be, and else all the blocks of the range: of a set with one
// post in sixteen or more a read for every 16,384 posts, of a smaller one a read for
// every 500 to 1,000 of its numbers.
func (q *query) run(skip, limit int) (total int, numbers []uint32, err error) {
	if q.lo > q.hi {
		return 0, nil, nil
	}
	slices.SortFunc(q.terms, func(a, b *term) int { return a.most - b.most })
	first := q.terms[0]
	whole := q.lo == 0 && q.hi == math.MaxUint32
	switch {
	case first.most == 0:
		return 0, nil, nil
	case len(q.terms) == 1 && len(first.sets) == 1 && len(first.loose) == 0:
		return q.runOne(first.sets[0], skip, limit)
	case len(q.terms) == 1 && first.apart && whole && skip+limit <= nearTop:
		numbers, err = q.mergeTops(first, skip, limit)
		return first.most, numbers, err
	case first.most <= fewNumbers:
		return q.runFew(skip, limit)
	}
	return q.runField(skip, limit)
}

// runOne reads from a single set.
func (q *query) runOne(o *opened, skip, limit int) (total int, numbers []uint32, err error) {
	lo, end := uint64(q.lo), uint64(q.hi)+1
	err = load(q.kv, []*opened{o}, func(o *opened, i int) bool { return o.cuts(i, lo) || o.cuts(i, end) })
	if err != nil {
		return 0, nil, err
	}
	before, through := o.below(lo), o.below(end)
	total = through - before
	if skip >= total {
		return total, nil, nil
	}
	newer := o.total() - through
	numbers, err = o.newest(q.kv, nil, newer+skip, min(limit, total-skip))
	return total, numbers, err
}

// mergeTops returns the page of a term from the newest numbers of each of its sets.
func (q *query) mergeTops(t *term, skip, limit int) ([]uint32, error) {
	need := skip + limit
	err := load(q.kv, t.sets, func(o *opened, at int) bool {
		n := o.tail.count()
		for i := o.blocks() - 1; i > at && n < need; i-- {
			n += o.size(i)
		}
		return n < need
	})
	if err != nil {
		return nil, err
	}
	descending := func(a, b uint32) int { return int(int64(b) - int64(a)) }
	var tops []uint32
	floor := uint32(0)
	add := func(n uint32) bool {
		if n < floor {
			return false
		}
		tops = append(tops, n)
		if len(tops) >= 4*need+64 {
			slices.SortFunc(tops, descending)
			tops = tops[:need]
			floor = tops[need-1]
		}
		return true
	}
	for i := len(t.loose) - 1; i >= 0 && add(t.loose[i]); i-- {
	}
	var room []uint32
	for _, o := range t.sets {
		if room, err = o.newest(q.kv, room[:0], 0, need); err != nil {
			return nil, err
		}
		for i := 0; i < len(room) && add(room[i]); i++ {
		}
	}
	slices.SortFunc(tops, descending)
	tops = tops[min(skip, len(tops)):]
	return tops[:min(limit, len(tops))], nil
}

// runFew looks the numbers of the smallest term up in the others.
func (q *query) runFew(skip, limit int) (total int, numbers []uint32, err error) {
	for i, t := range q.terms {
		if i == 0 {
			err := load(q.kv, t.sets, func(o *opened, i int) bool {
				lo, end := o.bounds(i)
				return lo <= uint64(q.hi) && end > uint64(q.lo)
			})
			if err != nil {
				return 0, nil, err
			}
			numbers = q.numbersOf(t)
			continue
		}
		if len(numbers) == 0 {
			break
		}
		err := load(q.kv, t.sets, func(o *opened, i int) bool {
			lo, end := o.bounds(i)
			at, _ := slices.BinarySearch(numbers, uint32(lo))
			return at < len(numbers) && uint64(numbers[at]) < end
		})
		if err != nil {
			return 0, nil, err
		}
		has := t.has
		if work := len(numbers) * len(t.sets); work > t.most && work > int(numbers[len(numbers)-1]-numbers[0])/64 {
			f := newField(numbers[0], numbers[len(numbers)-1])
			t.fill(f)
			has = f.has
		}
		numbers = slices.DeleteFunc(numbers, func(n uint32) bool { return !has(n) })
	}
	total = len(numbers)
	numbers = numbers[:max(total-skip, 0)]
	numbers = numbers[max(len(numbers)-limit, 0):]
	slices.Reverse(numbers)
	return total, numbers, nil
}

// numbersOf returns the numbers of a term that are in the range, in order.
func (q *query) numbersOf(t *term) []uint32 {
	numbers := make([]uint32, 0, t.most)
	numbers = append(numbers, t.loose...)
	for _, o := range t.sets {
		for _, p := range o.loaded {
			numbers = p.appendTo(numbers)
		}
		numbers = o.tail.appendTo(numbers)
	}
	slices.Sort(numbers)
	if !t.apart {
		numbers = slices.Compact(numbers)
	}
	from, _ := slices.BinarySearch(numbers, q.lo)
	numbers = numbers[from:]
	if to, found := slices.BinarySearch(numbers, q.hi); found {
		return numbers[:to+1]
	} else {
		return numbers[:to]
	}
}

// has tells whether a number is in the term, of which the blocks that may have it
// were read.
func (t *term) has(n uint32) bool {
	for _, o := range t.sets {
		if o.has(n) {
			return true
		}
	}
	_, found := slices.BinarySearch(t.loose, n)
	return found
}

// fill sets the numbers of the term in a field, of which the blocks that may have some
// for it were read.
func (t *term) fill(f *field) {
	for _, o := range t.sets {
		for _, p := range o.loaded {
			f.add(p)
		}
		f.add(o.tail)
	}
	for _, n := range t.loose {
		f.set(n)
	}
}

// runField puts all terms together in fields of bits, from the largest numbers
// downwards.
func (q *query) runField(skip, limit int) (total int, numbers []uint32, err error) {
	for hi := min(q.hi, q.terms[0].largest()); hi >= q.lo; {
		lo := max(q.lo, hi&^(fieldSize-1))
		f, err := q.common(lo, hi)
		if err != nil {
			return 0, nil, err
		}
		n := f.count()
		if total += n; skip < n {
			numbers = append(numbers, f.newest(skip, limit-len(numbers))...)
		}
		skip = max(skip-n, 0)
		if lo == 0 {
			break
		}
		hi = lo - 1
	}
	return total, numbers, nil
}

// common returns the numbers from lo to hi that are in all terms.
func (q *query) common(lo, hi uint32) (*field, error) {
	var all, other *field
	for i, t := range q.terms {
		err := load(q.kv, t.sets, func(o *opened, at int) bool {
			from, end := o.bounds(at)
			return from <= uint64(hi) && end > uint64(lo) && (all == nil || all.any(from, end))
		})
		if err != nil {
			return nil, err
		}
		switch i {
		case 0:
			all = newField(lo, hi)
			t.fill(all)
			all.crop(lo, hi)
		default:
			if other == nil {
				other = newField(lo, hi)
			}
			clear(other.words)
			t.fill(other)
			all.keep(other)
		}
		for _, o := range t.sets {
			o.loaded = nil
		}
	}
	return all, nil
}

// largest returns the largest number of a term that has some.
func (t *term) largest() (n uint32) {
	for _, o := range t.sets {
		if last := o.tail.appendNewest(nil, 0, 1); len(last) > 0 {
			n = max(n, last[0])
		}
	}
	if len(t.loose) > 0 {
		n = max(n, t.loose[len(t.loose)-1])
	}
	return n
}

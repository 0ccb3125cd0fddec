package main

import (
	"math"
	"math/rand/v2"
	"slices"
	"testing"
)

// someNumbers returns numbers in order, that are as far apart as spread says.
func someNumbers(rnd *rand.Rand, count int, spread uint32) []uint32 {
	n, numbers := rnd.Uint32N(1<<20), make([]uint32, count)
	for i := range numbers {
		n += 1 + rnd.Uint32N(spread)
		numbers[i] = n
	}
	return numbers
}

func downwards(numbers []uint32) []uint32 {
	list := slices.Clone(numbers)
	slices.Reverse(list)
	return list
}

func TestAPackHasTheNumbersThatWerePutIn(t *testing.T) {
	rnd := rand.New(rand.NewPCG(1, 1))
	for _, c := range []struct {
		form          byte
		count, spread int
	}{{packDense, 200, 1}, {packDense, 300, 10}, {packShort, 100, 100}, {packLong, 100, 100_000}, {packLong, 1, 1}, {packShort, 5, 1000}} {
		numbers := someNumbers(rnd, c.count, uint32(c.spread))
		p := pack(appendPack(nil, numbers))
		if _, size := shortest(numbers); p[0] != c.form || len(p) != size || !p.valid() {
			t.Errorf("%d numbers %d apart: form %d, %d bytes", c.count, c.spread, p[0], len(p))
		}
		if got := p.appendTo(nil); !slices.Equal(got, numbers) || p.count() != len(numbers) || p.lowest() != numbers[0] {
			t.Errorf("form %d: got %v, want %v", c.form, got, numbers)
		}
		f := newField(numbers[0], numbers[len(numbers)-1])
		f.add(p)
		back := downwards(numbers)
		for skip := range len(back) + 2 {
			want := back[min(skip, len(back)):]
			want = want[:min(7, len(want))]
			if got := p.appendNewest(nil, skip, 7); !slices.Equal(got, want) {
				t.Fatalf("form %d: behind %d got %v, want %v", c.form, skip, got, want)
			}
			if got := f.newest(skip, 7); !slices.Equal(got, want) {
				t.Fatalf("field: behind %d got %v, want %v", skip, got, want)
			}
		}
		for i, n := range numbers {
			for _, n := range []uint32{n - 1, n, n + 1, n + 64, n - 64} {
				_, want := slices.BinarySearch(numbers, n)
				below, _ := slices.BinarySearch(numbers, n)
				if p.has(n) != want || f.has(n) != want || p.below(n) != below {
					t.Fatalf("form %d, number %d of %d: has %v, below %d", c.form, i, n, p.has(n), p.below(n))
				}
			}
		}
	}
}

func TestAPackReachesToTheLargestNumber(t *testing.T) {
	for _, numbers := range [][]uint32{{math.MaxUint32}, {0, math.MaxUint32}, {math.MaxUint32 - 1, math.MaxUint32}} {
		p := pack(appendPack(nil, numbers))
		if got := p.appendTo(nil); !slices.Equal(got, numbers) {
			t.Errorf("got %v, want %v", got, numbers)
		}
	}
	var all []uint32
	for n := uint32(math.MaxUint32 - 299); n != 0; n++ {
		all = append(all, n)
	}
	p := pack(appendPack(nil, all))
	if p[0] != packDense || !slices.Equal(p.appendTo(nil), all) || p.below(math.MaxUint32) != 299 || !p.has(math.MaxUint32) || p.has(0) {
		t.Error("the last numbers of all are not there")
	}
}

func TestFieldsArePutTogether(t *testing.T) {
	rnd := rand.New(rand.NewPCG(2, 2))
	for range 200 {
		lo := rnd.Uint32N(1000)
		hi := lo + rnd.Uint32N(1000)
		a, b := someNumbers(rnd, 1+rnd.IntN(300), 1+rnd.Uint32N(10)), someNumbers(rnd, 1+rnd.IntN(300), 1+rnd.Uint32N(10))
		for i := range a {
			a[i] %= 2500
		}
		for i := range b {
			b[i] %= 2500
		}
		slices.Sort(a)
		slices.Sort(b)
		a, b = slices.Compact(a), slices.Compact(b)
		f, g := newField(lo, hi), newField(lo, hi)
		f.add(appendPack(nil, a))
		g.add(appendPack(nil, b))
		f.crop(lo, hi)
		var want []uint32
		for _, n := range a {
			if _, found := slices.BinarySearch(b, n); found && lo <= n && n <= hi {
				want = append(want, n)
			}
		}
		for _, n := range a {
			if lo <= n && n <= hi && !f.any(uint64(n), uint64(n)+1) {
				t.Fatalf("there is nothing at %d", n)
			}
		}
		f.keep(g)
		if got := f.newest(0, 10_000); !slices.Equal(got, downwards(want)) || f.count() != len(want) {
			t.Fatalf("got %v, want %v downwards", got, want)
		}
	}
}

func FuzzPack(f *testing.F) {
	f.Add([]byte{}, uint32(0))
	f.Add(appendPack(nil, []uint32{1, 2, 3}), uint32(2))
	f.Add(appendPack(nil, []uint32{1, 1 << 20}), uint32(2))
	f.Add([]byte{packDense, 0xC0, 0xFF, 0xFF, 0xFF, 1, 2, 3, 4, 5, 6, 7, 8, 1, 2, 3, 4, 5, 6, 7, 8}, uint32(math.MaxUint32))
	f.Fuzz(func(t *testing.T, b []byte, n uint32) {
		p := pack(b)
		if !p.valid() || len(p) == 0 {
			return
		}
		numbers := p.appendTo(nil)
		if len(numbers) != p.count() {
			t.Fatalf("%d numbers, want %d", len(numbers), p.count())
		}
		p.has(n)
		p.below(n)
		p.lowest()
		p.appendNewest(nil, int(n%100), 100)
		g := newField(n, n|0xFFFF)
		g.add(p)
		g.crop(n, n|0xFFFF)
		g.any(uint64(n), uint64(n)+1)
		g.newest(1, 10)
		if slices.IsSorted(numbers) && len(numbers) > 0 && len(slices.Compact(slices.Clone(numbers))) == len(numbers) {
			if again := pack(appendPack(nil, numbers)); !again.valid() || !slices.Equal(again.appendTo(nil), numbers) {
				t.Fatalf("%v is written as %v", numbers, again)
			}
		}
	})
}

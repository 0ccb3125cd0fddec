package main

import (
	"errors"
	"math/rand/v2"
	"slices"
	"testing"
)

// A modelSet is a set in memory.
type modelSet map[uint32]bool

func (m modelSet) numbers() (list []uint32) {
	for n := range m {
		list = append(list, n)
	}
	slices.Sort(list)
	slices.Reverse(list)
	return list
}

func isSet(t *testing.T, kv *indexStore, key byte, model modelSet, size int) {
	t.Helper()
	want := model.numbers()
	s := newSet(kv.kv, key)
	got := pagesOf(t, size, func(skip, limit int) (int, []uint32, error) {
		numbers, err := s.page(skip, limit)
		n, _ := s.count()
		return n, numbers, err
	})
	if !slices.Equal(got, want) {
		t.Fatalf("the set has %d numbers, want %d", len(got), len(want))
	}
	o, err := s.open()
	if err != nil {
		t.Fatal(err)
	}
	if err := load(kv.kv, []*opened{o}, everyBlock); err != nil {
		t.Fatal(err)
	}
	for i := range o.blocks() {
		if n := o.loaded[i].count(); n != o.size(i) || n == 0 || len(o.loaded[i]) > maxBlock {
			t.Fatalf("block %d has %d numbers and %d bytes, the head says %d", i, n, len(o.loaded[i]), o.size(i))
		}
		numbers := o.loaded[i].appendTo(nil)
		if lo, end := o.bounds(i); numbers[0] < o.start(i) || uint64(numbers[0]) < lo || uint64(numbers[len(numbers)-1]) >= end {
			t.Fatalf("block %d of %d to %d has numbers from %d to %d", i, lo, end, numbers[0], numbers[len(numbers)-1])
		}
	}
}

func TestASetKeepsWhatIsPutIn(t *testing.T) {
	for _, spread := range []uint32{1, 3, 40, 5000} {
		rnd := rand.New(rand.NewPCG(uint64(spread), 3))
		kv, model, last := newIndexStore(t), modelSet{}, uint32(1<<20)
		for round := range 40 {
			s := newSet(kv.kv, 'a')
			adding, removing := 40+rnd.IntN(400), rnd.IntN(100)
			if round%20 > 14 {
				adding, removing = 5, 2000
			}
			for range adding {
				n := last + 1 + rnd.Uint32N(spread)
				if rnd.IntN(10) == 0 {
					n = 1<<20 - 50*spread + rnd.Uint32N(last+50*spread+1-1<<20) // an old one, or one before all
				} else {
					last = n
				}
				if err := s.add(n); err != nil {
					t.Fatal(err)
				}
				model[n] = true
			}
			all := model.numbers()
			for range min(removing, len(all)) {
				n := all[rnd.IntN(len(all))]
				switch round % 3 {
				case 0: // the newest first
					n = all[0]
				case 1:
					n = all[len(all)-1]
				}
				if err := s.remove(n); err != nil {
					t.Fatal(err)
				}
				delete(model, n)
				all = slices.DeleteFunc(all, func(other uint32) bool { return other == n })
			}
			kv.asked = asked{}
			isSet(t, kv, 'a', model, 1+rnd.IntN(500))
		}
		for _, n := range model.numbers() {
			kv.do(newSet(kv.kv, 'a').remove(n))
		}
		kv.empty()
	}
}

func TestToAddTwiceOrToRemoveWhatIsNotThereChangesNothing(t *testing.T) {
	kv := newIndexStore(t)
	s := newSet(kv.kv, 'a')
	for n := uint32(2); n < 2000; n += 2 {
		kv.do(s.add(n))
	}
	for n := uint32(2); n < 2000; n += 2 {
		if a := kv.do(s.add(n)); a.writes != 0 {
			t.Fatalf("adding %d again wrote %d records", n, a.writes)
		}
		if a := kv.do(s.remove(n + 1)); a.writes != 0 {
			t.Fatalf("removing %d wrote %d records", n+1, a.writes)
		}
	}
	if a := kv.do(newSet(kv.kv, 'b').remove(1)); a.writes != 0 {
		t.Fatal("removing from an empty set writes")
	}
}

func TestSetsAreJoinedAndTakenOut(t *testing.T) {
	for _, spread := range []uint32{1, 30, 3000} {
		rnd := rand.New(rand.NewPCG(uint64(spread), 4))
		for range 12 {
			kv := newIndexStore(t)
			fill := func(key byte, count int, from uint32) modelSet {
				model, s := modelSet{}, newSet(kv.kv, key)
				for i, n := range someNumbers(rnd, count, spread) {
					n += from
					if kv.do(s.add(n)); i%7 == 0 {
						kv.do(s.add(n + 3))
						model[n+3] = true
					}
					model[n] = true
				}
				return model
			}
			a := fill('a', rnd.IntN(3000), spread*rnd.Uint32N(1000))
			b := fill('b', rnd.IntN(1500), spread*rnd.Uint32N(3000))
			if rnd.IntN(4) == 0 { // all of one is in the other
				b = modelSet{}
				newSet(kv.kv, 'b').drop()
				for n := range a {
					if rnd.IntN(3) > 0 {
						kv.do(newSet(kv.kv, 'b').add(n))
						b[n] = true
					}
				}
			}
			kv.do(newSet(kv.kv, 'a').addAll(newSet(kv.kv, 'b')))
			for n := range b {
				a[n] = true
			}
			isSet(t, kv, 'a', a, 300)
			kv.asked = asked{}
			kv.do(newSet(kv.kv, 'a').removeAll(newSet(kv.kv, 'b')))
			for n := range b {
				delete(a, n)
			}
			isSet(t, kv, 'a', a, 300)
			isSet(t, kv, 'b', b, 300)
			kv.asked = asked{}
			kv.do(newSet(kv.kv, 'a').drop())
			kv.do(newSet(kv.kv, 'b').drop())
			kv.empty()
		}
	}
}

func TestSetsWhoseKeysBeginAlikeAreApart(t *testing.T) {
	kv := newIndexStore(t)
	one, other := newSet(kv.kv, 'a'), newSet(kv.kv, 'a', 0, 0, 0, 1)
	for n := uint32(1); n < 3000; n++ {
		kv.do(one.add(n))
		if n%2 == 0 {
			kv.do(other.add(n))
		}
	}
	a, _ := one.count()
	b, _ := other.count()
	if a != 2999 || b != 1499 {
		t.Fatalf("the sets have %d and %d numbers", a, b)
	}
}

func TestTheFirstPageOfASetIsOneRead(t *testing.T) {
	kv := newIndexStore(t)
	s := newSet(kv.kv, 'a')
	for n := uint32(1); n < 50_000; n++ {
		if a := kv.do(s.add(n)); a.crossings > 2 || a.writes > 2 {
			t.Fatalf("to add %d took %+v", n, a)
		}
	}
	s = newSet(kv.kv, 'a')
	if n, err := s.count(); err != nil || n != 49_999 {
		t.Fatal(n, err)
	}
	_, err := s.page(0, 100)
	if a := kv.do(err); a.crossings != 1 || a.keys != 1 || a.foundBytes > 200 {
		t.Errorf("the first page took %+v", a)
	}
	numbers, err := s.page(30_000, 100)
	if a := kv.do(err); a.keys > 2 || numbers[0] != 19_999 {
		t.Errorf("a page in the middle took %+v", a)
	}
}

func TestADamagedSetIsAnError(t *testing.T) {
	kv := newIndexStore(t)
	for n := uint32(1); n < 1000; n++ {
		kv.do(newSet(kv.kv, 'a').add(n))
	}
	whole := kv.entries
	for key, value := range whole {
		for _, bad := range [][]byte{{}, {1}, value[:len(value)-1], append([]byte{9}, value...), value[:4]} {
			kv.entries = map[string][]byte{}
			for k, v := range whole {
				kv.entries[k] = v
			}
			kv.entries[key] = bad
			s := newSet(kv.kv, 'a')
			_, err := s.all()
			if len(bad) == 0 && key[1] == 0 {
				continue // the same as none
			}
			if !errors.Is(err, errDamaged) {
				t.Errorf("%q with %d bytes: got error %v", key, len(bad), err)
			}
		}
	}
}

// FuzzRecords has sets and trees of cells read and change records of any bytes.
func FuzzRecords(f *testing.F) {
	kv := newIndexStore(f)
	for n := uint32(1); n < 600; n++ {
		kv.do(newSet(kv.kv, 'a').add(3 * n))
		kv.do(changeTrees(kv.kv, []string{""}, point{n, place{int32(n % 200), int32(n)}}, false))
		for _, value := range kv.entries {
			if n > 595 {
				f.Add(value, value, n)
			}
		}
	}
	f.Add([]byte{0, 0, 0, 2, 0, 0, 0, 9, 0, 1, 0, 0, 0, 1, 0, 1, packLong, 0, 0, 0, 0}, appendPack(nil, []uint32{5}), uint32(5))
	f.Add([]byte{leafMark, 1, 2, 3}, []byte{}, uint32(5))
	f.Fuzz(func(t *testing.T, head, block []byte, n uint32) {
		kv := newIndexStore(t)
		o := new(opened)
		if o.read([]byte{'a'}, head) == nil {
			for i := range o.blocks() {
				kv.entries[string(appendBlockKey(nil, o.key, o.start(i)))] = block
			}
		}
		kv.entries[string(appendHeadKey(nil, []byte{'a'}))] = head
		kv.entries[string(cellOf(place{}, 0).record(""))] = head
		kv.entries[string(cellOf(place{}, 1).record(""))] = block
		s := func() *set { return newSet(kv.kv, 'a') }
		s().count()
		s().page(int(n%100), 100)
		s().all()
		sets, numbers, err := findPlaces(kv.kv, "", &circle{radius: float64(n)})
		if err == nil {
			for _, few := range []uint32{0, n} {
				if o, err := s().open(); err == nil {
					q := query{kv: kv.kv, lo: few, hi: n + n/2, terms: []*term{newTerm(sets, numbers, true), newTerm([]*opened{o}, nil, true)}}
					q.run(int(n%7), 10)
				}
			}
		}
		changeTrees(kv.kv, []string{""}, point{n, place{}}, true)
		changeTrees(kv.kv, []string{""}, point{n, place{}}, false)
		newSet(kv.kv, 'b').add(n)
		s().addAll(newSet(kv.kv, 'b'))
		s().removeAll(newSet(kv.kv, 'b'))
		s().add(n)
		s().remove(n)
		s().drop()
	})
}

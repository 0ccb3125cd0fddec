package main

import (
	"math/rand/v2"
	"slices"
	"testing"
)

// TestPlacesInACircle compares trees with what a look at each place finds.
func TestPlacesInACircle(t *testing.T) {
	rnd := rand.New(rand.NewPCG(7, 7))
	for _, spread := range []func() place{
		func() place { return randomPlace(rnd) },
		func() place { return nudged(rnd, hardPlaces[rnd.IntN(len(hardPlaces))], 1_000_000) },
		func() place { return nudged(rnd, placeAt(35.4676, -97.5164), 2_000_000) },
		func() place { return hardPlaces[rnd.IntN(3)] }, // many at the same place
	} {
		kv, model := newIndexStore(t), map[uint32]place{}
		number := uint32(0)
		for range 5 {
			for range 400 {
				number++
				model[number] = spread()
				kv.do(changeTrees(kv.kv, []string{"", "tag"}[:1+number%2], point{number, model[number]}, false))
			}
			for n, at := range model {
				if rnd.IntN(5) == 0 {
					kv.do(changeTrees(kv.kv, []string{"", "tag"}[:1+n%2], point{n, at}, true))
					delete(model, n)
				}
			}
			for range 100 {
				c := &circle{spread(), randomRadius(rnd)}
				if rnd.IntN(2) == 0 { // that just reaches a place
					c.radius = distance(c.centre, spread())
				}
				for i, tag := range []string{"", "tag", "none"} {
					var want []uint32
					for n, at := range model {
						if (i == 0 || i == 1 && n%2 == 1) && newCompass(c).has(at) {
							want = append(want, n)
						}
					}
					slices.Sort(want)
					got := numbersIn(t, kv, tag, c)
					if !slices.Equal(got, want) {
						t.Fatalf("%v of %q: got %d numbers, want %d", c, tag, len(got), len(want))
					}
				}
			}
			kv.asked = asked{}
		}
		for n, at := range model {
			kv.do(changeTrees(kv.kv, []string{"", "tag"}[:1+n%2], point{n, at}, true))
		}
		kv.empty()
	}
}

func numbersIn(t *testing.T, kv *indexStore, tag string, c *circle) []uint32 {
	t.Helper()
	sets, numbers, err := findPlaces(kv.kv, tag, c)
	if err != nil {
		t.Fatal(err)
	}
	if err := load(kv.kv, sets, everyBlock); err != nil {
		t.Fatal(err)
	}
	for _, o := range sets {
		numbers = o.appendAll(numbers)
	}
	slices.Sort(numbers)
	return numbers
}

func TestAPostIsOnceInATree(t *testing.T) {
	kv := newIndexStore(t)
	for range 2 {
		for n := range uint32(500) {
			kv.do(changeTrees(kv.kv, []string{""}, point{n, placeAt(1, float64(n%3))}, false))
		}
	}
	if got := numbersIn(t, kv, "", &circle{placeAt(1, 1), 1e6}); len(got) != 500 {
		t.Errorf("%d of 500 posts are found", len(got))
	}
	kv.asked = asked{}
	for _, at := range []place{placeAt(1, 1), placeAt(50, 50)} {
		if a := kv.do(changeTrees(kv.kv, []string{"", "x"}, point{1000, at}, true)); a.writes != 0 {
			t.Errorf("to remove what is not there wrote %d records", a.writes)
		}
	}
}

package main

import (
	"math"
	"math/rand/v2"
	"testing"
)

func placeAt(lat, lon float64) place {
	return place{int32(math.Round(lat * 1e7)), int32(math.Round(lon * 1e7))}
}

func TestDistances(t *testing.T) {
	const degree = 2 * math.Pi * earthRadius / 360
	for _, c := range []struct {
		a, b      place
		want, off float64
	}{
		{placeAt(0, 0), placeAt(0, 1), degree, 1e-6},
		{placeAt(10, 20), placeAt(11, 20), degree, 1e-6},
		{placeAt(10, 20), placeAt(10, 20), 0, 0},
		{placeAt(0, 179.5), placeAt(0, -179.5), degree, 1e-6},
		{placeAt(90, 0), placeAt(90, 77), 0, 0},
		{placeAt(-90, 0), placeAt(-90, -180), 0, 0},
		{placeAt(90, 0), placeAt(-90, 5), 180 * degree, 1e-6},
		{placeAt(0, -180), placeAt(0, 0), 180 * degree, 1e-6},
		{placeAt(60, 0), placeAt(60, 180), 60 * degree, 1e-6},
		{placeAt(35.4676, -97.5164), placeAt(36.15398, -95.99277), 157_300, 500}, // Oklahoma City, Tulsa
		{placeAt(52.52, 13.405), placeAt(48.8566, 2.3522), 877_500, 500},         // Berlin, Paris
	} {
		if got := distance(c.a, c.b); math.Abs(got-c.want) > c.off {
			t.Errorf("%v to %v: got %f, want %f", c.a, c.b, got, c.want)
		}
		if distance(c.a, c.b) != distance(c.b, c.a) {
			t.Errorf("%v to %v is not as far as back", c.a, c.b)
		}
	}
}

// hardPlaces are where longitudes and latitudes end.
var hardPlaces = []place{
	{0, 0}, {rightAngle, 0}, {-rightAngle, 0}, {rightAngle, -halfTurn}, {0, -halfTurn}, {0, halfTurn - 1}, {rightAngle - 1, 1},
	{-rightAngle + 1, halfTurn - 1}, {450_000_000, -halfTurn}, {-rightAngle, halfTurn - 1}, {1, 1},
}

func randomPlace(rnd *rand.Rand) place {
	switch rnd.IntN(4) {
	case 0:
		p := hardPlaces[rnd.IntN(len(hardPlaces))]
		return nudged(rnd, p, []int64{0, 1, 100, 1_000_000}[rnd.IntN(4)])
	case 1:
		return nudged(rnd, placeAt(35.4676, -97.5164), 5_000_000)
	}
	return place{int32(rnd.Int64N(2*rightAngle+1) - rightAngle), int32(rnd.Int64N(fullTurn) - halfTurn)}
}

func nudged(rnd *rand.Rand, p place, by int64) place {
	lat := int64(p.lat) + rnd.Int64N(2*by+1) - by
	lon := int64(p.lon) + rnd.Int64N(2*by+1) - by
	return place{int32(max(-rightAngle, min(lat, rightAngle))), int32((lon+halfTurn+fullTurn)%fullTurn - halfTurn)}
}

func randomRadius(rnd *rand.Rand) float64 {
	switch rnd.IntN(8) {
	case 0:
		return 0
	case 1:
		return rnd.Float64() * 25e6
	case 2:
		return math.Pi * earthRadius * []float64{0.5, 1, 0.999999999, 1.000000001}[rnd.IntN(4)]
	}
	return math.Exp(rnd.Float64()*22 - 5)
}

// TestACompassKnowsTheBoxesOfACircle checks places of boxes one by one.
func TestACompassKnowsTheBoxesOfACircle(t *testing.T) {
	rnd := rand.New(rand.NewPCG(5, 5))
	seen := map[int]int{}
	for range 60_000 {
		c := &circle{randomPlace(rnd), randomRadius(rnd)}
		if rnd.IntN(10) == 0 { // that just reaches a place
			c.radius = distance(c.centre, randomPlace(rnd))
		}
		p := newCompass(c)
		at := randomPlace(rnd)
		if rnd.IntN(3) == 0 {
			at = nudged(rnd, c.centre, min(int64(c.radius*180)+1, halfTurn/4))
		}
		if got, want := p.has(at), distance(c.centre, at) <= c.radius || p.all; got != want {
			t.Fatalf("%v has %v: got %v, want %v", c, at, got, want)
		}
		b, ok := cellOf(at, byte(rnd.IntN(maxDepth+1))).box()
		if !ok {
			t.Fatalf("%v is in a cell without places", at)
		}
		position := p.position(&b)
		seen[position]++
		width, height := int64(b.east)-int64(b.west)+1, int64(b.north)-int64(b.south)+1
		for i := range 24 {
			inBox := place{int32(int64(b.south) + rnd.Int64N(height)), int32(int64(b.west) + rnd.Int64N(width))}
			if i < 12 && i&1 != 0 {
				inBox.lat = []int32{b.south, b.north}[i>>1&1]
			}
			if i < 12 && i&2 != 0 {
				inBox.lon = []int32{b.west, b.east}[i>>2&1]
			}
			if has := p.has(inBox); has && position == outside || !has && position == inside {
				t.Fatalf("%v and the box %v: position %d, but %v is in it: %v", c, b, position, inBox, has)
			}
		}
	}
	if seen[outside] < 1000 || seen[crossing] < 1000 || seen[inside] < 1000 {
		t.Errorf("positions %v are too one-sided a test", seen)
	}
}

func TestCellsPartTheEarth(t *testing.T) {
	rnd := rand.New(rand.NewPCG(6, 6))
	for range 10_000 {
		at := randomPlace(rnd)
		for depth := byte(0); depth <= maxDepth; depth++ {
			c := cellOf(at, depth)
			b, ok := c.box()
			if !ok || at.lat < b.south || at.lat > b.north || at.lon < b.west || at.lon > b.east {
				t.Fatalf("%v is not in %v of its cell %v", at, b, c)
			}
			if depth > 0 {
				if up := cellOf(at, depth-1); c.x>>2 != up.x || c.y>>2 != up.y {
					t.Fatalf("%v is not below %v", c, up)
				}
			}
			if depth == maxDepth && (b.south != b.north || b.west != b.east) {
				t.Fatalf("the smallest cell %v has more than a place: %v", c, b)
			}
		}
	}
}

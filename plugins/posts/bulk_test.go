//go:build !wasip1

package main

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"maps"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/bench/bed"
	"github.com/edgeset/edgeset/host/edge"
)

// A world is where posts of benchmarks come from. One half of them is from towns: the
// more posts, the more towns there are, and each has as many. The other half is from
// twenty cities, which always are the same. So of what belongs to a town there is as
// much in a small world as in a large one, and of what belongs to a city there is more
// the more posts there are.
type world struct {
	posts int // a multiple of postsOfRegion
	first time.Time
}

const (
	postsOfTown   = 32
	townsOfRegion = 16
	postsOfRegion = 2 * postsOfTown * townsOfRegion // with those of the cities beside
	cities        = 20
	vocabulary    = 20_000
	// stepOfPosts lies between two posts.
	stepOfPosts = 30 * time.Second
)

// towns returns how many there are.
func (w *world) towns() int { return w.posts / (2 * postsOfTown) }

func (w *world) created(number uint32) int64 {
	return w.first.Add(time.Duration(number) * stepOfPosts).UnixMicro()
}

// spot returns one of 1,020 places that are evenly spread over the earth, 600 km or
// more from each other: the last ones are the cities, the others the middles of
// regions.
func spot(i int) place {
	const spots = 1020
	i = (i*613 + 211) % spots
	height := 1 - (2*float64(i)+1)/spots
	turns := math.Mod(float64(i)*0.6180339887498949, 1)
	return place{lat: int32(math.Asin(height) * halfTurn / math.Pi), lon: int32(turns*fullTurn - halfTurn)}
}

func citySpot(city int) place { return spot(1019 - city) }

// townSpot returns the middle of a town. Those of a region are 40 km from each other.
func townSpot(town int) place {
	i := town % townsOfRegion
	return move(spot(town/townsOfRegion), float64(i%4)*40-60, float64(i/4)*40-60)
}

// move returns the place so many km to the east and to the north.
func move(p place, east, north float64) place {
	const km = 1000 / earthRadius / inRadians
	lon := int64(p.lon) + int64(east*km/cosine(p.lat)) + halfTurn
	return place{lat: p.lat + int32(north*km), lon: int32((lon+fullTurn)%fullTurn - halfTurn)}
}

// post makes the post of a number, from 1.
func (w *world) post(number uint32) *post {
	half := int(number-1) / 2
	rnd := rand.New(rand.NewPCG(1, uint64(number)))
	p := &post{
		number: number, created: w.created(number), modified: w.created(number),
		account: "Zx81mN3qTtWc0pLrYb5d", app: "k2JvQe7uHs9aGf4xMn1o", author: "Bob", udid: fmt.Sprint("phone ", half%5000), email: "bob@mail.example",
		address: fmt.Sprint(1+rnd.IntN(999), " Main Street"), placed: true,
		picture: picture{format: "jpeg"},
	}
	// Which of the towns or cities, and which of its posts.
	places := w.towns()
	if number%2 == 0 {
		places = cities
	}
	which, turn := half%places, half/places
	var words, tags []string
	if number%2 == 0 {
		p.city, p.state, p.zip = fmt.Sprint("Oklahoma City ", which), fmt.Sprint("Oklahoma ", which/4), fmt.Sprint("C", 10_000+which)
		p.at = move(citySpot(which), 16*rnd.Float64()-8, 8*rnd.Float64()-4)
	} else {
		p.city, p.state, p.zip = townName(which), stateName(which), zipOf(which)
		p.at = move(townSpot(which), 4*rnd.Float64()-2, 4*rnd.Float64()-2)
		// As much of these as of a town, but from all over the world.
		tags = append(tags, clubName((which+turn)%places))
		words = append(words, familyName((which+2*turn)%places), "#"+eventName((which+3*turn)%places))
	}
	k := which + turn
	for _, c := range []struct {
		each int
		text string
	}{{2, "lake"}, {3, "bridge"}, {4, "morning"}, {5, "#traffic"}} {
		if k%c.each == 0 {
			words = append(words, c.text)
		}
	}
	if k%4 == 1 {
		tags = append(tags, "Weather")
	}
	if k%5 == 0 {
		tags = append(tags, "Traffic")
	}
	for range 6 { // the second word of a language is half as frequent as the first, and so on
		words = append(words, fmt.Sprint("word", int(math.Pow(vocabulary, rnd.Float64()))))
	}
	p.description, p.tags = "Seen "+strings.Join(words, " ")+".", tags
	for i, to := range []*image{&p.picture.thumbnail, &p.picture.medium, &p.picture.large} {
		side := []int{160, 640, 1600}[i]
		seed := binary.BigEndian.AppendUint32([]byte{byte(i)}, number)
		*to = image{id: sha256.Sum256(seed), size: int64(side * side / 8), width: side, height: side * 3 / 4}
	}
	return p
}

func townName(i int) string   { return fmt.Sprint("Little Rock ", i) }
func stateName(i int) string  { return fmt.Sprint("Region ", i/townsOfRegion) }
func zipOf(i int) string      { return fmt.Sprint("T", 10_000+i) }
func clubName(i int) string   { return fmt.Sprint("Club ", i) }
func familyName(i int) string { return fmt.Sprint("smith", i) }
func eventName(i int) string  { return fmt.Sprint("fair", i) }

// A bulk is what many posts are found by, that were added in the order of their
// numbers and not changed since. It makes the records that addFacets writes, at once.
type bulk struct {
	sets  map[string][]uint32
	trees map[string][]point
}

func newBulk() *bulk { return &bulk{map[string][]uint32{}, map[string][]point{}} }

func (b *bulk) add(number uint32, f *facets) {
	tags := normalTags(f.tags)
	for _, key := range f.terms(tags) {
		b.sets[key] = append(b.sets[key], number)
	}
	for _, tag := range f.trees(tags) {
		b.trees[tag] = append(b.trees[tag], point{number, f.at})
	}
}

// A stored is a record under its key.
type stored struct{ key, value []byte }

// records returns the records of all sets and trees.
func (b *bulk) records() (list []stored) {
	for key, numbers := range b.sets {
		list = appendSet(list, []byte(key), numbers)
	}
	for tag, points := range b.trees {
		list = appendCell(list, cell{}, tag, points)
	}
	return list
}

// appendSet appends the records of a set to which numbers were added one by one: each
// time that its tail was full, the older ones of it went to the blocks.
func appendSet(list []stored, key []byte, numbers []uint32) []stored {
	const step = maxTail + 1 - keepTail
	old := 0
	if len(numbers) > maxTail {
		old = (len(numbers) - keepTail) / step * step
	}
	var dir []byte
	for from, to := 0, step; to <= old; to += step {
		if to < old {
			if _, size := shortest(numbers[from : to+step]); size <= maxBlock {
				continue
			}
		}
		block := numbers[from:to]
		dir = appendEntry(dir, block[0], len(block))
		list = append(list, stored{appendBlockKey(nil, key, block[0]), appendPack(nil, block)})
		from = to
	}
	head := binary.BigEndian.AppendUint32(nil, uint32(len(dir)/dirEntry))
	return append(list, stored{appendHeadKey(nil, key), appendPack(append(head, dir...), numbers[old:])})
}

// appendCell appends the records of a cell, and of those below it.
func appendCell(list []stored, c cell, tag string, points []point) []stored {
	record := c.record(tag)
	if len(points) <= maxPoints && c.depth < maxDepth {
		leaf := []byte{leafMark}
		for _, p := range points {
			leaf = binary.BigEndian.AppendUint32(leaf, p.number)
			leaf = binary.BigEndian.AppendUint32(leaf, uint32(p.at.lat))
			leaf = binary.BigEndian.AppendUint32(leaf, uint32(p.at.lon))
		}
		return append(list, stored{record, leaf})
	}
	numbers := make([]uint32, len(points))
	for i, p := range points {
		numbers[i] = p.number
	}
	list = appendSet(list, record[headPrefix:], numbers)
	if c.depth == maxDepth {
		return list
	}
	below := map[cell][]point{}
	for _, p := range points {
		child := cellOf(p.at, c.depth+1)
		below[child] = append(below[child], p)
	}
	for child, within := range below {
		list = appendCell(list, child, tag, within)
	}
	return list
}

// records returns the records by which the posts of the world are found.
func (w *world) records() []stored {
	b := newBulk()
	for n := range uint32(w.posts) {
		b.add(n+1, w.post(n+1).facets())
	}
	return b.records()
}

// bearings returns the records that say how far the world has come: the last number,
// and the time of the last change.
func (w *world) bearings() []stored {
	last := w.created(uint32(w.posts))
	var counter, change abi.Writer
	counter.FixedArray(2)
	counter.Int(int64(w.posts))
	counter.Int(last)
	change.Int(last)
	return []stored{{shelfKey(keyCounter, shelfPosts), counter.Value()}, {shelfKey(keyChanged, shelfPosts), change.Value()}}
}

// fillWorld writes a world of so many posts into the store of a host, with all by
// which its posts are found. Pictures are left out: lists only name them.
func fillWorld(host *bed.Bed, posts int) *world {
	w := &world{posts: posts, first: time.Now().Add(-time.Duration(posts+1) * stepOfPosts)}
	index := make(chan []stored, 1)
	go func() { index <- append(w.records(), w.bearings()...) }() // there are two cores
	host.Fill("posts", posts, func(c *edge.Call, i int) error {
		p := w.post(uint32(i) + 1)
		if err := c.Put(postKey(p.number), p.record(), 0); err != nil {
			return err
		}
		return c.Put(momentKey(p.created, p.number), nil, 0)
	})
	list := <-index
	const each = 5 // entries of what Fill calls a record
	host.Fill("posts", (len(list)+each-1)/each, func(c *edge.Call, i int) error {
		for _, e := range list[i*each : min((i+1)*each, len(list))] {
			if err := c.Put(e.key, e.value, 0); err != nil {
				return err
			}
		}
		return nil
	})
	return w
}

func TestABulkOfPostsIsStoredAsIfTheyWereAddedOneByOne(t *testing.T) {
	posts := 3 * postsOfRegion
	if testing.Short() {
		posts = postsOfRegion
	}
	w := &world{posts: posts, first: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
	one := newIndexStore(t)
	for n := range uint32(posts) {
		p := w.post(n + 1)
		one.do(addFacets(one.kv, p.number, p.created, p.facets()))
	}
	maps.DeleteFunc(one.entries, func(key string, _ []byte) bool { return key[0] == keyMoment })

	list := w.records()
	if len(list) != len(one.entries) {
		t.Errorf("%d records, want %d", len(list), len(one.entries))
	}
	blocks := 0
	for _, e := range list {
		if want := one.entries[string(e.key)]; !bytes.Equal(e.value, want) {
			t.Fatalf("record %q: got %x, want %x", e.key, e.value, want)
		}
		if bytes.HasPrefix(e.key, []byte{keySet, 1}) {
			blocks++
		}
	}
	if blocks < 2 {
		t.Errorf("%d blocks: the sets are too small for this test", blocks)
	}
	// One town is like the other.
	for _, town := range []int{0, w.towns() - 1} {
		for kind, text := range map[byte]string{termCity: townName(town), termZip: zipOf(town), termTag: clubName(town), termWord: familyName(town)} {
			s := newSet(one.kv, []byte(termKey(kind, normalise(text)))...)
			if n, err := s.count(); n != postsOfTown || err != nil {
				t.Errorf("%d posts have %q, want %d; %v", n, text, postsOfTown, err)
			}
		}
	}
}

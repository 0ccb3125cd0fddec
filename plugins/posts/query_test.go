package main

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"testing"
)

// A town is posts as people make them: most near some cities, with words and tags of
// which few are frequent and many are rare.
type town struct {
	*indexStore
	rnd   *rand.Rand
	word  *rand.Zipf
	posts int
}

var townCities = []place{placeAt(35.4676, -97.5164), placeAt(36.154, -95.993), placeAt(40.7128, -74.006), placeAt(52.52, 13.405), placeAt(35.68, 139.76)}

func newTown(t testing.TB, posts int) *town {
	rnd := rand.New(rand.NewPCG(9, 9))
	c := &town{newIndexStore(t), rnd, rand.NewZipf(rnd, 1.1, 4, 50_000), 0}
	for range posts {
		c.add()
	}
	return c
}

func (c *town) add() asked {
	c.t.Helper()
	c.posts++
	city := c.rnd.IntN(len(townCities))
	f := facets{
		city: fmt.Sprint("city ", city), state: fmt.Sprint("state ", city/2), zip: fmt.Sprint(10_000 + 100*city + c.rnd.IntN(100)),
		placed: true, at: nudged(c.rnd, townCities[city], 3_000_000>>c.rnd.IntN(8)),
	}
	for range 3 {
		f.tags = append(f.tags, fmt.Sprint("tag", c.word.Uint64()%1000))
	}
	var words []string
	for range 15 {
		words = append(words, fmt.Sprint("word", c.word.Uint64()))
	}
	f.text = strings.Join(words, " ")
	number := uint32(c.posts)
	return c.do(addFacets(c.kv, number, townTime(number), &f))
}

// townTime is when a post was made: one each minute.
func townTime(number uint32) int64 { return 1_700_000_000_000_000 + 60_000_000*int64(number) }

// townFilters are what people ask for.
func townFilters(posts int) map[string]*filter {
	day := townTime(uint32(posts/2)) / 1_000_000
	near := func(km float64) *circle { return &circle{placeAt(35.47, -97.52), 1000 * km} }
	return map[string]*filter{
		"all":                 {},
		"dates":               {from: day, to: day + 6*3600},
		"since":               {from: day},
		"city":                {city: "City 1"},
		"state":               {state: "state 1"},
		"zip":                 {zip: "10007"},
		"tag":                 {tags: []string{"tag1"}},
		"rare tag":            {tags: []string{"tag700"}},
		"word":                {search: "word0"},
		"rare word":           {search: "word30000"},
		"no such word":        {search: "nothing"},
		"point":               {circle: &circle{placeAt(35.47, -97.52), 10}},
		"radius 1 km":         {circle: near(1)},
		"radius 10 km":        {circle: near(10)},
		"radius 100 km":       {circle: near(100)},
		"radius 1000 km":      {circle: near(1000)},
		"radius 10000 km":     {circle: near(10000)},
		"city+tag":            {city: "city 1", tags: []string{"tag3"}},
		"radius 10 km+tag":    {circle: near(10), tags: []string{"tag3"}},
		"search+dates":        {search: "word1", from: day, to: day + 6*3600},
		"two words":           {search: "word0 word1"},
		"three words":         {search: "word10 word100 word1000"},
		"two tags":            {tags: []string{"tag1", "tag2"}},
		"city+state":          {city: "city 1", state: "state 0"},
		"city+word":           {city: "city 1", search: "word5"},
		"zip+rare word":       {zip: "10007", search: "word3000"},
		"radius 10 km+word":   {circle: near(10), search: "word5"},
		"radius 10 km+dates":  {circle: near(10), from: day},
		"radius 100 km+dates": {circle: near(100), from: day, to: day + 6*3600},
		"everything":          {circle: near(100), from: day, tags: []string{"tag1", "tag2"}, search: "word5"},
	}
}

// TestAPageOfManyPostsTakesAsMuchAsOfFew counts what the pages of eight times the
// posts ask of the store.
func TestAPageOfManyPostsTakesAsMuchAsOfFew(t *testing.T) {
	few, many := newTown(t, 1000), newTown(t, 8_000)
	single := map[string]bool{}
	for _, name := range []string{
		"all", "city", "state", "zip", "tag", "rare tag", "word", "rare word", "city+tag", "no such word",
	} {
		single[name] = true
	}
	for name := range townFilters(0) {
		var took [2]asked
		for i, c := range []*town{few, many} {
			_, _, err := findPosts(c.kv, townFilters(c.posts)[name], 0, 20)
			took[i] = c.do(err)
		}
		a, b := took[0], took[1]
		switch {
		case single[name] && (a.keys != 1 || b.keys != 1 || b.foundBytes > 1200),
			strings.HasPrefix(name, "dates") && (b.keys > 5 || b.crossings > 4),
			strings.HasPrefix(name, "search+dates") && (b.keys > 5 || b.crossings > 4),
			b.crossings > a.crossings+4,
			b.keys > 200:
			t.Errorf("%s: %+v, %+v", name, a, b)
		}
	}
}

func TestToAddAPostTakesNoMoreWhereThereAreMany(t *testing.T) {
	few, many := newTown(t, 1000), newTown(t, 8_000)
	var took [2]asked
	const posts = 256 // as many as a tail has
	for i, c := range []*town{few, many} {
		for range posts {
			a := c.add()
			took[i].crossings += a.crossings
			took[i].writes += a.writes
			took[i].writtenBytes += a.writtenBytes
		}
	}
	a, b := took[0], took[1]
	t.Logf("of %d posts: %+v, %+v", posts, a, b)
	if b.crossings > 13*posts || b.writes > a.writes*3/2 || b.writtenBytes > 32_000*posts {
		t.Errorf("few posts: %+v, many: %+v", a, b)
	}
}

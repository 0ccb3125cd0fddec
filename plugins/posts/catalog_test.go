package main

import (
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"strings"
	"testing"

	"github.com/edgeset/edgeset/abi/guest"
)

// A modelPost is a post as the model of a catalog knows it.
type modelPost struct {
	number  uint32
	created int64
	facets  facets
}

// matches tells in the plainest way whether a post is wanted.
func (p *modelPost) matches(f *filter) bool {
	second := p.created / 1_000_000
	if second < f.from || f.to != 0 && second > f.to {
		return false
	}
	same := func(want, is string) bool { return want == "" || normalise(want) == normalise(is) }
	if f.circle != nil {
		if !p.facets.placed || distance(f.circle.centre, p.facets.at) > f.circle.radius {
			return false
		}
	} else if !same(f.city, p.facets.city) || !same(f.state, p.facets.state) || !same(f.zip, p.facets.zip) {
		return false
	}
	if len(f.tags) > 0 && !slices.ContainsFunc(f.tags, func(tag string) bool {
		return slices.ContainsFunc(p.facets.tags, func(has string) bool { return normalise(tag) == normalise(has) })
	}) {
		return false
	}
	if f.search == "" {
		return true
	}
	text := strings.Fields(strings.ReplaceAll(strings.ToLower(p.facets.text), "#", " "))
	for _, word := range strings.Fields(strings.ToLower(f.search)) {
		if tag, ok := strings.CutPrefix(word, "#"); ok {
			if !slices.Contains(strings.Fields(strings.ToLower(p.facets.text)), "#"+tag) {
				return false
			}
		} else if !slices.Contains(text, word) {
			return false
		}
	}
	return true
}

// A modelCatalog is posts in memory beside those in a catalog.
type modelCatalog struct {
	*indexStore
	rnd     *rand.Rand
	posts   []*modelPost // by number
	number  uint32
	created int64
	places  func() place
}

func (m *modelCatalog) pick(from ...string) string { return from[m.rnd.IntN(len(from))] }

func (m *modelCatalog) randomFacets() facets {
	f := facets{
		city: m.pick("", "Oklahoma City", "oklahoma  city", "Tulsa", "Zürich"), state: m.pick("OK", "ok", "", "ZH"),
		zip: fmt.Sprint(73000 + m.rnd.IntN(50)), placed: m.rnd.IntN(5) > 0, at: m.places(),
	}
	for range m.rnd.IntN(4) {
		f.tags = append(f.tags, m.pick("traffic", "Fire", "fire", "road works", "rare"+fmt.Sprint(m.rnd.IntN(500))))
	}
	var words []string
	for range m.rnd.IntN(12) {
		words = append(words, m.pick("jam", "Jam", "#jam", "the", "the", "a", "#fire", "fire", "word"+fmt.Sprint(m.rnd.IntN(300))))
	}
	f.text = strings.Join(words, " ")
	return f
}

func (m *modelCatalog) add() {
	m.t.Helper()
	m.number += 1 + m.rnd.Uint32N(3)
	if m.rnd.IntN(200) == 0 {
		m.number += m.rnd.Uint32N(2_000_000)
	}
	m.created += m.rnd.Int64N(2_000_000)
	p := &modelPost{m.number, m.created, m.randomFacets()}
	m.posts = append(m.posts, p)
	m.do(addFacets(m.kv, p.number, p.created, &p.facets))
}

func (m *modelCatalog) remove(i int) {
	m.t.Helper()
	p := m.posts[i]
	m.do(removeFacets(m.kv, p.number, p.created, &p.facets))
	m.posts = slices.Delete(m.posts, i, i+1)
}

func (m *modelCatalog) change(i int) {
	m.t.Helper()
	p := m.posts[i]
	old, now := p.facets, m.randomFacets()
	if now.tags = old.tags; m.rnd.IntN(3) == 0 {
		now.at, now.placed = old.at, old.placed
	}
	m.do(changeFacets(m.kv, p.number, p.created, &old, &now))
	p.facets = now
}

func (m *modelCatalog) randomFilter() *filter {
	f, some := new(filter), func(n int) bool { return m.rnd.IntN(n) == 0 }
	if some(3) {
		f.from = m.posts[m.rnd.IntN(len(m.posts))].created / 1_000_000
	}
	if some(3) {
		f.to = m.posts[m.rnd.IntN(len(m.posts))].created / 1_000_000
	}
	if some(3) {
		f.city = m.pick("OKLAHOMA CITY", " tulsa", "nowhere")
	}
	if some(5) {
		f.state = m.pick("ok", "zh")
	}
	if some(8) {
		f.zip = fmt.Sprint(73000 + m.rnd.IntN(50))
	}
	for some(2) && len(f.tags) < 4 {
		f.tags = append(f.tags, m.pick("traffic", "FIRE", "road  works", "none", "rare"+fmt.Sprint(m.rnd.IntN(500))))
	}
	if some(2) {
		f.search = m.pick("jam", "#jam", "the", "the a", "jam fire", "word7", "the word9", "none", "#FIRE the", "word1 word2")
	}
	if some(3) {
		f.circle = &circle{m.places(), randomRadius(m.rnd)}
		if some(2) {
			f.circle.radius = distance(f.circle.centre, m.places())
		}
	}
	return f
}

func (m *modelCatalog) check(f *filter, size int) {
	m.t.Helper()
	var want []uint32
	for _, p := range m.posts {
		if p.matches(f) {
			want = append(want, p.number)
		}
	}
	slices.Reverse(want)
	got := pagesOf(m.t, size, func(skip, limit int) (int, []uint32, error) { return findPosts(m.kv, f, skip, limit) })
	if !slices.Equal(got, want) {
		m.t.Fatalf("%+v: got %d posts, want %d", f, len(got), len(want))
	}
	m.asked = asked{}
}

func TestWhatIsFoundIsWhatThereIs(t *testing.T) {
	rnd := rand.New(rand.NewPCG(8, 8))
	for _, c := range []struct {
		posts  int
		places func() place
	}{
		{1400, func() place { return randomPlace(rnd) }},
		{300, func() place { return nudged(rnd, placeAt(35.4676, -97.5164), 2_000_000) }},
		{300, func() place { return nudged(rnd, placeAt(float64(rnd.IntN(3)), -180), 1) }},
	} {
		m := &modelCatalog{indexStore: newIndexStore(t), rnd: rnd, places: c.places, created: 1_700_000_000_000_000}
		for range 3 {
			for range c.posts {
				m.add()
			}
			for range c.posts / 10 {
				m.remove(rnd.IntN(len(m.posts)))
				m.change(rnd.IntN(len(m.posts)))
			}
			m.check(&filter{}, 1000)
			for range 50 {
				m.check(m.randomFilter(), 1+rnd.IntN(1000))
			}
		}
		for len(m.posts) > 0 {
			m.remove(len(m.posts) / 2)
		}
		m.empty()
	}
}

func TestASearchWithoutAWordFindsNothing(t *testing.T) {
	kv := newIndexStore(t)
	kv.do(addFacets(kv.kv, 1, 1_000_000, &facets{text: "a !?"}))
	for search, want := range map[string]int{"!?": 0, "#": 0, "": 1, "a": 1, "A!": 1} {
		if n, _, err := findPosts(kv.kv, &filter{search: search}, 0, 10); err != nil || n != want {
			t.Errorf("%q: found %d, %v", search, n, err)
		}
	}
	var e *guest.Error
	if _, _, err := findPosts(kv.kv, &filter{search: manyWords(maxSearched + 1)}, 0, 10); !errors.As(err, &e) || e.Status != 400 {
		t.Errorf("to search for many words: got %v", err)
	}
}

func manyWords(n int) string {
	var b strings.Builder
	for i := range n {
		fmt.Fprintf(&b, "w%d ", i)
	}
	return b.String()
}

func TestDatesAreInclusiveInWholeSeconds(t *testing.T) {
	kv := newIndexStore(t)
	for n, created := range []int64{10_000_000, 10_999_999, 11_000_000, 11_000_000, 12_500_000} {
		kv.do(addFacets(kv.kv, uint32(n)+1, created, &facets{text: "a"}))
	}
	for _, c := range []struct {
		from, to int64
		want     []uint32
	}{
		{0, 0, []uint32{5, 4, 3, 2, 1}}, {10, 10, []uint32{2, 1}}, {11, 0, []uint32{5, 4, 3}}, {0, 11, []uint32{4, 3, 2, 1}}, {12, 12, []uint32{5}},
		{13, 0, nil}, {0, 9, nil}, {12, 11, nil}, {0, -5, nil}, {-5, 10, []uint32{2, 1}}, {1 << 62, 1 << 62, nil}, {0, 1 << 62, []uint32{5, 4, 3, 2, 1}},
	} {
		for _, search := range []string{"", "a"} {
			n, got, err := findPosts(kv.kv, &filter{from: c.from, to: c.to, search: search}, 0, 10)
			if err != nil || n != len(c.want) || !slices.Equal(got, c.want) {
				t.Errorf("from %d to %d: got %d %v, %v, want %v", c.from, c.to, n, got, err, c.want)
			}
		}
	}
}

func TestLongTermsAreToldApart(t *testing.T) {
	kv := newIndexStore(t)
	long := strings.Repeat("ü", 200)
	for n, city := range []string{long, long + "x", "x" + long} {
		kv.do(addFacets(kv.kv, uint32(n)+1, 1, &facets{city: city, tags: []string{city}, text: city, placed: true}))
	}
	for _, f := range []*filter{
		{city: long}, {tags: []string{long}}, {search: long}, {city: long, tags: []string{long}},
		{tags: []string{long}, circle: &circle{radius: 1}},
	} {
		if n, got, err := findPosts(kv.kv, f, 0, 10); err != nil || n != 1 || got[0] != 1 {
			t.Errorf("%+v: got %d, %v, %v", f, n, got, err)
		}
	}
}

// worstFacets are as large as facets can be.
func worstFacets(prefix string) *facets {
	f := &facets{city: prefix + "c", state: "s", zip: "z", placed: true, text: strings.ReplaceAll(manyWords(maxWords), "w", prefix)}
	for i := range 16 {
		f.tags = append(f.tags, prefix+fmt.Sprint(i))
	}
	return f
}

// TestTheLargestPostsFitIntoACall has posts that are all the same and as large as can
// be, so that whatever happens to sets happens to all of them at once. The store of
// the test refuses what is too much.
func TestTheLargestPostsFitIntoACall(t *testing.T) {
	kv, f := newIndexStore(t), worstFacets("w")
	if err := f.check(); err != nil {
		t.Fatal(err)
	}
	f.text += "more"
	if err := f.check(); err == nil {
		t.Fatal("more words than can be stored are taken")
	}
	f = worstFacets("w")
	var most asked
	keep := func(a asked) {
		most.writes, most.writtenBytes = max(most.writes, a.writes), max(most.writtenBytes, a.writtenBytes)
	}
	const posts = 262
	for n := uint32(1); n <= posts; n++ {
		keep(kv.do(addFacets(kv.kv, 3*n, int64(n), f)))
	}
	t.Logf("to add took at most %d writes, %d KB", most.writes, most.writtenBytes/1000)
	most = asked{}
	now := worstFacets("w")
	now.at, now.city = place{1, 1}, "other"
	now.state, now.zip, now.tags = "", "", f.tags
	half := maxWords / 2
	now.text = strings.ReplaceAll(manyWords(half), "w", "x") + manyWords(maxWords)[len(manyWords(half)):]
	for n := uint32(1); n <= posts; n += 5 {
		keep(kv.do(changeFacets(kv.kv, 3*n, int64(n), f, now)))
		keep(kv.do(changeFacets(kv.kv, 3*n, int64(n), now, f)))
	}
	t.Logf("to change took at most %d writes, %d KB", most.writes, most.writtenBytes/1000)
	most = asked{}
	for n := uint32(1); n <= posts; n++ {
		keep(kv.do(removeFacets(kv.kv, 3*n, int64(n), f)))
	}
	kv.empty()
	t.Logf("to remove took at most %d writes, %d KB", most.writes, most.writtenBytes/1000)
	bare := worstFacets("w")
	bare.text, bare.city, bare.state, bare.zip, bare.placed = "", "", "", "", false
	kv.do(addFacets(kv.kv, 1, 1, bare))
	kv.do(changeFacets(kv.kv, 1, 1, bare, f))
	if err := changeFacets(kv.kv, 1, 1, f, worstFacets("v")); err == nil {
		t.Error("all words are replaced at once")
	}
	kv.do(changeFacets(kv.kv, 1, 1, f, bare))
}

//go:build !wasip1

package main

import (
	"fmt"
	"net/url"
	"testing"
	"time"

	"github.com/edgeset/edgeset/host/bench"
	"github.com/edgeset/edgeset/host/bench/bed"
	"github.com/edgeset/edgeset/store/badgerstore"
)

// params makes a query of names and values in turn.
func params(pairs ...string) url.Values { return fieldsOf(pairs) }

// with returns filters together.
func with(filters ...url.Values) url.Values {
	all := url.Values{}
	for _, f := range filters {
		for name, values := range f {
			all[name] = values
		}
	}
	return all
}

func around(at place, km string) url.Values {
	return params("latitude", fmt.Sprint(inDegrees(at.lat)), "longitude", fmt.Sprint(inDegrees(at.lon)), "km", km)
}

// between returns a filter of the posts from one number to another.
func (w *world) between(first, last int) url.Values {
	date := func(n int) string { return time.UnixMicro(w.created(uint32(n))).UTC().Format(time.DateTime) }
	return params("sdate", date(first), "edate", date(last))
}

// A search is a filter, under the name that its figures have.
type search struct {
	name   string
	filter url.Values
}

// townSearches find the same number of posts in a small world as in a large one.
func (w *world) townSearches() []search {
	town := w.towns() / 2 / 60 * 60 // one in which frequent words are as frequent as in town 0
	var (
		city   = params("city", townName(town))
		near   = around(townSpot(town), "10")
		rare   = params("search", familyName(town))
		common = params("search", "lake")
		tag    = params("tags", "weather")
	)
	return []search{
		{"date", w.between(w.posts/2+1, w.posts/2+300)},
		{"city", city},
		{"state", params("state", stateName(town))},
		{"zip", params("zip", zipOf(town))},
		{"10km", near},
		{"500km", around(spot(town/townsOfRegion), "500")},
		{"word", rare},
		{"hashtag", params("search", "#"+eventName(town))},
		{"tag", params("tags", clubName(town))},
		{"two_tags", params("tags", clubName(town)+","+clubName((town+9)%w.towns()))},
		{"city_tag", with(city, tag)},
		{"10km_tag", with(near, tag)},
		{"word_date", with(rare, w.between(1, w.posts/2))},
		{"city_word", with(city, common)},
		{"10km_word", with(near, common)},
		{"three_words", params("search", "lake bridge "+familyName(town))},
	}
}

// citySearches find a thousand times as many posts in a world that is a thousand times
// as large.
func (w *world) citySearches() []search {
	const which = 4 // of the cities
	var (
		city   = params("city", "oklahoma city 4")
		near   = around(citySpot(which), "10")
		common = params("search", "lake")
		tag    = params("tags", "weather")
	)
	return []search{
		{"all", nil},
		{"date", w.between(w.posts/4, 3*w.posts/4)},
		{"city", city},
		{"state", params("state", "oklahoma 1")},
		{"zip", params("zip", "C10004")},
		{"10km", near},
		{"500km", around(citySpot(which), "500")},
		{"word", common},
		{"hashtag", params("search", "#traffic")},
		{"tag", tag},
		{"two_tags", params("tags", "weather,traffic")},
		{"city_tag", with(city, tag)},
		{"10km_tag", with(near, tag)},
		{"word_date", with(common, w.between(w.posts/4, 3*w.posts/4))},
		{"city_word", with(city, common)},
		{"10km_word", with(near, common)},
		{"three_words", params("search", "lake bridge morning")},
	}
}

// BenchmarkListGrowth compares pages of lists in a world of a million posts with those
// in one of a thousand: the first page, and the tenth, with each filter and with some
// together.
func BenchmarkListGrowth(b *testing.B) {
	many, few := 1000*postsOfRegion, postsOfRegion
	if testing.Short() {
		many = 50 * postsOfRegion
	}
	large, small := newBed(b, badgerstore.Process), newBed(b, badgerstore.Process)
	w, z := fillWorld(large, many), fillWorld(small, few)
	large.Settle()
	for _, series := range []struct {
		suffix, peer string
		ours, theirs []search
		same         bool // number of posts that are found
	}{
		{"", "1k posts", w.townSearches(), z.townSearches(), true},
		{"_growing", "1k posts, of which it finds as many fewer", w.citySearches(), z.citySearches(), false},
	} {
		for i := range series.ours {
			ours, theirs := series.ours[i], series.theirs[i]
			compare(b, large, small, "page/posts_"+ours.name+series.suffix, series.peer, ours.filter, theirs.filter, series.same)
		}
	}
}

// compare measures the first and the tenth page of a list in two worlds.
func compare(b *testing.B, large, small *bed.Bed, name, peer string, ours, theirs url.Values, same bool) {
	const path = "/1.0/posts.json?"
	a, z := read(b, large, path+ours.Encode()).Total, read(b, small, path+theirs.Encode()).Total
	if z == 0 || same && a != z || !same && a < 10*z {
		b.Fatalf("%s: the worlds are not comparable: %d and %d posts", name, a, z)
	}
	for _, page := range []int{1, 10} {
		// As many on a page as so many pages have room for.
		count, suffix := min(20, z/page), ""
		if count == 0 {
			continue
		}
		if page > 1 {
			suffix = fmt.Sprint("_page_", page)
		}
		number := params("page", fmt.Sprint(page), "count", fmt.Sprint(count))
		ourPath, theirPath := path+with(ours, number).Encode(), path+with(theirs, number).Encode()
		b.Run(name+suffix, func(b *testing.B) {
			a, z := len(read(b, large, ourPath).Posts), len(read(b, small, theirPath).Posts)
			if a != z || a == 0 {
				b.Fatalf("the pages are not comparable: %d and %d posts", a, z)
			}
			bench.Compare(b, name+suffix, peer, "µs", reader(large, ourPath), reader(small, theirPath))
		})
	}
}

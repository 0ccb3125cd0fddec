//go:build !wasip1

package main_test

import (
	"fmt"
	"math/rand/v2"
	"strconv"
	"strings"
	"time"
)

// spots are where posts are made: towns, both poles, along the date line, and what
// lies opposite of the first.
var spots = [][2]float64{
	{35.4675601, -97.5164276}, {35.4675601, -97.5164276}, {59.2741, 15.2066}, {90, 0}, {-90, 45}, {0, 180}, {0, -180}, {-16.5, 179.9999},
	{-16.5, -179.9999}, {66.5, 180}, {-35.4675601, 82.4835724}, {0, 0}, {89.9999, 100}, {45, -97.5},
}

// spot picks a place near one of these.
func (a *author) spot() (lat, lon string) {
	p := pick(a, spots...)
	near := pick(a, 0, 0, 0.00005, 0.0005, 0.02, 1, 40)
	degrees := func(f, most float64) string {
		f += (a.Float64() - 0.5) * near
		if f > most && most == 180 {
			f -= 360
		}
		if f < -most && most == 180 {
			f += 360
		}
		f = max(-most, min(most, f))
		places := pick(a, 8, 7, 7, 6, 4, 1, 0)
		if near == 0 {
			places = 7
		}
		text := strconv.FormatFloat(f, 'f', places, 64)
		// Halves are rounded as binary fractions have it.
		if places == 8 && strings.HasSuffix(text, "5") {
			text = text[:len(text)-1] + "4"
		}
		return text
	}
	return degrees(p[0], 90), degrees(p[1], 180)
}

func (a *author) place() []string {
	lat, lon := a.spot()
	if a.IntN(60) == 0 {
		lon = pick(a, "179.99999999", "-179.99999999", "180.0", "-180")
	}
	pairs := []string{"latitude=" + lat, "longitude=" + lon}
	switch a.IntN(40) {
	case 0:
		return pairs[:1]
	case 1:
		return pairs[1:]
	case 2:
		return []string{"latitude=", "longitude="}
	}
	return pairs
}

func (a *author) window() (query []string) {
	if a.IntN(2) == 0 {
		query = append(query, "count="+pick(a, "1", "2", "3", "5", "20", "100", "101", "5000"))
	}
	if a.IntN(3) == 0 {
		query = append(query, "page="+pick(a, "1", "2", "2", "3", "5", "1000", "4294967297", "9223372036854775807", "184467440737095517"))
	}
	if a.IntN(40) == 0 {
		query = []string{pick(a, "count=", "page=") + pick(a, "0", "-1", "x", "", "1.5", "2x")}
	}
	return query
}

// date writes a moment, often one at which something was done.
func (a *author) date() string {
	t := a.now
	if len(a.times) > 0 {
		t = pick(a, a.times...)
	}
	t = t.Add(pick(a, 0, 0, 0, time.Second, -time.Second, time.Hour, -24*time.Hour))
	if a.IntN(25) == 0 {
		t = pick(a, time.Unix(0, 0), time.Unix(-1, 0), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), time.Date(1, 1, 1, 0, 0, 0, 0, time.UTC))
	}
	if a.IntN(40) == 0 {
		return pick(a, "yesterday", "2026-02-29", "2026-01-01 25:00:00", "2026-1-1", "2026-01-01 00:00", "2026-13-01 00:00:00", "20260101", "2026-01-01T00:00:00", "2026-01-01 00:00:60")
	}
	return t.UTC().Format(pick(a, layouts...))
}

func (a *author) format() string { return pick(a, "json", "json", "json", "plist", "rss", "atom") }

func (a *author) base() string {
	return pick(a, "", "", "", "", "", "https://posts.example:8443")
}

// find lists posts by any of the filters.
func (a *author) find() step {
	s := step{method: "GET", path: pick(a, "/1.0/posts.", "/1.0/posts/index.") + a.format(), query: a.window(), base: a.base()}
	often := pick(a, 3, 5, 8)
	add := func(name string, value func() string) {
		if a.IntN(often) == 0 {
			s.query = append(s.query, name+"="+value())
		}
	}
	add("sdate", a.date)
	add("edate", a.date)
	add("city", func() string { return pick(a, append(cities, "", "Nowhere")...) })
	add("state", func() string { return pick(a, append(states, "")...) })
	add("zip", func() string { return pick(a, append(zips, "")...) })
	add("search", a.search)
	add("search", a.search)
	add("tags", func() string { return a.filterTags() })
	if a.spread > 0 && a.IntN(2) == 0 {
		s.query = append(s.query, a.amidst()...)
		s.query = append(s.query, fmt.Sprintf("km=%.4f", a.spread*111*a.Float64()))
	} else if a.IntN(often) < 2 {
		s.query = append(s.query, a.place()...)
		if a.IntN(6) > 0 {
			s.query = append(s.query, a.radius())
		}
	}
	if a.IntN(30) == 0 {
		s.query = append(s.query, pick(a, "miles=x", "km=-1", "km=NaN", "miles=", "km=1", "latitude=95", "longitude=x", "latitude="))
	}
	return s
}

func (a *author) radius() string {
	if a.IntN(2) == 0 {
		return "km=" + pick(a, "0", "0.001", "0.01", "0.05", "1", "3.25", "50", "700", "5000", "9000.5", "15000", "20015", "20016", "30000", "1000000000")
	}
	return "miles=" + pick(a, "0", "0.005", "0.5", "1", "10.25", "100", "3000", "7000", "12450", "99999")
}

func (a *author) search() string {
	switch a.IntN(20) {
	case 0:
		return pick(a, "", "!!!", "#", "'", "nowhere", "traf", "京", "ท", "年", " # ", "snake", "case")
	case 1, 2, 3:
		return a.words(3)
	}
	return pick(a, vocabulary...)
}

func (a *author) filterTags() string {
	text := a.tags(3)
	// Whether a list without any tag is no filter is left open.
	if text != "" && splitTags(text) == nil {
		return "news"
	}
	return text
}

func (a *author) show() step {
	kind, list := "posts", a.posts
	if a.IntN(4) == 0 {
		kind, list = "comments", a.comments
	}
	return step{method: "GET", path: "/1.0/" + kind + "/" + a.ref(list).String() + pick(a, ".", "/show.") + a.format(), base: a.base()}
}

func (a *author) listComments() step {
	s := step{method: "GET", path: pick(a, "/1.0/comments.", "/1.0/comments/index.") + a.format(), query: a.window(), base: a.base()}
	if a.IntN(3) > 0 {
		post := a.ref(a.posts[:min(len(a.posts), 6)]).String()
		if a.IntN(15) == 0 {
			post = pick(a, "", "x", "1.5", "-2")
		}
		s.query = append(s.query, "postId="+post)
	}
	return s
}

func (a *author) rendition() string {
	return fmt.Sprintf("{#%d %s}", a.ref(a.posts).number, pick(a, "thumbnail", "medium", "large", "large", "original"))
}

func (a *author) picture() step {
	return step{method: "GET", path: "/1.0/images/" + a.rendition()}
}

// odd makes requests with formats that are missing, unknown, or out of place.
func (a *author) odd() step {
	post := a.ref(a.posts).String()
	kind := pick(a, "posts", "comments")
	switch a.IntN(4) {
	case 0:
		return step{method: "GET", path: "/1.0/" + kind + pick(a, "", "/index", "/"+post, "/"+post+"/show", ".xml", "/index.html", "/"+post+".xml", "/"+post+"/show.JSON")}
	case 1:
		return step{method: "GET", path: "/1.0/" + kind + "/" + pick(a, "0", "007", "x", "-1", "4294967296", "18446744073709551617", "1e3", "٣", "%201") + pick(a, ".json", "/show.json")}
	case 2:
		s := step{who: a.reader(), method: "POST", path: "/1.0/" + kind + pick(a, ".json", "/create.rss", "/"+post+"/update.json", "/"+post+"/delete.plist"), form: []string{"udid=udid-1"}}
		return s
	}
	s := step{who: a.reader(), method: pick(a, "PUT", "DELETE"), path: "/1.0/" + kind + "/" + post + ".json"}
	if s.method == "PUT" {
		s.form = []string{"description=x", "content=x"}
	}
	return s
}

// amidst picks a place amidst a crowd.
func (a *author) amidst() []string {
	return []string{
		fmt.Sprintf("latitude=%.7f", max(-90, min(90, a.middle[0]+(a.Float64()-0.5)*a.spread))),
		fmt.Sprintf("longitude=%.7f", max(-180, min(180, a.middle[1]+(a.Float64()-0.5)*a.spread))),
	}
}

// crowd makes hundreds of posts about one spot, or comments on one post.
func (a *author) crowd(seed uint64, first int64) step {
	s := step{bulk: 150 + a.IntN(500)}
	if seed%8 == 7 {
		s.bulk = 2500 + a.IntN(2000)
	} else if a.IntN(4) == 0 {
		a.posts = append(a.posts, made{"ann", 1})
		s = a.create()
		s.who, s.picture, s.field, s.query, s.form = "ann", 1, "image", nil, []string{"udid=udid-1"}
		s.bulk = 900 + a.IntN(800)
		s.author = func(n int) step {
			return step{number: -n - 1, who: "bob", method: "POST", path: "/1.0/comments", form: []string{"postId=" + fmt.Sprint(first+1), fmt.Sprintf("content=number %d", n)}}
		}
		for range 12 {
			a.comments = append(a.comments, made{"bob", -1 - a.IntN(s.bulk)})
		}
		return s
	}
	a.middle, a.spread = pick(a, spots...), pick(a, 0, 0.00001, 0.001, 0.1, 5)
	s.author = func(n int) step {
		b := &author{Rand: rand.New(rand.NewPCG(seed, uint64(n+1))), middle: a.middle, spread: a.spread}
		one := b.create()
		one.number, one.wait = -n-1, time.Duration(b.IntN(2e6))*time.Microsecond
		one.query, one.form = nil, append(b.amidst(),
			"udid=udid-1", "tags="+pick(b, tags[:3]...), "city="+pick(b, cities...), "description="+pick(b, vocabulary...))
		return one
	}
	for range 12 {
		n := a.IntN(s.bulk)
		a.posts = append(a.posts, made{s.author(n).who, -n - 1})
	}
	return s
}

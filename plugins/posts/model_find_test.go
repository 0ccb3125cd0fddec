//go:build !wasip1

package main_test

import (
	"math"
	"slices"
	"strconv"
	"strings"
	"time"
	"unicode"
)

func lower(s string) string { return strings.Map(unicode.ToLower, s) }

// normal is the form in which names of places are compared.
func normal(s string) string { return strings.Join(strings.Fields(lower(s)), " ") }

// window reads which page of a list is asked for.
func window(q *request) (page, count int64, wrong []outcome) {
	page, count = 1, 20
	for name, to := range map[string]*int64{"page": &page, "count": &count} {
		if text := q.text(name); text != "" {
			n, err := strconv.ParseInt(text, 10, 64)
			if *to = n; err != nil || n < 1 {
				wrong = append(wrong, refuse(400, "bad_parameter", name))
			}
		}
	}
	return page, min(count, 100), wrong
}

// skip returns how many come before a page, without overflowing.
func skip(page, count int64) int64 { return min(page-1, 1<<40) * count }

var layouts = []string{"2006-01-02 15:04:05", "2006-01-02T15:04:05Z", "2006-01-02"}

// date reads the first and the last second that a date stands for.
func date(text string) (first, last int64, ok bool) {
	for _, layout := range layouts {
		t, err := time.Parse(layout, text)
		if err != nil || len(text) != len(layout) {
			continue
		}
		if layout == "2006-01-02" {
			return t.Unix(), t.Unix() + 86399, true
		}
		return t.Unix(), t.Unix(), true
	}
	return 0, 0, false
}

const (
	earth   = 6371008.8
	mile    = 1609.344
	noMiles = 10.0 // metres, if nothing is said
)

// distance is the haversine of two places, in metres.
func distance(a, b place) float64 {
	rad := func(n int64) float64 { return float64(n) / 1e7 * math.Pi / 180 }
	half := func(n int64) float64 { s := math.Sin(rad(n) / 2); return s * s }
	h := half(b.lat-a.lat) + math.Cos(rad(a.lat))*math.Cos(rad(b.lat))*half(b.lon-a.lon)
	return 2 * earth * math.Asin(math.Sqrt(min(1, h)))
}

// find returns the posts that a request asks for, the newest first; doubtful tells
// that some are so near to the edge of the circle that rounding decides.
func (w *world) find(q *request) (found []*post, doubtful bool, wrong []outcome) {
	for i := len(w.posts) - 1; i >= 0; i-- {
		if !w.posts[i].hidden {
			found = append(found, w.posts[i])
		}
	}
	keep := func(test func(p *post) bool) {
		found = slices.DeleteFunc(found, func(p *post) bool { return !test(p) })
	}
	second := func(p *post) int64 { return p.created / 1e6 }
	if text := q.text("sdate"); text != "" {
		from, _, ok := date(text)
		if !ok {
			wrong = append(wrong, refuse(400, "bad_parameter", "sdate"))
		}
		keep(func(p *post) bool { return second(p) >= from })
	}
	if text := q.text("edate"); text != "" {
		_, to, ok := date(text)
		if !ok {
			wrong = append(wrong, refuse(400, "bad_parameter", "edate"))
		}
		keep(func(p *post) bool { return second(p) <= to })
	}
	centre, round, bad := coordinates(q)
	wrong = append(wrong, bad...)
	radius, bad := radius(q, round)
	wrong = append(wrong, bad...)
	if round {
		keep(func(p *post) bool {
			d := distance(centre, p.at)
			if p.placed && d != 0 && math.Abs(d-radius) < 1e-6*max(1, radius) {
				doubtful = true
			}
			return p.placed && (d <= radius || radius > math.Pi*earth)
		})
	} else {
		for name, of := range map[string]func(p *post) string{
			"city": func(p *post) string { return p.city }, "state": func(p *post) string { return p.state },
			"zip": func(p *post) string { return p.zip },
		} {
			if text := q.text(name); text != "" {
				keep(func(p *post) bool { return normal(of(p)) == normal(text) })
			}
		}
	}
	if text := q.text("search"); text != "" {
		terms := words(text, true)
		keep(func(p *post) bool {
			has := words(p.description, false)
			for term := range terms {
				if !has[term] {
					return false
				}
			}
			return len(terms) > 0
		})
	}
	if text := q.text("tags"); text != "" {
		tags := splitTags(text)
		if len(tags) > 16 {
			wrong = append(wrong, refuse(400, "bad_parameter", "tags", "16"))
		}
		keep(func(p *post) bool {
			return slices.ContainsFunc(p.tags, func(is string) bool {
				return slices.ContainsFunc(tags, func(want string) bool { return lower(want) == lower(is) })
			})
		})
	}
	return found, doubtful, wrong
}

// radius reads how far from the place posts may be, in metres.
func radius(q *request, round bool) (metres float64, wrong []outcome) {
	metres = noMiles
	miles, km := q.text("miles"), q.text("km")
	if (miles != "" || km != "") && !round || miles != "" && km != "" {
		wrong = append(wrong, refuse(400, ""))
	}
	for name, unit := range map[string]float64{"miles": mile, "km": 1000} {
		if text := q.text(name); text != "" {
			f, err := strconv.ParseFloat(text, 64)
			if !decimal.MatchString(text) || err != nil || f < 0 {
				wrong = append(wrong, refuse(400, "bad_parameter", name))
			}
			metres = f * unit
		}
	}
	return metres, wrong
}

// letter tells what words consist of.
func letter(r rune) bool { return unicode.In(r, unicode.L, unicode.Nd, unicode.M) || r == '_' }

// dense tells the characters of scripts that are written without blanks.
func dense(r rune) bool {
	return letter(r) && unicode.In(r, unicode.Han, unicode.Hiragana, unicode.Katakana, unicode.Thai, unicode.Lao, unicode.Khmer, unicode.Myanmar)
}

// words returns what a text is found by or, of a search, what it looks for.
func words(text string, search bool) map[string]bool {
	r := []rune(lower(text))
	all := map[string]bool{}
	for i := 0; i < len(r); i++ {
		if !letter(r[i]) {
			continue
		}
		start := i
		for i < len(r) && dense(r[i]) == dense(r[start]) && (letter(r[i]) ||
			r[i] == '\'' && i+1 < len(r) && letter(r[i+1]) && !dense(r[i+1])) {
			i++
		}
		word, hashtag := r[start:i], start > 0 && r[start-1] == '#'
		i--
		if hashtag {
			all["#"+string(word)] = true
			if search {
				continue
			}
		}
		if !dense(word[0]) {
			all[string(word)] = true
			continue
		}
		for k := range word {
			if !search || len(word) == 1 {
				all[string(word[k])] = true
			}
			if k > 0 {
				all[string(word[k-1:k+1])] = true
			}
		}
	}
	return all
}

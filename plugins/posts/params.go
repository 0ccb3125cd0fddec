package main

import (
	"math"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/edgeset/edgeset/abi/guest"
)

// What clients send, in characters.
const (
	maxDescription = 2000
	maxAddress     = 200 // and of city and state
	maxZip         = 20
	maxEmail       = 254
	maxUDID        = 200
	maxSearch      = 1000
	maxTag         = 50
	maxTags        = 16 // tags
)

func badParameter(format string, args ...any) error {
	return guest.Errorf(400, "bad_parameter", format, args...)
}

func missing(name string) error {
	return guest.Errorf(400, "missing_parameter", "%s is missing.", name)
}

// text returns a parameter without the white space around it, and whether it is
// there.
func text(r *guest.Request, name string, limit int) (s string, there bool, err error) {
	s, there = r.Value(name)
	s = strings.TrimSpace(s)
	if len(s) > limit && utf8.RuneCountInString(s) > limit {
		return "", there, badParameter("%s is longer than %d characters.", name, limit)
	}
	return s, there, nil
}

// number reads the number of a post or a comment, as it is written in URLs: from 1,
// in one spelling.
func number(text string) (uint32, bool) {
	if len(text) == 0 || len(text) > 10 || text[0] == '0' {
		return 0, false
	}
	n, ok := digits(text)
	return uint32(n), ok && n <= math.MaxUint32
}

// digits reads a whole number of at most 18 digits.
func digits(text string) (n int, ok bool) {
	if len(text) == 0 || len(text) > 18 {
		return 0, false
	}
	for i := range len(text) {
		c := text[i] - '0'
		if c > 9 {
			return 0, false
		}
		n = 10*n + int(c)
	}
	return n, true
}

// whole returns a parameter that counts something, def if there is none. What is
// too large to be read is the largest there is.
func whole(r *guest.Request, name string, def int) (int, error) {
	s, _ := r.Value(name)
	if s = strings.TrimSpace(s); s == "" {
		return def, nil
	}
	figures := strings.TrimLeft(s, "0")
	if figures == "" {
		figures = "0"
	}
	n, ok := digits(figures)
	if !ok && len(figures) > 18 && strings.Trim(figures, "0123456789") == "" {
		n, ok = math.MaxInt64, true
	}
	if !ok || n < 1 {
		return 0, badParameter("%s: %q is not a whole number from 1.", name, s)
	}
	return n, nil
}

// How many posts or comments a page has.
const (
	defaultCount = 20
	maxCount     = 100
)

// A window is the page of a list that is asked for.
type window struct{ page, count int }

func readWindow(r *guest.Request) (w window, err error) {
	if w.count, err = whole(r, "count", defaultCount); err != nil {
		return w, err
	}
	w.count = min(w.count, maxCount)
	w.page, err = whole(r, "page", 1)
	return w, err
}

// maxPage is a page beyond the end of every list.
const maxPage = 1 << 40

// skip returns how many stand before the page.
func (w window) skip() int { return (min(w.page, maxPage) - 1) * w.count }

// readDate reads YYYY-MM-DD, alone or with HH:MM:SS behind a blank, or with THH:MM:SSZ,
// in UTC. It returns the seconds since 1970, and whether it is a whole day.
func readDate(s string) (seconds int64, day, ok bool) {
	switch {
	case len(s) == 10:
		s, day = s+" 00:00:00", true
	case len(s) == 20 && s[10] == 'T' && s[19] == 'Z':
		s = s[:10] + " " + s[11:19]
	}
	const form = "0000-00-00 00:00:00"
	if len(s) != len(form) {
		return 0, false, false
	}
	var part [6]int
	at := 0
	for i := range len(form) {
		if form[i] != '0' {
			if s[i] != form[i] {
				return 0, false, false
			}
			at++
			continue
		}
		c := s[i] - '0'
		if c > 9 {
			return 0, false, false
		}
		part[at] = 10*part[at] + int(c)
	}
	year, month, date, hour, minute, second := part[0], part[1], part[2], part[3], part[4], part[5]
	if month < 1 || month > 12 || date < 1 || hour > 23 || minute > 59 || second > 59 {
		return 0, false, false
	}
	t := time.Date(year, time.Month(month), date, hour, minute, second, 0, time.UTC)
	// The 31st of a shorter month comes out as one of the next.
	return t.Unix(), day, t.Day() == date
}

// date returns a parameter that is a date, as its seconds since 1970; of a whole day
// the first, or the last.
func date(r *guest.Request, name string, last bool) (seconds int64, there bool, err error) {
	s, _ := r.Value(name)
	if s = strings.TrimSpace(s); s == "" {
		return 0, false, nil
	}
	seconds, day, ok := readDate(s)
	if !ok {
		return 0, false, badParameter("%s: %q is not a date such as 2009-06-30 18:05:00, in UTC.", name, s)
	}
	if day && last {
		seconds += 24*60*60 - 1
	}
	return seconds, true, nil
}

// decimal reads a number of digits, with a point or an exponent.
func decimal(s string) (float64, bool) {
	if len(s) == 0 || len(s) > 40 || strings.Trim(s, "0123456789+-.eE") != "" {
		return 0, false
	}
	f, err := strconv.ParseFloat(s, 64)
	return f, err == nil
}

// degrees reads a coordinate from -limit to limit, in 1e-7 degrees.
func degrees(s string, limit float64) (int32, bool) {
	f, ok := decimal(s)
	if !ok || f < -limit || f > limit {
		return 0, false
	}
	return int32(math.Round(f * 1e7)), true
}

// A location is what a request says of a place.
type location struct {
	there  bool // it says something
	placed bool // and not that there is none
	at     place
}

// readLocation reads latitude and longitude, which stand together.
func readLocation(r *guest.Request) (l location, err error) {
	lat, thereLat := r.Value("latitude")
	lon, thereLon := r.Value("longitude")
	lat, lon = strings.TrimSpace(lat), strings.TrimSpace(lon)
	if lat == "" && lon == "" && thereLat == thereLon {
		l.there = thereLat
		return l, nil
	}
	if lat == "" || lon == "" {
		return l, badParameter("latitude and longitude stand together: give both, or none.")
	}
	l.there, l.placed = true, true
	var ok bool
	if l.at.lat, ok = degrees(lat, 90); !ok {
		return l, badParameter("latitude: %q is not a number of degrees from -90 to 90.", lat)
	}
	if l.at.lon, ok = degrees(lon, 180); !ok {
		return l, badParameter("longitude: %q is not a number of degrees from -180 to 180.", lon)
	}
	if l.at.lon == 1800000000 {
		l.at.lon = -1800000000 // the same meridian
	}
	return l, nil
}

// Distances in metres.
const (
	mile      = 1609.344
	kilometre = 1000
	nearby    = 10       // what is at a place that is asked for without a distance
	anywhere  = 25000000 // more than half around the earth
)

// readRadius reads the distance up to which something is asked for; there tells
// whether the request has one.
func readRadius(r *guest.Request) (metres float64, there bool, err error) {
	metres = nearby
	for name, unit := range units {
		s, _ := r.Value(name)
		if s = strings.TrimSpace(s); s == "" {
			continue
		}
		if there {
			return 0, true, badParameter("miles and km are both there: give one of them.")
		}
		f, ok := decimal(s)
		if !ok || f < 0 {
			return 0, true, badParameter("%s: %q is not a distance such as 2.5.", name, s)
		}
		metres, there = min(f*unit, anywhere), true
	}
	return metres, there, nil
}

// units yields the parameters for a distance.
func units(yield func(name string, metres float64) bool) {
	_ = yield("miles", mile) && yield("km", kilometre)
}

// isTrue tells whether a boolean parameter is there and not off.
func isTrue(r *guest.Request, name string) bool {
	s, _ := r.Value(name)
	switch strings.ToLower(strings.TrimSpace(s)) {
	case "", "0", "false", "no", "off":
		return false
	}
	return true
}

// isFlag tells whether an update is one that flags, and does nothing else.
func isFlag(r *guest.Request) bool { return isTrue(r, "flag") }

package main

import (
	"math"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi/guest"
	"github.com/edgeset/edgeset/abi/guesttest"
)

func FuzzANumberHasOneSpelling(f *testing.F) {
	for _, s := range []string{"1", "10", "4294967295", "4294967296", "0", "01", "", "-1", "9999999999", "99999999999", "1a", "１"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		n, ok := number(s)
		want, err := strconv.ParseUint(s, 10, 32)
		wanted := err == nil && want > 0 && strconv.FormatUint(want, 10) == s
		if ok != wanted || ok && uint64(n) != want {
			t.Fatalf("%q: got %d, %v, want %d, %v", s, n, ok, want, wanted)
		}
	})
}

func FuzzADateIsOfTheCalendar(f *testing.F) {
	for _, s := range []string{
		"2009-06-30 18:05:00", "2009-06-30T18:05:00Z", "2009-06-30", "2009-02-29", "2008-02-29", "2000-02-29 23:59:59", "1900-02-29",
		"2009-13-01", "2009-00-10", "2009-04-31", "2009-04-30 24:00:00", "2009-04-30 10:60:00", "2009-04-30 10:00:60",
		"2009-04-30T10:00:00", "2009-04-30 10:00:00Z", "2009-4-30", "20090430", "", "0000-01-01", "9999-12-31 23:59:59", "2009-06-30t18:05:00z",
		"2009-06-30 18:05", "+009-06-30", "2009-06-30 18:05:00 ",
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		seconds, day, ok := readDate(s)
		// Package time takes more spellings: of these it must be the one that it writes.
		parse := func(layout string) (time.Time, bool) {
			at, err := time.Parse(layout, s)
			return at, err == nil && at.Format(layout) == s
		}
		want, wanted := parse("2006-01-02 15:04:05")
		if !wanted {
			want, wanted = parse("2006-01-02T15:04:05Z")
		}
		wantDay := false
		if !wanted {
			want, wanted = parse("2006-01-02")
			wantDay = wanted
		}
		if ok != wanted || ok && (seconds != want.Unix() || day != wantDay) {
			t.Fatalf("%q: got %d, %v, %v, want %v, %v, %v", s, seconds, day, ok, want, wantDay, wanted)
		}
	})
}

func FuzzACoordinateIsWithinItsLimits(f *testing.F) {
	for _, s := range []string{
		"35.4676", "-97.5164", "90", "-90", "90.00000001", "90.0000001", "180", "-180", "1e1", "1e-7", "1e999", "NaN", "Inf", "0x10", "1_0",
		"", "-", ".", ".5", "5.", "+5", "--5", "1,5", "0.00000005", strings.Repeat("1", 50),
	} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		for _, limit := range []float64{90, 180} {
			e7, ok := degrees(s, limit)
			want, err := strconv.ParseFloat(s, 64)
			inside := err == nil && math.Abs(want) <= limit
			if ok && (!inside || e7 != int32(math.Round(want*1e7))) {
				t.Fatalf("%q: got %d, want %v: %v", s, e7, want, err)
			}
			if !ok && inside && len(s) <= 40 && strings.Trim(s, "0123456789.-") == "" {
				t.Fatalf("%q: refused", s)
			}
		}
	})
}

func TestWindowsOfLists(t *testing.T) {
	d := newDesk(t)
	for range 3 {
		d.post(deskAnn)
	}
	for _, c := range []struct {
		query, ids, page, count string
	}{
		{"", "3 2 1", "1", "20"},
		{"count=2", "3 2", "1", "2"},
		{"count=2&page=2", "1", "2", "2"},
		{"count=2&page=3", "", "3", "2"},
		{"count=100", "3 2 1", "1", "100"},
		{"count=101", "3 2 1", "1", "100"},
		{"count=99999999999999999999999", "3 2 1", "1", "100"},
		{"count=01&page=+2+", "2", "2", "1"},
		{"count=&page=", "3 2 1", "1", "20"},
		{"page=999999999999999999", "", "999999999999999999", "20"},
		{"page=9999999999999999999999", "", "9223372036854775807", "20"},
	} {
		r := d.wantStatus(d.get("/1.0/posts.json?"+c.query), 200)
		if got := d.list("x", "y"); got != "3 2 1" {
			t.Fatalf("a parameter that is none counts: %s", got)
		}
		ids := []string{}
		posts, _ := r.Field("posts").([]any)
		for i := range posts {
			ids = append(ids, r.Text("posts."+strconv.Itoa(i)+".id"))
		}
		if strings.Join(ids, " ") != c.ids || r.Text("page") != c.page || r.Text("count") != c.count || r.Text("total") != "3" {
			t.Errorf("%q: got %v", c.query, r)
		}
	}
	for _, query := range []string{
		"count=0", "count=-1", "count=x", "count=1.5", "count=1e1", "count=00", "count=0x1",
		"page=0", "page=-1", "page=x", "page=2.0", "page=-99999999999999999999", "page=1+1",
	} {
		name, _, _ := strings.Cut(query, "=")
		d.wantRefusal(d.get("/1.0/posts.json?"+query), 400, "bad_parameter", name, "whole number")
	}
}

func TestBooleansAreOffByTheirUsualNames(t *testing.T) {
	p := guest.New("booleans", "1.0.0")
	p.Family("/b", nil).GET("/b", func(w *guest.Response, r *guest.Request) error {
		w.Value().Bool(isTrue(r, "referrer"))
		return nil
	})
	c := guesttest.New(t, p)
	for query, want := range map[string]bool{
		"": false, "referrer": false, "referrer=": false, "referrer=0": false, "referrer=false": false, "referrer=No": false, "referrer=OFF": false,
		"referrer=+no+": false, "referrer=1": true, "referrer=true": true, "referrer=yes": true, "referrer=on": true, "referrer=http://a": true,
	} {
		if r := c.Do(guesttest.Request{Path: "/b?" + query}); r.JSON != want {
			t.Errorf("%q: got %v, want %v", query, r.JSON, want)
		}
	}
}

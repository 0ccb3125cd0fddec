package main_test

import (
	"fmt"
	"slices"
	"time"
)

// some are posts by how new they are: 0 is the newest one.
func (d *postsDocument) some(newest ...int) (ids []int64) {
	for _, i := range newest {
		ids = append(ids, d.ids[i])
	}
	return ids
}

func (d *postsDocument) retrieve() {
	for _, format := range postFormats {
		for _, path := range spellings("posts", "index", format) {
			if l := d.readList(d.shown(path), "posts", format); l.total != 5 || !slices.Equal(l.ids, d.ids) {
				d.t.Errorf("%s: %v, want %v", path, l, d.ids)
			}
		}
		for _, c := range []struct {
			params []string
			total  int
			newest []int
		}{
			{[]string{"count", "2"}, 5, []int{0, 1}},
			{[]string{"count", "2", "page", "2"}, 5, []int{2, 3}},
			{[]string{"count", "2", "page", "3"}, 5, []int{4}},
			{[]string{"count", "2", "page", "4"}, 5, nil},
			{[]string{"count", "100000"}, 5, []int{0, 1, 2, 3, 4}},
			{[]string{"city", "Oklahoma City"}, 3, []int{0, 3, 4}},
			{[]string{"city", "oklahoma city", "count", "1", "page", "3"}, 3, []int{4}},
			{[]string{"city", "Oklahoma"}, 0, nil},
			{[]string{"state", "ok"}, 3, []int{1, 3, 4}},
			{[]string{"state", "OK", "city", "TULSA"}, 1, []int{1}},
			{[]string{"zip", "73102"}, 2, []int{3, 4}},
			{[]string{"zip", "73102", "city", "Tulsa"}, 0, nil},
			{[]string{"latitude", "35.4676", "longitude", "-97.5164"}, 2, []int{3, 4}},
			// Other address criteria are ignored.
			{[]string{"latitude", "35.4676", "longitude", "-97.5164", "city", "Tulsa", "zip", "1", "state", "TX"}, 2, []int{3, 4}},
			{[]string{"latitude", "35.47", "longitude", "-97.52"}, 0, nil},
			{[]string{"latitude", "35.47", "longitude", "-97.52", "km", "0.5"}, 2, []int{3, 4}},
			{[]string{"latitude", "35.4676", "longitude", "-97.5164", "km", "150"}, 2, []int{3, 4}},
			{[]string{"latitude", "35.4676", "longitude", "-97.5164", "km", "160.5"}, 3, []int{1, 3, 4}},
			{[]string{"latitude", "35.4676", "longitude", "-97.5164", "miles", "90.0"}, 2, []int{3, 4}},
			{[]string{"latitude", "35.4676", "longitude", "-97.5164", "miles", "100"}, 3, []int{1, 3, 4}},
			{[]string{"latitude", "-35", "longitude", "82", "km", "20016"}, 3, []int{1, 3, 4}},
			// It matches any other parameters as well.
			{[]string{"latitude", "36.154", "longitude", "-95.9928", "miles", "100", "tags", "weather"}, 1, []int{1}},
			{[]string{"search", "traffic"}, 4, []int{0, 1, 3, 4}},
			{[]string{"search", "#traffic"}, 3, []int{0, 3, 4}},
			{[]string{"search", "ACCIDENT"}, 2, []int{3, 4}},
			{[]string{"search", "traffic jam"}, 1, []int{1}},
			{[]string{"search", "straßenverkehr"}, 1, []int{0}},
			{[]string{"search", "東京"}, 1, []int{0}},
			{[]string{"search", "traf"}, 0, nil},
			{[]string{"search", "!"}, 0, nil},
			{[]string{"tags", "weather"}, 2, []int{0, 1}},
			{[]string{"tags", "weather,accident"}, 4, []int{0, 1, 3, 4}},
			{[]string{"tags", "#WEATHER, nothing"}, 2, []int{0, 1}},
			{[]string{"tags", "road works"}, 2, []int{3, 4}},
			{[]string{"tags", "weather", "search", "#traffic"}, 1, []int{0}},
			{[]string{"tags", "i44", "city", "oklahoma city", "search", "traffic", "state", "OK"}, 2, []int{3, 4}},
			{[]string{"tags", "", "city", "", "search", "", "latitude", "", "longitude", "", "sdate", ""}, 5, []int{0, 1, 2, 3, 4}},
		} {
			d.hasOf(c.total, "posts", format, d.some(c.newest...), c.params...)
		}
		for _, c := range [][]string{
			{"count", "0"}, {"count", "-1"}, {"count", "ten"}, {"page", "0"}, {"page", "x"}, {"page", "1.5"},
			{"sdate", "yesterday"}, {"edate", "2026-13-01 00:00:00"}, {"latitude", "35"}, {"longitude", "35"}, {"miles", "5"}, {"km", "5"},
			{"latitude", "91", "longitude", "0"}, {"latitude", "0", "longitude", "-180.1"}, {"latitude", "0", "longitude", "0", "km", "-1"},
			{"latitude", "0", "longitude", "0", "km", "1", "miles", "1"}, {"latitude", "0", "longitude", "0", "km", "far"},
			{"tags", "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17"},
		} {
			r := d.fetch("/1.0/posts." + format + "?" + values(c).Encode())
			if code := r.text("error.code"); code != "missing_parameter" {
				d.declined(r, 400, "bad_parameter")
			} else {
				d.declined(r, 400, code)
			}
		}
	}
	r := d.shown("/1.0/posts.json?count=2&page=2")
	wants(d.t, r, map[string]string{"total": "5", "page": "2", "count": "2"})
	wants(d.t, d.shown("/1.0/posts.json?count=101"), map[string]string{"count": "100"})
	wants(d.t, d.shown("/1.0/posts.json"), map[string]string{"page": "1", "count": "20"})
}

func (d *postsDocument) dates() {
	oldest, newest := d.shown(fmt.Sprintf("/1.0/posts/%d.json", d.ids[4])), d.shown(fmt.Sprintf("/1.0/posts/%d.json", d.ids[0]))
	first, last := oldest.text("created"), newest.text("created")
	day, err := time.Parse(time.DateTime, first)
	if err != nil {
		d.t.Fatal(err)
	}
	before, after := day.Add(-time.Second).Format(time.DateTime), day.Add(time.Hour).Format(time.DateTime)
	for _, format := range postFormats {
		d.has("posts", format, d.ids, "sdate", first, "edate", last)
		d.has("posts", format, d.ids, "sdate", before, "edate", after)
		d.has("posts", format, d.ids, "sdate", day.Format(time.DateOnly))
		d.has("posts", format, d.ids, "sdate", day.Format("2006-01-02T15:04:05Z"))
		d.has("posts", format, nil, "edate", before)
		d.has("posts", format, nil, "sdate", after)
		d.has("posts", format, nil, "sdate", after, "edate", before)
		d.has("posts", format, d.some(0, 3, 4), "sdate", before, "search", "#traffic")
	}
}

func (d *postsDocument) show() {
	id := d.ids[3]
	list := d.shown("/1.0/posts.json")
	for _, format := range postFormats {
		for _, path := range spellings(fmt.Sprint("posts/", id), "show", format) {
			r := d.shown(path)
			switch format {
			case "rss", "atom":
				if l := d.readList(r, "posts", format); l.total != 1 || !slices.Equal(l.ids, []int64{id}) {
					d.t.Errorf("%v\nwant the post alone", r)
				}
			case "json":
				if fmt.Sprint(r.doc) != fmt.Sprint(list.at("posts.3")) {
					d.t.Errorf("%v\nwant %v", r, list.at("posts.3"))
				}
			case "plist":
				if got := (reply{doc: d.plist(r)}); got.text("description") != list.text("posts.3.description") || fieldsOf(got.doc) != fieldsOf(list.at("posts.3")) {
					d.t.Errorf("%v\nwant %v", r, list.at("posts.3"))
				}
			}
		}
		for _, id := range []string{"4711", "0", "-1", "x", "01", "4294967296", "99999999999999999999", "1x", "%31%30%30%30"} {
			for _, path := range spellings("posts/"+id, "show", format) {
				d.declined(d.fetch(path), 404, "not_found")
			}
		}
	}
}

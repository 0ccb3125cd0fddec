package main

import "testing"

func TestPostsAreListedByWhatIsAskedFor(t *testing.T) {
	d := newDesk(t)
	d.setNow("2009-06-30 18:05:07")
	d.post(deskAnn, "description", "Slow #traffic on I-40", "city", "Oklahoma City", "state", "OK", "zip", "73102", "tags", "News, cars",
		"latitude", "35.4676", "longitude", "-97.5164")
	d.setNow("2009-07-01 00:00:00")
	d.post(deskApp, "description", "traffic again", "city", "Tulsa", "state", "ok", "latitude", "36.154", "longitude", "-95.9928", "tags", "cars")
	d.setNow("2009-07-01 23:59:59")
	d.post(deskBob, "description", "A cat", "tags", "cats")

	for _, c := range []struct {
		want   string
		params []string
	}{
		{"3 2 1", nil},
		{"1", []string{"city", " oklahoma   CITY "}},
		{"2 1", []string{"state", "Ok"}},
		{"1", []string{"zip", "73102"}},
		{"", []string{"city", "Tulsa", "zip", "73102"}},
		{"3 2 1", []string{"city", " ", "zip", "", "tags", " , ", "search", " ", "sdate", "", "edate", " ", "miles", "", "km", "", "latitude", "", "longitude", ""}},
		{"1", []string{"search", "#traffic"}},
		{"2 1", []string{"search", "TRAFFIC"}},
		{"2 1", []string{"tags", "CARS"}},
		{"3 2 1", []string{"tags", "cats,#cars"}},
		{"", []string{"tags", "dogs"}},

		{"3 2 1", []string{"sdate", "2009-06-30 18:05:07"}},
		{"3 2", []string{"sdate", "2009-06-30 18:05:08"}},
		{"2 1", []string{"edate", "2009-07-01 00:00:00"}},
		{"1", []string{"edate", "2009-06-30T23:59:59Z"}},
		{"3 2", []string{"sdate", "2009-07-01"}},
		{"3 2 1", []string{"edate", "2009-07-01"}},
		{"1", []string{"edate", "2009-06-30"}},
		{"2", []string{"sdate", "2009-07-01", "edate", "2009-07-01 00:00:00"}},
		{"", []string{"sdate", "2009-07-02", "edate", "2009-07-01"}},
		{"", []string{"edate", "1970-01-01 00:00:00"}},
		{"", []string{"edate", "1960-01-01"}},
		{"3 2 1", []string{"sdate", "0001-01-01", "edate", "9999-12-31"}},

		{"1", []string{"latitude", "35.4676", "longitude", "-97.5164"}},
		{"1", []string{"latitude", "35.46765", "longitude", "-97.5164"}},
		{"", []string{"latitude", "35.4677", "longitude", "-97.5164"}},
		{"1", []string{"latitude", "35.4677", "longitude", "-97.5164", "km", "0.012"}},
		{"1", []string{"latitude", "35.4676", "longitude", "-97.5164", "miles", "0"}},
		{"1", []string{"latitude", "35.4676", "longitude", "-97.5164", "miles", "96"}},
		{"2 1", []string{"latitude", "35.4676", "longitude", "-97.5164", "miles", "100"}},
		{"1", []string{"latitude", "35.4676", "longitude", "-97.5164", "km", "100"}},
		{"2 1", []string{"latitude", "-35", "longitude", "82", "km", "1e300"}},
		{"1", []string{"latitude", "35.4676", "longitude", "-97.5164", "city", "Tulsa", "zip", "1"}},
		{"2", []string{"latitude", "35.4676", "longitude", "-97.5164", "km", "200", "search", "again"}},
	} {
		d.wantList(c.want, c.params...)
	}
}

func TestFiltersThatMakeNoSenseAreRefused(t *testing.T) {
	d := newDesk(t)
	for _, c := range []struct {
		says   string
		params []string
	}{
		{"sdate", []string{"sdate", "yesterday"}}, {"edate", []string{"edate", "2009-02-30"}}, {"UTC", []string{"edate", "06/30/2009"}},
		{"stand together", []string{"latitude", "1"}}, {"stand together", []string{"longitude", "1", "latitude", ""}},
		{"latitude", []string{"latitude", "91", "longitude", "0"}}, {"longitude", []string{"latitude", "0", "longitude", "-181"}},
		{"one of them", []string{"latitude", "1", "longitude", "1", "miles", "1", "km", "1"}},
		{"latitude", []string{"miles", "1"}}, {"latitude", []string{"km", "1"}},
		{"miles", []string{"latitude", "1", "longitude", "1", "miles", "-1"}}, {"km", []string{"latitude", "1", "longitude", "1", "km", "far"}},
		{"km", []string{"latitude", "1", "longitude", "1", "km", "NaN"}}, {"km", []string{"latitude", "1", "longitude", "1", "km", "1e999"}},
		{"16", []string{"tags", "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17"}},
		{"1000", []string{"search", string(make([]byte, 1001))}},
	} {
		d.wantRefusal(d.get("/1.0/posts.rss", c.params...), 400, "bad_parameter", c.says)
	}
}

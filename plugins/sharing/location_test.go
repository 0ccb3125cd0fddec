package main

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi/guesttest"
)

// location returns the rows of a reply as text, decompressed.
func location(t testing.TB, r *guesttest.Response) string {
	t.Helper()
	body := decode(r.Value.Get("response")).(map[string]any)
	var lines []string
	for _, row := range rowsOf(t, body) {
		lines = append(lines, shown(row))
	}
	return strings.Join(lines, " ")
}

func TestAppendLocation(t *testing.T) {
	d := newDesk(t)
	id := d.ticket()
	code := d.invite(id)
	now := d.ms()
	for _, c := range []struct{ name, in, out string }{
		{"all columns", "[%d,47620000,-122350000,1300,359,56,5,8]", "[%d,47620000,-122350000,1300,359,56,5,8]"},
		{"the ones behind may be absent", "[%d,1,2]", "[%d,1,2,null,null,null,null,null]"},
		{"or null", "[%d,1,2,null,90,null]", "[%d,1,2,null,90,null,null,null]"},
		{"floats are rounded", "[%d.4,1.0,2e6,12.5,89.6,-3.5,4.49,0.2]", "[%d,1,2000000,13,90,-4,4,0]"},
		{"minus one is what receivers do not know", "[%d,1,2,-1,-1,-1,-1,-1]", "[%d,1,2,null,null,-1,null,null]"},
		{"the ends of the ranges", "[%d,90000000,-180000000,0,360,-100000000,0,100000000]", "[%d,90000000,-180000000,0,360,-100000000,0,100000000]"},
		{"zero", "[%d,0,0,0,0,0,0,0]", "[%d,0,0,0,0,0,0,0]"},
	} {
		now++
		next := d.ok(d.get("invites/" + code)).Text("response.next")
		d.Advance(time.Millisecond)
		r := d.ok(d.post("tickets/"+id+"/append_location", "["+fmt.Sprintf(c.in, now)+"]"))
		if r.Text("response.stored") != "1" || r.Text("response.type") != "stored" {
			t.Errorf("%s: %s", c.name, r)
		}
		for _, query := range []string{"", "&uncompressed=true"} {
			if got := location(t, d.ok(d.get("invites/"+code+"?next="+next+query))); got != fmt.Sprintf(c.out, now) {
				t.Errorf("%s: got %s", c.name, got)
			}
		}
	}
	for _, body := range []string{"", "[]"} {
		if r := d.ok(d.post("tickets/"+id+"/append_location", body)); r.Text("response.stored") != "0" {
			t.Error(r)
		}
	}
}

func TestABadPointRefusesItsBatch(t *testing.T) {
	d := newDesk(t)
	d.Advance(time.Hour)
	id := d.ticket()
	code, now := d.invite(id), d.ms()
	for point, detail := range map[string]string{
		"7":                                 "want an array",
		"{}":                                "want an array",
		"null":                              "want an array",
		"[]":                                "3 to 8",
		"[%d,1]":                            "3 to 8",
		"[%d,1,2,3,4,5,6,7,8]":              "3 to 8",
		"[null,1,2]":                        "time: must not be null",
		"[%d,null,2]":                       "latitude: must not be null",
		"[%d,1,null]":                       "longitude: must not be null",
		`["%d",1,2]`:                        "time: want a number",
		"[%d,true,2]":                       "latitude: want a number",
		"[%d,1,[]]":                         "longitude: want a number",
		"[%d,90000001,2]":                   "latitude: out of range",
		"[%d,-90000001,2]":                  "latitude: out of range",
		"[%d,1,180000001]":                  "longitude: out of range",
		"[%d,1,-1800000000000]":             "longitude: out of range",
		"[%d,47.62,-122.35]":                "latitude: want degrees × 1,000,000",
		"[%d,47,-122.35]":                   "longitude: want degrees × 1,000,000",
		"[%d,1,2,-2]":                       "speed: out of range",
		"[%d,1,2,1e300]":                    "speed: want a number",
		"[%d,1,2,18446744073709551615]":     "speed: want a number",
		"[%d,1,2,3,361]":                    "heading: out of range",
		"[%d,1,2,3,-90]":                    "heading: out of range",
		"[%d,1,2,3,4,1000000000]":           "altitude: out of range",
		"[%d,1,2,3,4,5,-3]":                 "horizontal accuracy: out of range",
		"[%d,1,2,3,4,5,6,-3]":               "vertical accuracy: out of range",
		fmt.Sprintf("[%d,1,2]", now+60001):  "time: more than a minute ahead",
		fmt.Sprintf("[%d,1,2]", now-600001): "time: too long before",
		fmt.Sprintf("[%d,1,2]", now/1000):   "time: too long before",
		"[-1,1,2]":                          "time: too long before",
		"[9007199254740993,1,2]":            "time: more than a minute ahead",
		"[%d,1,2,0.00000000000000000000000001e999]": "speed: want a number",
	} {
		point = strings.ReplaceAll(point, "%d", strconv.FormatInt(now, 10))
		body := fmt.Sprintf("[[%d,1,1],[%d,1,1],%s]", now-2, now-1, point)
		d.refused(d.post("tickets/"+id+"/append_location", body), 400, "bad_point", "index 2: ")
		d.refused(d.post("tickets/"+id+"/append_location", body), 400, "bad_point", detail)
		d.refused(d.post("tickets/append_location", body), 400, "bad_point", "index 2")
	}
	d.refused(d.post("tickets/"+id+"/append_location", `{"a":1}`), 400, "bad_point", "got an object")
	d.refused(d.post("tickets/"+id+"/append_location", batch(now-2000, 1, 1001)), 400, "bad_point", "1001")
	if r := d.ok(d.get("invites/" + code)); r.Field("response.location") != nil {
		t.Error(r)
	}
	d.ok(d.post("tickets/"+id+"/append_location", fmt.Sprintf("[[%d,1,1],[%d,1,1]]", now+60000, now-600000)))
}

// batch makes n points from a time on, step ms apart.
func batch(from, step int64, n int) string {
	rows := make([][]int64, n)
	for i := range rows {
		at := from + int64(i)*step
		rows[i] = []int64{at, at % 90e6, -(at % 180e6), int64(i), int64(i % 360), 5, 6, 7}
	}
	b, _ := json.Marshal(rows)
	return string(b)
}

func TestAPointThatComesAgainIsStoredOnce(t *testing.T) {
	d := newDesk(t)
	id := d.ticket()
	code, now := d.invite(id), d.ms()
	d.Advance(30 * time.Minute)
	upload := func(body, stored string) {
		t.Helper()
		if r := d.ok(d.post("tickets/"+id+"/append_location", body)); r.Text("response.stored") != stored {
			t.Error(r)
		}
	}
	upload(fmt.Sprintf("[[%d,1,1],[%d,2,2],[%d,3,3]]", now, now, now+1), "2")
	upload(fmt.Sprintf("[[%d,9,9],[%d,4,4]]", now+1, now+2), "1")
	upload(batch(now+1000, 1000, 1000), "1000") // 16 minutes: many chunks
	upload(batch(now+1000, 1000, 1000), "0")
	upload(batch(now+1000, 500, 1000), "500") // between the others
	upload(batch(now+1000, 500, 1000), "0")
	upload(fmt.Sprintf("[[%d,5,5],[%d,5,5]]", now+500, now-5), "2")
	r := d.ok(d.get("invites/" + code + "?full_trail=true"))
	first := strings.SplitN(location(t, r), " ", 5)[:4]
	want := fmt.Sprintf("%d,1,1, %d,3,3, %d,4,4,", now, now+1, now+2)
	for i, w := range strings.Fields(want) {
		if !strings.HasPrefix(first[i], "["+w) {
			t.Errorf("point %d: got %s, want %s", i, first[i], w)
		}
	}
	if r.Text("response.first") != fmt.Sprint(now-5) || r.Text("response.last") != fmt.Sprint(now+1000000) {
		t.Error(r.Text("response.first"), r.Text("response.last"))
	}
}

func TestASnapshotShowsTheLastTenMinutes(t *testing.T) {
	d := newDesk(t)
	id := d.ticket()
	code, now := d.invite(id), d.ms()
	d.Advance(50 * time.Minute)
	d.ok(d.post("tickets/"+id+"/append_location", batch(now, 1500, 1000)))
	d.ok(d.post("tickets/"+id+"/append_location", batch(now+750, 1500, 1000)))
	// The newest point is at 1499250 ms: from 899250 on, 750 ms apart.
	for _, query := range []string{"", "?next=0", "?next=5", "?next=" + fmt.Sprint(d.Host.Now.Add(time.Hour).UnixMicro()), "?next=" + fmt.Sprint(now)} {
		r := d.ok(d.get("invites/" + code + query))
		rows := strings.Split(location(t, r), " ")
		if len(rows) != 801 || !strings.HasPrefix(rows[0], fmt.Sprintf("[%d,", now+899250)) || r.Field("response.properties") == nil || r.Field("response.data") != nil {
			t.Errorf("%s: %d rows, %s", query, len(rows), rows[0])
		}
	}
	// Denser than a page, the newest points are shown.
	for i := range int64(8) {
		d.ok(d.post("tickets/"+id+"/append_location", batch(now+1500000+i, 160, 1000)))
	}
	rows := strings.Split(location(t, d.ok(d.get("invites/"+code))), " ")
	if len(rows) != 1000 || !strings.HasPrefix(rows[999], fmt.Sprintf("[%d,", now+1500000+999*160+7)) || !strings.HasPrefix(rows[0], fmt.Sprintf("[%d,", now+1500000+875*160)) {
		t.Errorf("%d rows from %s to %s", len(rows), rows[0], rows[len(rows)-1])
	}
	// Long after the last point it is still the last minutes that are shown.
	d.Advance(20 * time.Hour)
	if rows := strings.Split(location(t, d.ok(d.get("invites/"+code))), " "); len(rows) != 1000 {
		t.Error(len(rows))
	}
}

func TestCompressedRowsAddUp(t *testing.T) {
	d := newDesk(t)
	id := d.ticket()
	code, now := d.invite(id), d.ms()
	d.ok(d.post("tickets/"+id+"/append_location", fmt.Sprintf(
		"[[%d,10,20,5],[%d,13,15,null,90],[%d,13,15,7,null,3],[%d,-4,0,7,80,3,1,1]]", now, now+10, now+25, now+26)))
	r := d.ok(d.get("invites/" + code))
	want := fmt.Sprintf("[[%d 10 20 5 <nil> <nil> <nil> <nil>] [10 3 -5 <nil> 90 <nil> <nil> <nil>] [15 0 0 2 <nil> 3 <nil> <nil>] [1 -17 -15 0 -10 0 1 1]]", now)
	if r.Text("response.location") != want || r.Field("response.uncompressed") != nil {
		t.Errorf("got %s, want %s", r.Text("response.location"), want)
	}
	plain := d.ok(d.get("invites/" + code + "?uncompressed=true"))
	want = fmt.Sprintf("[[%d 10 20 5 <nil> <nil> <nil> <nil>] [%d 13 15 <nil> 90 <nil> <nil> <nil>] [%d 13 15 7 <nil> 3 <nil> <nil>] [%d -4 0 7 80 3 1 1]]", now, now+10, now+25, now+26)
	if plain.Text("response.location") != want || plain.Text("response.uncompressed") != "true" {
		t.Error(plain)
	}
	if location(t, r) != location(t, plain) {
		t.Error(location(t, r))
	}
}

func TestTheFullTrailComesInPages(t *testing.T) {
	d := newDesk(t)
	id := d.ticket()
	code, now := d.invite(id), d.ms()
	d.Advance(55 * time.Minute)
	for i := range int64(7) {
		d.ok(d.post("tickets/"+id+"/append_location", batch(now+i*400_000, 1000, 400)))
		d.ok(d.post("tickets/"+id+"/append_data", fmt.Sprintf(`[{"t":%d,"n":"message","v":%d}]`, now+i, i)))
	}
	query, pages, rows := "?full_trail=true", 0, 0
	for {
		r := d.ok(d.get("invites/" + code + query))
		page := strings.Split(location(t, r), " ")
		rows += len(page)
		pages++
		query = "?next=" + r.Text("response.next")
		properties := r.Field("response.properties") != nil
		if r.Field("response.more") == nil {
			if !properties || !strings.Contains(r.Text("response.properties"), "n:message pid:0 t:"+fmt.Sprint(now+6)+" v:6") {
				t.Error(r)
			}
			break
		}
		if properties != (pages == 1) || len(page) != 1200 || n(r.Text("response.next")) >= 1<<53 {
			t.Errorf("page %d: %d rows", pages, len(page))
		}
	}
	if rows != 2800 || pages != 3 {
		t.Errorf("%d rows in %d pages", rows, pages)
	}
	if r := d.ok(d.get("invites/" + code + query)); r.Field("response.location") != nil || r.Text("response.data") != "[]" {
		t.Error(r)
	}
}

func n(s string) int64 { v, _ := strconv.ParseInt(s, 10, 64); return v }

func TestUploadToAllTickets(t *testing.T) {
	d := newDesk(t)
	if r := d.ok(d.post("tickets/append_location", fmt.Sprintf("[[%d,1,1]]", d.ms()))); r.Text("response.stored") != "0" {
		t.Error(r)
	}
	d.ok(d.post("tickets/append_data", fmt.Sprintf(`[{"t":%d,"n":"message","v":"x"}]`, d.ms())))
	old := d.ticket()
	oldCode, start := d.invite(old), d.ms()
	gone := d.ticket()
	d.ok(d.post("tickets/"+gone+"/expire", ""))
	d.Advance(30 * time.Minute)
	young := d.ticket()
	youngCode := d.invite(young)
	d.ok(d.as(bob, "POST", "users/self/create_ticket?duration=60000", ""))
	// The first point is older than the younger ticket reaches.
	if r := d.ok(d.post("tickets/append_location", fmt.Sprintf("[[%d,1,1],[%d,2,2]]", start, d.ms()))); r.Text("response.stored") != "3" {
		t.Error(r)
	}
	if r := d.ok(d.post("tickets/append_data", fmt.Sprintf(`[{"t":%d,"n":"message","v":"hi"}]`, d.ms()))); r.Text("response.stored") != "2" {
		t.Error(r)
	}
	for code, rows := range map[string]int{oldCode: 2, youngCode: 1} {
		r := d.ok(d.get("invites/" + code + "?full_trail=true"))
		if got := len(strings.Split(location(t, r), " ")); got != rows || !strings.Contains(r.Text("response.properties"), "v:hi") {
			t.Error(r)
		}
	}
	if r := d.ok(d.post("tickets/append_location?since=0", fmt.Sprintf("[[%d,1,1]]", d.ms()+1))); r.Text("response.type") != "invites" || r.Field("response.items.1") == nil {
		t.Error(r)
	}
}

func TestAnUploadTooLargeForATransactionIsRefused(t *testing.T) {
	d := newDesk(t)
	for range 60 {
		d.ok(d.post("users/self/create_ticket?duration=14400000", ""))
	}
	from := d.ms()
	d.Advance(3 * time.Hour)
	d.refused(d.post("tickets/append_location", batch(from, 10_000, 1000)), 413, "too_large", "smaller")
	d.ok(d.post("tickets/append_location", batch(from, 10_000, 300)))
}

func TestHiddenStretchesStayHidden(t *testing.T) {
	d := newDesk(t)
	id := d.ticket()
	code := d.invite(id)
	point := func() {
		t.Helper()
		d.Advance(time.Second)
		d.ok(d.post("tickets/"+id+"/append_location", fmt.Sprintf("[[%d,1,1]]", d.ms())))
	}
	for _, location := range []string{"", "?location=", "?location=maybe"} {
		d.refused(d.post("tickets/"+id+"/set_visibility"+location, ""), 400, "bad_parameter", "location")
	}
	r := d.ok(d.get("invites/" + code))
	next := r.Text("response.next")
	point()
	shownPoint := d.ms()
	d.Advance(time.Second)
	if r := d.ok(d.post("tickets/"+id+"/set_visibility?location=hidden", "")); r.Text("response.visibility.location") != "hidden" {
		t.Error(r)
	}
	point()
	hiddenPoint := d.ms()
	for _, query := range []string{"?next=" + next, "", "?full_trail=true"} {
		r = d.ok(d.get("invites/" + code + query))
		rows := r.Text("response.data") + r.Text("response.properties")
		if r.Field("response.location") != nil || r.Field("response.last") != nil || !strings.Contains(rows, "n:visibility pid:0") || !strings.Contains(rows, "location:hidden") {
			t.Error(r)
		}
	}
	next = r.Text("response.next")
	d.Advance(time.Second)
	d.ok(d.post("tickets/"+id+"/set_visibility?location=visible", ""))
	// The reply to the hidden upload was lost, and it comes again.
	d.ok(d.post("tickets/"+id+"/append_location", fmt.Sprintf("[[%d,1,1],[%d,2,2]]", hiddenPoint, d.ms())))
	for _, query := range []string{"?next=" + next, "", "?full_trail=true"} {
		r = d.ok(d.get("invites/" + code + query))
		rows := strings.Split(location(t, r), " ")
		if len(rows) != 2 || !strings.HasPrefix(rows[0], fmt.Sprintf("[%d,", shownPoint)) || r.Field("response.properties") == nil {
			t.Error(query, r)
		}
	}
	next = r.Text("response.next")
	d.ok(d.post("tickets/"+id+"/set_visibility?location=visible", ""))
	if r = d.ok(d.get("invites/" + code + "?next=" + next)); r.Text("response.data") != "[]" || r.Text("response.next") != next {
		t.Error(r)
	}
}

func TestWhatIsLeftOutOfAView(t *testing.T) {
	d := newDesk(t)
	id := d.ticket()
	code := d.invite(id)
	next := d.ok(d.get("invites/" + code)).Text("response.next")
	d.ok(d.post("tickets/"+id+"/append_location", batch(d.ms(), 1, 3)))
	for _, query := range []string{"?limit=0", "?limit=0&full_trail=true", "?limit=0&next=" + next} {
		if r := d.ok(d.get("invites/" + code + query)); r.Field("response.location") != nil || r.Text("response.last") == "" {
			t.Error(r)
		}
	}
	if r := d.ok(d.get("invites/" + code + "?properties=true&next=" + next)); r.Field("response.properties.0") == nil || r.Field("response.data") == nil || r.Field("response.location.2") == nil || r.Field("response.url") != nil {
		t.Error(r)
	}
	if r := d.ok(d.get("invites/" + code)); r.Text("response.url") != "http://edge.test/"+code || r.Text("response.owner") != "ann" {
		t.Error(r)
	}
	for _, query := range []string{"next=-1", "next=x", "next=9007199254740992", "limit=x", "full_trail=x", "uncompressed=2", "no_count=no", "properties=yes", "viewer=" + strings.Repeat("v", 129)} {
		d.refused(d.get("invites/"+code+"?"+query), 400, "bad_parameter", strings.SplitN(query, "=", 2)[0])
	}
}

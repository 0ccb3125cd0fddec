package main

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi/guesttest"
)

func TestAPostIsCreatedWithAllThatIsSaid(t *testing.T) {
	d := newDesk(t)
	d.setNow("2009-06-30 18:05:07")
	r := d.upload(deskAnn, photo(1, 40, 30),
		"udid", " 1234 ", "description", " Smoke over #downtown\nand  more ", "latitude", "35.46760049", "longitude", " -97.5164276 ",
		"address", "1 Main St", "city", "Oklahoma City", "state", "OK", "zip", "73102", "email", "ann@example.org",
		"tags", "fire, #Smoke ,, city  centre,fire", "unknown", "x")
	if r.Status != 201 || r.Headers["Location"] != "http://edge.test/1.0/posts/1.json" {
		t.Fatal(r, r.Headers)
	}
	shown := d.get("/1.0/posts/1.json")
	if shown.String() != strings.Replace(r.String(), "201", "200", 1) {
		t.Fatalf("answered %v, shown %v", r, shown)
	}
	for field, want := range map[string]string{
		"id": "1", "created": "2009-06-30 18:05:07", "modified": "2009-06-30 18:05:07", "description": "Smoke over #downtown\nand  more",
		"latitude": "35.4676005", "longitude": "-97.5164276", "address": "1 Main St", "city": "Oklahoma City", "state": "OK", "zip": "73102",
		"author": "Ann", "tags": "[fire Smoke city centre]", "image_width": "40", "image_height": "30", "url": "http://edge.test/1.0/posts/1.json",
	} {
		if r.Text(field) != want {
			t.Errorf("%s: got %q, want %q", field, r.Text(field), want)
		}
	}
	d.neverShown("1234", "ann@example.org", "ann-account")
}

// neverShown checks that no answer to anybody but operators has one of these.
func (d *desk) neverShown(secrets ...string) {
	d.t.Helper()
	for _, reply := range d.replies {
		for _, secret := range append(secrets, `"udid"`, `"email"`, `"account"`, `"identity"`, `"hash"`) {
			if strings.Contains(reply, secret) {
				d.t.Errorf("%q is shown in %s", secret, reply)
			}
		}
	}
}

func TestAPostOfNothingButAPicture(t *testing.T) {
	d := newDesk(t)
	r := d.upload(deskApp, photo(1, 8, 6), "udid", "1")
	want := map[string]bool{}
	for _, field := range []string{
		"id", "created", "modified", "image", "thumbnail", "medium", "large", "image_width", "image_height", "url",
	} {
		want[field] = true
	}
	for field := range r.JSON.(map[string]any) {
		if !want[field] {
			t.Errorf("%s is shown", field)
		}
		delete(want, field)
	}
	if len(want) > 0 {
		t.Errorf("not shown: %v", want)
	}
}

func TestParametersHaveTheirLimits(t *testing.T) {
	d := newDesk(t)
	id := d.post(deskAnn)
	long := func(n int) string { return strings.Repeat("é", n) }
	for _, c := range []struct {
		name  string
		limit int
	}{
		{"description", maxDescription}, {"address", 200}, {"city", 200}, {"state", 200}, {"zip", 20}, {"udid", 200},
	} {
		d.wantStatus(d.upload(deskAnn, photo(1, 4, 4), "udid", "1", c.name, " "+long(c.limit)+" "), 201)
		r := d.upload(deskAnn, photo(1, 4, 4), "udid", "1", c.name, long(c.limit+1))
		d.wantRefusal(r, 400, "bad_parameter", c.name, fmt.Sprint(c.limit))
		if c.name != "udid" {
			r := d.call(deskAnn, "PUT", "/1.0/posts/"+id, c.name, long(c.limit+1))
			d.wantRefusal(r, 400, "bad_parameter", c.name, fmt.Sprint(c.limit))
		}
	}
	for _, c := range []struct {
		says   string
		params []string
	}{
		{"email", []string{"email", "bob"}}, {"email", []string{"email", "@b"}}, {"email", []string{"email", "b@"}},
		{"254", []string{"email", "b@" + long(253)}},
		{"tags", []string{"tags", long(51)}}, {"50", []string{"tags", "a," + long(51)}}, {"16", []string{"tags", "1,2,3,4,5,6,7,8,9,10,11,12,13,14,15,16,17"}},
		{"stand together", []string{"latitude", "1"}}, {"stand together", []string{"longitude", "1"}}, {"stand together", []string{"latitude", "1", "longitude", ""}},
		{"latitude", []string{"latitude", "90.1", "longitude", "0"}}, {"latitude", []string{"latitude", "north", "longitude", "0"}},
		{"longitude", []string{"latitude", "0", "longitude", "180.0001"}}, {"longitude", []string{"latitude", "0", "longitude", "NaN"}},
	} {
		d.wantRefusal(d.upload(deskAnn, photo(1, 4, 4), append([]string{"udid", "1"}, c.params...)...), 400, "bad_parameter", c.says)
		if c.params[0] != "tags" {
			d.wantRefusal(d.call(deskAnn, "PUT", "/1.0/posts/"+id, c.params...), 400, "bad_parameter", c.says)
		}
	}
	d.wantStatus(d.upload(deskAnn, photo(1, 4, 4), "udid", "1", "email", "b@"+long(252), "tags", long(50)+",2,3,4,5,6,7,8,9,10,11,12,13,14,15,16"), 201)
}

func TestWhatIsMissingIsNamed(t *testing.T) {
	d := newDesk(t)
	d.wantRefusal(d.upload(deskAnn, photo(1, 4, 4)), 400, "missing_parameter", "udid")
	d.wantRefusal(d.upload(deskAnn, photo(1, 4, 4), "udid", " \t"), 400, "missing_parameter", "udid")
	noFile := guesttest.Request{Method: "POST", Path: "/1.0/posts", Caller: &deskAnn, Form: fieldsOf([]string{"udid", "1", "image", "x.jpg"})}
	d.wantRefusal(d.send(noFile), 400, "missing_parameter", "image", "file")
	noFile.Files = []guesttest.File{{Field: "photo", Content: photo(1, 4, 4)}}
	d.wantRefusal(d.send(noFile), 400, "missing_parameter", "image", "file")
	d.wantList("")
}

func TestARefusedPostLeavesNothingBehind(t *testing.T) {
	d := newDesk(t)
	d.Host.Settings["keep_original"] = "true"
	d.upload(deskAnn, photo(1, 4, 4))
	d.upload(deskAnn, photo(1, 4, 4), "udid", "1", "email", "x")
	d.upload(deskAnn, []byte("no picture"), "udid", "1")
	d.Host.Settings["max_image"] = "10"
	d.upload(deskAnn, photo(1, 4, 4), "udid", "1")
	if d.Host.Len() != 0 || d.Host.Blobs() != 0 {
		t.Fatalf("left are %d entries and %d blobs", d.Host.Len(), d.Host.Blobs())
	}
	delete(d.Host.Settings, "max_image")
	if id := d.post(deskAnn); id != "1" {
		t.Fatalf("the first post is number %s", id)
	}
}

func TestAnUpdateChangesWhatIsThere(t *testing.T) {
	d := newDesk(t)
	d.setNow("2009-06-30 18:05:07")
	id := d.post(deskAnn, "description", "one #two", "latitude", "1", "longitude", "2", "address", "a", "city", "b", "state", "c", "zip", "d",
		"email", "e@f", "tags", "x,y")
	before := d.get("/1.0/posts/" + id + ".json")
	d.Advance(time.Minute)

	r := d.wantStatus(d.call(deskAnn, "PUT", "/1.0/posts/"+id, "city", " Tulsa ", "udid", "other", "tags", "z"), 200)
	for field := range before.JSON.(map[string]any) {
		want := before.Text(field)
		switch field {
		case "city":
			want = "Tulsa"
		case "modified":
			want = "2009-06-30 18:06:07"
		}
		if r.Text(field) != want {
			t.Errorf("%s: got %q, want %q", field, r.Text(field), want)
		}
	}
	d.wantList(id, "city", "TULSA")
	d.wantList("", "city", "b")
	d.wantList(id, "tags", "x")
	d.wantList("", "tags", "z")

	// What is empty is cleared; the query is taken as well as the form.
	d.wantStatus(d.call(deskAnn, "PUT", "/1.0/posts/"+id+"?state=", "description", "", "latitude", "", "longitude", "", "email", ""), 200)
	r = d.get("/1.0/posts/" + id + ".json")
	for _, field := range []string{"description", "state", "latitude", "longitude"} {
		if r.Field(field) != nil {
			t.Errorf("%s is still there: %v", field, r)
		}
	}
	d.wantList("", "search", "two")
	d.wantList("", "latitude", "1", "longitude", "2", "km", "99999")
	d.wantList(id, "zip", "d")
	d.wantStatus(d.call(deskAnn, "PUT", "/1.0/posts/"+id, "latitude", "-90", "longitude", "180"), 200)
	if r = d.get("/1.0/posts/" + id + ".json"); r.Text("latitude") != "-90" || r.Text("longitude") != "-180" {
		t.Error(r)
	}
	whole := d.wantStatus(d.send(guesttest.Request{Path: "/posts/" + id, Caller: &deskBoss}), 200)
	if whole.Text("udid") != "u-1234" || whole.Text("email") != "" || whole.Text("account") != "ann-account" {
		t.Error(whole)
	}
}

func TestADeletedPostIsGoneWithAllThatBelongsToIt(t *testing.T) {
	d := newDesk(t)
	keep := d.post(deskBob)
	entries, blobs := d.Host.Len(), d.Host.Blobs()
	id := d.post(deskAnn, "description", "one #two", "latitude", "1", "longitude", "2", "city", "b", "state", "c", "zip", "d", "tags", "x,y")
	for _, said := range []string{"first", "second"} {
		d.wantStatus(d.call(deskBob, "POST", "/1.0/comments", "postId", id, "content", said), 201)
	}
	d.wantStatus(d.call(deskBob, "PUT", "/1.0/posts/"+id, "flag", "1"), 200)
	d.wantStatus(d.call(deskBob, "PUT", "/1.0/comments/1", "flag", "1"), 200)
	d.wantStatus(d.call(deskAnn, "POST", "/1.0/posts/"+id+"/delete"), 204)

	d.wantList(keep)
	d.wantRefusal(d.get("/1.0/posts/"+id+".json"), 404, "not_found")
	d.wantRefusal(d.call(deskAnn, "DELETE", "/1.0/posts/"+id), 404, "not_found")
	for _, query := range []string{"", "?postId=" + id} {
		if r := d.get("/1.0/comments.json" + query); r.Text("total") != "0" {
			t.Errorf("comments are left: %v", r)
		}
	}
	if d.Host.Blobs() != blobs {
		t.Errorf("%d blobs are left, want %d", d.Host.Blobs(), blobs)
	}
	// What remains: the numbers and times of comments, and the lengths of both queues.
	if left := d.Host.Len() - entries; left != 4 {
		t.Errorf("%d entries more than before, want 4", left)
	}
	if next := d.post(deskAnn); next != "3" {
		t.Errorf("the next post is number %s", next)
	}
}

func TestTimesDoNotFallWhenTheClockDoes(t *testing.T) {
	d := newDesk(t)
	d.setNow("2009-06-30 18:05:07")
	first := d.post(deskAnn)
	d.setNow("2009-06-30 17:00:00")
	second := d.post(deskAnn)
	r := d.wantStatus(d.call(deskAnn, "PUT", "/1.0/posts/"+first, "city", "x"), 200)
	for shown, modified := range map[*guesttest.Response]string{
		r:                                       "2009-06-30 18:05:08", // each change has a second of its own
		d.get("/1.0/posts/" + second + ".json"): "2009-06-30 18:05:07",
	} {
		if shown.Text("created") != "2009-06-30 18:05:07" || shown.Text("modified") != modified {
			t.Error(shown)
		}
	}
}

// A call writes only so much. Whatever a post says, it can be created, changed, hidden,
// shown again and deleted.
func TestTheLargestPostFitsIntoACall(t *testing.T) {
	d := newDesk(t)
	d.Host.Settings["hide_after"] = "1"
	d.Host.Settings["keep_original"] = "true"
	long := func(n int, from rune) string {
		var b strings.Builder
		for i := range n {
			b.WriteRune(from + rune(i))
		}
		return b.String()
	}
	tags := make([]string, maxTags)
	for i := range tags {
		tags[i] = long(maxTag-1, 'Ā') + string(rune('a'+i))
	}
	for i := range 3 {
		id := d.post(deskAnn, "description", long(maxWords/2-1, '一'), "address", long(maxAddress, 'Ā'), "city", long(maxAddress, 'Ѐ'),
			"state", long(maxAddress, 'Ā'), "zip", long(maxZip, 'Ā'), "tags", strings.Join(tags, ","), "latitude", "1", "longitude", fmt.Sprint(i))
		if i == 0 {
			continue
		}
		for range 30 {
			d.wantStatus(d.call(deskBob, "POST", "/1.0/comments", "postId", id, "content", "hm"), 201)
		}
		d.wantStatus(d.call(deskAnn, "PUT", "/1.0/posts/"+id, "city", "", "state", "", "zip", "", "latitude", "", "longitude", ""), 200)
		d.wantStatus(d.call(deskAnn, "PUT", "/1.0/posts/"+id, "city", "x", "latitude", "3", "longitude", "4"), 200)
		d.flag(deskBob, id)
		d.wantStatus(d.operate("POST", "/posts/"+id+"/restore"), 200)
		d.wantStatus(d.call(deskAnn, "DELETE", "/1.0/posts/"+id), 204)
	}
	d.wantList("1")
}

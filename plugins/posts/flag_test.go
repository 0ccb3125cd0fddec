package main

import (
	"fmt"
	"strings"
	"testing"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guesttest"
)

// flag flags a post and returns how many flags it has then.
func (d *desk) flag(who abi.Caller, id string, params ...string) string {
	d.t.Helper()
	r := d.wantStatus(d.call(who, "PUT", "/1.0/posts/"+id, append([]string{"flag", "1"}, params...)...), 200)
	if r.Text("id") != id || r.Field("flagged") != true {
		d.t.Fatal(r)
	}
	return d.send(guesttest.Request{Path: "/posts/" + id, Caller: &deskBoss}).Text("flags")
}

func TestAFlagCountsOnceForWhoeverFlags(t *testing.T) {
	d := newDesk(t)
	d.Host.Settings["hide_after"] = "0"
	id := d.post(deskAnn)
	for i, c := range []struct {
		who   abi.Caller
		udid  string
		count string
	}{
		{deskBob, "", "1"}, {deskBob, "", "1"}, {deskBob, "other", "1"},
		{deskAnn, "", "2"}, {deskPhone, "", "2"}, // the same account
		{deskApp, "", "3"}, {deskApp, "", "3"}, {deskApp, "u1", "4"}, {deskApp, "u2", "5"}, {deskApp, "u1", "5"},
		{deskOther, "", "6"}, {deskOther, "u1", "7"}, {deskOther, "u1", "7"},
	} {
		if got := d.flag(c.who, id, "udid", c.udid); got != c.count {
			t.Fatalf("%d: %s flags, want %s", i, got, c.count)
		}
	}
	d.wantList(id)
}

func TestWhatIsFlaggedOftenEnoughIsHidden(t *testing.T) {
	d := newDesk(t)
	id := d.post(deskAnn, "city", "Tulsa")
	other := d.post(deskAnn)
	d.wantStatus(d.call(deskBob, "POST", "/1.0/comments", "postId", id, "content", "hm"), 201)
	d.flag(deskBob, id)
	d.flag(deskApp, id)
	d.flag(deskApp, id)
	d.wantList(other + " " + id)
	d.flag(deskApp, id, "udid", "7")
	d.wantList(other)
	d.wantList("", "city", "tulsa")
	one := "/1.0/posts/" + id
	for _, r := range []*guesttest.Response{
		d.get(one + ".json"), d.get(one + "/show.rss"), d.call(deskAnn, "PUT", one, "city", "x"), d.call(deskAnn, "DELETE", one),
		d.call(deskOther, "PUT", one, "flag", "1"), d.get("/1.0/comments/1.json"), d.call(deskBob, "POST", "/1.0/comments", "postId", id, "content", "x"),
	} {
		d.wantRefusal(r, 404, "not_found")
	}
	if r := d.get("/1.0/comments.json"); r.Text("total") != "0" {
		t.Error(r)
	}
}

func TestAFlagLeavesTheRestAsItIs(t *testing.T) {
	d := newDesk(t)
	id := d.post(deskAnn, "city", "Tulsa")
	before := d.get("/1.0/posts/" + id + ".json").String()
	d.flag(deskBob, id, "city", "Norman", "email", "no address", "latitude", "x")
	d.wantStatus(d.call(deskAnn, "POST", "/1.0/posts/"+id+"/update?flag=yes", "description", "x"), 200)
	if after := d.get("/1.0/posts/" + id + ".json").String(); after != before {
		t.Errorf("%s is now %s", before, after)
	}
	// A flag that is off is none.
	for _, off := range []string{"", "0", "false", "no"} {
		r := d.wantStatus(d.call(deskAnn, "PUT", "/1.0/posts/"+id, "flag", off, "city", "City"+off), 200)
		if r.Text("city") != "City"+off {
			t.Error(r)
		}
	}
	d.wantRefusal(d.call(deskBob, "PUT", "/1.0/posts/"+id, "flag", "0"), 403, "not_yours")
}

func TestThereAreSoManyFlaggersAndNoMore(t *testing.T) {
	f := flags{by: make([]byte, 0, maxFlaggers*markSize)}
	for i := range maxFlaggers {
		f.by = append(f.by, strings.Repeat(string(rune('a'+i%2)), markSize)...)
	}
	if f.add("somebody") || f.count != 0 {
		t.Error("one more counts")
	}
	f.by = f.by[markSize:]
	if !f.add("somebody") || f.add("somebody") || f.count != 1 {
		t.Error("the last one does not count, or counts twice")
	}
}

// operate is a call by an operator.
func (d *desk) operate(method, path string) *guesttest.Response {
	d.t.Helper()
	return d.send(guesttest.Request{Method: method, Path: path, Caller: &deskBoss})
}

// queue returns the ids and flags of a page of the queue, and its total.
func (d *desk) queue(query string) string {
	d.t.Helper()
	r := d.wantStatus(d.operate("GET", "/queue?"+query), 200)
	list, _ := r.Field("items").([]any)
	s := r.Text("total") + ":"
	for i := range list {
		item := fmt.Sprintf("items.%d.", i)
		s += " " + r.Text(item+"id") + "x" + r.Text(item+"flags")
		if r.Field(item+"hidden") == true {
			s += "h"
		}
	}
	return s
}

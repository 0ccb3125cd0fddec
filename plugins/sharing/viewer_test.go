package main

import (
	"crypto/sha256"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guesttest"
)

// stats returns viewers/viewing of an invite.
func (d *desk) stats(ticket string) string {
	d.t.Helper()
	r := d.ok(d.get("tickets/" + ticket + "/invites"))
	return r.Text("response.items.0.viewers") + "/" + r.Text("response.items.0.viewing")
}

func TestViewersAreCountedApart(t *testing.T) {
	d := newDesk(t)
	id := d.ticket()
	path := "invites/" + d.invite(id)
	look := func(want string, r *guesttest.Response) {
		t.Helper()
		d.ok(r)
		if got := d.stats(id); got != want {
			t.Errorf("got %s, want %s", got, want)
		}
	}
	browser := func(agent, query string) *guesttest.Response {
		return d.Do(guesttest.Request{Path: "/v2/" + path + query, Caller: &abi.Caller{}, Headers: map[string]string{"User-Agent": agent}})
	}
	look("0/0", d.get(path)) // the owner
	look("0/0", d.nobody(path+"?no_count=true", ""))
	look("0/0", d.nobody(path+"/properties", ""))
	look("1/1", d.nobody(path, "192.0.2.1"))
	look("1/1", d.nobody(path, "192.0.2.1"))
	look("2/2", d.nobody(path, "192.0.2.2"))
	look("3/3", d.nobody(path+"?viewer=tab", "192.0.2.2"))
	look("4/4", browser("Firefox", ""))
	look("5/5", browser("Safari", ""))
	look("5/5", browser("Safari", ""))
	look("6/6", d.as(bob, "GET", path, ""))
	look("6/6", d.as(bob, "GET", path, ""))
	look("7/7", d.as(bob, "GET", path+"?viewer=phone", ""))
	d.Advance(50 * time.Second)
	look("7/7", d.as(bob, "GET", path, ""))
	d.Advance(10 * time.Second)
	look("7/1", d.get(path))
	look("7/2", d.nobody(path, "192.0.2.1"))
	d.Advance(time.Minute)
	d.ok(d.get("users/self/invites")) // writes off who is gone
	look("7/0", d.get(path))
	look("7/1", d.as(bob, "GET", path, ""))
}

func TestListsOfViewers(t *testing.T) {
	d := newDesk(t)
	id := d.ticket()
	path := "invites/" + d.invite(id)
	start := d.ms()
	d.ok(d.nobody(path, "192.0.2.1"))
	d.Advance(30 * time.Second)
	d.ok(d.as(bob, "GET", path, ""))
	d.Advance(30 * time.Second)
	for _, list := range []string{"users/self/invites?viewers=true", "users/self/invites?since=0&viewers=true", "tickets/" + id + "/invites?viewers=true"} {
		r := d.ok(d.get(list))
		item := "response.items.0."
		if r.Field(item+"viewers_current.1") != nil || r.Text(item+"viewers_current.0") != fmt.Sprintf("map[account:true first_view:%d id:bob last_view:%d]", start+30000, start+30000) {
			t.Error(r)
		}
		if r.Text(item+"viewers_all.0.id") != "bob" || !strings.HasPrefix(r.Text(item+"viewers_all.1.id"), "anonymous-") ||
			r.Text(item+"viewers_all.1.account") != "false" || r.Text(item+"viewers_all.1.last_view") != fmt.Sprint(start) || r.Field(item+"viewers_all.2") != nil {
			t.Error(r)
		}
		if r.Text(item+"last_view") != fmt.Sprint(start+30000) {
			t.Error(r)
		}
	}
	if r := d.ok(d.get("users/self/invites")); r.Field("response.items.0.viewers_all") != nil {
		t.Error(r)
	}
	if r := d.get("tickets/" + id + "/invites?viewers=x"); r.Status != 400 {
		t.Error(r)
	}
}

func TestAViewerWhoPollsWritesNowAndThen(t *testing.T) {
	h := newHistory(t)
	id := h.do("ann", "POST", "/v2/users/self/create_ticket", "duration=3600000", "").body["id"].(string)
	code := h.do("ann", "POST", "/v2/tickets/"+id+"/create_invite", "type=link", "").body["id"].(string)
	next, writes := int64(0), 0
	for i := range 120 {
		q := h.start("bob", "GET", "/v2/invites/"+code, fmt.Sprintf("next=%d", next), "", nil)
		if q.txn.puts > 0 {
			writes++
		} else if len(q.txn.gets) > 3 || q.txn.scans > 1 {
			t.Errorf("poll %d: %d gets, %d scans", i, len(q.txn.gets), q.txn.scans)
		}
		next = q.finish().body["next"].(int64)
		h.now = h.now.Add(5 * time.Second)
	}
	if writes != 40 {
		t.Errorf("%d of 120 polls wrote, want one in 15 s", writes)
	}
}

func TestManyViewersHardlyMeet(t *testing.T) {
	h := newHistory(t)
	id := h.do("ann", "POST", "/v2/users/self/create_ticket", "duration=3600000", "").body["id"].(string)
	code := h.do("ann", "POST", "/v2/tickets/"+id+"/create_invite", "type=link", "").body["id"].(string)
	runs := 0
	for i := range 250 {
		var four []*request
		for j := range 4 {
			four = append(four, h.start(fmt.Sprintf("v%d-%d", i, j), "GET", "/v2/invites/"+code, "", "", nil))
		}
		for _, q := range four {
			q.finish()
			runs += q.runs
		}
	}
	if runs > 1250 {
		t.Errorf("1000 first views, four at a time, took %d runs", runs)
	}
	r := h.do("ann", "GET", "/v2/users/self/invites", "", "").body["items"].([]any)[0].(map[string]any)
	if r["viewers"] != int64(1000) || r["viewing"] != int64(1000) {
		t.Errorf("%v viewers, %v viewing", r["viewers"], r["viewing"])
	}
	h.now = h.now.Add(time.Hour / 2)
	for range 11 {
		h.do("ann", "GET", "/v2/users/self/invites", "since=1", "")
	}
	r = h.do("ann", "GET", "/v2/users/self/invites", "viewers=true", "").body["items"].([]any)[0].(map[string]any)
	if r["viewers"] != int64(1000) || r["viewing"] != int64(0) || len(r["viewers_all"].([]any)) != 1000 || len(r["viewers_current"].([]any)) != 0 {
		t.Errorf("%v viewers, %v viewing", r["viewers"], r["viewing"])
	}
	for _, e := range h.entries {
		if e.key[0] == keyViewing {
			t.Fatal("a viewer who has gone is still there")
		}
	}
}

func TestAPollTellsOfMoreInvitesThanTheHostReadsAtATime(t *testing.T) {
	d := newDesk(t)
	const perTicket, tickets = 400, 3
	for range tickets {
		id := d.ticket()
		for range perTicket {
			d.invite(id)
		}
	}
	r := d.ok(d.get("users/self/invites?since=0"))
	if items, _ := r.Field("response.items").([]any); len(items) != perTicket*tickets {
		t.Errorf("%d invites, want %d", len(items), perTicket*tickets)
	}
}

func TestPollInvites(t *testing.T) {
	d := newDesk(t)
	r := d.ok(d.get("users/self/invites?since=0"))
	if r.Text("response.type") != "invites" || r.Field("response.items") != nil || r.Text("response.last_refresh") != "1" {
		t.Error(r)
	}
	id := d.ticket()
	one := d.invite(id)
	r = d.ok(d.get("users/self/invites?since=1"))
	if r.Text("response.items.0.id") != one || r.Text("response.full") != "true" {
		t.Error(r)
	}
	since := r.Text("response.last_refresh")
	poll := func(want ...string) *guesttest.Response {
		t.Helper()
		r := d.ok(d.get("users/self/invites?since=" + since))
		since = r.Text("response.last_refresh")
		var got []string
		items, _ := r.Field("response.items").([]any)
		for i := range items {
			got = append(got, r.Text(fmt.Sprintf("response.items.%d.id", i)))
		}
		slices.Sort(got)
		slices.Sort(want)
		if fmt.Sprint(got) != fmt.Sprint(want) || (len(got) == 0) != (r.Field("response.items") == nil) {
			t.Errorf("got %v, want %v", got, want)
		}
		return r
	}
	poll()
	two := d.invite(id)
	poll(two)
	poll()
	d.ok(d.nobody("invites/"+one, "192.0.2.1"))
	if r := poll(one); r.Text("response.items.0.viewing") != "1" {
		t.Error(r)
	}
	poll()
	d.Advance(15 * time.Second)
	d.ok(d.nobody("invites/"+one, "192.0.2.1"))
	d.ok(d.nobody("invites/"+two, "192.0.2.1"))
	poll(one, two)
	poll()
	d.Advance(time.Minute)
	poll() // finds that they are gone
	if r := poll(one, two); r.Text("response.items.0.viewing") != "0" || r.Text("response.items.0.viewers") != "1" {
		t.Error(r)
	}
	poll()
	// The same in the reply to an upload.
	d.ok(d.post("invites/"+two+"/update?name=x", ""))
	up := d.ok(d.post("tickets/"+id+"/append_location?since="+since, "[]"))
	if got := d.ok(d.get("users/self/invites?since=" + since)); up.String() != got.String() || up.Text("response.items.0.id") != two {
		t.Errorf("%s\n%s", up, got)
	}
	poll(two)
	if r := d.ok(d.get("users/self/invites?only_views=true&since=" + since)); r.Field("response.items") != nil {
		t.Error(r)
	}
	three := d.invite(id)
	if r := d.ok(d.get("users/self/invites?only_views=true&since=" + since)); r.Field("response.items") != nil || r.Text("response.last_refresh") == since {
		t.Error(r)
	}
	if r := d.ok(d.get("users/self/invites?only_views=true")); r.Field("response.items.1") == nil || r.Field("response.items.2") != nil {
		t.Error(r)
	}
	poll(three)
	// Another device of the account has a cursor of its own.
	if r := d.ok(d.get("users/self/invites")); r.Field("response.items.2") == nil || r.Text("response.last_refresh") != since {
		t.Error(r)
	}
	d.Advance(2 * time.Hour)
	poll()
	if r := poll(one, two, three); r.Text("response.items.2.state") != "expired" {
		t.Error(r)
	}
	poll()
	if r := d.ok(d.get("users/self/invites")); r.Field("response.items") != nil {
		t.Error(r)
	}
	if r := d.ok(d.get("users/self/invites?expired=true")); r.Field("response.items.2") == nil {
		t.Error(r)
	}
	d.ok(d.post("tickets/"+id+"/delete", ""))
	if r := poll(one, two, three); r.Text("response.items.0.state") != "deleted" {
		t.Error(r)
	}
	poll()
	for _, query := range []string{"since=x", "since=-1", "only_views=x", "expired=x", "viewers=x"} {
		d.refused(d.get("users/self/invites?"+query), 400, "bad_parameter", strings.SplitN(query, "=", 2)[0])
	}
}

// Of the polls of viewers who share a shard not each is told; when they have
// gone, the last one is known all the same.
func TestTheLastViewIsKnownWhenViewersHaveGone(t *testing.T) {
	byShard := map[byte]string{}
	var one, two string
	for i := 0; two == ""; i++ {
		name := fmt.Sprint("viewer", i)
		sum := sha256.Sum256([]byte("a" + name + "\x00"))
		if one = byShard[sum[0]%shards]; one != "" {
			two = name
		}
		byShard[sum[0]%shards] = name
	}
	h := newHistory(t)
	id := h.do("ann", "POST", "/v2/users/self/create_ticket", "duration=3600000", "").body["id"].(string)
	code := h.do("ann", "POST", "/v2/tickets/"+id+"/create_invite", "type=link", "").body["id"].(string)
	stamps := func(viewer string) int {
		q := h.start(viewer, "GET", "/v2/invites/"+code, "", "", nil)
		defer q.finish()
		return len(q.txn.stamped)
	}
	if stamps(one) != 1 {
		t.Error("the first view was not told")
	}
	h.now = h.now.Add(time.Second)
	if stamps(two) != 1 {
		t.Error("another's first view was not told")
	}
	h.now = h.now.Add(14500 * time.Millisecond)
	if stamps(one) != 0 {
		t.Error("each poll is told")
	}
	last := h.now.UnixMilli()
	h.now = h.now.Add(time.Minute)
	h.do("ann", "GET", "/v2/users/self/invites", "", "")
	item := h.do("ann", "GET", "/v2/users/self/invites", "", "").body["items"].([]any)[0].(map[string]any)
	if item["viewing"] != int64(0) || item["last_view"] != last {
		t.Errorf("got %v, want last_view %d", item, last)
	}
	// Who comes back is told at once, and is no new viewer.
	if stamps(one) != 1 {
		t.Error("a return was not told")
	}
	item = h.do("ann", "GET", "/v2/users/self/invites", "", "").body["items"].([]any)[0].(map[string]any)
	if item["viewing"] != int64(1) || item["viewers"] != int64(2) {
		t.Error(item)
	}
}

func TestWhoStayedAwayLongIsToldEverything(t *testing.T) {
	d := newDesk(t)
	d.Host.Settings["max_duration"] = fmt.Sprint(6 * day)
	id := d.ok(d.post(fmt.Sprintf("users/self/create_ticket?duration=%d", 6*day), "")).Text("response.id")
	code := d.invite(id)
	since := d.ok(d.get("users/self/invites")).Text("response.last_refresh")
	d.Advance(72 * time.Hour)
	// The log is empty by now.
	for range 2 {
		r := d.ok(d.get("users/self/invites?since=" + since))
		if r.Text("response.items.0.id") != code || r.Text("response.full") != "true" {
			t.Error(r)
		}
		since = r.Text("response.last_refresh")
	}
	if r := d.ok(d.get("users/self/invites?since=" + since)); r.Field("response.items") != nil || r.Text("response.last_refresh") != since {
		t.Error(r)
	}
}

func TestAViewOfAnExpiredTicketIsNotCounted(t *testing.T) {
	d := newDesk(t)
	id := d.ticket()
	code := d.invite(id)
	d.ok(d.post("tickets/"+id+"/expire", ""))
	d.ok(d.nobody("invites/"+code, ""))
	if got := d.stats(id); got != "0/0" {
		t.Error(got)
	}
}

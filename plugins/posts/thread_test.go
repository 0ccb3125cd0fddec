package main

import (
	"fmt"
	"net/http"
	"slices"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi/guest"
)

// hide has three people flag a post.
func (f *forum) hide(post string) {
	f.t.Helper()
	for _, name := range []string{"u", "v", "w"} {
		f.ok(200, name, "PUT", "/1.0/posts/"+post, "flag", "1")
	}
	f.refused(404, "not_found", "", "GET", "/1.0/posts/"+post+".json")
}

func TestCommentsAreHiddenWithTheirPost(t *testing.T) {
	f := newForum(t)
	hidden, other := f.upload("ann"), f.upload("ann")
	one, two, three := f.say("bob", hidden, "x"), f.say("bob", other, "y"), f.say("bob", hidden, "z")
	f.hide(hidden)
	f.sees(two)
	f.lists("?postId="+hidden, 0)
	f.lists("?postId="+other, 1, two)
	for _, c := range []string{one, three} {
		f.refused(404, "not_found", "", "GET", "/1.0/comments/"+c+".json")
		f.refused(404, "not_found", "bob", "PUT", "/1.0/comments/"+c, "content", "x")
		f.refused(404, "not_found", "bob", "DELETE", "/1.0/comments/"+c)
		f.refused(404, "not_found", "cat", "PUT", "/1.0/comments/"+c, "flag", "1")
	}
	f.refused(404, "not_found", "bob", "POST", "/1.0/comments", "postId", hidden, "content", "x")
	f.operator(200, "POST", "/posts/"+hidden+"/restore")
	f.sees(three, two, one)
	f.lists("?postId="+hidden, 2, three, one)
	f.say("bob", hidden, "again")
	f.sees("4", three, two, one)
}

// A comment that was hidden for itself stays so when its post is shown again, and one
// that is restored meanwhile is shown with it.
func TestHiddenCommentsOfHiddenPosts(t *testing.T) {
	f := newForum(t)
	f.Host.Settings["hide_after"] = "3"
	post := f.upload("ann")
	stays, comes, plain := f.say("bob", post, "x"), f.say("bob", post, "y"), f.say("bob", post, "z")
	for _, name := range []string{"u", "v", "w"} {
		f.ok(200, name, "PUT", "/1.0/comments/"+stays, "flag", "1")
		f.ok(200, name, "PUT", "/1.0/comments/"+comes, "flag", "1")
	}
	f.sees(plain)
	f.hide(post)
	f.sees()
	f.operator(200, "POST", "/comments/"+comes+"/restore")
	f.sees()
	f.operator(200, "POST", "/posts/"+post+"/restore")
	f.sees(plain, comes)
	f.lists("?postId="+post, 2, plain, comes)
	f.operator(200, "POST", "/comments/"+stays+"/restore")
	f.sees(plain, comes, stays)
}

func TestDeletedPostsTakeTheirCommentsWithThem(t *testing.T) {
	f := newForum(t)
	kept := f.upload("ann")
	f.say("bob", kept, "x")
	f.ok(200, "cat", "PUT", "/1.0/comments/1", "flag", "1") // so that all counters are there
	before := f.kept(t)
	gone := f.upload("ann")
	var comments []string
	for i := range 9 {
		comments = append(comments, f.say("bob", gone, fmt.Sprint(i)))
	}
	for _, name := range []string{"u", "v", "w"} {
		f.ok(200, name, "PUT", "/1.0/comments/"+comments[0], "flag", "1") // is hidden
		f.ok(200, name, "PUT", "/1.0/comments/"+comments[1], "flag", "1") // is restored
	}
	f.ok(200, "u", "PUT", "/1.0/comments/"+comments[2], "flag", "1")
	f.operator(200, "POST", "/comments/"+comments[1]+"/restore")
	if r := f.operator(200, "GET", "/queue?kind=comments"); r.Text("total") != "3" {
		t.Fatal(r)
	}
	f.ok(204, "ann", "DELETE", "/1.0/posts/"+gone)
	f.sees("1")
	f.lists("?postId="+gone, 0)
	for _, c := range comments {
		f.refused(404, "not_found", "", "GET", "/1.0/comments/"+c+".json")
		f.operator(404, "GET", "/comments/"+c)
	}
	if r := f.operator(200, "GET", "/queue?kind=comments"); r.Text("total") != "1" || r.Text("items.0.id") != "1" {
		t.Error(r)
	}
	if got := f.kept(t); !slices.Equal(got, before) {
		t.Errorf("what is left is %q, before there was %q", got, before)
	}
}

func TestFiveThousandCommentsOfADeletedPost(t *testing.T) {
	f := newForum(t)
	kept := f.upload("ann")
	first := f.say("bob", kept, "first")
	f.ok(200, "cat", "PUT", "/1.0/comments/"+first, "flag", "1")
	before := len(f.kept(t))
	gone := f.upload("ann")
	const many, flagged = 5000, 300
	f.fill(t, gone, many, flagged)
	last := f.say("bob", kept, "last")
	f.lists("?count=1&postId="+gone, many, "5001")
	if r := f.operator(200, "GET", "/queue?kind=comments"); r.Text("total") != fmt.Sprint(flagged+1) {
		t.Fatal(r)
	}

	f.ok(204, "ann", "DELETE", "/1.0/posts/"+gone)
	f.sees(last, first)
	f.lists("?postId="+gone, 0)
	for _, number := range []string{"2", "77", "2500", "5001"} {
		f.refused(404, "not_found", "", "GET", "/1.0/comments/"+number+".json")
		f.refused(404, "not_found", "bob", "PUT", "/1.0/comments/"+number, "content", "x")
		f.operator(404, "POST", "/comments/"+number+"/restore")
	}
	left := len(f.kept(t))
	if erased := before + many + 1 - left; erased > 1000 {
		t.Errorf("one call has erased %d entries: it takes too long", erased)
	}
	// Whatever is written erases some, and leaves nothing but the comment that is new.
	for writes := 0; left > before+1; writes++ {
		if writes > many/100 {
			t.Fatalf("after %d calls that write, %d entries are left, %d before", writes, left, before)
		}
		f.ok(200, "bob", "PUT", "/1.0/comments/"+last, "content", "last")
		left = len(f.kept(t))
	}
	if r := f.operator(200, "GET", "/queue?kind=comments"); r.Text("total") != "1" {
		t.Error(r)
	}
	f.sees(last, first)
}

// Of a post whose comments are all hidden there is no thread, and they go all the same;
// calls that only delete erase what is left, too.
func TestHiddenCommentsOfADeletedPost(t *testing.T) {
	f := newForum(t)
	f.Host.Settings["hide_after"] = "1"
	f.ok(200, "u", "PUT", "/1.0/comments/"+f.say("bob", f.upload("ann"), "x"), "flag", "1")
	before := f.kept(t)
	post := f.upload("ann")
	const many = 100
	f.fill(t, post, many, many)
	f.sees()
	others := []string{f.upload("ann"), f.upload("ann"), f.upload("ann")}
	f.ok(204, "ann", "DELETE", "/1.0/posts/"+post)
	if len(f.kept(t)) <= len(before) {
		t.Error("one call has erased them all: this tests nothing")
	}
	for _, other := range others {
		f.ok(204, "ann", "DELETE", "/1.0/posts/"+other)
	}
	if got := f.kept(t); !slices.Equal(got, before) {
		t.Errorf("what is left is %q, before there was %q", got, before)
	}
}

func TestDeletedCommentLeavesNothing(t *testing.T) {
	f := newForum(t)
	post := f.upload("ann")
	f.ok(200, "cat", "PUT", "/1.0/comments/"+f.say("bob", post, "x"), "flag", "1")
	before := f.kept(t)
	other := f.upload("ann")
	for _, remove := range []func(comment string){
		func(c string) { f.ok(204, "bob", "DELETE", "/1.0/comments/"+c) },
		func(c string) { f.operator(204, "POST", "/comments/"+c+"/remove") },
	} {
		c := f.say("bob", other, "x")
		f.ok(200, "cat", "PUT", "/1.0/comments/"+c, "flag", "1")
		remove(c)
		if got := f.kept(t); !slices.Equal(got, before) {
			t.Errorf("what is left is %q, before there was %q", got, before)
		}
	}
}

// Whoever asks for the list again must not be told that it is as before.
func TestListOfCommentsChangesWithTheirPost(t *testing.T) {
	f := newForum(t)
	post := f.upload("ann")
	f.say("bob", post, "x")
	changed := func(what string) {
		t.Helper()
		now := f.Host.Now.Format(http.TimeFormat)
		f.Advance(time.Minute)
		if got := f.get("/1.0/comments.json").Headers["Last-Modified"]; got != now {
			t.Errorf("%s at %q, and the list was last changed at %q", what, now, got)
		}
	}
	changed("said")
	f.hide(post)
	changed("hidden")
	f.operator(200, "POST", "/posts/"+post+"/restore")
	changed("restored")
	f.ok(200, "bob", "PUT", "/1.0/comments/1", "content", "y")
	changed("updated")
	f.ok(204, "ann", "DELETE", "/1.0/posts/"+post)
	changed("deleted")
}

// kept returns the keys of all that is kept of comments, less the blocks of sets.
func (f *forum) kept(t *testing.T) (keys []string) {
	for _, prefix := range []string{"c", "e", "fc", "qc", "s\x00c"} {
		f.within(func(r *guest.Request) error {
			rg := guest.Prefix([]byte(prefix))
			for {
				page, err := r.KV().Scan(rg)
				if err != nil {
					return err
				}
				for _, e := range page.Entries {
					keys = append(keys, string(e.Key))
				}
				if !page.More {
					return nil
				}
				rg.Start = append(page.Entries[len(page.Entries)-1].Key, 0)
			}
		})
	}
	return keys
}

// fill stores comments on a post as if many calls had been made, and flags the first.
func (f *forum) fill(t *testing.T, post string, many, some int) {
	number, _ := number(post)
	for left := many; left > 0; left -= 500 {
		f.within(func(r *guest.Request) error {
			kv := r.KV()
			for range min(left, 500) {
				n, created, err := nextNumber(r, shelfComments)
				if err != nil {
					return err
				}
				c := &comment{number: n, post: number, created: created, modified: created, account: "bob", content: "x"}
				if err := c.put(kv); err != nil {
					return err
				}
				if err := allComments(kv).add(n); err != nil {
					return err
				}
				if err := thread(kv, number).add(n); err != nil {
					return err
				}
			}
			return nil
		})
	}
	for i := range some {
		f.ok(200, "u", "PUT", fmt.Sprintf("/1.0/comments/%d", i+2), "flag", "1")
	}
}

// A post's comments are hidden and shown again in one call, however many they are.
func TestManyCommentsAreHiddenAndShownAgain(t *testing.T) {
	f := newForum(t)
	post, other := f.upload("ann"), f.upload("ann")
	const many = 2000
	f.fill(t, post, many, 0)
	f.say("bob", other, "y")
	before := f.get("/1.0/comments.json?count=100&page=3")
	f.hide(post)
	f.sees("2001")
	f.operator(200, "POST", "/posts/"+post+"/restore")
	after := f.get("/1.0/comments.json?count=100&page=3")
	if !slices.Equal(idsIn(before, "comments"), idsIn(after, "comments")) || after.Text("total") != fmt.Sprint(many+1) {
		t.Errorf("before: %s\nafter: %s", before, after)
	}
}

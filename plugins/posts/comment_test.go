package main

import (
	"bytes"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
	"github.com/edgeset/edgeset/abi/guesttest"
)

func TestEverySpellingOfTheCallsOfComments(t *testing.T) {
	f := newForum(t)
	post := f.upload("ann")
	for _, path := range []string{"/1.0/comments", "/1.0/comments/create"} {
		f.ok(201, "bob", "POST", path, "postId", post, "content", "first")
	}
	for _, path := range []string{"/1.0/comments", "/1.0/comments/index", "/1.0/comments/1", "/1.0/comments/1/show"} {
		for _, format := range formatNames {
			if r := f.get(path + "." + format); r.Headers["Cache-Control"] != "no-cache" {
				t.Errorf("%s.%s: %v", path, format, r.Headers)
			}
		}
		f.refused(400, "format_missing", "", "GET", path)
		f.refused(400, "format_unknown", "", "GET", path+".xml")
	}
	f.ok(200, "bob", "PUT", "/1.0/comments/1", "content", "second")
	f.ok(200, "bob", "POST", "/1.0/comments/1/update", "content", "third")
	if got := f.get("/1.0/comments/1.json").Text("content"); got != "third" {
		t.Errorf("the comment says %q", got)
	}
	for path, method := range map[string]string{
		"/1.0/comments.json":          "POST",
		"/1.0/comments/create.json":   "POST",
		"/1.0/comments/1.json":        "PUT",
		"/1.0/comments/2.rss":         "DELETE",
		"/1.0/comments/1/update.json": "POST",
		"/1.0/comments/1/delete.atom": "POST",
	} {
		f.refused(400, "format_not_taken", "bob", method, path, "content", "x", "postId", post)
	}
	f.ok(204, "bob", "DELETE", "/1.0/comments/1")
	f.ok(204, "bob", "POST", "/1.0/comments/2/delete")
	f.sees()
	for _, path := range []string{"/1.0/comments/1.json", "/1.0/comments/1/show.rss", "/1.0/comments/0.json", "/1.0/comments/01.json", "/1.0/comments/4294967296.json", "/1.0/comments/x.json"} {
		f.refused(404, "not_found", "", "GET", path)
	}
	for _, path := range []string{"/1.0/comments/1", "/1.0/comments/0", "/1.0/comments/99"} {
		f.refused(404, "not_found", "bob", "PUT", path, "content", "x")
		f.refused(404, "not_found", "bob", "DELETE", path)
	}
}

func TestCommentIsShownAsItWasWritten(t *testing.T) {
	f := newForum(t)
	post := f.upload("ann")
	f.Advance(time.Second + 250*time.Microsecond)
	created := f.ok(201, "bob", "POST", "/1.0/comments", "postId", post, "content", " what a <b>photo</b>\n&\x00 ")
	if got := created.Headers["Location"]; got != "http://edge.test/1.0/comments/1.json" {
		t.Errorf("Location: %q", got)
	}
	f.Advance(time.Hour)
	want := map[string]any{
		"id": "1", "postId": post, "created": "2026-01-01 00:00:01", "modified": "2026-01-01 00:00:01",
		"content": "what a <b>photo</b>\n&\x00", "author": "bob the great", "url": "http://edge.test/1.0/comments/1.json",
	}
	for path, r := range map[string]*guesttest.Response{"": created, "1.json": f.get("/1.0/comments/1.json"), "1.plist": f.get("/1.0/comments/1.plist")} {
		if got, _ := r.JSON.(map[string]any); r.Kind != abi.BodyPlist && len(got) != len(want) {
			t.Errorf("%s: %s", path, r)
		}
		for name, value := range want {
			if r.Kind != abi.BodyPlist && r.Text(name) != value {
				t.Errorf("%s: %s is %q, want %q", path, name, r.Text(name), value)
			}
		}
	}
	f.ok(200, "bob", "PUT", "/1.0/comments/1", "content", "no more")
	r := f.get("/1.0/comments/1.json")
	if r.Text("content") != "no more" || r.Text("created") != "2026-01-01 00:00:01" || r.Text("modified") != "2026-01-01 01:00:01" {
		t.Error(r)
	}
}

func TestCommentsAreListedByPages(t *testing.T) {
	f := newForum(t)
	one, two := f.upload("ann"), f.upload("ann")
	for i := range 5 {
		f.say("bob", []string{one, two}[i%2], "x")
	}
	f.sees("5", "4", "3", "2", "1")
	f.lists("?count=2", 5, "5", "4")
	f.lists("?count=2&page=3", 5, "1")
	f.lists("?count=2&page=4", 5)
	f.lists("?postId=&count=&page=", 5, "5", "4", "3", "2", "1")
	f.lists("?postId="+one, 3, "5", "3", "1")
	f.lists("?count=1&page=2&postId="+two, 2, "2")
	f.lists("?postId=77", 0)
	f.lists("?postId=99999999999", 0)
	r := f.get("/1.0/comments.json?count=1000&page=2")
	if r.Text("count") != "100" || r.Text("page") != "2" || r.Text("total") != "5" {
		t.Error(r)
	}
	for _, query := range []string{"?count=0", "?count=x", "?count=-1", "?page=0", "?page=1.5", "?postId=x", "?postId=-1", "?postId=1.5"} {
		f.refused(400, "bad_parameter", "", "GET", "/1.0/comments.json"+query)
	}
}

func TestWhoMayWriteComments(t *testing.T) {
	f := newForum(t)
	post := f.upload("ann")
	f.say("bob", post, "mine")
	for _, proof := range []string{"", "token", "signature", "operator"} {
		r := f.Do(guesttest.Request{Method: "POST", Path: "/1.0/comments", Form: fields([]string{"postId", post, "content", "x"}),
			Caller: &abi.Caller{Account: "bob", App: "app", Proof: proof}})
		if r.Status != 401 {
			t.Errorf("with %q: %s", proof, r)
		}
	}
	f.refused(403, "not_yours", "ann", "PUT", "/1.0/comments/1", "content", "x")
	f.refused(403, "not_yours", "ann", "POST", "/1.0/comments/1/delete")
	if got := f.get("/1.0/comments/1.json").Text("content"); got != "mine" {
		t.Errorf("the comment says %q", got)
	}
}

func TestCommentsThatAreRefused(t *testing.T) {
	f := newForum(t)
	post := f.upload("ann")
	f.say("bob", post, "x")
	before := f.Host.Len()
	for _, params := range [][]string{
		{"content", "x"}, {"content", "x", "postId", ""}, {"postId", post}, {"postId", post, "content", ""}, {"postId", post, "content", " \n\t"},
	} {
		f.refused(400, "missing_parameter", "bob", "POST", "/1.0/comments", params...)
	}
	f.refused(400, "bad_parameter", "bob", "POST", "/1.0/comments", "postId", post, "content", strings.Repeat("é", 5001))
	for _, other := range []string{"2", "0", "x", "4294967296"} {
		f.refused(404, "not_found", "bob", "POST", "/1.0/comments", "postId", other, "content", "x")
	}
	f.refused(400, "missing_parameter", "bob", "PUT", "/1.0/comments/1")
	f.refused(400, "missing_parameter", "bob", "PUT", "/1.0/comments/1", "content", "  ")
	f.refused(400, "bad_parameter", "bob", "PUT", "/1.0/comments/1", "content", strings.Repeat("é", 5001))
	if f.Host.Len() != before {
		t.Errorf("there are %d entries, before there were %d", f.Host.Len(), before)
	}
	long := strings.Repeat("é", 5000)
	if got := f.ok(201, "bob", "POST", "/1.0/comments", "postId", post, "content", " "+long+" ").Text("content"); got != long {
		t.Errorf("of %d bytes %d are kept", len(long), len(got))
	}
}

func TestWritersOfCommentsAreSentBack(t *testing.T) {
	f := newForum(t)
	post := f.upload("ann")
	send := func(method, path string, params ...string) *guesttest.Response {
		return f.Do(guesttest.Request{Method: method, Path: path, Form: fields(append(params, "referrer", "yes")), Caller: person("bob"),
			Headers: map[string]string{"Referer": "https://page.example/a?b"}})
	}
	for _, r := range []*guesttest.Response{
		send("POST", "/1.0/comments", "postId", post, "content", "x"),
		send("PUT", "/1.0/comments/1", "content", "y"),
		send("PUT", "/1.0/comments/1", "flag", "1"),
		send("DELETE", "/1.0/comments/1"),
	} {
		if r.Status != 303 || r.Headers["Location"] != "https://page.example/a?b" || r.Kind != abi.BodyNone {
			t.Error(r, r.Headers)
		}
	}
	if r := send("PUT", "/1.0/comments/1", "content", "y"); r.Status != 404 || r.Headers["Location"] != "" {
		t.Error(r)
	}
}

func TestFlagsHideComments(t *testing.T) {
	f := newForum(t)
	post := f.upload("ann")
	bad, good := f.say("bob", post, "bad"), f.say("bob", post, "good")
	flag := func(name string) *guesttest.Response {
		return f.ok(200, name, "PUT", "/1.0/comments/"+bad, "flag", "yes", "content", "not looked at")
	}
	for range 4 {
		if r := flag("cat"); r.Text("id") != bad || r.Field("flagged") != true || len(r.JSON.(map[string]any)) != 2 {
			t.Fatal(r)
		}
	}
	flag("dan")
	f.sees(good, bad)
	if r := f.get("/1.0/comments/" + bad + ".json"); r.Text("content") != "bad" || r.Field("flags") != nil {
		t.Error(r)
	}
	f.Advance(time.Minute)
	flag("eve")
	f.sees(good)
	f.lists("?postId="+post, 1, good)
	f.refused(404, "not_found", "", "GET", "/1.0/comments/"+bad+".json")
	for _, name := range []string{"bob", "cat", "fay"} {
		f.refused(404, "not_found", name, "PUT", "/1.0/comments/"+bad, "flag", "1")
		f.refused(404, "not_found", name, "PUT", "/1.0/comments/"+bad, "content", "better")
		f.refused(404, "not_found", name, "DELETE", "/1.0/comments/"+bad)
	}
	f.Advance(time.Minute)
	if got := f.get("/1.0/comments.json").Headers["Last-Modified"]; got != "Thu, 01 Jan 2026 00:01:00 GMT" {
		t.Errorf("the list was last changed at %q", got)
	}

	r := f.operator(200, "GET", "/queue?kind=comments")
	if r.Text("total") != "1" || r.Text("items.0.id") != bad || r.Text("items.0.kind") != "comment" || r.Text("items.0.flags") != "3" ||
		r.Field("items.0.hidden") != true || r.Text("items.0.content") != "bad" || r.Text("items.0.account") != "bob" {
		t.Error(r)
	}
	if r := f.operator(200, "GET", "/comments/"+bad); r.Text("flags") != "3" || r.Field("hidden") != true || r.Text("postId") != post {
		t.Error(r)
	}

	if r := f.operator(200, "POST", "/comments/"+bad+"/restore"); r.Text("flags") != "0" || r.Field("hidden") != false {
		t.Error(r)
	}
	f.sees(good, bad)
	f.lists("?postId="+post, 2, good, bad)
	if r := f.operator(200, "GET", "/queue?kind=comments"); r.Text("total") != "0" || len(r.Field("items").([]any)) != 0 {
		t.Error(r)
	}
	for _, name := range []string{"cat", "dan", "eve"} {
		flag(name)
	}
	f.sees(good, bad) // whoever has flagged it does not count again
	for _, name := range []string{"fay", "gus", "hal"} {
		flag(name)
	}
	f.sees(good)
	f.operator(204, "POST", "/comments/"+bad+"/remove")
	f.operator(404, "POST", "/comments/"+bad+"/remove")
	f.operator(404, "POST", "/comments/"+bad+"/restore")
	f.operator(404, "GET", "/comments/x")
	if r := f.operator(200, "GET", "/queue?kind=comments"); r.Text("total") != "0" {
		t.Error(r)
	}
	f.sees(good)
}

func TestFlagsThatAreNone(t *testing.T) {
	f := newForum(t)
	f.Host.Settings["hide_after"] = "1"
	post := f.upload("ann")
	f.say("bob", post, "x")
	for i, no := range []string{"", "0", "false", "no"} {
		content := string(rune('a' + i))
		f.ok(200, "bob", "PUT", "/1.0/comments/1", "flag", no, "content", content)
		if got := f.get("/1.0/comments/1.json").Text("content"); got != content {
			t.Errorf("flag=%q: the comment says %q", no, got)
		}
	}
	f.ok(200, "bob", "PUT", "/1.0/comments/1", "flag", "1")
	f.sees()
	f.Host.Settings["hide_after"] = "0"
	f.operator(200, "POST", "/comments/1/restore")
	for _, name := range []string{"cat", "dan", "eve", "fay"} {
		f.ok(200, name, "PUT", "/1.0/comments/1", "flag", "1")
	}
	f.sees("1")
}

func TestOnlyOperatorsModerateComments(t *testing.T) {
	f := newForum(t)
	f.say("bob", f.upload("ann"), "x")
	for _, path := range []string{"/comments/1/restore", "/comments/1/remove"} {
		f.refused(401, "unauthenticated", "bob", "POST", path)
	}
	f.refused(401, "unauthenticated", "bob", "GET", "/comments/1")
	f.sees("1")
}

func TestCommentRecords(t *testing.T) {
	whole := &comment{
		number: 7, post: 4294967295, created: 1, modified: 1 << 60, account: "a", author: "b", content: "c", flags: 9, hidden: true,
	}
	var w abi.Writer
	whole.encode(&w)
	got, err := decodeComment(7, w.Value())
	if err != nil || !reflect.DeepEqual(got, whole) {
		t.Fatalf("got %v, %v", got, err)
	}
	// Of a newer version.
	longer := append([]byte{0x90 | commentFields + 1}, w.Value()[1:]...)
	if got, err = decodeComment(7, append(longer, 0xc0)); err != nil || !reflect.DeepEqual(got, whole) {
		t.Errorf("with one field more: got %v, %v", got, err)
	}
	for n := range w.Value() {
		if got, err := decodeComment(7, w.Value()[:n]); err == nil {
			t.Fatalf("of %d bytes: got %v", n, got)
		}
	}
	if got, err := decodeComment(7, append(bytes.Clone(w.Value()), 0)); err == nil {
		t.Errorf("of a byte too many: got %v", got)
	}
}

func FuzzCommentRecord(f *testing.F) {
	var w abi.Writer
	(&comment{post: 1, account: "a", content: "b"}).encode(&w)
	f.Add([]byte(w.Value()))
	f.Add([]byte{0x98, 0})
	f.Fuzz(func(t *testing.T, record []byte) {
		c, err := decodeComment(1, record)
		if err != nil {
			return
		}
		var w abi.Writer
		c.encode(&w)
		if again, err := decodeComment(1, w.Value()); err != nil || !reflect.DeepEqual(c, again) {
			t.Fatalf("%+v comes back as %+v, %v", c, again, err)
		}
	})
}

func TestReadCommentsLeavesOutThoseThatAreNotThere(t *testing.T) {
	f := newForum(t)
	post := f.upload("ann")
	f.say("bob", post, "x")
	f.say("bob", post, "y")
	f.within(func(r *guest.Request) error {
		list, err := readComments(r.KV(), []uint32{9, 2, 5, 1})
		if err != nil || len(list) != 2 || list[0].number != 2 || list[1].content != "x" {
			t.Errorf("got %v, %v", list, err)
		}
		return nil
	})
}

package main_test

import (
	"fmt"
	"testing"
)

// gone wants a post to be nowhere: neither itself, nor its pictures.
func (c *town) gone(post reply) {
	c.t.Helper()
	for _, format := range postFormats {
		c.client().declined(c.client().fetch("/1.0/posts/"+post.text("id")+"."+format), 404, "not_found")
	}
	for _, size := range []string{"thumbnail", "medium", "large"} {
		c.client().declined(c.client().fetch(post.text(size)), 404, "not_found")
	}
}

// queued wants these in the operators' queue, in this order: kind, id and flags.
func (c *town) queued(kind string, want ...string) {
	c.t.Helper()
	r := c.moderate("GET", "/queue?kind="+kind)
	var got []string
	for _, item := range r.items("items") {
		r := reply{doc: item}
		got = append(got, fmt.Sprintf("%s %s %s %s", r.text("kind"), r.text("id"), r.text("flags"), r.text("hidden")))
	}
	if r.status != 200 || r.int("total") != int64(len(want)) || fmt.Sprint(got) != fmt.Sprint(want) {
		c.t.Errorf("%v\nwant %q", r, want)
	}
}

func TestFlagsHidePosts(t *testing.T) {
	t.Parallel()
	c := newTown(t, "")
	nobody := c.client()
	// A post with a picture of its own, and a comment on it.
	post := c.a.postsPhoto(photo(t, 500, 400, 77), "description", "To be #flagged", "tags", "flagged", "city", "Flagtown", "udid", "secret-udid", "email", "secret@example.org")
	id := post.text("id")
	comment := c.bob.comments(post.int("id"), "on it")
	other := c.bob.comments(c.of["a"].int("id"), "on another")
	total := nobody.list("posts", "json").total
	flag := func(r reply) {
		t.Helper()
		if r.status != 200 || r.text("flagged") != "true" || r.text("id") != id || fieldsOf(r.doc) != "flagged id" {
			t.Errorf("%v\nwant it flagged", r)
		}
	}
	path := "/1.0/posts/" + id
	// Each of these counts once, however often it comes: an account, a user of an
	// application.
	for range 3 {
		flag(c.bob.sends("PUT", path, []string{"flag", "1", "udid", fmt.Sprint("not looked at ", t.Name())}))
		flag(c.b.sends("POST", path+"/update", []string{"flag", "yes", "udid", "user-1"}))
	}
	c.queued("posts", "post "+id+" 2 false")
	c.queued("comments")
	nobody.shown(path + ".json")
	if r := nobody.form("PUT", path, values([]string{"flag", "1"})); r.status != 401 {
		t.Errorf("%v\nwant 401", r)
	}
	c.b.declined(c.b.sends("PUT", "/1.0/posts/4711", []string{"flag", "1"}), 404, "not_found")

	hidden := func() {
		t.Helper()
		c.gone(post)
		for _, format := range postFormats {
			if l := nobody.list("posts", format); l.total != total-1 {
				t.Errorf("%d posts in %s, want %d", l.total, format, total-1)
			}
			nobody.has("posts", format, nil, "search", "flagged")
			nobody.has("posts", format, nil, "tags", "flagged")
			nobody.has("posts", format, nil, "city", "flagtown")
			nobody.has("comments", format, nil, "postId", id)
			nobody.has("comments", format, []int64{other.int("id")})
			nobody.declined(nobody.fetch("/1.0/comments/"+comment.text("id")+"."+format), 404, "not_found")
		}
		// For those, too, who have posted it, and for more comments.
		nobody.declined(c.a.sends("PUT", path, []string{"description", "x"}), 404, "not_found")
		nobody.declined(c.bob.sends("POST", "/1.0/comments", []string{"postId", id, "content", "x"}), 404, "not_found")
	}
	flag(c.b.sends("POST", path+"/update", []string{"flag", "yes", "udid", "user-2"}))
	hidden()
	c.queued("posts", "post "+id+" 3 true")
	c.restart()
	hidden()

	// Operators see all of it.
	r := c.moderate("GET", "/posts/"+id)
	wants(t, r, map[string]string{"description": "To be #flagged", "udid": "secret-udid", "email": "secret@example.org", "flags": "3", "hidden": "true"})
	image := nobody.path(post.text("large"))
	if r := c.moderate("GET", image[len("/1.0"):]); r.status != 200 || r.header.Get("Content-Type") != "image/jpeg" {
		t.Errorf("%d %v: want the picture", r.status, r.header)
	}

	restored := func() {
		t.Helper()
		if got := nobody.shown(path + ".json"); string(got.raw) != string(post.raw) {
			t.Errorf("%v\nwant %v", got, post)
		}
		nobody.shown(post.text("large"))
		nobody.has("posts", "rss", []int64{post.int("id")}, "search", "#flagged", "city", "flagtown", "tags", "flagged")
		nobody.has("comments", "atom", []int64{other.int("id"), comment.int("id")})
		nobody.has("comments", "plist", []int64{comment.int("id")}, "postId", id)
		nobody.shown("/1.0/comments/" + comment.text("id") + ".json")
		if l := nobody.list("posts", "json"); l.total != total {
			t.Errorf("%d posts, want %d", l.total, total)
		}
	}
	if r := c.moderate("POST", "/posts/"+id+"/restore"); r.status != 200 && r.status != 204 {
		t.Fatal(r)
	}
	restored()
	c.queued("posts")
	// Who has flagged it before does not count again; others do.
	flag(c.bob.sends("PUT", path, []string{"flag", "1"}))
	flag(c.b.sends("PUT", path, []string{"flag", "1", "udid", "user-1"}))
	flag(c.ann.sends("PUT", path, []string{"flag", "1"}))
	flag(c.a.sends("PUT", path, []string{"flag", "1"}))
	c.queued("posts", "post "+id+" 2 false")
	restored()
	flag(c.a.sends("PUT", path, []string{"flag", "1", "udid", "z"}))
	hidden()
	if r := c.moderate("POST", "/posts/"+id+"/remove"); r.status != 204 {
		t.Fatal(r)
	}
	hidden()
	c.queued("posts")
	for _, call := range [][2]string{{"GET", "/posts/" + id}, {"POST", "/posts/" + id + "/restore"}, {"POST", "/posts/" + id + "/remove"}, {"GET", image[len("/1.0"):]}, {"GET", "/comments/" + comment.text("id")}} {
		if r := c.moderate(call[0], call[1]); r.status != 404 {
			t.Errorf("%v\nwant 404", r)
		}
	}
	// What is the operator's is not on the public address.
	for _, path := range []string{"/queue", "/posts/1", "/posts/1/remove", "/1.0/queue", "/v1/deployments/default/plugins/posts/queue"} {
		for _, method := range []string{"GET", "POST"} {
			if r := nobody.form(method, path, nil); r.status != 404 && r.status != 400 && r.status != 405 && r.status != 401 {
				t.Errorf("%v\nwant 404", r)
			}
		}
	}
}

func TestFlagsHideComments(t *testing.T) {
	t.Parallel()
	c := newTown(t, `hide_after = "2"`)
	nobody := c.client()
	post := c.of["a"].int("id")
	first, second := c.bob.comments(post, "the first"), c.ann.comments(post, "the second")
	path := "/1.0/comments/" + first.text("id")
	flag := func(m *member) {
		t.Helper()
		if r := m.sends("POST", path+"/update", []string{"flag", "on", "content", "x"}); r.status != 200 || r.text("flagged") != "true" {
			t.Errorf("%v\nwant it flagged", r)
		}
	}
	flag(c.ann)
	flag(c.ann)
	c.queued("comments", "comment "+first.text("id")+" 1 false")
	nobody.shown(path + ".json")
	flag(c.bob) // one may find one's own to be inappropriate
	for _, format := range postFormats {
		nobody.declined(nobody.fetch(path+"."+format), 404, "not_found")
		nobody.has("comments", format, []int64{second.int("id")})
		nobody.has("comments", format, []int64{second.int("id")}, "postId", fmt.Sprint(post))
	}
	c.queued("comments", "comment "+first.text("id")+" 2 true")
	c.queued("posts")
	wants(t, c.moderate("GET", "/comments/"+first.text("id")), map[string]string{"content": "the first", "hidden": "true", "flags": "2"})
	if r := c.moderate("POST", "/comments/"+first.text("id")+"/restore"); r.status != 200 && r.status != 204 {
		t.Fatal(r)
	}
	nobody.has("comments", "json", []int64{second.int("id"), first.int("id")}, "postId", fmt.Sprint(post))
	flag(c.ann)
	flag(c.bob)
	nobody.shown(path + ".json")
	c.queued("comments")
	if r := c.moderate("POST", "/comments/"+first.text("id")+"/remove"); r.status != 204 {
		t.Fatal(r)
	}
	nobody.has("comments", "json", []int64{second.int("id")})
	if r := c.moderate("POST", "/comments/"+first.text("id")+"/restore"); r.status != 404 {
		t.Errorf("%v\nwant 404", r)
	}
}

// With hide_after 0 it is the operators' alone to hide anything.
func TestNoNumberOfFlagsHides(t *testing.T) {
	t.Parallel()
	s := newPostsServer(t, `hide_after = "0"`)
	a := s.newSigner("")
	post := a.posts()
	for i := range 12 {
		if r := a.sends("PUT", "/1.0/posts/1", []string{"flag", "1", "udid", fmt.Sprint(i)}); r.status != 200 {
			t.Fatal(r)
		}
	}
	a.shown("/1.0/posts/" + post.text("id") + ".json")
	if r := s.moderate("GET", "/queue?kind=posts"); r.int("items.0.flags") != 12 || r.int("total") != 1 {
		t.Errorf("%v\nwant 12 flags", r)
	}
}

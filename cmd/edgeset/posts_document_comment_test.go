package main_test

import (
	"fmt"
	"slices"
	"strings"
)

func (d *postsDocument) createComment() {
	post := fmt.Sprint(d.ids[0])
	for _, path := range []string{"/1.0/comments", "/1.0/comments/create"} {
		r := d.bob.sends("POST", path, []string{"postId", post, "content", "Nice & <b>bold</b> " + path})
		d.bob.created(r)
		wants(d.t, r, map[string]string{"postId": post, "content": "Nice & <b>bold</b> " + path, "author": "bob-nick", "modified": r.text("created")})
		if got := fieldsOf(r.doc); got != "author content created id modified postId url" {
			d.t.Errorf("%v\nhas the fields %s", r, got)
		}
		d.notes = append([]int64{r.int("id")}, d.notes...)
	}
	d.notes = append([]int64{d.bob.comments(d.ids[1], "Of another post").int("id")}, d.notes...)
	for _, c := range []struct {
		params []string
		status int
		code   string
	}{
		{[]string{"content", "x"}, 400, "missing_parameter"},
		{[]string{"postId", post}, 400, "missing_parameter"},
		{[]string{"postId", post, "content", " \n"}, 400, "missing_parameter"},
		{[]string{"postId", "4711", "content", "x"}, 404, "not_found"},
		{[]string{"postId", post, "content", strings.Repeat("x", 5001)}, 400, "bad_parameter"},
	} {
		d.declined(d.bob.sends("POST", "/1.0/comments", c.params), c.status, c.code)
	}
	d.declined(d.bob.sends("POST", "/1.0/comments.json", []string{"postId", post, "content", "x"}), 400, "format_not_taken")
	// One must be logged in via OpenID.
	for _, r := range []reply{
		d.form("POST", "/1.0/comments", values([]string{"postId", post, "content", "x"})),
		d.sends("POST", "/1.0/comments", []string{"postId", post, "content", "x"}),
	} {
		if r.status != 401 && r.status != 403 || r.text("error.code") == "" {
			d.t.Errorf("%v\nwant 401", r)
		}
	}
	d.has("comments", "json", d.notes)
}

func (d *postsDocument) retrieveComments() {
	for _, format := range postFormats {
		for _, path := range spellings("comments", "index", format) {
			if l := d.readList(d.shown(path), "comments", format); l.total != 3 || !slices.Equal(l.ids, d.notes) {
				d.t.Errorf("%s: %v, want %v", path, l, d.notes)
			}
		}
		d.hasOf(3, "comments", format, d.notes[1:2], "count", "1", "page", "2")
		d.hasOf(3, "comments", format, nil, "count", "1", "page", "4")
		d.has("comments", format, d.notes[1:], "postId", fmt.Sprint(d.ids[0]))
		d.has("comments", format, d.notes[:1], "postId", fmt.Sprint(d.ids[1]))
		d.has("comments", format, nil, "postId", fmt.Sprint(d.ids[2]))
		d.has("comments", format, nil, "postId", "4711")
		for _, bad := range []string{"postId=x", "count=0", "page=0"} {
			d.declined(d.fetch("/1.0/comments."+format+"?"+bad), 400, "bad_parameter")
		}
	}
	wants(d.t, d.shown("/1.0/comments.json?count=2"), map[string]string{"total": "3", "page": "1", "count": "2"})
}

func (d *postsDocument) showComment() {
	for _, format := range postFormats {
		for _, path := range spellings(fmt.Sprint("comments/", d.notes[1]), "show", format) {
			r := d.shown(path)
			switch format {
			case "rss", "atom":
				if l := d.readList(r, "comments", format); l.total != 1 || !slices.Equal(l.ids, d.notes[1:2]) {
					d.t.Errorf("%v\nwant the comment alone", r)
				}
			case "json":
				wants(d.t, r, map[string]string{"id": fmt.Sprint(d.notes[1]), "postId": fmt.Sprint(d.ids[0])})
			case "plist":
				wants(d.t, reply{doc: d.plist(r)}, map[string]string{"id": fmt.Sprint(d.notes[1]), "postId": fmt.Sprint(d.ids[0])})
			}
		}
		for _, path := range spellings("comments/4711", "show", format) {
			d.declined(d.fetch(path), 404, "not_found")
		}
	}
}

func (d *postsDocument) editComment() {
	path := fmt.Sprint("/1.0/comments/", d.notes[0])
	for _, call := range []string{"PUT " + path, "POST " + path + "/update"} {
		method, path, _ := strings.Cut(call, " ")
		r := d.bob.sends(method, path, []string{"content", "Changed by " + method, "postId", "1"})
		wants(d.t, r, map[string]string{"id": fmt.Sprint(d.notes[0]), "content": "Changed by " + method, "postId": fmt.Sprint(d.ids[1])})
		r = d.bob.sends(method, path, []string{"flag", "true", "content", "x"})
		if r.status != 200 || fmt.Sprint(r.doc) != fmt.Sprintf("map[flagged:true id:%d]", d.notes[0]) {
			d.t.Errorf("%v\nwant it flagged", r)
		}
		d.declined(d.bob.sends(method, strings.Replace(path, "/update", "/update.json", 1), []string{"content", " "}), 400,
			map[bool]string{true: "format_not_taken", false: "missing_parameter"}[method == "POST"])
	}
	if r := d.shown(path + ".json"); r.text("content") != "Changed by POST" {
		d.t.Errorf("%v\nwant it as it was", r)
	}
	d.declined(d.bob.sends("PUT", "/1.0/comments/4711", []string{"content", "x"}), 404, "not_found")
	if r := d.sends("PUT", path, []string{"content", "x"}); r.status != 401 && r.status != 403 {
		d.t.Errorf("%v\nwant 401", r)
	}
}

func (d *postsDocument) removeComment() {
	for i, call := range []string{"DELETE /1.0/comments/%d", "POST /1.0/comments/%d/delete"} {
		method, path, _ := strings.Cut(fmt.Sprintf(call, d.notes[i]), " ")
		if r := d.bob.sends(method, path, nil); r.status != 204 {
			d.t.Errorf("%v\nwant 204", r)
		}
		d.declined(d.fetch(fmt.Sprintf("/1.0/comments/%d.json", d.notes[i])), 404, "not_found")
		d.declined(d.bob.sends(method, path, nil), 404, "not_found")
	}
	d.has("comments", "json", d.notes[2:])
	// With a post go its comments.
	if r := d.sends("POST", fmt.Sprintf("/1.0/posts/%d/delete", d.ids[0]), nil); r.status != 204 {
		d.t.Fatal(r)
	}
	d.has("comments", "json", nil)
	d.declined(d.fetch(fmt.Sprintf("/1.0/comments/%d.json", d.notes[2])), 404, "not_found")
	d.declined(d.bob.sends("POST", "/1.0/comments", []string{"postId", fmt.Sprint(d.ids[0]), "content", "x"}), 404, "not_found")
}

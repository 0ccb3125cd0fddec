package main_test

import (
	"fmt"
	"net/url"
	"strings"
	"testing"
)

// A town has two applications and two people, and a post of each.
type town struct {
	*server
	t        testing.TB
	a, b     *signer
	ann, bob *member
	of       map[string]reply // posts
}

func newTown(t *testing.T, config string) *town {
	op := newOpenIDProvider(t)
	s := newPostsServer(t, config, op)
	c := &town{server: s, t: t, a: s.newSigner(""), b: s.newSigner(""), ann: s.newMember(op, "ann"), bob: s.newMember(op, "bob")}
	s.watched(func() []string {
		return []string{
			"secret-udid", "secret@example.org", "ann@example.org", "bob@example.org", op,
			c.a.id, c.b.id, c.a.secret, c.b.secret, c.ann.account, c.bob.account, "Ann Of The Test", "Bob Of The Test", "edgeset_session",
			`"udid"`, `"email"`, `"identity"`, `"hash"`, `"account"`, `"app"`,
		}
	})
	private := []string{"udid", "secret-udid", "email", "secret@example.org", "city", "Tulsa"}
	c.of = map[string]reply{
		"a": c.a.posts(append(private, "description", "of a")...), "b": c.b.posts(append(private, "description", "of b")...),
	}
	for name, m := range map[string]*member{"ann": c.ann, "bob": c.bob} {
		contentType, body := multipartForm(values(append(private, "description", "of "+name)), picture(photo(t, 32, 16, 0)))
		r, err := m.submit("POST", "/1.0/posts", contentType, body, "Cookie", m.cookie)
		if err != nil {
			t.Fatal(err)
		}
		m.created(r)
		c.of[name] = r
	}
	return c
}

// callers are all of a town, each sending a form.
func (c *town) callers() map[string]func(method, path string, params ...string) reply {
	callers := map[string]func(method, path string, params ...string) reply{}
	for name, a := range map[string]*signer{"a": c.a, "b": c.b} {
		callers[name] = func(method, path string, params ...string) reply {
			c.t.Helper()
			fields := a.fresh(params...)
			if method == "DELETE" {
				return a.form(method, path+"?"+fields.Encode(), nil)
			}
			return a.form(method, path, fields)
		}
	}
	for name, m := range map[string]*member{"ann": c.ann, "bob": c.bob} {
		callers[name] = func(method, path string, params ...string) reply {
			c.t.Helper()
			if method == "DELETE" {
				return m.form(method, path+"?"+values(params).Encode(), nil, "Cookie", m.cookie)
			}
			return m.sends(method, path, params)
		}
	}
	return callers
}

// state is all that the public sees.
func (c *town) state() string {
	c.t.Helper()
	var b strings.Builder
	for _, kind := range []string{"posts", "comments"} {
		for _, format := range postFormats {
			b.Write(c.client().shown("/1.0/" + kind + "." + format).raw)
		}
	}
	return b.String()
}

func TestPostsAreChangedByTheirOwners(t *testing.T) {
	t.Parallel()
	c := newTown(t, "")
	wants(t, c.of["ann"], map[string]string{"author": "ann-nick"})
	wants(t, c.of["a"], map[string]string{"author": ""})
	before := c.state()
	for owner, post := range c.of {
		id := post.text("id")
		for name, call := range c.callers() {
			if name == owner {
				continue
			}
			for _, r := range []reply{
				call("PUT", "/1.0/posts/"+id, "description", "stolen"), call("POST", "/1.0/posts/"+id+"/update", "description", "stolen"),
				call("PUT", "/1.0/posts/"+id, "udid", "secret-udid", "email", "thief@example.org"),
				call("DELETE", "/1.0/posts/"+id), call("POST", "/1.0/posts/"+id+"/delete"),
				call("POST", "/1.0/posts/"+id+"/delete", "referrer", "yes"),
			} {
				c.client().declined(r, 403, "not_yours")
			}
		}
		for _, call := range []string{"PUT /1.0/posts/%s", "POST /1.0/posts/%s/update", "DELETE /1.0/posts/%s", "POST /1.0/posts/%s/delete"} {
			method, path, _ := strings.Cut(fmt.Sprintf(call, id), " ")
			if r := c.client().form(method, path, url.Values{"udid": {"secret-udid"}, "description": {"x"}}); r.status != 401 {
				t.Errorf("%v\nwant 401", r)
			}
		}
	}
	if after := c.state(); after != before {
		t.Errorf("it was\n%s\nand is\n%s", before, after)
	}
	for owner, post := range c.of {
		call := c.callers()[owner]
		if r := call("PUT", "/1.0/posts/"+post.text("id"), "description", "changed by "+owner); r.status != 200 || r.text("description") != "changed by "+owner || r.text("author") != post.text("author") {
			t.Errorf("%v\nwant %s to change it", r, owner)
		}
		if r := call("DELETE", "/1.0/posts/"+post.text("id")); r.status != 204 {
			t.Errorf("%v\nwant %s to delete it", r, owner)
		}
	}
	c.client().has("posts", "json", nil)
}

func TestCommentsAreChangedByTheirAuthors(t *testing.T) {
	t.Parallel()
	c := newTown(t, "")
	comment := c.bob.comments(c.of["a"].int("id"), "of Bob")
	path := "/1.0/comments/" + comment.text("id")
	before := c.state()
	for name, call := range c.callers() {
		if name == "bob" {
			continue
		}
		for _, r := range []reply{
			call("PUT", path, "content", "stolen"), call("POST", path+"/update", "content", "stolen"), call("DELETE", path), call("POST", path+"/delete"),
		} {
			if name == "ann" {
				c.client().declined(r, 403, "not_yours")
			} else if r.status != 401 && r.status != 403 {
				t.Errorf("%v\nwant a login with an OpenID to be asked for", r)
			}
		}
	}
	if after := c.state(); after != before {
		t.Errorf("it was\n%s\nand is\n%s", before, after)
	}
	if r := c.bob.sends("PUT", path, []string{"content", "by Bob"}); r.text("content") != "by Bob" {
		t.Error(r)
	}
	if r := c.bob.sends("POST", path+"/delete", nil); r.status != 204 {
		t.Error(r)
	}
}

// A page of another origin cannot have somebody's browser write.
func TestPostsIgnoreSessionsOfOtherOrigins(t *testing.T) {
	t.Parallel()
	c := newTown(t, "")
	comment := c.bob.comments(c.of["bob"].int("id"), "of Bob")
	post, note := "/1.0/posts/"+c.of["bob"].text("id"), "/1.0/comments/"+comment.text("id")
	contentType, body := multipartForm(values([]string{"udid", "x"}), picture(photo(t, 8, 8, 0)))
	before := c.state()
	for _, origin := range [][]string{
		{"Origin", "https://evil.example"}, {"Origin", "null"}, {"Sec-Fetch-Site", "cross-site"}, {"Sec-Fetch-Site", "same-site"}, {"Origin", "http://" + c.listen + ".evil.example"},
	} {
		headers := append(origin, "Cookie", c.bob.cookie)
		r, err := c.bob.submit("POST", "/1.0/posts", contentType, body, headers...)
		if err != nil {
			t.Fatal(err)
		}
		replies := []reply{r}
		for _, call := range []string{
			"PUT " + post, "POST " + post + "/update", "DELETE " + post, "POST " + post + "/delete",
			"POST /1.0/comments", "POST /1.0/comments/create", "PUT " + note, "POST " + note + "/update", "DELETE " + note, "POST " + note + "/delete",
		} {
			method, path, _ := strings.Cut(call, " ")
			fields := url.Values{"description": {"evil"}, "content": {"evil"}, "postId": {"1"}, "flag": {"1"}}
			if method == "DELETE" {
				fields = nil
			}
			replies = append(replies, c.bob.form(method, path, fields, headers...))
		}
		for _, r := range replies {
			c.bob.declined(r, 403, "cross_origin")
		}
	}
	if after := c.state(); after != before {
		t.Errorf("it was\n%s\nand is\n%s", before, after)
	}
	// One that signs is none of it: a form on a page of the application's.
	fields := c.a.fresh("description", "by its own page")
	if r := c.a.form("PUT", "/1.0/posts/"+c.of["a"].text("id"), fields, "Origin", "https://app.example", "Sec-Fetch-Site", "cross-site", "Cookie", c.bob.cookie); r.status != 200 {
		t.Errorf("%v\nwant 200", r)
	}
	if r := c.bob.sends("PUT", post, []string{"description", "mine"}, "Origin", "http://"+c.listen); r.status != 200 {
		t.Errorf("%v\nwant 200", r)
	}
}

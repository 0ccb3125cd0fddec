package main_test

import (
	"bytes"
	"crypto/rand"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/textproto"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"sync"
	"testing"

	"github.com/edgeset/edgeset/host/wasmtest"
	"github.com/mmcdole/gofeed/atom"
	"github.com/mmcdole/gofeed/rss"
	"howett.net/plist"
)

// postFormats are those of the answers of posts and comments.
var postFormats = []string{"rss", "atom", "json", "plist"}

// feedTypes are their types.
var feedTypes = map[string]string{
	"rss": "application/rss+xml; charset=utf-8", "atom": "application/atom+xml; charset=utf-8",
	"json": "application/json", "plist": "application/x-plist",
}

// postsDeployment is a deployment with posts, whose people have OpenIDs of the
// given providers. config is that of the plugin.
func postsDeployment(name, host, config string, providers ...string) string {
	egress := make([]string, len(providers))
	for i, p := range providers {
		egress[i] = strconv.Quote("private:" + strings.TrimPrefix(p, "http://"))
	}
	return fmt.Sprintf(`
[[deployment]]
name = %q
hosts = [%q]
origins = ["*"]
[[deployment.plugin]]
name = "posts"
source = "embedded:posts"
grants = ["kv", "blobs"]
config = { %s }
[[deployment.plugin]]
name = "signing"
source = "embedded:signing"
grants = ["kv", "passwords"]
instances = 4
egress = [%s]
config = { login_starts = "1000" }
`, name, host, config, strings.Join(egress, ", "))
}

// newPostsServer starts a server with posts. Its clients see redirects rather than
// to follow them.
func newPostsServer(t testing.TB, config string, providers ...string) *server {
	t.Helper()
	s := newServer(t, postsDeployment("default", "*", config, providers...), "--cache", wasmtest.CacheDir(t))
	s.http.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return s
}

// newSignerOf makes an application of another deployment than the default one.
func (s *server) newSignerOf(deployment string) *signer {
	s.t.Helper()
	r := s.manage("create", "--name", "Signer", "--deployment", deployment)
	return &signer{client: s.client(), id: r.text("id"), secret: r.text("secret")}
}

// An attachment is a file in a form.
type attachment struct {
	field, name, kind string
	content           []byte
}

// picture is the attachment of a photo.
func picture(content []byte) attachment {
	return attachment{"image", "photo.jpg", "image/jpeg", content}
}

// multipartForm writes a form as browsers do, the files first: whoever checks the
// fields has to wait for them.
func multipartForm(fields url.Values, files ...attachment) (contentType string, body []byte) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	for _, f := range files {
		part, _ := w.CreatePart(textproto.MIMEHeader{ // writing to memory does not fail
			"Content-Disposition": {fmt.Sprintf(`form-data; name=%q; filename=%q`, f.field, f.name)}, "Content-Type": {f.kind},
		})
		_, _ = part.Write(f.content)
	}
	for name, values := range fields {
		for _, value := range values {
			_ = w.WriteField(name, value)
		}
	}
	_ = w.Close()
	return w.FormDataContentType(), b.Bytes()
}

// submit sends a body with headers, which are given as name and value in turn.
func (c *client) submit(method, path, contentType string, body []byte, headers ...string) (reply, error) {
	req, err := http.NewRequest(method, "http://"+c.server.listen+path, bytes.NewReader(body))
	if err != nil {
		return reply{}, err
	}
	if contentType != "" {
		req.Header.Set("Content-Type", contentType)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	return c.send(req)
}

// form sends a form.
func (c *client) form(method, path string, fields url.Values, headers ...string) reply {
	c.t.Helper()
	contentType := "application/x-www-form-urlencoded"
	if len(fields) == 0 {
		contentType = ""
	}
	r, err := c.submit(method, path, contentType, []byte(fields.Encode()), headers...)
	if err != nil {
		c.fatalf("%s %s: %v", method, path, err)
	}
	return r
}

// fetch gets a path, or a URL of the server's, with headers.
func (c *client) fetch(path string, headers ...string) reply {
	c.t.Helper()
	r, err := c.submit("GET", c.path(path), "", nil, headers...)
	if err != nil {
		c.fatalf("GET %s: %v", path, err)
	}
	return r
}

// path is that of a URL of the server's.
func (c *client) path(place string) string {
	host := c.host
	if host == "" {
		host = c.server.listen
	}
	return strings.TrimPrefix(place, "http://"+host)
}

// within returns the application for a subtest.
func (a *signer) within(t testing.TB) *signer { return &signer{a.client.in(t), a.id, a.secret, a.key} }

// fresh is signed for parameters that may be sent more than once in a millisecond: an
// equal signature is taken once.
func (a *signer) fresh(params ...string) url.Values {
	return a.signed(append(slices.Clip(params), "nonce", rand.Text())...)
}

// sends is for forms that the application signs, with files or without.
func (a *signer) sends(method, path string, params []string, files ...attachment) reply {
	a.t.Helper()
	var r reply
	var err error
	if fields := a.fresh(params...); len(files) == 0 {
		r, err = a.client.submit(method, path, "application/x-www-form-urlencoded", []byte(fields.Encode()))
	} else {
		contentType, body := multipartForm(fields, files...)
		r, err = a.client.submit(method, path, contentType, body)
	}
	if err != nil {
		a.fatalf("%s %s: %v", method, path, err)
	}
	return r
}

// posts creates a post, with a small photo of its own unless there is one.
func (a *signer) posts(params ...string) reply {
	a.t.Helper()
	return a.postsPhoto(photo(a.t, 32, 16, 0), params...)
}

func (a *signer) postsPhoto(content []byte, params ...string) reply {
	a.t.Helper()
	if !slices.Contains(params, "udid") {
		params = append(params, "udid", "1234")
	}
	r := a.sends("POST", "/1.0/posts", params, picture(content))
	a.created(r)
	return r
}

// created wants a post or a comment to have been made.
func (c *client) created(r reply) {
	c.t.Helper()
	if r.status != 201 || r.int("id") == 0 || r.header.Get("Location") != r.text("url") || !strings.HasSuffix(r.text("url"), "/"+r.text("id")+".json") {
		c.fatalf("%v\nwith the Location %s: want 201, an id and a url", r, r.header.Get("Location"))
	}
}

// shown gets what has to be there.
func (c *client) shown(path string, headers ...string) reply {
	c.t.Helper()
	r := c.fetch(path, headers...)
	if r.status != 200 {
		c.fatalf("%v\nwant 200", r)
	}
	return r
}

// declined wants a refusal in the form of posts.
func (c *client) declined(r reply, status int, code string) {
	c.t.Helper()
	if r.status != status || r.int("error.status") != int64(status) || r.text("error.code") != code || r.text("error.message") == "" ||
		r.text("error.documentation") != "/1.0/documentation" {
		c.t.Errorf("%v\nwant %d %s", r, status, code)
	}
}

// A listing is what a list has, whatever its format.
type listing struct {
	total int
	ids   []int64
}

var idInURL = regexp.MustCompile(`/(?:posts|comments)/(\d+)`)

// list gets a list in a format and reads it.
func (c *client) list(kind, format string, params ...string) listing {
	c.t.Helper()
	path := "/1.0/" + kind + "." + format
	if len(params) > 0 {
		path += "?" + values(params).Encode()
	}
	return c.readList(c.shown(path), kind, format)
}

// readList reads a list by somebody else's reader of its format.
func (c *client) readList(r reply, kind, format string) (l listing) {
	c.t.Helper()
	if got := r.header.Get("Content-Type"); got != feedTypes[format] {
		c.t.Errorf("%s: Content-Type %q, want %q", r.what, got, feedTypes[format])
	}
	add := func(link string) {
		m := idInURL.FindStringSubmatch(link)
		if m == nil {
			c.fatalf("%v\nhas an item with the link %q", r, link)
		}
		id, _ := strconv.ParseInt(m[1], 10, 64)
		l.ids = append(l.ids, id)
	}
	l.total = -1
	switch format {
	case "rss":
		feed, err := (&rss.Parser{}).Parse(bytes.NewReader(r.raw))
		if err != nil {
			c.fatalf("%v: %v", r, err)
		}
		for _, category := range feed.Categories {
			if category.Domain == "total" {
				l.total, _ = strconv.Atoi(category.Value)
			}
		}
		for _, item := range feed.Items {
			add(item.Link)
		}
	case "atom":
		feed, err := (&atom.Parser{}).Parse(bytes.NewReader(r.raw))
		if err != nil {
			c.fatalf("%v: %v", r, err)
		}
		for _, category := range feed.Categories {
			if strings.HasSuffix(category.Scheme, "/1.0/total") {
				l.total, _ = strconv.Atoi(category.Term)
			}
		}
		for _, entry := range feed.Entries {
			for _, link := range entry.Links {
				if link.Rel == "alternate" {
					add(link.Href)
				}
			}
		}
	default:
		doc := r.doc
		if format == "plist" {
			doc = c.plist(r)
		}
		list, _ := doc.(map[string]any)
		if n, err := strconv.Atoi(fmt.Sprint(list["total"])); err == nil {
			l.total = n
		}
		items, is := list[kind].([]any)
		if !is {
			c.fatalf("%v\nhas no %s", r, kind)
		}
		for _, item := range items {
			add(reply{doc: item}.text("url"))
		}
	}
	if l.total < 0 {
		c.fatalf("%v\nhas no total", r)
	}
	return l
}

// plist reads a property list.
func (c *client) plist(r reply) (v any) {
	c.t.Helper()
	if _, err := plist.Unmarshal(r.raw, &v); err != nil {
		c.fatalf("%v: %v", r, err)
	}
	return v
}

// has wants a list in a format to have these items and no others in all.
func (c *client) has(kind, format string, ids []int64, params ...string) {
	c.t.Helper()
	c.hasOf(len(ids), kind, format, ids, params...)
}

// hasOf wants a page of a list.
func (c *client) hasOf(total int, kind, format string, ids []int64, params ...string) {
	c.t.Helper()
	if l := c.list(kind, format, params...); l.total != total || !slices.Equal(l.ids, ids) {
		c.t.Errorf("%s.%s of %q: got %v of %d, want %v of %d", kind, format, params, l.ids, l.total, ids, total)
	}
}

// adminToken is what an operator proves himself by.
func (s *server) adminToken() string {
	s.t.Helper()
	token, err := os.ReadFile(filepath.Join(s.data, "admin.token"))
	if err != nil {
		s.t.Fatal(err)
	}
	return strings.TrimSpace(string(token))
}

// moderate sends a request to the posts plugin's routes for operators.
func (s *server) moderate(method, path string) reply {
	s.t.Helper()
	req, err := http.NewRequest(method, "http://"+s.admin+"/v1/deployments/default/plugins/posts"+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	r, err := s.client().as(s.adminToken()).send(req)
	if err != nil {
		s.fatalf("%s %s: %v", method, path, err)
	}
	return r
}

// A member has logged in with an OpenID, and sends the session's cookie.
type member struct {
	*client
	name    string
	account string
	cookie  string
}

// newMember logs somebody in whom the provider knows.
func (s *server) newMember(provider, name string) *member {
	s.t.Helper()
	b := s.browser()
	account := b.isSignedIn(b.signIn(provider+"/xrds/"+name), name)
	return &member{s.client(), name, account, "edgeset_session=" + b.sessionToken()}
}

func (m *member) sends(method, path string, params []string, headers ...string) reply {
	m.t.Helper()
	return m.form(method, path, values(params), append(headers, "Cookie", m.cookie)...)
}

// posts creates a post of the member's.
func (m *member) posts(params ...string) reply {
	m.t.Helper()
	contentType, body := multipartForm(values(append(params, "udid", "browser")), picture(photo(m.t, 32, 16, 0)))
	r, err := m.submit("POST", "/1.0/posts", contentType, body, "Cookie", m.cookie)
	if err != nil {
		m.fatalf("%v", err)
	}
	m.created(r)
	return r
}

// comments makes a comment.
func (m *member) comments(post int64, content string) reply {
	m.t.Helper()
	r := m.sends("POST", "/1.0/comments", []string{"postId", fmt.Sprint(post), "content", content})
	m.created(r)
	return r
}

// A witness keeps all that a server answers to the public.
type witness struct {
	http.RoundTripper
	listen string

	sync.Mutex
	seen []reply
}

// RoundTrip implements http.RoundTripper.
func (w *witness) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := w.RoundTripper.RoundTrip(req)
	if err != nil || req.URL.Host != w.listen {
		return resp, err
	}
	body, err := io.ReadAll(resp.Body)
	resp.Body.Close()
	if err != nil {
		return nil, err
	}
	w.Lock()
	w.seen = append(w.seen, reply{what: req.Method + " " + req.URL.RequestURI(), status: resp.StatusCode, header: resp.Header, raw: body})
	w.Unlock()
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

// watched has all answers of the server kept until the end of the test, and searched
// for what nobody may see.
func (s *server) watched(secrets func() []string) {
	w := &witness{RoundTripper: s.http.Transport, listen: s.listen}
	s.http.Transport = w
	s.t.Cleanup(func() {
		s.http.Transport = w.RoundTripper
		for _, r := range w.seen {
			text := fmt.Sprintf("%s\n%v", r.raw, r.header)
			for _, secret := range secrets() {
				if secret == "" || strings.Contains(text, secret) {
					s.t.Errorf("%v %v\nhas %q in it", r, r.header, secret)
				}
			}
		}
		s.t.Logf("%d answers searched", len(w.seen))
	})
}

package main_test

import (
	"fmt"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"
)

// TestPostsDocument goes through the document of the posts API in its order.
func TestPostsDocument(t *testing.T) {
	t.Parallel()
	op := newOpenIDProvider(t)
	s := newPostsServer(t, "", op)
	d := &postsDocument{signer: s.newSigner(""), op: op}
	for _, section := range []struct {
		name string
		read func()
	}{
		{"API Result Formats", d.formats},
		{"Login/Logout with OpenID", d.login},
		{"API Key Request Signing", d.signing},
		{"Creating a new Post", d.create},
		{"Retrieving a List", d.retrieve},
		{"Retrieving a List: dates", d.dates},
		{"Retrieving a Single Post", d.show},
		{"Editing an existing Post", d.edit},
		{"Deleting an existing Post", d.remove},
		{"Posts API Examples", d.examples},
		{"Creating a new Comment", d.createComment},
		{"Retrieving a List of Comments", d.retrieveComments},
		{"Retrieving a Single Comment", d.showComment},
		{"Editing an existing Comment", d.editComment},
		{"Deleting an existing Comment", d.removeComment},
		{"API Error Messages", d.errors},
	} {
		t.Run(section.name, func(t *testing.T) {
			d.client = d.client.in(t)
			if d.bob != nil {
				d.bob.client = d.bob.client.in(t)
			}
			section.read()
		})
		if t.Failed() {
			return
		}
	}
}

// A postsDocument has an application and somebody who logs in.
type postsDocument struct {
	*signer
	op    string
	bob   *member
	ids   []int64 // posts, newest first
	notes []int64 // comments, newest first
}

// spellings are those of the document of a GET of a thing.
func spellings(thing, method, format string) []string {
	return []string{"/1.0/" + thing + "." + format, "/1.0/" + thing + "/" + method + "." + format}
}

func (d *postsDocument) formats() {
	for _, kind := range []string{"posts", "comments"} {
		for _, format := range postFormats {
			for _, path := range spellings(kind, "index", format) {
				if l := d.readList(d.shown(path), kind, format); l.total != 0 || len(l.ids) != 0 {
					d.t.Errorf("%s: %v, want nothing", path, l)
				}
			}
		}
		// It must be specified.
		for _, path := range []string{kind, kind + "/index", kind + "/10", kind + "/10/show"} {
			r := d.fetch("/1.0/" + path)
			d.declined(r, 400, "format_missing")
			d.names(r, postFormats...)
			r = d.fetch("/1.0/" + path + ".xml")
			d.declined(r, 400, "format_unknown")
			d.names(r, postFormats...)
		}
	}
	if r := d.shown("/1.0/documentation"); !strings.HasPrefix(r.header.Get("Content-Type"), "text/html") {
		d.t.Errorf("%v: want a page", r.header)
	} else {
		for _, name := range []string{"sdate", "edate", "latitude", "miles", "km", "postId", "udid", "referrer", "/1.0/signing"} {
			if !strings.Contains(string(r.raw), name) {
				d.t.Errorf("the documentation does not speak of %s", name)
			}
		}
	}
}

// names wants a message to have words in it.
func (d *postsDocument) names(r reply, words ...string) {
	d.t.Helper()
	for _, word := range words {
		if !strings.Contains(r.text("error.message"), word) {
			d.t.Errorf("%v\nwant it to name %s", r, word)
		}
	}
}

func (d *postsDocument) login() {
	d.bob = d.server.newMember(d.op, "bob")
	r := d.bob.posts("description", "by OpenID")
	if r.text("author") != "bob-nick" {
		d.t.Errorf("%v\nwant the nickname", r)
	}
	if r := d.bob.sends("DELETE", "/1.0/posts/"+r.text("id"), nil); r.status != 204 {
		d.t.Fatal(r)
	}
	other := d.server.newMember(d.op, "bob")
	if r := other.fetch("/1.0/logout", "Cookie", other.cookie); r.status != 200 {
		d.t.Fatal(r)
	}
	if r := other.sends("POST", "/1.0/comments", []string{"postId", "1", "content", "x"}); r.status != 401 {
		d.t.Errorf("%v\nwant 401 after logout", r)
	}
}

func (d *postsDocument) signing() {
	small := picture(photo(d.t, 32, 16, 0))
	fields := d.fresh("udid", "1234", "description", "signed")
	send := func(fields url.Values) reply {
		d.t.Helper()
		contentType, body := multipartForm(fields, small)
		r, err := d.client.submit("POST", "/1.0/posts", contentType, body)
		if err != nil {
			d.fatalf("%v", err)
		}
		return r
	}
	changed := url.Values{}
	for name, value := range fields {
		changed[name] = value
	}
	changed["description"] = []string{"another"}
	d.declined(send(changed), 401, "bad_signature")
	r := send(fields)
	d.created(r)
	d.declined(send(fields), 401, "replayed")
	d.declined(send(url.Values{"udid": {"1234"}}), 401, "unauthenticated")
	d.has("posts", "json", []int64{r.int("id")})

	// As the samples have it: another name, in any order.
	fields = d.fresh("udid", "1234", "tags", "b,a", "address", "")
	fields["authtoken"] = fields["hash"]
	delete(fields, "hash")
	second := send(fields)
	d.created(second)
	// Parameters of a PUT stand in its body.
	if r := d.sends("PUT", "/1.0/posts/"+second.text("id"), []string{"description", "changed"}); r.status != 200 || r.text("description") != "changed" {
		d.t.Errorf("%v\nwant it changed", r)
	}
	// Those of a DELETE in its query or, as those of a PUT, in its body.
	if r := d.form("DELETE", "/1.0/posts/"+second.text("id")+"?"+d.fresh().Encode(), nil); r.status != 204 {
		d.t.Errorf("%v\nwant 204", r)
	}
	if r := d.form("DELETE", "/1.0/posts/"+r.text("id"), d.fresh()); r.status != 204 {
		d.t.Errorf("%v\nwant 204", r)
	}
	d.has("posts", "json", nil)
}

// okc is in Oklahoma City, tulsa 157 km from it.
var (
	okc   = []string{"latitude", "35.4676", "longitude", "-97.5164", "city", "oklahoma city", "state", "OK", "zip", "73102"}
	tulsa = []string{"latitude", "36.154", "longitude", "-95.9928", "city", "Tulsa", "state", "OK", "zip", "74103"}
)

func (d *postsDocument) create() {
	begin := time.Now().UTC().Truncate(time.Second)
	all := append([]string{
		"udid", "user-1", "description", "An accident on I-44 #traffic", "address", "123 Main Street",
		"email", "ann@example.org", "tags", "Accident, road works,#I44,, accident", "referrer", "",
	}, okc...)
	for i, path := range []string{"/1.0/posts", "/1.0/posts/create"} {
		r := d.sends("POST", path, all, picture(photo(d.t, 2000, 1000, uint8(i))))
		d.created(r)
		wants(d.t, r, map[string]string{
			"description": "An accident on I-44 #traffic", "latitude": "35.4676", "longitude": "-97.5164", "address": "123 Main Street",
			"city": "oklahoma city", "state": "OK", "zip": "73102", "tags": "[Accident road works I44]", "udid": "", "email": "", "author": "",
			"image_width": "1600", "image_height": "800", "modified": r.text("created"),
		})
		if created, err := time.Parse(time.DateTime, r.text("created")); err != nil || created.Before(begin) || created.After(time.Now().Add(time.Second)) {
			d.t.Errorf("%v\nwant it to be created at %v", r, begin)
		}
		for size, width := range map[string]int{"thumbnail": 160, "medium": 640, "large": 1600} {
			m := servedPhoto(d.t, d.shown(r.text(size)))
			if m.Bounds().Dx() != width || m.Bounds().Dy() != width/2 || !isRed(m, 2, 4) || !isBlue(m, 6, 4) {
				d.t.Errorf("%s of %v: %v, want %d by %d", size, r, m.Bounds(), width, width/2)
			}
		}
		if r.text("image") != r.text("large") {
			d.t.Errorf("%v\nwant the large picture as the image", r)
		}
		d.ids = append([]int64{r.int("id")}, d.ids...)
	}
	// The least that there may be.
	r := d.sends("POST", "/1.0/posts", []string{"udid", "x"}, picture(photo(d.t, 8, 8, 2)))
	d.created(r)
	if got := fieldsOf(r.doc); got != "created id image image_height image_width large medium modified tags thumbnail url" &&
		got != "created id image image_height image_width large medium modified thumbnail url" {
		d.t.Errorf("%v\nhas the fields %s", r, got)
	}
	d.ids = append([]int64{r.int("id")}, d.ids...)
	for _, more := range [][]string{
		append([]string{"description", "Sunny in Tulsa, no traffic jam", "tags", "weather"}, tulsa...),
		{"description", "Straßenverkehr 東京 🚓 #TRAFFIC", "city", "Oklahoma  City", "tags", "i44,weather"},
	} {
		d.ids = append([]int64{d.posts(more...).int("id")}, d.ids...)
	}

	small := picture(photo(d.t, 8, 8, 2))
	for _, c := range []struct {
		params []string
		files  []attachment
		status int
		code   string
		names  string
	}{
		{nil, []attachment{small}, 400, "missing_parameter", "udid"},
		{[]string{"udid", " "}, []attachment{small}, 400, "missing_parameter", "udid"},
		{[]string{"udid", "x"}, nil, 400, "missing_parameter", "image"},
		{[]string{"udid", "x", "image", "a photo"}, nil, 400, "missing_parameter", "image"},
		{[]string{"udid", "x"}, []attachment{{"photo", "photo.jpg", "image/jpeg", small.content}}, 400, "missing_parameter", "image"},
		{[]string{"udid", "x"}, []attachment{{"image", "", "application/octet-stream", nil}}, 400, "missing_parameter", "image"},
		{[]string{"udid", "x", "latitude", "35"}, []attachment{small}, 400, "", "longitude"},
		{[]string{"udid", "x", "longitude", "35"}, []attachment{small}, 400, "", "latitude"},
		{[]string{"udid", "x", "latitude", "91", "longitude", "0"}, []attachment{small}, 400, "bad_parameter", "latitude"},
		{[]string{"udid", "x", "latitude", "NaN", "longitude", "0"}, []attachment{small}, 400, "bad_parameter", "latitude"},
		{[]string{"udid", "x", "latitude", "0", "longitude", "181"}, []attachment{small}, 400, "bad_parameter", "longitude"},
		{[]string{"udid", "x", "email", "ann"}, []attachment{small}, 400, "bad_parameter", "email"},
		{[]string{"udid", "x", "description", strings.Repeat("é", 2001)}, []attachment{small}, 400, "bad_parameter", "2000"},
		{[]string{"udid", "x", "zip", strings.Repeat("1", 21)}, []attachment{small}, 400, "bad_parameter", "zip"},
		{[]string{"udid", "x", "tags", strings.Repeat("x", 51)}, []attachment{small}, 400, "bad_parameter", "tag"},
	} {
		r := d.sends("POST", "/1.0/posts", c.params, c.files...)
		code := c.code
		if code == "" {
			code = r.text("error.code")
		}
		d.declined(r, c.status, code)
		if message := strings.ReplaceAll(r.text("error.message"), ",", ""); !strings.Contains(message, c.names) {
			d.t.Errorf("%v\nwant it to name %s", r, c.names)
		}
	}
	// A result format should not be specified.
	for _, path := range []string{"/1.0/posts.json", "/1.0/posts/create.json"} {
		d.declined(d.sends("POST", path, []string{"udid", "x"}, small), 400, "format_not_taken")
	}
	d.has("posts", "json", d.ids)
}

func (d *postsDocument) edit() {
	id := d.ids[4]
	path := fmt.Sprint("/1.0/posts/", id)
	before := d.shown(path + ".json")
	r := d.sends("PUT", path, append([]string{"description", "All clear #done", "address", "", "email", "bob@example.org"}, tulsa...))
	wants(d.t, r, map[string]string{
		"id": fmt.Sprint(id), "description": "All clear #done", "address": "", "city": "Tulsa", "zip": "74103", "latitude": "36.154",
		"created": before.text("created"), "tags": before.text("tags"), "image": before.text("image"),
	})
	if got := d.shown(path + ".json"); r.status != 200 || string(got.raw) != string(r.raw) {
		d.t.Errorf("%v\nwant 200 %s", r, got.raw)
	}
	r = d.sends("POST", path+"/update", []string{"latitude", "", "longitude", "", "city", "oklahoma city", "udid", "other", "tags", "other"})
	wants(d.t, r, map[string]string{"latitude": "", "longitude": "", "city": "oklahoma city", "zip": "74103", "tags": before.text("tags")})
	d.has("posts", "json", []int64{id}, "search", "#done", "city", "oklahoma city", "zip", "74103")
	d.has("posts", "json", d.some(0, 3), "search", "#traffic")
	for _, c := range [][]string{
		{"latitude", "1"}, {"latitude", "1", "longitude", ""}, {"email", "x"}, {"description", strings.Repeat("x", 2001)},
	} {
		r := d.sends("PUT", path, c)
		if r.status != 400 {
			d.t.Errorf("%v\nwant 400 of %q", r, c)
		}
	}
	d.declined(d.sends("PUT", path+".json", []string{"city", "x"}), 400, "format_not_taken")
	d.declined(d.sends("POST", path+"/update.json", []string{"city", "x"}), 400, "format_not_taken")
	d.declined(d.sends("PUT", "/1.0/posts/4711", []string{"city", "x"}), 404, "not_found")
	if r := d.sends("POST", path, []string{"city", "x"}); r.status != 404 && r.status != 405 {
		d.t.Errorf("%v\nwant update to be named", r)
	}
	// If flag is set then other parameters are ignored.
	for i, call := range []string{"PUT " + path, "POST " + path + "/update"} {
		method, path, _ := strings.Cut(call, " ")
		r = d.sends(method, path, []string{"flag", []string{"1", "yes"}[i], "description", "flagged"})
		if r.status != 200 || fmt.Sprint(r.doc) != fmt.Sprintf("map[flagged:true id:%d]", id) {
			d.t.Errorf("%v\nwant it flagged", r)
		}
	}
	if r := d.shown(path + ".json"); r.text("description") != "All clear #done" {
		d.t.Errorf("%v\nwant it as it was", r)
	}
	for _, no := range []string{"", "0", "no", "false"} {
		if r := d.sends("PUT", path, []string{"flag", no, "state", "OK " + no}); r.text("state") != strings.TrimSpace("OK "+no) {
			d.t.Errorf("%v\nwant no flag of %q", r, no)
		}
	}
}

func (d *postsDocument) remove() {
	const page = "https://example.org/page?a=b"
	for i, referrer := range []string{"", "yes"} {
		for _, call := range []string{"DELETE /1.0/posts/%d", "POST /1.0/posts/%d/delete"} {
			made := d.posts("description", "to be deleted")
			method, path, _ := strings.Cut(fmt.Sprintf(call, made.int("id")), " ")
			if r := d.sends(method, path+".json", nil); r.status != 400 || r.text("error.code") != "format_not_taken" {
				d.t.Errorf("%v\nwant 400 format_not_taken", r)
			}
			fields, query := d.fresh("referrer", referrer), ""
			if method == "DELETE" {
				fields, query = nil, "?"+fields.Encode()
			}
			r := d.form(method, path+query, fields, "Referer", page)
			if want := []int{204, 303}[i]; r.status != want || r.status == 303 && r.header.Get("Location") != page {
				d.t.Errorf("%v %s\nwant %d", r, r.header.Get("Location"), want)
			}
			d.declined(d.fetch(fmt.Sprintf("/1.0/posts/%d.json", made.int("id"))), 404, "not_found")
			d.declined(d.sends("POST", fmt.Sprintf("/1.0/posts/%d/delete", made.int("id")), nil), 404, "not_found")
		}
	}
	d.has("posts", "json", d.ids)
	// Creating and editing redirect to the referring page as well.
	contentType, body := multipartForm(d.fresh("udid", "x", "referrer", "true"), picture(photo(d.t, 8, 8, 0)))
	r, err := d.client.submit("POST", "/1.0/posts/create", contentType, body, "Referer", page)
	if err != nil || r.status != 303 || r.header.Get("Location") != page {
		d.t.Fatalf("%v, %v %v\nwant a redirect", r, err, r.header)
	}
	id := d.list("posts", "json").ids[0]
	path := fmt.Sprint("/1.0/posts/", id)
	for _, c := range []struct {
		referrer, header string
		status           int
	}{
		{"1", page, 303}, {"on", "http://127.0.0.1:1/#x", 303}, {"no", page, 200}, {"0", page, 200}, {"OFF", page, 200},
		{"yes", "", 200}, {"yes", "javascript:alert(1)", 200}, {"yes", "//example.org/", 200}, {"yes", "/page", 200},
		{"yes", "https://user:pass@example.org/", 200}, {"yes", "ftp://example.org/", 200}, {"yes", "data:text/html,x", 200},
	} {
		var headers []string
		if c.header != "" {
			headers = []string{"Referer", c.header}
		}
		r := d.form("PUT", path, d.fresh("city", "x", "referrer", c.referrer), headers...)
		if r.status != c.status || r.status == 303 && r.header.Get("Location") != c.header {
			d.t.Errorf("%+v: %v %s\nwant %d", c, r, r.header.Get("Location"), c.status)
		}
	}
	// Not if it was not done.
	if r := d.form("PUT", path, d.fresh("email", "x", "referrer", "yes"), "Referer", page); r.status != 400 {
		d.t.Errorf("%v\nwant 400", r)
	}
	if r := d.sends("POST", path+"/delete", nil); r.status != 204 {
		d.t.Fatal(r)
	}
}

func (d *postsDocument) examples() {
	r := d.shown("/1.0/posts.rss?count=10&page=1&city=Oklahoma+City&search=%23traffic")
	if l := d.readList(r, "posts", "rss"); l.total != 2 || !slices.Equal(l.ids, d.some(0, 3)) {
		d.t.Errorf("%v\nwant %v", r, d.some(0, 3))
	}
	d.declined(d.fetch("/1.0/posts/42.rss"), 404, "not_found")
	r = d.shown(fmt.Sprintf("/1.0/posts/%d.rss", d.ids[0]))
	if l := d.readList(r, "posts", "rss"); l.total != 1 {
		d.t.Errorf("%v\nwant it alone", r)
	}
}

func (d *postsDocument) errors() {
	for _, c := range []struct {
		call   string
		status int
		code   string
	}{
		{"GET /1.0/nothing", 404, "not_found"},
		{"GET /1.0/posts/10/eat.json", 404, "not_found"},
		{"PATCH /1.0/posts/10", 405, "method_not_allowed"},
		{"GET /1.0/posts.json?search=%ff", 400, "bad_request"},
		{"GET /1.0/images/x.jpg", 404, "not_found"},
		{"GET /1.0/images/AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA.jpg", 404, "not_found"},
	} {
		method, path, _ := strings.Cut(c.call, " ")
		r := d.form(method, path, nil)
		if r.status != c.status || r.text("error.code") != c.code || r.text("error.message") == "" || r.text("error.documentation") == "" {
			d.t.Errorf("%v\nwant %d %s", r, c.status, c.code)
		}
	}
	// A browser gets a page, with a link to the documentation.
	r := d.fetch("/1.0/posts", "Accept", "text/html,*/*;q=0.8")
	if r.status != 400 || !strings.HasPrefix(r.header.Get("Content-Type"), "text/html") || !strings.Contains(string(r.raw), `href="/1.0/documentation"`) {
		d.t.Errorf("%v %v\nwant a page", r.header, r)
	}
}

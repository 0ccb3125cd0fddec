package main

import (
	"encoding/xml"
	"fmt"
	"html"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
	"github.com/edgeset/edgeset/abi/guesttest"
)

// samplePost is a post with all that there can be.
func samplePost() *post {
	at := time.Date(2026, 11, 21, 10, 15, 0, 123456000, time.UTC).UnixMicro()
	return &post{
		number: 42, created: at, modified: at + 3_600_000_000, account: "secret account", app: "secret app", author: "ann",
		udid: "secret udid", email: "secret@example.org", description: "Ice & <b>snow</b>\nall over #traffic",
		address: "1 Main St", city: "Oklahoma City", state: "OK", zip: "73102", tags: []string{"ice", `a "b" & c`},
		placed: true, at: place{354675602, -975164276},
		picture: picture{
			format:    "png",
			thumbnail: image{abi.BlobID{1}, 1000, 160, 120},
			medium:    image{abi.BlobID{2}, 20000, 640, 480},
			large:     image{abi.BlobID{3}, 300000, 1600, 1200},
			original:  image{abi.BlobID{4}, 4000000, 4000, 3000},
		},
		flags: 2,
	}
}

// barePost is a post with as little as there can be.
func barePost() *post {
	return &post{
		number: 41, created: 1_000_000, modified: 1_000_000,
		picture: picture{
			format:    "jpeg",
			thumbnail: image{abi.BlobID{5}, 10, 3, 2},
			medium:    image{abi.BlobID{5}, 10, 3, 2},
			large:     image{abi.BlobID{5}, 10, 3, 2},
		},
	}
}

func sampleComment() *comment {
	at := time.Date(2026, 11, 21, 10, 15, 0, 0, time.UTC).UnixMicro()
	return &comment{number: 7, post: 42, created: at, modified: at, account: "secret account", author: "bob", content: "so <i>cold</i>\n\nindeed"}
}

// shows answers what handle does, with the path and query of a list.
func shows(t testing.TB, handle guest.Handler) *forum {
	p := guest.New("posts", "1")
	f := p.Family("/1.0", problem)
	for _, path := range []string{"/1.0/posts.x", "/1.0/posts/42.x", "/1.0/comments.x", "/1.0/comments/7.x"} {
		f.GET(path, handle)
	}
	c := guesttest.New(t, p)
	c.Host.Now = time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC)
	return &forum{c, t}
}

func list(f format, win window, total int, posts ...*post) guest.Handler {
	return func(w *guest.Response, r *guest.Request) error {
		return answerPosts(w, r, f, win, total, posts, 5_000_000)
	}
}

const thumbnail = `http://edge.test/1.0/images/AQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA.jpg`

// indented has a document begin a line with each element that is opened.
func indented(document string) string {
	s := strings.ReplaceAll(document, "><", ">\n<")
	return strings.TrimSpace(s) + "\n"
}

func TestPostsAsRSS(t *testing.T) {
	f := shows(t, list(formatRSS, window{2, 2}, 6, samplePost(), barePost()))
	f.Host.Settings["title"] = "Ice & snow"
	got := indented(f.document("/1.0/posts.x?search=%23traffic+%26%22&hash=secret&count=2&page=2&city=Oklahoma%20City&tags="))
	want := `<?xml version="1.0" encoding="UTF-8"?>
<rss version="2.0" xmlns:atom="http://www.w3.org/2005/Atom" xmlns:dc="http://purl.org/dc/elements/1.1/" xmlns:georss="http://www.georss.org/georss" xmlns:media="http://search.yahoo.com/mrss/">
<channel>
<title>Ice &amp; snow</title>
<link>http://edge.test/1.0/documentation</link>
<description>6 posts, the newest first.</description>
<lastBuildDate>Sat, 21 Nov 2026 11:15:00 GMT</lastBuildDate>
<atom:link rel="self" type="application/rss+xml" href="http://edge.test/1.0/posts.x?city=Oklahoma+City&amp;search=%23traffic+%26%22&amp;count=2&amp;page=2"/>
<atom:link rel="previous" type="application/rss+xml" href="http://edge.test/1.0/posts.x?city=Oklahoma+City&amp;search=%23traffic+%26%22&amp;count=2&amp;page=1"/>
<atom:link rel="next" type="application/rss+xml" href="http://edge.test/1.0/posts.x?city=Oklahoma+City&amp;search=%23traffic+%26%22&amp;count=2&amp;page=3"/>
<category domain="total">6</category>
<item>
<title>Ice &amp; &lt;b&gt;snow&lt;/b&gt;</title>
<link>http://edge.test/1.0/posts/42.rss</link>
<guid isPermaLink="true">http://edge.test/1.0/posts/42.rss</guid>
<description>Ice &amp;amp; &amp;lt;b&amp;gt;snow&amp;lt;/b&amp;gt;
all over #traffic</description>
<pubDate>Sat, 21 Nov 2026 10:15:00 GMT</pubDate>
<dc:creator>ann</dc:creator>
<category>ice</category>
<category>a "b" &amp; c</category>
<enclosure url="http://edge.test/1.0/images/AwAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA.jpg" length="300000" type="image/jpeg"/>
<georss:point>35.4675602 -97.5164276</georss:point>
<media:thumbnail url="` + thumbnail + `" width="160" height="120"/>
</item>
<item>
<title>Photo 41</title>
<link>http://edge.test/1.0/posts/41.rss</link>
<guid isPermaLink="true">http://edge.test/1.0/posts/41.rss</guid>
<pubDate>Thu, 01 Jan 1970 00:00:01 GMT</pubDate>
<enclosure url="http://edge.test/1.0/images/BQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA.jpg" length="10" type="image/jpeg"/>
<media:thumbnail url="http://edge.test/1.0/images/BQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA.jpg" width="3" height="2"/>
</item>
</channel>
</rss>
`
	same(t, got, want)
	if got := f.get("/1.0/posts.x").Headers["Content-Type"]; got != "application/rss+xml; charset=utf-8" {
		t.Errorf("Content-Type: %q", got)
	}
}

// same shows the first line that differs.
func same(t *testing.T, got, want string) {
	t.Helper()
	g, w := strings.Split(got, "\n"), strings.Split(want, "\n")
	for i := range max(len(g), len(w)) {
		if i >= len(g) || i >= len(w) || g[i] != w[i] {
			t.Fatalf("line %d differs\ngot  %s\nwant %s", i+1, strings.Join(g[min(i, len(g)):], "\n"), strings.Join(w[min(i, len(w)):], "\n"))
		}
	}
}

func TestPostsAsAtom(t *testing.T) {
	f := shows(t, list(formatAtom, window{1, 20}, 2, samplePost(), barePost()))
	got := indented(f.document("/1.0/posts.x?city=Oklahoma%20City"))
	want := `<?xml version="1.0" encoding="UTF-8"?>
<feed xmlns="http://www.w3.org/2005/Atom" xmlns:georss="http://www.georss.org/georss" xmlns:media="http://search.yahoo.com/mrss/">
<id>http://edge.test/1.0/posts.atom?city=Oklahoma+City</id>
<title>Posts</title>
<updated>2026-11-21T11:15:00Z</updated>
<link rel="self" type="application/atom+xml" href="http://edge.test/1.0/posts.x?city=Oklahoma+City"/>
<link rel="alternate" type="text/html" href="http://edge.test/1.0/documentation"/>
<author>
<name>posts</name>
</author>
<category scheme="http://edge.test/1.0/total" term="2"/>
<entry>
<id>http://edge.test/1.0/posts/42.atom</id>
<title>Ice &amp; &lt;b&gt;snow&lt;/b&gt;</title>
<updated>2026-11-21T11:15:00Z</updated>
<published>2026-11-21T10:15:00Z</published>
<link rel="alternate" type="application/atom+xml" href="http://edge.test/1.0/posts/42.atom"/>
<link rel="enclosure" type="image/jpeg" length="300000" href="http://edge.test/1.0/images/AwAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA.jpg"/>
<author>
<name>ann</name>
</author>
<category term="ice"/>
<category term="a &#34;b&#34; &amp; c"/>
<content type="text">Ice &amp; &lt;b&gt;snow&lt;/b&gt;
all over #traffic</content>
<georss:point>35.4675602 -97.5164276</georss:point>
<media:thumbnail url="` + thumbnail + `" width="160" height="120"/>
</entry>
<entry>
<id>http://edge.test/1.0/posts/41.atom</id>
<title>Photo 41</title>
<updated>1970-01-01T00:00:01Z</updated>
<published>1970-01-01T00:00:01Z</published>
<link rel="alternate" type="application/atom+xml" href="http://edge.test/1.0/posts/41.atom"/>
<link rel="enclosure" type="image/jpeg" length="10" href="http://edge.test/1.0/images/BQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA.jpg"/>
<media:thumbnail url="http://edge.test/1.0/images/BQAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA.jpg" width="3" height="2"/>
</entry>
</feed>
`
	same(t, got, want)
	if got := f.get("/1.0/posts.x").Headers["Content-Type"]; got != "application/atom+xml; charset=utf-8" {
		t.Errorf("Content-Type: %q", got)
	}
}

func TestEmptyFeeds(t *testing.T) {
	rss := shows(t, list(formatRSS, window{9, 100}, 6)).document("/1.0/posts.x?page=9")
	if strings.Contains(rss, "lastBuildDate") || strings.Contains(rss, "item") || strings.Contains(rss, `rel="next"`) ||
		!strings.Contains(rss, "page=8") || !strings.Contains(rss, `<category domain="total">6</category>`) {
		t.Error(rss)
	}
	atom := shows(t, list(formatAtom, window{1, 20}, 0)).document("/1.0/posts.x")
	if !strings.Contains(atom, "<updated>1970-01-01T00:00:05Z</updated>") || strings.Contains(atom, "entry") || strings.Contains(atom, `rel="next"`) ||
		strings.Contains(atom, `rel="previous"`) || !strings.Contains(atom, `term="0"`) || !strings.Contains(atom, "<id>http://edge.test/1.0/posts.atom</id>") {
		t.Error(atom)
	}
}

func TestOnePostAsAFeed(t *testing.T) {
	answer := func(f format) guest.Handler {
		return func(w *guest.Response, r *guest.Request) error { return answerPost(w, r, f, samplePost()) }
	}
	rss := shows(t, answer(formatRSS)).document("/1.0/posts/42.x?hash=secret")
	for _, part := range []string{
		`<category domain="total">1</category>`, `href="http://edge.test/1.0/posts/42.x"`, "<description>One post.</description>",
		"<lastBuildDate>Sat, 21 Nov 2026 11:15:00 GMT</lastBuildDate>",
	} {
		if strings.Count(rss, part) != 1 {
			t.Errorf("%s: want one in %s", part, rss)
		}
	}
	atom := shows(t, answer(formatAtom)).document("/1.0/posts/42.x")
	for _, part := range []string{
		"<id>http://edge.test/1.0/posts/42.atom#feed</id>", "<id>http://edge.test/1.0/posts/42.atom</id>", `term="1"`, "<entry>",
	} {
		if strings.Count(atom, part) != 1 {
			t.Errorf("%s: want one in %s", part, atom)
		}
	}
}

func TestCommentsAsFeeds(t *testing.T) {
	for _, f := range []format{formatRSS, formatAtom} {
		page := shows(t, func(w *guest.Response, r *guest.Request) error {
			return answerComments(w, r, f, window{1, 20}, 1, []*comment{sampleComment()}, 1)
		}).document("/1.0/comments.x?postId=42")
		one := shows(t, func(w *guest.Response, r *guest.Request) error { return answerComment(w, r, f, sampleComment()) }).document("/1.0/comments/7.x")
		for _, document := range []string{page, one} {
			for _, part := range []string{"Posts: comments", "<title>so &lt;i&gt;cold&lt;/i&gt;</title>", "/1.0/comments/7." + formatNames[f-1], ">bob<", "indeed"} {
				if !strings.Contains(document, part) {
					t.Errorf("there is no %s in %s", part, document)
				}
			}
			for _, part := range []string{"enclosure", "thumbnail", "georss:point", "secret"} {
				if strings.Contains(document, part+" ") || strings.Contains(document, "<"+part) {
					t.Errorf("there is %s in %s", part, document)
				}
			}
		}
		if !strings.Contains(page, "comments.x?postId=42") {
			t.Error(page)
		}
	}
}

func TestHeadlines(t *testing.T) {
	words := strings.Repeat("word ", 30)
	for _, c := range []struct{ text, want string }{
		{"", "Photo 42"},
		{" \n ", "Photo 42"},
		{"one\ntwo", "one"},
		{"\r\n one \r\ntwo", "one"},
		{words, strings.Repeat("word ", 15) + "word…"},
		{strings.Repeat("x", 80), strings.Repeat("x", 80)},
		{strings.Repeat("x", 81), strings.Repeat("x", 80) + "…"},
		{strings.Repeat("é", 80), strings.Repeat("é", 80)},
		{strings.Repeat("é", 81), strings.Repeat("é", 80) + "…"},
		{strings.Repeat("x", 80) + " y", strings.Repeat("x", 80) + "…"},
		{strings.Repeat("x", 79) + "  y", strings.Repeat("x", 79) + "…"},
		{"a " + strings.Repeat("x", 80), "a…"},
		{"\xff" + strings.Repeat("x", 100), "\xff" + strings.Repeat("x", 79) + "…"},
	} {
		line, cut := headline(c.text)
		if got := title(line, cut, "Photo ", 42); got != c.want {
			t.Errorf("%q: got %q, want %q", c.text, got, c.want)
		}
	}
}

func TestDegreesAreWrittenExactly(t *testing.T) {
	for e7, want := range map[int32]string{
		0: "0", 1: "0.0000001", -1: "-0.0000001", 10_000_000: "1", -1_800_000_000: "-180", 354675602: "35.4675602",
		-975_000_000: "-97.5", 900_000_000: "90", -2147483648: "-214.7483648", 1_000_100: "0.10001",
	} {
		if got := string(appendDegrees(nil, e7)); got != want {
			t.Errorf("%d: got %q, want %q", e7, got, want)
		}
	}
}

func TestTimeOfChangeIsToldWhenItsSecondIsOver(t *testing.T) {
	const modified = 1_767_225_600_999_999 // the last of the first second of 2026
	for after, want := range map[time.Duration]string{
		0: "", 999 * time.Millisecond: "", time.Second: "Thu, 01 Jan 2026 00:00:00 GMT", time.Hour: "Thu, 01 Jan 2026 00:00:00 GMT", -time.Hour: "",
	} {
		f := shows(t, func(w *guest.Response, r *guest.Request) error {
			return answerPosts(w, r, formatJSON, window{1, 20}, 0, nil, modified)
		})
		f.Host.Now = time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC).Add(after)
		if got := f.get("/1.0/posts.x").Headers["Last-Modified"]; got != want {
			t.Errorf("after %v: got %q, want %q", after, got, want)
		}
	}
	f := shows(t, func(w *guest.Response, r *guest.Request) error {
		return answerPosts(w, r, formatJSON, window{1, 20}, 0, nil, 0)
	})
	if got, there := f.get("/1.0/posts.x").Headers["Last-Modified"]; there {
		t.Errorf("of what never changed: %q", got)
	}
}

// hostile is what somebody may type to break a feed.
var hostile = []string{
	"]]>", "<script>alert(1)</script>", "&amp;", "&", `"'`, "</title></item><item>", "<!--", "<![CDATA[x]]>", "a\x00b\x01\x1f\x7f", "\ufffe\uffff",
	"\u202edcba", "שלום", "日本語", "👩‍👩‍👧‍👦", "\r\n\t", "a\rb", "\u2028", "%00", "${jndi}", "<?php ?>", "\xff\xfe",
}

// What people type comes out of every format as it went in, but for characters that
// XML cannot have.
func TestWhatPeopleTypeStaysText(t *testing.T) {
	for _, typed := range hostile {
		p := samplePost()
		p.description, p.author, p.city, p.tags = "x "+typed, "x"+typed, "x"+typed, []string{"x" + typed}
		c := sampleComment()
		c.content, c.author = p.description, p.author
		want := strings.Map(func(c rune) rune {
			if c < ' ' && c != '\t' && c != '\n' && c != '\r' || c == 0xfffe || c == 0xffff {
				return 0xfffd
			}
			return c
		}, strings.ToValidUTF8(p.description, "\ufffd"))
		for _, f := range []format{formatRSS, formatAtom} {
			posts := shows(t, list(f, window{1, 20}, 1, p)).document("/1.0/posts.x")
			comments := shows(t, func(w *guest.Response, r *guest.Request) error { return answerComment(w, r, f, c) }).document("/1.0/comments/7.x")
			for _, document := range []string{posts, comments} {
				texts := elements(t, document)
				got := texts["content"]
				if f == formatRSS {
					got = html.UnescapeString(texts["description"])
				}
				if !sameRunes(got, want) {
					t.Errorf("%s: %q comes out as %q", formatNames[f-1], p.description, got)
				}
			}
		}
	}
}

// sameRunes compares texts in which what is no UTF-8 may have become one or more
// replacement characters.
func sameRunes(a, b string) bool {
	squeeze := func(s string) string {
		for strings.Contains(s, "\ufffd\ufffd") {
			s = strings.ReplaceAll(s, "\ufffd\ufffd", "\ufffd")
		}
		return s
	}
	return squeeze(a) == squeeze(b)
}

// elements parses a document strictly, and returns the last text of each element.
func elements(t *testing.T, document string) map[string]string {
	t.Helper()
	texts := map[string]string{}
	d := xml.NewDecoder(strings.NewReader(document))
	var name string
	for {
		token, err := d.Token()
		if err == io.EOF {
			return texts
		}
		if err != nil {
			t.Fatalf("%v: %s", err, document)
		}
		switch token := token.(type) {
		case xml.StartElement:
			name = token.Name.Local
			texts[name] = ""
		case xml.CharData:
			texts[name] += string(token)
		case xml.EndElement:
			name = ""
		}
	}
}

func FuzzFeed(f *testing.F) {
	for _, text := range hostile {
		f.Add(text, text, "city="+text)
	}
	f.Fuzz(func(t *testing.T, text, author, query string) {
		if len(text) > 2000 {
			return
		}
		p := samplePost()
		p.description, p.author, p.tags = text, author, []string{author}
		for _, format := range []format{formatRSS, formatAtom} {
			d := &feed{links: newLinks("http://edge.test"), shelf: "posts", title: author, total: 1, number: 42}
			var s story
			s.ofPost(p)
			if n := len([]rune(s.title)); n < 1 || n > maxHeadline+1 {
				t.Fatalf("a title of %d characters: %q", n, s.title)
			}
			f := shows(t, func(w *guest.Response, r *guest.Request) error {
				d.r = r
				d.answer(w, format, 1, func(to *story, _ int) { *to = s })
				return nil
			})
			elements(t, f.document("/1.0/posts/42.x"))
		}
		self := string(appendEscaped(nil, query))
		if strings.Trim(self, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-._~,:+%") != "" {
			t.Fatalf("%q is escaped as %q", query, self)
		}
	})
}

func TestFeedsOfTheRoutes(t *testing.T) {
	f := newForum(t)
	for i := range 3 {
		f.upload("ann", "description", fmt.Sprint("photo ", i))
		f.say("bob", "1", fmt.Sprint("comment ", i))
	}
	for _, path := range []string{"/1.0/posts", "/1.0/posts/index", "/1.0/posts/2", "/1.0/posts/2/show", "/1.0/comments", "/1.0/comments/index", "/1.0/comments/3", "/1.0/comments/3/show"} {
		for _, ext := range []string{"rss", "atom"} {
			document := f.document(path + "." + ext)
			elements(t, document)
			if !strings.Contains(document, `href="http://edge.test`+path+"."+ext+`"`) {
				t.Errorf("%s.%s does not say where it is: %s", path, ext, document)
			}
		}
	}
	if last := f.document("/1.0/comments.rss?count=3"); strings.Contains(last, `rel="next"`) {
		t.Error(last)
	}
	next := f.document("/1.0/comments.atom?count=2")
	if !strings.Contains(next, `rel="next" type="application/atom+xml" href="http://edge.test/1.0/comments.atom?count=2&amp;page=2"`) {
		t.Error(next)
	}
}

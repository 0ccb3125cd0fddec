package main_test

import (
	"bytes"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"html"
	"os"
	"os/exec"
	"path/filepath"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/mmcdole/gofeed"
)

// awkward is a text of all that is special in some format, or cannot be written in
// one. Its first line is short enough for a title.
const awkward = "]]> <script>alert('1')</script> & &amp;lt; \"x\" \x01\x0b\x1f ]]>\n" +
	"a tab\there, lines\r\nand\rmore, \u202eright to left\u202c, العربية עברית, 🚓 👩‍👩‍👧 e\u0301, \u2028 \u0085 \x7f \ufffe\uffff \ufeff, " +
	"$code ${message} %s {{.}} \\u0041 <![CDATA[ x ]]> <!-- --> <?php ?> </description></content></string></item>"

// inXML is a text as XML has it, which has no way to write some characters.
func inXML(text string) string {
	return strings.Map(func(c rune) rune {
		if c < ' ' && c != '\t' && c != '\n' && c != '\r' || c == 0xfffe || c == 0xffff {
			return 0xfffd
		}
		return c
	}, text)
}

// titleOf is the first line of a text.
func titleOf(text string) string {
	line, _, _ := strings.Cut(text, "\n")
	return line
}

// tool runs a program that the tests can do without.
func tool(t testing.TB, debian string, in []byte, name string, args ...string) []byte {
	t.Helper()
	program, err := exec.LookPath(name)
	if err != nil {
		missing(t, err, debian)
	}
	cmd := exec.CommandContext(t.Context(), program, args...)
	var stderr bytes.Buffer
	cmd.Stdin, cmd.Stderr = bytes.NewReader(in), &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%s: %v\n%s\nof\n%s", cmd, err, &stderr, in)
	}
	return out
}

// missing ends a test for which a program is not installed.
func missing(t testing.TB, err error, debian string) {
	t.Helper()
	if os.Getenv("EDGESET_REQUIRE_TOOLS") != "" {
		t.Fatalf("%v: this test needs Debian's %s", err, debian)
	}
	t.Skipf("%v: this test needs Debian's %s", err, debian)
}

// byPython has a module of Python read a feed or a property list.
func byPython(t testing.TB, in []byte, kind string) reply {
	t.Helper()
	if kind == "feed" {
		if out, err := exec.Command(python, "-c", "import feedparser").CombinedOutput(); err != nil {
			missing(t, fmt.Errorf("%w: %s", err, out), "python3-feedparser")
		}
	}
	r := reply{what: "by Python", raw: tool(t, "python3", in, python, filepath.Join("testdata", "posts", "read.py"), kind)}
	d := json.NewDecoder(bytes.NewReader(r.raw))
	d.UseNumber()
	if err := d.Decode(&r.doc); err != nil {
		t.Fatalf("%v: %v", r, err)
	}
	return r
}

// A wire has posts and a comment whose texts are awkward, for others to read.
type wire struct {
	*signer
	posts   reply // as JSON
	comment reply
}

func newWire(t *testing.T) *wire {
	op := newOpenIDProvider(t)
	s := newPostsServer(t, "", op)
	w := &wire{signer: s.newSigner("")}
	w.postsPhoto(cameraPhoto(t, 400, 200), append([]string{"description", "Before <b>", "tags", "x"}, okc...)...)
	made := w.signer.posts(
		"description", awkward, "address", titleOf(awkward), "city", "<c>]]>&\x01", "state", "\"O'K\" \u202e", "zip", "<&>\x02\ufffe x",
		"tags", "<b>]]>&amp;,\u202eעברית,\x03 x y,\"q\"", "latitude", "-0.0000001", "longitude", "180", "udid", "<udid>", "email", "<e>@example.org")
	bob := s.newMember(op, "bob")
	bob.posts()
	w.comment = bob.comments(made.int("id"), awkward)
	w.posts = w.shown("/1.0/posts.json")
	return w
}

func TestFeedsAreReadByOthers(t *testing.T) {
	t.Parallel()
	w := newWire(t)
	t.Run("JSON", func(t *testing.T) { w.in(t).json(t) })
	t.Run("plist", func(t *testing.T) { w.in(t).plists(t) })
	for _, format := range []string{"rss", "atom"} {
		for name, read := range map[string]func(w *wire, t *testing.T, format string){
			"gofeed": (*wire).gofeed, "feedparser": (*wire).feedparser, "xmllint": (*wire).xmllint,
		} {
			t.Run(format+" by "+name, func(t *testing.T) { read(w.in(t), t, format) })
		}
	}
	t.Run("the elements of RSS", func(t *testing.T) { w.in(t).elements(t) })
	t.Run("links lead somewhere", func(t *testing.T) { w.in(t).links(t) })
}

// in returns the wire for a subtest.
func (w *wire) in(t testing.TB) *wire {
	return &wire{w.signer.within(t), w.posts, w.comment}
}

func (w *wire) json(t *testing.T) {
	wants(t, w.posts, map[string]string{
		"total": "3", "posts.1.description": awkward, "posts.1.address": titleOf(awkward), "posts.1.city": "<c>]]>&\x01",
		"posts.1.state": "\"O'K\" \u202e", "posts.1.zip": "<&>\x02\ufffe x", "posts.1.tags.0": "<b>]]>&amp;",
		"posts.1.tags.1": "\u202eעברית", "posts.1.tags.2": "\x03 x y", "posts.1.tags.3": "\"q\"",
		"posts.1.longitude": "-180", "posts.0.author": "bob-nick", "posts.0.description": "",
	})
	if got := fmt.Sprint(w.posts.at("posts.1.latitude")); got != "-0.0000001" && got != "-1e-7" && got != "-1e-07" {
		t.Errorf("latitude %s", got)
	}
	wants(t, w.shown("/1.0/comments.json"), map[string]string{"total": "1", "comments.0.content": awkward, "comments.0.author": "bob-nick"})
}

// plain is a value with numbers and texts as a property list has them, whoever has
// read it.
func plain(v any) any {
	switch v := v.(type) {
	case map[string]any:
		m := map[string]any{}
		for key, e := range v {
			m[key] = plain(e)
		}
		return m
	case []any:
		list := make([]any, len(v))
		for i := range v {
			list[i] = plain(v[i])
		}
		return list
	case string:
		return inXML(v)
	case json.Number:
		f, _ := v.Float64()
		return f
	case uint64:
		return float64(v)
	case int64:
		return float64(v)
	}
	return v
}

func (w *wire) plists(t *testing.T) {
	for _, path := range []string{"/1.0/posts", "/1.0/posts/2", "/1.0/comments", "/1.0/comments/1"} {
		want := plain(w.shown(path + ".json").doc)
		r := w.shown(path + ".plist")
		same := func(reader string, got any) {
			t.Helper()
			if !reflect.DeepEqual(plain(got), want) {
				t.Errorf("%s by %s:\n%v\nwant\n%v", path, reader, plain(got), want)
			}
		}
		same("howett.net/plist", w.plist(r))
		same("plistlib", byPython(t, r.raw, "plist").doc)
		binary := tool(t, "libplist-utils", r.raw, "plistutil", "-i", "-", "-f", "bin", "-o", "-")
		if !bytes.HasPrefix(binary, []byte("bplist")) {
			t.Errorf("plistutil: %q", binary)
		}
		same("plistutil", byPython(t, binary, "plist").doc)
		tool(t, "libxml2-utils", r.raw, "xmllint", "--noout", "--nonet", "-")
	}
}

func (w *wire) gofeed(t *testing.T, format string) {
	parser := gofeed.NewParser()
	feed, err := parser.Parse(bytes.NewReader(w.shown("/1.0/posts." + format).raw))
	if err != nil {
		t.Fatal(err)
	}
	if feed.FeedType != format || feed.Title != "Posts" || len(feed.Items) != 3 {
		t.Fatalf("%v", feed)
	}
	item := feed.Items[1]
	text := item.Content
	if format == "rss" { // where it is HTML
		text = html.UnescapeString(item.Description)
	}
	if text != inXML(awkward) {
		t.Errorf("got the text\n%q\nwant\n%q", text, inXML(awkward))
	}
	if want := inXML(titleOf(awkward)); item.Title != want {
		t.Errorf("got the title\n%q\nwant\n%q", item.Title, want)
	}
	for i, tag := range []string{"<b>]]>&amp;", "\u202eעברית", "\x03 x y", "\"q\""} {
		if len(item.Categories) != 4 || item.Categories[i] != inXML(tag) {
			t.Errorf("got the tags %q", item.Categories)
		}
	}
	created, err := time.Parse(time.DateTime, w.posts.text("posts.1.created"))
	if err != nil || item.PublishedParsed == nil || !item.PublishedParsed.Equal(created) {
		t.Errorf("published %q, want %v", item.Published, created)
	}
	if len(item.Enclosures) != 1 || item.Enclosures[0].Type != "image/jpeg" || item.Enclosures[0].URL != w.posts.text("posts.1.large") ||
		item.Enclosures[0].Length != fmt.Sprint(len(w.shown(item.Enclosures[0].URL).raw)) {
		t.Errorf("got the enclosures %+v", item.Enclosures)
	}
	if feed.Items[0].Title != "Photo 3" || feed.Items[0].Author == nil || feed.Items[0].Author.Name != "bob-nick" {
		t.Errorf("got %+v by %+v", feed.Items[0], feed.Items[0].Author)
	}

	feed, err = parser.Parse(bytes.NewReader(w.shown("/1.0/comments." + format).raw))
	if err != nil {
		t.Fatal(err)
	}
	text = feed.Items[0].Content
	if format == "rss" {
		text = html.UnescapeString(feed.Items[0].Description)
	}
	if text != inXML(awkward) || feed.Items[0].Author.Name != "bob-nick" {
		t.Errorf("got %+v", feed.Items[0])
	}
}

func (w *wire) feedparser(t *testing.T, format string) {
	for _, path := range []string{"/1.0/posts", "/1.0/comments", "/1.0/posts/2", "/1.0/comments/1"} {
		r := byPython(t, w.shown(path+"."+format).raw, "feed")
		want := map[string]string{"rss": "rss20", "atom": "atom10"}[format]
		if r.text("wrong") != "" || r.text("version") != want || r.text("link") == "" {
			t.Fatalf("%s.%s: %v", path, format, r)
		}
		items := r.items("items")
		item := reply{doc: items[0]}
		if len(items) == 3 {
			item = reply{doc: items[1]}
		}
		text := item.text("text")
		if item.text("type") == "text/html" {
			text = html.UnescapeString(text)
		}
		// It takes one of the characters for what that is in Windows.
		if want := strings.ReplaceAll(inXML(awkward), "\u0085", "…"); text != want {
			t.Errorf("%s.%s: got the text\n%q\nwant\n%q", path, format, text, want)
		}
		if title := item.text("title"); title != inXML(titleOf(awkward)) {
			t.Errorf("%s.%s: got the title\n%q\nwant\n%q", path, format, title, inXML(titleOf(awkward)))
		}
		if strings.Contains(path, "posts") {
			wants(t, item, map[string]string{
				"tags.0": "<b>]]>&amp;", "tags.1": "\u202eעברית", "tags.2": "\ufffd x y", "tags.3": "\"q\"",
				"enclosures.0.0": w.posts.text("posts.1.large"), "enclosures.0.1": "image/jpeg", "thumbnail.0": w.posts.text("posts.1.thumbnail"),
				"point.0": "-180.0", "point.1": "-1e-07", "author": "",
			})
		} else {
			wants(t, item, map[string]string{"author": "bob-nick"})
		}
		if item.at("published") == nil || format == "atom" && item.at("updated") == nil {
			t.Errorf("%s.%s: %v has no date", path, format, item.doc)
		}
	}
}

func (w *wire) xmllint(t *testing.T, format string) {
	for _, path := range []string{
		"/1.0/posts." + format, "/1.0/posts/index." + format + "?count=1&page=2&search=%22%26%3C", "/1.0/posts/1." + format, "/1.0/posts/2/show." + format,
		"/1.0/comments." + format, "/1.0/comments/1." + format, "/1.0/posts." + format + "?city=nowhere", "/1.0/posts." + format + "?count=1",
	} {
		args := []string{"--noout", "--nonet", "-"}
		if format == "atom" {
			args = append([]string{"--relaxng", filepath.Join("testdata", "posts", "atom.rng")}, args...)
		}
		tool(t, "libxml2-utils", w.shown(path).raw, "xmllint", args...)
	}
}

// elements are those of RSS 2.0, and of the modules for it.
func (w *wire) elements(t *testing.T) {
	const query = "?count=2&search=nowhere+%22%26%3C&city="
	r := w.shown("/1.0/posts.rss?count=2")
	var feed struct {
		XMLName xml.Name `xml:"rss"`
		Version string   `xml:"version,attr"`
		Channel struct {
			Title         string     `xml:"title"`
			Description   string     `xml:"description"`
			LastBuildDate string     `xml:"lastBuildDate"`
			Links         []struct { // of RSS and of Atom
				XMLName xml.Name
				Rel     string `xml:"rel,attr"`
				Href    string `xml:"href,attr"`
				Text    string `xml:",chardata"`
			} `xml:"link"`
			Category struct {
				Domain string `xml:"domain,attr"`
				Text   string `xml:",chardata"`
			} `xml:"category"`
			Items []struct {
				Title string `xml:"title"`
				Link  string `xml:"link"`
				GUID  struct {
					IsPermaLink string `xml:"isPermaLink,attr"`
					Text        string `xml:",chardata"`
				} `xml:"guid"`
				PubDate   string `xml:"pubDate"`
				Creator   string `xml:"http://purl.org/dc/elements/1.1/ creator"`
				Point     string `xml:"http://www.georss.org/georss point"`
				Thumbnail struct {
					URL string `xml:"url,attr"`
				} `xml:"http://search.yahoo.com/mrss/ thumbnail"`
			} `xml:"item"`
		} `xml:"channel"`
	}
	if err := xml.Unmarshal(r.raw, &feed); err != nil {
		t.Fatal(err)
	}
	c := &feed.Channel
	if feed.Version != "2.0" || c.Title != "Posts" || c.Description == "" || c.Category.Domain != "total" || c.Category.Text != "3" || len(c.Items) != 2 {
		t.Errorf("%+v", feed)
	}
	base := "http://" + w.server.listen
	rels := map[string]string{}
	for _, l := range c.Links {
		if l.XMLName.Space == "" {
			l.Rel, l.Href = "of the channel", l.Text
		} else if l.XMLName.Space != "http://www.w3.org/2005/Atom" {
			t.Errorf("a link of %s", l.XMLName.Space)
		}
		rels[l.Rel] = l.Href
	}
	w.shown(rels["of the channel"])
	if rels["self"] != base+"/1.0/posts.rss?count=2" || rels["next"] != base+"/1.0/posts.rss?count=2&page=2" {
		t.Errorf("got the links %v", rels)
	}
	for i, item := range c.Items {
		post := reply{doc: w.posts.items("posts")[i]}
		created, err := time.Parse(time.DateTime, post.text("created"))
		if want := created.Format("Mon, 02 Jan 2006 15:04:05 GMT"); err != nil || item.PubDate != want {
			t.Errorf("pubDate %s, want %s", item.PubDate, want)
		}
		if item.Link != base+"/1.0/posts/"+post.text("id")+".rss" || item.GUID.Text != item.Link || item.GUID.IsPermaLink != "true" {
			t.Errorf("%+v", item)
		}
		if item.Thumbnail.URL != post.text("thumbnail") || item.Creator != post.text("author") {
			t.Errorf("%+v", item)
		}
	}
	if point := c.Items[1].Point; point != "-0.0000001 -180" {
		t.Errorf("the point is %q", point)
	}
	if built, err := time.Parse(time.RFC1123, c.LastBuildDate); err != nil || time.Since(built).Abs() > startTime {
		t.Errorf("lastBuildDate %q: %v", c.LastBuildDate, err)
	}
	// The URL of a feed can be asked for as it stands in it.
	if err := xml.Unmarshal(w.shown("/1.0/posts.rss"+query).raw, &feed); err != nil {
		t.Fatal(err)
	}
	for _, l := range c.Links {
		if l.Rel == "self" {
			rels[l.Rel] = l.Href
		}
	}
	if l := w.readList(w.shown(rels["self"]), "posts", "rss"); l.total != 0 || !strings.Contains(rels["self"], "%3C") {
		t.Errorf("%s: %v", rels["self"], l)
	}
}

// links are all of the URLs in a feed: whoever follows one finds what it says.
func (w *wire) links(t *testing.T) {
	for _, format := range []string{"rss", "atom"} {
		for _, kind := range []string{"posts", "comments"} {
			r := w.shown("/1.0/" + kind + "." + format + "?count=1")
			d := xml.NewDecoder(bytes.NewReader(r.raw))
			found := 0
			for {
				token, err := d.Token()
				if err != nil {
					break
				}
				start, is := token.(xml.StartElement)
				if !is {
					continue
				}
				for _, a := range start.Attr {
					if (a.Name.Local == "href" || a.Name.Local == "url") && a.Name.Space == "" {
						found++
						if got := w.shown(a.Value); strings.HasPrefix(got.header.Get("Content-Type"), "text/html") && !strings.HasSuffix(a.Value, "/1.0/documentation") {
							t.Errorf("%s is %v", a.Value, got.header)
						}
					}
				}
			}
			if found == 0 {
				t.Errorf("%s.%s has %d links", kind, format, found)
			}
		}
	}
}

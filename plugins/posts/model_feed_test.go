//go:build !wasip1

package main_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guesttest"
)

// An entry is what a feed must say of a post or a comment, and its title besides.
type entry struct {
	number, created int64
	modified        []int64
	text, author    string
	tags            []string
	point           string
	picture         func(base string) string // the URL of the enclosure
}

func (w *world) postEntry(p *post) entry {
	e := entry{number: p.number, created: p.created, modified: p.modified, text: p.description, author: p.author, tags: p.tags}
	if p.placed {
		degrees := func(n int64) string { return strconv.FormatFloat(float64(n)/1e7, 'f', -1, 64) }
		e.point = degrees(p.at.lat) + " " + degrees(p.at.lon)
	}
	e.picture = func(base string) string { return w.pictureURL(base, p.picture, "large") }
	return e
}

func commentEntry(c *comment) entry {
	return entry{number: c.number, created: c.created, modified: c.modified, text: c.content, author: c.author}
}

// An element is one of a feed.
type element struct {
	name       string
	attributes map[string]string
	text       string
	elements   []*element
}

func elementOf(v any) (*element, error) {
	list, _ := v.([]any)
	if len(list) < 2 {
		return nil, fmt.Errorf("%v is no element", v)
	}
	e := &element{attributes: map[string]string{}}
	e.name, _ = list[0].(string)
	pairs, _ := list[1].([]any)
	for i := 0; i+1 < len(pairs); i += 2 {
		name, value := fmt.Sprint(pairs[i]), fmt.Sprint(pairs[i+1])
		if _, twice := e.attributes[name]; twice {
			return nil, fmt.Errorf("%s has %s twice", e.name, name)
		}
		e.attributes[name] = value
	}
	for _, child := range list[2:] {
		switch child := child.(type) {
		case string:
			e.text += child
		case json.Number:
			e.text += child.String()
		default:
			inner, err := elementOf(child)
			if err != nil {
				return nil, fmt.Errorf("%s: %w", e.name, err)
			}
			e.elements = append(e.elements, inner)
		}
	}
	return e, nil
}

func (e *element) all(name string) (list []*element) {
	for _, child := range e.elements {
		if child.name == name {
			list = append(list, child)
		}
	}
	return list
}

// one returns the only child of that name, or an empty one.
func (e *element) one(name string) *element {
	if list := e.all(name); len(list) == 1 {
		return list[0]
	}
	return &element{}
}

// an returns the first child with an attribute of that value, or an empty one.
func (e *element) an(name, attribute, value string) *element {
	for _, child := range e.all(name) {
		if child.attributes[attribute] == value {
			return child
		}
	}
	return &element{}
}

// inFormat returns the check of what lies beside the body in JSON: the kind of the
// answer, and a feed as a whole.
func inFormat(q *request, kind, format string, total int64, entries []entry, list bool) func(*guesttest.Response) error {
	return func(got *guesttest.Response) error {
		want := map[string]abi.BodyKind{"json": abi.BodyValue, "plist": abi.BodyPlist}[format]
		if want == 0 {
			want = abi.BodyXML
		}
		if got.Kind != want {
			return fmt.Errorf("got an answer of the kind %v for %s", got.Kind, format)
		}
		if want != abi.BodyXML {
			return nil
		}
		if control := header(got, "Cache-Control"); control != "no-cache" {
			return fmt.Errorf("got Cache-Control: %q", control)
		}
		root, err := elementOf(got.JSON)
		var links []*element
		if err == nil && format == "rss" {
			err = checkRSS(root, q.base, kind, total, entries)
			links = root.one("channel").all("atom:link")
		} else if err == nil {
			err = checkAtom(root, q.base, kind, total, entries)
			links = root.all("link")
		}
		if err == nil {
			err = checkPages(q, links, total, list)
		}
		if err != nil {
			return fmt.Errorf("%s: %w\nin %s", format, err, got)
		}
		return nil
	}
}

// A fact is something that a feed must say.
type fact struct {
	name      string
	want, got any
}

func compare(facts []fact) error {
	for _, f := range facts {
		if err := match(f.name, f.want, f.got); err != nil {
			return err
		}
	}
	return nil
}

func httpDate(micros int64) string { return time.UnixMicro(micros).UTC().Format(http.TimeFormat) }

func checkRSS(root *element, base, kind string, total int64, entries []entry) error {
	channel := root.one("channel")
	items := channel.all("item")
	facts := []fact{
		{"root", "rss", root.name}, {"version", "2.0", root.attributes["version"]},
		{"total", strconv.FormatInt(total, 10), channel.an("category", "domain", "total").text},
		{"number of items", len(entries), len(items)},
	}
	for i, e := range entries[:min(len(entries), len(items))] {
		item, at := items[i], fmt.Sprintf("item %d ", i)
		permanent := fmt.Sprintf("%s/1.0/%s/%d.rss", base, kind, e.number)
		facts = append(facts, []fact{
			{at + "guid", permanent, item.one("guid").text}, {at + "link", permanent, item.one("link").text},
			{at + "description", markup.Replace(e.text), item.one("description").text}, {at + "pubDate", httpDate(e.created), item.one("pubDate").text},
			{at + "creator", e.author, item.one("dc:creator").text}, {at + "point", e.point, item.one("georss:point").text},
			{at + "categories", fmt.Sprintf("%q", e.tags), fmt.Sprintf("%q", texts(item.all("category")))},
			{at + "title", true, goodTitle(item.one("title").text)},
		}...)
		if e.picture != nil {
			enclosure := item.one("enclosure").attributes
			length, _ := strconv.Atoi(enclosure["length"])
			facts = append(facts, fact{at + "enclosure", e.picture(base), enclosure["url"]}, fact{at + "length", true, length > 0})
		}
	}
	return compare(facts)
}

// markup writes a text as the HTML that descriptions in RSS are.
var markup = strings.NewReplacer("&", "&amp;", "<", "&lt;", ">", "&gt;")

// checkPages checks the links to the pages around one.
func checkPages(q *request, links []*element, total int64, list bool) error {
	page, count, _ := window(q)
	for rel, to := range map[string]int64{"previous": page - 1, "next": page + 1} {
		var hrefs []string
		for _, link := range links {
			if link.attributes["rel"] == rel {
				hrefs = append(hrefs, link.attributes["href"])
			}
		}
		if !list || to < 1 || to > page && total-skip(page, count) <= count {
			if hrefs != nil {
				return fmt.Errorf("got a link to the %s page, %q", rel, hrefs)
			}
			continue
		}
		if len(hrefs) != 1 {
			return fmt.Errorf("got %q as links to the %s page", hrefs, rel)
		}
		u, err := url.Parse(hrefs[0])
		if err != nil || !strings.HasPrefix(hrefs[0], q.base+q.path+"?") {
			return fmt.Errorf("got %q as the link to the %s page", hrefs[0], rel)
		}
		other := *q
		other.query = u.Query()
		if n, c, _ := window(&other); n != to || c != count {
			return fmt.Errorf("got %q as the link to the %s page", hrefs[0], rel)
		}
		for name := range q.query {
			if is, want := other.text(name), q.text(name); is != want && name != "page" && name != "count" {
				return fmt.Errorf("got %q as the link to the %s page: %s is not %q", hrefs[0], rel, name, want)
			}
		}
	}
	return nil
}

func goodTitle(s string) bool {
	return strings.TrimSpace(s) != "" && len([]rune(s)) <= 81 && !strings.Contains(s, "\n")
}

func texts(list []*element) (texts []string) {
	for _, e := range list {
		texts = append(texts, e.text)
	}
	return texts
}

func terms(list []*element) (terms []string) {
	for _, e := range list {
		terms = append(terms, e.attributes["term"])
	}
	return terms
}

// atomID finds the number in the id of an entry.
var atomID = regexp.MustCompile(`(posts|comments)/(\d+)(\.\w+)?$`)

func checkAtom(root *element, base, kind string, total int64, entries []entry) error {
	all := root.all("entry")
	facts := []fact{
		{"root", "feed", root.name}, {"namespace", "http://www.w3.org/2005/Atom", root.attributes["xmlns"]},
		{"total", strconv.FormatInt(total, 10), root.an("category", "scheme", base+"/1.0/total").attributes["term"]},
		{"number of entries", len(entries), len(all)},
	}
	for i, e := range entries[:min(len(entries), len(all))] {
		item, at := all[i], fmt.Sprintf("entry %d ", i)
		id := atomID.FindStringSubmatch(item.one("id").text)
		if id == nil {
			return fmt.Errorf("%sid: got %q", at, item.one("id").text)
		}
		content := item.one("content")
		facts = append(facts, []fact{
			{at + "kind", kind, id[1]}, {at + "id", strconv.FormatInt(e.number, 10), id[2]},
			{at + "content", e.text, content.text}, {at + "published", atomDate(e.created), item.one("published").text},
			{at + "updated", anyAtomDate(e.modified), item.one("updated").text},
			{at + "author", e.author, item.one("author").one("name").text}, {at + "point", e.point, item.one("georss:point").text},
			{at + "categories", fmt.Sprintf("%q", e.tags), fmt.Sprintf("%q", terms(item.all("category")))},
			{at + "title", true, goodTitle(item.one("title").text)},
		}...)
		if e.picture != nil {
			facts = append(facts, fact{at + "enclosure", e.picture(base), item.an("link", "rel", "enclosure").attributes["href"]})
		}
	}
	return compare(facts)
}

func atomDate(micros int64) string {
	return time.UnixMicro(micros).UTC().Format("2006-01-02T15:04:05Z")
}

func anyAtomDate(list []int64) func(any) error {
	return func(got any) error {
		if !slices.ContainsFunc(list, func(m int64) bool { return atomDate(m) == got }) {
			return fmt.Errorf("got %v, want %s", got, atomDate(list[0]))
		}
		return nil
	}
}

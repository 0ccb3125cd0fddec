package main

import (
	"strconv"
	"strings"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// A feed is a page of posts or comments, or one of them, as RSS or Atom.
type feed struct {
	*links
	r     *guest.Request
	shelf string // "posts", "comments"
	title string

	// Of a page:
	window window
	total  int
	// Of one alone:
	number uint32

	newest int64 // change of what is shown
}

// A story is what a feed tells of a post or a comment.
type story struct {
	number            uint32
	created, modified int64
	title             string
	text              string
	author            string
	tags              []string
	picture           *picture // nil: none
	placed            bool
	at                place
}

func (s *story) ofPost(p *post) {
	*s = story{
		number: p.number, created: p.created, modified: p.modified, title: headline(p.description, "Photo ", p.number),
		text: p.description, author: p.author, tags: p.tags, picture: &p.picture, placed: p.placed, at: p.at,
	}
}

func (s *story) ofComment(c *comment) {
	*s = story{
		number: c.number, created: c.created, modified: c.modified, title: headline(c.content, "Comment on post ", c.post),
		text: c.content, author: c.author,
	}
}

// maxHeadline bounds the titles of stories, in characters.
const maxHeadline = 80

// headline is the first line of a text, cut at the end of a word if it is long. What
// has no text is called by its number.
func headline(text, otherwise string, number uint32) string {
	text = strings.TrimSpace(text)
	if i := strings.IndexAny(text, "\r\n"); i >= 0 {
		text = strings.TrimSpace(text[:i])
	}
	if text == "" {
		return otherwise + strconv.FormatUint(uint64(number), 10)
	}
	if len(text) <= maxHeadline {
		return text
	}
	n, word := 0, 0 // characters so far, and where the last word ended
	for i, c := range text {
		if c == ' ' || c == '\t' {
			word = i
		}
		if n == maxHeadline {
			if word == 0 {
				word = i
			}
			return strings.TrimSpace(text[:word]) + "…"
		}
		n++
	}
	return text
}

// answerPosts answers with a page of posts. modified is when any post changed last.
func answerPosts(w *guest.Response, r *guest.Request, f format, win window, total int, posts []*post, modified int64) error {
	announce(w, r, modified)
	l := newLinks(r.BaseURL())
	if f == formatJSON || f == formatPlist {
		v := openValues(w, f)
		openList(v, "posts", win, total)
		for _, p := range posts {
			l.writePost(v, p)
		}
		v.EndAll()
		return nil
	}
	d := feed{links: l, r: r, shelf: "posts", title: feedTitle(r), window: win, total: total, newest: modified}
	for i, p := range posts {
		if i == 0 || p.modified > d.newest {
			d.newest = p.modified
		}
	}
	d.answer(w, f, len(posts), func(s *story, i int) { s.ofPost(posts[i]) })
	return nil
}

// answerPost answers with one post.
func answerPost(w *guest.Response, r *guest.Request, f format, p *post) error {
	announce(w, r, p.modified)
	l := newLinks(r.BaseURL())
	if f == formatJSON || f == formatPlist {
		l.writePost(openValues(w, f), p)
		return nil
	}
	d := feed{links: l, r: r, shelf: "posts", title: feedTitle(r), total: 1, number: p.number, newest: p.modified}
	d.answer(w, f, 1, func(s *story, _ int) { s.ofPost(p) })
	return nil
}

// answerComments answers with a page of comments. modified is when any of them
// changed last.
func answerComments(w *guest.Response, r *guest.Request, f format, win window, total int, comments []*comment, modified int64) error {
	announce(w, r, modified)
	l := newLinks(r.BaseURL())
	if f == formatJSON || f == formatPlist {
		v := openValues(w, f)
		openList(v, "comments", win, total)
		for _, c := range comments {
			l.writeComment(v, c)
		}
		v.EndAll()
		return nil
	}
	d := feed{links: l, r: r, shelf: "comments", title: feedTitle(r) + ": comments", window: win, total: total, newest: modified}
	for i, c := range comments {
		if i == 0 || c.modified > d.newest {
			d.newest = c.modified
		}
	}
	d.answer(w, f, len(comments), func(s *story, i int) { s.ofComment(comments[i]) })
	return nil
}

// answerComment answers with one comment.
func answerComment(w *guest.Response, r *guest.Request, f format, c *comment) error {
	announce(w, r, c.modified)
	l := newLinks(r.BaseURL())
	if f == formatJSON || f == formatPlist {
		l.writeComment(openValues(w, f), c)
		return nil
	}
	d := feed{links: l, r: r, shelf: "comments", title: feedTitle(r) + ": comments", total: 1, number: c.number, newest: c.modified}
	d.answer(w, f, 1, func(s *story, _ int) { s.ofComment(c) })
	return nil
}

// answer writes the feed of n stories.
func (d *feed) answer(w *guest.Response, f format, n int, tell func(s *story, i int)) {
	var v *abi.Writer
	write := d.writeItem
	if f == formatRSS {
		v = w.XML("application/rss+xml; charset=utf-8")
		d.openRSS(v, n > 0)
	} else {
		v = w.XML("application/atom+xml; charset=utf-8")
		write = d.writeEntry
		d.openAtom(v)
	}
	var s story
	for i := range n {
		tell(&s, i)
		write(v, &s)
	}
	v.EndAll()
}

// announce sets the headers of what is read: asked for again, it is compared and
// not sent if it is the same. A time of change is told only when its second is over:
// a second change within it would not be seen.
func announce(w *guest.Response, r *guest.Request, modified int64) {
	w.Header("Cache-Control", "no-cache")
	if modified <= 0 || modified/1_000_000 >= r.Time().Unix() {
		return
	}
	var room [longestDate]byte
	c := calendarOf(modified)
	w.Header("Last-Modified", string(c.appendRFC822(room[:0])))
}

// listParams are the parameters of the lists, less page and count.
var listParams = [...]string{
	"sdate", "edate", "city", "state", "zip", "latitude", "longitude", "miles", "km", "search", "tags", "postId",
}

// address is the URL of the list that was asked for, with no more of the query than
// the parameters that count; page 0: without page and count, whatever page it is of.
func (d *feed) address(path string, page int) string {
	b := append(append(d.room[:0], d.base...), path...)
	mark := byte('?')
	add := func(name, value string) {
		b = append(append(append(b, mark), name...), '=')
		b = appendEscaped(b, value)
		mark = '&'
	}
	for _, name := range listParams {
		if value := d.r.Query(name); value != "" {
			add(name, value)
		}
	}
	if page > 0 {
		if d.r.Query("count") != "" {
			add("count", strconv.Itoa(d.window.count))
		}
		if page > 1 || d.r.Query("page") != "" {
			add("page", strconv.Itoa(page))
		}
	}
	d.room = b
	return string(b)
}

// self is the URL under which the feed was asked for.
func (d *feed) self() string {
	if d.number != 0 {
		return d.base + d.r.Path()
	}
	return d.address(d.r.Path(), d.window.page)
}

// previous and next are the URLs of the pages around this one, "" where there is none.
func (d *feed) previous() string {
	if d.number != 0 || d.window.page <= 1 {
		return ""
	}
	return d.address(d.r.Path(), d.window.page-1)
}

func (d *feed) next() string {
	if d.number != 0 || d.total-d.window.skip() <= d.window.count {
		return ""
	}
	return d.address(d.r.Path(), d.window.page+1)
}

// about is the URL of the page for people that a feed belongs to.
func (d *feed) about() string { return d.base + documentation }

// writeTextElement writes an element that holds a text.
func writeTextElement(v *abi.Writer, name, text string) {
	v.Element(name)
	v.Text(text)
	v.End()
}

// writeBytesElement writes an element that holds a text.
func writeBytesElement(v *abi.Writer, name string, text []byte) {
	v.Element(name)
	v.TextBytes(text)
	v.End()
}

// writePoint writes the place of a story as GeoRSS has it: latitude, a blank, longitude.
func (d *feed) writePoint(v *abi.Writer, at place) {
	b := appendDegrees(d.room[:0], at.lat)
	d.room = appendDegrees(append(b, ' '), at.lon)
	writeBytesElement(v, "georss:point", d.room)
}

// writeThumbnail writes the small picture of a story as Media RSS has it.
func (d *feed) writeThumbnail(v *abi.Writer, i *image) {
	v.Element("media:thumbnail", "url", string(d.image(i, jpeg)),
		"width", strconv.Itoa(i.width), "height", strconv.Itoa(i.height))
	v.End()
}

// appendDegrees writes 1e-7 degrees as a decimal number without needless zeros.
func appendDegrees(b []byte, e7 int32) []byte {
	n := int64(e7)
	if n < 0 {
		b, n = append(b, '-'), -n
	}
	b = strconv.AppendInt(b, n/1e7, 10)
	n %= 1e7
	if n == 0 {
		return b
	}
	b = append(b, '.')
	for unit := int64(1e6); n > 0; unit /= 10 {
		b = append(b, byte('0'+n/unit))
		n %= unit
	}
	return b
}

// appendEscaped writes a text as it stands in a query.
func appendEscaped(b []byte, text string) []byte {
	const hex = "0123456789ABCDEF"
	for i := range len(text) {
		switch c := text[i]; {
		case 'a' <= c && c <= 'z', 'A' <= c && c <= 'Z', '0' <= c && c <= '9', c == '-', c == '.', c == '_', c == '~', c == ',', c == ':':
			b = append(b, c)
		case c == ' ':
			b = append(b, '+')
		default:
			b = append(b, '%', hex[c>>4], hex[c&15])
		}
	}
	return b
}

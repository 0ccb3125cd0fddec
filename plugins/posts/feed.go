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
	window  window
	total   int
	filters []byte // of the query, see appendFilters
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
	plain             bool // the text is the same as HTML
	author            string
	tags              []string
	sheet             *sheet // of a post; nil: none
}

func (s *story) ofPost(p *post) {
	sheet := p.shown()
	s.number, s.created, s.modified = p.number, p.created, p.modified
	s.title, s.text, s.plain = title(sheet.title, sheet.cut, "Photo ", p.number), p.description, sheet.plain
	s.author, s.tags, s.sheet = p.author, p.tags, sheet
}

func (s *story) ofComment(c *comment) {
	line, cut := headline(c.content)
	*s = story{
		number: c.number, created: c.created, modified: c.modified, title: title(line, cut, "Comment on post ", c.post),
		text: c.content, plain: isPlain(c.content), author: c.author,
	}
}

// maxHeadline bounds the titles of stories, in characters.
const maxHeadline = 80

// title is the headline of a story, or tells the number of what has none.
func title(line string, cut bool, otherwise string, number uint32) string {
	switch {
	case line == "":
		return otherwise + strconv.FormatUint(uint64(number), 10)
	case cut:
		return line + "…"
	}
	return line
}

// headline is the first line of a text, cut at the end of a word if it is long.
func headline(text string) (line string, cut bool) {
	text = strings.TrimSpace(text)
	for i := range len(text) {
		if c := text[i]; c == '\r' || c == '\n' {
			text = strings.TrimSpace(text[:i])
			break
		}
	}
	if len(text) <= maxHeadline {
		return text, false
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
			return strings.TrimSpace(text[:word]), true
		}
		n++
	}
	return text, false
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
	if d.number == 0 {
		d.filters = appendFilters(nil, d.r)
	}
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

// appendFilters appends those that were given, as they stand in a query, each behind
// an ampersand.
func appendFilters(b []byte, r *guest.Request) []byte {
	if abi.Value(r.QueryPairs()).Len() == 0 {
		return b
	}
	for _, name := range listParams {
		if value := r.Query(name); value != "" {
			b = append(append(append(b, '&'), name...), '=')
			b = appendEscaped(b, value)
		}
	}
	return b
}

// address is the URL of the list that was asked for, with no more of the query than
// the parameters that count; page 0: without page and count, whatever page it is of.
func (d *feed) address(path string, page int) string {
	b := append(append(d.room[:0], d.base...), path...)
	query := len(b)
	b = append(b, d.filters...)
	if page > 0 {
		if d.r.Query("count") != "" {
			b = strconv.AppendInt(append(b, "&count="...), int64(d.window.count), 10)
		}
		if page > 1 || d.r.Query("page") != "" {
			b = strconv.AppendInt(append(b, "&page="...), int64(page), 10)
		}
	}
	if len(b) > query {
		b[query] = '?'
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

// Stories are written as MessagePack, piece by piece: see abi.Writer.Element for the
// shape of an element. A piece in the code begins with the head of an array of 3, which
// is \x93, for an element with one child, or of 2, which is \x92, for one without; texts
// have their length before them, and \xc0 stands for no attributes.

// openStory opens the element of a story, whose head closeStory fills in.
func openStory(b []byte, name string) []byte {
	b = append(b[:0], 0xdc, 0, 0)
	return append(appendText(b, name), 0xc0)
}

func (d *feed) closeStory(v *abi.Writer, b []byte, children int) {
	n := 2 + children
	b[1], b[2] = byte(n>>8), byte(n)
	d.room = b
	v.Raw(b)
}

// appendPicture appends the URL of a picture of this name.
func (l *links) appendPicture(b []byte, name string) []byte {
	return append(append(append(b, l.pictures...), name...), endOfPicture...)
}

// appendPoint appends the place of a story as GeoRSS has it: latitude, a blank,
// longitude.
func appendPoint(b []byte, at place) []byte {
	b = append(b, "\x93\xacgeorss:point\xc0\xa0"...)
	head := len(b) - 1
	b = appendDegrees(append(appendDegrees(b, at.lat), ' '), at.lon)
	b[head] |= byte(len(b) - head - 1) // at most 24
	return b
}

// appendThumbnail appends the small picture of a post as Media RSS has it.
func (d *feed) appendThumbnail(b []byte, s *sheet) []byte {
	b = append(b, "\x92\xafmedia:thumbnail\x96\xa3url"...)
	return append(d.appendPicture(b, s.thumbnail()), s.sides...)
}

// appendSides appends how large a picture is, as attributes.
func appendSides(b []byte, i *image) []byte {
	b = appendNumber(append(b, "\xa5width"...), int64(i.width))
	return appendNumber(append(b, "\xa6height"...), int64(i.height))
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

package main

import (
	"encoding/base64"
	"strconv"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// A sheet is what people are shown of a post, as MessagePack: it is made when the post
// is saved, and copied when it is shown.
type sheet struct {
	entries string // of a map: all but those that are URLs
	count   int    // of the entries
	names   string // of thumbnail, medium and large: the ids as text

	// For feeds, as pieces but for the title.
	title string // the headline, "" if there is none
	cut   bool   // it is not the whole line
	plain bool   // the description is the same as HTML
	size  string // of the large picture, a text
	sides string // of the thumbnail, attributes
	point string // an element
}

// nameSize is the length of the id of a picture as text.
const nameSize = 43

func (s *sheet) thumbnail() string { return s.names[:nameSize] }
func (s *sheet) medium() string    { return s.names[nameSize : 2*nameSize] }
func (s *sheet) large() string     { return s.names[2*nameSize:] }

// shown returns the sheet of a post, which is made if it was not read.
func (p *post) shown() *sheet {
	if p.sheet.entries == "" {
		return sheetOf(p)
	}
	return &p.sheet
}

// links writes the URLs of what is shown, as MessagePack.
type links struct {
	base     string // scheme and host
	pictures []byte // how a text that is the URL of a picture begins, before the name
	room     []byte
}

// jpeg is the format of the pictures that are made of an upload, and endOfPicture how
// their names end.
const (
	jpeg         = "jpeg"
	endOfPicture = ".jpg"
)

func newLinks(base string) *links {
	const folder = "/1.0/images/"
	l := &links{base: base, pictures: make([]byte, 0, 5+len(base)+len(folder)), room: make([]byte, 0, 2048)}
	b := appendHead(l.pictures, len(base)+len(folder)+nameSize+len(endOfPicture))
	l.pictures = append(append(b, base...), folder...)
	return l
}

// appendOne appends the URL of a post or a comment in a format.
func (l *links) appendOne(b []byte, shelf string, number uint32, format string) []byte {
	var room [10]byte
	digits := strconv.AppendUint(room[:0], uint64(number), 10)
	b = appendHead(b, len(l.base)+len("/1.0/")+len(shelf)+1+len(digits)+1+len(format))
	b = append(append(append(b, l.base...), "/1.0/"...), shelf...)
	b = append(append(append(b, '/'), digits...), '.')
	return append(b, format...)
}

// appendHead appends the head of a text of n bytes.
func appendHead(b []byte, n int) []byte {
	switch {
	case n < 1<<5:
		return append(b, 0xa0|byte(n))
	case n < 1<<8:
		return append(b, 0xd9, byte(n))
	case n < 1<<16:
		return append(b, 0xda, byte(n>>8), byte(n))
	}
	return append(b, 0xdb, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
}

// appendText appends a text.
func appendText(b []byte, s string) []byte { return append(appendHead(b, len(s)), s...) }

// appendNumber appends a number as a text.
func appendNumber(b []byte, n int64) []byte {
	at := len(b)
	b = strconv.AppendInt(append(b, 0), n, 10)
	b[at] = 0xa0 | byte(len(b)-at-1)
	return b
}

// appendName appends the name under which a picture is served.
func (i *image) appendName(b []byte, format string) []byte {
	return append(append(i.appendID(b), '.'), extension(format)...)
}

func (i *image) appendID(b []byte) []byte { return base64.RawURLEncoding.AppendEncode(b, i.id[:]) }

// showDate writes an entry of a map, a date.
func showDate(v *abi.Writer, key string, micros int64) {
	var room [longestDate]byte
	c := calendarOf(micros)
	v.Key(key)
	v.TextBytes(c.appendPlain(room[:0]))
}

// showText writes an entry of a map, unless it is empty.
func showText(v *abi.Writer, key, text string) {
	if text != "" {
		v.Key(key)
		v.Text(text)
	}
}

// writePost writes a post as people are shown it in JSON and property lists.
func writePost(v *abi.Writer, base string, p *post) { newLinks(base).writePost(v, p) }

// writePostFields writes the fields of a post into a map that is open.
func writePostFields(v *abi.Writer, base string, p *post) {
	fields := abi.Value(newLinks(base).item(p)).Entries()
	for fields.Next() {
		v.KeyBytes(fields.Key())
		v.Raw(fields.Value())
	}
}

func (l *links) writePost(v *abi.Writer, p *post) { v.Raw(l.item(p)) }

// item returns a post as a map, which is valid until the next one.
func (l *links) item(p *post) []byte {
	const urls = 5
	s := p.shown()
	n := s.count + urls
	b := append(l.room[:0], 0xde, byte(n>>8), byte(n))
	b = append(b, s.entries...)
	b = append(append(append(b, "\xa9thumbnail"...), l.pictures...), s.thumbnail()...)
	b = append(append(append(b, endOfPicture+"\xa6medium"...), l.pictures...), s.medium()...)
	b = append(append(append(b, endOfPicture+"\xa5image"...), l.pictures...), s.large()...)
	b = append(append(append(b, endOfPicture+"\xa5large"...), l.pictures...), s.large()...)
	b = append(b, endOfPicture+"\xa3url"...)
	l.room = l.appendOne(b, "posts", p.number, "json")
	return l.room
}

// inDegrees is a latitude or longitude as people write it.
func inDegrees(e7 int32) float64 { return float64(e7) / 1e7 }

// writeComment writes a comment as people are shown it in JSON and property lists.
func writeComment(v *abi.Writer, base string, c *comment) { newLinks(base).writeComment(v, c) }

// writeCommentFields writes the fields of a comment into a map that is open.
func writeCommentFields(v *abi.Writer, base string, c *comment) {
	newLinks(base).writeCommentFields(v, c)
}

func (l *links) writeComment(v *abi.Writer, c *comment) {
	v.Map()
	l.writeCommentFields(v, c)
	v.End()
}

func (l *links) writeCommentFields(v *abi.Writer, c *comment) {
	v.Key("id")
	v.Int(int64(c.number))
	v.Key("postId")
	v.Int(int64(c.post))
	showDate(v, "created", c.created)
	showDate(v, "modified", c.modified)
	showText(v, "content", c.content)
	showText(v, "author", c.author)
	v.Key("url")
	l.room = l.appendOne(l.room[:0], "comments", c.number, "json")
	v.Raw(l.room)
}

// openValues returns the writer of an answer as JSON or as a property list.
func openValues(w *guest.Response, f format) *abi.Writer {
	if f == formatPlist {
		return w.Plist()
	}
	return w.Value()
}

// openList opens the map that a page is shown in, and the array of its items.
func openList(v *abi.Writer, shelf string, win window, total int) {
	v.Map()
	v.Key("total")
	v.Int(int64(total))
	v.Key("page")
	v.Int(int64(win.page))
	v.Key("count")
	v.Int(int64(win.count))
	v.Key(shelf)
	v.Array()
}

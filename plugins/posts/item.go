package main

import (
	"encoding/base64"
	"strconv"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// links writes the URLs of what is shown. What a method returns is valid until the
// next one.
type links struct {
	base string // scheme and host
	room []byte
}

func newLinks(base string) *links { return &links{base, make([]byte, 0, len(base)+80)} }

// one is the URL of a post or a comment in a format.
func (l *links) one(shelf string, number uint32, format string) []byte {
	b := append(append(l.room[:0], l.base...), "/1.0/"...)
	b = append(append(b, shelf...), '/')
	b = strconv.AppendUint(b, uint64(number), 10)
	l.room = append(append(b, '.'), format...)
	return l.room
}

// image is the URL of a picture.
func (l *links) image(i *image, format string) []byte {
	b := append(append(l.room[:0], l.base...), "/1.0/images/"...)
	l.room = i.appendName(b, format)
	return l.room
}

// appendName appends the name under which a picture is served.
func (i *image) appendName(b []byte, format string) []byte {
	b = base64.RawURLEncoding.AppendEncode(b, i.id[:])
	return append(append(b, '.'), extension(format)...)
}

// jpeg is the format of the pictures that are made of an upload.
const jpeg = "jpeg"

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
func writePostFields(v *abi.Writer, base string, p *post) { newLinks(base).writePostFields(v, p) }

func (l *links) writePost(v *abi.Writer, p *post) {
	v.Map()
	l.writePostFields(v, p)
	v.End()
}

func (l *links) writePostFields(v *abi.Writer, p *post) {
	v.Key("id")
	v.Int(int64(p.number))
	showDate(v, "created", p.created)
	showDate(v, "modified", p.modified)
	showText(v, "description", p.description)
	if p.placed {
		v.Key("latitude")
		v.Float(inDegrees(p.at.lat))
		v.Key("longitude")
		v.Float(inDegrees(p.at.lon))
	}
	showText(v, "address", p.address)
	showText(v, "city", p.city)
	showText(v, "state", p.state)
	showText(v, "zip", p.zip)
	if len(p.tags) > 0 {
		v.Key("tags")
		v.Array()
		for _, tag := range p.tags {
			v.Text(tag)
		}
		v.End()
	}
	showText(v, "author", p.author)
	pic := &p.picture
	v.Key("image")
	v.TextBytes(l.image(&pic.large, jpeg))
	v.Key("thumbnail")
	v.TextBytes(l.image(&pic.thumbnail, jpeg))
	v.Key("medium")
	v.TextBytes(l.image(&pic.medium, jpeg))
	v.Key("large")
	v.TextBytes(l.image(&pic.large, jpeg))
	v.Key("image_width")
	v.Int(int64(pic.large.width))
	v.Key("image_height")
	v.Int(int64(pic.large.height))
	v.Key("url")
	v.TextBytes(l.one("posts", p.number, "json"))
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
	v.TextBytes(l.one("comments", c.number, "json"))
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

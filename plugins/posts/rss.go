package main

import (
	"strconv"
	"strings"

	"github.com/edgeset/edgeset/abi"
)

// openRSS opens an RSS 2.0 feed, after the profile of the RSS Advisory Board, and its
// channel.
func (d *feed) openRSS(v *abi.Writer, any bool) {
	v.Element("rss", "version", "2.0",
		"xmlns:atom", "http://www.w3.org/2005/Atom",
		"xmlns:dc", "http://purl.org/dc/elements/1.1/",
		"xmlns:georss", "http://www.georss.org/georss",
		"xmlns:media", "http://search.yahoo.com/mrss/")
	v.Element("channel")
	writeTextElement(v, "title", d.title)
	writeTextElement(v, "link", d.about())
	writeTextElement(v, "description", d.summary())
	if any {
		writeRFC822(v, "lastBuildDate", d.newest)
	}
	writeRSSLink(v, "self", d.self())
	writeRSSLink(v, "previous", d.previous())
	writeRSSLink(v, "next", d.next())
	v.Element("category", "domain", "total")
	v.Int(int64(d.total))
	v.End()
}

// summary says what the channel is, as HTML.
func (d *feed) summary() string {
	n := strconv.Itoa(d.total)
	switch {
	case d.total == 1 && d.shelf == "posts":
		return "One post."
	case d.total == 1:
		return "One comment."
	}
	return n + " " + d.shelf + ", the newest first."
}

func writeRSSLink(v *abi.Writer, rel, href string) {
	if href != "" {
		v.Element("atom:link", "rel", rel, "type", "application/rss+xml", "href", href)
		v.End()
	}
}

// writeItem writes a story as an item of RSS.
func (d *feed) writeItem(v *abi.Writer, s *story) {
	b := openStory(d.room, "item")
	n := 4 + len(s.tags)
	b = appendText(append(b, "\x93\xa5title\xc0"...), s.title)
	b = append(b, "\x93\xa4link\xc0"...)
	from := len(b)
	b = d.appendOne(b, d.shelf, s.number, "rss")
	to := len(b)
	b = append(append(b, "\x93\xa4guid\x92\xabisPermaLink\xa4true"...), b[from:to]...)
	if s.text != "" {
		n++
		text := s.text
		if !s.plain {
			text = asHTML(text)
		}
		b = appendText(append(b, "\x93\xabdescription\xc0"...), text)
	}
	c := calendarOf(s.created)
	b = c.appendRFC822(append(b, "\x93\xa7pubDate\xc0\xbd"...))
	if s.author != "" {
		n++
		b = appendText(append(b, "\x93\xaadc:creator\xc0"...), s.author)
	}
	for _, tag := range s.tags {
		b = appendText(append(b, "\x93\xa8category\xc0"...), tag)
	}
	if sheet := s.sheet; sheet != nil {
		n += 2
		b = d.appendPicture(append(b, "\x92\xa9enclosure\x96\xa3url"...), sheet.large())
		b = append(append(append(b, "\xa6length"...), sheet.size...), "\xa4type\xaaimage/jpeg"...)
		if sheet.point != "" {
			n++
			b = append(b, sheet.point...)
		}
		b = d.appendThumbnail(b, sheet)
	}
	d.closeStory(v, b, n)
}

func writeRFC822(v *abi.Writer, name string, micros int64) {
	var room [longestDate]byte
	c := calendarOf(micros)
	writeBytesElement(v, name, c.appendRFC822(room[:0]))
}

// isPlain tells whether a text is the same as HTML.
func isPlain(text string) bool { return !strings.ContainsAny(text, "&<>") }

// asHTML returns a text as HTML, which descriptions in RSS are: a reader that shows
// one as it stands shows the text, and no markup that somebody has typed works.
func asHTML(text string) string {
	b := make([]byte, 0, len(text)+len(text)/8+16)
	for i := range len(text) {
		switch c := text[i]; c {
		case '&':
			b = append(b, "&amp;"...)
		case '<':
			b = append(b, "&lt;"...)
		case '>':
			b = append(b, "&gt;"...)
		default:
			b = append(b, c)
		}
	}
	return string(b)
}

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
	v.Element("item")
	writeTextElement(v, "title", s.title)
	url := d.one(d.shelf, s.number, "rss")
	writeBytesElement(v, "link", url)
	v.Element("guid", "isPermaLink", "true")
	v.TextBytes(url)
	v.End()
	if s.text != "" {
		writeTextElement(v, "description", asHTML(s.text))
	}
	writeRFC822(v, "pubDate", s.created)
	if s.author != "" {
		writeTextElement(v, "dc:creator", s.author)
	}
	for _, tag := range s.tags {
		writeTextElement(v, "category", tag)
	}
	if s.picture != nil {
		large := &s.picture.large
		v.Element("enclosure", "url", string(d.image(large, jpeg)), "length", strconv.FormatInt(large.size, 10), "type", "image/jpeg")
		v.End()
	}
	if s.placed {
		d.writePoint(v, s.at)
	}
	if s.picture != nil {
		d.writeThumbnail(v, &s.picture.thumbnail)
	}
	v.End()
}

func writeRFC822(v *abi.Writer, name string, micros int64) {
	var room [longestDate]byte
	c := calendarOf(micros)
	writeBytesElement(v, name, c.appendRFC822(room[:0]))
}

// asHTML returns a text as HTML, which descriptions in RSS are: a reader that shows
// one as it stands shows the text, and no markup that somebody has typed works.
func asHTML(text string) string {
	n := strings.Count(text, "&") + strings.Count(text, "<") + strings.Count(text, ">")
	if n == 0 {
		return text
	}
	b := make([]byte, 0, len(text)+4*n)
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

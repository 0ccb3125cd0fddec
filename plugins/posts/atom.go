package main

import (
	"strconv"

	"github.com/edgeset/edgeset/abi"
)

// openAtom opens an Atom feed, RFC 4287.
func (d *feed) openAtom(v *abi.Writer) {
	v.Element("feed",
		"xmlns", "http://www.w3.org/2005/Atom",
		"xmlns:georss", "http://www.georss.org/georss",
		"xmlns:media", "http://search.yahoo.com/mrss/")
	writeTextElement(v, "id", d.id())
	writeTextElement(v, "title", d.title)
	writeRFC3339(v, "updated", d.newest)
	writeAtomLink(v, "self", "application/atom+xml", d.self())
	writeAtomLink(v, "previous", "application/atom+xml", d.previous())
	writeAtomLink(v, "next", "application/atom+xml", d.next())
	writeAtomLink(v, "alternate", "text/html", d.about())
	writeAuthor(v, "posts")
	v.Element("category", "scheme", d.base+"/1.0/total", "term", strconv.Itoa(d.total))
	v.End()
}

// id names the feed: all pages of a list, in any size, are one feed.
func (d *feed) id() string {
	if d.number != 0 {
		return string(d.one(d.shelf, d.number, "atom")) + "#feed"
	}
	return d.address("/1.0/"+d.shelf+".atom", 0)
}

func writeAtomLink(v *abi.Writer, rel, kind, href string) {
	if href != "" {
		v.Element("link", "rel", rel, "type", kind, "href", href)
		v.End()
	}
}

func writeAuthor(v *abi.Writer, name string) {
	v.Element("author")
	writeTextElement(v, "name", name)
	v.End()
}

// writeEntry writes a story as an entry of Atom.
func (d *feed) writeEntry(v *abi.Writer, s *story) {
	v.Element("entry")
	url := string(d.one(d.shelf, s.number, "atom"))
	writeTextElement(v, "id", url)
	writeTextElement(v, "title", s.title)
	writeRFC3339(v, "updated", s.modified)
	writeRFC3339(v, "published", s.created)
	writeAtomLink(v, "alternate", "application/atom+xml", url)
	if s.picture != nil {
		large := &s.picture.large
		v.Element("link", "rel", "enclosure", "type", "image/jpeg", "length", strconv.FormatInt(large.size, 10),
			"href", string(d.image(large, jpeg)))
		v.End()
	}
	if s.author != "" {
		writeAuthor(v, s.author)
	}
	for _, tag := range s.tags {
		v.Element("category", "term", tag)
		v.End()
	}
	if s.text != "" {
		v.Element("content", "type", "text")
		v.Text(s.text)
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

func writeRFC3339(v *abi.Writer, name string, micros int64) {
	var room [longestDate]byte
	c := calendarOf(micros)
	writeBytesElement(v, name, c.appendRFC3339(room[:0]))
}

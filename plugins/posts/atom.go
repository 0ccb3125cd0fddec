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
		return d.base + "/1.0/" + d.shelf + "/" + strconv.FormatUint(uint64(d.number), 10) + ".atom#feed"
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
	b := openStory(d.room, "entry")
	n := 5 + len(s.tags)
	b = append(b, "\x93\xa2id\xc0"...)
	from := len(b)
	b = d.appendOne(b, d.shelf, s.number, "atom")
	to := len(b)
	b = appendText(append(b, "\x93\xa5title\xc0"...), s.title)
	c := calendarOf(s.modified)
	b = c.appendRFC3339(append(b, "\x93\xa7updated\xc0\xb4"...))
	if s.created != s.modified {
		c = calendarOf(s.created)
	}
	b = c.appendRFC3339(append(b, "\x93\xa9published\xc0\xb4"...))
	b = append(b, "\x92\xa4link\x96\xa3rel\xa9alternate\xa4type\xb4application/atom+xml\xa4href"...)
	b = append(b, b[from:to]...)
	if s.sheet != nil {
		n++
		b = append(b, "\x92\xa4link\x98\xa3rel\xa9enclosure\xa4type\xaaimage/jpeg\xa6length"...)
		b = d.appendPicture(append(append(b, s.sheet.size...), "\xa4href"...), s.sheet.large())
	}
	if s.author != "" {
		n++
		b = appendText(append(b, "\x93\xa6author\xc0\x93\xa4name\xc0"...), s.author)
	}
	for _, tag := range s.tags {
		b = appendText(append(b, "\x92\xa8category\x92\xa4term"...), tag)
	}
	if s.text != "" {
		n++
		b = appendText(append(b, "\x93\xa7content\x92\xa4type\xa4text"...), s.text)
	}
	if sheet := s.sheet; sheet != nil {
		n++
		if sheet.point != "" {
			n++
			b = append(b, sheet.point...)
		}
		b = d.appendThumbnail(b, sheet)
	}
	d.closeStory(v, b, n)
}

func writeRFC3339(v *abi.Writer, name string, micros int64) {
	var room [longestDate]byte
	c := calendarOf(micros)
	writeBytesElement(v, name, c.appendRFC3339(room[:0]))
}

package main

import (
	"encoding/binary"
	"fmt"
	"strings"
	"unsafe"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// A post is a photo and what its poster says of it. Times are in microseconds.
type post struct {
	number            uint32
	created, modified int64

	account string // that posted it; "": an application did on its own
	app     string // through which it was posted; "": the person signed in with a browser
	author  string // under which others see the account

	udid, email string // never shown but to operators

	description, address, city, state, zip string
	tags                                   []string
	placed                                 bool
	at                                     place
	picture                                picture

	flags  int
	hidden bool

	sheet sheet // of a post that was read as one of many, and is not changed
}

// facets returns what the post is found by.
func (p *post) facets() *facets {
	return &facets{
		city: p.city, state: p.state, zip: p.zip, tags: p.tags, text: p.description, placed: p.placed, at: p.at,
	}
}

// A picture is what is kept of an upload: pictures made of it, each as large as fits
// into a box.
type picture struct {
	format                   string // of the upload
	thumbnail, medium, large image
	original                 image // the upload itself; of no size if it is not kept
}

// An image is a blob that is a picture.
type image struct {
	id            abi.BlobID
	size          int64
	width, height int
}

// The record of a post is a MessagePack array: facts, which are numbers in fixed
// places, and texts, of which the facts tell where each one lies. The texts of a post
// that people are shown lie within its sheet, ready to be copied: most of all a post is
// listed, and what a list shows is then neither taken apart nor put together. A newer
// version appends to the array, or to the facts; readers pass over what they do not know.
const postFields = 2

// Where things lie in the facts.
const (
	factCreated  = 0
	factModified = 8
	factFlags    = 16
	factLat      = 24
	factLon      = 28
	factBits     = 32
	factEntries  = 33 // of the sheet
	factImages   = 34
	factSpans    = factImages + 4*imageSize
	factsSize    = factSpans + spans*spanSize
)

// What the bits say.
const (
	bitHidden = 1 << iota
	bitPlaced
	bitCut
	bitPlain
)

// An image takes imageSize bytes: id, size, width and height.
const imageSize = 32 + 8 + 4 + 4

// A span is where something begins and ends in the texts, with four bytes each.
const spanSize = 8

const (
	spanAccount = iota
	spanApp
	spanUDID
	spanEmail
	spanFormat
	spanDescription
	spanAddress
	spanCity
	spanState
	spanZip
	spanAuthor
	spanTags
	spanTitle
	spanEntries
	spanNames
	spanLength
	spanSides
	spanPoint
	spans
)

// A recorder puts a record together.
type recorder struct {
	facts [factsSize]byte
	texts []byte
}

func (r *recorder) span(i, from, to int) {
	binary.LittleEndian.PutUint32(r.facts[factSpans+i*spanSize:], uint32(from))
	binary.LittleEndian.PutUint32(r.facts[factSpans+i*spanSize+4:], uint32(to))
}

// text appends a text that is found under a span.
func (r *recorder) text(i int, s string) {
	from := len(r.texts)
	r.texts = append(r.texts, s...)
	r.span(i, from, len(r.texts))
}

// entry appends an entry of the sheet: key and value, which is found under a span.
func (r *recorder) entry(i int, key, s string) {
	if s == "" {
		return
	}
	r.texts = appendText(appendText(r.texts, key), s)
	r.span(i, len(r.texts)-len(s), len(r.texts))
	r.facts[factEntries]++
}

// piece appends an entry of the sheet that is only copied.
func (r *recorder) piece(key string, value abi.Value) {
	r.texts = append(appendText(r.texts, key), value...)
	r.facts[factEntries]++
}

func (r *recorder) bit(bit byte, set bool) {
	if set {
		r.facts[factBits] |= bit
	}
}

func (p *post) record() []byte {
	var r recorder
	r.write(p)
	var w abi.Writer
	w.FixedArray(postFields)
	w.Bytes(r.facts[:])
	w.Bytes(r.texts)
	return w.Value()
}

func (r *recorder) write(p *post) {
	f := r.facts[:]
	binary.LittleEndian.PutUint64(f[factCreated:], uint64(p.created))
	binary.LittleEndian.PutUint64(f[factModified:], uint64(p.modified))
	binary.LittleEndian.PutUint64(f[factFlags:], uint64(p.flags))
	binary.LittleEndian.PutUint32(f[factLat:], uint32(p.at.lat))
	binary.LittleEndian.PutUint32(f[factLon:], uint32(p.at.lon))
	r.bit(bitHidden, p.hidden)
	r.bit(bitPlaced, p.placed)
	for i, image := range []*image{&p.picture.thumbnail, &p.picture.medium, &p.picture.large, &p.picture.original} {
		b := f[factImages+i*imageSize:]
		copy(b, image.id[:])
		binary.LittleEndian.PutUint64(b[32:], uint64(image.size))
		binary.LittleEndian.PutUint32(b[40:], uint32(image.width))
		binary.LittleEndian.PutUint32(b[44:], uint32(image.height))
	}
	r.text(spanAccount, p.account)
	r.text(spanApp, p.app)
	r.text(spanUDID, p.udid)
	r.text(spanEmail, p.email)
	r.text(spanFormat, p.picture.format)
	r.writeSheet(p)
}

// writeSheet writes what people are shown of a post, but for its URLs.
func (r *recorder) writeSheet(p *post) {
	from := len(r.texts)
	var w abi.Writer
	value := func(write func()) abi.Value {
		w.Reset(w.Value())
		write()
		return w.Value()
	}
	var room [longestDate]byte
	r.texts = append(r.texts, "\xa2id\xce"...)
	r.texts = binary.BigEndian.AppendUint32(r.texts, p.number)
	r.facts[factEntries]++
	c := calendarOf(p.created)
	r.piece("created", value(func() { w.TextBytes(c.appendPlain(room[:0])) }))
	c = calendarOf(p.modified)
	r.piece("modified", value(func() { w.TextBytes(c.appendPlain(room[:0])) }))
	r.entry(spanDescription, "description", p.description)
	description := len(r.texts) - len(p.description)
	if p.placed {
		r.piece("latitude", value(func() { w.Float(inDegrees(p.at.lat)) }))
		r.piece("longitude", value(func() { w.Float(inDegrees(p.at.lon)) }))
	}
	r.entry(spanAddress, "address", p.address)
	r.entry(spanCity, "city", p.city)
	r.entry(spanState, "state", p.state)
	r.entry(spanZip, "zip", p.zip)
	if len(p.tags) > 0 {
		tags := value(func() {
			w.FixedArray(len(p.tags))
			for _, tag := range p.tags {
				w.Text(tag)
			}
		})
		r.piece("tags", tags)
		r.span(spanTags, len(r.texts)-len(tags), len(r.texts))
	}
	r.entry(spanAuthor, "author", p.author)
	large := &p.picture.large
	r.piece("image_width", value(func() { w.Int(int64(large.width)) }))
	r.piece("image_height", value(func() { w.Int(int64(large.height)) }))
	r.span(spanEntries, from, len(r.texts))

	title, cut := headline(p.description)
	if title != "" { // it is a part of the description
		begin := description + strings.Index(p.description, title)
		r.span(spanTitle, begin, begin+len(title))
	}
	r.bit(bitCut, cut)
	r.bit(bitPlain, isPlain(p.description))
	from = len(r.texts)
	for _, i := range []*image{&p.picture.thumbnail, &p.picture.medium, large} {
		r.texts = i.appendID(r.texts)
	}
	r.span(spanNames, from, len(r.texts))
	from = len(r.texts)
	r.texts = appendNumber(r.texts, large.size)
	r.span(spanLength, from, len(r.texts))
	from = len(r.texts)
	r.texts = appendSides(r.texts, &p.picture.thumbnail)
	r.span(spanSides, from, len(r.texts))
	if p.placed {
		from = len(r.texts)
		r.texts = appendPoint(r.texts, p.at)
		r.span(spanPoint, from, len(r.texts))
	}
}

// sheetOf makes the sheet of a post.
func sheetOf(p *post) *sheet {
	var r recorder
	r.writeSheet(p)
	d := recorded{&r.facts, string(r.texts)}
	s := new(sheet)
	d.readSheet(s)
	return s
}

// A recorded is a record that is read. Its texts share the memory of the record.
type recorded struct {
	facts *[factsSize]byte
	texts string
}

// fits tells whether all spans lie within the texts.
func (d *recorded) fits() bool {
	facts, size := d.facts[:], int64(len(d.texts))
	outside := int64(0) // below 0: some end before they begin, or behind the texts
	for at := factSpans; at < factsSize; at += spanSize {
		span := binary.LittleEndian.Uint64(facts[at:])
		from, to := int64(uint32(span)), int64(span>>32)
		outside |= (to - from) | (size - to)
	}
	return outside >= 0
}

// text returns what lies within a span.
func (d *recorded) text(i int) string {
	span := binary.LittleEndian.Uint64(d.facts[factSpans+i*spanSize:])
	return d.texts[uint32(span) : span>>32]
}

func (d *recorded) readImage(k int, i *image) {
	b := d.facts[factImages+k*imageSize:][:imageSize]
	i.id = abi.BlobID(b[:32])
	i.size = int64(binary.LittleEndian.Uint64(b[32:]))
	i.width, i.height = int(binary.LittleEndian.Uint32(b[40:])), int(binary.LittleEndian.Uint32(b[44:]))
}

func (d *recorded) readSheet(s *sheet) {
	s.entries, s.count, s.names = d.text(spanEntries), int(d.facts[factEntries]), d.text(spanNames)
	s.title, s.size, s.sides, s.point = d.text(spanTitle), d.text(spanLength), d.text(spanSides), d.text(spanPoint)
	bits := d.facts[factBits]
	s.cut, s.plain = bits&bitCut != 0, bits&bitPlain != 0
}

// decodePost reads the record of a post. The texts share its memory, and are good
// until the call ends. It may be changed: its sheet is made anew.
func decodePost(number uint32, record []byte) (*post, error) {
	p := new(post)
	if _, err := p.decode(number, record, nil); err != nil {
		return nil, err
	}
	p.sheet = sheet{}
	return p, nil
}

// decode reads a record. The tags go into room, behind those that are there already,
// and are returned with them.
func (p *post) decode(number uint32, record []byte, room []string) ([]string, error) {
	r := abi.Value(record).Read()
	more := r.Array() - postFields
	facts := r.Bytes()
	texts := r.Bytes()
	r.Skip(more)
	if more < 0 || !r.Done() || len(facts) < factsSize {
		return nil, fmt.Errorf("record of post %d: cannot be read: want an array of at least %d fields, the first of at least %d bytes", number, postFields, factsSize)
	}
	d := recorded{(*[factsSize]byte)(facts), unsafe.String(unsafe.SliceData(texts), len(texts))}
	if !d.fits() {
		return nil, fmt.Errorf("record of post %d: cannot be read: its facts do not fit its texts, which have %d bytes", number, len(texts))
	}
	p.number = number
	p.created = int64(binary.LittleEndian.Uint64(d.facts[factCreated:]))
	p.modified = int64(binary.LittleEndian.Uint64(d.facts[factModified:]))
	p.flags = int(binary.LittleEndian.Uint64(d.facts[factFlags:]))
	bits := d.facts[factBits]
	p.hidden, p.placed = bits&bitHidden != 0, bits&bitPlaced != 0
	if p.placed {
		p.at.lat = int32(binary.LittleEndian.Uint32(d.facts[factLat:]))
		p.at.lon = int32(binary.LittleEndian.Uint32(d.facts[factLon:]))
	}
	d.readImage(0, &p.picture.thumbnail)
	d.readImage(1, &p.picture.medium)
	d.readImage(2, &p.picture.large)
	d.readImage(3, &p.picture.original)
	p.account, p.app, p.udid, p.email = d.text(spanAccount), d.text(spanApp), d.text(spanUDID), d.text(spanEmail)
	p.picture.format = d.text(spanFormat)
	p.description, p.author = d.text(spanDescription), d.text(spanAuthor)
	p.address, p.city, p.state, p.zip = d.text(spanAddress), d.text(spanCity), d.text(spanState), d.text(spanZip)
	if tags := d.text(spanTags); tags != "" {
		r := abi.Value(unsafe.Slice(unsafe.StringData(tags), len(tags))).Read()
		from := len(room)
		for range r.Array() {
			room = append(room, r.TextShared())
		}
		p.tags = room[from:len(room):len(room)]
		if !r.Done() || len(p.tags) == 0 {
			return nil, fmt.Errorf("record of post %d: cannot be read: want its tags as an array of texts", number)
		}
	}
	d.readSheet(&p.sheet)
	if len(p.sheet.names) != 3*nameSize || p.sheet.entries == "" {
		return nil, fmt.Errorf("record of post %d: cannot be read: want a sheet with the names of three pictures", number)
	}
	return room, nil
}

// findPost returns a post, hidden or not; nil if there is none.
func findPost(kv *guest.KV, number uint32) (*post, error) {
	record, found, err := kv.Get(postKey(number))
	if err != nil || !found {
		return nil, err
	}
	return decodePost(number, record)
}

// readPosts returns the posts of these numbers, all of which there are, to be shown.
func readPosts(kv *guest.KV, numbers []uint32) ([]*post, error) {
	keys, room := make([][]byte, len(numbers)), make([]byte, 0, 5*len(numbers))
	for i, n := range numbers {
		room = binary.BigEndian.AppendUint32(append(room, keyPost), n)
		keys[i] = room[5*i:]
	}
	records, err := kv.GetMany(keys)
	if err != nil {
		return nil, err
	}
	posts, list := make([]*post, len(numbers)), make([]post, len(numbers))
	tags := make([]string, 0, 2*len(numbers))
	for i, record := range records {
		if record == nil {
			return nil, fmt.Errorf("post %d: is listed and has no record", numbers[i])
		}
		posts[i] = &list[i]
		if tags, err = posts[i].decode(numbers[i], record, tags); err != nil {
			return nil, err
		}
	}
	return posts, nil
}

func savePost(kv *guest.KV, p *post) error { return kv.Put(postKey(p.number), p.record()) }

package main

import (
	"fmt"

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

// The record of a post is a MessagePack array whose fields are told by position. A
// newer version appends fields; readers pass over those they do not know.
const postFields = 21

func (p *post) record() []byte {
	var w abi.Writer
	w.FixedArray(postFields)
	w.Int(p.created)
	w.Int(p.modified)
	for _, s := range []string{
		p.account, p.app, p.author, p.udid, p.email, p.description, p.address, p.city, p.state, p.zip,
	} {
		w.Text(s)
	}
	w.FixedArray(len(p.tags))
	for _, tag := range p.tags {
		w.Text(tag)
	}
	if p.placed {
		w.FixedArray(2)
		w.Int(int64(p.at.lat))
		w.Int(int64(p.at.lon))
	} else {
		w.Nil()
	}
	w.Text(p.picture.format)
	for _, i := range []image{p.picture.thumbnail, p.picture.medium, p.picture.large, p.picture.original} {
		appendImage(&w, i)
	}
	w.Int(int64(p.flags))
	w.Bool(p.hidden)
	return w.Value()
}

func appendImage(w *abi.Writer, i image) {
	if i.size == 0 {
		w.Nil()
		return
	}
	w.FixedArray(4)
	w.Bytes(i.id[:])
	w.Int(i.size)
	w.Int(int64(i.width))
	w.Int(int64(i.height))
}

// decodePost reads the record of a post. The texts share its memory, and are good
// until the call ends.
func decodePost(number uint32, record []byte) (*post, error) {
	r := abi.Value(record).Read()
	more := r.Array() - postFields
	p := &post{number: number, created: r.Int(), modified: r.Int()}
	for _, s := range []*string{
		&p.account, &p.app, &p.author, &p.udid, &p.email, &p.description, &p.address, &p.city, &p.state, &p.zip,
	} {
		*s = r.TextShared()
	}
	if n := r.Array(); n > 0 {
		p.tags = make([]string, n)
		for i := range p.tags {
			p.tags[i] = r.TextShared()
		}
	}
	if p.placed = !r.Nil(); p.placed {
		extra := r.Array() - 2
		p.at = place{int32(r.Int()), int32(r.Int())}
		r.Skip(extra)
	}
	p.picture.format = r.TextShared()
	for _, i := range []*image{&p.picture.thumbnail, &p.picture.medium, &p.picture.large, &p.picture.original} {
		readImage(&r, i)
	}
	p.flags, p.hidden = int(r.Int()), r.Bool()
	r.Skip(more)
	if more < 0 || !r.Done() {
		return nil, fmt.Errorf("record of post %d: cannot be read: want an array of at least %d fields", number, postFields)
	}
	return p, nil
}

func readImage(r *abi.Reader, i *image) {
	if r.Nil() {
		return
	}
	extra := r.Array() - 4
	copy(i.id[:], r.Bytes())
	i.size, i.width, i.height = r.Int(), int(r.Int()), int(r.Int())
	r.Skip(extra)
}

// findPost returns a post, hidden or not; nil if there is none.
func findPost(kv *guest.KV, number uint32) (*post, error) {
	record, found, err := kv.Get(postKey(number))
	if err != nil || !found {
		return nil, err
	}
	return decodePost(number, record)
}

// readPosts returns the posts of these numbers, all of which there are.
func readPosts(kv *guest.KV, numbers []uint32) ([]*post, error) {
	keys := make([][]byte, len(numbers))
	for i, n := range numbers {
		keys[i] = postKey(n)
	}
	records, err := kv.GetMany(keys)
	if err != nil {
		return nil, err
	}
	posts := make([]*post, len(numbers))
	for i, record := range records {
		if record == nil {
			return nil, fmt.Errorf("post %d: is listed and has no record", numbers[i])
		}
		if posts[i], err = decodePost(numbers[i], record); err != nil {
			return nil, err
		}
	}
	return posts, nil
}

func savePost(kv *guest.KV, p *post) error { return kv.Put(postKey(p.number), p.record()) }

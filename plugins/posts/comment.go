package main

import (
	"fmt"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// A comment is what somebody has written about a post.
type comment struct {
	number, post      uint32
	created, modified int64  // in microseconds since 1970
	account           string // whose it is
	author            string // under which name
	content           string
	flags             int
	hidden            bool // by flags
}

const keyComment = 'c'

func commentKey(number uint32) []byte { return numberKey(keyComment, number) }

// commentFields is how many fields a record has. A reader takes more.
const commentFields = 8

// encode writes the record of a comment.
func (c *comment) encode(w *abi.Writer) {
	w.FixedArray(commentFields)
	w.Int(int64(c.post))
	w.Int(c.created)
	w.Int(c.modified)
	w.Text(c.account)
	w.Text(c.author)
	w.Text(c.content)
	w.Int(int64(c.flags))
	w.Bool(c.hidden)
}

// decodeComment reads a record. The texts share its memory.
func decodeComment(number uint32, record []byte) (*comment, error) {
	r := abi.Value(record).Read()
	n := r.Array()
	c := &comment{number: number}
	post := r.Int()
	c.created, c.modified = r.Int(), r.Int()
	c.account, c.author, c.content = r.TextShared(), r.TextShared(), r.TextShared()
	c.flags, c.hidden = int(r.Int()), r.Bool()
	r.Skip(n - commentFields)
	if !r.Done() || n < commentFields || post < 1 || post > maxNumber {
		return nil, fmt.Errorf("record of comment %d: cannot be read: want an array of at least %d fields", number, commentFields)
	}
	c.post = uint32(post)
	return c, nil
}

// maxNumber is the largest number of a post or a comment.
const maxNumber = 1<<32 - 1

// put stores a comment.
func (c *comment) put(kv *guest.KV) error {
	var w abi.Writer
	c.encode(&w)
	return kv.Put(commentKey(c.number), w.Value())
}

// findComment returns a comment, hidden or not; nil if there is none.
func findComment(kv *guest.KV, number uint32) (*comment, error) {
	record, found, err := kv.Get(commentKey(number))
	if err != nil || !found {
		return nil, err
	}
	return decodeComment(number, record)
}

// readComments returns those of some comments that are there, in the same order.
func readComments(kv *guest.KV, numbers []uint32) ([]*comment, error) {
	if len(numbers) == 0 {
		return nil, nil
	}
	keys := make([][]byte, len(numbers))
	for i, n := range numbers {
		keys[i] = commentKey(n)
	}
	records, err := kv.GetMany(keys)
	if err != nil {
		return nil, err
	}
	list := make([]*comment, 0, len(records))
	for i, record := range records {
		if record == nil {
			continue
		}
		c, err := decodeComment(numbers[i], record)
		if err != nil {
			return nil, err
		}
		list = append(list, c)
	}
	return list, nil
}

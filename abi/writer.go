package abi

import (
	"encoding/binary"

	"github.com/tinylib/msgp/msgp"
)

// A Writer builds one value by appending to a buffer. Arrays and maps are
// opened and closed; it counts what stands in them, so that an optional field
// is just a call that is made or not:
//
//	w.Map()
//	w.Key("id"); w.Text(id)
//	if name != "" {
//		w.Key("name"); w.Text(name)
//	}
//	w.End()
//
// The zero Writer is ready to use.
type Writer struct {
	buf   []byte
	open  [MaxDepth]container
	depth int
}

type container struct {
	head  int // where its head stands in buf
	count uint32
}

// Reset empties the Writer, which goes on in the room of buf.
func (w *Writer) Reset(buf []byte) { w.buf, w.depth = buf[:0], 0 }

// Value returns what was written. It is valid until the next Reset.
func (w *Writer) Value() Value { return Value(w.buf) }

// Len returns the number of bytes written.
func (w *Writer) Len() int { return len(w.buf) }

func (w *Writer) count() {
	if w.depth > 0 {
		w.open[w.depth-1].count++
	}
}

// The 32-bit heads take four bytes more than needed and never have to be moved
// when the count turns out larger.
const (
	headArray32 = 0xdd
	headMap32   = 0xdf
)

func (w *Writer) begin(tag byte) {
	if w.depth == MaxDepth {
		panic("abi: value nested deeper than MaxDepth")
	}
	w.count()
	w.open[w.depth] = container{head: len(w.buf)}
	w.depth++
	w.buf = append(w.buf, tag, 0, 0, 0, 0)
}

// Array opens an array.
func (w *Writer) Array() { w.begin(headArray32) }

// Map opens a map. What follows are pairs of Key and a value.
func (w *Writer) Map() { w.begin(headMap32) }

// Element opens an element, of a value that is rendered as XML: attributes are pairs
// of a name and a value; what follows, until End, are texts, numbers and elements.
func (w *Writer) Element(name string, attributes ...string) {
	w.Array()
	w.Text(name)
	if len(attributes) == 0 {
		w.Nil()
		return
	}
	w.FixedArray(len(attributes))
	for _, a := range attributes {
		w.Text(a)
	}
}

// End closes the innermost array or map.
func (w *Writer) End() {
	w.depth--
	c := w.open[w.depth]
	binary.BigEndian.PutUint32(w.buf[c.head+1:], c.count)
}

// EndAll closes everything that is open.
func (w *Writer) EndAll() {
	for w.depth > 0 {
		w.End()
	}
}

// FixedArray opens an array of n elements that is not closed: for records of a
// known shape, whose head then takes one byte.
func (w *Writer) FixedArray(n int) {
	w.count()
	if n < 1<<4 {
		w.buf = append(w.buf, 0x90|byte(n))
	} else {
		w.buf = msgp.AppendArrayHeader(w.buf, uint32(n))
	}
	if w.depth > 0 {
		// The elements that follow will count themselves into what is open.
		w.open[w.depth-1].count -= uint32(n)
	}
}

// Key writes the key of the map entry that follows.
func (w *Writer) Key(key string) {
	if n := len(key); n < 1<<5 {
		w.buf = append(append(w.buf, 0xa0|byte(n)), key...)
		return
	} else if n < 1<<8 {
		w.buf = append(append(w.buf, 0xd9, byte(n)), key...)
		return
	}
	w.buf = msgp.AppendString(w.buf, key)
}

// KeyBytes is Key for bytes.
func (w *Writer) KeyBytes(key []byte) {
	if n := len(key); n < 1<<5 {
		w.buf = append(append(w.buf, 0xa0|byte(n)), key...)
		return
	} else if n < 1<<8 {
		w.buf = append(append(w.buf, 0xd9, byte(n)), key...)
		return
	}
	w.buf = msgp.AppendStringFromBytes(w.buf, key)
}

// Nil writes a null.
func (w *Writer) Nil() { w.count(); w.buf = msgp.AppendNil(w.buf) }

// Bool writes a boolean.
func (w *Writer) Bool(b bool) { w.count(); w.buf = msgp.AppendBool(w.buf, b) }

// Int writes a whole number.
func (w *Writer) Int(n int64) {
	if w.depth > 0 {
		w.open[w.depth-1].count++
	}
	switch {
	case n < 1<<7 && n >= -1<<5:
		w.buf = append(w.buf, byte(n))
	case n < 0 && n >= -1<<7:
		w.buf = append(w.buf, 0xd0, byte(n))
	case n < 1<<15 && n >= -1<<15:
		w.buf = append(w.buf, 0xd1, byte(n>>8), byte(n))
	case n < 1<<31 && n >= -1<<31:
		w.buf = append(w.buf, 0xd2, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	default:
		w.buf = append(w.buf, 0xd3, byte(n>>56), byte(n>>48), byte(n>>40), byte(n>>32),
			byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
}

// Uint writes a whole number.
func (w *Writer) Uint(n uint64) { w.count(); w.buf = msgp.AppendUint64(w.buf, n) }

// Float writes a float.
func (w *Writer) Float(f float64) { w.count(); w.buf = msgp.AppendFloat64(w.buf, f) }

// Number writes a number given as text in JSON's syntax, to be kept exactly. It
// panics if the text is something else or longer than MaxNumber, as nobody
// could read it.
func (w *Writer) Number(text []byte) {
	if !isNumber(text) {
		panic("abi: not a number of at most 1,000 bytes in JSON's syntax")
	}
	w.count()
	switch n := len(text); {
	case n < 1<<8:
		w.buf = append(w.buf, 0xc7, byte(n), ExtNumber)
	default:
		w.buf = append(w.buf, 0xc8, byte(n>>8), byte(n), ExtNumber)
	}
	w.buf = append(w.buf, text...)
}

// Text writes a string.
func (w *Writer) Text(s string) { w.count(); w.Key(s) }

// TextBytes writes a string given as bytes.
func (w *Writer) TextBytes(s []byte) { w.count(); w.KeyBytes(s) }

// Bytes writes a byte string.
func (w *Writer) Bytes(b []byte) {
	w.count()
	if n := len(b); n < 1<<8 {
		w.buf = append(append(w.buf, 0xc4, byte(n)), b...)
		return
	}
	w.buf = msgp.AppendBytes(w.buf, b)
}

// Splice appends a piece of MessagePack as it stands, uncounted: what is the same
// in every answer can be encoded once. What comes of it is up to the caller.
func (w *Writer) Splice(piece string) { w.buf = append(w.buf, piece...) }

// Raw writes a value that is already MessagePack; no value is written as null.
func (w *Writer) Raw(v Value) {
	if len(v) == 0 {
		w.Nil()
		return
	}
	w.count()
	w.buf = append(w.buf, v...)
}

package abi

import (
	"encoding/binary"
	"unsafe"
)

// A Reader takes a value apart from front to back, each byte once: the fast way
// to read what has a known shape, where Value is the convenient way to read
// what has not. The first thing that is not as expected stops it: every later
// read answers zero, and Failed tells.
//
// Its methods decode in place instead of calling msgp: in Wasm a call costs
// several times what it costs natively, and a request is read by hundreds.
type Reader struct {
	buf    []byte
	pos    int
	failed bool
}

// Read returns a Reader of the value.
func (v Value) Read() Reader { return Reader{buf: v} }

// Failed tells whether something was not as expected.
func (r *Reader) Failed() bool { return r.failed }

// Done tells whether all was read, and as expected.
func (r *Reader) Done() bool { return !r.failed && r.pos == len(r.buf) }

// fail stops the Reader: there is nothing left for it.
func (r *Reader) fail() { r.failed, r.buf, r.pos = true, nil, 0 }

// rest returns what was not read yet.
func (r *Reader) rest() []byte { return r.buf[r.pos:] }

// Kind tells the type of the next value.
func (r *Reader) Kind() Kind {
	if r.pos >= len(r.buf) {
		return Invalid
	}
	if k := kinds[r.buf[r.pos]]; k != extension {
		return k
	}
	return Value(r.buf[r.pos:]).Kind()
}

// Array reads the head of an array and returns how many elements follow.
func (r *Reader) Array() int {
	if r.pos < len(r.buf) {
		switch b, tag := r.buf[r.pos:], r.buf[r.pos]; {
		case tag&0xf0 == 0x90:
			return r.elements(1, uint64(tag&0x0f), 1)
		case tag == 0xdc && len(b) >= 3:
			return r.elements(3, uint64(binary.BigEndian.Uint16(b[1:])), 1)
		case tag == 0xdd && len(b) >= 5:
			return r.elements(5, uint64(binary.BigEndian.Uint32(b[1:])), 1)
		}
	}
	r.fail()
	return 0
}

// Map reads the head of a map and returns how many pairs follow.
func (r *Reader) Map() int {
	if r.pos < len(r.buf) {
		switch b, tag := r.buf[r.pos:], r.buf[r.pos]; {
		case tag&0xf0 == 0x80:
			return r.elements(1, uint64(tag&0x0f), 2)
		case tag == 0xde && len(b) >= 3:
			return r.elements(3, uint64(binary.BigEndian.Uint16(b[1:])), 2)
		case tag == 0xdf && len(b) >= 5:
			return r.elements(5, uint64(binary.BigEndian.Uint32(b[1:])), 2)
		}
	}
	r.fail()
	return 0
}

// elements passes over a head. A value takes at least a byte, so a larger count
// is a lie: refusing it here keeps callers from allocating for it.
func (r *Reader) elements(head int, n, values uint64) int {
	r.pos += head
	if n*values > uint64(len(r.buf)-r.pos) {
		r.fail()
		return 0
	}
	return int(n)
}

// Bool reads a boolean.
func (r *Reader) Bool() bool {
	if r.pos < len(r.buf) {
		if tag := r.buf[r.pos]; tag == 0xc2 || tag == 0xc3 {
			r.pos++
			return tag == 0xc3
		}
	}
	r.fail()
	return false
}

// Int reads a whole number, also one written as a float.
func (r *Reader) Int() int64 {
	if r.pos < len(r.buf) && r.buf[r.pos] < 0x80 {
		r.pos++
		return int64(r.buf[r.pos-1])
	}
	return r.int()
}

// int reads a whole number of any length.
func (r *Reader) int() int64 {
	b := r.buf[r.pos:]
	if len(b) == 0 {
		r.fail()
		return 0
	}
	switch tag := b[0]; {
	case tag < 0x80 || tag >= 0xe0:
		r.pos++
		return int64(int8(tag))
	case tag == 0xcc && len(b) >= 2:
		r.pos += 2
		return int64(b[1])
	case tag == 0xcd && len(b) >= 3:
		r.pos += 3
		return int64(binary.BigEndian.Uint16(b[1:]))
	case tag == 0xce && len(b) >= 5:
		r.pos += 5
		return int64(binary.BigEndian.Uint32(b[1:]))
	case tag == 0xcf && len(b) >= 9 && b[1] < 0x80:
		r.pos += 9
		return int64(binary.BigEndian.Uint64(b[1:]))
	case tag == 0xd0 && len(b) >= 2:
		r.pos += 2
		return int64(int8(b[1]))
	case tag == 0xd1 && len(b) >= 3:
		r.pos += 3
		return int64(int16(binary.BigEndian.Uint16(b[1:])))
	case tag == 0xd2 && len(b) >= 5:
		r.pos += 5
		return int64(int32(binary.BigEndian.Uint32(b[1:])))
	case tag == 0xd3 && len(b) >= 9:
		r.pos += 9
		return int64(binary.BigEndian.Uint64(b[1:]))
	}
	n, ok := r.Value().Int()
	if !ok {
		r.fail()
	}
	return n
}

// byte reads a whole number that one byte holds: a kind.
func (r *Reader) byte() uint8 {
	n := r.Int()
	if n < 0 || n > 0xff {
		r.fail()
		return 0
	}
	return uint8(n)
}

// Float reads any number.
func (r *Reader) Float() float64 {
	f, ok := r.Value().Float()
	if !ok {
		r.fail()
	}
	return f
}

// Text reads a string and copies it.
func (r *Reader) Text() string { return string(r.TextBytes()) }

// TextShared reads a string without copying it: it shares the memory of the
// value, and is good for as long as that is.
func (r *Reader) TextShared() string {
	b := r.TextBytes()
	return unsafe.String(unsafe.SliceData(b), len(b))
}

// TextBytes reads a string without copying it.
func (r *Reader) TextBytes() []byte {
	if r.pos < len(r.buf) {
		if tag := r.buf[r.pos]; tag&0xe0 == 0xa0 { // most are short
			start := r.pos + 1
			if end := start + int(tag&0x1f); end <= len(r.buf) {
				r.pos = end
				return r.buf[start:end:end]
			}
		}
		switch b, tag := r.buf[r.pos:], r.buf[r.pos]; {
		case tag == 0xd9 && len(b) >= 2:
			return r.bytes(2, uint64(b[1]))
		case tag == 0xda && len(b) >= 3:
			return r.bytes(3, uint64(binary.BigEndian.Uint16(b[1:])))
		case tag == 0xdb && len(b) >= 5:
			return r.bytes(5, uint64(binary.BigEndian.Uint32(b[1:])))
		}
	}
	r.fail()
	return nil
}

// bytesShared reads a byte string as a text that shares the memory of the value.
func (r *Reader) bytesShared() string {
	b := r.Bytes()
	return unsafe.String(unsafe.SliceData(b), len(b))
}

// Bytes reads a byte string without copying it; null reads as nil.
func (r *Reader) Bytes() []byte {
	if r.pos < len(r.buf) {
		switch b, tag := r.buf[r.pos:], r.buf[r.pos]; {
		case tag == 0xc0:
			r.pos++
			return nil
		case tag == 0xc4 && len(b) >= 2:
			return r.bytes(2, uint64(b[1]))
		case tag == 0xc5 && len(b) >= 3:
			return r.bytes(3, uint64(binary.BigEndian.Uint16(b[1:])))
		case tag == 0xc6 && len(b) >= 5:
			return r.bytes(5, uint64(binary.BigEndian.Uint32(b[1:])))
		}
	}
	r.fail()
	return nil
}

// bytes reads n bytes behind a head.
func (r *Reader) bytes(head int, n uint64) []byte {
	start := r.pos + head
	if n > uint64(len(r.buf)-start) {
		r.fail()
		return nil
	}
	r.pos = start + int(n)
	return r.buf[start:r.pos:r.pos]
}

// Nil reads a null, if there is one.
func (r *Reader) Nil() bool {
	if r.pos < len(r.buf) && r.buf[r.pos] == 0xc0 {
		r.pos++
		return true
	}
	return false
}

// Value reads any value as it stands.
func (r *Reader) Value() Value {
	b := r.buf[r.pos:]
	rest, ok := skip(b)
	if !ok {
		r.fail()
		return nil
	}
	n := len(b) - len(rest)
	r.pos += n
	return b[:n:n]
}

// Skip passes over n values: the fields of a record that a newer version added.
func (r *Reader) Skip(n int) {
	for ; n > 0 && !r.failed; n-- {
		r.Value()
	}
}

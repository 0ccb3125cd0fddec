package abi

import (
	"encoding/binary"
	"math"
	"strconv"

	"github.com/tinylib/msgp/msgp"
)

// A Kind is the type of a Value.
type Kind uint8

const (
	Invalid Kind = iota // no value, or bytes that are not MessagePack
	Nil
	Bool
	Int    // a whole number of 64 bits, signed or not
	Float  // a 64-bit float
	Number // a decimal that neither of the two holds exactly, kept as its text
	String
	Bytes
	Array
	Map
)

var kindNames = [...]string{"nothing", "null", "a boolean", "an integer", "a number", "a number", "a string", "bytes", "an array", "an object"}

// String names the kind as a message to an API client would.
func (k Kind) String() string { return kindNames[k] }

// ExtNumber is the MessagePack extension type of a Number: its data is the
// number in JSON's own syntax, at most MaxNumber bytes.
const ExtNumber = 1

// A Value is one MessagePack value, kept as the bytes it came in and read where
// it stands. The zero Value is no value at all: every question has a harmless
// answer, so that a chain of lookups needs one check at its end.
//
// A Value that reached a plugin in a frame lives as long as the call.
type Value []byte

// extension is the kind of tags whose kind their extension type tells.
const extension = Map + 1

// kinds tells the kind of a value by its first byte.
var kinds = func() (k [256]Kind) {
	fill := func(from, to int, kind Kind) {
		for tag := from; tag <= to; tag++ {
			k[tag] = kind
		}
	}
	fill(0x00, 0x7f, Int)
	fill(0x80, 0x8f, Map)
	fill(0x90, 0x9f, Array)
	fill(0xa0, 0xbf, String)
	fill(0xc0, 0xc0, Nil)
	fill(0xc2, 0xc3, Bool)
	fill(0xc4, 0xc6, Bytes)
	fill(0xc7, 0xc9, extension)
	fill(0xca, 0xcb, Float)
	fill(0xcc, 0xd3, Int)
	fill(0xd4, 0xd8, extension)
	fill(0xd9, 0xdb, String)
	fill(0xdc, 0xdd, Array)
	fill(0xde, 0xdf, Map)
	fill(0xe0, 0xff, Int)
	return k
}()

// Kind tells the type of v without reading it through.
func (v Value) Kind() Kind {
	if len(v) == 0 {
		return Invalid
	}
	k := kinds[v[0]]
	if k != extension {
		return k
	}
	if _, ok := v.number(); ok {
		return Number
	}
	return Invalid
}

// number returns the text of a Number.
func (v Value) number() ([]byte, bool) {
	// fixext 1, 2, 4, 8, 16; ext 8, 16, 32: tag, [size,] type, data.
	if len(v) < 3 {
		return nil, false
	}
	var size, head int
	switch tag := v[0]; tag {
	case 0xd4, 0xd5, 0xd6, 0xd7, 0xd8:
		size, head = 1<<(tag-0xd4), 2
	case 0xc7:
		size, head = int(v[1]), 3
	case 0xc8:
		if len(v) < 4 {
			return nil, false
		}
		size, head = int(v[1])<<8|int(v[2]), 4
	default:
		return nil, false
	}
	if v[head-1] != ExtNumber || len(v) < head+size || !isNumber(v[head:head+size]) {
		return nil, false
	}
	return v[head : head+size], true
}

// isNumber tells whether text is a number in JSON's syntax that is not too long.
func isNumber(text []byte) bool {
	if len(text) > MaxNumber {
		return false
	}
	rest := text
	if len(rest) > 0 && rest[0] == '-' {
		rest = rest[1:]
	}
	n := digits(rest)
	if n == 0 || n > 1 && rest[0] == '0' {
		return false
	}
	rest = rest[n:]
	if len(rest) > 0 && rest[0] == '.' {
		if n = digits(rest[1:]); n == 0 {
			return false
		}
		rest = rest[1+n:]
	}
	if len(rest) > 0 && rest[0]|0x20 == 'e' {
		rest = rest[1:]
		if len(rest) > 0 && (rest[0] == '+' || rest[0] == '-') {
			rest = rest[1:]
		}
		if n = digits(rest); n == 0 {
			return false
		}
		rest = rest[n:]
	}
	return len(rest) == 0
}

// digits returns how many digits text begins with.
func digits(text []byte) int {
	n := 0
	for n < len(text) && text[n]-'0' <= 9 {
		n++
	}
	return n
}

// A head is what stands before the elements or bytes of a value.
type head struct {
	size  int    // bytes of the value without its elements
	items uint64 // elements, two for each entry of a map
}

// readHead reads the head of the first value of b, and tells whether b is long
// enough for it: for its bytes, and a byte for each element.
func readHead(b []byte) (h head, ok bool) {
	if len(b) == 0 {
		return h, false
	}
	h.size = 1
	switch tag := b[0]; {
	case tag < 0x80 || tag >= 0xe0: // fixint
		return h, true
	case tag < 0x90: // fixmap
		h.items = 2 * uint64(tag&0x0f)
	case tag < 0xa0: // fixarray
		h.items = uint64(tag & 0x0f)
	case tag < 0xc0: // fixstr
		h.size += int(tag & 0x1f)
	default:
		s := &shapes[tag-0xc0]
		h.size += int(s.count)
		if len(b) < h.size {
			return h, false
		}
		var n uint64
		switch s.count {
		case 1:
			n = uint64(b[1])
		case 2:
			n = uint64(binary.BigEndian.Uint16(b[1:]))
		case 4:
			n = uint64(binary.BigEndian.Uint32(b[1:]))
		}
		h.items = n * uint64(s.items)
		h.size += int(s.fixed)
		if n *= uint64(s.bytes); n > uint64(len(b)) {
			return h, false
		}
		h.size += int(n)
		if tag == 0xc1 { // never used
			return h, false
		}
	}
	return h, h.size <= len(b) && h.items <= uint64(len(b)-h.size)
}

// skip returns what stands behind the first value of b. Unlike msgp.Skip it
// counts what is left to pass over instead of calling itself, so that nesting
// costs a hostile frame a byte and us nothing.
func skip(b []byte) ([]byte, bool) {
	for left := uint64(1); left > 0; left-- {
		h, ok := readHead(b)
		if !ok {
			return nil, false
		}
		b = b[h.size:]
		// Each that is left takes a byte, so more is a lie; refusing it keeps
		// the count from wrapping.
		if left += h.items; left-1 > uint64(len(b)) {
			return nil, false
		}
	}
	return b, true
}

// shapes tells, for each tag from 0xc0 on, how many bytes of count follow it,
// what is counted, and how many more bytes there are.
var shapes = [32]struct{ count, items, bytes, fixed uint8 }{
	0x04: {count: 1, bytes: 1}, 0x05: {count: 2, bytes: 1}, 0x06: {count: 4, bytes: 1}, // bin
	0x07: {count: 1, bytes: 1, fixed: 1}, 0x08: {count: 2, bytes: 1, fixed: 1}, 0x09: {count: 4, bytes: 1, fixed: 1}, // ext
	0x0a: {fixed: 4}, 0x0b: {fixed: 8}, // float
	0x0c: {fixed: 1}, 0x0d: {fixed: 2}, 0x0e: {fixed: 4}, 0x0f: {fixed: 8}, // uint
	0x10: {fixed: 1}, 0x11: {fixed: 2}, 0x12: {fixed: 4}, 0x13: {fixed: 8}, // int
	0x14: {fixed: 2}, 0x15: {fixed: 3}, 0x16: {fixed: 5}, 0x17: {fixed: 9}, 0x18: {fixed: 17}, // fixext
	0x19: {count: 1, bytes: 1}, 0x1a: {count: 2, bytes: 1}, 0x1b: {count: 4, bytes: 1}, // str
	0x1c: {count: 2, items: 1}, 0x1d: {count: 4, items: 1}, // array
	0x1e: {count: 2, items: 2}, 0x1f: {count: 4, items: 2}, // map
}

// Exists tells whether there is a value, null included.
func (v Value) Exists() bool { return len(v) > 0 }

// IsNil tells whether v is null or absent.
func (v Value) IsNil() bool { return len(v) == 0 || v[0] == 0xc0 }

// Bool returns a boolean.
func (v Value) Bool() (b, ok bool) {
	b, _, err := msgp.ReadBoolBytes(v)
	return b, err == nil
}

// Int returns a whole number that fits, also one written as a float.
func (v Value) Int() (int64, bool) {
	switch v.Kind() {
	case Int:
		n, _, err := msgp.ReadInt64Bytes(v)
		return n, err == nil
	case Float:
		f, _, err := msgp.ReadFloat64Bytes(v)
		// 2^63 itself does not fit, and is the first float that does not.
		if err != nil || f != math.Trunc(f) || f < -1<<63 || f >= 1<<63 {
			return 0, false
		}
		return int64(f), true
	}
	return 0, false
}

// Float returns any number that a float can stand for, rounded to the nearest.
func (v Value) Float() (float64, bool) {
	switch v.Kind() {
	case Int:
		if n, _, err := msgp.ReadInt64Bytes(v); err == nil {
			return float64(n), true
		}
		n, _, err := msgp.ReadUint64Bytes(v)
		return float64(n), err == nil
	case Float:
		f, _, err := msgp.ReadFloat64Bytes(v)
		return f, err == nil
	case Number:
		text, _ := v.number()
		f, err := strconv.ParseFloat(string(text), 64)
		if err != nil { // beyond every float
			return 0, false
		}
		return f, true
	}
	return 0, false
}

// NumberText returns the text of a Number.
func (v Value) NumberText() (string, bool) {
	text, ok := v.number()
	return string(text), ok
}

// Text returns a copy of a string.
func (v Value) Text() (string, bool) {
	s, _, err := msgp.ReadStringZC(v)
	if err != nil {
		return "", false
	}
	return string(s), true
}

// TextBytes returns the bytes of a string without copying them.
func (v Value) TextBytes() ([]byte, bool) {
	s, _, err := msgp.ReadStringZC(v)
	return s, err == nil
}

// Bytes returns a byte string without copying it.
func (v Value) Bytes() ([]byte, bool) {
	b, _, err := msgp.ReadBytesZC(v)
	return b, err == nil
}

// Len returns the number of elements of an array or of entries of a map, and 0
// for a count that the bytes behind it cannot hold.
func (v Value) Len() int {
	r := v.Read()
	switch v.Kind() {
	case Array:
		return r.Array()
	case Map:
		return r.Map()
	}
	return 0
}

// Get returns the entry of a map under key, or no value. Of entries that repeat
// a key the last one counts, as in encoding/json.
func (v Value) Get(key string) Value {
	var found Value
	for m := v.Entries(); m.Next(); {
		if string(m.Key()) == key {
			found = m.Value()
		}
	}
	return found
}

// Items walks an array; on any other value it finds nothing.
func (v Value) Items() Items {
	n, rest, err := msgp.ReadArrayHeaderBytes(v)
	if err != nil {
		return Items{}
	}
	return Items{left: int(n), rest: rest}
}

// Items is a walk through an array:
//
//	for it := v.Items(); it.Next(); {
//		use(it.Value())
//	}
type Items struct {
	left int
	cur  Value
	rest []byte
}

// Next moves to the next element and tells whether there is one.
func (it *Items) Next() bool {
	if it.left == 0 {
		return false
	}
	it.left--
	rest, ok := skip(it.rest)
	if !ok {
		it.left, it.cur = 0, nil
		return false
	}
	it.cur, it.rest = it.rest[:len(it.rest)-len(rest)], rest
	return true
}

// Value returns the element.
func (it *Items) Value() Value { return it.cur }

// Entries walks a map; on any other value it finds nothing.
func (v Value) Entries() Entries {
	n, rest, err := msgp.ReadMapHeaderBytes(v)
	if err != nil {
		return Entries{}
	}
	return Entries{items: Items{left: int(n), rest: rest}}
}

// Entries is a walk through a map, like Items through an array.
type Entries struct {
	items Items
	key   []byte
}

// Next moves to the next entry and tells whether there is one.
func (m *Entries) Next() bool {
	if m.items.left == 0 {
		return false
	}
	key, rest, err := msgp.ReadStringZC(m.items.rest)
	if err != nil {
		m.items.left = 0
		return false
	}
	m.key, m.items.rest = key, rest
	return m.items.Next()
}

// Key returns the key of the entry without copying it.
func (m *Entries) Key() []byte { return m.key }

// Value returns the value of the entry.
func (m *Entries) Value() Value { return m.items.cur }

// Valid tells whether v is exactly one well-formed value, nested at most
// MaxDepth deep, with strings as the keys of its maps. A host checks what a
// guest returns with it before it walks it.
func (v Value) Valid() bool {
	rest, ok := valid(v, MaxDepth)
	return ok && len(rest) == 0
}

// valid passes over one value that opens at most depth arrays and maps.
func valid(b []byte, depth int) ([]byte, bool) {
	h, ok := readHead(b)
	if !ok {
		return nil, false
	}
	if h.items == 0 {
		switch tag := b[0]; {
		case tag == 0x80 || tag == 0x90 || tag >= 0xdc && tag <= 0xdf: // nothing inside
			ok = depth > 0
		case tag >= 0xd4 && tag <= 0xd8 || tag >= 0xc7 && tag <= 0xc9: // extension
			_, ok = Value(b[:h.size]).number()
		}
		return b[h.size:], ok
	}
	if depth == 0 {
		return nil, false
	}
	isMap := b[0]&0xf0 == 0x80 || b[0] == 0xde || b[0] == 0xdf
	b = b[h.size:]
	for i := uint64(0); i < h.items; i++ {
		switch {
		case isMap && i&1 == 0: // a key
			_, rest, err := msgp.ReadStringZC(b)
			if err != nil {
				return nil, false
			}
			b = rest
		case len(b) > 0 && b[0] < 0x80: // most numbers are small
			b = b[1:]
		default:
			if b, ok = valid(b, depth-1); !ok {
				return nil, false
			}
		}
	}
	return b, true
}

package rewrite

import (
	"fmt"
	"unicode/utf8"
)

// A reader reads a module's bytes. It panics with a malformed on anything that
// makes no sense, so that the code above it reads like the format; catch turns
// that into an error.
type reader struct {
	data []byte
	pos  int
}

type malformed string

func fail(format string, args ...any) { panic(malformed(fmt.Sprintf(format, args...))) }

func catch(err *error) {
	switch r := recover().(type) {
	case nil:
	case malformed:
		*err = fmt.Errorf("%w: %s", ErrMalformed, string(r))
	default:
		// A mistake of ours. It is not to cost more than this module.
		*err = fmt.Errorf("rewriting failed: %v", r)
	}
}

func (r *reader) more() bool { return r.pos < len(r.data) }

func (r *reader) byte() byte {
	if r.pos >= len(r.data) {
		fail("it ends too early")
	}
	b := r.data[r.pos]
	r.pos++
	return b
}

func (r *reader) bytes(n uint32) []byte {
	if uint64(n) > uint64(len(r.data)-r.pos) {
		fail("it ends too early")
	}
	r.pos += int(n)
	return r.data[r.pos-int(n) : r.pos : r.pos]
}

func (r *reader) sub(n uint32) *reader { return &reader{data: r.bytes(n)} }

func (r *reader) rest() []byte { return r.bytes(uint32(len(r.data) - r.pos)) }

func (r *reader) flag() bool {
	b := r.byte()
	if b > 1 {
		fail("%d where 0 or 1 is wanted", b)
	}
	return b == 1
}

func (r *reader) name() string {
	b := r.bytes(r.u32())
	if !utf8.Valid(b) {
		fail("a name that is not UTF-8")
	}
	return string(b)
}

// u32 reads an unsigned number of at most 32 bits, in LEB128.
func (r *reader) u32() uint32 {
	var v uint32
	for shift := 0; shift < 35; shift += 7 {
		b := r.byte()
		if shift == 28 && b > 0x0f {
			break
		}
		v |= uint32(b&0x7f) << shift
		if b < 0x80 {
			return v
		}
	}
	fail("a number of more than 32 bits")
	return 0
}

// signed reads a signed number of at most so many bits, in LEB128.
func (r *reader) signed(bits int) int64 {
	var v int64
	for shift := 0; ; shift += 7 {
		b := r.byte()
		v |= int64(b&0x7f) << shift
		if left := bits - shift; left < 7 {
			// What is left over has to be the sign.
			if sign := int8(b<<1) >> left; b >= 0x80 || sign != 0 && sign != -1 {
				fail("a number of more than %d bits", bits)
			}
		}
		if b < 0x80 {
			if shift < 57 && b&0x40 != 0 {
				v |= -1 << (shift + 7)
			}
			return v
		}
	}
}

// maxAhead is how many entries a list makes room for before it has seen them.
const maxAhead = 1 << 12

// list reads a count, and as many entries.
func list[T any](r *reader, entry func(*reader) T) []T {
	n := r.u32()
	if uint64(n) > uint64(len(r.data)-r.pos) { // an entry takes a byte or more
		fail("a list of %d entries in %d bytes", n, len(r.data)-r.pos)
	}
	l := make([]T, 0, min(n, maxAhead))
	for range n {
		l = append(l, entry(r))
	}
	return l
}

// expr reads a constant expression up to its end.
func (r *reader) expr() []byte {
	start := r.pos
	var in instr
	for {
		r.instr(&in)
		switch op := in.op; {
		case op == opEnd:
			return r.data[start:r.pos:r.pos]
		case op >= opI32Const && op <= opF64Const, op == opGlobalGet, op == opRefNull, op == opRefFunc:
		case op == opSIMD && in.sub == simdConst:
		default:
			fail("opcode %#x in a constant expression", op)
		}
	}
}

func appendU32(w []byte, v uint32) []byte {
	for v >= 0x80 {
		w = append(w, byte(v)|0x80)
		v >>= 7
	}
	return append(w, byte(v))
}

func appendS64(w []byte, v int64) []byte {
	for {
		b := byte(v & 0x7f)
		v >>= 7
		if v == 0 && b&0x40 == 0 || v == -1 && b&0x40 != 0 {
			return append(w, b)
		}
		w = append(w, b|0x80)
	}
}

func appendName(w []byte, s string) []byte { return append(appendU32(w, uint32(len(s))), s...) }

func appendFlag(w []byte, b bool) []byte {
	if b {
		return append(w, 1)
	}
	return append(w, 0)
}

package abi

import (
	"encoding/binary"
	"math"
)

// MaxRow is how many numbers a row has at most.
const MaxRow = 32

// Row reads an array of at most len(dst) numbers and nulls in one go, which in
// Wasm is several times as fast as reading them one by one: a table of
// measurements is made of such rows. A null reads as 0 and has its bit set in
// null; a number that is not whole is rounded and has its bit set in rounded. It
// returns how many there were.
func (r *Reader) Row(dst []int64) (n int, null, rounded uint32) {
	n = r.Array()
	if n > len(dst) || n > MaxRow {
		r.fail()
		return 0, 0, 0
	}
	b, pos := r.buf, r.pos
	for i := range n {
		if pos >= len(b) {
			r.fail()
			return 0, 0, 0
		}
		left := len(b) - pos
		switch tag := b[pos]; {
		case tag < 0x80 || tag >= 0xe0:
			dst[i] = int64(int8(tag))
			pos++
		case tag == 0xd1 && left >= 3:
			dst[i] = int64(int16(uint16(b[pos+1])<<8 | uint16(b[pos+2])))
			pos += 3
		case tag == 0xd2 && left >= 5:
			dst[i] = int64(int32(uint32(b[pos+1])<<24 | uint32(b[pos+2])<<16 | uint32(b[pos+3])<<8 | uint32(b[pos+4])))
			pos += 5
		case tag == 0xd3 && left >= 9:
			dst[i] = int64(binary.BigEndian.Uint64(b[pos+1:]))
			pos += 9
		case tag == 0xc0:
			dst[i] = 0
			null |= 1 << i
			pos++
		default:
			r.pos = pos
			v, whole, ok := r.whole()
			if !ok {
				r.fail()
				return 0, 0, 0
			}
			if dst[i] = v; !whole {
				rounded |= 1 << i
			}
			pos = r.pos
		}
	}
	r.pos = pos
	return n, null, rounded
}

// whole reads any number that rounds to a whole one that a float holds exactly.
func (r *Reader) whole() (n int64, whole, ok bool) {
	if r.Kind() == Int {
		n = r.Int()
		return n, true, !r.failed
	}
	f, ok := r.Value().Float()
	if !ok || !(math.Abs(f) < 1<<53) {
		return 0, false, false
	}
	rounded := math.Round(f)
	return int64(rounded), rounded == f, true
}

// Row writes an array of whole numbers in one go, with a null where the bit of
// null is set.
func (w *Writer) Row(row []int64, null uint32) {
	if len(row) > MaxRow {
		panic("abi: row longer than MaxRow")
	}
	if w.depth > 0 {
		w.open[w.depth-1].count++
	}
	// Room for the longest, so that the loop needs no check.
	const longest = 3 + 9*MaxRow
	at := len(w.buf)
	if cap(w.buf)-at < longest {
		w.buf = append(w.buf, make([]byte, longest)...)
	}
	b := w.buf[at : at+longest]
	pos := 0
	if len(row) < 1<<4 {
		b[0] = 0x90 | byte(len(row))
		pos = 1
	} else {
		b[0], b[1], b[2] = 0xdc, 0, byte(len(row))
		pos = 3
	}
	for i, n := range row {
		switch {
		case null&(1<<i) != 0:
			b[pos] = 0xc0
			pos++
		case n < 1<<7 && n >= -1<<5:
			b[pos] = byte(n)
			pos++
		case n < 0 && n >= -1<<7:
			b[pos], b[pos+1] = 0xd0, byte(n)
			pos += 2
		case n < 1<<15 && n >= -1<<15:
			b[pos], b[pos+1], b[pos+2] = 0xd1, byte(n>>8), byte(n)
			pos += 3
		case n < 1<<31 && n >= -1<<31:
			b[pos], b[pos+1], b[pos+2], b[pos+3], b[pos+4] = 0xd2, byte(n>>24), byte(n>>16), byte(n>>8), byte(n)
			pos += 5
		default:
			b[pos] = 0xd3
			binary.BigEndian.PutUint64(b[pos+1:], uint64(n))
			pos += 9
		}
	}
	w.buf = w.buf[:at+pos]
}

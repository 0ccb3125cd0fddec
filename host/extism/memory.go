package extism

import (
	"encoding/binary"
	"math/bits"
	"sort"
)

// A memory is what Extism calls the kernel's memory: a place outside of the
// guest in which both sides put blocks of bytes, and hand each other their
// offsets. It lasts for one call.
//
// Blocks lie in buf one behind the other. What is known of them lies in a table
// beside it and not between them, as in Extism's own kernel: a guest can write
// to any offset, and would otherwise write there. A freed block is kept for the
// next one of its size class, so that allocating takes the same time however
// many blocks there are, and a loop that allocates and frees needs no more than
// one.
type memory struct {
	buf    []byte // ends where the next new block goes
	blocks []block
	free   [classes][]int32 // indexes of blocks, by size class
	limit  int
}

type block struct {
	offset uint64
	used   uint64 // bytes asked for
	class  uint8
	active bool
}

const (
	// firstOffset is where blocks begin. 0 is no offset: it says that there is no
	// block.
	firstOffset = 16
	// keep is how much of a memory stays allocated for the next call.
	keep = 1 << 20
	// maxBlocks bounds the table, which the limit on bytes does not.
	maxBlocks = 1 << 18
)

// Size classes grow by a quarter of the last power of two, so that a block
// wastes at most a fifth of its bytes: 16, 20, 24, 28, 32, 40, 48, 56, 64 …
const classes = 4*(32-4) + 1

func classOf(n uint64) (class uint8, size int) {
	if n <= 16 {
		return 0, 16
	}
	shift := bits.Len64(n-1) - 3 // leaves three bits: 4 to 7, before rounding up
	quarters := int((n-1)>>shift) + 1
	return uint8(4*(shift-2) + quarters - 4), quarters << shift
}

// reset forgets all blocks. What was in them is wiped: the next call may be one
// of another plugin.
func (m *memory) reset() {
	if len(m.blocks) == 0 {
		return // most calls come by the fast lane and need none
	}
	if cap(m.buf) > keep {
		m.buf = nil
	}
	clear(m.buf)
	m.buf = m.buf[:0]
	if cap(m.blocks) > keep/64 {
		m.blocks = nil
	}
	m.blocks = m.blocks[:0]
	for i := range m.free {
		m.free[i] = m.free[i][:0]
	}
}

// alloc returns the offset of a block of n bytes; 0 if there is no room, or
// nothing was asked for.
func (m *memory) alloc(n uint64) uint64 {
	if n == 0 {
		return 0
	}
	return m.place(n)
}

// place is alloc for any n: a block of no bytes has an offset, too.
func (m *memory) place(n uint64) uint64 {
	if n > uint64(m.limit) {
		return 0
	}
	class, size := classOf(n)
	if list := m.free[class]; len(list) > 0 {
		b := &m.blocks[list[len(list)-1]]
		m.free[class] = list[:len(list)-1]
		b.used, b.active = n, true
		return b.offset
	}
	at := max(len(m.buf), firstOffset)
	if at+size > m.limit || len(m.blocks) == maxBlocks {
		return 0
	}
	m.blocks = append(m.blocks, block{offset: uint64(at), used: n, class: class, active: true})
	m.grow(at + size)
	return uint64(at)
}

// grow makes buf longer. What it grows by is zero: it is new, or reset wiped it.
func (m *memory) grow(size int) {
	if size <= cap(m.buf) {
		m.buf = m.buf[:size]
		return
	}
	buf := make([]byte, size, max(size, 4<<10, min(2*cap(m.buf), m.limit)))
	copy(buf, m.buf)
	m.buf = buf
}

// find returns the block at an offset, or nil if none begins there.
func (m *memory) find(offset uint64) *block {
	n := len(m.blocks)
	if n == 0 {
		return nil
	}
	// Most questions are about the block that was made last.
	if b := &m.blocks[n-1]; b.offset == offset {
		return b
	}
	i := sort.Search(n, func(i int) bool { return m.blocks[i].offset >= offset })
	if i == n || m.blocks[i].offset != offset {
		return nil
	}
	return &m.blocks[i]
}

// release frees the block at an offset, if there is one.
func (m *memory) release(offset uint64) {
	b := m.find(offset)
	if b == nil || !b.active {
		return
	}
	b.active = false
	i := sort.Search(len(m.blocks), func(i int) bool { return m.blocks[i].offset >= offset })
	m.free[b.class] = append(m.free[b.class], int32(i))
}

// length returns how many bytes the block at an offset has, 0 if there is none.
func (m *memory) length(offset uint64) uint64 {
	if b := m.find(offset); b != nil && b.active {
		return b.used
	}
	return 0
}

// block returns the bytes of the block at an offset, in place.
func (m *memory) block(offset uint64) ([]byte, bool) {
	b := m.find(offset)
	if b == nil || !b.active {
		return nil, false
	}
	return m.slice(offset, b.used)
}

// slice returns n bytes at an offset, in place, whatever blocks they belong to.
func (m *memory) slice(offset, n uint64) ([]byte, bool) {
	size := uint64(len(m.buf))
	if offset > size || n > size-offset {
		return nil, false
	}
	return m.buf[offset : offset+n : offset+n], true
}

// put makes a block that holds b, and returns 0 if there is no room.
func (m *memory) put(b []byte) uint64 {
	offset := m.place(uint64(len(b)))
	if offset != 0 {
		copy(m.buf[offset:], b)
	}
	return offset
}

// Loads from outside of the memory give 0, and stores there do nothing, as in
// Extism's kernel.

func (m *memory) load8(offset uint64) byte {
	if offset >= uint64(len(m.buf)) {
		return 0
	}
	return m.buf[offset]
}

func (m *memory) load64(offset uint64) uint64 { return load64(m.buf, offset) }

func (m *memory) store8(offset uint64, v byte) {
	if offset < uint64(len(m.buf)) {
		m.buf[offset] = v
	}
}

func (m *memory) store64(offset, v uint64) {
	if size := uint64(len(m.buf)); size >= 8 && offset <= size-8 {
		binary.LittleEndian.PutUint64(m.buf[offset:], v)
	}
}

func load64(b []byte, offset uint64) uint64 {
	if size := uint64(len(b)); size >= 8 && offset <= size-8 {
		return binary.LittleEndian.Uint64(b[offset:])
	}
	return 0
}

package engine

import "github.com/tetratelabs/wazero/experimental"

// A memory is the linear memory of one guest.
//
// The host closes it, not wazero's Free: a guest that exits frees its memory in
// the midst of a call, and the host may still look at it.
type memory interface {
	experimental.LinearMemory
	// bytes returns the memory in place. It is valid until the guest runs.
	bytes() []byte
	// reset brings the memory back to the content that it began with. It fails if
	// the guest has grown it, since what has grown cannot shrink.
	reset() bool
	close()
}

// A content is what memories begin with. It does not change.
type content interface {
	// open returns a new memory that can grow to limit bytes.
	open(limit uint64) (memory, error)
	// bytes returns the content in place, without the zeros at its end.
	bytes() []byte
	// size is how many bytes a memory has that begins with it.
	size() uint64
	close()
}

// freeze makes the content of an image; tests have it fail.
var freeze = newContent

// blank is what a memory begins with that nothing has been written to.
var blank = func() content {
	if c, err := newContent(nil); err == nil {
		return c
	}
	return newPlain(nil)
}()

// A linear gives a module its memory: wazero asks it to, once at most. It is the
// memory that wazero sees, and keeps count of it once it belongs to a tenant.
type linear struct {
	from content
	mem  memory // nil if the module has none

	tenant *Tenant
	held   int64        // bytes that the tenant answers for
	ctx    *callContext // of the instance
}

// Allocate implements experimental.MemoryAllocator.
func (l *linear) Allocate(_, limit uint64) experimental.LinearMemory {
	mem, err := l.from.open(limit)
	if err != nil {
		// The system may have no room for another mapping. A copy always works.
		mem = &copied{from: l.from, limit: limit}
	}
	l.mem = mem
	return l
}

// Reallocate implements experimental.LinearMemory.
func (l *linear) Reallocate(size uint64) []byte {
	more := int64(size) - l.held
	if l.tenant == nil || more <= 0 {
		return l.mem.Reallocate(size)
	}
	if !l.tenant.reserve(more) {
		return nil
	}
	b := l.mem.Reallocate(size)
	if b == nil {
		l.tenant.hold(-more)
		return nil
	}
	l.held += more
	l.ctx.grew(more)
	return b
}

// Free implements experimental.LinearMemory.
func (l *linear) Free() {
	if l.mem != nil {
		l.mem.Free()
	}
}

// belong has a tenant answer for the memory, of which it has reserved a part
// already. It returns how much that is.
func (l *linear) belong(t *Tenant, ctx *callContext, reserved int64) int64 {
	l.tenant, l.ctx = t, ctx
	if l.mem != nil {
		l.held = int64(len(l.mem.bytes()))
	}
	t.hold(l.held - reserved)
	return l.held
}

func (l *linear) close() {
	if l.mem != nil {
		l.mem.close()
		l.mem = nil
	}
	if l.tenant != nil {
		l.tenant.hold(-l.held)
		l.tenant = nil
	}
}

// A plain is a content that is copied into each memory, in ordinary Go memory.
// It works everywhere.
type plain struct {
	data  []byte
	total uint64
}

// newPlain copies the content of a memory.
func newPlain(b []byte) *plain {
	return &plain{data: append([]byte(nil), trim(b)...), total: uint64(len(b))}
}

func (p *plain) open(limit uint64) (memory, error) { return &copied{from: p, limit: limit}, nil }
func (p *plain) bytes() []byte                     { return p.data }
func (p *plain) size() uint64                      { return p.total }
func (p *plain) close()                            {}

// trim cuts off the zeros at the end.
func trim(b []byte) []byte {
	n := len(b)
	for n >= 8 && [8]byte(b[n-8:n]) == [8]byte{} {
		n -= 8
	}
	for n > 0 && b[n-1] == 0 {
		n--
	}
	return b[:n]
}

// A copied is a memory in ordinary Go memory.
type copied struct {
	from  content
	limit uint64
	buf   []byte
	begun bool
}

// Reallocate implements experimental.LinearMemory.
func (m *copied) Reallocate(size uint64) []byte {
	if !m.begun {
		m.begun = true
		m.buf = make([]byte, max(size, m.from.size()))
		copy(m.buf, m.from.bytes())
		return m.buf
	}
	if size > uint64(cap(m.buf)) {
		buf := make([]byte, size, max(size, min(2*uint64(cap(m.buf)), m.limit)))
		copy(buf, m.buf)
		m.buf = buf
	}
	m.buf = m.buf[:size]
	return m.buf
}

// Free implements experimental.LinearMemory.
func (m *copied) Free() {}

func (m *copied) bytes() []byte { return m.buf }

func (m *copied) reset() bool {
	if uint64(len(m.buf)) > m.from.size() {
		return false
	}
	clear(m.buf[copy(m.buf, m.from.bytes()):])
	return true
}

func (m *copied) close() { m.buf = nil }

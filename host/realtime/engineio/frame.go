package engineio

import (
	"encoding/binary"
	"errors"
	"fmt"
	"os"
	"unicode/utf8"

	"github.com/gobwas/ws"
)

// A violation is a reason to close a WebSocket: what its client sent breaks the
// protocol or a limit.
type violation struct {
	code ws.StatusCode
	text string
}

// Error is part of error.
func (v *violation) Error() string { return v.text }

// errClosed tells that the client has sent a close frame.
var errClosed = errors.New("the client has closed the websocket")

// parseHeader reads a frame header; n is its length, 0 if b does not hold all of it.
func parseHeader(b []byte) (h ws.Header, n int, err error) {
	if len(b) < 2 {
		return h, 0, nil
	}
	h.Fin = b[0]&0x80 != 0
	h.Rsv = b[0] >> 4 & 7
	h.OpCode = ws.OpCode(b[0] & 0xf)
	h.Masked = b[1]&0x80 != 0
	n = 2
	length := uint64(b[1] & 0x7f)
	least := uint64(0) // the shortest form must be used
	switch length {
	case 126:
		if len(b) < 4 {
			return h, 0, nil
		}
		length, least, n = uint64(binary.BigEndian.Uint16(b[2:])), 126, 4
	case 127:
		if len(b) < 10 {
			return h, 0, nil
		}
		length, least, n = binary.BigEndian.Uint64(b[2:]), 1<<16, 10
	}
	if length < least || length > 1<<62 {
		return h, 0, &violation{ws.StatusProtocolError, fmt.Sprintf("a frame has a length of %d in the wrong form", length)}
	}
	h.Length = int64(length)
	if h.Masked {
		if len(b) < n+4 {
			return h, 0, nil
		}
		copy(h.Mask[:], b[n:])
		n += 4
	}
	return h, n, nil
}

// frame returns the next frame. Its payload is valid until the next call.
func (c *socket) frame() (h ws.Header, payload []byte, err error) {
	for {
		h, n, err := parseHeader(c.buf[c.r:c.w])
		if err != nil {
			return h, nil, err
		}
		need := c.w - c.r + 1
		if n > 0 {
			if err := c.check(h); err != nil {
				return h, nil, err
			}
			need = n + int(h.Length)
		}
		if n > 0 && c.w-c.r >= need {
			payload := c.buf[c.r+n : c.r+need : c.r+need]
			ws.Cipher(payload, h.Mask, 0)
			if c.r += need; c.r == c.w {
				c.r, c.w = 0, 0
			}
			return h, payload, nil
		}
		c.makeRoom(need)
		if err := c.fill(); err != nil {
			return h, nil, err
		}
	}
}

// check refuses a frame by its header, before anything is allocated for it.
func (c *socket) check(h ws.Header) error {
	state := ws.StateServerSide
	if c.fragments {
		state = state.Set(ws.StateFragmented)
	}
	if err := ws.CheckHeader(h, state); err != nil {
		return &violation{ws.StatusProtocolError, err.Error()}
	}
	if limit := int64(c.server.config.MaxPayload); h.OpCode.IsData() && h.Length > limit-int64(len(c.partial)) {
		return &violation{ws.StatusMessageTooBig, fmt.Sprintf("a message is longer than %d bytes, the most that is taken", limit)}
	}
	return nil
}

// message returns the next message; it is valid until the next call. Control
// frames in front of it are dealt with.
func (c *socket) message() (data []byte, binary bool, err error) {
	if !c.fragments {
		c.partial = nil // was the last message
	}
	for {
		h, payload, err := c.frame()
		if err != nil {
			return nil, false, err
		}
		if h.OpCode.IsControl() {
			if err := c.control(h.OpCode, payload); err != nil {
				return nil, false, err
			}
			continue
		}
		if h.OpCode != ws.OpContinuation {
			c.isBinary = h.OpCode == ws.OpBinary
		}
		if c.fragments = !h.Fin; c.fragments || h.OpCode == ws.OpContinuation {
			c.partial = append(c.partial, payload...)
			payload = c.partial
		}
		if c.fragments {
			continue
		}
		if !c.isBinary && !utf8.Valid(payload) {
			return nil, false, &violation{ws.StatusInvalidFramePayloadData, errUTF8.Error()}
		}
		return payload, c.isBinary, nil
	}
}

// control deals with a control frame.
func (c *socket) control(op ws.OpCode, payload []byte) error {
	switch op {
	case ws.OpPing:
		c.session.pong(c, payload)
	case ws.OpClose:
		c.closeCode = ws.StatusNormalClosure
		if len(payload) > 0 {
			code, reason := ws.ParseCloseFrameData(payload)
			if err := ws.CheckCloseFrameData(code, reason); err != nil {
				return &violation{ws.StatusProtocolError, err.Error()}
			}
			c.closeCode = code
		}
		return errClosed
	}
	return nil // nobody waits for a pong: heartbeats are packets here
}

// makeRoom makes sure that something can be read behind what is there, which needs
// at least that many bytes in all. A buffer grows with what arrives, not with what
// a header announces.
func (c *socket) makeRoom(need int) {
	if c.buf == nil || c.w < len(c.buf) && c.r+need <= len(c.buf) {
		return
	}
	if c.r > 0 {
		c.w = copy(c.buf, c.buf[c.r:c.w])
		c.r = 0
	}
	if c.w == len(c.buf) {
		grown := make([]byte, min(need, 2*len(c.buf)))
		copy(grown, c.buf)
		c.releaseBuffer()
		c.buf = grown
	}
}

// releaseBuffer gives the buffer back, unless it has grown.
func (c *socket) releaseBuffer() {
	if len(c.buf) == readBuffer {
		c.server.readBuffers.Put((*[readBuffer]byte)(c.buf))
	}
	c.buf = nil
}

// fill reads something. While nothing comes and nothing is left over from before,
// there is no buffer.
func (c *socket) fill() error {
	if c.raw != nil {
		if err := c.raw.Read(c.readable); err != nil {
			return err
		}
		return c.readErr
	}
	if c.buf != nil && c.w == 0 {
		c.releaseBuffer()
	}
	if c.buf != nil {
		n, err := c.conn.Read(c.buf[c.w:])
		c.w += n
		return progress(n, err)
	}
	n, err := c.conn.Read(c.first[:])
	if n > 0 {
		c.buf = c.server.readBuffers.Get().(*[readBuffer]byte)[:]
		c.w = copy(c.buf, c.first[:n])
	}
	return progress(n, err)
}

// progress is the error of a read, unless something was read.
func progress(n int, err error) error {
	if n > 0 {
		return nil
	}
	return err
}

// onReadable reads what is there; false has the caller wait until something is.
func (c *socket) onReadable(fd uintptr) bool {
	if c.buf == nil {
		c.buf = c.server.readBuffers.Get().(*[readBuffer]byte)[:]
	}
	n, again, err := readNow(fd, c.buf[c.w:])
	if again {
		if c.w == 0 {
			c.releaseBuffer()
		}
		return false
	}
	c.w += n
	c.readErr = err
	return true
}

// timedOut tells whether a read has ended because it was told to.
func timedOut(err error) bool { return errors.Is(err, os.ErrDeadlineExceeded) }

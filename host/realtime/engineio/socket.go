package engineio

import (
	"crypto/tls"
	"net"
	"syscall"
	"time"

	"github.com/gobwas/ws"
)

const (
	readBuffer  = 4 << 10  // for frames that come in; larger ones have a buffer of their own
	writeBuffer = 32 << 10 // for what is written at once, of what waits

	stallTime  = 30 * time.Second // for a client to take what is written at once
	lingerTime = 3 * time.Second  // for a client to take the end of a session
	greetTime  = 5 * time.Second  // to write the answer to a handshake, which fits always
)

// A socket is a WebSocket connection. One goroutine reads it. What is sent is
// written by whoever sends it, in one system call that does not wait; only what the
// kernel does not take waits, for a goroutine that lives until it is written.
//
// Extensions are not negotiated: compression keeps a window of up to 64 KB for
// each connection and direction, more than all else that a connection needs, and
// an event could not be encoded once for all.
type socket struct {
	// These are guarded by the session's lock. Like those of a session, they are
	// all that an idle websocket needs to be written to.
	raw      syscall.RawConn // nil: a goroutine writes
	writable func(uintptr) bool
	out      []byte // what to write now
	written  int
	writing  bool // a goroutine writes
	broken   bool // nothing can be written any more
	writeErr error
	rest     []byte // of a frame that was written in part
	last     []byte // a control frame that goes behind all that waits

	server  *Server
	session *Session
	conn    net.Conn
	half    interface{ CloseWrite() error } // closes what is written; may be nil

	// These belong to the goroutine that reads.
	buf       []byte // what was read is buf[r:w]; nil while nothing is there
	r, w      int
	first     [16]byte // for the first bytes of a frame, if there is no raw
	readable  func(uintptr) bool
	readErr   error
	partial   []byte        // a message that comes in fragments
	closeCode ws.StatusCode // what the client closed with
	fragments bool          // more of them will come
	isBinary  bool
}

func newSocket(s *Server, conn net.Conn) *socket {
	c := &socket{server: s, conn: conn, raw: rawConn(conn), half: halfCloser(conn)}
	if c.raw != nil {
		c.readable, c.writable = c.onReadable, c.onWritable // once: they allocate
	}
	return c
}

// halfCloser returns what closes the writing side of a connection, nil if nothing can.
func halfCloser(conn net.Conn) interface{ CloseWrite() error } {
	for {
		if half, ok := conn.(interface{ CloseWrite() error }); ok {
			return half
		}
		wrapper, ok := conn.(interface{ NetConn() net.Conn })
		if _, secure := conn.(*tls.Conn); !ok || secure {
			return nil
		}
		conn = wrapper.NetConn()
	}
}

// onWritable writes once.
func (c *socket) onWritable(fd uintptr) bool {
	c.written, c.writeErr = writeNow(fd, c.out)
	return true
}

// write writes what the kernel takes at once and keeps the rest. The session is locked,
// and nothing else is being written.
func (c *socket) write(frame []byte) error {
	if c.raw == nil {
		c.rest = frame
		return nil
	}
	c.out = frame
	err := c.raw.Write(c.writable)
	c.out = nil
	if err == nil {
		err = c.writeErr
	}
	if err != nil {
		c.broken = true
		return err
	}
	if c.written < len(frame) {
		c.rest = frame[c.written:]
	}
	return nil
}

// wake ends the read that waits. Who reads then looks what has become of its session.
func (c *socket) wake() { _ = c.conn.SetReadDeadline(time.Unix(1, 0)) }

// linger lets a client take the close frame before the connection is closed:
// closing it while there is something to read would reset it, and the frame be lost.
// What comes is dropped, until the client closes as well or the time is over.
// garbled tells that what comes cannot be read as frames.
func (c *socket) linger(garbled bool) {
	err := c.conn.SetReadDeadline(time.Now().Add(lingerTime))
	for err == nil {
		if garbled {
			c.r, c.w = 0, 0
			err = c.fill()
		} else {
			_, _, err = c.message()
		}
	}
}

// close closes the connection.
func (c *socket) close() {
	if c.buf != nil {
		c.releaseBuffer()
	}
	c.partial = nil
	_ = c.conn.Close()
}

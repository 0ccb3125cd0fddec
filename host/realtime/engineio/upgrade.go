package engineio

import (
	"crypto/sha1"
	"encoding/base64"
	"errors"
	"net"
	"time"

	"github.com/gobwas/ws"
	"github.com/valyala/fasthttp"
)

// openTime passes between the answer to the handshake of a websocket and the open
// packet. A client that begins to listen only when it knows that its websocket is
// open loses what it reads together with the answer.
const openTime = 2 * time.Millisecond

// closeTryAgainLater is the code by which a WebSocket is closed that finds no place.
const closeTryAgainLater ws.StatusCode = 1013

var errNoUpgrade = errors.New("the client did not upgrade: 2probe and then 5 were expected")

// appendSwitching appends the answer to the handshake of a websocket.
func appendSwitching(dst, key []byte) []byte {
	accept := sha1.Sum(append(key[:len(key):len(key)], "258EAFA5-E914-47DA-95CA-C5AB0DC85B11"...))
	dst = append(dst, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\nSec-WebSocket-Accept: "...)
	dst = base64.StdEncoding.AppendEncode(dst, accept[:])
	return append(dst, "\r\n\r\n"...)
}

// hijacked has begin called with the connection of a request. begin must return
// soon: so long fasthttp keeps the request.
func (s *Server) hijacked(begin func(*socket)) fasthttp.HijackHandler {
	return func(wrapped net.Conn) {
		conn := wrapped
		if w, ok := wrapped.(interface{ UnsafeConn() net.Conn }); ok {
			conn = w.UnsafeConn()
		}
		if k, ok := conn.(interface{ Keep() }); ok {
			k.Keep() // it outlives this handler, see Serve
		}
		c := newSocket(s, conn)
		if err := c.keepEarly(wrapped); err != nil {
			_ = conn.Close()
			return
		}
		begin(c)
	}
}

// keepEarly keeps what fasthttp has read beyond the request. A client has to wait
// for the answer before it sends more, so that is rarely anything. A deadline that
// is past has the reader under wrapped return what it holds and read nothing.
func (c *socket) keepEarly(wrapped net.Conn) error {
	if err := wrapped.SetReadDeadline(time.Unix(1, 0)); err != nil {
		return err
	}
	for {
		var b [512]byte
		n, err := wrapped.Read(b[:])
		if n > 0 {
			c.buf = append(c.buf, b[:n]...)
			c.w += n
		}
		if timedOut(err) {
			return wrapped.SetReadDeadline(time.Time{})
		}
		if err != nil {
			return err
		}
	}
}

// greet writes before anything else is.
func (c *socket) greet(b []byte) error {
	if err := c.conn.SetWriteDeadline(time.Now().Add(greetTime)); err != nil {
		return err
	}
	if _, err := c.conn.Write(b); err != nil {
		return err
	}
	return c.conn.SetWriteDeadline(time.Time{})
}

// openSocket opens a session on a websocket. It is a goroutine of its own, so that
// fasthttp can have the request back, and that the one that reads starts with a small stack.
func (s *Server) openSocket(c *socket, hello []byte, g greeting) {
	c.writing = true // until the client has been greeted, what is sent waits
	session, err := s.open(g, c)
	if err != nil { // the last place was taken since the request was looked at
		_ = c.greet(append(hello, closeFrame(closeTryAgainLater, err.Error())...))
		c.close()
		return
	}
	if err = c.greet(hello); err == nil {
		time.Sleep(openTime)
		err = c.greet(s.openPacket(session.id).frame(binary4))
	}
	session.mu.Lock()
	if err != nil || session.reason != "" { // the Handler never hears of it
		session.reason = TransportClose
		session.mu.Unlock()
		s.forget(session)
		c.close()
		s.running.Done()
		return
	}
	c.writing = false
	s.running.Add(1) // for the goroutine; the session counts as well
	session.mu.Unlock()
	s.watch(session)
	go session.serve(c)
}

// serve is the goroutine of a session that opens on a websocket.
func (s *Session) serve(c *socket) {
	s.server.handler.Open(s)
	s.run(c)
}

// run handles a session on a websocket until it has ended.
func (s *Session) run(c *socket) {
	defer s.server.running.Done()
	err := s.read(c)
	v := (*violation)(nil)
	if errors.As(err, &v) {
		s.broken(v)
	}
	linger := false
	s.mu.Lock()
	switch {
	case errors.Is(err, errClosed):
		s.end(TransportClose, ending{code: c.closeCode})
	case s.reason != "" && (v != nil || errors.Is(err, errEnded) || timedOut(err)):
		linger = true // we have closed it
	default:
		c.broken = true
		s.end(TransportClose, ending{})
	}
	s.mu.Unlock()
	s.tell()
	if linger {
		c.linger(v != nil)
	}
	c.close()
}

// read receives what the client sends, until it or the session ends.
func (s *Session) read(c *socket) error {
	for {
		data, binary, err := c.message()
		if err != nil {
			return err
		}
		p, err := parsePacket(s.version, data, binary)
		if err == nil {
			err = s.receive(p)
		}
		if err == nil {
			continue
		}
		if !errors.Is(err, errEnded) {
			err = &violation{ws.StatusProtocolError, err.Error()}
		}
		return err
	}
}

// startProbe lets a session that polls try a websocket. If it has one already, or
// tries one, the new one is closed.
func (s *Session) startProbe(c *socket, hello []byte) {
	s.mu.Lock()
	free := s.alive() && s.socket == nil && s.probe == nil &&
		c.conn.SetReadDeadline(time.Now().Add(s.server.config.UpgradeTimeout)) == nil
	if free {
		s.claim()
		c.session, s.probe = s, c
		s.server.running.Add(1) // for the goroutine; the session counts as well
	}
	s.mu.Unlock()
	if !free {
		_ = c.greet(append(hello, closeFrame(ws.StatusPolicyViolation, "the session has a websocket or has ended")...))
		c.close()
		return
	}
	go s.tryUpgrade(c, hello)
}

// tryUpgrade is the goroutine of a websocket that may become the transport of a session.
func (s *Session) tryUpgrade(c *socket, hello []byte) {
	if err := s.awaitUpgrade(c, hello); err != nil {
		s.mu.Lock()
		s.probe, s.probed = nil, false
		s.mu.Unlock()
		_ = c.greet(closeFrame(ws.StatusPolicyViolation, "the upgrade failed"))
		c.close()
		s.server.running.Done()
		return
	}
	s.run(c)
}

// awaitUpgrade follows the upgrade of a session to a websocket.
func (s *Session) awaitUpgrade(c *socket, hello []byte) error {
	if err := c.greet(hello); err != nil {
		return err
	}
	if err := s.expect(c, kindPing, "probe"); err != nil {
		return err
	}
	s.mu.Lock()
	s.probed = true
	s.wakePoll() // it is answered: the client can only upgrade when it no longer polls
	s.mu.Unlock()
	if err := c.greet(newMessage(packet{kind: kindPong, data: []byte("probe")}).frame(binary4)); err != nil {
		return err
	}
	if err := s.expect(c, kindUpgrade, ""); err != nil {
		return err
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case !s.alive():
		return errEnded
	case s.handled: // its POST may be overtaken by what comes here
		s.end(TransportError, ending{})
		return errEnded
	}
	if err := c.conn.SetReadDeadline(time.Time{}); err != nil {
		return err
	}
	s.probe, s.probed = nil, false
	s.socket, s.handled = c, true
	s.wakePoll()
	s.startWriting() // what has waited for a poll
	return nil
}

// expect reads a packet that must be this one.
func (s *Session) expect(c *socket, kind byte, data string) error {
	message, binary, err := c.message()
	if err != nil {
		return err
	}
	p, err := parsePacket(s.version, message, binary)
	if err != nil {
		return err
	}
	if p.kind != kind || string(p.data) != data {
		return errNoUpgrade
	}
	return nil
}

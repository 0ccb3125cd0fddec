package engineio

import (
	"errors"
	"sync"
	"time"

	"github.com/gobwas/ws"
)

// The reasons for which sessions end. They are those of socket.io.
const (
	TransportClose = "transport close"
	TransportError = "transport error"
	PingTimeout    = "ping timeout"
	ForcedClose    = "forced close"
	ShuttingDown   = "server shutting down"
	TooSlow        = "too slow"
)

// errEnded tells that a session has ended: what its client still sends counts for nothing.
var errEnded = errors.New("the session has ended")

// A Session is a client that is connected, by whatever transport.
//
// Its lock is taken before that of the server and that of the wheel, never behind
// them, and it is never held while the Handler is called. The Handler is called
// by the goroutine that handles the session: the one of a POST, or the one that
// reads the websocket. When a session ends that nobody handles, a goroutine is
// started to tell the Handler.
type Session struct {
	// These come first, together: they are all that a message needs of a session
	// whose websocket is idle, and with many sessions none is in the cache.
	mu      sync.Mutex
	version int
	base64  bool    // its client takes no binary data
	handled bool    // somebody may call the Handler, and will look whether it has ended
	probed  bool    // the probe has been answered
	claimed bool    // its client has come back with its id
	reason  string  // why it has ended; "" while it lives
	socket  *socket // nil: it is polling

	server *Server
	id     string
	peer   any
	value  any

	expires time.Duration // when it ends unless its client is heard
	pingAt  time.Duration // revision 4: when a ping is due, 0: it is out
	place   place         // guarded by the wheel

	queue []*Message // what waits to be sent
	size  int        // of it, in bytes

	polled   chan struct{} // wakes the poll that waits; nil: none does
	farewell *Message      // an ended session: the last packet for a poll
	probe    *socket       // may become its transport
}

// ID returns the session's id, which nobody can guess: who has it can take its messages.
func (s *Session) ID() string { return s.id }

// Version returns the revision of the protocol that the client speaks, 3 or 4.
func (s *Session) Version() int { return s.version }

// Peer returns what is known of the request that has opened the session: see Config.
func (s *Session) Peer() any { return s.peer }

// Value returns what was set last.
func (s *Session) Value() any {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.value
}

// SetValue attaches a value to the session.
func (s *Session) SetValue(v any) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.value = v
}

// Send sends a message. It never waits. After the end of the session it does nothing.
func (s *Session) Send(m *Message) {
	s.mu.Lock()
	if s.reason == "" && len(m.packets) > 0 {
		s.send(m)
	}
	s.mu.Unlock()
}

// Close ends the session. What the client has not been sent yet is discarded.
func (s *Session) Close(reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end(reason, ending{last: s.server.closing, keep: true})
}

// Finish ends the session, as Close does, but what waits is still sent, if the
// client takes it within a few seconds.
func (s *Session) Finish(reason string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.end(reason, ending{last: s.server.closing, keep: true, flush: true})
}

// encoding returns how messages are written into frames.
func (s *Session) encoding() encoding {
	switch {
	case s.version == 4 && !s.base64:
		return binary4
	case s.version == 4:
		return base64of4
	case !s.base64:
		return binary3
	default:
		return base64of3
	}
}

// send sends a message or has it wait. The session is locked and lives.
func (s *Session) send(m *Message) {
	if c := s.socket; c != nil && !c.writing && c.raw != nil {
		if c.write(m.frame(s.encoding())) != nil {
			s.end(TransportClose, ending{})
		} else if c.rest != nil {
			s.startWriting()
		}
		return
	}
	// A message that is larger than the limit may wait alone.
	if s.size > 0 && s.size+m.size > s.server.config.MaxBuffered {
		s.end(TooSlow, ending{code: ws.StatusPolicyViolation})
		return
	}
	s.queue = append(s.queue, m)
	s.size += m.size
	if s.socket != nil {
		s.startWriting()
	} else {
		s.wakePoll()
	}
}

// startWriting starts a goroutine for what waits to be written to the websocket, if
// something does and there is none. The session is locked.
func (s *Session) startWriting() {
	c := s.socket
	if c.writing || c.broken || c.rest == nil && c.last == nil && len(s.queue) == 0 {
		return
	}
	c.writing = true
	s.server.running.Add(1) // not the first: the session counts as well
	go func() {
		defer s.server.running.Done()
		s.write(c)
	}()
}

// write writes what waits, until nothing does.
func (s *Session) write(c *socket) {
	b := s.server.writeBuffers.Get().(*[writeBuffer]byte)
	defer s.server.writeBuffers.Put(b)
	for {
		chunk, ended := s.takeChunk(c, b[:0])
		if len(chunk) == 0 {
			if ended {
				c.closeWrite() // not while the session is locked: over TLS it may wait
			}
			return
		}
		err := c.conn.SetWriteDeadline(time.Now().Add(stallTime))
		if err == nil {
			_, err = c.conn.Write(chunk)
		}
		if err != nil {
			s.mu.Lock()
			c.broken = true
			if timedOut(err) {
				s.end(TooSlow, ending{})
			} else {
				s.end(TransportClose, ending{})
			}
			s.mu.Unlock()
			return
		}
	}
}

// takeChunk moves to b what is to be written next. If it is nothing, there is no
// longer a goroutine that writes. It also tells whether the session has ended.
func (s *Session) takeChunk(c *socket, b []byte) (chunk []byte, ended bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for len(b) < cap(b) {
		if len(c.rest) == 0 {
			c.rest = nil
			switch {
			case len(s.queue) > 0:
				m := s.queue[0]
				s.queue[0] = nil
				s.queue = s.queue[1:]
				s.size -= m.size
				c.rest = m.frame(s.encoding())
				continue
			case c.last != nil:
				c.rest, c.last = c.last, nil
				continue
			}
			break
		}
		n := copy(b[len(b):cap(b)], c.rest)
		b, c.rest = b[:len(b)+n], c.rest[n:]
	}
	if len(b) == 0 {
		s.queue, c.writing = nil, false
		// Else writes that do not wait would find it exceeded.
		_ = c.conn.SetWriteDeadline(time.Time{})
	}
	return b, s.reason != ""
}

// closeWrite closes the writing side, behind the close frame.
func (c *socket) closeWrite() {
	if c.half != nil {
		_ = c.half.CloseWrite()
	}
}

// pong answers a ping frame. Only the latest needs an answer.
func (s *Session) pong(c *socket, payload []byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reason != "" || s.socket != c {
		return
	}
	frame := controlFrame(ws.OpPong, payload)
	if c.writing {
		c.last = frame
		return
	}
	if c.write(frame) != nil {
		s.end(TransportClose, ending{})
		return
	}
	s.startWriting()
}

// An ending says how a session ends.
type ending struct {
	code  ws.StatusCode // of the close frame; 0: a normal closure
	last  *Message      // for the poll that waits; nil: a close packet
	keep  bool          // if no poll waits, the next one gets last
	flush bool          // what waits is still sent
}

// end ends a session, unless it has ended. It is locked.
func (s *Session) end(reason string, e ending) {
	if s.reason != "" {
		return
	}
	if reason == "" {
		reason = ForcedClose
	}
	s.reason = reason
	if !e.flush {
		s.queue, s.size = nil, 0
	}
	switch {
	case s.socket != nil:
		s.endSocket(s.socket, e)
		s.server.forget(s)
	case s.polled != nil || e.keep:
		s.farewell = e.last
		if s.farewell == nil {
			s.farewell = s.server.closing
		}
		s.expires = s.server.clock() + lingerTime
		s.server.wheel.set(s, s.expires)
		s.wakePoll()
	default:
		s.queue = nil
		s.server.forget(s)
	}
	if s.probe != nil {
		s.probe.wake()
	}
	if !s.handled {
		s.handled = true
		go s.tell()
	}
}

// endSocket writes the close frame and wakes who reads, who then closes the connection.
func (s *Session) endSocket(c *socket, e ending) {
	code := e.code
	if code == 0 {
		code = ws.StatusNormalClosure
	}
	if !c.broken {
		frame := closeFrame(code, s.reason)
		switch {
		case c.writing:
			c.last = frame
		case c.write(frame) == nil && c.rest != nil:
			s.startWriting()
		default:
			c.closeWrite()
		}
	}
	c.wake()
}

// tell tells the Handler that the session has ended.
func (s *Session) tell() {
	s.server.handler.Close(s, s.reason)
	s.server.running.Done()
}

// release is called by who has handled the session and stops to.
func (s *Session) release() {
	s.mu.Lock()
	ended := s.reason != ""
	s.handled = ended
	s.mu.Unlock()
	if ended {
		s.tell()
	}
}

// What waits for a client that goes on sending is bounded more closely than what waits
// for one that listens: it is mostly answers, which are the client's alone, and which it
// would otherwise be given for as long as it sends, without reading one.
const (
	maxOwed   = 128 << 10             // bytes
	owedPause = 10 * time.Millisecond // between looks whether the client has taken them
	owedTime  = 5 * time.Second       // for one that polls
)

// await waits until the client has taken what waits for it, but for a little. Of a
// WebSocket it holds up the goroutine that reads, so that in the end the client cannot
// send; a client that takes nothing at all is cut off by who writes to it.
func (s *Session) await() error {
	for begin := time.Duration(0); ; time.Sleep(owedPause) {
		s.mu.Lock()
		owed := s.size
		if s.socket != nil {
			owed += len(s.socket.rest)
		} else if owed > maxOwed && begin != 0 && s.server.clock()-begin > owedTime {
			s.end(TooSlow, ending{})
		}
		ended := s.reason != ""
		s.mu.Unlock()
		switch {
		case ended:
			return errEnded
		case owed <= maxOwed:
			return nil
		case begin == 0:
			begin = s.server.clock()
		}
	}
}

// receive takes a packet from the client. It is called by who handles the session.
func (s *Session) receive(p packet) error {
	if p.kind == kindMessage || p.kind == kindPing { // which are answered
		if err := s.await(); err != nil {
			return err
		}
	}
	if err := s.take(p); err != nil {
		return err
	}
	if p.kind == kindMessage {
		s.server.handler.Message(s, p.data, p.binary)
	}
	return nil
}

// take does what a packet demands of the session itself.
func (s *Session) take(p packet) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.reason != "" {
		return errEnded
	}
	config, now := &s.server.config, s.server.clock()
	if s.version == 3 {
		s.expires = now + config.PingInterval + config.PingTimeout
	}
	switch p.kind {
	case kindPing:
		if s.version != 3 {
			return errors.New("the client sent a ping: in revision 4 of the protocol only the server does")
		}
		if len(p.data) == 0 {
			s.send(s.server.pong)
		} else {
			s.send(newMessage(packet{kind: kindPong, data: append([]byte(nil), p.data...)}))
		}
	case kindPong:
		if s.version != 4 {
			return errors.New("the client sent a pong: in revision 3 of the protocol only the server does")
		}
		s.pingAt = now + config.PingInterval
		s.expires = s.pingAt + config.PingTimeout
	case kindClose:
		s.end(TransportClose, ending{last: s.server.noop, keep: true})
		return errEnded
	}
	return nil
}

// claimTime is how long a session that polls is kept for a client that does not come
// back: clients do so at once, and others could fill the server with sessions for which
// they need no connection.
const claimTime = 10 * time.Second

// claim gives a session its full time, as its client has come. The session is locked.
func (s *Session) claim() {
	if !s.claimed {
		s.claimed = true
		s.expires = max(s.expires, s.server.clock()+s.server.config.PingInterval+s.server.config.PingTimeout)
	}
}

// called does what is due. The wheel calls it.
func (s *Session) called(now time.Duration) {
	s.mu.Lock()
	defer s.mu.Unlock()
	switch {
	case s.reason != "":
		s.server.forget(s) // no poll has come for its farewell
		return
	case now >= s.expires:
		s.end(PingTimeout, ending{})
		return
	case s.pingAt != 0 && now >= s.pingAt:
		s.ping(now)
		if s.reason != "" {
			return
		}
	}
	due := s.expires
	if s.version == 4 {
		// The pong to a ping that is out may come at any time.
		due = min(due, now+s.server.config.PingInterval)
	}
	if s.pingAt != 0 {
		due = min(due, s.pingAt)
	}
	s.server.wheel.set(s, due)
}

// ping sends a ping. The client has the more time to answer it the earlier it was
// due, but if the server itself is late, it still has most of it.
func (s *Session) ping(now time.Duration) {
	timeout := s.server.config.PingTimeout
	s.expires = max(s.pingAt+timeout, now+timeout*3/4)
	s.pingAt = 0
	s.send(s.server.ping)
}

// alive tells whether a request may use the session; if its time is over, it ends. It is locked.
func (s *Session) alive() bool {
	if s.reason == "" && s.server.clock() >= s.expires {
		s.end(PingTimeout, ending{})
	}
	return s.reason == ""
}

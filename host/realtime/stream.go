package realtime

import (
	"net"
	"sync"
	"time"

	"github.com/edgeset/edgeset/abi"
)

// A Stream takes events to a client by Server-Sent Events: it is a response that
// goes on.
//
// It becomes a member before the call that subscribes it, so that it misses
// nothing, and keeps what comes until it is started on a connection. The response
// ends when the connection does: its head has to say so (Connection: close, no
// Content-Length). A goroutine reads the connection, in order to notice its end,
// and another writes, only while there is something to be written.
type Stream struct {
	pulse   *pulse
	onClose func(reason string)
	member  *Member // nil: it has not joined

	mu      sync.Mutex
	late    *time.Timer // see Expect
	conn    net.Conn    // nil: it was not started
	slot    int         // of pulse
	waiting [][]byte    // to be written
	bytes   int         // of it, and of what is being written
	writing bool        // there is a goroutine that writes
	state   streamState
}

type streamState uint8

const (
	open     streamState = iota
	draining             // what waits is still written
	ended
)

const (
	maxBuffered  = 8 << 20 // bytes that wait for one client
	maxWrite     = 64 << 10
	startTime    = 5 * time.Second  // until it is started
	writeTime    = 30 * time.Second // for maxWrite bytes
	drainTime    = 5 * time.Second  // for all that waits when a stream is closed
	maxRead      = 1024             // bytes that a client may send, which should send none
	eventReserve = 64               // what an event takes besides its bytes
)

// Reasons for which a stream ends by itself.
const (
	reasonGone    = "transport close"
	reasonFailed  = "transport error"
	reasonTooSlow = "too slow"
)

var heartbeat = []byte(":\n\n")

// NewStream returns a stream that is not started yet. It joins the hub as a Sink, and
// leaves it by itself when it ends. onClose, which may be nil, is called once, when
// the stream takes nothing more: it does not block.
func (h *Hub) NewStream(onClose func(reason string)) *Stream {
	if onClose == nil {
		onClose = func(string) {}
	}
	return &Stream{pulse: &h.pulse, onClose: onClose}
}

// Expect has the stream end unless it is started soon: its connection can be lost on the
// way to that, and nobody is told.
func (s *Stream) Expect() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.late = time.AfterFunc(startTime, func() {
		s.mu.Lock()
		started := s.conn != nil
		s.mu.Unlock()
		if !started {
			s.cut(reasonGone)
		}
	})
}

// Start has the stream write to a connection, which is the stream's from now on:
// first the head, which is that of the response and the events that it begins
// with, then what was delivered in the meantime. If the stream has been closed, that
// is all. It is called once, returns at once, and may be given the connection of a
// fasthttp.HijackHandler, if that has a method Keep by which it outlives the handler,
// or the server KeepHijackedConns.
func (s *Stream) Start(conn net.Conn, head []byte) {
	// fasthttp's wrapper has a buffer for reading that is used again afterwards.
	if hijacked, ok := conn.(interface{ UnsafeConn() net.Conn }); ok {
		conn = hijacked.UnsafeConn()
	}
	if k, ok := conn.(interface{ Keep() }); ok {
		k.Keep()
	}
	_ = conn.SetDeadline(time.Time{}) // fails if the connection has ended, as writing does
	slot := s.pulse.add(s)

	s.mu.Lock()
	defer s.mu.Unlock()
	if s.late != nil {
		s.late.Stop()
	}
	if s.state == ended {
		_ = conn.Close()
		s.pulse.remove(s, slot)
		return
	}
	s.conn, s.slot = conn, slot
	s.waiting = append([][]byte{head}, s.waiting...)
	s.bytes += len(head) + eventReserve
	if s.state != open {
		s.drain()
		return
	}
	s.wake()
	go s.read(conn)
}

// Deliver is part of Sink.
func (s *Stream) Deliver(b *Bundle) { s.send(b.Stream()) }

// Refuse is part of Sink: a stream without a subscription is of no use.
func (s *Stream) Refuse(e *abi.Error) { s.Close(e.Code) }

// Close is part of Sink. What waits is still written, for a moment.
func (s *Stream) Close(reason string) {
	s.mu.Lock()
	first := s.state == open
	if first {
		s.state = draining
		if s.conn != nil {
			s.drain()
		}
	}
	s.mu.Unlock()
	if first {
		s.over(reason)
	}
}

// Dismiss is part of Sink. Clients of streams come back whatever they are told, unless
// it is in answer to that.
func (s *Stream) Dismiss(reason string) { s.Close(reason) }

// drain has what waits be written in a short time. The caller holds s.mu.
func (s *Stream) drain() {
	s.state = draining
	_ = s.conn.SetWriteDeadline(time.Now().Add(drainTime))
	s.wake()
}

// send has bytes written, which are kept.
func (s *Stream) send(b []byte) {
	s.mu.Lock()
	if s.state != open {
		s.mu.Unlock()
		return
	}
	if s.bytes += len(b) + eventReserve; s.bytes > maxBuffered {
		s.mu.Unlock()
		s.cut(reasonTooSlow)
		return
	}
	s.waiting = append(s.waiting, b)
	if s.conn != nil {
		s.wake()
	}
	s.mu.Unlock()
}

// wake sees to it that somebody writes. The caller holds s.mu.
func (s *Stream) wake() {
	if !s.writing {
		s.writing = true
		go s.write()
	}
}

// beat shows the client that the connection is alive, unless something is on its
// way anyway, and shows us if it is not.
func (s *Stream) beat() {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state == open && s.conn != nil && !s.writing {
		s.waiting = append(s.waiting, heartbeat)
		s.bytes += len(heartbeat) + eventReserve
		s.wake()
	}
}

// cut ends the stream at once.
func (s *Stream) cut(reason string) {
	s.mu.Lock()
	before, conn := s.state, s.conn
	s.state, s.waiting = ended, nil
	s.mu.Unlock()
	if before != ended && conn != nil {
		_ = conn.Close()
		s.pulse.remove(s, s.slot)
	}
	if before == open {
		s.over(reason)
	}
}

// over says that the stream takes nothing more.
func (s *Stream) over(reason string) {
	if s.member != nil {
		s.member.Leave()
	}
	s.onClose(reason)
}

// write writes what waits until nothing does.
func (s *Stream) write() {
	var room []byte
	for {
		list, last := s.next()
		if list == nil {
			if last {
				s.cut("")
			}
			return
		}
		var err error
		if room, err = s.writeAll(list, room); err != nil {
			reason := reasonFailed
			if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
				reason = reasonTooSlow
			}
			s.cut(reason)
			return
		}
		s.written(list)
	}
}

// next returns what waits, if anything, and whether nothing more will.
func (s *Stream) next() (list [][]byte, last bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	list, s.waiting = s.waiting, nil
	if len(list) == 0 {
		s.writing = false
		return nil, s.state == draining
	}
	return list, false
}

func (s *Stream) written(list [][]byte) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, b := range list {
		s.bytes -= len(b) + eventReserve
	}
}

// writeAll writes a list, small pieces together. It returns room to be used again.
func (s *Stream) writeAll(list [][]byte, room []byte) ([]byte, error) {
	room = room[:0]
	for _, b := range list {
		if len(room)+len(b) > maxWrite {
			if err := s.writeParts(room); err != nil {
				return room, err
			}
			room = room[:0]
		}
		if len(list) > 1 && len(b) <= maxWrite {
			room = append(room, b...)
			continue
		}
		if err := s.writeParts(b); err != nil {
			return room, err
		}
	}
	return room, s.writeParts(room)
}

// writeParts writes large pieces bit by bit: so a deadline is for a bounded number of
// bytes.
func (s *Stream) writeParts(b []byte) error {
	for len(b) > 0 {
		n := min(len(b), maxWrite)
		if err := s.setDeadline(); err != nil {
			return err
		}
		if _, err := s.conn.Write(b[:n]); err != nil {
			return err
		}
		b = b[n:]
	}
	return nil
}

// setDeadline gives the next bytes their time. A stream that drains has its own.
func (s *Stream) setDeadline() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.state != open {
		return nil
	}
	return s.conn.SetWriteDeadline(time.Now().Add(writeTime))
}

// read reads until the connection ends. A client has nothing to say: a few bytes
// are ignored.
func (s *Stream) read(conn net.Conn) {
	var b [1]byte
	for range maxRead {
		if _, err := conn.Read(b[:]); err != nil {
			s.cut(reasonGone)
			return
		}
	}
	s.cut(reasonFailed)
}

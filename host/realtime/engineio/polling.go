package engineio

import (
	"io"
	"time"

	"github.com/valyala/fasthttp"
)

const (
	// lookTime is how often a poll looks whether its client is still there.
	lookTime = time.Second

	// probeTime is how long a poll may wait while a websocket is probed. Its client
	// has to end polling before it upgrades; a little patience spares it polling again and again.
	probeTime = 20 * time.Millisecond
)

// An answer is what a poll is answered with: messages, or an error.
type answer struct {
	messages []*Message
	refusal  refusal
}

// body returns the body of a request, false if it is too large.
func (s *Session) body(ctx *fasthttp.RequestCtx) ([]byte, bool) {
	limit := s.server.config.MaxPayload
	if ctx.Request.Header.ContentLength() > limit {
		return nil, false
	}
	if !ctx.Request.IsBodyStream() {
		body := ctx.PostBody()
		return body, len(body) <= limit
	}
	// What cannot be read is missing, and found out when it is decoded.
	body, _ := io.ReadAll(io.LimitReader(ctx.RequestBodyStream(), int64(limit)+1))
	return body, len(body) <= limit
}

// poll answers a poll with what waits, or with what comes first.
func (s *Session) poll(ctx *fasthttp.RequestCtx, gone func() bool) {
	s.mu.Lock()
	s.alive()
	if s.polled != nil { // a second one at the same time: the order would be lost
		s.end(TransportError, ending{})
		s.mu.Unlock()
		refuse(ctx, fasthttp.StatusBadRequest, badRequest)
		return
	}
	s.claim()
	a, ok := s.answer(false)
	if !ok {
		a = s.wait(gone)
	}
	s.mu.Unlock()
	s.reply(ctx, a)
}

// wait waits for an answer. The session is locked, but not while it waits.
func (s *Session) wait(gone func() bool) answer {
	polled := make(chan struct{}, 1)
	s.polled = polled
	patience := lookTime
	if s.probed {
		patience = probeTime
	}
	t := time.NewTimer(patience)
	defer t.Stop()
	for {
		s.mu.Unlock()
		select {
		case <-polled:
		case <-t.C:
			t.Reset(lookTime)
		}
		left := gone != nil && gone()
		s.mu.Lock()
		if left {
			s.end(TransportClose, ending{})
		}
		if a, ok := s.answer(true); ok {
			s.polled = nil
			return a
		}
	}
}

// wakePoll wakes the poll that waits, if one does. The session is locked.
func (s *Session) wakePoll() {
	if s.polled == nil {
		return
	}
	select {
	case s.polled <- struct{}{}:
	default: // it is awake
	}
}

// answer returns what a poll is answered with, false if it has to wait. The
// session is locked.
func (s *Session) answer(waited bool) (answer, bool) {
	list, size := s.some()
	switch {
	case s.reason != "" && s.farewell != nil:
		if len(list) == len(s.queue) {
			list = append(list, s.farewell)
			s.farewell = nil
			s.server.forget(s)
		}
	case s.reason != "":
		return answer{refusal: unknownSession}, true
	case s.socket != nil:
		return answer{refusal: badRequest}, true
	case len(list) > 0:
	case s.probed && waited:
		list = append(list, s.server.noop)
	default:
		return answer{}, false
	}
	taken := min(len(list), len(s.queue))
	if s.queue, s.size = s.queue[taken:], s.size-size; len(s.queue) == 0 {
		s.queue = nil
	}
	return answer{messages: list}, true
}

// maxAnswer bounds what a poll is answered with, in bytes: unlike what is written to a
// websocket it is copied. The client comes back for the rest at once.
const maxAnswer = 256 << 10

// some returns the first of the messages that wait, at least one if any does, and their
// size.
func (s *Session) some() (list []*Message, size int) {
	n := 0
	for n < len(s.queue) && (n == 0 || size+s.queue[n].size <= maxAnswer) {
		size += s.queue[n].size
		n++
	}
	return s.queue[:n:n], size
}

// reply writes the answer to a poll.
func (s *Session) reply(ctx *fasthttp.RequestCtx, a answer) {
	if len(a.messages) == 0 {
		refuse(ctx, fasthttp.StatusBadRequest, a.refusal)
		return
	}
	payload, binary := appendPayload(nil, s.version, s.base64, a.messages)
	if binary {
		ctx.SetContentType("application/octet-stream")
	} else {
		ctx.SetContentType("text/plain; charset=UTF-8")
	}
	ctx.Response.Header.Set("Cache-Control", "no-store")
	ctx.Response.SetBodyRaw(payload)
}

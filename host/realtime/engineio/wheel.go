package engineio

import (
	"sync"
	"time"
)

// A wheel calls sessions when their time has come: one goroutine for all of them,
// and nothing to allocate. Its slots are those of a clock that goes round; each
// is a list of sessions that are due in the same tick. Times are counted from the
// start of the server.
//
// A session stands on the wheel once or not at all. It is often called too early,
// because a heartbeat has moved its time: it then says when to call again. So
// packets that come in do not touch the wheel.
type wheel struct {
	tick time.Duration

	mu    sync.Mutex
	last  int64 // the last tick that is over
	slots []*Session
}

// wheelSlots times the tick is longer than what sessions wait for; what is due
// later is called early.
const wheelSlots = 512

// A place is where a session stands on the wheel.
type place struct {
	next, prev *Session
	slot       int32
	set        bool
}

func newWheel(tick time.Duration) *wheel {
	return &wheel{tick: tick, slots: make([]*Session, wheelSlots)}
}

// set has s called at due, or a tick later.
func (w *wheel) set(s *Session, due time.Duration) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unlink(s)
	t := int64((due + w.tick - 1) / w.tick)
	t = min(max(t, w.last+1), w.last+wheelSlots-1)
	slot := int32(t % wheelSlots)
	s.place = place{next: w.slots[slot], slot: slot, set: true}
	if s.place.next != nil {
		s.place.next.place.prev = s
	}
	w.slots[slot] = s
}

// remove takes s off the wheel.
func (w *wheel) remove(s *Session) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.unlink(s)
}

func (w *wheel) unlink(s *Session) {
	if !s.place.set {
		return
	}
	if s.place.prev != nil {
		s.place.prev.place.next = s.place.next
	} else {
		w.slots[s.place.slot] = s.place.next
	}
	if s.place.next != nil {
		s.place.next.place.prev = s.place.prev
	}
	s.place = place{}
}

// due takes the sessions whose time has come by now off the wheel.
func (w *wheel) due(dst []*Session, now time.Duration) []*Session {
	w.mu.Lock()
	defer w.mu.Unlock()
	t := int64(now / w.tick)
	w.last = max(w.last, t-wheelSlots) // once around reaches all
	for w.last < t {
		w.last++
		for s := w.slots[w.last%wheelSlots]; s != nil; {
			next := s.place.next
			s.place = place{}
			dst = append(dst, s)
			s = next
		}
		w.slots[w.last%wheelSlots] = nil
	}
	return dst
}

// run calls sessions until done is closed.
func (w *wheel) run(clock func() time.Duration, done <-chan struct{}) {
	t := time.NewTicker(w.tick)
	defer t.Stop()
	var list []*Session
	for {
		select {
		case <-t.C:
		case <-done:
			return
		}
		list = w.due(list[:0], clock())
		for _, s := range list {
			s.called(clock())
		}
		clear(list) // a session that is closed must not be kept by it
	}
}

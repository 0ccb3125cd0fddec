package realtime

import (
	"container/heap"
	"errors"
	"fmt"
	"time"

	"github.com/edgeset/edgeset/abi"
)

// maxChecks is how many credentials are checked at a time.
const maxChecks = 16

// recheck has the credential of a subscription checked again, and parks the member
// until that is done.
func (h *Hub) recheck(g *grant) {
	m := g.member
	if g.state != valid || m.grant != g || m.left.Load() {
		return
	}
	g.state = checking
	h.grants.unwatch(g) // the answer will have keys of its own
	h.expiries.remove(g)
	if m.parked == nil {
		m.parked = &parking{}
	}
	h.stats.checks.Add(1)
	h.mu.Lock()
	defer h.mu.Unlock()
	h.due.push(g)
	if h.checking < maxChecks {
		h.checking++
		go h.check()
	}
}

// check checks credentials until none is due.
func (h *Hub) check() {
	for {
		g := h.nextDue()
		if g == nil {
			return
		}
		if g.member.left.Load() {
			continue
		}
		generation := h.Generation()
		c, err := h.ask(g.credential)
		c.Generation = generation
		h.post(func() { h.checked(g, c, err) })
	}
}

func (h *Hub) nextDue() *grant {
	h.mu.Lock()
	defer h.mu.Unlock()
	g, ok := h.due.pop()
	if !ok {
		h.checking--
		h.quiet.Broadcast()
	}
	return g
}

func (h *Hub) ask(c Credential) (answer Credential, err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("realtime: check a credential of the kind %q: panic: %v", c.Kind, p)
		}
	}()
	return h.config.Check(c)
}

// checked goes on with a member whose credential has been checked. The member may
// have subscribed anew meanwhile: then the answer is about what was held before.
func (h *Hub) checked(g *grant, c Credential, err error) {
	m := g.member
	if m.left.Load() {
		return
	}
	if err == nil && c.Caller.Expires > 0 && c.Caller.Expires <= h.config.Now().UnixMicro() {
		err = fmt.Errorf("realtime: check a credential of the kind %q: it counts, and has expired: want one or the other", c.Kind)
	}
	current := m.grant == g
	var refusal *abi.Error
	switch {
	case err == nil && !current:
		g.state = valid
		h.settle(m)
	case err == nil:
		g.state = valid
		g.set(c)
		stale := h.grants.rewatch(g, c.Keys, c.Generation)
		h.expire(g)
		if stale {
			h.recheck(g)
			return
		}
		h.settle(m)
	case errors.As(err, &refusal) && refusal.Status < 500 && refusal.Status != 429: // else it is not about the credential
		g.state = void
		if current {
			h.release(m)
			h.leaveAll(m)
			m.filters = nil
		}
		h.settle(m)
		if current && !m.left.Load() {
			h.stats.dropped[refused].Add(1)
			m.sink.Refuse(refusal)
		}
	case current || m.parked != nil:
		h.config.Log.Warn("realtime: a connection is closed: its credential could not be checked", "kind", g.credential.Kind, "error", err)
		h.drop(m, unchecked)
	}
}

// expire has the member's grant end in time.
func (h *Hub) expire(g *grant) {
	g.member.expires = g.expires
	if g.expires != never {
		heap.Push(&h.expiries, g)
		h.arm()
	}
}

// late tells whether the member's grant has expired.
func (h *Hub) late(m *Member) bool { return m.expires <= h.config.Now().UnixMicro() }

// The timer may be late by a moment, so that it serves many at a time: whoever gets
// an event before is seen to then. It looks at the clock each minute at least,
// since clocks are set.
const (
	minAlarm = 100 * time.Millisecond
	maxAlarm = time.Minute
)

// arm sets the timer for the next grant that expires.
func (h *Hub) arm() {
	if len(h.expiries) == 0 || h.shut {
		return
	}
	at := h.expiries[0].expires
	if h.alarm != 0 && h.alarm <= at {
		return
	}
	left := time.UnixMicro(at).Sub(h.config.Now())
	h.alarm = at
	if h.timer == nil {
		h.timer = time.AfterFunc(min(left+minAlarm, maxAlarm), func() { h.post(h.ring) })
		return
	}
	h.timer.Reset(max(minAlarm, min(left+minAlarm, maxAlarm)))
}

// ring checks the credentials that have expired.
func (h *Hub) ring() {
	h.alarm = 0
	now := h.config.Now().UnixMicro()
	for len(h.expiries) > 0 && h.expiries[0].expires <= now {
		h.recheck(heap.Pop(&h.expiries).(*grant))
	}
	h.arm()
}

// expiries is a heap: the grant that expires next comes first.
type expiries []*grant

func (e expiries) Len() int           { return len(e) }
func (e expiries) Less(i, j int) bool { return e[i].expires < e[j].expires }

func (e expiries) Swap(i, j int) {
	e[i], e[j] = e[j], e[i]
	e[i].index, e[j].index = i, j
}

// Push is part of heap.Interface.
func (e *expiries) Push(g any) {
	g.(*grant).index = len(*e)
	*e = append(*e, g.(*grant))
}

// Pop is part of heap.Interface.
func (e *expiries) Pop() any {
	last := len(*e) - 1
	g := (*e)[last]
	(*e)[last] = nil
	*e = (*e)[:last]
	g.index = -1
	return g
}

func (e *expiries) remove(g *grant) {
	if g.index >= 0 {
		heap.Remove(e, g.index)
	}
}

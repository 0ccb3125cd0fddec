package realtime

import (
	"crypto/rand"
	"encoding/base64"
	"math"
	"sync/atomic"

	"github.com/edgeset/edgeset/abi"
)

// A Sink takes events to a client. Its methods never block. They are called one at
// a time, by different goroutines.
type Sink interface {
	// Deliver is called with the events in their order.
	Deliver(b *Bundle)
	// Refuse says that the credential no longer counts that the subscription
	// rests on, which has ended. The member stays, in the room of its own only.
	Refuse(e *abi.Error)
	// Close is called when the hub ends the connection, whose client may come back.
	// The member has left by then.
	Close(reason string)
	// Dismiss is Close for a connection that the plugin ends.
	Dismiss(reason string)
}

// A Member is a connection of a client to an endpoint of a plugin.
type Member struct {
	hub  *Hub
	id   string
	sink Sink
	left atomic.Bool

	// What follows is the dispatcher's.
	mark    uint64 // see Hub.sequence
	box     int    // 1 for the first of the round; 0: it has none
	expires int64  // when the grant does, in microseconds since the epoch
	parked  *parking
	filters [][]string
	grant   *grant // nil: it has not subscribed
	space   *space // nil: it is not in the hub
	seats   []seat
}

// never is when something expires that does not.
const never = math.MaxInt64

// Join makes a connection to the plugin a member.
func (h *Hub) Join(plugin string, s Sink) *Member {
	var random [15]byte
	_, _ = rand.Read(random[:]) // never fails
	return h.JoinAs(plugin, base64.RawURLEncoding.EncodeToString(random[:]), s)
}

// JoinAs makes a connection a member that has an id already, which nobody can guess.
// It must have joined before a call that may subscribe it is made an offer.
func (h *Hub) JoinAs(plugin, id string, s Sink) *Member {
	m := &Member{hub: h, id: id, sink: s, expires: never}
	if stream, ok := s.(*Stream); ok {
		stream.member = m // before anything can end it
	}
	h.post(func() { h.join(plugin, m) })
	return m
}

func (h *Hub) join(plugin string, m *Member) {
	if m.left.Load() {
		return
	}
	s := h.spaces[plugin]
	if s == nil {
		s = &space{plugin: plugin, members: map[string]*Member{}, rooms: map[string]*room{}}
		h.spaces[plugin] = s
	}
	_, taken := s.members[m.id]
	if !taken {
		m.space, s.members[m.id] = s, m
		h.stats.members.Add(1)
	}
	switch {
	case taken:
		h.drop(m, twice)
	case h.shut:
		h.drop(m, closing)
	}
}

// ID returns the member's id, which is also the name of its own room.
func (m *Member) ID() string { return m.id }

// Leave ends the membership. No delivery begins afterwards but one that the
// dispatcher was just about to make.
func (m *Member) Leave() {
	if !m.left.Swap(true) {
		m.hub.post(func() { m.hub.remove(m) })
	}
}

// remove takes a member out of all that leads to it.
func (h *Hub) remove(m *Member) {
	s := m.space
	if s == nil {
		return
	}
	h.release(m)
	h.leaveAll(m)
	m.parked, m.filters, m.space = nil, nil, nil
	delete(s.members, m.id)
	h.stats.members.Add(-1)
	if len(s.members) == 0 {
		delete(h.spaces, s.plugin)
	}
}

// A cause is why the hub closes or refuses a member.
type cause uint8

const (
	tooSlow cause = iota
	overloaded
	refused
	unchecked
	crowded
	twice
	broken
	disconnected
	closing
	causes
)

// label names the cause for metrics.
func (c cause) label() string {
	return [causes]string{"too_slow", "overloaded", "refused", "unchecked", "too_many_rooms", "duplicate", "internal", "plugin", "closed"}[c]
}

// reason tells people.
func (c cause) reason() string {
	return [causes]string{
		tooSlow:    "too slow",
		overloaded: "the server is overloaded; catch up",
		unchecked:  "the credential could not be checked; come back",
		crowded:    "too many rooms",
		twice:      "the id of the connection is taken",
		broken:     "internal error; come back",
	}[c]
}

// drop ends a connection.
func (h *Hub) drop(m *Member, c cause) {
	reason := c.reason()
	if c == closing {
		reason = h.farewell
	}
	h.end(m, c, reason)
}

func (h *Hub) end(m *Member, c cause, reason string) {
	if m.left.Swap(true) {
		return
	}
	h.remove(m)
	h.stats.dropped[c].Add(1)
	end := m.sink.Close
	if c == disconnected {
		end = m.sink.Dismiss
	}
	h.guard("the end of a connection", func() { end(reason) })
}

// dropAll ends all connections. The last offer is the last that was made to them.
func (h *Hub) dropAll(c cause, offer uint64) {
	h.grants.forget(offer)
	for _, s := range h.spaces {
		for _, m := range s.members {
			h.drop(m, c)
		}
	}
}

// A parking keeps the events of a member while it is found out whether its
// credential still counts.
type parking struct {
	list  fifo[parcel]
	bytes int
}

// A parcel is an event, and the grant on which it may be delivered.
type parcel struct {
	event *Event
	grant *grant
}

const (
	maxParked      = 4096
	maxParkedBytes = 1 << 20
)

// hold keeps an event for a parked member.
func (h *Hub) hold(m *Member, e *Event) {
	p := m.parked
	if p.bytes += e.weight(); p.bytes > maxParkedBytes || p.list.len() == maxParked {
		h.drop(m, tooSlow)
		return
	}
	p.list.push(parcel{e, m.grant})
}

// settle delivers what was held for a member, as far as it is known that it may be.
func (h *Hub) settle(m *Member) {
	for p := m.parked; p != nil && !m.left.Load(); {
		next, some := p.list.first()
		if !some {
			if m.grant == nil || m.grant.state == valid {
				m.parked = nil
			}
			return
		}
		if next.grant != nil && next.grant.state == checking {
			return
		}
		_, _ = p.list.pop()
		p.bytes -= next.event.weight()
		if next.grant == nil || next.grant.state == valid {
			if !h.guard("an event", func() { m.sink.Deliver(next.event.Alone()) }) {
				h.drop(m, broken)
			}
			h.stats.deliveries.Add(1)
		}
	}
}

// wants tells whether an event passes the member's filters.
func (m *Member) wants(e *Event) bool {
	if m.filters == nil || len(e.Labels) == 0 {
		return true
	}
	for _, f := range m.filters {
		if matches(f, e.Labels) {
			return true
		}
	}
	return false
}

func matches(filter, labels []string) bool {
	if len(filter) != len(labels) {
		return false
	}
	for i, f := range filter {
		if f != "*" && f != labels[i] {
			return false
		}
	}
	return true
}

package realtime

import (
	"runtime"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/edge"
)

// apply does what a publication says.
func (h *Hub) apply(record []byte) {
	p, err := edge.ReadPublication(record)
	if err != nil {
		h.config.Log.Error("realtime: a publication was dropped: want what edge.Call.Publish has written", "bytes", len(record), "error", err)
		return
	}
	m, s := p.Message, h.spaces[p.Plugin]
	if m.Op != abi.OpEmit {
		h.flush() // what was emitted before is for those who were there then
	}
	if m.Op == abi.OpSubscribe {
		h.subscribe(s, p.Subscription, m)
		return
	}
	if s == nil {
		return // nobody is there
	}
	switch m.Op {
	case abi.OpEmit:
		h.emit(s, m, len(record))
	case abi.OpJoin:
		for _, to := range h.collect(s, m.To, nil) {
			if !h.enter(to, m.Rooms) {
				h.drop(to, crowded)
			}
		}
	case abi.OpLeave:
		audience := h.collect(s, m.To, nil)
		h.markRooms(s, m.Rooms)
		for _, to := range audience {
			h.leaveMarked(to)
		}
	case abi.OpDisconnect:
		reason := clip(m.Reason)
		for _, to := range h.collect(s, m.To, nil) {
			h.end(to, disconnected, reason)
		}
	}
	h.dismiss()
}

// maxReason is what fits in the frame that closes a websocket.
const maxReason = 123

// clip returns a copy of a reason that a plugin gives.
func clip(reason string) string {
	return strings.Clone(strings.ToValidUTF8(reason[:min(len(reason), maxReason)], ""))
}

// subscribe has a member be in the rooms and no others, on the grant that was
// offered to the call.
func (h *Hub) subscribe(s *space, offer string, msg *abi.Message) {
	g := h.grants.take(offer)
	if g == nil {
		return
	}
	var m *Member
	if s != nil {
		m = s.members[msg.To[0]]
	}
	if m == nil || m.left.Load() {
		h.grants.unwatch(g)
		return
	}
	h.release(m)
	h.leaveAll(m)
	m.filters = cloneFilters(msg.Filters)
	m.grant = g
	h.stats.subscribed.Add(1)
	stale := h.grants.bind(g, m)
	h.expire(g)
	if !h.enter(m, msg.Rooms) {
		h.drop(m, crowded)
		return
	}
	if stale || h.late(m) {
		h.recheck(g)
		return
	}
	h.settle(m)
}

// release ends the member's subscription, if it has one, but leaves it in its rooms.
func (h *Hub) release(m *Member) {
	g := m.grant
	if g == nil {
		return
	}
	h.grants.unwatch(g)
	h.expiries.remove(g)
	m.grant, m.expires = nil, never
	h.stats.subscribed.Add(-1)
}

// cloneFilters makes a copy: filters share the memory of a whole message.
func cloneFilters(filters [][]string) [][]string {
	if filters == nil {
		return nil
	}
	list := make([][]string, len(filters))
	for i, f := range filters {
		list[i] = make([]string, len(f))
		for j, label := range f {
			list[i][j] = strings.Clone(label)
		}
	}
	return list
}

// emit delivers events. The size is that of the message: an event that is but a
// small part of it does not keep the whole in memory.
func (h *Hub) emit(s *space, msg *abi.Message, size int) {
	h.stats.events.Add(uint64(len(msg.Events)))
	audience := h.collect(s, msg.To, msg.Except)
	if len(audience) == 0 || len(msg.Events) == 0 {
		return
	}
	now := h.config.Now().UnixMicro()
	for i := range msg.Events {
		e := NewEvent(&msg.Events[i])
		if e.weight() < size/2 {
			e = detached(&msg.Events[i])
		}
		h.round.number(e)
		for _, m := range audience {
			h.hand(m, e, now)
		}
		if h.round.full() {
			h.flush()
		}
	}
}

// hand has a member get an event: with the round, or, if it is parked or has to be, when
// it is known that it may.
func (h *Hub) hand(m *Member, e *Event, now int64) {
	switch {
	case m.left.Load() || !m.wants(e):
		return
	case m.parked == nil && m.expires > now:
		h.round.put(m, e)
		return
	case m.parked == nil:
		h.recheck(m.grant)
	}
	if m.parked != nil {
		h.hold(m, e)
	}
}

// flush delivers the events of the round.
func (h *Hub) flush() {
	defer h.round.clear()
	if len(h.round.boxes) > 0 {
		h.round.seal()
		h.fan(h.round.boxes)
	}
}

const (
	maxAlone  = 256 // members that the dispatcher delivers to by itself
	chunkSize = 64
)

// fan delivers what is in the boxes, by several goroutines if there are many. It returns
// when all has been delivered: so a member's events keep their order.
func (h *Hub) fan(boxes []box) {
	if len(boxes) <= maxAlone {
		h.deliver(boxes)
		return
	}
	var next atomic.Int64
	work := func() {
		for {
			end := int(next.Add(chunkSize))
			if end-chunkSize >= len(boxes) {
				return
			}
			h.deliver(boxes[end-chunkSize : min(end, len(boxes))])
		}
	}
	var others sync.WaitGroup
	for range runtime.GOMAXPROCS(0) - 1 {
		others.Go(work)
	}
	work()
	others.Wait()
}

// deliver delivers what is in some boxes, one after the other.
func (h *Hub) deliver(boxes []box) {
	delivered := 0
	for i := 0; i < len(boxes); {
		i = h.deliverFrom(i, boxes, &delivered)
	}
	h.stats.deliveries.Add(uint64(delivered))
}

// deliverFrom delivers from box i on, and returns the index behind the last. That of a
// member whose sink panics is the last: the member is cut off.
func (h *Hub) deliverFrom(i int, boxes []box, delivered *int) (end int) {
	end = i
	defer func() {
		if p := recover(); p != nil {
			m := boxes[end].member
			h.config.Log.Error("realtime: a connection is closed: its sink has caused a panic", "panic", p)
			h.post(func() { h.drop(m, broken) })
			end++
		}
	}()
	for ; end < len(boxes); end++ {
		if b := &boxes[end]; !b.member.left.Load() {
			b.member.sink.Deliver(b.bundle)
			*delivered += len(b.list)
		}
	}
	return end
}

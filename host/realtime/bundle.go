package realtime

import "sync"

// A Bundle is events that are delivered together, in their order: what a member gets of
// publications that waited at the same time. It is encoded once for all members that
// get the same. It is immutable and safe for concurrent use.
type Bundle struct {
	Events []*Event

	socketOnce sync.Once
	socket     any
	streamOnce sync.Once
	stream     []byte
}

// Socket returns what encode makes of the events for sockets. It is called once:
// whoever asks later gets what it returned then.
func (b *Bundle) Socket(encode func([]*Event) any) any {
	b.socketOnce.Do(func() { b.socket = encode(b.Events) })
	return b.socket
}

// Stream returns the events as a stream of Server-Sent Events carries them. The bytes
// must not be changed.
func (b *Bundle) Stream() []byte {
	b.streamOnce.Do(func() {
		for _, e := range b.Events {
			b.stream = e.AppendStream(b.stream)
		}
	})
	return b.stream
}

// A round is the events of publications that were worked off one behind the other, and
// who gets which of them. When many events come at once a member gets several of them
// with one delivery, so the busier a hub is, the less a delivery costs.
type round struct {
	boxes  []box
	events int // number of them
	weight int
	// Members who get the same neighbours among the events share a bundle.
	bundles map[span]*Bundle
}

// A box holds what a member gets.
type box struct {
	member *Member
	list   []*Event
	bundle *Bundle
}

// A span is events without a gap.
type span struct{ first, count int }

// Limits of a round: beyond them it is delivered.
const (
	maxRoundEvents = 128
	maxRoundWeight = 256 << 10
	maxRoundBoxes  = 1 << 16 // that are kept for the next round
)

// put puts an event of the round into the box of a member.
func (r *round) put(m *Member, e *Event) {
	if m.box == 0 {
		if len(r.boxes) < cap(r.boxes) {
			r.boxes = r.boxes[:len(r.boxes)+1] // with the list that it had before
		} else {
			r.boxes = append(r.boxes, box{})
		}
		m.box = len(r.boxes)
		r.boxes[m.box-1].member = m
	}
	b := &r.boxes[m.box-1]
	b.list = append(b.list, e)
}

// number adds an event to the round.
func (r *round) number(e *Event) {
	e.number = r.events
	r.events++
	r.weight += e.weight()
}

func (r *round) full() bool { return r.events >= maxRoundEvents || r.weight >= maxRoundWeight }

// seal makes the bundles.
func (r *round) seal() {
	var last span
	var bundle *Bundle
	for i := range r.boxes {
		b := &r.boxes[i]
		s := span{b.list[0].number, len(b.list)}
		gap := b.list[s.count-1].number-s.first+1 != s.count
		switch {
		case gap:
			b.bundle = newBundle(b.list)
			continue
		case s == last:
		case r.bundles[s] != nil:
			last, bundle = s, r.bundles[s]
		default:
			last, bundle = s, newBundle(b.list)
			if r.bundles == nil {
				r.bundles = map[span]*Bundle{}
			}
			r.bundles[s] = bundle
		}
		b.bundle = bundle
	}
}

func newBundle(list []*Event) *Bundle { return &Bundle{Events: append([]*Event(nil), list...)} }

// clear makes the round ready for others.
func (r *round) clear() {
	for i := range r.boxes {
		b := &r.boxes[i]
		b.member.box = 0
		clear(b.list)
		*b = box{list: b.list[:0]}
	}
	r.boxes, r.events, r.weight = r.boxes[:0], 0, 0
	if cap(r.boxes) > maxRoundBoxes {
		r.boxes = nil
	}
	clear(r.bundles)
}

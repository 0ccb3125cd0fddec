package realtime

import (
	"sync"
	"time"
)

const (
	defaultHeartbeat = 15 * time.Second
	slots            = 15
)

// A pulse has the streams of a hub show that they are alive, each once in an
// interval. They are spread over the slots of a wheel, which moves on by one at a
// time, as long as there are streams.
type pulse struct {
	interval time.Duration // between two slots

	mu    sync.Mutex
	slots [slots]map[*Stream]struct{}
	at    int
	next  int // slot of the next stream
	count int
	timer *time.Timer // nil: there are no streams
}

func (p *pulse) init(heartbeat time.Duration) {
	p.interval = heartbeat / slots
	for i := range p.slots {
		p.slots[i] = map[*Stream]struct{}{}
	}
}

// add returns the stream's slot.
func (p *pulse) add(s *Stream) (slot int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	slot = p.next
	p.next = (p.next + 1) % slots
	p.slots[slot][s] = struct{}{}
	if p.count++; p.timer == nil {
		p.timer = time.AfterFunc(p.interval, p.beat)
	}
	return slot
}

func (p *pulse) remove(s *Stream, slot int) {
	p.mu.Lock()
	defer p.mu.Unlock()
	delete(p.slots[slot], s)
	if p.count--; p.count == 0 {
		p.timer.Stop()
		p.timer = nil
		for i := range p.slots { // a map that was large stays so
			p.slots[i] = map[*Stream]struct{}{}
		}
	}
}

func (p *pulse) beat() {
	for _, s := range p.turn() {
		s.beat()
	}
}

// turn returns the streams whose turn it is.
func (p *pulse) turn() []*Stream {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.timer == nil {
		return nil
	}
	p.timer.Reset(p.interval)
	p.at = (p.at + 1) % slots
	list := make([]*Stream, 0, len(p.slots[p.at]))
	for s := range p.slots[p.at] {
		list = append(list, s)
	}
	return list
}

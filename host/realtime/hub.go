// Package realtime delivers what plugins publish to the connections of clients,
// sockets and streams alike.
//
// A deployment has a Hub. It takes the publications of committed transactions in
// the order of the commits. One goroutine, the dispatcher, works them off, and
// everything else that changes who gets what: so the order of the commits is the
// order of the deliveries, and rooms need no locks. There is a dispatcher only
// while there is work.
//
// Locks guard what others touch, too: Hub.mu the queues, grants.mu which subscription
// rests on which keys of the store, pulse.mu and Stream.mu the streams. No goroutine
// holds two of them, and none while it calls a Sink.
package realtime

import (
	"errors"
	"log/slog"
	"runtime/debug"
	"sync"
	"sync/atomic"
	"time"
)

// HubConfig is what a Hub needs.
type HubConfig struct {
	Log      *slog.Logger
	MaxQueue int // bytes of publications that wait; default 64 MiB

	// Check asks again whose a credential is that a subscription rests on, once it
	// has expired or a key was written that the last answer was found in. An error
	// that is an *abi.Error refuses it: the subscription ends. Any other says that
	// it could not be found out: the connection ends. Check sees to it that the
	// credential still stands for the same caller. The Keys it is given are nil;
	// those it returns count from then on, and Generation is set by the Hub. It may
	// take its time, and is called by up to 16 goroutines.
	Check func(Credential) (Credential, error)

	Now       func() time.Time // default time.Now
	Heartbeat time.Duration    // between signs of life of a stream; default 15 s
}

const defaultQueue = 64 << 20

// A Hub delivers the events of a deployment.
type Hub struct {
	config HubConfig
	grants grants
	pulse  pulse
	stats  counters

	mu       sync.Mutex
	quiet    sync.Cond    // neither dispatcher nor checks
	orders   fifo[func()] // for the dispatcher; they come before publications
	queue    fifo[[]byte] // publications
	queued   int          // their bytes
	running  bool         // there is a dispatcher
	closed   bool
	due      fifo[*grant] // to be checked
	checking int          // goroutines that do so

	// What follows is the dispatcher's.
	spaces   map[string]*space
	sequence uint64 // the last mark that was put on members or rooms
	audience []*Member
	round    round
	seats    int
	expiries expiries
	timer    *time.Timer
	alarm    int64  // when timer fires; 0: it does not
	shut     bool   // Close was called,
	farewell string // for this reason
}

// NewHub returns a Hub.
func NewHub(c HubConfig) *Hub {
	if c.Log == nil {
		c.Log = slog.New(slog.DiscardHandler)
	}
	if c.MaxQueue == 0 {
		c.MaxQueue = defaultQueue
	}
	if c.Now == nil {
		c.Now = time.Now
	}
	if c.Heartbeat == 0 {
		c.Heartbeat = defaultHeartbeat
	}
	if c.Check == nil {
		c.Check = func(Credential) (Credential, error) {
			return Credential{}, errors.New("realtime: the hub has nobody to check credentials: set HubConfig.Check")
		}
	}
	h := &Hub{config: c, spaces: map[string]*space{}}
	h.quiet.L = &h.mu
	h.grants.init()
	h.pulse.init(c.Heartbeat)
	return h
}

// recordOverhead is what a publication takes in the queue besides its bytes.
const recordOverhead = 32

// Publish takes the publications of a transaction, which it keeps. It is what
// store.Store.Subscribe asks for: it is called in the order of the commits, and
// returns at once.
func (h *Hub) Publish(messages [][]byte) {
	size := 0
	for _, m := range messages {
		size += len(m) + recordOverhead
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case h.closed:
		return
	case h.queued+size > h.config.MaxQueue:
		h.overload(size)
		return
	}
	h.queued += size
	for _, m := range messages {
		h.queue.push(m)
	}
	h.wake()
}

// overload drops what waits: it is more than can be delivered. Those who miss it
// must know, so their connections end. Whoever joins from now on misses nothing.
// The caller holds h.mu.
func (h *Hub) overload(size int) {
	dropped, queued, offer := h.queue.len(), h.queued, h.grants.last.Load()
	h.queue, h.queued = fifo[[]byte]{}, 0
	h.orders.push(func() {
		h.config.Log.Error("realtime: events come faster than they are delivered: all connections are closed",
			"publications", dropped, "bytes", queued, "more", size, "limit", h.config.MaxQueue)
		h.dropAll(overloaded, offer)
	})
	h.wake()
}

// post has the dispatcher run a function, before any publication that waits.
func (h *Hub) post(order func()) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.orders.push(order)
	h.wake()
}

// wake sees to it that there is a dispatcher. The caller holds h.mu.
func (h *Hub) wake() {
	if !h.running {
		h.running = true
		go h.dispatch()
	}
}

func (h *Hub) dispatch() {
	for {
		order, record, done := h.take()
		switch {
		case order != nil:
			h.guard("the end of a round", h.flush)
			h.guard("an order", order)
		case record != nil:
			h.guard("a publication", func() { h.apply(record) })
		case done: // there may be another dispatcher already
			return
		default:
			h.guard("the end of a round", h.flush)
		}
	}
}

// take returns what is to be done next. Nothing is the end of the round, or, if that has
// no events, of the dispatcher.
func (h *Hub) take() (order func(), record []byte, done bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if order, ok := h.orders.pop(); ok {
		return order, nil, false
	}
	if record, ok := h.queue.pop(); ok {
		h.queued -= len(record) + recordOverhead
		return nil, record, false
	}
	if h.round.events > 0 {
		return nil, nil, false // something may come while it is delivered
	}
	h.running = false
	h.quiet.Broadcast()
	return nil, nil, true
}

// guard runs a part of the dispatcher's work, and tells whether it went well. What
// goes wrong in it must not keep the hub from the rest.
func (h *Hub) guard(what string, run func()) (well bool) {
	defer func() {
		if p := recover(); p != nil {
			h.config.Log.Error("realtime: "+what+" was dropped: it caused a panic", "panic", p, "stack", string(debug.Stack()))
		}
	}()
	run()
	return true
}

// Close closes all members, and those that join later. It returns when nothing
// runs any more but streams that write their last; a Sink must not call it.
func (h *Hub) Close(reason string) {
	h.mu.Lock()
	if !h.closed {
		h.closed = true
		h.queue, h.queued = fifo[[]byte]{}, 0
		h.orders.push(func() { h.shutDown(reason) })
		h.wake()
	}
	h.rest()
	h.mu.Unlock()
}

func (h *Hub) shutDown(reason string) {
	h.shut, h.farewell = true, reason
	if h.timer != nil {
		h.timer.Stop()
	}
	h.dropAll(closing, h.grants.last.Load())
}

// rest waits until nothing runs. The caller holds h.mu.
func (h *Hub) rest() {
	for h.running || h.checking > 0 {
		h.quiet.Wait()
	}
}

// Stats are figures of a Hub.
type Stats struct {
	Members    int // connections
	Subscribed int // those with a subscription
	Rooms      int // besides those of single members
	QueueBytes int // of publications that wait
	Events     uint64
	Deliveries uint64            // of events, to members
	Checks     uint64            // of credentials, again
	Dropped    map[string]uint64 // members that the hub has closed or refused, by reason
}

type counters struct {
	members, subscribed, rooms atomic.Int64
	events, deliveries, checks atomic.Uint64
	dropped                    [causes]atomic.Uint64
}

// Len returns the number of members.
func (h *Hub) Len() int { return int(h.stats.members.Load()) }

// Stats returns the figures of the hub as they are.
func (h *Hub) Stats() Stats {
	s := Stats{
		Members:    int(h.stats.members.Load()),
		Subscribed: int(h.stats.subscribed.Load()),
		Rooms:      int(h.stats.rooms.Load()),
		Events:     h.stats.events.Load(),
		Deliveries: h.stats.deliveries.Load(),
		Checks:     h.stats.checks.Load(),
		Dropped:    make(map[string]uint64, causes),
	}
	for c := range causes {
		s.Dropped[c.label()] = h.stats.dropped[c].Load()
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	s.QueueBytes = h.queued
	return s
}

package engine

import (
	"context"
	"fmt"
	"sync"
	"time"
)

// A pool hands out the instances of a version, each to one caller at a time.
//
// It starts instances as they are needed, up to max, and prefers the one that
// came back last: its memory is warm in the caches, and those at the bottom of
// the stack fall idle and can be closed. Callers that find none wait in line; a
// line that is full, or a wait that is too long, is refused, so that overload
// shows as quick refusals and not as a growing pile of requests.
//
// The lock is held for a few instructions; guests are started, called and closed
// outside of it. Time is counted in sweeps, so that no call reads the clock.
type pool struct {
	plugin     string
	start      func(context.Context) (*instance, error)
	max        int
	maxWaiting int
	maxWait    time.Duration
	maxUses    int    // 0: no limit
	maxAge     uint64 // in sweeps; 0: no limit
	memorySoft uint32 // an instance that has grown to this is replaced

	mu          sync.Mutex
	idle        []*instance // the last is the next to go out
	total       int         // instances that live or are being started
	low         int         // fewest idle since the last sweep
	sweeps      uint64
	first, last *waiter // in line; none while an instance is idle
	waiting     int
	closed      bool
	empty       chan struct{} // closed when closed and total is 0

	calls, traps, evictions uint64
}

// A waiter stands in the pool's line.
type waiter struct {
	grant      chan grant // has room for one
	prev, next *waiter
	inLine     bool
}

// A grant is what a waiter waited for: an instance, or, if it is nil, the
// permission to start one.
type grant struct {
	inst *instance
	err  error
}

// take returns an instance for the caller alone, to be given back with put.
func (p *pool) take(ctx context.Context) (*instance, error) {
	p.mu.Lock()
	if n := len(p.idle) - 1; n >= 0 {
		i := p.idle[n]
		p.idle[n] = nil
		p.idle = p.idle[:n]
		p.low = min(p.low, n)
		p.mu.Unlock()
		return i, nil
	}
	if p.closed {
		p.mu.Unlock()
		return nil, p.errClosed()
	}
	if p.total < p.max {
		p.total++
		p.mu.Unlock()
		return p.grow(ctx)
	}
	if p.waiting >= p.maxWaiting {
		p.mu.Unlock()
		return nil, p.busy("%d instances at work and %d callers waiting", p.max, p.maxWaiting)
	}
	w := &waiter{grant: make(chan grant, 1)}
	p.enqueue(w)
	p.mu.Unlock()
	return p.wait(ctx, w)
}

func (p *pool) wait(ctx context.Context, w *waiter) (*instance, error) {
	t := time.NewTimer(p.maxWait)
	defer t.Stop()
	var err error
	select {
	case g := <-w.grant:
		return p.accept(ctx, g)
	case <-t.C:
		err = p.busy("none of %d instances came free within %v", p.max, p.maxWait)
	case <-ctx.Done():
		err = context.Cause(ctx)
	}
	p.mu.Lock()
	left := w.inLine
	if left {
		p.dequeue(w)
	}
	p.mu.Unlock()
	if left {
		return nil, err
	}
	// The grant came at the same moment. It is used, or passed on.
	g := <-w.grant
	if ctx.Err() == nil {
		return p.accept(ctx, g)
	}
	switch {
	case g.err != nil:
	case g.inst != nil:
		p.giveBack(g.inst)
	default:
		p.mu.Lock()
		p.vacate()
		p.mu.Unlock()
	}
	return nil, err
}

func (p *pool) accept(ctx context.Context, g grant) (*instance, error) {
	if g.err != nil || g.inst != nil {
		return g.inst, g.err
	}
	return p.grow(ctx)
}

// grow starts an instance. Its place has been counted already.
func (p *pool) grow(ctx context.Context) (*instance, error) {
	i, err := p.start(ctx)
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.vacate()
		return nil, err
	}
	i.born = p.sweeps
	return i, nil
}

// put takes an instance back after a call.
func (p *pool) put(i *instance) {
	i.uses++
	p.mu.Lock()
	p.calls++
	switch {
	case i.broken:
		p.traps++
	case p.worn(i):
		p.evictions++
	default:
		p.shelve(i)
		return
	}
	p.vacate()
	p.mu.Unlock()
	i.close()
}

// giveBack takes an instance back that was not used.
func (p *pool) giveBack(i *instance) {
	p.mu.Lock()
	p.shelve(i)
}

// shelve keeps an instance for the next caller. It releases the lock.
func (p *pool) shelve(i *instance) {
	switch w := p.first; {
	case p.closed:
		p.vacate()
		p.mu.Unlock()
		i.close()
	case w != nil:
		p.dequeue(w)
		p.mu.Unlock()
		w.grant <- grant{inst: i}
	default:
		p.idle = append(p.idle, i)
		p.mu.Unlock()
	}
}

// worn tells whether an instance has served long enough.
func (p *pool) worn(i *instance) bool {
	return i.spent || p.maxUses > 0 && i.uses >= p.maxUses || p.old(i) ||
		// A guest that has filled its memory does not give it back, and would die
		// of the next call.
		i.mem != nil && i.mem.Size() >= p.memorySoft && i.mem.Size() > i.startMem
}

func (p *pool) old(i *instance) bool { return p.maxAge > 0 && p.sweeps-i.born >= p.maxAge }

// vacate counts an instance out, and lets the next in line start another.
func (p *pool) vacate() {
	if w := p.first; w != nil {
		p.dequeue(w)
		w.grant <- grant{}
		return
	}
	p.total--
	p.checkEmpty()
}

func (p *pool) checkEmpty() {
	if p.closed && p.total == 0 {
		close(p.empty)
	}
}

// sweep closes the instances that no call has needed since the last sweep: as
// many as were always idle, from the bottom of the stack, but for one. It also
// closes those that are too old.
func (p *pool) sweep() {
	p.mu.Lock()
	p.sweeps++
	surplus := min(p.low, len(p.idle)-1)
	var out []*instance
	keep := p.idle[:0]
	for n, i := range p.idle {
		if n < surplus || p.old(i) {
			out = append(out, i)
		} else {
			keep = append(keep, i)
		}
	}
	clear(p.idle[len(keep):])
	p.idle, p.low = keep, len(keep)
	p.total -= len(out)
	p.evictions += uint64(len(out))
	p.mu.Unlock()
	for _, i := range out {
		i.close()
	}
}

// close refuses whoever comes or waits, and returns when the last instance is
// back and closed.
func (p *pool) close() {
	p.mu.Lock()
	p.closed = true
	idle := p.idle
	p.idle = nil
	p.total -= len(idle)
	for p.first != nil {
		w := p.first
		p.dequeue(w)
		w.grant <- grant{err: p.errClosed()}
	}
	p.checkEmpty()
	p.mu.Unlock()
	for _, i := range idle {
		i.close()
	}
	<-p.empty
}

func (p *pool) enqueue(w *waiter) {
	w.inLine, w.prev = true, p.last
	if p.last == nil {
		p.first = w
	} else {
		p.last.next = w
	}
	p.last = w
	p.waiting++
}

func (p *pool) dequeue(w *waiter) {
	if w.prev == nil {
		p.first = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		p.last = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.inLine, w.prev, w.next = false, nil, nil
	p.waiting--
}

func (p *pool) busy(format string, args ...any) error {
	return &BusyError{Plugin: p.plugin, RetryAfter: p.maxWait, reason: fmt.Sprintf(format, args...)}
}

func (p *pool) errClosed() error { return fmt.Errorf("engine: plugin %q: %w", p.plugin, ErrClosed) }

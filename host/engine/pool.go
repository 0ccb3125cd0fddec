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
// the stack fall idle and can be closed. Callers beyond max stand in line or are
// refused, see admission.go.
//
// The lock is held for a few instructions; guests are started, called, reset and
// closed outside of it. As long as nobody has to wait no call reads the clock:
// time is counted in sweeps.
type pool struct {
	plugin     string
	start      func(context.Context) (*instance, error)
	reset      func(*instance) bool // nil: instances are kept as they are
	admission  admission
	max        int
	maxUses    int    // 0: no limit
	maxAge     uint64 // in sweeps; 0: no limit
	memorySoft uint32 // an instance that has grown to this is replaced
	tenant     *Tenant

	mu     sync.Mutex
	idle   []*instance // the last is the next to go out
	total  int         // instances that live or are being started
	busy   int         // callers who have an instance, or are about to
	low    int         // fewest idle since the last sweep
	quick  bool        // an instance takes next to no time to start
	quiet  int         // sweeps in a row since the last call
	sweeps uint64
	line   line // empty while fewer than max are busy
	closed bool
	ending int           // instances that are being closed
	empty  chan struct{} // closed when closed, and nobody is busy, and no instance is left
	// memory is how much the last instance had that was started, and broken how
	// many have been given back that trapped and were not paid for.
	memory int64
	broken int

	calls, traps, evictions uint64
}

// take returns an instance for the caller alone, to be given back with put. One
// who comes ahead waits in front of the others, and is not refused for their
// number.
func (p *pool) take(ctx context.Context, ahead bool) (*instance, error) {
	p.mu.Lock()
	switch {
	case p.closed:
		p.mu.Unlock()
		return nil, p.errClosed()
	case p.busy < p.max && p.line.n == 0:
		p.busy++
	default:
		if err := p.wait(ctx, ahead); err != nil {
			p.mu.Unlock()
			return nil, err
		}
	}
	for {
		if n := len(p.idle) - 1; n >= 0 {
			i := p.idle[n]
			p.idle[n] = nil
			p.idle = p.idle[:n]
			p.low = min(p.low, n)
			p.mu.Unlock()
			return i, nil
		}
		// There are fewer than max, since nobody who is busy has more than one.
		if reserved, ok := p.reserve(); ok {
			p.total++
			p.mu.Unlock()
			return p.grow(ctx, reserved)
		}
		if p.closed {
			p.leave()
			p.mu.Unlock()
			return nil, p.errClosed()
		}
		// Others have instances, and are the ones to wait for.
		p.busy--
		if err := p.wait(ctx, true); err != nil {
			p.mu.Unlock()
			return nil, err
		}
	}
}

// reserve takes the memory of an instance to be started, if there is enough left.
// The first instance of a pool is started in any case: without it nobody would
// ever be served.
func (p *pool) reserve() (n int64, ok bool) {
	if p.total > 0 {
		return p.memory, p.tenant.reserve(p.memory)
	}
	p.tenant.hold(p.memory)
	return p.memory, true
}

// grow starts an instance, which has been counted, for somebody who is busy.
//
// Nothing keeps callers from starting instances side by side: in a burst each
// waits for its own alone. Starting takes a core, so only as many start at once
// as there are cores, and who gets one later finds what was given back.
//
// A plugin that traps in each call has an instance started for each, which takes
// longer than the call: its tenant pays for that, and makes way.
func (p *pool) grow(ctx context.Context, reserved int64) (*instance, error) {
	i, err := p.startInTurn(ctx)
	if err == nil {
		reserved = i.linear.belong(p.tenant, &i.ctx, reserved)
	} else {
		p.tenant.hold(-reserved)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	if err != nil {
		p.total--
		p.leave()
		return nil, err
	}
	i.pool, i.born, p.memory = p, p.sweeps, reserved
	return i, nil
}

func (p *pool) startInTurn(ctx context.Context) (*instance, error) {
	c := &callContext{tenant: p.tenant}
	c.begin(ctx, nil)
	defer c.end()
	if err := c.makeWay(); err != nil {
		return nil, fmt.Errorf("engine: plugin %q: no instance was started: %w", p.plugin, err)
	}
	p.mu.Lock()
	broken := p.broken
	p.broken = 0
	p.mu.Unlock()
	begin := time.Now()
	i, err := p.start(ctx)
	// A guest that needs longer than that to start is charged as it runs.
	spent := min(time.Since(begin), longCall) + time.Duration(broken)*trapTime
	c.charge(spent, spent+time.Duration(broken)*trapDebt)
	return i, err
}

const (
	// trapTime is about how long it takes to find out where a guest trapped, and to
	// free it.
	trapTime = 700 * time.Microsecond
	// trapDebt is what its tenant owes beyond that: nothing of it makes way in
	// slices, as a guest does, so it has to be rare where others need the cores.
	trapDebt = 10 * time.Millisecond
)

// put takes an instance back.
func (p *pool) put(i *instance) {
	p.mu.Lock()
	used := i.calls > 0
	p.calls += i.calls
	i.calls = 0
	keep := false
	switch {
	case i.broken:
		p.traps++
		p.broken++
	case p.worn(i):
		p.evictions++
	case used && p.reset != nil:
		p.mu.Unlock()
		go p.refresh(i) // whoever called has the reply and need not wait
		return
	default:
		keep = true
	}
	p.shelve(i, keep)
}

// shelve ends the time of somebody who is busy and has an instance, which is
// kept for others or closed. It releases the lock.
func (p *pool) shelve(i *instance, keep bool) {
	if keep = keep && !p.closed; keep {
		p.idle = append(p.idle, i)
	} else {
		p.total--
		p.ending++
	}
	p.leave()
	p.mu.Unlock()
	if !keep {
		p.end(i)
	}
}

// end closes instances that were counted as ending: what they stand on is not freed
// before.
func (p *pool) end(list ...*instance) {
	for _, i := range list {
		i.close()
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.ending -= len(list)
	p.checkEmpty()
}

// refreshTime is how long an instance may take to be started when no caller
// waits for it.
const refreshTime = 10 * time.Second

// refresh has an instance forget what it was called for, or starts another in
// its place, as if whoever had it were still busy.
func (p *pool) refresh(i *instance) {
	if !p.reset(i) {
		i.close()
		ctx, cancel := context.WithTimeout(context.Background(), refreshTime)
		defer cancel()
		var err error
		p.mu.Lock()
		reserved := p.memory
		p.mu.Unlock()
		p.tenant.hold(reserved) // in place of what was closed
		if i, err = p.grow(ctx, reserved); err != nil {
			return // whoever comes next tries again, and is told
		}
	}
	p.mu.Lock()
	p.shelve(i, true)
}

// leave has somebody who was busy go, and lets the first in line come in.
func (p *pool) leave() {
	if p.line.n > 0 {
		p.line.step(time.Now())
		p.line.call(nil)
		return
	}
	p.busy--
	p.checkEmpty()
}

func (p *pool) checkEmpty() {
	if p.closed && p.busy == 0 && p.ending == 0 {
		close(p.empty)
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

// sweep closes the instances that no call has needed since the last sweep: as
// many as were always idle, from the bottom of the stack, but for one. It also
// closes those that are too old.
//
// The one goes when there has been no call for ten minutes: an instance takes 0.25 MB
// that waits, and 0.2 ms to start.
func (p *pool) sweep() {
	p.mu.Lock()
	p.sweeps++
	spare := 1
	if p.low < len(p.idle) || p.busy > 0 {
		p.quiet = 0
	} else if p.quiet++; p.quick && p.quiet > quietSweeps {
		spare = 0
	}
	surplus := min(p.low, len(p.idle)-spare)
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
	p.ending += len(out)
	p.mu.Unlock()
	if len(out) > 0 {
		p.end(out...)
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
	p.ending += len(idle)
	for p.line.n > 0 {
		p.line.call(p.errClosed())
	}
	p.mu.Unlock()
	p.end(idle...)
	<-p.empty
}

// quietSweeps is for how many sweeps the last instance is kept that nobody calls.
const quietSweeps = 10

func (p *pool) errClosed() error { return fmt.Errorf("engine: plugin %q: %w", p.plugin, ErrClosed) }

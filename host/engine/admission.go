package engine

import (
	"context"
	"errors"
	"runtime"
	"time"
)

// An admission keeps a pool that is asked for more than it can do at what it can
// do. A caller that could not be served soon is refused at once, which costs a
// small part of a call, and the wait of the others stays short, however many
// come.
//
// A line that forms because many came at the same moment is of use: in a moment
// it is gone, and everybody was served. One that stays adds its length to each
// wait, and serves nobody who would not be served without it. So a line may be
// long only while it is young: as long as it will be gone within burst of its
// beginning, or else as can be served within standing. How much time its length
// stands for is told by the pace at which it moves.
type admission struct {
	waiting  int           // callers in line, whatever its pace
	burst    time.Duration // from the beginning of a line to its end
	standing time.Duration // to be waited in a line that stays
	limit    time.Duration // of a wait, for a line that does not keep its pace

	refusals [reasons]error
	refused  [reasons]uint64
	waits    uint64        // callers that stood in line
	waited   time.Duration // all of them together
}

// Reasons to refuse a caller.
const (
	lineFull = iota // as many wait as may
	lineSlow        // it would have to wait for too long
	waitOver        // it has waited for too long
	reasons
)

func newAdmission(o *Options) admission {
	a := admission{waiting: o.Waiting, burst: o.MaxWait / 4, standing: o.MaxWait / 10, limit: o.MaxWait}
	for reason, text := range [reasons]string{
		lineFull: "as many callers wait as may",
		lineSlow: "more callers come than can be served",
		waitOver: "none came free in time",
	} {
		// Made in advance: a refusal should cost next to nothing.
		a.refusals[reason] = &BusyError{Plugin: o.Name, RetryAfter: o.MaxWait, reason: text}
	}
	return a
}

// admit returns an error if nobody can join the line now.
func (a *admission) admit(l *line, instances int, now time.Time) error {
	switch {
	case l.n >= a.waiting:
		return a.refuse(lineFull)
	case l.n < instances:
		return nil // however long calls take: each instance has the next one waiting
	case l.delay(now) <= max(l.began.Add(a.burst).Sub(now), a.standing):
		return nil
	}
	return a.refuse(lineSlow)
}

func (a *admission) refuse(reason int) error {
	a.refused[reason]++
	return a.refusals[reason]
}

// wait has a caller stand in line until it counts as busy. The lock is held when
// it is called and when it returns.
func (p *pool) wait(ctx context.Context, ahead bool) error {
	now := time.Now()
	if !ahead {
		if err := p.admission.admit(&p.line, p.max, now); err != nil {
			return err
		}
	}
	w := p.line.join(now, ahead)
	p.mu.Unlock()
	err := w.stand(ctx, now, p.admission.limit)
	if err == nil {
		// Go runs a goroutine that was woken before all others. If each that is
		// called from the line did its work at once, nobody else would get a core:
		// those who come meanwhile have to be seen, and to be refused if need be.
		runtime.Gosched()
	}
	p.mu.Lock()
	defer p.line.recycle(w)
	p.admission.waits++
	p.admission.waited += time.Since(now)
	if !w.called {
		p.line.remove(w)
		if errors.Is(err, errLimit) {
			return p.admission.refuse(waitOver)
		}
		return err
	}
	if err != nil {
		<-w.ready // it was called at the same moment
	}
	if w.err != nil {
		return w.err
	}
	if ctx.Err() != nil {
		p.leave()
		return context.Cause(ctx)
	}
	return nil
}

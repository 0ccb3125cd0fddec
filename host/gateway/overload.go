package gateway

import (
	"context"
	"errors"
	"sync/atomic"
	"time"
)

// Under overload a request waits in one place alone, where its wait is bounded:
// for an instance of its plugin. It does so before anything else is done for it,
// and before it holds anything that others wait for.

// lease gets an instance of the plugin for the next run, unless there is one. A
// request that was let in before, and has to run again, comes ahead of those that
// were not.
func (x *exchange) lease(ahead bool) error {
	if x.leased != nil {
		return nil
	}
	l, err := x.route.plugin.Runner.Lease(&x.life, ahead)
	if err == nil {
		x.leased = l
	}
	return err
}

// release gives the instance back, if there is one.
func (x *exchange) release() {
	if x.leased != nil {
		x.leased.Release()
		x.leased = nil
	}
}

// turnTime is how long a request that has come can wait for a turn.
const turnTime = time.Second

// errNoTurn is why a request is given up whose path is in dispute.
var errNoTurn = errors.New("gateway: too many requests change what this one does")

// turn waits for a turn on the request's path. Others get the instance while it
// does.
func (x *exchange) turn(share int64) (turn, error) {
	if t, ok := x.site.turns.try(x.path, share); ok {
		return t, nil
	}
	x.release()
	ctx, cancel := context.WithDeadline(&x.life, x.ready.Add(turnTime))
	defer cancel()
	t, err := x.site.turns.take(ctx, x.path, share)
	if err != nil && x.life.Err() == nil {
		err = errNoTurn
	}
	return t, err
}

// seldom picks one of many events in a second, so that a flood of refusals, which
// the metrics count, is no flood of log lines.
type seldom struct{ next atomic.Int64 } // since epoch

// pick tells whether an event is picked.
func (s *seldom) pick(now time.Time) bool {
	at, next := int64(now.Sub(epoch)), s.next.Load()
	return at >= next && s.next.CompareAndSwap(next, at+int64(time.Second))
}

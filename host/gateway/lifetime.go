package gateway

import (
	"context"
	"fmt"
	"net"
	"sync"
	"time"
)

// errGone is why a request ends whose client has closed its connection.
var errGone = fmt.Errorf("nobody waits for the answer: %w", context.Canceled)

// lookInterval is how often a request looks after its client. Most are answered
// before the first time.
const lookInterval = 100 * time.Millisecond

// A lifetime is the context of a request. It ends with the request's deadline,
// or when the client goes away, or when the gateway stops.
//
// It is a part of the exchange and used again with it: a context made for each
// request, and its timer, would be most of what a request allocates. So it
// belongs to the request's goroutine, and whoever passes it to code that may
// keep it makes a context of its own (see extism.Egress).
//
// Nothing watches the time meanwhile. A plugin that computes asks Err every few
// microseconds; what waits needs a channel, and Done makes one.
type lifetime struct {
	base     context.Context
	deadline time.Time
	peer     *conn     // the client's; nil if there is none to look after
	look     time.Time // when to do so next
	cause    error     // why it has ended
	watch    *watch    // once somebody has waited
}

// begin starts the lifetime of a request of a client, without a deadline yet.
func (l *lifetime) begin(base context.Context, now time.Time, local net.Addr) {
	l.base, l.peer, l.look = base, peerOf(local), now.Add(lookInterval)
}

// until sets another deadline. What waits for the one before has to be through.
func (l *lifetime) until(deadline time.Time) {
	if l.watch != nil {
		l.watch.stop() // its timer knows the deadline before
		l.watch = nil
	}
	l.deadline = deadline
}

// end makes l ready for another request.
func (l *lifetime) end() {
	if l.watch != nil {
		l.watch.stop()
	}
	*l = lifetime{}
}

// Deadline is part of context.Context.
func (l *lifetime) Deadline() (time.Time, bool) { return l.deadline, true }

// Done is part of context.Context.
func (l *lifetime) Done() <-chan struct{} {
	if l.watch == nil {
		l.watch = newWatch(l.base, l.deadline, l.peer)
		if l.cause != nil {
			l.watch.cancel(l.cause)
		}
	}
	return l.watch.ctx.Done()
}

// Err is part of context.Context. It says more than is usual: errGone wraps
// context.Canceled.
func (l *lifetime) Err() error {
	if l.cause == nil {
		l.cause = l.ended(time.Now())
	}
	return l.cause
}

func (l *lifetime) ended(now time.Time) error {
	late := !now.Before(l.deadline)
	if l.watch != nil {
		if late {
			l.watch.cancel(context.DeadlineExceeded) // if its timer has not yet
		}
		return context.Cause(l.watch.ctx)
	}
	switch {
	case l.base.Err() != nil:
		return context.Cause(l.base)
	case late:
		return context.DeadlineExceeded
	case l.peer != nil && !now.Before(l.look):
		l.look = now.Add(lookInterval)
		if l.peer.gone() {
			return errGone
		}
	}
	return nil
}

// Value is part of context.Context. There are no values, but package context
// asks for the one by which it ties contexts together without a goroutine.
func (l *lifetime) Value(key any) any {
	if l.watch == nil {
		return nil
	}
	return l.watch.ctx.Value(key)
}

// A watch ends a request while that waits: a timer looks at the clock and after
// the client. It shares nothing with the lifetime that may already serve another
// request when the timer fires for the last time.
type watch struct {
	ctx      context.Context
	cancel   context.CancelCauseFunc
	deadline time.Time
	peer     *conn

	mu      sync.Mutex
	timer   *time.Timer
	stopped bool
}

func newWatch(base context.Context, deadline time.Time, peer *conn) *watch {
	w := &watch{deadline: deadline, peer: peer}
	w.ctx, w.cancel = context.WithCancelCause(base)
	w.mu.Lock()
	defer w.mu.Unlock()
	w.timer = time.AfterFunc(w.interval(), w.tick)
	return w
}

func (w *watch) interval() time.Duration {
	left := time.Until(w.deadline)
	if w.peer != nil {
		left = min(left, lookInterval)
	}
	return left
}

func (w *watch) tick() {
	switch {
	case !time.Now().Before(w.deadline):
		w.cancel(context.DeadlineExceeded)
	case w.peer != nil && w.peer.gone():
		w.cancel(errGone)
	default:
		w.mu.Lock()
		defer w.mu.Unlock()
		if !w.stopped {
			w.timer.Reset(w.interval())
		}
	}
}

func (w *watch) stop() {
	w.mu.Lock()
	w.stopped = true
	w.timer.Stop()
	w.mu.Unlock()
	w.cancel(nil) // base knows of it until then
}

var _ context.Context = (*lifetime)(nil)

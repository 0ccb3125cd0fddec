package engine

import (
	"context"
	"errors"
	"time"
)

// A line is where callers wait, first come, first served, but for those who come
// ahead of the others. It knows the pace at which it moves. The pool's lock guards
// it.
type line struct {
	first, last *waiter
	ahead       *waiter // the last of those who came ahead; they are the first
	n           int
	free        *waiter // to be used again

	began time.Time // when the first came
	moved time.Time // when one was served last, or began
	pace  time.Duration
	seen  int // steps that pace rests on
}

// A waiter stands in a line.
type waiter struct {
	ready      chan struct{} // has room for one
	timer      *time.Timer
	prev, next *waiter
	called     bool  // it stands in line no more
	err        error // of the call
}

// paceSteps is how many steps the pace of a line rests on: so many that a moment
// in which nothing moves, as machines have, does not make it a slow line.
const paceSteps = 128

// join puts a caller at the end, or behind the last who came ahead.
func (l *line) join(now time.Time, ahead bool) *waiter {
	w := l.free
	if w == nil {
		w = &waiter{ready: make(chan struct{}, 1), timer: time.NewTimer(time.Hour)}
		w.timer.Stop()
	} else {
		l.free = w.next
	}
	if l.n == 0 {
		l.began, l.moved = now, now
	}
	before := l.last
	if ahead {
		before, l.ahead = l.ahead, w
	}
	l.insert(w, before)
	return w
}

// insert puts w behind another waiter, or at the front if that is nil.
func (l *line) insert(w, before *waiter) {
	after := l.first
	if before != nil {
		after = before.next
	}
	w.prev, w.next = before, after
	if before == nil {
		l.first = w
	} else {
		before.next = w
	}
	if after == nil {
		l.last = w
	} else {
		after.prev = w
	}
	l.n++
}

// remove takes a waiter out.
func (l *line) remove(w *waiter) {
	if w == l.ahead {
		l.ahead = w.prev
	}
	if w.prev == nil {
		l.first = w.next
	} else {
		w.prev.next = w.next
	}
	if w.next == nil {
		l.last = w.prev
	} else {
		w.next.prev = w.prev
	}
	w.prev, w.next = nil, nil
	l.n--
}

// recycle keeps a waiter for another caller.
func (l *line) recycle(w *waiter) {
	w.called, w.err = false, nil
	w.next, l.free = l.free, w
}

// call tells the first that it has come to its turn, or why it has not.
func (l *line) call(err error) {
	w := l.first
	l.remove(w)
	w.called, w.err = true, err
	w.ready <- struct{}{}
}

// step notes that one is served.
func (l *line) step(now time.Time) {
	l.seen = min(l.seen+1, paceSteps)
	l.pace += (now.Sub(l.moved) - l.pace) / time.Duration(l.seen)
	l.moved = now
}

// delay returns how long one more would wait: as long as the line takes at its
// pace, or, if it has come to a halt, at least as long as that.
func (l *line) delay(now time.Time) time.Duration {
	return max(time.Duration(l.n)*l.pace, now.Sub(l.moved))
}

var errLimit = errors.New("engine: the limit of a wait")

// patience is how long a waiter does not ask whether its context has ended. Few
// wait longer, and asking takes a channel, and a timer behind it.
const patience = 50 * time.Millisecond

// stand waits until w is called, or until limit is over or ctx has ended.
func (w *waiter) stand(ctx context.Context, now time.Time, limit time.Duration) error {
	first := min(patience, limit)
	if deadline, ok := ctx.Deadline(); ok {
		first = min(first, deadline.Sub(now))
	}
	w.timer.Reset(first)
	defer w.timer.Stop()
	select {
	case <-w.ready:
		return nil
	case <-w.timer.C:
	}
	w.timer.Reset(limit - first)
	select {
	case <-w.ready:
		return nil
	case <-w.timer.C:
		return errLimit
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

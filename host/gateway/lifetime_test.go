package gateway

import (
	"context"
	"errors"
	"fmt"
	"testing"
	"time"
)

// living returns the lifetime of a request that takes at most d.
func living(t *testing.T, base context.Context, d time.Duration) *lifetime {
	t.Helper()
	l := new(lifetime)
	now := time.Now()
	l.begin(base, now, nil)
	l.deadline = now.Add(d)
	return l
}

func closes(t *testing.T, done <-chan struct{}) {
	t.Helper()
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Fatal("it does not end")
	}
}

func TestALifetimeEndsAtItsDeadline(t *testing.T) {
	check := func(l *lifetime) {
		t.Helper()
		if l.Err() != context.DeadlineExceeded || context.Cause(l) != context.DeadlineExceeded {
			t.Errorf("error %v, cause %v", l.Err(), context.Cause(l))
		}
		closes(t, l.Done())
		l.end()
	}
	l := living(t, t.Context(), 20*time.Millisecond) // somebody waits
	if l.Err() != nil {
		t.Fatal(l.Err())
	}
	closes(t, l.Done())
	check(l)

	l = living(t, t.Context(), 20*time.Millisecond) // somebody asks
	for l.Err() == nil {
		time.Sleep(time.Millisecond)
	}
	if l.watch != nil {
		t.Error("a timer was started")
	}
	check(l)

	l = living(t, t.Context(), time.Hour) // who asks is quicker than the timer
	l.Done()
	l.deadline = time.Now()
	check(l)
}

func TestALifetimeEndsWithTheGateway(t *testing.T) {
	for _, waits := range []bool{false, true} {
		base, cancel := context.WithCancel(t.Context())
		l := living(t, base, time.Hour)
		if waits {
			l.Done()
		}
		if l.Err() != nil {
			t.Error(l.Err())
		}
		cancel()
		closes(t, l.Done())
		if l.Err() != context.Canceled {
			t.Error(l.Err())
		}
		l.end()
	}
}

func TestContextsMadeOfALifetimeEndWithIt(t *testing.T) {
	l := living(t, t.Context(), 20*time.Millisecond)
	defer l.end()
	child, cancel := context.WithTimeout(l, time.Hour)
	defer cancel()
	if at, ok := child.Deadline(); !ok || !at.Equal(l.deadline) {
		t.Errorf("deadline %v", at)
	}
	closes(t, child.Done())
	if !errors.Is(context.Cause(child), context.DeadlineExceeded) {
		t.Error(context.Cause(child))
	}
}

// Whoever waits for one request is released at its end, and the next one knows
// nothing of it.
func TestALifetimeIsUsedAgain(t *testing.T) {
	l := living(t, t.Context(), time.Hour)
	done := l.Done()
	l.end()
	closes(t, done)
	l.begin(t.Context(), time.Now(), nil)
	l.deadline = time.Now().Add(time.Hour)
	defer l.end()
	if err := l.Err(); err != nil {
		t.Error(err)
	}
	select {
	case <-l.Done():
		t.Error("it has ended")
	default:
	}
}

func TestALifetimeThatNobodyWaitsForAllocatesNothing(t *testing.T) {
	l := new(lifetime)
	base := t.Context()
	n := testing.AllocsPerRun(100, func() {
		now := time.Now()
		l.begin(base, now, nil)
		l.deadline = now.Add(time.Minute)
		if l.Err() != nil {
			t.Error(l.Err())
		}
		l.end()
	})
	if n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// What a plugin asks for may have a time limit of its own. That it has passed is
// the plugin's failure, as long as the request has time left.
func TestAFailureBeforeTheDeadlineIsNoTimeout(t *testing.T) {
	x := &exchange{life: *living(t, t.Context(), time.Hour)}
	defer x.life.end()
	err := fmt.Errorf("egress: %w", context.DeadlineExceeded)
	if ended := x.ended(err); ended != nil {
		t.Error(ended)
	}
	x.life.deadline = time.Now()
	if ended := x.ended(err); ended != context.DeadlineExceeded {
		t.Error(ended)
	}
	if ended := x.ended(errors.New("trap")); ended != nil {
		t.Error(ended)
	}
}

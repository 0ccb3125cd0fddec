package outbox

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/store"
)

func TestWhatIsDiscardedBeforeItsTurnIsNotSent(t *testing.T) {
	r, p := newRig(t), newPost()
	ways, limits := Channels{"mail": p}, Limits{Rate: 0.25}
	r.host.serve("eu", ways, limits)
	in := r.box.For("eu", ways, limits)
	r.run()
	r.must(in, mail("ann"))
	until(t, "the first goes", func() bool { return p.total() == 1 })
	ben := r.must(in, mail("ben"))
	r.host.asks(t) // for the rate, or for mail: in any case it is taken
	check(t, r.box.Discard(context.Background(), "eu", ben))
	if e := r.told("eu", ben); e.State != StateFailed || p.total() != 1 {
		t.Errorf("%+v after %d", e, p.total())
	}
}

func TestAHigherRateCountsForThoseThatWait(t *testing.T) {
	r, p := newRig(t), newPost()
	ways := Channels{"mail": p}
	r.host.serve("eu", ways, Limits{Rate: 0.01})
	in := r.box.For("eu", ways, Limits{})
	r.run()
	for i := range 6 {
		r.must(in, mail(fmt.Sprint(i)))
	}
	until(t, "the first goes", func() bool { return p.total() == 1 })
	r.host.asks(t)
	r.host.serve("eu", ways, Limits{})
	began := time.Now()
	until(t, "the others go", func() bool { return p.total() == 6 })
	if took := time.Since(began); took > 90*time.Second {
		t.Errorf("that took %v", took)
	}
}

// A spring is a plugin that, when it is told of a dispatch that came too late, makes
// another one.
type spring struct {
	*hosting
	in    *Intake
	flows atomic.Int64
}

func (s *spring) Tell(ctx context.Context, name, _ string, _ *abi.Outcome, settle func(store.Txn) error) error {
	err := s.store.Update(ctx, name, func(txn store.Txn) error {
		d := mail(fmt.Sprint("flow", s.flows.Add(1)))
		d.Until = 1
		_, err := s.in.Add(txn, "sharing", d, time.Now())
		return errors.Join(settle(txn), err)
	})
	if err == nil {
		s.in.Added(1)
	}
	return err
}

func TestWhatIsDispatchedTooLateForEverTakesItsTurn(t *testing.T) {
	r := newRig(t)
	s := &spring{hosting: r.host}
	r.config.Deployments = s
	r.restart()
	ways, limits := Channels{"mail": newPost()}, Limits{Rate: 1}
	r.host.serve("eu", ways, limits)
	s.in = r.box.For("eu", ways, limits)
	first := mail("first")
	first.Until = 1
	r.must(s.in, first)
	began := time.Now()
	r.run()
	until(t, "it flows", func() bool { return s.flows.Load() >= 3 })
	r.stop()
	if n, most := s.flows.Load(), int64(time.Since(began)/time.Second)+2; n > most {
		t.Errorf("%d in %v", n, time.Since(began))
	}
}

func TestALaneThatCouldNotLookLooksAgain(t *testing.T) {
	r, p := newRig(t), newPost()
	r.config.Scan = 2 * patience
	r.restart()
	r.host.serve("eu", Channels{"mail": p}, Limits{})
	in := r.box.For("eu", Channels{"mail": p}, Limits{})
	p.fates(func(_ context.Context, m *Message) error {
		if m.Attempt == 1 {
			return &Failure{Reason: "later", After: time.Second}
		}
		return nil
	})
	r.run()
	name := r.must(in, mail("ann"))
	until(t, "an attempt", func() bool { return r.get("eu", name).Attempts == 1 })
	r.process.dead.Store(true)
	time.Sleep(1500 * time.Millisecond) // it is due meanwhile
	r.process.dead.Store(false)
	r.told("eu", name)
}

package outbox

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
)

func TestWhatArrivedAndCouldNotBeNotedGoesAgainUnderTheSameID(t *testing.T) {
	r, p := newRig(t), newPost()
	r.config.Drain = 10 * time.Millisecond
	r.restart()
	ways := Channels{"mail": p}
	r.host.serve("eu", ways, Limits{})
	in := r.box.For("eu", ways, Limits{})
	process := r.process
	p.fates(func(context.Context, *Message) error {
		process.dead.Store(true) // killed when it has arrived
		return nil
	})
	r.run()
	name := r.must(in, mail("ann"))
	until(t, "it has arrived", func() bool { return p.total() == 1 })
	r.stop()
	p.fates(nil)
	r.restart()
	r.run()
	r.told("eu", name)
	came := p.messages(name)
	if len(came) != 2 || came[0].ID != came[1].ID || came[1].Attempt != 1 || p.total() != 2 {
		t.Errorf("%d attempts, %d of it: %+v", p.total(), len(came), came)
	}
	if got := r.heard("eu", "ann"); got != "sent,1,\n" {
		t.Errorf("the plugin heard %q", got)
	}
}

func TestWhatWasNotedAndNotToldIsToldAndNotSentAgain(t *testing.T) {
	r, p := newRig(t), newPost()
	r.config.Drain = 10 * time.Millisecond
	r.restart()
	ways := Channels{"mail": p}
	r.host.serve("eu", ways, Limits{})
	in := r.box.For("eu", ways, Limits{})
	process := r.process
	r.host.refuse = func(*abi.Outcome) error {
		process.dead.Store(true) // killed while it tells
		return nil
	}
	r.run()
	name := r.must(in, mail("ann"))
	until(t, "it tells", process.dead.Load)
	r.stop()
	if got := r.heard("eu", "ann"); got != "" {
		t.Fatalf("the plugin heard %q", got)
	}
	r.host.refuse = nil
	r.restart()
	r.run()
	r.told("eu", name)
	if got := r.heard("eu", "ann"); got != "sent,1,\n" || p.total() != 1 {
		t.Errorf("the plugin heard %q of %d", got, p.total())
	}
}

func TestWhatMayHaveBeenNotedIsReadBeforeAnythingElse(t *testing.T) {
	for _, committed := range []bool{false, true} {
		t.Run(fmt.Sprint("committed ", committed), func(t *testing.T) {
			r, p := newRig(t), newPost()
			ways := Channels{"mail": p}
			r.host.serve("eu", ways, Limits{})
			in := r.box.For("eu", ways, Limits{})
			var once atomic.Bool
			r.process.doubt = func() (before, after bool) {
				first := once.CompareAndSwap(false, true)
				return first && !committed, first && committed
			}
			r.run()
			name := r.must(in, mail("ann"))
			if e := r.told("eu", name); e.State != StateSent || e.Attempts != 1 || p.total() != 1 || !once.Load() {
				t.Errorf("%+v after %d", e, p.total())
			}
		})
	}
}

func TestNothingMoreIsSentWhileNothingCanBeNoted(t *testing.T) {
	r, p := newRig(t), newPost()
	ways := Channels{"mail": p}
	r.host.serve("eu", ways, Limits{})
	in := r.box.For("eu", ways, Limits{})
	var full atomic.Bool
	full.Store(true)
	r.process.doubt = func() (before, after bool) { return full.Load(), false }
	for i := range 40 {
		r.must(in, mail(fmt.Sprint("k", i)))
	}
	r.run()
	until(t, "some are sent", func() bool { return p.total() >= 4 })
	time.Sleep(300 * time.Millisecond) // in which a few hundred could be
	if n := p.total(); n != 4 {
		t.Errorf("%d were sent: want 4", n)
	}
	full.Store(false)
	until(t, "all are told", func() bool { return r.keys("eu", dues) == 0 })
	if n := p.total(); n != 40 {
		t.Errorf("%d were sent: want 40", n)
	}
}

func TestRunEndsAndCutsOffWhatTakesTooLong(t *testing.T) {
	r, p := newRig(t), newPost()
	r.config.Drain = 20 * time.Millisecond
	r.restart()
	ways := Channels{"mail": p}
	r.host.serve("eu", ways, Limits{})
	in := r.box.For("eu", ways, Limits{})
	p.fates(func(ctx context.Context, m *Message) error {
		<-ctx.Done()
		return ctx.Err()
	})
	r.run()
	name := r.must(in, mail("ann"))
	until(t, "an attempt", func() bool { return p.total() == 1 })
	if err := r.box.Run(context.Background()); err == nil {
		t.Error("it is run twice")
	}
	r.stop()
	if e := r.get("eu", name); e.State != StateQueued || e.Attempts != 0 {
		t.Errorf("an attempt that was cut off counts: %+v", e)
	}
	p.fates(nil)
	r.run() // again, on the same outbox
	if e := r.told("eu", name); e.State != StateSent || e.Attempts != 1 {
		t.Errorf("%+v", e)
	}
}

func TestRunWaitsForAttemptsThatEndSoon(t *testing.T) {
	r, p := newRig(t), newPost()
	r.config.Drain = patience
	r.restart()
	ways := Channels{"mail": p}
	r.host.serve("eu", ways, Limits{})
	in := r.box.For("eu", ways, Limits{})
	begun, release := make(chan bool), make(chan bool)
	p.fates(func(ctx context.Context, m *Message) error {
		begun <- true
		<-release
		return ctx.Err()
	})
	r.run()
	name := r.must(in, mail("ann"))
	<-begun
	time.AfterFunc(20*time.Millisecond, func() { close(release) })
	r.stop()
	if e := r.get("eu", name); e.State != StateSent || !e.Told {
		t.Errorf("%+v", e)
	}
}

func TestATransportThatIgnoresItsEndDoesNotHoldUpRun(t *testing.T) {
	r, p := newRig(t), newPost()
	r.config.Drain = 10 * time.Millisecond
	r.restart()
	ways := Channels{"mail": p}
	r.host.serve("eu", ways, Limits{})
	in := r.box.For("eu", ways, Limits{})
	release := make(chan bool)
	defer close(release)
	p.fates(func(context.Context, *Message) error {
		<-release
		return errors.New("at last")
	})
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- r.box.Run(ctx) }()
	r.must(in, mail("ann"))
	until(t, "an attempt", func() bool { return p.total() == 1 })
	cancel()
	select {
	case err := <-ended:
		if err == nil {
			t.Error("it ended well, with an attempt that goes on")
		}
	case <-time.After(patience):
		t.Fatal("it does not end")
	}
}

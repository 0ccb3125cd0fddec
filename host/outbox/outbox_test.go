package outbox

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/store"
)

func TestADispatchIsDeliveredOnceAndThePluginIsTold(t *testing.T) {
	r, p := newRig(t), newPost()
	r.host.serve("eu", Channels{"mail": p}, Limits{})
	in := r.box.For("eu", Channels{"mail": p}, Limits{})
	r.run()
	began := time.Now().Add(-time.Second)
	name := r.must(in, mail("ann"))
	e := r.told("eu", name)
	came := p.messages(name)
	if len(came) != 1 {
		t.Fatalf("it came %d times", len(came))
	}
	m := came[0]
	if !strings.HasPrefix(m.ID, name+"-") || m.Deployment != "eu" || m.Plugin != "sharing" || m.Attempt != 1 || m.Key != "ann" || m.To != "ann@example.org" ||
		m.Subject != "about ann" || m.Text != "text of ann" || m.Created.Before(began) {
		t.Errorf("message: %+v", m)
	}
	if e.State != StateSent || e.Attempts != 1 || e.Reason != "" || e.Ended.IsZero() || !e.Due.IsZero() || e.Key != "ann" || e.Plugin != "sharing" {
		t.Errorf("entry: %+v", e)
	}
	if e.Message == nil || e.Message.Subject != "about ann" || e.Message.Text != "" {
		t.Errorf("what was sent is kept as %+v", e.Message)
	}
	if got := r.heard("eu", "ann"); got != "sent,1,\n" {
		t.Errorf("the plugin heard %q", got)
	}
	if added, err := r.add(in, mail("ann")); added || err != nil {
		t.Errorf("the same key again: %v, %v", added, err)
	}
	if n := r.keys("eu", dues); n != 0 {
		t.Errorf("%d keys of what is due are left", n)
	}
	if n := r.keys("eu", lists); n != 1 {
		t.Errorf("%d keys of lists: want 1", n)
	}
}

func TestWhatFailsIsTriedAgainAndWhatIsRefusedIsNot(t *testing.T) {
	r, p := newRig(t), newPost()
	ways := Channels{"mail": p, "webhook:sms": p}
	r.host.serve("eu", ways, Limits{})
	in := r.box.For("eu", ways, Limits{})
	p.fates(func(_ context.Context, m *Message) error {
		switch {
		case m.Key == "bad":
			return Refused("no\r\nsuch\x00user")
		case m.Attempt < 4 && m.Attempt == 2:
			return errors.New("connection reset")
		case m.Attempt < 4:
			return Failed("greylisted")
		}
		return nil
	})
	r.run()
	slow, bad := r.must(in, hook("1234")), r.must(in, mail("bad"))
	if e := r.told("eu", slow); e.State != StateSent || e.Attempts != 4 || len(p.messages(slow)) != 4 {
		t.Errorf("%+v after %d", e, len(p.messages(slow)))
	}
	if text, _ := p.messages(slow)[3].Body.Text(); text != "body of 1234" {
		t.Errorf("the body is %q", text)
	}
	if e := r.told("eu", bad); e.State != StateFailed || e.Attempts != 1 || e.Reason != "no such user" || len(p.messages(bad)) != 1 || e.Message.Text != "text of bad" {
		t.Errorf("%+v after %d", e, len(p.messages(bad)))
	}
	if got := r.heard("eu", "bad"); got != "failed,1,no such user\n" {
		t.Errorf("the plugin heard %q", got)
	}
	stats := map[string]Stat{}
	r.box.Collect(func(s Stat) { stats[s.Via] = s })
	if s := stats["webhook:sms"]; s.Deployment != "eu" || s.Attempts != 4 || s.Sent != 1 || s.Failed != 0 || s.Retried != 3 || s.Queued != 0 || !s.Oldest.IsZero() {
		t.Errorf("%+v", s)
	}
	if s := stats["mail"]; s.Attempts != 1 || s.Sent != 0 || s.Failed != 1 || s.Retried != 0 {
		t.Errorf("%+v", s)
	}
}

func TestWhatWasCommittedUnheardIsFoundByAScan(t *testing.T) {
	r, p := newRig(t), newPost()
	r.config.Scan = 50 * time.Millisecond
	r.restart()
	r.host.serve("eu", Channels{"mail": p}, Limits{})
	r.run()
	in := New(r.config).For("eu", Channels{"mail": p}, Limits{}) // whose Added nobody hears
	r.told("eu", r.must(in, mail("ann")))
}

func TestWhatWasCommittedLateIsFoundByAScan(t *testing.T) {
	r, p := newRig(t), newPost()
	r.config.commit, r.config.Scan = time.Microsecond, 50*time.Millisecond
	r.restart()
	ways := Channels{"mail": p}
	r.host.serve("eu", ways, Limits{})
	p.fates(func(_ context.Context, m *Message) error {
		if m.Key == "ben" {
			return &Failure{Reason: "later", After: time.Hour}
		}
		return nil
	})
	in := r.box.For("eu", ways, Limits{})
	r.run()
	ben := r.must(in, mail("ben")) // keeps the lane going
	until(t, "an attempt", func() bool { return r.get("eu", ben).Attempts == 1 })
	check(t, r.store.Update(context.Background(), "eu", func(txn store.Txn) error {
		_, err := in.Add(txn, "sharing", mail("ann"), time.Now())
		r.host.asks(t) // while the lane looks
		return err
	}))
	in.Added(1)
	r.told("eu", makeID("eu", "sharing", "ann").String())
}

func TestWhatWasCommittedALittleLaterThanOthersWaitsForNoScan(t *testing.T) {
	r, p := newRig(t), newPost()
	r.config.commit = patience
	r.restart()
	ways, limits := Channels{"mail": p}, Limits{Rate: 1e6}
	r.host.serve("eu", ways, limits)
	in := r.box.For("eu", ways, limits)
	check(t, r.store.Update(context.Background(), "eu", func(txn store.Txn) error {
		_, err := in.Add(txn, "sharing", mail("ann"), time.Now())
		for i := range maxReady + 10 {
			r.must(in, mail(fmt.Sprint("k", i)))
		}
		r.run()
		until(t, "the lane has looked", func() bool { return p.total() > 0 })
		return err
	}))
	in.Added(1)
	r.told("eu", makeID("eu", "sharing", "ann").String())
}

func TestADispatchThatComesTooLateFails(t *testing.T) {
	r, p := newRig(t), newPost()
	r.host.serve("eu", Channels{"mail": p}, Limits{})
	in := r.box.For("eu", Channels{"mail": p}, Limits{})
	r.run()
	d := mail("ann")
	d.Until = time.Now().Add(-time.Second).UnixMicro()
	e := r.told("eu", r.must(in, d))
	if e.State != StateFailed || !strings.HasPrefix(e.Reason, "expired: ") || e.Attempts != 0 || p.total() != 0 {
		t.Errorf("%+v", e)
	}
	if got := r.heard("eu", "ann"); !strings.HasPrefix(got, "failed,0,expired: ") || strings.Count(got, "\n") != 1 {
		t.Errorf("the plugin heard %q", got)
	}
}

func TestAnEntryIsGivenUpWithItsLastReason(t *testing.T) {
	r, p := newRig(t), newPost()
	limits := Limits{GiveUp: 300 * time.Millisecond}
	r.host.serve("eu", Channels{"mail": p}, limits)
	in := r.box.For("eu", Channels{"mail": p}, limits)
	p.fates(func(context.Context, *Message) error { return Failed("the server is away") })
	r.run()
	e := r.told("eu", r.must(in, mail("ann")))
	if e.State != StateFailed || e.Reason != "expired: the server is away" || e.Attempts < 2 || e.Ended.Before(e.Created) {
		t.Errorf("%+v", e)
	}
}

func TestAPanicOfATransportCostsAnAttempt(t *testing.T) {
	r, p := newRig(t), newPost()
	r.host.serve("eu", Channels{"mail": p}, Limits{})
	in := r.box.For("eu", Channels{"mail": p}, Limits{})
	p.fates(func(_ context.Context, m *Message) error {
		if m.Attempt == 1 {
			panic("of a transport")
		}
		return nil
	})
	r.run()
	if e := r.told("eu", r.must(in, mail("ann"))); e.State != StateSent || e.Attempts != 2 {
		t.Errorf("%+v", e)
	}
}

func TestAnAttemptHasADeadline(t *testing.T) {
	r, p := newRig(t), newPost()
	r.config.Attempt = 20 * time.Millisecond
	r.restart()
	r.host.serve("eu", Channels{"mail": p}, Limits{})
	in := r.box.For("eu", Channels{"mail": p}, Limits{})
	p.fates(func(ctx context.Context, m *Message) error {
		if m.Attempt == 1 {
			<-ctx.Done()
			return ctx.Err()
		}
		return nil
	})
	r.run()
	if e := r.told("eu", r.must(in, mail("ann"))); e.State != StateSent || e.Attempts < 2 {
		t.Errorf("%+v", e)
	}
}

func TestWhatNothingDeliversWaitsAndIsNoAttempt(t *testing.T) {
	r, p := newRig(t), newPost()
	ways := Channels{"mail": p}
	in := r.box.For("eu", ways, Limits{})
	name := r.must(in, mail("ann"))
	soon := mail("ben")
	soon.Until = time.Now().Add(200 * time.Millisecond).UnixMicro()
	late := r.must(in, soon)
	r.config.Scan = 50 * time.Millisecond
	r.restart()
	r.host.serve("eu", Channels{}, Limits{})
	r.run()
	e := r.told("eu", late)
	if e.State != StateFailed || e.Reason != "expired: nothing delivers mail any more" {
		t.Errorf("%+v", e)
	}
	if e := r.get("eu", name); e.State != StateQueued || e.Attempts != 0 || e.Reason != "nothing delivers mail any more" {
		t.Errorf("%+v", e)
	}
	r.host.remove("eu")
	r.host.serve("eu", ways, Limits{})
	if e := r.told("eu", name); e.State != StateSent || e.Attempts != 1 || p.total() != 1 {
		t.Errorf("%+v", e)
	}
}

func TestAPluginThatCannotBeToldIsToldLater(t *testing.T) {
	r, p := newRig(t), newPost()
	r.host.serve("eu", Channels{"mail": p}, Limits{})
	in := r.box.For("eu", Channels{"mail": p}, Limits{})
	tries := 0
	r.host.refuse = func(*abi.Outcome) error {
		if tries++; tries < 4 {
			return errors.New("not now")
		}
		return nil
	}
	r.run()
	name := r.must(in, mail("ann"))
	r.told("eu", name)
	if got := r.heard("eu", "ann"); got != "sent,1,\n" || p.total() != 1 {
		t.Errorf("the plugin heard %q of %d", got, p.total())
	}
}

func TestATellingWhoseCommitIsUnknownIsNotMadeTwice(t *testing.T) {
	r, p := newRig(t), newPost()
	r.host.serve("eu", Channels{"mail": p}, Limits{})
	in := r.box.For("eu", Channels{"mail": p}, Limits{})
	r.host.lose = func(*abi.Outcome) bool { return true }
	r.run()
	r.told("eu", r.must(in, mail("ann")))
	r.stop()
	if got := r.heard("eu", "ann"); got != "sent,1,\n" || p.total() != 1 {
		t.Errorf("the plugin heard %q of %d", got, p.total())
	}
}

func TestWhatHasEndedGoesByItselfToldOrNot(t *testing.T) {
	r, p := newRig(t), newPost()
	r.config.keep = 2 * time.Second
	r.config.Backoff = Backoff{First: 20 * time.Millisecond, Most: 100 * time.Millisecond}
	r.restart()
	r.host.serve("eu", Channels{"mail": p}, Limits{})
	in := r.box.For("eu", Channels{"mail": p}, Limits{})
	r.host.refuse = func(o *abi.Outcome) error {
		if o.Key == "ann" {
			return errors.New("never")
		}
		return nil
	}
	r.run()
	ann := r.must(in, mail("ann"))
	r.told("eu", r.must(in, mail("ben")))
	if e := r.get("eu", ann); e.Told {
		t.Errorf("%+v", e)
	}
	until(t, "both are gone", func() bool { return r.keys("eu", entries)+r.keys("eu", lists)+r.keys("eu", dues) == 0 })
	if got := r.heard("eu", "ann"); got != "" || p.total() != 2 {
		t.Errorf("the plugin heard %q of %d", got, p.total())
	}
	r.must(in, mail("ann"))
}

func TestWhatNothingDeliversGoesAsSoonAsSomethingDoes(t *testing.T) {
	r, p := newRig(t), newPost()
	r.config.commit = time.Microsecond
	r.restart()
	name := r.must(r.box.For("eu", Channels{"mail": p}, Limits{}), mail("ann"))
	r.run()
	r.host.asks(t)
	r.host.serve("eu", Channels{"mail": p}, Limits{})
	r.told("eu", name)
}

func TestADeploymentThatIsGoneIsForgotten(t *testing.T) {
	r, p := newRig(t), newPost()
	r.config.Scan = 50 * time.Millisecond
	r.restart()
	r.host.serve("eu", Channels{}, Limits{})
	r.must(r.box.For("eu", Channels{"mail": p}, Limits{}), mail("ann"))
	r.run()
	r.host.remove("eu")
	r.host.asks(t) // by a lane that waits for what delivers mail
	ctx := context.Background()
	check(t, r.store.Update(ctx, "eu", func(txn store.Txn) error {
		page, err := txn.Scan(store.Range{KeysOnly: true})
		for _, e := range page.Entries {
			err = errors.Join(err, txn.Delete(e.Key))
		}
		return err
	}))
	until(t, "it is forgotten", func() bool {
		r.box.mu.Lock()
		defer r.box.mu.Unlock()
		return len(r.box.spaces) == 0
	})
	r.stop()
	if r.host.leases != 0 {
		t.Errorf("%d channels were not given back", r.host.leases)
	}
}

func TestAnotherMessageOfAKeyHasAnotherID(t *testing.T) {
	r, p := newRig(t), newPost()
	r.config.keep = time.Second
	r.restart()
	r.host.serve("eu", Channels{"mail": p}, Limits{})
	in := r.box.For("eu", Channels{"mail": p}, Limits{})
	r.run()
	name := r.must(in, mail("ann"))
	r.told("eu", name)
	until(t, "it is gone", func() bool {
		_, err := r.box.Get(context.Background(), "eu", name)
		return errors.Is(err, ErrUnknown)
	})
	r.must(in, mail("ann"))
	until(t, "the other arrives", func() bool { return p.total() == 2 })
	if came := p.messages(name); len(came) != 2 || came[0].ID == came[1].ID {
		t.Errorf("%+v", came)
	}
}

func TestThePluginIsNotToldWhatIsForOperators(t *testing.T) {
	r, p := newRig(t), newPost()
	r.host.serve("eu", Channels{"mail": p}, Limits{GiveUp: time.Second})
	in := r.box.For("eu", Channels{"mail": p}, Limits{GiveUp: time.Second})
	p.fates(func(_ context.Context, m *Message) error {
		switch m.Key {
		case "ann":
			return &Failure{Reason: "no such user", Detail: "mx.internal: no such user", Permanent: true}
		case "ben":
			return &Failure{Reason: "later", Detail: "mx.internal: later"}
		}
		return errors.New("dial 10.0.0.1")
	})
	r.run()
	for key, want := range map[string][2]string{
		"ann": {"no such user", "mx.internal: no such user"},
		"ben": {"expired: later", "expired: mx.internal: later"},
		"cal": {"expired: it could not be delivered", "expired: dial 10.0.0.1"},
	} {
		e := r.told("eu", r.must(in, mail(key)))
		if heard, told := r.heard("eu", key), fmt.Sprintf("failed,%d,%s\n", e.Attempts, want[0]); heard != told || e.Reason != want[1] {
			t.Errorf("%s: the plugin heard %q, and operators %q: want %q and %q", key, heard, e.Reason, told, want[1])
		}
	}
}

func TestChannelsAreGivenBackAfterTheAttempt(t *testing.T) {
	r, p := newRig(t), newPost()
	r.host.serve("eu", Channels{"mail": p}, Limits{})
	in := r.box.For("eu", Channels{"mail": p}, Limits{})
	p.fates(func(context.Context, *Message) error {
		r.host.mu.Lock()
		defer r.host.mu.Unlock()
		if r.host.leases == 0 {
			t.Error("the channels may be closed during an attempt")
		}
		return nil
	})
	r.run()
	r.told("eu", r.must(in, mail("ann")))
}

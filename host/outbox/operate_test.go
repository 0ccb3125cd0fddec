package outbox

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
)

// failing is a rig whose entries all fail.
func failing(t *testing.T) (*rig, *post, *Intake) {
	r, p := newRig(t), newPost()
	ways := Channels{"mail": p, "webhook:sms": p}
	r.host.serve("eu", ways, Limits{Rate: 1e6, GiveUp: time.Hour})
	p.fates(func(context.Context, *Message) error { return Refused("never") })
	return r, p, r.box.For("eu", ways, Limits{GiveUp: time.Minute})
}

func TestOperatorsRetryWhatHasFailed(t *testing.T) {
	r, p, in := failing(t)
	ctx := context.Background()
	fates := func(ann error) {
		p.fates(func(_ context.Context, m *Message) error {
			if m.Key == "ben" {
				return &Failure{Reason: "later", After: 10 * time.Second}
			}
			return ann
		})
	}
	fates(Refused("never"))
	r.run()
	ben := r.must(in, mail("ben")) // keeps the lane going
	until(t, "an attempt", func() bool { return r.get("eu", ben).Attempts == 1 })
	d := mail("ann")
	d.Until = time.Now().Add(30 * time.Minute).UnixMicro()
	name := r.must(in, d)
	failed := r.told("eu", name)
	fates(nil)
	check(t, r.box.Retry(ctx, "eu", name))
	until(t, "it is sent", func() bool { return r.get("eu", name).State == StateSent })
	e := r.told("eu", name)
	if e.Attempts != 1 || !e.Until.Equal(time.UnixMicro(d.Until)) || !e.Until.After(failed.Until) || !e.Created.Equal(failed.Created) {
		t.Errorf("%+v, before %+v", e, failed)
	}
	if got := r.heard("eu", "ann"); got != "failed,1,never\nsent,1,\n" {
		t.Errorf("the plugin heard %q", got)
	}
	if err := r.box.Retry(ctx, "eu", name); !errors.Is(err, ErrState) {
		t.Errorf("retry of what was sent: %v", err)
	}
	if err := r.box.Discard(ctx, "eu", name); !errors.Is(err, ErrState) {
		t.Errorf("discard of what was sent: %v", err)
	}
}

func TestOperatorsDiscard(t *testing.T) {
	r, p, in := failing(t)
	ctx := context.Background()
	p.fates(func(_ context.Context, m *Message) error {
		if m.Key == "ann" {
			return &Failure{Reason: "later", After: 10 * time.Second}
		}
		return Refused("never")
	})
	r.run()
	ann, ben := r.must(in, mail("ann")), r.must(in, mail("ben"))
	until(t, "an attempt", func() bool { return r.get("eu", ann).Attempts == 1 })
	r.told("eu", ben)
	for _, name := range []string{ann, ben} {
		check(t, r.box.Discard(ctx, "eu", name))
		if e := r.told("eu", name); e.State != StateFailed || e.Reason != discarded || e.Attempts != 1 {
			t.Errorf("%+v", e)
		}
		if err := r.box.Discard(ctx, "eu", name); !errors.Is(err, ErrState) {
			t.Errorf("discard again: %v", err)
		}
	}
	if got := r.heard("eu", "ann"); got != "failed,1,"+discarded+"\n" {
		t.Errorf("the plugin heard %q", got)
	}
	if got := r.heard("eu", "ben"); got != "failed,1,never\nfailed,1,"+discarded+"\n" {
		t.Errorf("the plugin heard %q", got)
	}
}

func TestATellingThatAnOperatorOvertakesIsNotMade(t *testing.T) {
	r, p, in := failing(t)
	ctx := context.Background()
	name := makeID("eu", "sharing", "ann").String()
	first := true
	r.host.refuse = func(o *abi.Outcome) error {
		if !o.Sent && first {
			first = false
			p.fates(nil)
			return r.box.Retry(ctx, "eu", name)
		}
		return nil
	}
	r.run()
	r.must(in, mail("ann"))
	until(t, "it is sent", func() bool { return r.get("eu", name).State == StateSent })
	r.told("eu", name)
	if got := r.heard("eu", "ann"); got != "sent,1,\n" || p.total() != 2 {
		t.Errorf("the plugin heard %q of %d", got, p.total())
	}
}

func TestWhatArrivesWhileItIsDiscardedIsSent(t *testing.T) {
	r, p, in := failing(t)
	begun, release := make(chan bool), make(chan bool)
	p.fates(func(context.Context, *Message) error {
		begun <- true
		<-release
		return nil
	})
	r.run()
	name := r.must(in, mail("ann"))
	<-begun
	check(t, r.box.Discard(context.Background(), "eu", name))
	release <- true
	if e := r.told("eu", name); e.State != StateSent || p.total() != 1 {
		t.Errorf("%+v", e)
	}
	if got := r.heard("eu", "ann"); got != "sent,1,\n" {
		t.Errorf("the plugin heard %q", got)
	}
}

func TestOperatorsRetryAllThatAreMeant(t *testing.T) {
	r, p, in := failing(t)
	ctx := context.Background()
	r.run()
	const n = 3*retryBatch + 5
	for i := range n {
		r.must(in, mail(fmt.Sprint("m", i)))
	}
	sms := r.must(in, hook("1"))
	until(t, "all have failed", func() bool { return len(r.all("eu", Query{State: StateFailed})) == n+1 && r.keys("eu", dues) == 0 })
	p.fates(nil)
	if k, err := r.box.RetryAll(ctx, "eu", Query{Via: "mail", To: "M3@example.org"}); k != 0 || err != nil {
		t.Errorf("retried %d of nobody: %v", k, err)
	}
	if k, err := r.box.RetryAll(ctx, "eu", Query{To: "m3@example.org"}); k != 1 || err != nil {
		t.Errorf("retried %d of one: %v", k, err)
	}
	if k, err := r.box.RetryAll(ctx, "eu", Query{Via: "mail", State: StateFailed}); k != n-1 || err != nil {
		t.Errorf("retried %d of %d: %v", k, n-1, err)
	}
	until(t, "all are sent", func() bool { return len(r.all("eu", Query{State: StateSent})) == n && r.keys("eu", dues) == 0 })
	if e := r.get("eu", sms); e.State != StateFailed {
		t.Errorf("%+v", e)
	}
	if k, err := r.box.RetryAll(ctx, "eu", Query{State: StateSent}); k != 0 || !errors.Is(err, ErrState) {
		t.Errorf("retried %d of what was sent: %v", k, err)
	}
}

func TestListsAreNewestFirstAndPaged(t *testing.T) {
	r, p, in := failing(t)
	p.fates(func(_ context.Context, m *Message) error {
		switch {
		case strings.HasSuffix(m.Key, "1"):
			return Refused("never")
		case strings.HasSuffix(m.Key, "2"):
			return &Failure{Reason: "later", After: 10 * time.Second}
		}
		return nil
	})
	r.run()
	var want []string
	for i := range 40 {
		d := mail(fmt.Sprint("k", i))
		if i%4 == 0 {
			d = hook(fmt.Sprint(i))
		}
		want = append(want, r.must(in, d))
	}
	slices.Reverse(want)
	until(t, "all were tried", func() bool {
		for _, name := range want {
			if e := r.get("eu", name); e.State == StateQueued && e.Attempts == 0 || e.State != StateQueued && !e.Told {
				return false
			}
		}
		return true
	})
	count := map[State]int{StateQueued: 4, StateFailed: 4, StateSent: 32}
	for limit := range 45 {
		var got []string
		for _, e := range r.all("eu", Query{Limit: limit}) {
			got = append(got, e.ID)
			if e.Message != nil {
				t.Fatal("a list has messages")
			}
		}
		if !slices.Equal(got, want) {
			t.Fatalf("by %d: %v: want %v", limit, got, want)
		}
		for state, n := range count {
			if list := r.all("eu", Query{State: state, Limit: limit}); len(list) != n {
				t.Errorf("%d are %s: want %d", len(list), state, n)
			}
		}
	}
	if list := r.all("eu", Query{Via: "webhook:sms"}); len(list) != 10 {
		t.Errorf("%d went by webhook", len(list))
	}
	if list := r.all("eu", Query{To: "k7@example.org", State: StateSent}); len(list) != 1 || list[0].Key != "k7" {
		t.Errorf("to k7: %+v", list)
	}
	if l, err := r.box.List(context.Background(), "eu", Query{Limit: 3}); err != nil || len(l.Entries) != 3 || l.Next == "" {
		t.Errorf("a page of 3: %d, %q, %v", len(l.Entries), l.Next, err)
	}
	if l, err := r.box.List(context.Background(), "eu", Query{Limit: 40}); err != nil || l.Next != "" {
		t.Errorf("behind the last page there is %q, %v", l.Next, err)
	}
}

func TestOperatorsAreToldWhatIsWrong(t *testing.T) {
	r, _, in := failing(t)
	ctx := context.Background()
	name := r.must(in, mail("ann"))
	for _, wrong := range []string{"", "x", strings.ToUpper(name), name + "a", makeID("eu", "sharing", "nobody").String(), "\xff"} {
		_, err := r.box.Get(ctx, "eu", wrong)
		for what, err := range map[string]error{"get": err, "retry": r.box.Retry(ctx, "eu", wrong), "discard": r.box.Discard(ctx, "eu", wrong)} {
			if !errors.Is(err, ErrUnknown) {
				t.Errorf("%s %q: %v", what, wrong, err)
			}
		}
	}
	if _, err := r.box.Get(ctx, "us", name); !errors.Is(err, ErrUnknown) {
		t.Errorf("of another deployment: %v", err)
	}
	if err := r.box.Retry(ctx, "eu", name); !errors.Is(err, ErrState) {
		t.Errorf("retry of what is queued: %v", err)
	}
	for _, q := range []Query{{State: "lost"}, {After: "x"}, {After: strings.Repeat("a", 1000)}} {
		if l, err := r.box.List(ctx, "eu", q); err == nil {
			t.Errorf("%+v lists %+v", q, l)
		}
	}
}

func FuzzReadRecord(f *testing.F) {
	var w, m abi.Writer
	mail("ann").Append(&m)
	(&record{plugin: "sharing", key: "ann", via: "mail", to: "a@b", state: StateFailed, reason: "why", created: 1, message: m.Value()}).append(&w)
	f.Add([]byte(w.Value()))
	f.Add([]byte(w.Value()[:20]))
	f.Add([]byte{0xdd, 0xff, 0xff, 0xff, 0xff})
	f.Fuzz(func(t *testing.T, v []byte) {
		r, err := readRecord(id{}, v)
		if err != nil {
			return
		}
		var w abi.Writer
		r.append(&w)
		again, err := readRecord(id{}, w.Value())
		if err != nil || again.entry() != r.entry() {
			t.Errorf("%+v is read again as %+v, %v", r, again, err)
		}
		_, _ = r.dispatch()
	})
}

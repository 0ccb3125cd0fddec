package outbox

import (
	"context"
	"fmt"
	"slices"
	"testing"
	"time"
)

func TestADeploymentWithMuchToDeliverDoesNotHoldUpAnother(t *testing.T) {
	r, slow, quick := newRig(t), newPost(), newPost()
	r.host.serve("eu", Channels{"mail": slow, "webhook:sms": quick}, Limits{})
	r.host.serve("us", Channels{"mail": quick}, Limits{})
	slow.fates(func(ctx context.Context, _ *Message) error {
		<-ctx.Done()
		return ctx.Err()
	})
	r.config.Drain = time.Millisecond
	r.restart()
	in := r.box.For("eu", Channels{"mail": slow, "webhook:sms": quick}, Limits{})
	for i := range 600 { // more than are looked for at once
		r.must(in, mail(fmt.Sprint("k", i)))
	}
	r.run()
	until(t, "the slow one is busy", func() bool { return slow.total() >= 4 })
	r.told("us", r.must(r.box.For("us", Channels{"mail": quick}, Limits{}), mail("ann")))
	r.told("eu", r.must(in, hook("1")))
	if n := slow.total(); n != 4 {
		t.Errorf("%d attempts at a time: want 4", n)
	}
}

func TestADeploymentMakesNoMoreAttemptsThanItsRate(t *testing.T) {
	r, p := newRig(t), newPost()
	limits := Limits{Rate: 20}
	r.host.serve("eu", Channels{"mail": p}, limits)
	in := r.box.For("eu", Channels{"mail": p}, limits)
	for i := range 50 {
		r.must(in, mail(fmt.Sprint("k", i)))
	}
	began := time.Now()
	r.run()
	until(t, "all are sent", func() bool { return p.total() == 50 })
	// 20 at once, and 30 more at 20 a second.
	if took := time.Since(began); took < 1400*time.Millisecond {
		t.Errorf("50 attempts took %v", took)
	}
}

func TestEntriesAreDeliveredInTheOrderInWhichTheyAreDue(t *testing.T) {
	r, p := newRig(t), newPost()
	r.config.Parallel = 1
	r.restart()
	r.host.serve("eu", Channels{"mail": p}, Limits{Rate: 1e6})
	in := r.box.For("eu", Channels{"mail": p}, Limits{})
	var order, want []string
	p.fates(func(_ context.Context, m *Message) error {
		order = append(order, m.Key) // one at a time
		return nil
	})
	for i := range 2*maxReady + 10 {
		want = append(want, fmt.Sprint("k", i))
		r.must(in, mail(want[i]))
	}
	r.run()
	until(t, "all are told", func() bool { return r.keys("eu", dues) == 0 })
	r.stop()
	if fmt.Sprint(order) != fmt.Sprint(want) {
		t.Errorf("delivered as %v", order)
	}
}

func TestWhatIsTriedLaterDoesNotKeepALaneFromWhatIsNew(t *testing.T) {
	r, p := newRig(t), newPost()
	r.host.serve("eu", Channels{"mail": p}, Limits{Rate: 1e6})
	in := r.box.For("eu", Channels{"mail": p}, Limits{})
	p.fates(func(_ context.Context, m *Message) error {
		if m.Key == "new" {
			return nil
		}
		return &Failure{Reason: "later", After: time.Hour}
	})
	for i := range 300 {
		r.must(in, mail(fmt.Sprint("k", i)))
	}
	r.run() // what it looks for is counted exactly, since nobody adds to it meanwhile
	until(t, "all were tried", func() bool {
		return !slices.ContainsFunc(r.all("eu", Query{Limit: 500}), func(e Entry) bool { return e.Attempts == 0 })
	})
	if n := r.box.queued("eu"); n != 300 {
		t.Errorf("%d are queued: want 300", n)
	}
	r.told("eu", r.must(in, mail("new")))
	for _, e := range r.all("eu", Query{State: StateQueued, Limit: 500}) {
		if e.Attempts != 1 || time.Until(e.Due) < 50*time.Minute {
			t.Fatalf("%+v", e)
		}
	}
}

package engine

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/edgeset/edgeset/host/rewrite"
)

func TestABucketFillsAndOwes(t *testing.T) {
	now := time.Now()
	var b bucket
	b.take(1e9, now)
	if b.wait(now) != 0 {
		t.Error("one without a rate has an end")
	}
	b.set(10, 5, now)
	for _, step := range []struct {
		after time.Duration
		take  float64
		wait  time.Duration
	}{
		{0, 5, 0}, // it begins full
		{0, 1, 100 * time.Millisecond},
		{50 * time.Millisecond, 0, 50 * time.Millisecond},
		{50 * time.Millisecond, 0, 0},
		{time.Hour, 6, 100 * time.Millisecond}, // no more is saved than it holds
		{0, 1e12, time.Hour},
	} {
		now = now.Add(step.after)
		b.take(step.take, now)
		if got := b.wait(now); (got - step.wait).Abs() > time.Microsecond {
			t.Errorf("%+v: wait of %v", step, got)
		}
	}
	b.set(20, 1, now)
	if got := b.wait(now); got != time.Hour {
		t.Errorf("a change of the rate forgives: wait of %v", got)
	}
	b.set(0, 0, now)
	if b.wait(now) != 0 || b.full(now) != 1 {
		t.Error("without a rate again, it has an end")
	}
}

// A play has guests that compute in a time that is not real.
type play struct {
	t     *testing.T
	turns *turns
	all   sync.WaitGroup
	cpu   atomic.Int64
}

func newPlay(t *testing.T, cores int) *play {
	p := &play{t: t, turns: newTurns(cores)}
	p.turns.processTime = func() time.Duration { return time.Duration(p.cpu.Load()) }
	return p
}

func (p *play) tenant() *Tenant {
	t := NewTenant(TenantLimits{})
	p.turns.join(t)
	return t
}

// slice is how long a guest computes between two passes through the host.
const slice = rewrite.FuelSlice / fuelPerNano * time.Nanosecond

// loop has n guests of a tenant compute until ctx ends.
func (p *play) loop(ctx context.Context, t *Tenant, n int) {
	for range n {
		p.all.Go(func() {
			c := &callContext{tenant: t}
			c.begin(ctx, nil)
			defer c.end()
			for {
				time.Sleep(slice)
				p.cpu.Add(int64(slice))
				now := time.Now()
				waited, err := c.account(rewrite.FuelSlice, now)
				if waited {
					c.at = time.Now()
				}
				if ctx.Err() != nil {
					return
				}
				if err != nil {
					p.t.Error(err)
					return
				}
			}
		})
	}
}

// call has a tenant make short calls until ctx ends, one each ms, which take a part
// of it.
func (p *play) call(ctx context.Context, t *Tenant, part time.Duration) {
	p.all.Go(func() {
		for ctx.Err() == nil {
			t.calls.Add(1)
			p.cpu.Add(int64(part))
			time.Sleep(time.Millisecond)
		}
	})
}

// end waits for all, and checks that nobody has kept a turn.
func (p *play) end() {
	p.t.Helper()
	p.all.Wait()
	if n, m := len(p.turns.holders), len(p.turns.line); n+m > 0 {
		p.t.Errorf("%d have a turn and %d wait for one", n, m)
	}
}

func TestTurns(t *testing.T) {
	const cores, length = 2, 10 * time.Second
	for _, c := range []struct {
		name        string
		greedy      []int         // guests that loop, by tenant
		others      time.Duration // that the calls of another tenant take of each ms
		least, most time.Duration // computed by each greedy tenant
	}{
		// What is free beyond the credit: the budget of turns, and what flows in.
		{"beside one that needs the cores", []int{8}, 700 * time.Microsecond, 400 * time.Millisecond, 1200 * time.Millisecond},
		{"three beside one that needs the cores", []int{8, 8, 1}, 700 * time.Microsecond, 200 * time.Millisecond, 500 * time.Millisecond},
		{"beside one that needs little", []int{8}, 50 * time.Microsecond, 6 * time.Second, 11 * time.Second},
		{"two beside one that needs little", []int{8, 1}, 50 * time.Microsecond, 3 * time.Second, 6 * time.Second},
		{"two by themselves", []int{8, 1}, 0, 8 * time.Second, 11 * time.Second},
		{"alone", []int{2}, 0, 19 * time.Second, 21 * time.Second},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				p := newPlay(t, cores)
				ctx, cancel := context.WithTimeout(t.Context(), length)
				defer cancel()
				if good := p.tenant(); c.others > 0 {
					p.call(ctx, good, c.others)
				}
				var greedy []*Tenant
				for _, n := range c.greedy {
					greedy = append(greedy, p.tenant())
					p.loop(ctx, greedy[len(greedy)-1], n)
				}
				p.all.Wait()
				p.end()
				for i, g := range greedy {
					if got := g.Stats().Computed; got < c.least || got > c.most {
						t.Errorf("tenant %d computed for %v, want %v to %v", i, got, c.least, c.most)
					}
				}
			})
		})
	}
}

func TestAGuestWaitsForItsTurnUntilItsCallEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlay(t, 1)
		now := time.Now()
		good, greedy := p.tenant(), p.tenant()
		good.calls.Add(1)
		greedy.owe(time.Hour, now)
		holder := &callContext{tenant: greedy}
		holder.begin(t.Context(), nil)
		if _, err := p.turns.pass(holder, 0, now); err != nil || !holder.turn.held {
			t.Fatalf("no turn, although there is one: %v", err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
		defer cancel()
		c := &callContext{tenant: greedy}
		c.begin(ctx, nil)
		if _, err := p.turns.pass(c, 0, now); !errors.Is(err, context.DeadlineExceeded) || time.Since(now) != 10*time.Millisecond {
			t.Errorf("after %v: %v", time.Since(now), err)
		}
		c.end()
		holder.end()
		p.end()
	})
}

// Others need not wait for one who has the turn and waits for something else.
func TestATurnIsLostByWhoIsNotSeen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPlay(t, 1)
		now := time.Now()
		good, one, two := p.tenant(), p.tenant(), p.tenant()
		good.calls.Add(1)
		var guests []*callContext
		for _, t := range []*Tenant{one, two} {
			t.owe(time.Hour, now)
			c := &callContext{tenant: t}
			c.begin(context.Background(), nil)
			guests = append(guests, c)
		}
		for _, c := range guests {
			if _, err := p.turns.pass(c, 0, time.Now()); err != nil {
				t.Fatal(err)
			}
		}
		if took := time.Since(now); took < lostTime || took > 2*lostTime || guests[0].turn.held || !guests[1].turn.held {
			t.Errorf("after %v: held %v, %v", took, guests[0].turn.held, guests[1].turn.held)
		}
		for _, c := range guests {
			c.end()
		}
		p.end()
	})
}

// Calls that are short for others are long ones of a tenant that has used up its
// credit, and it pays for all of a long one.
func TestWhoHasNoCreditMakesWaySooner(t *testing.T) {
	now := time.Now()
	for _, c := range []struct {
		computed time.Duration
		owes     bool
		long     bool
	}{
		{briefCall - 1, false, false}, {briefCall, false, false}, {longCall - 1, false, false}, {longCall, false, true},
		{briefCall - 1, true, false}, {briefCall, true, true}, {longCall, true, true},
	} {
		p := newPlay(t, 1)
		tenant := p.tenant()
		if c.owes {
			tenant.owe(time.Hour, now)
		}
		call := &callContext{tenant: tenant, computed: c.computed}
		if got := call.isLong(now); got != c.long {
			t.Errorf("%+v: long %v", c, got)
		}
	}
	p := newPlay(t, 1)
	p.turns.pace = paceFree
	tenant := p.tenant()
	call := &callContext{tenant: tenant, at: now, computed: longCall - time.Millisecond, extra: time.Millisecond}
	full := tenant.credit.full(now)
	if _, err := call.account(0, now); err != nil {
		t.Fatal(err)
	}
	if owed := time.Duration((full - tenant.credit.full(now)) * float64(creditBound)); owed < longCall-time.Microsecond || owed > longCall+time.Microsecond {
		t.Errorf("it owes %v for a call of %v", owed, longCall)
	}
}

// Who has computed for an hour while it was alone makes way no longer than others.
func TestADebtIsForgottenSoon(t *testing.T) {
	p := newPlay(t, 1)
	tenant, now := p.tenant(), time.Now()
	tenant.owe(time.Hour, now)
	full := now.Add(time.Duration(2 * creditBound.Seconds() / creditShare * float64(time.Second)))
	if !tenant.makesWay(now) || tenant.makesWay(full) || tenant.credit.full(full) < 0.99 {
		t.Errorf("%+v", tenant.credit)
	}
}

// Where others need the cores, a tenant whose guests trap starts few in their place.
func TestWhoTrapsStartsRarelyBesideOthers(t *testing.T) {
	starts := func(others time.Duration) (n int) {
		synctest.Test(t, func(t *testing.T) {
			p := newPlay(t, 2)
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
			defer cancel()
			if good := p.tenant(); others > 0 {
				p.call(ctx, good, others)
			}
			trapping := newPool(1, 1)
			trapping.tenant = p.tenant()
			start := trapping.start
			trapping.start = func(ctx context.Context) (*instance, error) {
				n++
				p.cpu.Add(int64(trapTime))
				time.Sleep(trapTime)
				return start(ctx)
			}
			for ctx.Err() == nil {
				i, err := trapping.take(ctx, false)
				if err != nil {
					break
				}
				i.broken = true
				trapping.put(i)
			}
			cancel()
			p.end()
		})
		return n
	}
	if alone, beside := starts(0), starts(700*time.Microsecond); alone < 1000 || beside < 20 || beside > 200 {
		t.Errorf("%d guests were started alone, and %d beside one that needs the cores", alone, beside)
	}
}

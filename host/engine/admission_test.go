package engine

import (
	"context"
	"errors"
	"math/rand/v2"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"
)

// A crowd is callers of a pool whose calls all take the same time.
type crowd struct {
	pool *pool
	call time.Duration
	wg   sync.WaitGroup

	mu     sync.Mutex
	served int
	waits  []time.Duration // of those who were served
	after  []time.Duration // of those who were refused
	err    error           // that is not ErrBusy
}

func newCrowd(call time.Duration, o Options) *crowd {
	p := newPool(o.Instances, o.Waiting)
	p.admission = newAdmission(&o)
	return &crowd{pool: p, call: call}
}

// come has one more caller come.
func (c *crowd) come() {
	c.wg.Go(func() {
		start := time.Now()
		i, err := c.pool.take(context.Background(), false)
		took := time.Since(start)
		if err == nil {
			time.Sleep(c.call)
			done(c.pool, i)
		}
		c.mu.Lock()
		defer c.mu.Unlock()
		switch {
		case err == nil:
			c.served++
			c.waits = append(c.waits, took)
		case errors.Is(err, ErrBusy):
			c.after = append(c.after, took)
		default:
			c.err = err
		}
	})
}

// flood has callers come at random, on average at a multiple of what the pool
// can do, and returns when all have gone.
func (c *crowd) flood(times float64, d time.Duration) {
	random := rand.New(rand.NewPCG(1, 2))
	mean := float64(c.call) / float64(c.pool.max) / times
	for end := time.Now().Add(d); time.Now().Before(end); {
		c.come()
		time.Sleep(time.Duration(random.ExpFloat64() * mean))
	}
	c.wg.Wait()
}

func quantile(d []time.Duration, q float64) time.Duration {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return d[int(q*float64(len(d)-1))]
}

func TestUnderOverloadThePoolDoesWhatItCan(t *testing.T) {
	for _, c := range []struct {
		name      string
		instances int
		call      time.Duration
		times     float64
	}{
		{"quick calls", 8, 2 * time.Millisecond, 3},
		{"calls that take as long as the wait", 8, 100 * time.Millisecond, 3},
		{"ten times as many", 8, 10 * time.Millisecond, 10},
		{"a little too many", 4, 10 * time.Millisecond, 1.1},
		{"one instance, slow calls", 1, 400 * time.Millisecond, 3},
	} {
		t.Run(c.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				o := Options{Instances: c.instances, Waiting: 1 << 20, MaxWait: time.Second}
				crowd := newCrowd(c.call, o)
				crowd.flood(c.times, time.Second) // until it is clear that the line stays
				crowd.waits, crowd.after, crowd.served = nil, nil, 0
				const d = 20 * time.Second
				crowd.flood(c.times, d)
				if crowd.err != nil {
					t.Fatal(crowd.err)
				}
				can := float64(c.instances) * float64(d) / float64(c.call)
				if got := float64(crowd.served); got < 0.95*can || got > 1.05*can {
					t.Errorf("%v were served, of %v that could be", got, can)
				}
				if got, want := quantile(crowd.waits, 0.99), o.MaxWait/8+c.call; got > want {
					t.Errorf("a hundredth waited for %v, want at most %v", got, want)
				}
				if got, want := quantile(crowd.waits, 1), o.MaxWait/4+c.call; got > want {
					t.Errorf("one waited for %v, want at most %v", got, want)
				}
				if got := quantile(crowd.after, 1); got != 0 {
					t.Errorf("one was refused only after %v", got)
				}
				if len(crowd.after) == 0 {
					t.Error("nobody was refused")
				}
			})
		})
	}
}

// Many who come at once are served, if that takes but a moment.
func TestABurstIsServed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(time.Millisecond, Options{Instances: 4, Waiting: 1 << 20, MaxWait: time.Second})
		for range 5 {
			for range 900 { // a little less than MaxWait/4 of work
				c.come()
			}
			c.wg.Wait()
			time.Sleep(time.Millisecond)
		}
		if c.served != 5*900 || len(c.after) > 0 || c.err != nil {
			t.Fatalf("%d were served, %d refused, %v", c.served, len(c.after), c.err)
		}
		if got := quantile(c.waits, 1); got > 230*time.Millisecond {
			t.Errorf("one waited for %v", got)
		}
	})
}

// If calls stop coming back, nobody waits for ever, and in the end nobody joins.
func TestALineThatHasComeToAHalt(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		c := newCrowd(0, Options{Instances: 1, Waiting: 1 << 20, MaxWait: time.Second})
		i := mustTake(t, c.pool)
		for range 600 {
			c.come()
			time.Sleep(time.Millisecond)
		}
		c.wg.Wait()
		if c.served != 0 || c.err != nil {
			t.Fatalf("%d were served, %v", c.served, c.err)
		}
		late, slow := c.pool.admission.refused[waitOver], c.pool.admission.refused[lineSlow]
		if late+slow != 600 || late < 100 || late > 150 {
			t.Errorf("%d waited in vain, and %d were refused: want those of the first 125 ms to wait", late, slow)
		}
		if got := quantile(c.after, 1); got != time.Second {
			t.Errorf("one was refused after %v, want MaxWait", got)
		}
		done(c.pool, i)
		c.come()
		c.wg.Wait()
		if c.served != 1 {
			t.Error("nobody is served any more")
		}
	})
}

func TestWhoComesAheadIsServedFirstAndNotRefused(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(1, 2)
		i := mustTake(t, p)
		var order []string
		var wg sync.WaitGroup
		for _, c := range []struct {
			name  string
			ahead bool
		}{{"first", false}, {"second", false}, {"ahead", true}, {"ahead as well", true}} {
			wg.Go(func() {
				j, err := p.take(t.Context(), c.ahead)
				if err != nil {
					t.Errorf("%s: %v", c.name, err)
					return
				}
				order = append(order, c.name)
				done(p, j)
			})
			synctest.Wait()
		}
		done(p, i)
		wg.Wait()
		if want := []string{"ahead", "ahead as well", "first", "second"}; !slices.Equal(order, want) {
			t.Errorf("served in the order %v, want %v", order, want)
		}
	})
}

// Whoever has gone when it comes to its turn leaves it to the next.
func TestATurnThatComesTooLateGoesToTheNext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(1, 2)
		i := mustTake(t, p)
		ctx, cancel := context.WithCancel(t.Context())
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := p.take(ctx, false); !errors.Is(err, context.Canceled) {
				t.Errorf("error %v, want Canceled", err)
			}
		})
		synctest.Wait()
		wg.Go(func() { done(p, mustTake(t, p)) })
		synctest.Wait()
		cancel()
		done(p, i)
		wg.Wait()
		if p.busy != 0 || p.line.n != 0 || p.calls != 2 {
			t.Errorf("%d busy, %d in line, %d calls", p.busy, p.line.n, p.calls)
		}
	})
}

func TestARefusalNamesThePluginAndAllocatesNothing(t *testing.T) {
	o := Options{Name: "p", Waiting: 0, MaxWait: 3 * time.Second}
	p := newPool(1, 0)
	p.admission = newAdmission(&o)
	i := mustTake(t, p)
	defer p.put(i)
	_, err := p.take(t.Context(), false)
	var busy *BusyError
	if !errors.As(err, &busy) || busy.Plugin != "p" || busy.RetryAfter != 3*time.Second ||
		err.Error() != `engine: plugin "p": all instances are busy: as many callers wait as may` {
		t.Errorf("%v", err)
	}
	ctx := t.Context()
	if n := testing.AllocsPerRun(100, func() { _, _ = p.take(ctx, false) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// A line does what a list of its waiters would.
func TestALineKeepsItsOrder(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	var l line
	var ahead, others []*waiter
	for range 20000 {
		now := time.Now()
		switch n := len(ahead) + len(others); {
		case n == 0 || n < 10 && random.IntN(2) == 0:
			if w := l.join(now, n%3 == 1); n%3 == 1 {
				ahead = append(ahead, w)
			} else {
				others = append(others, w)
			}
		case random.IntN(2) == 0:
			w := l.first
			l.call(nil)
			<-w.ready
			if len(ahead) > 0 {
				ahead = ahead[1:]
			} else {
				others = others[1:]
			}
			l.recycle(w)
		default: // gives up
			k := random.IntN(n)
			list := &ahead
			if k >= len(ahead) {
				k, list = k-len(ahead), &others
			}
			w := (*list)[k]
			*list = slices.Delete(slices.Clone(*list), k, k+1)
			l.remove(w)
			l.recycle(w)
		}
		want := slices.Concat(ahead, others)
		var got []*waiter
		for w, before := l.first, (*waiter)(nil); w != nil; w, before = w.next, w {
			if w.prev != before {
				t.Fatal("the way back is another one")
			}
			got = append(got, w)
		}
		if !slices.Equal(got, want) || l.n != len(want) || (l.last == nil) != (len(want) == 0) || len(want) > 0 && l.last != want[len(want)-1] {
			t.Fatalf("%d in line, want %d, or in another order", len(got), len(want))
		}
	}
}

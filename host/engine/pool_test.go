package engine

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"
)

// newPool returns a pool whose instances are empty shells: what is tested is
// who gets them.
func newPool(max, waiting int) *pool {
	o := &Options{Name: "p", Waiting: waiting, MaxWait: time.Second}
	p := &pool{plugin: "p", max: max, admission: newAdmission(o), tenant: NewTenant(TenantLimits{}), empty: make(chan struct{})}
	p.start = func(context.Context) (*instance, error) { return &instance{}, nil }
	return p
}

func mustTake(t *testing.T, p *pool) *instance {
	t.Helper()
	i, err := p.take(t.Context(), false)
	if err != nil {
		t.Fatal(err)
	}
	return i
}

// done gives an instance back after a call.
func done(p *pool, i *instance) {
	i.calls++
	i.uses++
	p.put(i)
}

// Many goroutines take and put in a small pool, with traps, starts that fail,
// callers that give up, and sweeps between them. No instance may serve two at a
// time, and in the end none may be missing.
func TestHammer(t *testing.T) {
	const workers, rounds, size = 32, 500, 3
	p := newPool(size, workers/2)
	p.maxUses, p.maxAge = 50, 3
	p.start = func(context.Context) (*instance, error) {
		if rand.IntN(10) == 0 {
			return nil, errors.New("did not start")
		}
		return &instance{}, nil
	}
	var inUse sync.Map
	var working, served, refused atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			for range rounds {
				ctx, cancel := context.WithTimeout(t.Context(), time.Duration(rand.IntN(500))*time.Microsecond)
				i, err := p.take(ctx, false)
				cancel()
				if err != nil {
					refused.Add(1)
					continue
				}
				if _, twice := inUse.LoadOrStore(i, true); twice || working.Add(1) > size {
					t.Error("too many at work")
				}
				switch rand.IntN(8) {
				case 0:
					i.broken = true
				case 1:
					time.Sleep(time.Duration(rand.IntN(50)) * time.Microsecond)
				case 2:
					p.sweep()
				}
				served.Add(1)
				working.Add(-1)
				inUse.Delete(i)
				done(p, i)
			}
		})
	}
	wg.Wait()
	if p.total != len(p.idle) || p.line.n != 0 || p.line.first != nil || p.total > size {
		t.Fatalf("total %d, idle %d, waiting %d", p.total, len(p.idle), p.line.n)
	}
	if int64(p.calls) != served.Load() || served.Load() == 0 || refused.Load() == 0 {
		t.Fatalf("%d calls, %d served, %d refused", p.calls, served.Load(), refused.Load())
	}
	p.close()
}

func TestTheInstanceThatCameBackLastGoesOutFirst(t *testing.T) {
	p := newPool(3, 1)
	a, b, c := mustTake(t, p), mustTake(t, p), mustTake(t, p)
	p.put(b)
	p.put(a)
	p.put(c)
	for _, want := range []*instance{c, a, b} {
		if got := mustTake(t, p); got != want {
			t.Fatal("out of order")
		}
	}
}

func TestCallersBeyondTheLineAreRefusedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(1, 2)
		i := mustTake(t, p)
		var order []int
		var wg sync.WaitGroup
		for n := range 2 {
			wg.Go(func() {
				j := mustTake(t, p)
				order = append(order, n)
				p.put(j)
			})
			synctest.Wait()
		}
		start := time.Now()
		_, err := p.take(t.Context(), false)
		var busy *BusyError
		if !errors.As(err, &busy) || !errors.Is(err, ErrBusy) || busy.RetryAfter != time.Second || time.Since(start) > 0 {
			t.Fatalf("error %v after %v", err, time.Since(start))
		}
		p.put(i)
		wg.Wait()
		if order[0] != 0 || order[1] != 1 {
			t.Fatalf("served in the order %v", order)
		}
	})
}

func TestAWaitEndsWithMaxWaitOrTheContext(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(1, 2)
		i := mustTake(t, p)
		start := time.Now()
		if _, err := p.take(t.Context(), false); !errors.Is(err, ErrBusy) || time.Since(start) != time.Second {
			t.Fatalf("error %v after %v", err, time.Since(start))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := p.take(ctx, false); !errors.Is(err, context.DeadlineExceeded) {
			t.Fatalf("error %v", err)
		}
		if p.line.n != 0 || p.line.first != nil {
			t.Fatal("they still stand in line")
		}
		p.put(i)
	})
}

func TestATrapLetsTheNextInLineStartAnother(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(1, 1)
		i := mustTake(t, p)
		var wg sync.WaitGroup
		wg.Go(func() { p.put(mustTake(t, p)) })
		synctest.Wait()
		i.broken = true
		p.put(i)
		wg.Wait()
		if p.total != 1 || len(p.idle) != 1 || p.traps != 1 || p.idle[0] == i {
			t.Fatalf("total %d, idle %d, traps %d", p.total, len(p.idle), p.traps)
		}
	})
}

func TestSweepsCloseWhatIsNotNeeded(t *testing.T) {
	p := newPool(5, 1)
	var all []*instance
	for range 5 {
		all = append(all, mustTake(t, p))
	}
	for _, i := range all {
		p.put(i)
	}
	p.sweep() // all five were at work since the last sweep
	if len(p.idle) != 5 {
		t.Fatalf("%d idle, want 5", len(p.idle))
	}
	a, b := mustTake(t, p), mustTake(t, p)
	p.put(a)
	p.put(b)
	p.sweep() // two were needed
	if len(p.idle) != 2 || p.total != 2 || p.evictions != 3 {
		t.Fatalf("%d idle, %d in all, want 2", len(p.idle), p.total)
	}
	p.sweep() // none was, and one stays
	if len(p.idle) != 1 || p.total != 1 {
		t.Fatalf("%d idle, %d in all, want 1", len(p.idle), p.total)
	}
}

func TestTheLastInstanceGoesIfNobodyCalls(t *testing.T) {
	for _, quick := range []bool{true, false} {
		p := newPool(5, 1)
		p.quick = quick
		p.put(mustTake(t, p))
		for range quietSweeps {
			p.sweep()
		}
		p.put(mustTake(t, p)) // a call, and the time begins again
		for range quietSweeps + 1 {
			p.sweep()
		}
		if len(p.idle) != 1 {
			t.Fatalf("%d idle, want 1: the time is not over", len(p.idle))
		}
		p.sweep()
		if left := len(p.idle); (left == 0) != quick || p.total != left {
			t.Errorf("%d idle, %d in all, of a plugin that starts quickly: %v", left, p.total, quick)
		}
		p.put(mustTake(t, p))
		if len(p.idle) != 1 {
			t.Errorf("%d idle after a call, want 1", len(p.idle))
		}
	}
}

func TestInstancesWearOut(t *testing.T) {
	p := newPool(2, 1)
	p.maxUses = 2
	a := mustTake(t, p)
	done(p, a)
	if b := mustTake(t, p); b != a {
		t.Fatal("replaced too early")
	}
	done(p, a)
	if p.total != 0 || p.evictions != 1 {
		t.Fatalf("total %d, evictions %d", p.total, p.evictions)
	}
	p.maxUses, p.maxAge = 0, 2
	b, c := mustTake(t, p), mustTake(t, p)
	done(p, b)
	p.sweep()
	p.sweep() // b, idle, is too old now; c comes back too old
	done(p, c)
	if p.total != 0 || p.evictions != 3 {
		t.Fatalf("total %d, evictions %d", p.total, p.evictions)
	}
}

func TestClosingRefusesTheLineAndWaitsForTheLastInstance(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(1, 1)
		i := mustTake(t, p)
		var wg sync.WaitGroup
		wg.Go(func() {
			if _, err := p.take(t.Context(), false); !errors.Is(err, ErrClosed) {
				t.Errorf("in line: %v, want ErrClosed", err)
			}
		})
		synctest.Wait()
		closed := false
		go func() { p.close(); closed = true }()
		wg.Wait()
		synctest.Wait()
		if closed {
			t.Fatal("closed under a running call")
		}
		if _, err := p.take(t.Context(), false); !errors.Is(err, ErrClosed) {
			t.Fatalf("error %v, want ErrClosed", err)
		}
		p.put(i)
		synctest.Wait()
		if !closed || p.total != 0 {
			t.Fatalf("closed %v, total %d", closed, p.total)
		}
	})
}

// In a burst, nobody waits for the start of more than one instance.
func TestABurstStartsInstancesSideBySide(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const startTime = 10 * time.Millisecond
		p := newPool(8, 100)
		p.start = func(context.Context) (*instance, error) {
			time.Sleep(startTime)
			return &instance{}, nil
		}
		begin := time.Now()
		var wg sync.WaitGroup
		for range 20 {
			wg.Go(func() { done(p, mustTake(t, p)) })
		}
		wg.Wait()
		if took := time.Since(begin); took != startTime || p.total != 8 {
			t.Errorf("all were served after %v by %d instances, want %v and 8", took, p.total, startTime)
		}
	})
}

func TestWhoComeOneAfterTheOtherGetTheSameInstance(t *testing.T) {
	p := newPool(8, 1)
	first := mustTake(t, p)
	done(p, first)
	for range 100 {
		i := mustTake(t, p)
		if i != first {
			t.Fatal("a cold instance was started while a warm one was idle")
		}
		done(p, i)
	}
}

func TestTheHotPathAllocatesNothing(t *testing.T) {
	p := newPool(2, 1)
	ctx := t.Context()
	if n := testing.AllocsPerRun(100, func() {
		i, _ := p.take(ctx, false)
		done(p, i)
	}); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

// An instance that cannot be reset is replaced, and its place is taken until
// another is there.
func TestAnInstanceThatCannotBeResetIsReplaced(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		p := newPool(1, 1)
		p.start = func(context.Context) (*instance, error) {
			time.Sleep(time.Millisecond)
			return &instance{}, nil
		}
		resets := 0
		p.reset = func(*instance) bool { resets++; return resets != 2 }
		i := mustTake(t, p)
		done(p, i)
		if j := mustTake(t, p); j != i || resets != 1 {
			t.Fatalf("%d resets", resets)
		}
		done(p, i)
		begin := time.Now()
		j := mustTake(t, p)
		if j == i || time.Since(begin) != time.Millisecond || p.total != 1 {
			t.Errorf("after %v, with %d instances", time.Since(begin), p.total)
		}
		p.put(j) // not used, so there is nothing to reset
		if resets != 2 || p.busy != 0 {
			t.Errorf("%d resets, %d busy", resets, p.busy)
		}
	})
}

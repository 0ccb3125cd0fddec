package engine_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/edgeset/edgeset/host/engine"
)

// looping is a guest whose call does not come to an end.
func looping() []byte {
	return fast(append([]byte{opLoop, 0x40, 0x0c, 0, opEnd}, i64Const(0)...)).wasm()
}

// growing is a guest whose call grows its memory by a page, and answers with
// nothing if it could not.
func growing() []byte { return growingBy(1) }

func growingBy(pages int64) []byte {
	// The reply's size is 1 if memory.grow has not returned -1.
	return fast(slices.Concat(i32Const(pages), []byte{opMemoryGrow, 0}, i32Const(-1), []byte{0x47, 0xad})).wasm()
}

// loops has n calls that loop until ctx ends, and returns the fuel that they spent.
func loops(ctx context.Context, t *testing.T, v *engine.Version, n int) (spent uint64) {
	t.Helper()
	var mu sync.Mutex
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			_, fuel, err := v.Call(ctx, nil, nil, nil)
			if !errors.Is(err, context.DeadlineExceeded) && !errors.Is(err, context.Canceled) {
				t.Errorf("error %v", err)
			}
			mu.Lock()
			defer mu.Unlock()
			spent += fuel
		})
	}
	all.Wait()
	return spent
}

func within(t *testing.T, d time.Duration) context.Context {
	ctx, cancel := context.WithTimeout(t.Context(), d)
	t.Cleanup(cancel)
	return ctx
}

func TestGuestsComputeOnNoMoreCoresThanTheirTenantHas(t *testing.T) {
	e := newEngine(t, engine.Config{})
	const cores, limit = 0.02, time.Second
	tenant := engine.NewTenant(engine.TenantLimits{Cores: cores})
	one := loadGuest(t, e, engine.Options{Instances: 2, Tenant: tenant}, looping())
	other := loadGuest(t, e, engine.Options{Instances: 2, Tenant: tenant}, looping())
	begin := time.Now()
	ctx := within(t, limit)
	var all sync.WaitGroup
	for _, v := range []*engine.Version{one, other} {
		all.Go(func() { loops(ctx, t, v, 2) })
	}
	all.Wait()
	took := time.Since(begin)
	s := tenant.Stats()
	// Each of the four may be in the midst of a slice, and is not stopped there.
	if most := time.Duration(2*cores*float64(took)) + 4*time.Millisecond; s.Computed == 0 || s.Computed > most {
		t.Errorf("%v computed in %v, want no more than %v", s.Computed, took, most)
	}
	if s.Waited < took {
		t.Errorf("%v waited in %v", s.Waited, took)
	}
	t.Logf("%v computed in %v", s.Computed, took)

	// A new version may lift the limit while the old one drains.
	tenant.SetLimits(engine.TenantLimits{})
	loops(within(t, limit), t, one, 2)
	if more := tenant.Stats().Computed - s.Computed; more < 2*s.Computed {
		t.Errorf("without a limit %v were computed, with one %v", more, s.Computed)
	}
}

func TestACallSpendsWhatFlowsInAndEndsAtItsDeadline(t *testing.T) {
	const perSecond, limit = 10e6, 500 * time.Millisecond
	tenant := engine.NewTenant(engine.TenantLimits{FuelPerSecond: perSecond})
	v := loadGuest(t, newEngine(t, engine.Config{}), engine.Options{Tenant: tenant}, looping())
	begin := time.Now()
	first := loops(within(t, limit), t, v, 1) // and what was saved up
	second := loops(within(t, limit), t, v, 1)
	took := time.Since(begin).Seconds()
	const slice = 500_000
	if most := perSecond*(took+engine.FuelBurst.Seconds()) + 2*slice; float64(first+second) > most || first < 5*perSecond {
		t.Errorf("%d and %d were spent, want %v at most", first, second, most)
	}
	if float64(second) > 2*perSecond*took+slice {
		t.Errorf("%d were spent of %v that flowed in", second, perSecond*took)
	}
	if took < (2 * limit).Seconds() {
		t.Errorf("ended after %v s", took)
	}
}

func TestAGuestThatWaitsEndsWithItsContext(t *testing.T) {
	tenant := engine.NewTenant(engine.TenantLimits{FuelPerSecond: 1})
	v := loadGuest(t, newEngine(t, engine.Config{}), engine.Options{Instances: 2, Tenant: tenant}, looping())
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan uint64)
	go func() { ended <- loops(ctx, t, v, 2) }()
	until(t, "a guest waits", func() bool { return v.Stats().Instances == 2 && tenant.Stats().Computed > 0 })
	select {
	case <-ended:
		t.Fatal("it has ended")
	case <-time.After(50 * time.Millisecond):
	}
	cancel()
	select {
	case <-ended:
	case <-time.After(30 * time.Second):
		t.Fatal("it goes on waiting")
	}
}

func TestAVersionIsClosedWhoseGuestsWait(t *testing.T) {
	tenant := engine.NewTenant(engine.TenantLimits{FuelPerSecond: 1})
	v := loadGuest(t, newEngine(t, engine.Config{}), engine.Options{Instances: 2, Tenant: tenant}, looping())
	if tenant.Stats().Memory == 0 {
		t.Error("no memory is counted")
	}
	var all sync.WaitGroup
	all.Go(func() { loops(within(t, 300*time.Millisecond), t, v, 2) })
	until(t, "a guest waits", func() bool { return v.Stats().Instances == 2 && tenant.Stats().Computed > 0 })
	if err := v.Close(within(t, 30*time.Second)); err != nil {
		t.Error(err)
	}
	all.Wait()
	if n := tenant.Stats().Memory; n != 0 {
		t.Errorf("%d bytes are still counted", n)
	}
}

func TestMemoryIsBoundedForAllPluginsOfATenant(t *testing.T) {
	e := newEngine(t, engine.Config{})
	const page, budget = 64 << 10, 20 * 64 << 10
	tenant := engine.NewTenant(engine.TenantLimits{Memory: budget})
	// Each has an instance of two pages.
	one := loadGuest(t, e, engine.Options{Instances: 8, Tenant: tenant}, growing())
	other := loadGuest(t, e, engine.Options{Instances: 8, Tenant: tenant}, growing())
	if n := tenant.Stats().Memory; n != 4*page {
		t.Fatalf("%d bytes at first", n)
	}
	grow := func(v *engine.Version) bool {
		t.Helper()
		reply, _, err := v.Call(t.Context(), nil, nil, nil)
		if err != nil {
			t.Fatal(err)
		}
		return len(reply) == 1
	}
	grown := 0
	for grow(one) {
		grown++
	}
	if n := tenant.Stats().Memory; grown != 16 || n != budget {
		t.Errorf("it grew %d times, and %d bytes are counted; want 16, %d", grown, n, budget)
	}
	if grow(other) {
		t.Error("the other one could grow")
	}
	// Callers share the instance that there is.
	var all sync.WaitGroup
	for range 8 {
		all.Go(func() { grow(other) })
	}
	all.Wait()
	if s := other.Stats(); s.Instances != 1 || s.Idle != 1 || s.Waiting != 0 {
		t.Errorf("%+v", s)
	}
	third := loadGuest(t, e, engine.Options{Tenant: tenant}, growing()) // has an instance in any case
	if n := tenant.Stats().Memory; n != budget+2*page {
		t.Errorf("%d bytes are counted", n)
	}
	for _, v := range []*engine.Version{third, one} {
		if err := v.Close(t.Context()); err != nil {
			t.Error(err)
		}
	}
	if !grow(other) {
		t.Error("the other one cannot grow although there is room again")
	}
	if err := other.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if n := tenant.Stats().Memory; n != 0 {
		t.Errorf("%d bytes are counted in the end", n)
	}
}

// No fuel pays for memory: its tenant does, and the guest waits before it has it.
func TestAGuestPaysForItsMemory(t *testing.T) {
	const pages = 512
	tenant := engine.NewTenant(engine.TenantLimits{Cores: 0.5})
	v := loadGuest(t, newEngine(t, engine.Config{}), engine.Options{Tenant: tenant}, growingBy(pages))
	before := tenant.Stats()
	if reply, _, err := v.Call(t.Context(), nil, nil, nil); err != nil || len(reply) != 1 {
		t.Fatalf("%d bytes, %v", len(reply), err)
	}
	after := tenant.Stats()
	if after.Memory-before.Memory != pages<<16 || after.Computed-before.Computed < 10*time.Millisecond || after.Waited == before.Waited {
		t.Errorf("before %+v, after %+v", before, after)
	}
}

// More callers than the memory has instances for, which grow, trap and are replaced.
func TestTheMemoryOfInstancesIsGivenBack(t *testing.T) {
	const budget = 9 * 64 << 10
	tenant := engine.NewTenant(engine.TenantLimits{Memory: budget})
	g := fast(append([]byte{opI32Const, 1, opMemoryGrow, 0, opDrop, 0x00}, i64Const(0)...)) // traps
	v := loadGuest(t, newEngine(t, engine.Config{}), engine.Options{Instances: 16, Tenant: tenant, MaxWait: time.Minute}, g.wasm())
	var all sync.WaitGroup
	for range 16 {
		all.Go(func() {
			for range 50 {
				var trap *engine.TrapError
				if _, _, err := v.Call(t.Context(), nil, nil, nil); !errors.As(err, &trap) {
					t.Errorf("error %v", err)
				}
				if n := tenant.Stats().Memory; n > budget {
					t.Errorf("%d bytes, want %d at most", n, budget)
				}
			}
		})
	}
	all.Wait()
	if err := v.Close(t.Context()); err != nil {
		t.Error(err)
	}
	if n := tenant.Stats().Memory; n != 0 {
		t.Errorf("%d bytes are counted in the end", n)
	}
}

func TestATenantThatIsAloneWaitsForNobody(t *testing.T) {
	tenant := engine.NewTenant(engine.TenantLimits{})
	v := loadGuest(t, newEngine(t, engine.Config{}), engine.Options{Instances: 4, Tenant: tenant}, looping())
	loops(within(t, 500*time.Millisecond), t, v, 4)
	if s := tenant.Stats(); s.Waited != 0 || s.Computed == 0 {
		t.Errorf("%+v", s)
	}
}

func TestWhoComputesForLongMakesWay(t *testing.T) {
	e := newEngine(t, engine.Config{})
	ctx, cancel := context.WithCancel(t.Context())
	good := loadGuest(t, e, engine.Options{}, fast(i64Const(0)).wasm())
	var tenants []*engine.Tenant
	var all sync.WaitGroup
	for range 2 {
		tenant := engine.NewTenant(engine.TenantLimits{})
		tenants = append(tenants, tenant)
		v := loadGuest(t, e, engine.Options{Instances: 4, Tenant: tenant}, looping())
		all.Go(func() { loops(ctx, t, v, 4) })
	}
	until(t, "both have waited", func() bool {
		if _, _, err := good.Call(t.Context(), nil, nil, nil); err != nil {
			t.Fatal(err)
		}
		return tenants[0].Stats().Waited > 0 && tenants[1].Stats().Waited > 0
	})
	cancel()
	all.Wait()
}

func until(t *testing.T, what string, ok func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("not in time: %s", what)
		}
	}
}

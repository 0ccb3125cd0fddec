package engine

import (
	"sync"
	"sync/atomic"
	"time"
)

// TenantLimits are what all plugins of a tenant may use together.
type TenantLimits struct {
	// Cores is how many cores its guests may compute on, on average; half of one
	// is 0.5. 0: no limit of its own.
	Cores float64
	// Memory is how many bytes all its instances may have. Beyond it no guest's
	// memory grows and no further instance is started, but each plugin has one in
	// any case. 0: no limit of its own.
	Memory int64
	// FuelPerSecond is how much fuel flows in; FuelBurst of it can be saved up.
	// 0: no limit.
	FuelPerSecond int64
}

// FuelBurst is how long fuel can be saved up.
const FuelBurst = 10 * time.Second

// coresBurst is how long a tenant may save up what Cores gives it: long enough
// that a guest that waits need not be woken for every slice.
const coresBurst = 20 * time.Millisecond

// A Tenant is whoever answers for what plugins use: a deployment, with all its
// plugins in all the versions that run. It bounds what they use together, and is
// what is fair to be shared among; see turns.
type Tenant struct {
	calls    atomic.Uint64 // that were begun
	computed atomic.Int64  // nanoseconds
	limited  atomic.Bool   // its guests have something to wait for

	memory, memoryLimit atomic.Int64 // bytes held, and that may be

	mu     sync.Mutex
	cores  bucket // of seconds of computing
	fuel   bucket
	credit bucket // of seconds of computing in long calls, before they make way
	waited time.Duration

	// Guarded by the lock of turns.
	turns  *turns // of the engine that it has plugins in
	seen   uint64 // calls when they were looked at last
	worked time.Time
	used   time.Duration // computed in turns, as far as it counts against others
}

// NewTenant returns a tenant with limits.
func NewTenant(l TenantLimits) *Tenant {
	t := new(Tenant)
	t.SetLimits(l)
	return t
}

// SetLimits changes the limits, also for guests that run or wait. What has been
// used up stays used up.
func (t *Tenant) SetLimits(l TenantLimits) {
	now := time.Now()
	t.mu.Lock()
	defer t.mu.Unlock()
	t.memoryLimit.Store(max(0, l.Memory))
	t.cores.set(l.Cores, l.Cores*coresBurst.Seconds(), now)
	t.fuel.set(float64(l.FuelPerSecond), float64(l.FuelPerSecond)*FuelBurst.Seconds(), now)
	t.limited.Store(l.Cores > 0 || l.FuelPerSecond > 0)
}

// TenantStats is what a tenant uses and has used.
type TenantStats struct {
	Memory   int64         // bytes that its instances have
	Computed time.Duration // by its guests, and for them
	Waited   time.Duration // that they have waited for their limits, or for others
}

// Stats returns what the tenant uses and has used.
func (t *Tenant) Stats() TenantStats {
	t.mu.Lock()
	defer t.mu.Unlock()
	return TenantStats{Memory: t.memory.Load(), Computed: time.Duration(t.computed.Load()), Waited: t.waited}
}

// spend takes what a guest has computed, and the fuel that it took.
func (t *Tenant) spend(d time.Duration, fuel int64, now time.Time) {
	t.computed.Add(int64(d))
	if !t.limited.Load() {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.cores.take(d.Seconds(), now)
	t.fuel.take(float64(fuel), now)
}

// wait returns how long a guest has to wait until it may go on.
func (t *Tenant) wait(now time.Time) time.Duration {
	if !t.limited.Load() {
		return 0
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	return max(t.cores.wait(now), t.fuel.wait(now))
}

// owe takes what was computed in long calls, or for instances to be started.
func (t *Tenant) owe(d time.Duration, now time.Time) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.credit.take(d.Seconds(), now)
	t.credit.level = max(t.credit.level, -creditBound.Seconds())
}

// makesWay tells whether its long calls have used up their credit.
func (t *Tenant) makesWay(now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.credit.wait(now) > 0
}

// isModest tells whether it has used up less than half of its credit.
func (t *Tenant) isModest(now time.Time) bool {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.credit.full(now) >= 0.5
}

// noteWait counts time that a guest has waited.
func (t *Tenant) noteWait(d time.Duration) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.waited += d
}

// reserve takes n bytes, if there are so many left.
func (t *Tenant) reserve(n int64) bool {
	limit := t.memoryLimit.Load()
	if after := t.memory.Add(n); limit == 0 || after <= limit {
		return true
	}
	t.memory.Add(-n)
	return false
}

// hold takes n bytes, whether they are left or not; less than 0 gives them back.
func (t *Tenant) hold(n int64) { t.memory.Add(n) }

// A bucket fills at a rate, up to a bound. More can be taken than there is; the
// rest is owed. One without a rate is bottomless.
type bucket struct {
	rate  float64 // a second; 0: no limit
	bound float64
	level float64
	at    time.Time // when level was that
}

// set changes the rate and the bound. One that had no rate begins full.
func (b *bucket) set(rate, bound float64, now time.Time) {
	b.flow(now)
	if b.rate == 0 {
		b.level = bound
	}
	b.rate, b.bound, b.level = max(0, rate), bound, min(b.level, bound)
}

func (b *bucket) flow(now time.Time) {
	if d := now.Sub(b.at); d > 0 {
		b.level = min(b.bound, b.level+b.rate*d.Seconds())
		b.at = now
	}
}

func (b *bucket) take(n float64, now time.Time) {
	if b.rate > 0 {
		b.flow(now)
		b.level -= n
	}
}

// wait returns how long nothing is to be taken.
func (b *bucket) wait(now time.Time) time.Duration {
	if b.rate == 0 {
		return 0
	}
	if b.flow(now); b.level >= 0 {
		return 0
	}
	return time.Duration(min(-b.level/b.rate, time.Hour.Seconds()) * float64(time.Second))
}

// full returns which part of the bucket is full.
func (b *bucket) full(now time.Time) float64 {
	if b.rate == 0 {
		return 1
	}
	b.flow(now)
	return b.level / b.bound
}

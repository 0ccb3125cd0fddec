package engine

import (
	"context"
	"crypto/rand"
	"fmt"
	"runtime"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/edgeset/edgeset/host/rewrite"
)

// fuelModule is what a guest calls when its fuel is used up: some 50 µs of work
// after the last time. A guest that computes does not come through Go in any
// other way, and meanwhile Go can neither run another goroutine on its thread
// nor collect garbage, for which it needs all threads at once.
func fuelModule(ctx context.Context, rt wazero.Runtime) error {
	i32 := []api.ValueType{api.ValueTypeI32}
	_, err := rt.NewHostModuleBuilder(rewrite.FuelModule).
		NewFunctionBuilder().WithGoFunction(api.GoFunc(refuel), i32, i32).Export(rewrite.FuelImport).
		Instantiate(ctx)
	return err
}

func refuel(ctx context.Context, stack []uint64) {
	c := ctx.(*callContext)
	fuel := rewrite.FuelSlice - int64(int32(stack[0]))
	c.spent += fuel
	now := time.Now()
	c.check(now)
	waited, err := c.account(fuel, now)
	if waited {
		now = c.resume()
		c.check(now)
	}
	// Those who wait for this thread have not seen it since the guest was called,
	// or yielded last. To let them in for every slice would cost more than the
	// guest does where many guests compute.
	if err == nil && now.Sub(c.yielded) >= yieldEvery {
		if c.parent.Err() != nil {
			err = fmt.Errorf("the call ended while the guest ran: %w", context.Cause(c.parent))
		} else {
			runtime.Gosched()
			c.at = time.Now()
			c.yielded = c.at
		}
	}
	if err != nil {
		panic(err)
	}
	stack[0] = rewrite.FuelSlice
}

// resume notes that the guest computes on after it has waited.
func (c *callContext) resume() (now time.Time) {
	now = time.Now()
	c.at, c.yielded = now, now
	return now
}

// bytesPerNano is how much memory the system makes ready in a nanosecond, when it
// is first touched, and takes back. No fuel pays for that.
const bytesPerNano = 2

// grew counts what it takes to make more memory ready, before there is still more: a
// guest can have all of it within one slice of fuel. Whether its call has ended is
// seen when that is used up.
func (c *callContext) grew(bytes int64) {
	c.extra += time.Duration(bytes / bytesPerNano)
	if waited, _ := c.account(0, time.Now()); waited {
		c.resume()
	}
}

// account counts what the guest has computed since it refuelled last, and has it
// wait if its tenant has used up what it may, or has to make way for others.
func (c *callContext) account(fuel int64, now time.Time) (waited bool, err error) {
	t := c.tenant
	// The clock is not asked when a call begins. What is longer than a slice can
	// be was spent waiting, in the host.
	d := time.Duration(fuel / fuelPerNano)
	if !c.at.IsZero() {
		d = min(now.Sub(c.at), maxSlice)
	}
	d += c.extra
	c.at, c.extra = now, 0
	c.computed += d
	t.spend(d, fuel, now)
	for w := t.wait(now); w > 0 && err == nil; w = t.wait(time.Now()) {
		waited = true
		_, err = c.pause(w, nil)
	}
	if err != nil || !c.isLong(now) {
		return waited, err
	}
	t.owe(c.computed-c.owed, now)
	c.owed = c.computed
	if !t.makesWay(now) {
		return waited, nil
	}
	paused, err := t.turns.pass(c, d, now)
	return waited || paused, err
}

// isLong tells whether a call computes for so long that its tenant owes for it.
func (c *callContext) isLong(now time.Time) bool {
	return c.computed >= longCall || c.owed > 0 || c.computed >= briefCall && c.tenant.makesWay(now)
}

const (
	fuelPerNano = 10
	// maxSlice is how long a guest may need for a slice of fuel on a slow machine.
	maxSlice = 20 * rewrite.FuelSlice / fuelPerNano * time.Nanosecond
)

// yieldEvery is how long a guest that computes keeps its thread to itself.
const yieldEvery = 200 * time.Microsecond

// check ends a call that has run for too long.
func (c *callContext) check(now time.Time) {
	if c.limited && !now.Before(c.deadline) {
		panic(fmt.Errorf("the call ran beyond its deadline: %w", context.DeadlineExceeded))
	}
}

// entropy is where a guest's random_get reads. A guest can ask for as much as it
// has memory, again and again, which takes longer than any fuel pays for.
type entropy struct{ ctx *callContext }

func (e entropy) Read(p []byte) (int, error) {
	e.ctx.check(time.Now())
	return rand.Read(p[:min(len(p), 64<<10)])
}

// A meter reads how much fuel an instance has left.
type meter struct {
	left   api.Global
	before int64
}

func newMeter(mod api.Module) meter { return meter{left: mod.ExportedGlobal(rewrite.FuelExport)} }

func (m *meter) read() int64 {
	if m.left == nil {
		return 0 // it is still being started
	}
	return int64(int32(m.left.Get()))
}

// begin starts to count.
func (m *meter) begin() { m.before = m.read() }

// end returns what was spent since. A trap in the midst of a loop leaves the
// count as it was before the loop, or before it was refilled last.
func (m *meter) end(refilled int64) uint64 { return uint64(max(0, refilled+m.before-m.read())) }

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
	c := ctx.(*callContext) // instances pass it to wazero, which passes it on
	c.spent += rewrite.FuelSlice - int64(int32(stack[0]))
	now := time.Now()
	c.check(now)
	// Those who wait for this thread have not seen it since the guest was called,
	// or yielded last. To let them in for every slice would cost more than the
	// guest does where many guests compute.
	if now.Sub(c.yielded) >= yieldEvery {
		if c.parent.Err() != nil {
			panic(fmt.Errorf("the call ended while the guest ran: %w", context.Cause(c.parent)))
		}
		runtime.Gosched()
		c.yielded = now
	}
	stack[0] = rewrite.FuelSlice
}

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

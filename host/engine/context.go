package engine

import (
	"context"
	"fmt"
	"time"
)

// A callContext is the context that a guest, and the host functions it calls,
// run under. An instance has one and uses it for call after call, so that a call
// allocates nothing; host functions must not keep it beyond the call.
type callContext struct {
	parent context.Context // of the running call; Background between calls
	state  any
	// The parent's deadline: asked for once, so that who looks at it often, in
	// the midst of a guest's work, calls nothing.
	deadline time.Time
	limited  bool // there is one
	asked    bool // State has been called, in this call or an earlier one

	spent   int64     // fuel that was refilled during the call
	yielded time.Time // when the guest last let others run, or began to refuel

	tenant   *Tenant
	at       time.Time     // when the guest last refuelled during the call
	computed time.Duration // until then
	owed     time.Duration // of that, what its tenant pays for with its credit
	extra    time.Duration // that the system has computed for it since
	turn     turn
}

// State returns what the running call was given as its state. A host function
// passes the context it was called with. There is no state outside a call.
func State(ctx context.Context) any {
	if c, ok := ctx.(*callContext); ok {
		c.asked = true
		return c.state
	}
	// wazero, or a host function, may have wrapped it.
	if c, ok := ctx.Value(callContextKey{}).(*callContext); ok {
		c.asked = true
		return c.state
	}
	return nil
}

type callContextKey struct{}

func (c *callContext) begin(ctx context.Context, state any) {
	c.parent, c.state, c.spent = ctx, state, 0
	c.at, c.computed, c.owed, c.extra = time.Time{}, 0, 0, 0
	c.deadline, c.limited = ctx.Deadline()
}

func (c *callContext) end() {
	if c.turn.used {
		c.tenant.turns.release(c)
	}
	c.begin(context.Background(), nil)
}

// makeWay waits for the turn to do work for the guest, if its tenant has to make
// way for others; charge has the tenant pay for what it took, and owe what it counts
// as beside others.
func (c *callContext) makeWay() error {
	now := time.Now()
	if !c.tenant.makesWay(now) {
		return nil
	}
	_, err := c.tenant.turns.pass(c, 0, now)
	return err
}

func (c *callContext) charge(spent, owed time.Duration) {
	now := time.Now()
	c.tenant.spend(spent, 0, now)
	c.tenant.owe(owed, now)
	if c.turn.used {
		c.tenant.turns.note(c, spent, owed, now)
	}
}

// pause waits for d, or until it is called. The error says that the call has
// ended meanwhile.
func (c *callContext) pause(d time.Duration, ready <-chan struct{}) (called bool, err error) {
	begin := time.Now()
	t := time.NewTimer(d)
	defer func() {
		t.Stop()
		c.tenant.noteWait(time.Since(begin))
	}()
	select {
	case <-t.C:
		return false, nil
	case <-ready:
		return true, nil
	case <-c.Done():
		return false, fmt.Errorf("the call ended while the guest waited to compute on: %w", context.Cause(c.parent))
	}
}

func (c *callContext) Deadline() (time.Time, bool) { return c.deadline, c.limited }
func (c *callContext) Done() <-chan struct{}       { return c.parent.Done() }
func (c *callContext) Err() error                  { return c.parent.Err() }

func (c *callContext) Value(key any) any {
	if key == (callContextKey{}) {
		return c
	}
	return c.parent.Value(key)
}

var _ context.Context = (*callContext)(nil)

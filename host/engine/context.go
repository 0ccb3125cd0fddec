package engine

import (
	"context"
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

	spent   int64     // fuel that was refilled during the call
	yielded time.Time // when the guest last let others run, or began to refuel
}

// State returns what the running call was given as its state. A host function
// passes the context it was called with. There is no state outside a call.
func State(ctx context.Context) any {
	if c, ok := ctx.(*callContext); ok {
		return c.state
	}
	// wazero, or a host function, may have wrapped it.
	if c, ok := ctx.Value(callContextKey{}).(*callContext); ok {
		return c.state
	}
	return nil
}

type callContextKey struct{}

func (c *callContext) begin(ctx context.Context, state any) {
	c.parent, c.state, c.spent = ctx, state, 0
	c.deadline, c.limited = ctx.Deadline()
}

func (c *callContext) end() { c.begin(context.Background(), nil) }

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

package rollout

import (
	"context"
	"errors"
	"fmt"
)

// A turn is the right to change what serves, which one at a time has. Who has to wait for
// something in the midst of a change, for a registry or a migration, lets others have
// theirs meanwhile: see aside.
type turn struct{ c *Controller }

// begin takes the turn for a change, of which somebody has seen a revision: that of a
// deployment, or of the host if name is empty.
func (c *Controller) begin(ctx context.Context, name string, expect int64) (*turn, error) {
	t, err := c.take(ctx)
	if err != nil {
		return nil, err
	}
	if err := c.admits(name, expect); err != nil {
		t.end()
		return nil, err
	}
	return t, nil
}

func (c *Controller) take(ctx context.Context) (*turn, error) {
	select {
	case c.turn <- struct{}{}:
	case <-ctx.Done():
		return nil, context.Cause(ctx)
	case <-c.ctx.Done(): // Close keeps the turn
		return nil, errStopping()
	}
	if c.ctx.Err() != nil {
		<-c.turn
		return nil, errStopping()
	}
	return &turn{c}, nil
}

func errStopping() error { return fmt.Errorf("rollout: the host is stopping: %w", ErrRefused) }

// admits tells why something cannot be changed now.
func (c *Controller) admits(name string, expect int64) error {
	if c.unsure {
		return fmt.Errorf("rollout: %w: it is not known whether the last change was recorded: want the host started again", ErrRefused)
	}
	if err := c.isFree(name); err != nil {
		return err
	}
	now := c.revision
	if name != "" {
		now = 0
		if r := c.running[name]; r != nil {
			now = r.Revision
		}
	}
	if expect != 0 && expect != now {
		return fmt.Errorf("rollout: %w: the revision is %d, and was %d when it was looked at", ErrStale, now, expect)
	}
	return nil
}

// isFree fails for a deployment that another change is in the midst of.
func (c *Controller) isFree(name string) error {
	if c.busy[name] {
		return fmt.Errorf("rollout: deployment %q: %w: another change of it is under way", name, ErrRefused)
	}
	return nil
}

// end gives the turn back.
func (t *turn) end() {
	if t.c != nil {
		<-t.c.turn
		t.c = nil
	}
}

// aside does something that takes its time while others have their turn, but for changes
// of these deployments. If it fails because the host is stopping, the turn is gone.
func (t *turn) aside(names []string, do func() error) error {
	c := t.c
	for _, name := range names {
		c.busy[name] = true
	}
	t.end()
	err := do()
	again, lost := c.take(context.Background())
	if lost != nil {
		return errors.Join(err, lost)
	}
	*t = *again
	for _, name := range names {
		delete(c.busy, name)
	}
	return err
}

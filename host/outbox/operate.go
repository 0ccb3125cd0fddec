package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// Get returns an entry with its message.
func (o *Outbox) Get(ctx context.Context, deployment, name string) (*Entry, error) {
	d, err := parseID(name)
	if err != nil {
		return nil, err
	}
	r, err := o.read(ctx, deployment, d)
	switch {
	case err != nil:
		return nil, fmt.Errorf("outbox: entry %s of %q: %w", d, deployment, err)
	case r == nil:
		return nil, errUnknown(d)
	}
	e := o.show(deployment)(r)
	if e.Message, err = r.dispatch(); err != nil {
		return nil, err
	}
	return &e, nil
}

// show returns how entries of a deployment are shown: with why they are not tried.
func (o *Outbox) show(deployment string) func(*record) Entry {
	absent := map[string]bool{}
	return func(r *record) Entry {
		e := r.entry()
		if r.state != StateQueued {
			return e
		}
		gone, asked := absent[r.via]
		if !asked {
			_, has := o.serves(deployment, r.via)
			gone = !has
			absent[r.via] = gone
		}
		if gone {
			e.Reason = undelivered(r.via)
		}
		return e
	}
}

// Retry has an entry that failed delivered as if it were new.
func (o *Outbox) Retry(ctx context.Context, deployment, name string) error {
	return o.operate(ctx, deployment, name, func(r *record) error {
		if r.state != StateFailed {
			return fmt.Errorf("outbox: retry entry %s, which is %s: %w: want one that has failed", r.id, r.state, ErrState)
		}
		r.retry(time.Now().UnixMicro(), o.giveUp(deployment))
		return nil
	})
}

// retryBatch is how many entries are retried in a transaction. It has room for them,
// however large they are.
const retryBatch = 16

// RetryAll does so with all that have failed and are meant by q, whose After and Limit
// do not count, and returns how many.
func (o *Outbox) RetryAll(ctx context.Context, deployment string, q Query) (n int, err error) {
	if q.State != "" && q.State != StateFailed {
		return 0, fmt.Errorf("outbox: retry all that are %q: %w: want those that have failed", q.State, ErrState)
	}
	q.State, q.After, q.Limit = StateFailed, "", retryBatch
	giveUp := o.giveUp(deployment)
	for {
		list, next, err := o.page(ctx, deployment, q)
		if err != nil {
			return n, err
		}
		vias, ids := map[string]bool{}, []id(nil)
		for _, r := range list {
			ids = append(ids, r.id)
		}
		retried := 0
		if len(ids) > 0 {
			now := time.Now().UnixMicro()
			err = o.change(ctx, deployment, ids, func(r *record) (bool, error) {
				if r.id == ids[0] {
					retried = 0 // the transaction is run again
				}
				if r.state != StateFailed {
					return false, nil
				}
				r.retry(now, giveUp)
				vias[r.via] = true
				retried++
				return true, nil
			})
			if err != nil {
				return n, fmt.Errorf("outbox: retry: %w", err)
			}
		}
		n += retried
		for via := range vias {
			o.wake(deployment, via, false)
		}
		if next == "" {
			return n, nil
		}
		q.After = next
	}
}

// discarded is the reason of what an operator has ended.
const discarded = "discarded by an operator"

// Discard ends an entry that is queued or has failed. The plugin is told. One that is
// being tried, and arrives, is sent nevertheless.
func (o *Outbox) Discard(ctx context.Context, deployment, name string) error {
	return o.operate(ctx, deployment, name, func(r *record) error {
		if r.state == StateSent || r.state == StateFailed && r.reason == discarded {
			return fmt.Errorf("outbox: discard entry %s, which is %s: %w: want one that is queued, or has failed otherwise", r.id, r.state, ErrState)
		}
		r.end(StateFailed, discarded, "", time.Now().UnixMicro())
		return nil
	})
}

// operate changes an entry, and wakes its lane.
func (o *Outbox) operate(ctx context.Context, deployment, name string, fn func(*record) error) error {
	d, err := parseID(name)
	if err != nil {
		return err
	}
	var via string
	err = o.change(ctx, deployment, []id{d}, func(r *record) (bool, error) {
		via = r.via
		return true, fn(r)
	})
	switch {
	case errors.Is(err, ErrState):
		return err
	case err != nil:
		return fmt.Errorf("outbox: change entry %s of %q: %w", d, deployment, err)
	case via == "":
		return errUnknown(d)
	}
	o.wake(deployment, via, false)
	return nil
}

// retry queues an entry as if it were new. If the plugin has no use for it any more, the
// operator has.
func (r *record) retry(now int64, giveUp time.Duration) {
	r.state, r.attempts, r.reason, r.detail, r.ended, r.tried, r.told, r.tellings = StateQueued, 0, "", "", 0, 0, false, 0
	r.due, r.until = now, now+micros(giveUp)
	if d, err := r.dispatch(); err == nil && d.Until > now {
		r.until = min(r.until, d.Until)
	}
}

// giveUp is how long entries of a deployment are tried.
func (o *Outbox) giveUp(deployment string) time.Duration {
	_, limits, done, served := o.config.Deployments.Channels(deployment)
	if served {
		done()
	}
	return limits.withDefaults().GiveUp
}

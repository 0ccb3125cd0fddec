package outbox

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/edgeset/edgeset/store"
)

// handle does for an entry what is due: it makes an attempt, and tells the plugin when
// that, or what was before, has ended it.
func (l *lane) handle(c *courier, d id) result {
	r, err := l.outbox.read(c.work, l.space.name, d)
	switch {
	case errors.Is(err, errDamaged):
		l.outbox.config.Log.Error("outbox: an entry is not delivered", "deployment", l.space.name, "err", err)
		return result{id: d} // the others are
	case err != nil:
		return result{id: d, err: err}
	case r == nil || r.told:
		return result{id: d} // it has expired, or an operator was faster
	case r.due > time.Now().UnixMicro():
		return result{id: d, due: r.due}
	}
	if r.state == StateQueued {
		var absent bool
		if r, absent, err = l.attempt(c, r); err != nil || absent || r == nil {
			return result{id: d, absent: absent, err: err}
		}
		if r.state == StateQueued {
			return result{id: d, due: r.due}
		}
	}
	return l.tell(c, r)
}

// attempt makes an attempt, and returns the entry with what came of it. It returns none
// if the attempt was not made, or was cut off, so that nothing is known of it.
func (l *lane) attempt(c *courier, r *record) (after *record, absent bool, err error) {
	late := func() bool { return r.until <= time.Now().UnixMicro() }
	// What was never tried takes its turn also when it is too late: a plugin that
	// dispatches such when it is told of such would not come to rest.
	if !late() || r.attempts == 0 {
		if !l.turn(c.ctx) {
			return nil, false, nil
		}
		// An operator may have changed it meanwhile.
		if r, err = l.outbox.read(c.work, l.space.name, r.id); err != nil || r == nil || r.state != StateQueued {
			return r, false, err
		}
	}
	if late() {
		after, err = l.expire(c, r)
		return after, false, err
	}
	end, absent := l.send(c.work, r)
	if absent || end != nil && c.work.Err() != nil {
		return nil, absent, nil
	}
	now := time.Now().UnixMicro()
	after, err = l.note(c, r.id, func(kept *record) bool {
		// An operator may have changed it meanwhile. That it has arrived is true in any
		// case, and the plugin was not told otherwise: that would have been by us.
		if kept.state == StateSent || end != nil && (kept.state != StateQueued || kept.attempts != r.attempts) {
			return false
		}
		kept.judge(end, now, l.outbox.config.Backoff, l.outbox.config.random)
		return true
	})
	return after, false, err
}

// expire ends an entry that is too late.
func (l *lane) expire(c *courier, r *record) (*record, error) {
	why, detail := r.reason, r.detail
	if _, has := l.outbox.serves(l.space.name, l.via); !has {
		why, detail = undelivered(l.via), ""
	}
	now := time.Now().UnixMicro()
	return l.note(c, r.id, func(kept *record) bool {
		if kept.state != StateQueued || kept.until > now {
			return false
		}
		kept.expire(now, why, detail)
		return true
	})
}

// turn waits until the deployment may make an attempt, and returns false if ctx ends. Its
// rate may be another one meanwhile.
func (l *lane) turn(ctx context.Context) bool {
	for ctx.Err() == nil {
		_, limits, done, served := l.outbox.config.Deployments.Channels(l.space.name)
		if served {
			done()
			l.space.pace(limits.withDefaults())
		}
		limiter := l.space.limiter
		if limiter.Allow() {
			return true
		}
		wait := time.Duration((1 - limiter.Tokens()) / float64(limiter.Limit()) * float64(time.Second))
		select {
		case <-time.After(min(max(wait, 100*time.Microsecond), recheck)):
		case <-ctx.Done():
		}
	}
	return false
}

// send makes the attempt itself, unless there is no transport.
func (l *lane) send(ctx context.Context, r *record) (err error, absent bool) {
	ways, _, done, served := l.outbox.config.Deployments.Channels(l.space.name)
	if !served {
		return nil, true
	}
	defer done()
	transport := ways[l.via]
	if transport == nil {
		return nil, true
	}
	if r.attempts > 0 {
		l.retried.Add(1)
	}
	l.attempts.Add(1)
	return l.deliver(ctx, transport, r), false
}

// deliver has a transport deliver the entry.
func (l *lane) deliver(ctx context.Context, t Transport, r *record) (err error) {
	d, err := r.dispatch()
	if err != nil {
		l.outbox.config.Log.Error("outbox: a message is damaged", "deployment", l.space.name, "id", r.id.String(), "err", err)
		return Refused("the message was damaged while it was kept")
	}
	defer func() {
		if cause := recover(); cause != nil {
			l.outbox.config.Log.Error("outbox: a transport panicked", "deployment", l.space.name, "via", l.via, "id", r.id.String(),
				"panic", fmt.Sprint(cause), "stack", string(debug.Stack()))
			err = Failed("the transport failed")
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, l.outbox.config.Attempt)
	defer cancel()
	return t.Deliver(ctx, &Message{
		Dispatch: *d, ID: r.messageID(), Deployment: l.space.name, Plugin: r.plugin, Attempt: r.attempts + 1, Created: moment(r.created),
	})
}

// errOvertaken is returned by the settling of an entry that is not any more what was to
// be told.
var errOvertaken = errors.New("outbox: the entry has changed")

// tell tells the plugin how the entry has ended, and, when it cannot be told, sets when
// to try again. That goes on for as long as the entry is kept.
func (l *lane) tell(c *courier, r *record) result {
	o := l.outbox
	ctx, cancel := context.WithTimeout(c.work, o.config.Attempt)
	defer cancel()
	same := func(kept *record) bool {
		return kept != nil && !kept.told && kept.state == r.state && kept.ended == r.ended
	}
	err := o.config.Deployments.Tell(ctx, l.space.name, r.plugin, r.outcome(), func(txn store.Txn) error {
		kept, err := load(txn, r.id)
		if err != nil {
			return err
		}
		if !same(kept) {
			return errOvertaken
		}
		before := *kept
		kept.told = true
		return kept.save(txn, &before, o.config.keep)
	})
	if err == nil {
		return result{id: r.id}
	}
	if c.work.Err() == nil && !errors.Is(err, errOvertaken) {
		o.config.Log.Warn("outbox: a plugin could not be told what became of a dispatch",
			"deployment", l.space.name, "plugin", r.plugin, "id", r.id.String(), "err", err)
	}
	// It may have been told: then that is what is read now.
	now := time.Now().UnixMicro()
	kept, err := l.note(c, r.id, func(kept *record) bool {
		if !same(kept) {
			return false
		}
		kept.tellings++
		kept.due = now + micros(o.config.Backoff.pause(kept.tellings, o.config.random))
		return true
	})
	if err != nil || kept == nil || kept.told {
		return result{id: r.id, err: err}
	}
	return result{id: r.id, due: kept.due}
}

// note changes an entry, and does not give up before the courier does: what is not noted
// is sent, or told, again. It returns the entry as it is then, and nil if there is none.
func (l *lane) note(c *courier, d id, change func(*record) bool) (kept *record, err error) {
	for pause := 100 * time.Millisecond; ; pause = min(2*pause, 10*time.Second) {
		kept = nil
		err = l.outbox.change(c.work, l.space.name, []id{d}, func(r *record) (bool, error) {
			kept = r
			return change(r), nil
		})
		if err == nil {
			return kept, nil
		}
		l.outbox.config.Log.Error("outbox: noting what became of an entry", "deployment", l.space.name, "id", d.String(), "err", err)
		select {
		case <-time.After(pause):
		case <-c.work.Done():
			return nil, err
		}
	}
}

// read returns an entry, and nil if there is none.
func (o *Outbox) read(ctx context.Context, deployment string, d id) (r *record, err error) {
	err = o.config.Store.View(ctx, deployment, func(txn store.Txn) (err error) {
		r, err = load(txn, d)
		return err
	})
	return r, err
}

// change has fn change entries, those that are there, in a transaction. fn tells whether
// it has.
func (o *Outbox) change(ctx context.Context, deployment string, ids []id, fn func(*record) (bool, error)) error {
	type pair struct{ before, after *record }
	var changed []pair
	err := store.Repeat(ctx, o.config.Store, deployment, func(txn store.Txn) error {
		changed = changed[:0]
		for _, d := range ids {
			r, err := load(txn, d)
			if err != nil {
				return err
			}
			if r == nil {
				continue
			}
			before := *r
			if ok, err := fn(r); err != nil || !ok {
				if err != nil {
					return err
				}
				continue
			}
			if err := r.save(txn, &before, o.config.keep); err != nil {
				return err
			}
			changed = append(changed, pair{&before, r})
		}
		return nil
	})
	if err != nil {
		return err
	}
	for _, p := range changed {
		o.changed(deployment, p.before.state, p.after)
	}
	return nil
}

// changed counts what has become of an entry.
func (o *Outbox) changed(deployment string, before State, r *record) {
	o.mu.Lock()
	defer o.mu.Unlock()
	s, l := o.space(deployment), o.lane(deployment, r.via)
	switch {
	case before == r.state:
		return
	case before == StateQueued:
		s.queued.Add(-1)
	case r.state == StateQueued:
		s.queued.Add(1)
	}
	switch r.state {
	case StateSent:
		l.sent.Add(1)
	case StateFailed:
		l.failed.Add(1)
	}
}

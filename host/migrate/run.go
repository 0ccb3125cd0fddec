package migrate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/deploy"
	"github.com/edgeset/edgeset/host/edge"
	"github.com/edgeset/edgeset/host/engine"
	"github.com/edgeset/edgeset/store"
)

// A Job is a pass of a migration.
type Job struct {
	Store  store.Store
	Space  string         // the deployment
	Plugin *deploy.Plugin // that migrates
	Build  string         // its digest: no build goes on with the cursor of another one
	Phase  string         // Before or After
	// Written is told which keys a batch has written; nil: nobody keeps answers that
	// rest on them.
	Written func(keys [][]byte)
	// Progress is told how many entries the pass has looked at, after each batch; nil:
	// nobody wants to know.
	Progress func(done uint64)
}

// Errors of a batch that ends the migration, beside what a plugin traps with.
var (
	// ErrOvertaken: the plugin is not the one that serves, or no longer.
	ErrOvertaken = errors.New("something else serves by now")
	// ErrTooLarge: a batch of a single entry does not fit a transaction.
	ErrTooLarge = errors.New("a batch of one entry writes more than a transaction takes; want the plugin to write less for an entry, or to end the batch in the middle of it")
	// ErrSlow: a batch of a single entry takes too long.
	ErrSlow = errors.New("a batch of one entry takes longer than a request may")
	// ErrStuck: the plugin does not come to an end.
	ErrStuck = errors.New("the cursor does not rise: want each batch to begin behind the one before")
	// ErrContended: requests write what a batch reads, again and again.
	ErrContended = errors.New("each run has met requests that write what it reads")
)

// The size of batches, in entries to look at. One should take as long as a request
// does: it holds an instance, and may conflict with what requests write meanwhile.
const (
	firstLimit = 64
	maxLimit   = 1000
	shortBatch = 25 * time.Millisecond
	longBatch  = 100 * time.Millisecond
)

// share is the part of the time in which a migration works: of one core at most, since
// batches come one after the other.
const share = 4

const (
	maxMeetings = 200                    // runs of a batch that each meet a request
	maxBackOff  = 250 * time.Millisecond // between them
	busyPause   = 100 * time.Millisecond // when there is no instance for it
)

// Run makes a pass, from where it has ended before, to its end. It takes about a
// quarter of a core's time at most. When ctx ends, or a batch cannot be made, what the
// batches before have done is kept, and the pass goes on with the next Run.
func Run(ctx context.Context, j Job) error {
	r := pass{Job: j, name: j.Plugin.Spec.Name, schema: j.Plugin.Desc.Schema, limit: firstLimit}
	if !r.schema.Migrates {
		return failure(r.Space, r.name, errors.New("it has no migration"))
	}
	for {
		r.call.Start(ctx, r.Plugin.Edge, "migration")
		err := r.batch(ctx)
		r.call.End()
		if err != nil {
			return failure(r.Space, r.name, fmt.Errorf("schema %d to %d: batch behind cursor %s: %w", r.state.Low, r.schema.Version, quoted(r.cursor), err))
		}
		if r.ended {
			return nil
		}
	}
}

// quoted is a cursor as it stands in a message.
func quoted(cursor []byte) string {
	if len(cursor) > 80 {
		return fmt.Sprintf("%q…", cursor[:80])
	}
	return fmt.Sprintf("%q", cursor)
}

// A pass is a Job that runs.
type pass struct {
	Job
	name     string
	schema   abi.Schema
	limit    int // of the next batch
	meetings int // of this batch

	call  edge.Call
	frame abi.Writer
	reply []byte

	// Of the last run of a batch.
	state  state
	cursor []byte // where it began
	done   uint64
	ended  bool
}

// batch runs a batch until it is committed, and rests after each run.
func (r *pass) batch(ctx context.Context) error {
	r.meetings = 0
	for {
		took, err := r.run(ctx)
		pause := (share - 1) * took
		var busy *engine.BusyError
		switch {
		case err == nil:
			if r.Progress != nil {
				r.Progress(r.done)
			}
			switch {
			case took > longBatch:
				r.limit = max(1, r.limit/2)
			case took < shortBatch:
				r.limit = min(maxLimit, 2*r.limit)
			}
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.As(err, &busy):
			pause = max(busyPause, min(busy.RetryAfter, time.Second))
		case errors.Is(err, store.ErrConflict), errors.Is(err, store.ErrCommitUnknown):
			// If it was committed, the next run begins behind it.
			if r.meetings++; r.meetings == maxMeetings {
				return fmt.Errorf("%w: %w", ErrContended, err)
			}
			// A shorter batch meets fewer.
			r.limit = max(1, r.limit/2)
			pause = max(pause, rand.N(min(time.Millisecond<<min(r.meetings, 20), maxBackOff)))
		case errors.Is(err, ErrTooLarge), errors.Is(err, ErrSlow):
			if r.limit == 1 {
				return err
			}
			r.limit = max(1, r.limit/4)
		default:
			return err
		}
		if r.ended && err == nil {
			return nil
		}
		if waitErr := wait(ctx, pause); waitErr != nil {
			return waitErr
		}
		if err == nil {
			return nil
		}
	}
}

// wait returns when the time is over, or why ctx has ended.
func wait(ctx context.Context, d time.Duration) error {
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return nil
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// run runs a batch once, and returns how long the host worked for it.
func (r *pass) run(ctx context.Context) (took time.Duration, err error) {
	lease, err := r.Plugin.Runner.Lease(ctx, false)
	if err != nil {
		return 0, err
	}
	leased := true
	release := func() {
		if leased {
			leased = false
			lease.Release()
		}
	}
	defer release()
	began := time.Now()
	r.call.TrackWrites = r.Written != nil
	err = r.Store.Update(ctx, r.Space, func(txn store.Txn) error {
		if err := r.enter(txn); err != nil || r.ended {
			return err
		}
		w := watched{Txn: txn}
		err := r.ask(ctx, lease, &w)
		release() // the commit may take longer than the call
		if w.tooLarge {
			return ErrTooLarge // whatever the plugin made of it
		}
		if err != nil {
			return err
		}
		return r.state.write(&w, r.name)
	})
	if errors.Is(err, store.ErrTooLarge) {
		err = ErrTooLarge
	}
	if err == nil || errors.Is(err, store.ErrCommitUnknown) {
		if len(r.call.Writes) > 0 {
			r.Written(r.call.Writes)
		}
		r.call.Delivered()
	}
	return time.Since(began), err
}

// enter reads how far the pass has come, and begins it if it has not.
func (r *pass) enter(txn store.Txn) error {
	s, found, err := read(txn, r.name)
	r.state, r.cursor = s, s.Cursor
	switch {
	case err != nil:
		return err
	case !found:
		return errors.New("nothing is known of its data: want Serve of a version before")
	case r.Phase == After && s.Phase == "" && s.Low >= r.schema.Version:
		r.ended = true // by a run whose commit was not known of
		return nil
	case r.Phase == After && (s.Phase != After || s.Target != r.schema.Version):
		return ErrOvertaken
	case r.schema.Reads > s.Low:
		return fmt.Errorf("%w: they may be of schema %d, and it reads %d and later", ErrUnreadable, s.Low, r.schema.Reads)
	}
	if s.Phase != r.Phase || s.Target != r.schema.Version || s.Build != r.Build {
		s.begin(r.Phase, r.schema.Version)
		s.Build = r.Build
	}
	s.writes(r.schema)
	r.state, r.cursor, r.done, r.ended = s, s.Cursor, s.Done, false
	return nil
}

// ask has the plugin make the batch, and puts into the state how far it has come.
func (r *pass) ask(ctx context.Context, lease engine.Lease, txn store.Txn) error {
	limit := r.Plugin.Deadline(&abi.Route{})
	timed, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	s := &r.state
	var body abi.Writer
	(&abi.Migration{From: s.Low, To: r.schema.Version, Cursor: s.Cursor, Limit: r.limit}).Append(&body)
	r.frame.Reset(r.frame.Value())
	(&abi.Request{Kind: abi.CallMigrate, BodyKind: abi.BodyValue, Body: body.Value(), Time: time.Now().UnixMicro(), ID: "migration"}).Append(&r.frame)
	r.call.Begin(txn)
	reply, _, err := lease.Call(timed, &r.call, r.frame.Value(), r.reply[:0])
	r.reply = reply
	// The engine may look at the clock before the timer of the context goes off.
	late := timed.Err() != nil || errors.Is(err, context.DeadlineExceeded)
	switch failure := r.call.Failure(); {
	case late && ctx.Err() == nil:
		return fmt.Errorf("%w: %v", ErrSlow, limit)
	case failure != nil:
		return failure
	case err != nil:
		return err
	}
	batch, err := readBatch(reply)
	if err != nil {
		return err
	}
	s.Done += uint64(batch.Done)
	r.done = s.Done
	if batch.Cursor == nil {
		r.ended = true
		if r.Phase == After {
			s.Low = r.schema.Version
		}
		s.end()
		return nil
	}
	if bytes.Compare(batch.Cursor, s.Cursor) <= 0 {
		return fmt.Errorf("%w, and not at %s", ErrStuck, quoted(batch.Cursor))
	}
	s.Cursor = bytes.Clone(batch.Cursor)
	return nil
}

// readBatch reads what a plugin has replied.
func readBatch(frame []byte) (abi.Batch, error) {
	var reply abi.Reply
	if err := abi.ReadReply(frame, &reply); err != nil {
		return abi.Batch{}, err
	}
	switch reply.BodyKind {
	case abi.BodyValue:
		return abi.ReadBatch(reply.Body)
	case abi.BodyError, abi.BodyRefusal:
		refusal, err := abi.ReadError(reply.Status, reply.Body)
		if err != nil {
			return abi.Batch{}, err
		}
		return abi.Batch{}, fmt.Errorf("the plugin gives up: %.300q", refusal.Message)
	}
	return abi.Batch{}, fmt.Errorf("the reply is no batch: %w", abi.ErrFrame)
}

// watched is a transaction that remembers whether a write did not fit. A plugin that
// overlooks it would lose the entry.
type watched struct {
	store.Txn
	tooLarge bool
}

func (w *watched) noted(err error) error {
	w.tooLarge = w.tooLarge || errors.Is(err, store.ErrTooLarge)
	return err
}

// Put implements store.Txn.
func (w *watched) Put(key, value []byte, ttl time.Duration) error {
	return w.noted(w.Txn.Put(key, value, ttl))
}

// PutStamped implements store.Txn.
func (w *watched) PutStamped(prefix, suffix, value []byte, ttl time.Duration) error {
	return w.noted(w.Txn.PutStamped(prefix, suffix, value, ttl))
}

// Delete implements store.Txn.
func (w *watched) Delete(key []byte) error { return w.noted(w.Txn.Delete(key)) }

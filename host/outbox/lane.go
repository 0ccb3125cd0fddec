package outbox

import (
	"bytes"
	"context"
	"sync/atomic"
	"time"

	"github.com/edgeset/edgeset/store"
)

// A lane delivers what a deployment has queued in one way. Each has attempts of its own,
// so that no deployment, and no way of it, waits for another. Its goroutine lives as
// long as there is something to wait for.
//
// Entries are found by their keys in the order in which they are due, from where the
// last look ended: keys that were deleted since take time to pass over, for as long as
// the store has not tidied up.
type lane struct {
	outbox *Outbox
	space  *space
	via    string

	woken   chan struct{} // something may be due
	rescan  atomic.Bool   // look from the first key on
	running bool          // the goroutine is there; guarded by Outbox.mu

	attempts, sent, failed, retried atomic.Uint64

	// Of the goroutine alone.
	from    []byte      // where the next look begins; nil: at the first key
	more    bool        // look again
	ready   []id        // found, and not begun
	busy    map[id]bool // ready, or begun
	active  int         // begun
	next    int64       // when something will be due; 0: nothing is
	pause   time.Time   // nothing is begun before
	skipped bool        // behind from, or before it, are some that nothing delivers now
	served  bool        // when it looked last
	has     bool        // there was a transport when it looked last
}

const (
	maxReady = 256         // entries that are looked for at once
	recheck  = time.Second // when a store or a deployment was not there
)

// A result is how the handling of an entry has ended.
type result struct {
	id     id
	due    int64 // when it is to be handled again; 0: it has ended
	absent bool  // nothing delivers it
	err    error // of the store: the rest would meet it, too
}

// wake has the goroutine look for entries: for those that are new, or, in a rescan, for
// all.
func (l *lane) wake(rescan bool) {
	if rescan {
		l.rescan.Store(true)
	}
	select {
	case l.woken <- struct{}{}:
	default:
	}
}

func (l *lane) run(c *courier) {
	l.from, l.more, l.busy, l.ready, l.next, l.skipped = nil, true, map[id]bool{}, nil, 0, false
	results := make(chan result, l.outbox.config.Parallel)
	for {
		l.begin(c, results)
		if c.ctx.Err() != nil {
			if l.active == 0 {
				l.outbox.rest(l)
				return
			}
			l.finish(<-results)
			continue
		}
		if l.active == 0 && l.idle() && l.outbox.rest(l) {
			return
		}
		timer := time.NewTimer(l.wait())
		select {
		case r := <-results:
			l.finish(r)
		case <-l.woken:
			l.more = true
		case <-timer.C:
			l.more = true
		case <-c.ctx.Done():
		}
		timer.Stop()
	}
}

// begin begins attempts, as many as may be.
func (l *lane) begin(c *courier, results chan<- result) {
	for l.active < l.outbox.config.Parallel && c.ctx.Err() == nil && !time.Now().Before(l.pause) {
		if len(l.ready) == 0 {
			if !l.more {
				return
			}
			if err := l.look(c.ctx); err != nil {
				l.hold(err)
				return
			}
			continue
		}
		d := l.ready[0]
		l.ready = l.ready[1:]
		l.active++
		c.lanes.Go(func() { results <- l.handle(c, d) })
	}
}

// finish notes what has become of an entry.
func (l *lane) finish(r result) {
	l.active--
	delete(l.busy, r.id)
	if r.due != 0 && (l.next == 0 || r.due < l.next) {
		l.next = r.due
	}
	if r.err == nil && !r.absent {
		return
	}
	if r.err != nil {
		l.hold(r.err)
	}
	l.pause = time.Now().Add(recheck)
	for _, d := range l.ready {
		delete(l.busy, d)
	}
	l.ready, l.from, l.more = nil, nil, true
}

// hold waits a moment with everything.
func (l *lane) hold(err error) {
	l.outbox.config.Log.Warn("outbox: delivery waits", "deployment", l.space.name, "via", l.via, "err", err)
	l.pause, l.more = time.Now().Add(recheck), true
}

// idle tells whether there is nothing to wait for.
func (l *lane) idle() bool { return len(l.ready) == 0 && !l.more && l.next == 0 && !l.skipped }

// wait is for how long there is nothing to do, unless something comes.
func (l *lane) wait() time.Duration {
	now := time.Now()
	switch {
	case l.pause.After(now):
		return l.pause.Sub(now)
	case l.active == l.outbox.config.Parallel:
		return time.Hour // for one of them
	}
	wait := time.Hour
	if l.next != 0 {
		wait = min(wait, moment(l.next).Sub(now))
	}
	if l.skipped {
		wait = min(wait, recheck)
	}
	return max(wait, 0)
}

// look finds entries that are due.
func (l *lane) look(ctx context.Context) error {
	served, has := l.outbox.serves(l.space.name, l.via)
	if l.rescan.Swap(false) || served != l.served || has != l.has {
		l.from = nil
	}
	l.served, l.has, l.more, l.next = served, has, false, 0
	if l.from == nil {
		l.skipped = false
	}
	front := laneKey(l.via)
	now := time.Now().UnixMicro()
	// What is committed later than that is found by the next scan.
	recent := dueKey(l.via, now-l.outbox.config.commit.Microseconds(), id{})
	r := store.Range{Start: front, End: after(front), Limit: maxReady}
	if l.from != nil {
		r.Start = l.from
	}
	err := l.outbox.config.Store.View(ctx, l.space.name, func(txn store.Txn) error {
		for {
			page, err := txn.Scan(r)
			if err != nil {
				return err
			}
			for _, e := range page.Entries {
				due, d, ok := readDue(e.Key[len(front):])
				if due > now {
					l.next = due
					l.from = recent
					return nil
				}
				l.from = append(bytes.Clone(e.Key), 0)
				if ok && !l.busy[d] {
					l.take(d, e.Value, now)
				}
				if len(l.ready) == maxReady {
					l.more = true
					return nil
				}
			}
			if !page.More {
				l.from = recent
				return nil
			}
			r.Start = l.from
		}
	})
	if err == nil && bytes.Compare(l.from, recent) > 0 {
		l.from = recent
	}
	return err
}

// take makes an entry ready, if something can be done about it.
func (l *lane) take(d id, value []byte, now int64) {
	_, until, queued := readDueValue(value)
	if can := !queued && l.served || queued && (l.has || until <= now); !can {
		l.skipped = true
		return
	}
	l.busy[d] = true
	l.ready = append(l.ready, d)
}

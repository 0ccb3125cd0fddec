package outbox

import (
	"bytes"
	"cmp"
	"context"
	"slices"
	"time"

	"github.com/edgeset/edgeset/store"
)

// A Stat is what is delivered in one way.
type Stat struct {
	Deployment string
	Via        string
	Queued     int
	Oldest     time.Time // when the oldest that is queued was dispatched; zero: none is
	// Since the start.
	Attempts uint64
	Sent     uint64
	Failed   uint64
	Retried  uint64 // attempts that were not the first
}

// Collect calls fn with what is delivered in each way of each deployment. What is queued
// is counted anew; what cannot be counted is left out.
func (o *Outbox) Collect(fn func(Stat)) {
	var lanes []*lane
	o.mu.Lock()
	for _, s := range o.spaces {
		for _, l := range s.lanes {
			lanes = append(lanes, l)
		}
	}
	o.mu.Unlock()
	slices.SortFunc(lanes, func(a, b *lane) int {
		return cmp.Or(cmp.Compare(a.space.name, b.space.name), cmp.Compare(a.via, b.via))
	})
	for _, l := range lanes {
		queued, oldest, err := o.waiting(context.Background(), l.space.name, l.via)
		if err != nil {
			o.config.Log.Warn("outbox: counting what is queued", "deployment", l.space.name, "via", l.via, "err", err)
			continue
		}
		fn(Stat{
			Deployment: l.space.name, Via: l.via, Queued: queued, Oldest: oldest,
			Attempts: l.attempts.Load(), Sent: l.sent.Load(), Failed: l.failed.Load(), Retried: l.retried.Load(),
		})
	}
}

// waiting counts what is queued in one way, and tells since when the oldest is.
func (o *Outbox) waiting(ctx context.Context, deployment, via string) (n int, oldest time.Time, err error) {
	front := laneKey(via)
	var first int64
	err = o.config.Store.View(ctx, deployment, func(txn store.Txn) error {
		return each(ctx, txn, store.Range{Start: front, End: after(front)}, func(e store.Entry) bool {
			if created, _, queued := readDueValue(e.Value); queued {
				n++
				if first == 0 || created < first {
					first = created
				}
			}
			return true
		})
	})
	return n, moment(first), err
}

// vias returns in which ways a deployment has something to deliver, or to tell. It seeks
// from one to the next.
func (o *Outbox) vias(ctx context.Context, deployment string) (vias []string, err error) {
	r := store.Range{Start: []byte(dues), End: after([]byte(dues)), Limit: 1, KeysOnly: true}
	err = o.config.Store.View(ctx, deployment, func(txn store.Txn) error {
		for {
			page, err := txn.Scan(r)
			if err != nil || len(page.Entries) == 0 {
				return err
			}
			via, _, _ := bytes.Cut(page.Entries[0].Key[len(dues):], []byte{0})
			vias = append(vias, string(via))
			r.Start = after(laneKey(string(via)))
		}
	})
	return vias, err
}

// each calls fn with the entries of a range, until it returns false.
func each(ctx context.Context, txn store.Txn, r store.Range, fn func(store.Entry) bool) error {
	for {
		page, err := txn.Scan(r)
		if err != nil {
			return err
		}
		for _, e := range page.Entries {
			if !fn(e) {
				return nil
			}
		}
		if !page.More {
			return nil
		}
		r.Start = append(bytes.Clone(page.Entries[len(page.Entries)-1].Key), 0)
		if err := ctx.Err(); err != nil {
			return err
		}
	}
}

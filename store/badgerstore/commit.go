package badgerstore

import (
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"sync/atomic"

	"github.com/edgeset/edgeset/store"
)

// A committer commits transactions in groups. The first transaction that comes
// becomes the leader: it takes all that wait, validates them one behind the
// other, writes those that pass as one Badger transaction, makes them visible,
// wakes them, and hands the lead to the first that came in the meantime. So one
// write to the log, and one fsync, serve all that waited, and a lone transaction
// commits without changing goroutines.
//
// A group is one Badger transaction at one version, so a crash leaves it whole
// or absent, and a reader sees all of it or nothing.
type committer struct {
	clock *clock
	log   *slog.Logger

	// write makes writes durable at version ts. An error that is no
	// errUnwritten leaves open whether it did.
	write func(writes []write, ts uint64) error
	// admit may refuse a group of this size before anything is written.
	admit func(bytes int) error
	// now is the time in microseconds since the epoch.
	now func() int64
	// published is called when the versions up to horizon may be garbage.
	published func()
	// tell is called with each transaction that has become visible, in order.
	tell func(*txn)

	maxBytes, maxCount int // of one group, so that Badger never finds it too big

	mu      sync.Mutex // guards the two below; nothing is locked while it is held
	queue   []*txn
	leading bool

	unsynced  atomic.Bool // an fsync failed, and the write that wanted it was told nothing
	commits   atomic.Uint64
	conflicts atomic.Uint64
	groups    atomic.Uint64

	// The rest belongs to the leader.
	recent  *recent
	last    uint64 // the last stamp or version given out
	broken  error  // why nothing is written any more
	group   []*txn
	winners []*txn
	writes  []write
}

// A signal tells a waiting transaction what to do.
type signal uint8

const (
	done signal = iota // its outcome is in err
	lead               // it is the leader now
)

// errUnwritten is wrapped by errors of committer.write that left nothing behind.
var errUnwritten = errors.New("nothing was written")

// commit commits t and returns when its outcome is known.
func (c *committer) commit(t *txn) error {
	c.mu.Lock()
	c.queue = append(c.queue, t)
	if c.leading {
		c.mu.Unlock()
		if <-t.signal == done {
			return t.err
		}
	} else {
		c.leading = true
		c.mu.Unlock()
	}
	c.commitGroup(c.take(), t)
	clear(c.group)
	clear(c.winners)
	clear(c.writes)
	c.handOver()
	return t.err
}

// take cuts the next group off the queue: the leader, which is first, and as
// many more as Badger writes at once.
func (c *committer) take() []*txn {
	c.mu.Lock()
	defer c.mu.Unlock()
	n, bytes, large, count := 0, maxBatchOverhead, 0, 1
	for n < len(c.queue) {
		bytes += c.queue[n].writeCost()
		large += c.queue[n].large
		count += c.queue[n].writes
		if n > 0 && (bytes > c.maxBytes || large > store.MaxTxnLarge || count > c.maxCount) {
			break
		}
		n++
	}
	c.group = append(c.group[:0], c.queue[:n]...)
	rest := copy(c.queue, c.queue[n:])
	clear(c.queue[rest:])
	c.queue = c.queue[:rest]
	return c.group
}

// handOver makes the first that waits the leader.
func (c *committer) handOver() {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queue) == 0 {
		c.leading = false
		return
	}
	c.queue[0].signal <- lead // does not block: its buffer is empty
}

// finish sets the outcome of t and wakes it, unless it is the leader, which runs
// this. A woken transaction is no longer the leader's to look at.
func (c *committer) finish(t, leader *txn, err error) {
	t.err = err
	if t != leader {
		t.signal <- done
	}
}

// commitGroup decides and writes a group, and finishes each of its transactions.
func (c *committer) commitGroup(group []*txn, leader *txn) {
	// Stamps come first, the version above them: who sees the version has seen
	// all stamps up to it, and what is stamped later gets a larger one.
	stamp := max(c.last+1, uint64(c.now()))
	ts, bytes := stamp, 0
	for _, t := range group {
		ts += uint64(len(t.overlay.stamped))
		bytes += t.writeCost() + t.large
	}
	if err := c.refuse(bytes); err != nil {
		for _, t := range group {
			c.finish(t, leader, fmt.Errorf("badgerstore: commit in space %q: %w", t.space, err))
		}
		return
	}
	c.last = ts

	// Each is validated against all that was committed and against those of the
	// group that passed before it. A winner goes into the index only when
	// somebody comes behind it, so that a transaction that commits while no
	// other runs never touches the index.
	winners, writes, indexed := c.winners[:0], c.writes[:0], 0
	for _, t := range group {
		for ; indexed < len(winners); indexed++ {
			c.index(winners[indexed], ts)
		}
		if key, found := c.recent.conflict(t.readTs, t.keys, t.spans); found {
			c.conflicts.Add(1)
			c.finish(t, leader, conflict(t.space, key))
			continue
		}
		for i := range t.overlay.stamped {
			t.overlay.stamped[i].stamp(stamp)
			stamp++
		}
		winners = append(winners, t)
		writes = append(writes, t.overlay.sorted...)
		writes = append(writes, t.overlay.stamped...)
	}
	c.winners, c.writes = winners, writes
	if len(winners) == 0 {
		return
	}

	var err error
	if len(writes) > 0 { // a group may have nothing but messages
		err = c.write(writes, ts)
	}
	if err == nil && c.unsynced.Load() {
		err = errors.New("the value log could not be synced")
	}
	if err != nil {
		c.fail(winners, leader, err)
		return
	}

	if oldest, any := c.clock.publish(ts, winners); any {
		for ; indexed < len(winners); indexed++ {
			c.index(winners[indexed], ts)
		}
		c.recent.forget(oldest)
	} else {
		c.recent.forgetAll(ts)
	}
	c.published()
	c.groups.Add(1)
	c.commits.Add(uint64(len(winners)))
	for _, t := range winners {
		c.tell(t)
		c.finish(t, leader, nil)
	}
}

// refuse returns an error if nothing can be written now.
func (c *committer) refuse(bytes int) error {
	if c.broken != nil {
		return fmt.Errorf("refused until the store is opened again, because an earlier commit failed: %w", c.broken)
	}
	return c.admit(bytes)
}

// fail finishes transactions whose write failed.
//
// If it may have left something behind, the store writes no more: Badger ends
// the replay of a log at an unfinished transaction, so that what is written
// behind it would be acknowledged now and gone after a restart. Opening the
// store again settles what of the group there is. Until then nobody sees it,
// because its version is not published.
func (c *committer) fail(winners []*txn, leader *txn, err error) {
	outcome := error(store.ErrCommitUnknown)
	if errors.Is(err, errUnwritten) {
		outcome = nil
	} else {
		c.broken = err
		c.log.Error("badgerstore: commit failed, no more writes until the store is opened again", "err", err)
	}
	for _, t := range winners {
		if outcome == nil {
			c.finish(t, leader, fmt.Errorf("badgerstore: commit in space %q: %w", t.space, err))
		} else {
			c.finish(t, leader, fmt.Errorf("badgerstore: commit in space %q: %w: %w", t.space, outcome, err))
		}
	}
}

// index adds the keys of a winner to the index, in one allocation.
func (c *committer) index(t *txn, ts uint64) {
	size := 0
	for i := range t.overlay.sorted {
		size += len(t.overlay.sorted[i].key)
	}
	for i := range t.overlay.stamped {
		size += len(t.overlay.stamped[i].key)
	}
	keys := make([]byte, 0, size)
	add := func(key []byte) {
		at := len(keys)
		keys = append(keys, key...)
		c.recent.add(keys[at:len(keys):len(keys)], ts)
	}
	for i := range t.overlay.sorted {
		add(t.overlay.sorted[i].key)
	}
	for i := range t.overlay.stamped {
		add(t.overlay.stamped[i].key)
	}
}

// A conflictError is a store.ErrConflict that names the key. Conflicts are
// frequent and mostly retried, so it is put into words only when asked.
type conflictError struct {
	space string
	key   []byte // Badger's, nil if the transaction was too old to be judged
}

func conflict(space string, key []byte) error { return &conflictError{space, key} }

func (e *conflictError) Error() string {
	if e.key == nil {
		return fmt.Sprintf("badgerstore: commit in space %q: transaction ran too long to be checked: %v", e.space, store.ErrConflict)
	}
	_, key, _ := splitKey(e.key)
	return fmt.Sprintf("badgerstore: commit in space %q: key %q was written meanwhile: %v", e.space, key, store.ErrConflict)
}

func (e *conflictError) Unwrap() error { return store.ErrConflict }

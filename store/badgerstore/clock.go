package badgerstore

import (
	"sync"

	"github.com/edgeset/edgeset/store"
)

// A clock knows which commit is the newest that can be read, and who reads at
// which. Its times are Badger's versions: microseconds since the epoch, made
// strictly increasing by the committer.
//
// Its lock is the innermost: nothing else is locked while it is held.
type clock struct {
	mu      sync.Mutex
	visible uint64    // every commit up to here is seen by who begins now
	views   readers   // read-only transactions that run
	updates readers   // others that run and have not been published
	running int       // transactions begun and not ended
	closed  bool      // no more may begin
	drained chan bool // closed when closed && running == 0
}

// readers is a list of transactions in the order in which they began, and so of
// their readTs. It is threaded through the transactions themselves.
type readers struct{ first, last *txn }

func (r *readers) add(t *txn) {
	t.listed = true
	t.prev, t.next = r.last, nil
	if r.last != nil {
		r.last.next = t
	} else {
		r.first = t
	}
	r.last = t
}

func (r *readers) remove(t *txn) {
	if !t.listed {
		return
	}
	t.listed = false
	if t.prev != nil {
		t.prev.next = t.next
	} else {
		r.first = t.next
	}
	if t.next != nil {
		t.next.prev = t.prev
	} else {
		r.last = t.prev
	}
	t.prev, t.next = nil, nil
}

func (c *clock) list(t *txn) *readers {
	if t.write {
		return &c.updates
	}
	return &c.views
}

// begin sets t.readTs and keeps what is visible there until end.
func (c *clock) begin(t *txn) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.closed {
		return store.ErrClosed
	}
	t.readTs = c.visible
	c.list(t).add(t)
	c.running++
	return nil
}

func (c *clock) end(t *txn) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.list(t).remove(t)
	c.running--
	if c.closed && c.running == 0 {
		close(c.drained)
	}
}

// publish makes the commits of a group visible. Their transactions read no more.
// It returns the readTs of the oldest update that still runs, and false if there
// is none.
func (c *clock) publish(commitTs uint64, group []*txn) (oldest uint64, any bool) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.visible = commitTs
	for _, t := range group {
		c.updates.remove(t)
	}
	if t := c.updates.first; t != nil {
		return t.readTs, true
	}
	return commitTs, false
}

// horizon returns the version up to which Badger may discard what a later version
// hides, because no transaction that runs or will begin reads there.
//
// It stays below the newest version. A deletion, or an entry that has expired, is
// dropped altogether when a compaction finds nothing that it hides; if that were
// the newest of all, the store would not know after a restart how far its
// versions had come, and could give out one again.
func (c *clock) horizon() uint64 {
	c.mu.Lock()
	defer c.mu.Unlock()
	ts := c.visible
	if ts > 0 {
		ts--
	}
	for _, oldest := range [...]*txn{c.views.first, c.updates.first} {
		if oldest != nil {
			ts = min(ts, oldest.readTs)
		}
	}
	return ts
}

// close lets nobody begin any more and waits until all have ended. It returns
// false if the clock was closed before.
func (c *clock) close() bool {
	c.mu.Lock()
	first := !c.closed
	if first {
		c.closed = true
		c.drained = make(chan bool)
		if c.running == 0 {
			close(c.drained)
		}
	}
	c.mu.Unlock()
	<-c.drained
	return first
}

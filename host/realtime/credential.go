package realtime

import (
	"hash/maphash"
	"strconv"
	"sync"
	"sync/atomic"

	"github.com/edgeset/edgeset/abi"
)

// A Credential is what a subscription rests on: what the client has shown, and
// whose it was found to be. The hub keeps its texts, but not its Keys.
type Credential struct {
	Caller abi.Caller
	Kind   string // of credential
	Family string // in whose form a client is told what is wrong with it
	Origin string // of the client
	Value  string // the secret itself

	Keys [][]byte // of the store, that the answer was found in
	// Generation is what Hub.Generation returned before the answer was looked for,
	// be it in a cache. Zero is safe, too, but the check may be made once more.
	Generation uint64
}

// A grant is a credential that a subscription rests on, or one that was offered
// to a call.
type grant struct {
	// The dispatcher's, and of the goroutine that checks it meanwhile.
	credential Credential
	state      state
	expires    int64 // microseconds since the epoch
	index      int   // in expiries; -1: it is not there

	offer uint64 // number of the offer

	// Guarded by grants.mu; member is only set once.
	member *Member // nil: an offer
	ties   []tie
	stale  bool // one of its keys has been written
}

type state uint8

const (
	valid state = iota
	checking
	void // it was refused
)

// A tie binds a grant to a key. All ties to a key are a list.
type tie struct {
	grant          *grant
	key            uint64
	previous, next *tie
}

// grants knows which grants rest on which keys of the store. Keys are known by a
// hash: two that have the same cost a check that is not needed.
type grants struct {
	mu         sync.Mutex
	seed       maphash.Seed
	offers     map[string]*grant
	last       atomic.Uint64 // offer
	ties       map[uint64]*tie
	generation atomic.Uint64 // counts the keys that were written; changed under mu
	written    []uint64      // the last of them, by generation
}

// remembered is how many written keys are remembered. An answer that took longer
// to find than they go back is asked for again.
const remembered = 4096

func (t *grants) init() {
	t.seed = maphash.MakeSeed()
	t.offers = map[string]*grant{}
	t.ties = map[uint64]*tie{}
	t.written = make([]uint64, remembered)
	t.generation.Store(remembered + 1) // so that a credential without a generation is too old
}

// Generation stands for what has been written until now. See Credential. It is asked
// for with every request that shows a credential, so it waits for nobody.
func (h *Hub) Generation() uint64 { return h.grants.generation.Load() }

// Offer prepares for a call that may subscribe a member on behalf of its caller.
// The id it returns is the call's edge.Call.Subscription. Whoever makes an offer
// withdraws it unless the call has been committed and has subscribed.
func (h *Hub) Offer(c Credential) string {
	g := newGrant(c)
	t := &h.grants
	t.mu.Lock()
	defer t.mu.Unlock()
	t.watch(g, c.Keys, c.Generation)
	g.offer = t.last.Add(1)
	id := strconv.FormatUint(g.offer, 36)
	t.offers[id] = g
	return id
}

// Withdraw takes back an offer that was not taken up.
func (h *Hub) Withdraw(offer string) {
	if g := h.grants.take(offer); g != nil {
		h.grants.unwatch(g)
	}
}

// Written says that a commit has written keys of the store. Subscriptions whose
// credential was found in one of them get nothing more before it has been checked
// again. It is called after the commit, and after caches of credentials have
// forgotten what they know from these keys, by any goroutine.
func (h *Hub) Written(keys [][]byte) {
	if hit := h.grants.touch(keys); len(hit) > 0 {
		h.post(func() {
			for _, g := range hit {
				h.recheck(g)
			}
		})
	}
}

func newGrant(c Credential) *grant {
	g := &grant{index: -1}
	g.set(c)
	return g
}

// set has the grant rest on a credential, apart from its keys.
func (g *grant) set(c Credential) {
	c.Keys = nil // they are the call's, which uses them again
	g.credential, g.expires = c, never
	if c.Caller.Expires > 0 {
		g.expires = c.Caller.Expires
	}
}

// take returns a grant that was offered, nil if it was not, and ends the offer.
func (t *grants) take(offer string) *grant {
	t.mu.Lock()
	defer t.mu.Unlock()
	g := t.offers[offer]
	delete(t.offers, offer)
	return g
}

// forget ends all offers up to this one.
func (t *grants) forget(last uint64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for id, g := range t.offers {
		if g.offer <= last {
			t.untie(g)
			delete(t.offers, id)
		}
	}
}

// bind gives a grant to a member. It tells whether one of its keys was written
// meanwhile; if one is later, touch returns the grant.
func (t *grants) bind(g *grant, m *Member) (stale bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	g.member = m
	return g.stale
}

// rewatch has a grant rest on the keys of a new answer, and tells whether one of
// them was written meanwhile.
func (t *grants) rewatch(g *grant, keys [][]byte, generation uint64) (stale bool) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.untie(g)
	t.watch(g, keys, generation)
	return g.stale
}

func (t *grants) unwatch(g *grant) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.untie(g)
}

// watch ties a grant to keys. The caller holds t.mu.
func (t *grants) watch(g *grant, keys [][]byte, generation uint64) {
	g.ties = make([]tie, len(keys))
	for i, key := range keys {
		at := &g.ties[i]
		*at = tie{grant: g, key: maphash.Bytes(t.seed, key)}
		if at.next = t.ties[at.key]; at.next != nil {
			at.next.previous = at
		}
		t.ties[at.key] = at
	}
	g.stale = t.missed(g.ties, generation)
}

// missed tells whether a key that is tied may have been written since a generation.
func (t *grants) missed(ties []tie, generation uint64) bool {
	now := t.generation.Load()
	if now-generation > remembered {
		return len(ties) > 0
	}
	for ; generation != now; generation++ {
		key := t.written[generation%remembered]
		for i := range ties {
			if ties[i].key == key {
				return true
			}
		}
	}
	return false
}

// untie frees a grant of its keys. The caller holds t.mu.
func (t *grants) untie(g *grant) {
	for i := range g.ties {
		at := &g.ties[i]
		if at.next != nil {
			at.next.previous = at.previous
		}
		switch {
		case at.previous != nil:
			at.previous.next = at.next
		case at.next != nil:
			t.ties[at.key] = at.next
		default:
			delete(t.ties, at.key)
		}
	}
	g.ties = nil
}

// touch notes that keys were written, and returns the grants of members that rest
// on one of them and did not know it yet.
func (t *grants) touch(keys [][]byte) (hit []*grant) {
	t.mu.Lock()
	defer t.mu.Unlock()
	for _, key := range keys {
		hash := maphash.Bytes(t.seed, key)
		t.written[t.generation.Load()%remembered] = hash
		t.generation.Add(1)
		for at := t.ties[hash]; at != nil; at = at.next {
			if g := at.grant; !g.stale {
				g.stale = true
				if g.member != nil {
					hit = append(hit, g)
				}
			}
		}
	}
	return hit
}

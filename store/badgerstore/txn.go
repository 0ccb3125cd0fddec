package badgerstore

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"time"

	"github.com/dgraph-io/badger/v4"

	"github.com/edgeset/edgeset/store"
)

// A txn is one transaction.
//
// It is allocated anew each time, and what it needs to work (the scratch) comes
// from a pool and goes back when it ends. So one that is used after its end finds
// no scratch and fails, and cannot reach into another transaction.
type txn struct {
	store  *Store
	space  string
	write  bool
	readTs uint64 // commits up to here are seen
	now    int64  // unix seconds at the beginning: decides what has expired
	base   *badger.Txn
	cursor [2]cursor // forwards and backwards, opened when first needed
	*scratch

	writes int // counted against store.MaxTxnWrites
	bytes  int // counted against store.MaxTxnBytes
	large  int // bytes of large values, counted against store.MaxTxnLarge

	messages [][]byte // to be published; the subscribers' to keep
	said     int      // bytes of them, counted against store.MaxMessages

	// Guarded by the clock.
	prev, next *txn
	listed     bool

	// Set by the leader of the commit before it signals.
	err error
}

var _ store.Txn = (*txn)(nil)

// A scratch is the reusable part of a transaction.
type scratch struct {
	arena   arena
	prefix  []byte   // of the space, in Badger's keys
	key     []byte   // buffer for a key that is only looked up
	keys    [][]byte // read, to be validated
	spans   []span   // read by scans, to be validated
	overlay overlay
	signal  chan signal // from the leader to a transaction that waits
}

func newScratch() any { return &scratch{signal: make(chan signal, 1)} }

var errEnded = errors.New("badgerstore: transaction is used after its end")

// expiryGrace is how much later an entry expires for Badger than for us. Badger
// judges by the clock on the wall, so that an entry could be gone at the second
// look of a transaction that has seen it at the first. We judge by the time at
// which the transaction began, and leave the clean-up to Badger. A transaction
// that runs longer than this may see an entry disappear.
const expiryGrace = 15 * 60

// begin starts a transaction. If it returns no error, end must be called.
func (s *Store) begin(space string, write bool) (*txn, error) {
	if len(space) == 0 || len(space) > store.MaxSpaceSize {
		return nil, fmt.Errorf("badgerstore: begin in space %.300q of %d bytes: %w", space, len(space), store.ErrBadSpace)
	}
	t, err := s.beginAnywhere(write)
	if err != nil {
		return nil, fmt.Errorf("badgerstore: begin in space %q: %w", space, err)
	}
	t.space = space
	t.prefix = appendSpace(t.prefix[:0], space)
	return t, nil
}

func (s *Store) beginAnywhere(write bool) (*txn, error) {
	t := &txn{store: s, write: write, now: s.now().Unix()}
	if err := s.clock.begin(t); err != nil {
		return nil, err
	}
	t.scratch = s.scratches.Get().(*scratch)
	t.base = s.db.NewTransactionAt(t.readTs, false)
	return t, nil
}

func (t *txn) end() {
	for i := range t.cursor {
		t.cursor[i].close()
	}
	t.base.Discard()
	t.store.clock.end(t)

	sc := t.scratch
	t.scratch = nil
	sc.arena.reset()
	sc.overlay.reset()
	clear(sc.keys)
	clear(sc.spans)
	sc.keys, sc.spans = sc.keys[:0], sc.spans[:0]
	t.store.scratches.Put(sc)
}

// Get is part of store.Txn.
func (t *txn) Get(key []byte) ([]byte, bool, error) {
	if t.scratch == nil {
		return nil, false, errEnded
	}
	if err := checkKey(key); err != nil {
		return nil, false, fmt.Errorf("badgerstore: get from space %q: %w", t.space, err)
	}
	t.key = append(append(t.key[:0], t.prefix...), key...)
	if t.write {
		if w, ok := t.overlay.get(t.key); ok {
			return w.value, !w.deleted, nil
		}
		// What is absent was read as well: it may be there at the commit.
		t.keys = append(t.keys, t.arena.copy(t.key))
	}
	value, found, err := t.load(t.key)
	if err != nil {
		return nil, false, fmt.Errorf("badgerstore: get %q from space %q: %w", key, t.space, err)
	}
	return value, found, nil
}

// load reads the committed value of one of Badger's keys.
func (t *txn) load(key []byte) ([]byte, bool, error) {
	// Between finding an entry and reading its value, value-log GC may move the
	// value. Badger then answers with nothing instead of an error, and the next
	// look finds the value's new place.
	for try := 0; ; try++ {
		item, err := t.base.Get(key)
		if errors.Is(err, badger.ErrKeyNotFound) {
			return nil, false, nil
		}
		if err != nil {
			return nil, false, err
		}
		if t.expired(item) {
			return nil, false, nil
		}
		value, err := t.value(item)
		if err == nil {
			return value, true, nil
		}
		if !errors.Is(err, errNoValue) || try == 3 {
			return nil, false, err
		}
	}
}

var errNoValue = errors.New("value is missing from the value log")

// value copies an item's value into the arena.
func (t *txn) value(item *badger.Item) ([]byte, error) {
	// ValueSize is exact for a value in the tree, and close to, but never 0, for
	// one in the value log.
	size := int(item.ValueSize())
	value, err := item.ValueCopy(t.arena.tail(size))
	if err != nil {
		return nil, err
	}
	if len(value) == 0 && size != 0 {
		return nil, errNoValue
	}
	return t.arena.keep(value), nil
}

func (t *txn) expired(item *badger.Item) bool {
	at := item.ExpiresAt()
	return at != 0 && int64(at)-expiryGrace <= t.now
}

// Put is part of store.Txn.
func (t *txn) Put(key, value []byte, ttl time.Duration) error {
	if err := t.admit(len(key), value); err != nil {
		return t.refused("put", key, err)
	}
	t.overlay.put(write{
		key:     t.arena.concat(t.prefix, key),
		value:   t.arena.copy(value),
		expires: t.expiry(ttl),
	})
	return nil
}

// PutStamped is part of store.Txn.
func (t *txn) PutStamped(prefix, suffix, value []byte, ttl time.Duration) error {
	if err := t.admit(len(prefix)+store.StampSize+len(suffix), value); err != nil {
		return t.refused("put stamped", prefix, err)
	}
	at := len(t.prefix) + len(prefix)
	key := t.arena.alloc(at + store.StampSize + len(suffix))
	copy(key, t.prefix)
	copy(key[len(t.prefix):], prefix)
	copy(key[at+store.StampSize:], suffix)
	t.overlay.stamped = append(t.overlay.stamped, write{
		key:     key,
		stampAt: at,
		value:   t.arena.copy(value),
		expires: t.expiry(ttl),
	})
	return nil
}

// Delete is part of store.Txn.
func (t *txn) Delete(key []byte) error {
	if err := t.admit(len(key), nil); err != nil {
		return t.refused("delete", key, err)
	}
	t.overlay.put(write{key: t.arena.concat(t.prefix, key), deleted: true})
	return nil
}

// Publish is part of store.Txn.
func (t *txn) Publish(message []byte) error {
	err := error(nil)
	switch {
	case t.scratch == nil:
		return errEnded
	case !t.write:
		err = store.ErrReadOnly
	case t.said+len(message) > store.MaxMessages:
		err = store.ErrTooLarge
	}
	if err != nil {
		return fmt.Errorf("badgerstore: publish %d bytes in space %q: %w", len(message), t.space, err)
	}
	t.said += len(message)
	t.messages = append(t.messages, bytes.Clone(message))
	return nil
}

// admit checks a write against the limits and counts it.
func (t *txn) admit(keySize int, value []byte) error {
	switch {
	case t.scratch == nil:
		return errEnded
	case !t.write:
		return store.ErrReadOnly
	case keySize == 0:
		return store.ErrEmptyKey
	case keySize > store.MaxKeySize:
		return store.ErrKeyTooLarge
	case len(value) > store.MaxValueSize:
		return store.ErrValueTooLarge
	}
	bytes, large := t.bytes+keySize+len(value), t.large
	if len(value) >= store.LargeValue {
		bytes, large = t.bytes+keySize, t.large+len(value)
	}
	if t.writes+1 > store.MaxTxnWrites || bytes > store.MaxTxnBytes || large > store.MaxTxnLarge {
		return store.ErrTooLarge
	}
	t.writes++
	t.bytes, t.large = bytes, large
	return nil
}

// refused tells of a write that was not admitted. The key may be huge.
func (t *txn) refused(what string, key []byte, err error) error {
	if errors.Is(err, errEnded) {
		return err
	}
	return fmt.Errorf("badgerstore: %s %.64q (%d bytes) in space %q: %w", what, key, len(key), t.space, err)
}

func checkKey(key []byte) error {
	switch {
	case len(key) == 0:
		return store.ErrEmptyKey
	case len(key) > store.MaxKeySize:
		return store.ErrKeyTooLarge
	}
	return nil
}

// expiry returns the second at which an entry with this ttl is gone. It is
// rounded up twice, the ttl as the contract says and the time of the call so
// that an entry never lives shorter than its ttl.
func (t *txn) expiry(ttl time.Duration) int64 {
	if ttl <= 0 {
		return 0
	}
	seconds := int64(ttl / time.Second)
	if ttl%time.Second != 0 {
		seconds++
	}
	now := t.store.now()
	at := now.Unix() + seconds
	if now.Nanosecond() != 0 {
		at++
	}
	return at
}

// stamp fills in the stamp of a stamped write.
func (w *write) stamp(ts uint64) {
	binary.BigEndian.PutUint64(w.key[w.stampAt:], ts)
}

// writeCost is the most that the writes may count against Badger's limit for a
// batch, in bytes. Large values stand in the value log, and only where they stand
// counts, which maxEntryOverhead has room for.
func (t *txn) writeCost() int {
	return t.bytes + t.writes*(len(t.prefix)+maxEntryOverhead)
}

// readSpan notes that a range was read.
func (t *txn) readSpan(start, end []byte) {
	if !t.write || bytes.Compare(start, end) >= 0 {
		return
	}
	t.spans = append(t.spans, span{start, end})
}

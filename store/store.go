// Package store is the contract between the host and whatever keeps its
// state: an ordered, transactional key-value store with serializable
// transactions, expiry, and stamps that agree with commit order.
//
// Drivers live in packages below this one; each passes the suite in storetest.
// Nothing here may assume a particular driver: the contract has to be one that
// an embedded log-structured store and a networked SQL database can both keep.
package store

import (
	"context"
	"time"
)

// Limits that every driver enforces, so that a plugin that runs on one driver
// runs on all of them.
const (
	MaxKeySize    = 1 << 10  // bytes of one key
	MaxValueSize  = 1 << 20  // bytes of one value
	MaxTxnWrites  = 4096     // Put, PutStamped and Delete calls of one transaction
	MaxTxnBytes   = 8 << 20  // bytes of keys and values written by one transaction, large values excepted
	LargeValue    = 1 << 16  // bytes from which on a value is large
	MaxTxnLarge   = 32 << 20 // bytes of large values written by one transaction
	MaxMessages   = 4 << 20  // bytes of messages published by one transaction
	MaxSpaceSize  = 255      // bytes of a space's name
	MaxPageSize   = 1000     // entries one Scan returns
	MaxPageBytes  = 1 << 20  // bytes of keys and values one Scan returns, first entry excepted
	StampSize     = 8        // bytes that PutStamped puts between prefix and suffix
	MaxStampedKey = MaxKeySize - StampSize
)

// HostSpace is the space with the host's own records. No deployment has that name.
const HostSpace = "@edgeset"

// A Store holds spaces. A space is a deployment's state: a transaction lives in
// exactly one, and can neither read nor write another.
//
// Transactions are serializable, range reads included: if fn read a range and
// another transaction added a key to it before fn's transaction committed, the
// commit fails with [ErrConflict].
type Store interface {
	// View runs fn on a consistent snapshot. Writes fail with ErrReadOnly.
	// A View never conflicts, and sees every commit that was acknowledged
	// before it began.
	View(ctx context.Context, space string, fn func(Txn) error) error

	// Update runs fn once and commits what it wrote if fn returns nil.
	//
	// ErrConflict means that nothing was written and that running fn again may
	// succeed; the caller decides how often. ErrCommitUnknown means that the
	// outcome cannot be known: the caller must neither acknowledge nor retry
	// blindly. Any error of fn is returned as it is and nothing is written.
	Update(ctx context.Context, space string, fn func(Txn) error) error

	// Subscribe has fn called with the messages of each transaction of the space
	// that publishes some, after the transaction has become visible, in the order
	// in which transactions do, and before Update returns. Messages of a
	// transaction come together, in the order of the calls, and are fn's to keep.
	// fn holds up every commit while it runs: it puts the messages into a queue,
	// and uses no store. cancel ends the subscription.
	Subscribe(space string, fn func(messages [][]byte)) (cancel func())

	// Spaces lists the names of the spaces that hold at least one key.
	Spaces(ctx context.Context) ([]string, error)

	// Close waits for transactions that run, then releases the store.
	// Transactions begun afterwards fail with ErrClosed.
	Close() error
}

// A Txn is one transaction. It is used by one goroutine and is dead when the
// function it was given to returns.
//
// A Txn sees its own writes, except for stamped ones: their keys do not exist
// before the commit.
//
// Byte slices passed in may be reused by the caller as soon as the method
// returns. Byte slices returned stay valid until the transaction ends and must
// not be modified.
type Txn interface {
	// Get returns the value of key, and false if there is none.
	Get(key []byte) (value []byte, found bool, err error)

	// Put sets key to value. A ttl above zero lets the entry expire; it is
	// counted in whole seconds, rounded up, from the moment of the call. The
	// entry lives at least that long and at most a second longer. Whether one
	// has expired is judged when a transaction begins, so what was seen once in
	// a transaction stays to its end.
	Put(key, value []byte, ttl time.Duration) error

	// PutStamped writes value under prefix + stamp + suffix. The stamp is
	// StampSize bytes, big endian, assigned at commit: across the whole store,
	// stamps rise strictly in the order in which commits become visible, and
	// within a transaction in the order of the calls. A reader that has seen
	// every key up to some stamp will therefore never find a smaller one later.
	//
	// A stamp reads as microseconds since the Unix epoch: it is the clock's
	// time at the commit, or one more than the last stamp if that is larger.
	PutStamped(prefix, suffix, value []byte, ttl time.Duration) error

	// Publish hands a message to the subscribers of the space once the
	// transaction is committed. A transaction that publishes and writes nothing
	// is committed like one that writes: it conflicts if what it read has
	// changed, and takes its place among the others. Messages are not kept: who
	// has not subscribed by then never sees them.
	Publish(message []byte) error

	// Delete removes key. Removing a key that is not there is no error.
	Delete(key []byte) error

	// Scan returns the entries of a range in key order, one page at a time.
	Scan(Range) (Page, error)
}

// A Range is the half-open interval [Start, End) of keys in byte order. A bound
// of no bytes is none.
type Range struct {
	Start   []byte // first key; nil means from the beginning of the space
	End     []byte // first key beyond; nil means to the end of the space
	Limit   int    // entries wanted; 0 or more than MaxPageSize means MaxPageSize
	Reverse bool   // from End downwards
	// KeysOnly leaves the values out: the entries have none.
	KeysOnly bool
}

// An Entry is a key and its value.
type Entry struct{ Key, Value []byte }

// A Page is what one Scan found.
type Page struct {
	Entries []Entry
	// More says that the range goes on behind the last entry. Continue with
	// Start = last key + 0x00, or, in reverse, End = last key.
	More bool
}

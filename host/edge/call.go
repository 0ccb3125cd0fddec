// Package edge is the host's side of the contract: what a plugin may ask for
// during a call, on the transaction of that call. A Call implements abi.Host, so
// a plugin that is built natively uses it directly; Module puts the same methods
// behind the import module "edge" for one that runs as Wasm.
//
// Everything here is reached by untrusted code. Each plugin's keys carry its
// name in front, which it can neither see nor leave out; every argument is
// checked; nothing a plugin passes may panic the host.
package edge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/extism"
	"github.com/edgeset/edgeset/store"
)

// A Plugin is what a Call needs to know of the plugin that it serves.
type Plugin struct {
	Name   string
	Config map[string]string
	Grants []string
	Egress *extism.Egress // nil: no outbound HTTP
	// Fetching bounds the outbound requests at a time by its capacity; nil: no
	// bound.
	Fetching chan struct{}
	Log      *slog.Logger
	Pictures *Pictures // nil: none are made
	Outbox   Outbox    // nil: nothing is delivered
}

func (p *Plugin) granted(grant string) bool { return slices.Contains(p.Grants, grant) }

// A Call is one call of one plugin. It is reused from call to call, and used by
// one goroutine.
type Call struct {
	ctx     context.Context
	plugin  *Plugin
	request string // id, for the log
	prefix  []byte // of every key
	key     []byte // room for a full key
	end     []byte // room for the end of a range
	txn     store.Txn
	failure error // what makes the transaction worthless, whatever the guest says

	// At is the time of the request.
	At time.Time

	// Connection is the id of the client's connection that the call may subscribe,
	// and Subscription what it is then known by: see Publish.
	Connection   string
	Subscription string
	Subscribed   bool // it has

	// Dispatched is how many entries of the outbox the run has made.
	Dispatched int

	dispatches int    // that the run has asked for
	said       int    // messages of the run
	saidB      int    // and their bytes
	read       int    // bytes that the run has had from the store and from outside
	logged     int    // bytes that the run has written into the log
	asked      uint   // host functions that guests have called
	pending    []byte // a result that did not fit the guest's buffer
	list       abi.Writer
	listB      []byte
	memo       memo
	env        extism.State

	// Body is the body of the request as it came.
	Body    []byte
	uploads uploads
	digests digests

	// ReadOnly refuses writes, also on a transaction that could take them.
	ReadOnly bool

	// TrackReads has the keys that are read kept in Reads: what a cached
	// answer depends on. Scanned tells that a range was read, too.
	TrackReads bool
	Reads      [][]byte
	Scanned    bool
	// TrackWrites has the keys that are written kept in Writes.
	TrackWrites bool
	Writes      [][]byte
}

// Start makes c ready for a request to p. The runs of one request share what it
// remembers of outside effects. What blocks ends with ctx, and the call with it.
func (c *Call) Start(ctx context.Context, p *Plugin, request string) {
	c.ctx, c.plugin, c.request = ctx, p, request
	c.prefix = append(append(c.prefix[:0], p.Name...), 0)
	c.TrackReads, c.TrackWrites, c.ReadOnly, c.Body = false, false, false, nil
	c.At, c.Dispatched = time.Time{}, 0
	c.digests, c.uploads = digests{}, uploads{}
	c.memo.forget()
	c.Connection, c.Subscription = "", ""
	c.txn, c.failure, c.pending = nil, nil, nil
	c.read, c.logged = 0, 0
	c.env.Reset(c, nil)
}

// Begin makes c ready for a run on txn.
func (c *Call) Begin(txn store.Txn) {
	c.txn, c.failure, c.pending = txn, nil, nil
	c.read, c.logged = 0, 0
	c.said, c.saidB, c.Subscribed = 0, 0, false
	c.dispatches, c.Dispatched = 0, 0
	c.Reads, c.Writes, c.Scanned = c.Reads[:0], c.Writes[:0], false
	c.memo.rewind()
	c.env.Reset(c, nil)
}

// maxKept bounds the buffers that an idle Call keeps.
const maxKept = 256 << 10

// End lets go of what the request left behind: replies from outside, the
// transaction, large buffers.
func (c *Call) End() {
	c.ctx, c.plugin, c.request, c.Body = context.Background(), nil, "", nil
	c.uploads = uploads{}
	c.Connection, c.Subscription = "", ""
	c.txn, c.failure, c.pending = nil, nil, nil
	c.memo.forget()
	c.env.Reset(nil, nil)
	if cap(c.listB) > maxKept {
		c.listB = nil
	}
	clear(c.Reads[:cap(c.Reads)])
	clear(c.Writes[:cap(c.Writes)])
	c.Reads, c.Writes = c.Reads[:0], c.Writes[:0]
}

// Failure returns the error of the store that happened during the run, if any:
// the transaction must not be committed.
func (c *Call) Failure() error { return c.failure }

// Extism returns the state of the functions of extism:host/env.
func (c *Call) Extism() *extism.State { return &c.env }

// full returns key with the plugin's name in front.
func (c *Call) full(room *[]byte, key []byte) []byte {
	*room = append(append((*room)[:0], c.prefix...), key...)
	return *room
}

// maxKey is what the contract leaves to a plugin of the store's limit: the rest
// is for its name.
const maxKey = 1000

// maxRead bounds what one run reads. The store keeps what a transaction has read
// until it ends, so a plugin that reads in a loop would fill the host's memory
// and not its own.
const maxRead = 64 << 20

// spend counts n bytes, and what keeping them costs, against maxRead. From time
// to time it looks whether the call is over: a plugin that does nothing but read
// spends its time in the host.
func (c *Call) spend(n int) error {
	const overhead, interval = 64, 64 << 10
	before := c.read
	if c.read += n + overhead; c.read > maxRead {
		c.failure = fmt.Errorf("edge: plugin %q reads more than %d MiB in one call", c.plugin.Name, maxRead>>20)
		return abi.ErrHost
	}
	if c.read/interval != before/interval && c.ctx.Err() != nil {
		return c.over(context.Cause(c.ctx))
	}
	return nil
}

// over has the call fail as a whole if err says that its time was up.
func (c *Call) over(err error) error {
	if errors.Is(err, context.DeadlineExceeded) || errors.Is(err, context.Canceled) {
		c.failure = err
		return abi.ErrHost
	}
	return err
}

func (c *Call) check(keyLen int) error {
	switch {
	case c.txn == nil || !c.plugin.granted(abi.GrantKV):
		return abi.ErrDenied
	case keyLen == 0 || keyLen > maxKey:
		return abi.ErrKey
	}
	return nil
}

func (c *Call) checkWrite(keyLen int) error {
	if err := c.check(keyLen); err != nil {
		return err
	}
	if c.ReadOnly {
		return abi.ErrReadOnly
	}
	return nil
}

// storeError translates an error of the store. What is not the plugin's fault
// makes the call fail as a whole.
func (c *Call) storeError(err error) error {
	switch {
	case err == nil:
		return nil
	case errors.Is(err, store.ErrReadOnly):
		return abi.ErrReadOnly
	case errors.Is(err, store.ErrKeyTooLarge), errors.Is(err, store.ErrEmptyKey):
		return abi.ErrKey
	case errors.Is(err, store.ErrValueTooLarge):
		return abi.ErrValue
	case errors.Is(err, store.ErrTooLarge):
		return abi.ErrTooLarge
	}
	c.failure = err
	return abi.ErrHost
}

func (c *Call) wrote(key []byte) {
	if c.TrackWrites {
		c.Writes = append(c.Writes, slices.Clone(key))
	}
}

// Get implements abi.Host.
func (c *Call) Get(key []byte) ([]byte, bool, error) {
	if err := c.check(len(key)); err != nil {
		return nil, false, err
	}
	k := c.full(&c.key, key)
	return c.get(k)
}

// get reads a full key.
func (c *Call) get(k []byte) ([]byte, bool, error) {
	if c.TrackReads {
		c.Reads = append(c.Reads, slices.Clone(k))
	}
	if c.read > maxRead {
		return nil, false, abi.ErrHost
	}
	value, found, err := c.txn.Get(k)
	if err != nil {
		return nil, false, c.storeError(err)
	}
	return value, found, c.spend(len(k) + len(value))
}

// Limits of GetMany, whose answer is built in the host's memory as a whole.
const (
	maxMany      = 1000
	maxManyBytes = 16 << 20
)

// GetMany implements abi.Host.
func (c *Call) GetMany(keys [][]byte) ([][]byte, error) {
	if len(keys) > maxMany {
		return nil, abi.ErrArgument
	}
	values, size := make([][]byte, len(keys)), 0
	for i, key := range keys {
		value, found, err := c.Get(key)
		if err != nil {
			return nil, err
		}
		if size += len(value); size > maxManyBytes {
			return nil, abi.ErrTooLarge
		}
		if found {
			values[i] = value
		}
	}
	return values, nil
}

// Put implements abi.Host.
func (c *Call) Put(key, value []byte, ttl time.Duration) error {
	if err := c.checkWrite(len(key)); err != nil {
		return err
	}
	k := c.full(&c.key, key)
	c.wrote(k)
	return c.storeError(c.txn.Put(k, value, ttl))
}

// PutStamped implements abi.Host.
func (c *Call) PutStamped(prefix, suffix, value []byte, ttl time.Duration) error {
	if err := c.checkWrite(len(prefix) + store.StampSize + len(suffix)); err != nil {
		return err
	}
	return c.storeError(c.txn.PutStamped(c.full(&c.key, prefix), suffix, value, ttl))
}

// Delete implements abi.Host.
func (c *Call) Delete(key []byte) error {
	if err := c.checkWrite(len(key)); err != nil {
		return err
	}
	k := c.full(&c.key, key)
	c.wrote(k)
	return c.storeError(c.txn.Delete(k))
}

// Scan implements abi.Host.
func (c *Call) Scan(r abi.Range) (abi.Page, error) {
	if err := c.check(1); err != nil {
		return abi.Page{}, err
	}
	return c.scan(c.plugin.Name, r)
}

// scan reads a page of a range of a plugin's key space.
func (c *Call) scan(plugin string, r abi.Range) (abi.Page, error) {
	// A scan goes on from the last key + 0x00, which is a byte longer than a key.
	if len(r.Start) > maxKey+1 || len(r.End) > maxKey+1 {
		return abi.Page{}, abi.ErrKey
	}
	if c.read > maxRead {
		return abi.Page{}, abi.ErrHost
	}
	c.Scanned = true
	c.key = appendKey(c.key[:0], plugin, r.Start)
	if len(r.End) > 0 {
		c.end = appendKey(c.end[:0], plugin, r.End)
	} else {
		// The byte behind the name is 0, so 1 is the first key beyond.
		c.end = append(append(c.end[:0], plugin...), 1)
	}
	page, err := c.txn.Scan(store.Range{Start: c.key, End: c.end, Limit: max(r.Limit, 0), Reverse: r.Reverse, KeysOnly: r.KeysOnly})
	if err != nil {
		return abi.Page{}, c.storeError(err)
	}
	out := abi.Page{More: page.More, Entries: make([]abi.Entry, len(page.Entries))}
	size := len(c.key) + len(c.end)
	for i, e := range page.Entries {
		size += len(e.Key) + len(e.Value)
		out.Entries[i] = abi.Entry{Key: e.Key[len(plugin)+1:], Value: e.Value}
	}
	if err := c.spend(size); err != nil {
		return abi.Page{}, err
	}
	return out, nil
}

// Config implements abi.Host.
func (c *Call) Config(key string) (string, bool) {
	s, ok := c.plugin.Config[key]
	return s, ok
}

// Limits of what a plugin writes into the operator's log: in one line, and in
// one call.
const (
	maxLogLine = 8 << 10
	maxLog     = 64 << 10
)

// Log implements abi.Host.
func (c *Call) Log(level abi.LogLevel, message string) {
	if len(message) > maxLogLine {
		message = strings.ToValidUTF8(message[:maxLogLine], "") + "…"
	}
	if c.logged > maxLog || errors.Is(c.failure, ErrUnprepared) { // the plugin is about to fail, and will not have
		return
	}
	if c.logged += len(message) + 1; c.logged > maxLog {
		level, message = abi.LogWarn, "(further lines of this call are dropped)"
	}
	levels := [...]slog.Level{slog.LevelDebug, slog.LevelInfo, slog.LevelWarn, slog.LevelError}
	c.plugin.Log.LogAttrs(c.ctx, levels[min(int(level), len(levels)-1)], message,
		slog.String("plugin", c.plugin.Name), slog.String("request", strings.Clone(c.request)))
}

var _ abi.Host = (*Call)(nil)

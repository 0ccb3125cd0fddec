package guesttest

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"crypto/sha512"
	"crypto/subtle"
	"encoding/binary"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
)

// A Host keeps a plugin's state in memory.
type Host struct {
	t testing.TB

	// Now is the clock: the time of requests, of stamps and of expiry.
	Now time.Time
	// Settings are what the operator's manifest would set.
	Settings map[string]string
	// Web answers outbound requests; nil: the manifest allows none.
	Web func(*abi.Fetch) *abi.FetchReply

	// Outbox is what has been dispatched, in order.
	Outbox []*abi.Dispatch
	// Undelivered are what of "mail" and "webhook:NAME" the manifest does not give;
	// Limited are recipients that have been sent as much as may be.
	Undelivered, Limited []string

	shared  map[string]*Host
	body    []byte // of the request that is under way
	files   []File // uploaded with it
	blobs   map[abi.BlobID]blob
	entries map[string]entry
	stamp   int64

	connections []*Connection
	opened      int // so far
}

type entry struct {
	value   []byte
	expires time.Time // zero: never
}

// NewHost returns an empty host.
func NewHost(t testing.TB) *Host {
	return &Host{
		t: t, Now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC),
		Settings: map[string]string{}, entries: map[string]entry{}, blobs: map[abi.BlobID]blob{},
	}
}

// Len returns the number of entries stored and not expired.
func (h *Host) Len() (n int) {
	for _, e := range h.entries {
		if e.live(h.Now) {
			n++
		}
	}
	return n
}

func (e entry) live(now time.Time) bool { return e.expires.IsZero() || now.Before(e.expires) }

// txn is one call's view of the host.
type txn struct {
	*Host
	readOnly bool
	view     map[string]entry
	blobView map[abi.BlobID]blob
	pending  map[abi.BlobID][]byte // blobs of the request
	stamped  []stamped
	writes   int
	bytes    int
	messages []*abi.Message
	said     int // bytes of them

	subscribed bool // by one of them

	dispatched []*abi.Dispatch
}

type stamped struct {
	prefix, suffix []byte
	entry          entry
}

func (h *Host) begin(readOnly bool) *txn {
	return &txn{Host: h, readOnly: readOnly, view: maps.Clone(h.entries), blobView: maps.Clone(h.blobs)}
}

func (x *txn) commit() {
	for _, s := range x.stamped {
		x.stamp = max(x.stamp+1, x.Now.UnixMicro())
		key := binary.BigEndian.AppendUint64(slices.Clone(s.prefix), uint64(x.stamp))
		x.view[string(append(key, s.suffix...))] = s.entry
	}
	x.entries, x.blobs = x.view, x.blobView
	x.Outbox = append(x.Outbox, x.dispatched...)
	for _, m := range x.messages {
		x.apply(m)
	}
}

func (x *txn) Get(key []byte) ([]byte, bool, error) {
	if err := checkKey(key, 0); err != nil {
		return nil, false, err
	}
	e, ok := x.view[string(key)]
	if !ok || !e.live(x.Now) {
		return nil, false, nil
	}
	return e.value, true, nil
}

func (x *txn) GetMany(keys [][]byte) ([][]byte, error) {
	if len(keys) > 1000 {
		return nil, abi.ErrArgument
	}
	values := make([][]byte, len(keys))
	for i, key := range keys {
		v, ok, err := x.Get(key)
		if err != nil {
			return nil, err
		}
		if ok {
			values[i] = v
		}
	}
	return values, nil
}

// maxKey is what the host leaves to a plugin of the store's limit.
const maxKey = 1000

func checkKey(key []byte, extra int) error {
	if len(key)+extra == 0 || len(key)+extra > maxKey {
		return abi.ErrKey
	}
	return nil
}

// write checks a write against the limits that the host has.
func (x *txn) write(keyLen int, value []byte) error {
	switch {
	case x.readOnly:
		return abi.ErrReadOnly
	case len(value) > 1<<20:
		return abi.ErrValue
	}
	x.writes++
	x.bytes += keyLen + len(value)
	if x.writes > 4096 || x.bytes > 8<<20 {
		return abi.ErrTooLarge
	}
	return nil
}

func (x *txn) newEntry(value []byte, ttl time.Duration) entry {
	e := entry{value: slices.Clone(value)}
	if e.value == nil {
		e.value = []byte{}
	}
	if ttl > 0 {
		e.expires = x.Now.Add((ttl + time.Second - 1).Truncate(time.Second))
	}
	return e
}

func (x *txn) Put(key, value []byte, ttl time.Duration) error {
	if err := checkKey(key, 0); err != nil {
		return err
	}
	if err := x.write(len(key), value); err != nil {
		return err
	}
	x.view[string(key)] = x.newEntry(value, ttl)
	return nil
}

func (x *txn) PutStamped(prefix, suffix, value []byte, ttl time.Duration) error {
	if err := checkKey(prefix, 8+len(suffix)); err != nil {
		return err
	}
	if err := x.write(len(prefix)+8+len(suffix), value); err != nil {
		return err
	}
	x.stamped = append(x.stamped, stamped{slices.Clone(prefix), slices.Clone(suffix), x.newEntry(value, ttl)})
	return nil
}

func (x *txn) Delete(key []byte) error {
	if err := checkKey(key, 0); err != nil {
		return err
	}
	if err := x.write(len(key), nil); err != nil {
		return err
	}
	delete(x.view, string(key))
	return nil
}

func (x *txn) Scan(r abi.Range) (abi.Page, error) { return scan(x.view, x.Now, r), nil }

// scan reads a page of a range of entries.
func scan(entries map[string]entry, now time.Time, r abi.Range) abi.Page {
	limit := r.Limit
	if limit <= 0 || limit > 1000 {
		limit = 1000
	}
	var keys []string
	for k := range entries {
		if k >= string(r.Start) && (len(r.End) == 0 || k < string(r.End)) {
			keys = append(keys, k)
		}
	}
	slices.Sort(keys)
	if r.Reverse {
		slices.Reverse(keys)
	}
	var p abi.Page
	for _, k := range keys {
		e := entries[k]
		if !e.live(now) {
			continue
		}
		if len(p.Entries) == limit {
			p.More = true
			break
		}
		if r.KeysOnly {
			e.value = []byte{}
		}
		p.Entries = append(p.Entries, abi.Entry{Key: []byte(k), Value: e.value})
	}
	return p
}

// HashPassword is a salted SHA-256: fast, for tests alone.
func (x *txn) HashPassword(password []byte) ([]byte, error) {
	salt := make([]byte, 16)
	rand.Read(salt)
	sum := sha256.Sum256(append(slices.Clone(salt), password...))
	return append(salt, sum[:]...), nil
}

func (x *txn) VerifyPassword(hash, password []byte) (bool, error) {
	if len(hash) != 48 {
		return false, nil
	}
	sum := sha256.Sum256(append(slices.Clone(hash[:16]), password...))
	return subtle.ConstantTimeCompare(sum[:], hash[16:]) == 1, nil
}

// BodyDigest implements abi.Host.
func (x *txn) BodyDigest(algorithm string) ([]byte, error) {
	switch algorithm {
	case "sha-256":
		sum := sha256.Sum256(x.body)
		return sum[:], nil
	case "sha-512":
		sum := sha512.Sum512(x.body)
		return sum[:], nil
	}
	return nil, abi.ErrArgument
}

// HMACSHA256 implements abi.Host.
func (x *txn) HMACSHA256(key, message []byte) ([]byte, error) {
	h := hmac.New(sha256.New, key)
	h.Write(message)
	return h.Sum(nil), nil
}

// VerifyEd25519 implements abi.Host.
func (x *txn) VerifyEd25519(key, message, signature []byte) (bool, error) {
	return len(key) == ed25519.PublicKeySize && ed25519.Verify(key, message, signature), nil
}

// Fetch implements abi.Host.
func (x *txn) Fetch(f *abi.Fetch) (*abi.FetchReply, error) {
	if x.Web == nil {
		return nil, abi.ErrDenied
	}
	return x.Web(f), nil
}

func (x *txn) Config(key string) (string, bool) { s, ok := x.Settings[key]; return s, ok }

func (x *txn) Log(level abi.LogLevel, message string) { x.t.Logf("plugin log %d: %s", level, message) }

var _ abi.Host = (*txn)(nil)

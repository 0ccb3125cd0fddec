package main

import (
	"encoding/binary"
	"encoding/json"
	"fmt"
	"net/url"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
	"github.com/edgeset/edgeset/abi/guesttest"
	"github.com/edgeset/edgeset/host/text"
)

// A ledger is a store for much: of the calls that it runs, one after the other, it
// keeps the entries in order, and it has the limits of the real one. It counts what a
// call asks of it.
type ledger struct {
	t       testing.TB
	call    *guest.Call
	plugin  *guest.Plugin
	now     time.Time
	stamp   uint64
	entries []item // by key
	published
	cost
}

type item struct {
	key   string
	value []byte // of a change, nil: removed
}

// A cost is what the last call has asked of the store.
type cost struct {
	crossings, scanned, scannedBytes, got, writes, bytes int
}

type published struct{ messages []*abi.Message }

func newLedger(t testing.TB) *ledger {
	p := plugin()
	return &ledger{t: t, plugin: p, call: p.NewCall(), now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
}

// An answer is what a call replied.
type answer struct {
	status int
	body   []byte // JSON
	code   string // of an error
	detail string
}

func (a *answer) String() string {
	return fmt.Sprintf("%d %s %s %.200s", a.status, a.code, a.detail, a.body)
}

// updates reads a list of updates.
func (a *answer) updates(t testing.TB) (list []map[string]any) {
	t.Helper()
	d := json.NewDecoder(strings.NewReader(string(a.body)))
	if err := d.Decode(&list); err != nil {
		t.Fatalf("%v: %v", a, err)
	}
	return list
}

// do runs a call of an account.
func (l *ledger) do(account, method, path, body string) *answer {
	l.t.Helper()
	u, err := url.Parse(path)
	if err != nil {
		l.t.Fatal(err)
	}
	index := slices.IndexFunc(l.plugin.Description().Routes, func(r abi.Route) bool {
		return r.Method == method && r.Pattern == u.Path
	})
	if index < 0 {
		l.t.Fatalf("%s %s: no such route", method, path)
	}
	f := abi.Request{
		Kind: abi.CallRequest, Route: index, Method: method, Path: u.Path,
		Caller: abi.Caller{Account: account, Proof: "token"}, Time: l.now.UnixMicro(),
	}
	var query abi.Writer
	query.Array()
	for name, values := range u.Query() {
		query.Text(name)
		query.Text(values[0])
	}
	query.End()
	f.Query = abi.Pairs(query.Value())
	if body != "" {
		f.BodyKind = abi.BodyValue
		if f.Body, err = text.ParseJSON(nil, []byte(body), abi.MaxDepth-8); err != nil {
			l.t.Fatal(err)
		}
	}
	var w abi.Writer
	f.Append(&w)
	return l.run(w.Value())
}

func (l *ledger) run(frame []byte) *answer {
	l.t.Helper()
	l.cost, l.published = cost{}, published{}
	x := &ledgerCall{ledger: l}
	reply := new(abi.Reply)
	out, err := l.call.Do(x, frame)
	if err == nil {
		err = abi.ReadReply(out, reply)
	}
	if err != nil {
		l.t.Fatal(err)
	}
	a := &answer{status: reply.Status}
	switch reply.BodyKind {
	case abi.BodyError, abi.BodyRefusal:
		e, err := abi.ReadError(reply.Status, reply.Body)
		if err != nil {
			l.t.Fatal(err)
		}
		a.code = e.Code
		if a.body, err = text.AppendJSON(nil, e.Detail); err != nil {
			l.t.Fatal(err)
		}
		a.detail = string(a.body)
		if reply.BodyKind == abi.BodyError {
			return a
		}
	case abi.BodyValue:
		if a.body, err = text.AppendJSON(nil, reply.Body); err != nil {
			l.t.Fatal(err)
		}
	}
	x.commit()
	return a
}

// A ledgerCall is the transaction of a call.
type ledgerCall struct {
	guesttest.Denied
	*ledger
	changes []item // by key
	stamped []item
	suffix  []string
}

func at(list []item, key string) (int, bool) {
	return sort.Find(len(list), func(i int) int { return strings.Compare(key, list[i].key) })
}

func (x *ledgerCall) commit() {
	all := x.changes
	for i, e := range x.stamped {
		x.stamp = max(x.stamp+1, uint64(x.now.UnixMicro()))
		key := string(binary.BigEndian.AppendUint64([]byte(e.key), x.stamp)) + x.suffix[i]
		all = append(all, item{key, e.value})
	}
	sort.Slice(all, func(i, j int) bool { return all[i].key < all[j].key })
	merged := make([]item, 0, len(x.entries)+len(all))
	old := x.entries
	for _, e := range all {
		i, ok := at(old, e.key)
		merged = append(merged, old[:i]...)
		if old = old[i:]; ok {
			old = old[1:]
		}
		if e.value != nil {
			merged = append(merged, e)
		}
	}
	x.entries = append(merged, old...)
}

func (x *ledgerCall) get(key string) []byte {
	if i, ok := at(x.changes, key); ok {
		return x.changes[i].value
	}
	if i, ok := at(x.entries, key); ok {
		return x.entries[i].value
	}
	return nil
}

func (x *ledgerCall) Get(key []byte) ([]byte, bool, error) {
	x.crossings++
	x.got++
	v := x.get(string(key))
	return v, v != nil, nil
}

func (x *ledgerCall) GetMany(keys [][]byte) ([][]byte, error) {
	if len(keys) > 1000 {
		return nil, abi.ErrArgument
	}
	x.crossings++
	list, size := make([][]byte, len(keys)), 0
	for i, key := range keys {
		list[i] = x.get(string(key))
		size += len(list[i])
		x.got++
	}
	if size > 16<<20 {
		return nil, abi.ErrTooLarge
	}
	return list, nil
}

func (x *ledgerCall) count(n int) error {
	x.writes++
	x.bytes += n
	if x.writes > 4096 || x.bytes > 8<<20 {
		return abi.ErrTooLarge
	}
	return nil
}

func (x *ledgerCall) change(key string, value []byte) error {
	if i, ok := at(x.changes, key); ok {
		x.changes[i].value = value
	} else {
		x.changes = slices.Insert(x.changes, i, item{key, value})
	}
	return x.count(len(key) + len(value))
}

func (x *ledgerCall) Put(key, value []byte, _ time.Duration) error {
	return x.change(string(key), append([]byte{}, value...))
}

func (x *ledgerCall) Delete(key []byte) error { return x.change(string(key), nil) }

func (x *ledgerCall) PutStamped(prefix, suffix, value []byte, _ time.Duration) error {
	x.stamped = append(x.stamped, item{string(prefix), append([]byte{}, value...)})
	x.suffix = append(x.suffix, string(suffix))
	return x.count(len(prefix) + len(suffix) + len(value))
}

func (x *ledgerCall) Scan(r abi.Range) (p abi.Page, err error) {
	x.crossings++
	limit := r.Limit
	if limit <= 0 || limit > 1000 {
		limit = 1000
	}
	lo, _ := at(x.entries, string(r.Start))
	hi, _ := at(x.entries, string(r.End))
	size := 0
	for i := range max(hi-lo, 0) {
		e := x.entries[lo+i]
		if r.Reverse {
			e = x.entries[hi-1-i]
		}
		if j, ok := at(x.changes, e.key); ok {
			if e = x.changes[j]; e.value == nil {
				continue
			}
		}
		if r.KeysOnly {
			e.value = []byte{} // as they come out of a frame
		}
		if size += len(e.key) + len(e.value); len(p.Entries) == limit || size > 1<<20 {
			p.More = true
			break
		}
		x.scanned++
		x.scannedBytes += len(e.key) + len(e.value)
		p.Entries = append(p.Entries, abi.Entry{Key: []byte(e.key), Value: e.value})
	}
	return p, nil
}

func (x *ledgerCall) Publish(message abi.Value) error {
	m, err := abi.ReadMessage(slices.Clone(message))
	if err != nil {
		return abi.ErrArgument
	}
	x.messages = append(x.messages, m)
	return nil
}

func (x *ledgerCall) Config(string) (string, bool)                { return "", false }
func (x *ledgerCall) Log(_ abi.LogLevel, message string)          { x.t.Errorf("plugin log: %s", message) }
func (x *ledgerCall) HashPassword([]byte) ([]byte, error)         { return nil, abi.ErrDenied }
func (x *ledgerCall) VerifyPassword([]byte, []byte) (bool, error) { return false, abi.ErrDenied }
func (x *ledgerCall) BodyDigest(string) ([]byte, error)           { return nil, abi.ErrDenied }
func (x *ledgerCall) HMACSHA256(_, _ []byte) ([]byte, error)      { return nil, abi.ErrDenied }
func (x *ledgerCall) VerifyEd25519(_, _, _ []byte) (bool, error)  { return false, abi.ErrDenied }
func (x *ledgerCall) Fetch(*abi.Fetch) (*abi.FetchReply, error)   { return nil, abi.ErrDenied }

var _ abi.Host = (*ledgerCall)(nil)

// kvOf returns the store as a call sees it.
func kvOf(l *ledger) *guest.KV {
	var kv *guest.KV
	p := guest.New("looks", "1.0.0")
	p.Family("/", nil).GET("/", func(_ *guest.Response, r *guest.Request) error { kv = r.KV(); return nil })
	f := abi.Request{Kind: abi.CallRequest, Method: "GET", Path: "/"}
	var w abi.Writer
	f.Append(&w)
	if _, err := p.NewCall().Do(&ledgerCall{ledger: l}, w.Value()); err != nil {
		l.t.Fatal(err)
	}
	return kv
}

package main

import (
	"bytes"
	"encoding/binary"
	"encoding/json"
	"errors"
	"math/rand"
	"slices"
	"sort"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
	"github.com/edgeset/edgeset/abi/guesttest"
)

// A history is a store in which calls overlap as on a real host: a call reads
// the state in which it began, and commits later, or runs again if what it read
// has changed in between. Its commits are never torn, so that the order of
// begins and commits is all there is to an interleaving.
type history struct {
	t       testing.TB
	plugin  *guest.Plugin
	now     time.Time
	entries []entry // sorted by key; never changed in place
	version int
	commits [][]string // keys written by each version
	stamp   int64
	heard   func(*abi.Message) // what is published, when it is committed; nil: nobody listens
}

type entry struct {
	key     string
	value   []byte
	expires time.Time
}

func newHistory(t testing.TB) *history {
	return &history{t: t, plugin: plugin(), now: time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)}
}

// A txn is the state of one run of a call.
type txn struct {
	guesttest.Denied
	*history
	at      time.Time
	base    []entry
	since   int
	gets    []string
	ranges  []abi.Range
	writes  []entry // sorted by key; a nil value deletes
	stamped []entry // key is the prefix
	writing bool

	messages []*abi.Message

	scans, puts int
}

func (h *history) begin(writing bool) *txn {
	return &txn{history: h, at: h.now, base: h.entries, since: h.version, writing: writing}
}

func find(list []entry, key string) (int, bool) {
	return sort.Find(len(list), func(i int) int { return strings.Compare(key, list[i].key) })
}

func (x *txn) Get(key []byte) ([]byte, bool, error) {
	x.gets = append(x.gets, string(key))
	if i, ok := find(x.writes, string(key)); ok {
		return x.writes[i].value, x.writes[i].value != nil, nil
	}
	i, ok := find(x.base, string(key))
	if !ok || !x.at.Before(x.base[i].expires) {
		return nil, false, nil
	}
	return x.base[i].value, true, nil
}

func (x *txn) GetMany(keys [][]byte) ([][]byte, error) {
	if len(keys) > 1000 {
		return nil, abi.ErrArgument
	}
	list := make([][]byte, len(keys))
	for i, key := range keys {
		list[i], _, _ = x.Get(key)
	}
	return list, nil
}

func (x *txn) put(key string, value []byte, expires time.Time) error {
	if !x.writing {
		return abi.ErrReadOnly
	}
	if x.puts++; x.puts > 1000 {
		return abi.ErrTooLarge
	}
	e := entry{key, value, expires}
	if i, ok := find(x.writes, key); ok {
		x.writes[i] = e
	} else {
		x.writes = slices.Insert(x.writes, i, e)
	}
	return nil
}

func (x *txn) expiry(ttl time.Duration) time.Time {
	if ttl <= 0 {
		x.t.Fatal("an entry without an end")
	}
	return x.at.Add((ttl + time.Second - 1).Truncate(time.Second))
}

func (x *txn) Put(key, value []byte, ttl time.Duration) error {
	return x.put(string(key), append([]byte{}, value...), x.expiry(ttl))
}

func (x *txn) Delete(key []byte) error { return x.put(string(key), nil, time.Time{}) }

func (x *txn) PutStamped(prefix, suffix, value []byte, ttl time.Duration) error {
	if !x.writing {
		return abi.ErrReadOnly
	}
	if x.puts++; x.puts > 1000 {
		return abi.ErrTooLarge
	}
	x.stamped = append(x.stamped, entry{string(prefix), append([]byte{}, value...), x.expiry(ttl)})
	return nil
}

func inRange(key string, r abi.Range) bool {
	return key >= string(r.Start) && (len(r.End) == 0 || key < string(r.End))
}

func (x *txn) Scan(r abi.Range) (abi.Page, error) {
	x.scans++
	x.ranges = append(x.ranges, abi.Range{Start: bytes.Clone(r.Start), End: bytes.Clone(r.End)})
	limit := r.Limit
	if limit <= 0 || limit > 1000 {
		limit = 1000
	}
	lo, _ := find(x.base, string(r.Start))
	hi := len(x.base)
	if len(r.End) > 0 {
		hi, _ = find(x.base, string(r.End))
	}
	list := x.base[lo:max(lo, hi)]
	if len(x.writes) > 0 {
		list = x.merged(list, r)
	}
	var p abi.Page
	for i := range list {
		e := &list[i]
		if r.Reverse {
			e = &list[len(list)-1-i]
		}
		if !x.at.Before(e.expires) {
			continue
		}
		if len(p.Entries) == limit {
			p.More = true
			break
		}
		p.Entries = append(p.Entries, abi.Entry{Key: []byte(e.key), Value: e.value})
	}
	return p, nil
}

func (x *txn) merged(list []entry, r abi.Range) []entry {
	list = slices.Clone(list)
	for _, w := range x.writes {
		if !inRange(w.key, r) {
			continue
		}
		i, ok := find(list, w.key)
		switch {
		case ok && w.value == nil:
			list = slices.Delete(list, i, i+1)
		case ok:
			list[i] = w
		case w.value != nil:
			list = slices.Insert(list, i, w)
		}
	}
	return list
}

var errConflict = errors.New("conflict")

func (x *txn) commit() error {
	if len(x.writes) == 0 && len(x.stamped) == 0 && len(x.messages) == 0 {
		return nil
	}
	for _, written := range x.commits[x.since:] {
		for _, key := range written {
			if slices.Contains(x.gets, key) || slices.ContainsFunc(x.ranges, func(r abi.Range) bool { return inRange(key, r) }) {
				return errConflict
			}
		}
	}
	h := x.history
	writes := x.writes
	for _, e := range x.stamped {
		h.stamp = max(h.stamp+1, h.now.UnixMicro())
		writes = append(writes, entry{string(binary.BigEndian.AppendUint64([]byte(e.key), uint64(h.stamp))), e.value, e.expires})
	}
	sort.Slice(writes, func(i, j int) bool { return writes[i].key < writes[j].key })
	all := make([]entry, 0, len(h.entries)+len(writes))
	old, keys := h.entries, []string{}
	for _, w := range writes {
		i, ok := find(old, w.key)
		all = append(all, old[:i]...)
		if old = old[i:]; ok {
			old = old[1:]
		}
		if w.value != nil {
			all = append(all, w)
		}
		keys = append(keys, w.key)
	}
	h.entries = append(all, old...)
	h.version++
	h.commits = append(h.commits, keys)
	for _, m := range x.messages {
		if h.heard != nil {
			h.heard(m)
		}
	}
	return nil
}

func (x *txn) HashPassword([]byte) ([]byte, error)         { return nil, abi.ErrDenied }
func (x *txn) VerifyPassword([]byte, []byte) (bool, error) { return false, abi.ErrDenied }
func (x *txn) Config(string) (string, bool)                { return "", false }
func (x *txn) Log(_ abi.LogLevel, message string)          { x.t.Errorf("plugin log: %s", message) }

func (x *txn) Publish(message abi.Value) error {
	m, err := abi.ReadMessage(bytes.Clone(message))
	if err != nil || !x.writing {
		x.t.Errorf("publish in a call that writes (%v): %v", x.writing, err)
		return abi.ErrArgument
	}
	x.messages = append(x.messages, m)
	return nil
}

func (x *txn) BodyDigest(string) ([]byte, error) { return nil, abi.ErrArgument }

func (x *txn) HMACSHA256(_, _ []byte) ([]byte, error) { return nil, abi.ErrDenied }

func (x *txn) VerifyEd25519(_, _, _ []byte) (bool, error) { return false, abi.ErrDenied }

func (x *txn) Fetch(*abi.Fetch) (*abi.FetchReply, error) { return nil, abi.ErrDenied }

var _ abi.Host = (*txn)(nil)

// A request is one that is under way: it has run and not committed.
type request struct {
	h     *history
	frame []byte
	write bool
	txn   *txn
	reply abi.Reply
	then  func(*answered)
	runs  int
}

type answered struct {
	status int
	code   string
	body   map[string]any // the response, or what the event is about
	event  string
	id     string    // of the event
	at     time.Time // of the request
}

// start runs a request without committing it.
func (h *history) start(account, method, path, query, body string, then func(*answered), more ...func(*abi.Request)) *request {
	h.t.Helper()
	segments := strings.Split(path, "/")
	for i, route := range h.plugin.Description().Routes {
		pattern := strings.Split(route.Pattern, "/")
		if route.Method != method || len(pattern) != len(segments) {
			continue
		}
		params, ok := []any{}, true
		for j, p := range pattern {
			if strings.HasPrefix(p, ":") {
				params = append(params, segments[j])
			} else if p != segments[j] {
				ok = false
			}
		}
		if !ok {
			continue
		}
		q := abi.Request{
			Kind: abi.CallRequest, Route: i, Method: method, Path: path, Params: encode(params),
			Query: abi.Pairs(encodePairs(query)), Time: h.now.UnixMicro(), Remote: "192.0.2.1", ID: "test", BaseURL: "http://edge.test",
			Caller: abi.Caller{Account: account, Proof: "token"},
		}
		switch {
		case route.Body == abi.JSONBody && body != "":
			d := json.NewDecoder(strings.NewReader(body))
			d.UseNumber()
			var v any
			if err := d.Decode(&v); err != nil {
				h.t.Fatal(err)
			}
			q.BodyKind, q.Body = abi.BodyValue, encode(v)
		case route.Body == abi.FormBody:
			q.BodyKind, q.Body = abi.BodyForm, encodePairs("")
		}
		for _, add := range more {
			add(&q)
		}
		var w abi.Writer
		q.Append(&w)
		r := &request{h: h, frame: w.Value(), write: route.Write, then: then}
		r.run()
		return r
	}
	h.t.Fatalf("no route %s %s", method, path)
	return nil
}

func (r *request) run() {
	r.runs++
	r.txn = r.h.begin(r.write)
	frame, err := r.h.plugin.NewCall().Do(r.txn, r.frame)
	if err != nil {
		r.h.t.Fatal(err)
	}
	if err := abi.ReadReply(frame, &r.reply); err != nil {
		r.h.t.Fatal(err)
	}
}

// finish commits, running again as often as it takes.
func (r *request) finish() *answered {
	a := &answered{status: r.reply.Status}
	var q abi.RawRequest
	abi.ReadRequest(r.frame, &q)
	a.at = time.UnixMicro(q.Time)
	for r.reply.BodyKind != abi.BodyError && r.txn.commit() != nil {
		r.run()
		a.status = r.reply.Status
	}
	switch r.reply.BodyKind {
	case abi.BodyError:
		e, err := abi.ReadError(r.reply.Status, r.reply.Body)
		if err != nil {
			r.h.t.Fatal(err)
		}
		a.code = e.Code
	case abi.BodyEvents: // of a stream, which begins with one
		e := r.reply.Body.Read()
		e.Array()
		e.Array()
		a.event, a.id = e.Text(), e.Text()
		a.body = decode(e.Value()).(map[string]any)
	case abi.BodyNone:
	default:
		a.body = decode(r.reply.Body.Get("response")).(map[string]any)
	}
	if r.then != nil {
		r.then(a)
	}
	return a
}

// do is a request that nothing else overlaps.
func (h *history) do(account, method, path, query, body string) *answered {
	h.t.Helper()
	return h.start(account, method, path, query, body, nil).finish()
}

func encode(v any) abi.Value {
	var w abi.Writer
	encodeInto(&w, v)
	return w.Value()
}

func encodeInto(w *abi.Writer, v any) {
	switch t := v.(type) {
	case nil:
		w.Nil()
	case bool:
		w.Bool(t)
	case string:
		w.Text(t)
	case json.Number:
		if n, err := t.Int64(); err == nil {
			w.Int(n)
		} else if f, err := t.Float64(); err == nil {
			w.Float(f)
		} else {
			w.Number([]byte(t))
		}
	case []any:
		w.Array()
		for _, e := range t {
			encodeInto(w, e)
		}
		w.End()
	case map[string]any:
		w.Map()
		for k, e := range t {
			w.Key(k)
			encodeInto(w, e)
		}
		w.End()
	}
}

func encodePairs(query string) abi.Value {
	list := []any{}
	for _, part := range strings.Split(query, "&") {
		if name, value, ok := strings.Cut(part, "="); ok {
			list = append(list, name, value)
		}
	}
	return encode(list)
}

func decode(v abi.Value) any {
	switch v.Kind() {
	case abi.Bool:
		b, _ := v.Bool()
		return b
	case abi.Int:
		n, _ := v.Int()
		return n
	case abi.Float:
		f, _ := v.Float()
		return f
	case abi.String:
		s, _ := v.Text()
		return s
	case abi.Array:
		list := []any{}
		for it := v.Items(); it.Next(); {
			list = append(list, decode(it.Value()))
		}
		return list
	case abi.Map:
		m := map[string]any{}
		for it := v.Entries(); it.Next(); {
			m[string(it.Key())] = decode(it.Value())
		}
		return m
	}
	return nil
}

// shuffle keeps a few requests under way at a time and finishes them in any
// order.
type shuffle struct {
	r       *rand.Rand
	pending []*request
}

func (s *shuffle) add(q *request) {
	s.pending = append(s.pending, q)
	for len(s.pending) > 0 && (len(s.pending) > 4 || s.r.Intn(3) > 0) {
		s.finishOne()
	}
}

func (s *shuffle) finishOne() {
	i := s.r.Intn(len(s.pending))
	q := s.pending[i]
	s.pending = slices.Delete(s.pending, i, i+1)
	q.finish()
}

func (s *shuffle) drain() {
	for len(s.pending) > 0 {
		s.finishOne()
	}
}

func rowsOf(t testing.TB, body map[string]any) [][]any {
	list, _ := body["location"].([]any)
	rows := make([][]any, len(list))
	for i := range list {
		rows[i] = list[i].([]any)
	}
	if body["uncompressed"] == nil {
		sum(t, rows)
	}
	return rows
}

// sum decodes compressed rows as a client does that adds up the columns and for
// which null is 0; what was null is null afterwards.
func sum(t testing.TB, rows [][]any) {
	var acc [columns]int64
	for i, row := range rows {
		if len(row) != columns {
			t.Fatalf("row %d has %d columns", i, len(row))
		}
		for col, v := range row {
			if n, ok := v.(int64); ok {
				acc[col] += n
				row[col] = acc[col]
			}
		}
	}
}

func shown(v any) string { b, _ := json.Marshal(v); return string(b) }

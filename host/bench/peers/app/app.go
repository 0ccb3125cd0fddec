// Package app is what the guests of the peers do: location sharing, as far as it
// is compared. It keeps the same things as edgeset's plugin does, an upload in
// commit order and by time, the ticket's span, the invite, who is viewing, but
// text as text, and knows none of its options. It is written without reflection,
// as an author who minds the time would.
package app

import (
	"encoding/binary"
	"strconv"
)

// KV is the state of a call: one transaction. What it returns stays valid until
// its next call.
type KV interface {
	Get(key []byte) (value []byte, found bool)
	Put(key, value []byte)
	// PutStamped writes under prefix and a stamp of 8 bytes that rises from
	// commit to commit.
	PutStamped(prefix, value []byte)
	// Scan yields the entries of a range, at most limit of them, until yield
	// returns false.
	Scan(start, end []byte, limit int, yield func(key, value []byte) bool)
}

// The key space, with ids between:
//
//	t id              the ticket
//	i code            the invite: the id of its ticket
//	g id / STAMP      its uploads, in commit order
//	p id / time       its uploads, by the time of their first point
//	v code / viewer   when somebody was last seen viewing
const (
	lifetime  = 4 * 3600 * 1000 // of a ticket, ms
	seenEvery = 15 * 1000       // ms after which a viewer is noted again
	pageSize  = 100             // uploads in a page
	stampSize = 8
)

func key(dst []byte, kind byte, id string) []byte { return append(append(dst[:0], kind), id...) }

func under(dst []byte, kind byte, id string) []byte { return append(key(dst, kind, id), '/') }

func number(b []byte, n int64) []byte { return binary.BigEndian.AppendUint64(b, uint64(n)) }

func numberAt(b []byte, i int) int64 { return int64(binary.BigEndian.Uint64(b[8*i:])) }

// A ticket is whose trail it is, until when it takes points, and the times it
// spans.
type ticket struct {
	owner             string
	ends, first, last int64
}

func (t *ticket) append(dst []byte) []byte {
	return append(number(number(number(dst, t.ends), t.first), t.last), t.owner...)
}

func readTicket(b []byte) (t ticket, ok bool) {
	if len(b) < 24 {
		return t, false
	}
	return ticket{owner: string(b[24:]), ends: numberAt(b, 0), first: numberAt(b, 1), last: numberAt(b, 2)}, true
}

// A Room is the memory of one call at a time, kept for the next.
type Room struct{ key, end, value []byte }

// Create makes a ticket with that id, and an invite to it, whose code is returned.
func (r *Room) Create(kv KV, owner, id string, now int64) (code string) {
	t := ticket{owner: owner, ends: now + lifetime}
	code = "c" + id
	kv.Put(key(nil, 't', id), t.append(nil))
	kv.Put(key(nil, 'i', code), []byte(id))
	return code
}

// Upload appends the points of a body to a ticket, and the answer to dst. An
// upload that is there already is not stored again. A status other than 200 has
// no answer.
func (r *Room) Upload(kv KV, dst []byte, owner, id string, body []byte, now int64) (status int, reply []byte) {
	b, err := Check(body)
	if err != nil {
		return 400, nil
	}
	r.key = key(r.key, 't', id)
	value, _ := kv.Get(r.key)
	t, ok := readTicket(value)
	switch {
	case !ok || t.owner != owner:
		return 404, nil
	case now > t.ends:
		return 409, nil
	}
	stored := b.N
	if b.First <= t.last {
		if _, found := kv.Get(number(under(r.end, 'p', id), b.First)); found {
			stored = 0
		}
	}
	if stored > 0 {
		if t.first == 0 || b.First < t.first {
			t.first = b.First
		}
		t.last = max(t.last, b.Last)
		r.value = t.append(r.value[:0])
		kv.Put(r.key, r.value)
		r.key = under(r.key, 'g', id)
		kv.PutStamped(r.key, b.Rows)
		r.key = number(under(r.key, 'p', id), b.First)
		kv.Put(r.key, b.Rows)
	}
	dst = append(dst, `{"result":"ok","response":{"type":"stored","stored":`...)
	dst = strconv.AppendInt(dst, int64(stored), 10)
	return 200, appendMeta(dst, now)
}

// View appends to dst what a viewer with a cursor, 0 at first, has not seen.
func (r *Room) View(kv KV, dst []byte, code, viewer string, next, now int64) (status int, reply []byte) {
	r.key = key(r.key, 'i', code)
	value, found := kv.Get(r.key)
	if !found {
		return 404, nil
	}
	id := string(value)
	r.key = key(r.key, 't', id)
	value, _ = kv.Get(r.key)
	t, ok := readTicket(value)
	if !ok {
		return 404, nil
	}
	r.key = append(under(r.key, 'v', code), viewer...)
	if seen, found := kv.Get(r.key); !found || now-numberAt(seen, 0) >= seenEvery {
		r.value = number(r.value[:0], now)
		kv.Put(r.key, r.value)
	}

	dst = append(dst, `{"result":"ok","response":{"type":"ticket_invite","id":`...)
	dst = strconv.AppendQuote(dst, code)
	dst = append(dst, `,"owner":`...)
	dst = strconv.AppendQuote(dst, t.owner)
	dst = append(dst, `,"first":`...)
	dst = strconv.AppendInt(dst, t.first, 10)
	dst = append(dst, `,"last":`...)
	dst = strconv.AppendInt(dst, t.last, 10)
	dst = append(dst, `,"data":[],"location":[`...)
	empty := len(dst)
	r.key = under(r.key, 'g', id)
	prefix := len(r.key)
	r.key = number(r.key, next+1)
	r.end = append(r.end[:0], r.key[:prefix]...)
	r.end[prefix-1]++
	kv.Scan(r.key, r.end, pageSize, func(key, rows []byte) bool {
		if len(dst) > empty {
			dst = append(dst, ',')
		}
		dst = append(dst, rows...)
		next = numberAt(key[prefix:prefix+stampSize], 0)
		return true
	})
	dst = append(dst, `],"next":`...)
	dst = strconv.AppendInt(dst, next, 10)
	dst = append(dst, `,"uncompressed":true`...)
	return 200, appendMeta(dst, now)
}

func appendMeta(dst []byte, now int64) []byte {
	dst = append(dst, `},"meta":{"time":`...)
	dst = strconv.AppendInt(dst, now, 10)
	return append(dst, `}}`...)
}

// Empty is the answer of the handler that does nothing.
const Empty = `{"result":"ok"}`

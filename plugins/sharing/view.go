package main

import (
	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// catchUp marks a cursor of a viewer who asked for the full trail and has not
// reached its end: stamps, microseconds since 1970, stay below this bit until
// the year 2112, and both together below 2^53, which is where JavaScript's whole
// numbers end.
const catchUp = 1 << 52

// A view is what GET invites/:code was asked for.
type view struct {
	next       int64
	catchingUp bool
	fullTrail  bool
	points     bool // limit is not 0
	compressed bool
	counted    bool
	properties bool // also with an increment
}

func readView(r *guest.Request) (q view, err error) {
	if q.next, err = r.Int("next", 0); err != nil {
		return q, err
	}
	if q.next < 0 || q.next >= 1<<53 {
		return q, badParameter("next: want 0, or the next of an earlier reply")
	}
	q.catchingUp = q.next&catchUp != 0
	q.next &^= catchUp
	limit, err := r.Int("limit", 1)
	if err != nil {
		return q, err
	}
	q.points = limit != 0
	if q.fullTrail, err = r.Bool("full_trail", false); err != nil {
		return q, err
	}
	uncompressed, err := r.Bool("uncompressed", false)
	if err != nil {
		return q, err
	}
	q.compressed = !uncompressed
	noCount, err := r.Bool("no_count", false)
	if err != nil {
		return q, err
	}
	q.counted = !noCount
	q.properties, err = r.Bool("properties", false)
	return q, err
}

// viewInvite: GET invites/:code
func viewInvite(w *guest.Response, r *guest.Request) error {
	q, err := readView(r)
	if err != nil {
		return err
	}
	who, err := viewerOf(r)
	if err != nil {
		return err
	}
	inv, err := loadInvite(r)
	if err != nil {
		return err
	}
	kv, now := r.KV(), r.Time().UnixMilli()
	stored, err := kv.GetMany([][]byte{
		ticketKey(nil, keyTicket, inv.ticket),
		viewingKey(inv.owner, inv.code, who.key[:]),
	})
	if err != nil {
		return err
	}
	if stored[0] == nil {
		return unknownInvite()
	}
	t := new(ticket)
	if err := t.read(inv.ticket, stored[0]); err != nil {
		return err
	}
	if t.expired(now) {
		if !t.closed {
			err = t.close(kv, now)
		}
	} else if q.counted && who.account != t.owner {
		// To look at one's own ticket is not to be viewed.
		err = recordView(kv, inv, who, stored[1], now)
	}
	if err != nil {
		return err
	}
	a, err := answer(kv, t, q, now)
	if err != nil {
		return err
	}
	return a.write(w, r, inv, t, q)
}

// viewProperties: GET invites/:code/properties
func viewProperties(w *guest.Response, r *guest.Request) error {
	inv, err := loadInvite(r)
	if err != nil {
		return err
	}
	list, err := loadTickets(r.KV(), []uint64{inv.ticket})
	if err != nil {
		return err
	}
	if list[0] == nil {
		return unknownInvite()
	}
	v := writeHead(w, inv, list[0])
	textField(v, "url", inv.url(linkBase(r)))
	v.Key("properties")
	if err := list[0].writeProperties(v, r.KV(), r.Time().UnixMilli()); err != nil {
		return err
	}
	return finish(v, r)
}

// A viewAnswer is what a viewer gets to see.
type viewAnswer struct {
	snapshot bool // all properties; otherwise rows is what is new
	rows     []abi.Value
	ended    bool // tell in rows that the ticket is over
	pts      []point
	next     int64
	more     bool
}

// answer finds out what a viewer with this cursor has not seen.
func answer(kv *guest.KV, t *ticket, q view, now int64) (viewAnswer, error) {
	if t.closed && q.next > t.sealed && !q.catchingUp {
		// Was told all there will ever be.
		return viewAnswer{next: q.next}, nil
	}
	if stale(q.next, now, t.retention) {
		return snapshot(kv, t, q)
	}
	page, err := readLog(kv, t.id, q.next)
	if err != nil {
		return viewAnswer{}, err
	}
	a := viewAnswer{rows: page.rows, pts: page.pts, next: page.next, more: page.more}
	switch {
	case q.catchingUp && t.hidden:
		return snapshot(kv, t, q)
	case q.catchingUp && page.more:
		// Properties came with the first page, and come again with the last.
		a.rows, a.next = nil, a.next|catchUp
	case q.catchingUp:
		a.snapshot, a.rows = true, nil
	case page.shown:
		return snapshot(kv, t, q)
	case !page.more && t.closed:
		a.ended = true
	}
	if !page.more {
		a.next = t.cursorAtEnd(a.next)
	}
	return a, nil
}

// cursorAtEnd returns the cursor of a viewer who has seen the log up to next, its end.
func (t *ticket) cursorAtEnd(next int64) int64 {
	if t.closed {
		return t.sealed + 1
	}
	return next
}

// snapshot shows a ticket from nothing: its properties and the last minutes of
// its trail, or the first page of all of it.
func snapshot(kv *guest.KV, t *ticket, q view) (viewAnswer, error) {
	a := viewAnswer{snapshot: true}
	if q.fullTrail && q.points && !t.hidden {
		page, err := readLog(kv, t.id, 0)
		if err != nil {
			return a, err
		}
		a.pts, a.more = page.pts, page.more
		if page.more {
			a.next = page.next | catchUp
		} else {
			a.next = t.cursorAtEnd(page.next)
		}
		return a, nil
	}
	// Both are read in one transaction: what the cursor covers is in the trail.
	last, err := lastStamp(kv, ticketKey(nil, keyLog, t.id))
	if err != nil {
		return a, err
	}
	a.next = t.cursorAtEnd(max(last, 1))
	if q.points && !t.hidden {
		a.pts, err = latest(kv, t)
	}
	return a, err
}

// writeHead opens a reply about an invite's ticket.
func writeHead(w *guest.Response, inv *invite, t *ticket) *abi.Writer {
	v := succeed(w, "ticket_invite")
	textField(v, "id", inv.code.String())
	textField(v, "owner", t.owner)
	if t.first != 0 && !t.hidden {
		intField(v, "first", t.first)
		intField(v, "last", t.last)
	}
	return v
}

func (a *viewAnswer) write(w *guest.Response, r *guest.Request, inv *invite, t *ticket, q view) error {
	v := writeHead(w, inv, t)
	if a.snapshot {
		textField(v, "url", inv.url(linkBase(r)))
	}
	intField(v, "next", a.next)
	if a.more {
		boolField(v, "more", true)
	}
	if a.snapshot || q.properties {
		v.Key("properties")
		if err := t.writeProperties(v, r.KV(), r.Time().UnixMilli()); err != nil {
			return err
		}
	}
	if !a.snapshot {
		v.Key("data")
		v.Array()
		for _, row := range a.rows {
			v.Raw(row)
		}
		if a.ended {
			// An end that was chosen is news; one that came was told long ago.
			if t.endSet == t.end {
				t.writeEndRow(v)
			}
			t.writeExpiredRow(v)
		}
		v.End()
	}
	if len(a.pts) > 0 && q.points && !t.hidden {
		v.Key("location")
		writePoints(v, a.pts, q.compressed)
	}
	if !q.compressed {
		boolField(v, "uncompressed", true)
	}
	return finish(v, r)
}

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
	next, err := r.Int("next", 0)
	if err != nil {
		return q, err
	}
	if !q.goOn(next) {
		return q, badParameter("next: want 0, or the next of an earlier reply")
	}
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

// goOn has the view go on from a cursor that a client shows, if it may be one.
func (q *view) goOn(next int64) bool {
	q.catchingUp = next&catchUp != 0
	q.next = next &^ catchUp
	return next >= 0 && next < 1<<53
}

// viewInvite: GET invites/:code
func viewInvite(w *guest.Response, r *guest.Request) error {
	q, err := readView(r)
	if err != nil {
		return err
	}
	s, err := look(r, q)
	if err != nil {
		return err
	}
	v := succeed(w, "")
	if err := s.write(v, r, q); err != nil {
		return err
	}
	return finish(v, r)
}

// A sight is what a viewer gets to see, and of what.
type sight struct {
	viewAnswer
	inv *invite
	t   *ticket
}

// look finds what the path's code gives to see, and counts that somebody looks.
func look(r *guest.Request, q view) (s sight, err error) {
	who, err := viewerOf(r)
	if err != nil {
		return s, err
	}
	if s.inv, err = loadInvite(r); err != nil {
		return s, err
	}
	inv, kv, now := s.inv, r.KV(), r.Time().UnixMilli()
	stored, err := kv.GetMany([][]byte{
		ticketKey(nil, keyTicket, inv.ticket),
		viewingKey(inv.owner, inv.code, who.key[:]),
	})
	if err != nil {
		return s, err
	}
	if stored[0] == nil {
		return s, unknownInvite()
	}
	s.t = new(ticket)
	if err := s.t.read(inv.ticket, stored[0]); err != nil {
		return s, err
	}
	if s.t.expired(now) {
		if !s.t.closed {
			err = s.t.close(kv, now)
		}
	} else if q.counted && who.account != s.t.owner {
		// To look at one's own ticket is not to be viewed.
		err = recordView(kv, inv, who, stored[1], now)
	}
	if err != nil {
		return s, err
	}
	s.viewAnswer, err = answer(kv, s.t, q, now)
	return s, err
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
	v := succeed(w, "")
	writeHead(v, inv, list[0])
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
	if t.toldAll(q) {
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

// toldAll tells whether a viewer with this cursor was told all there will ever be.
func (t *ticket) toldAll(q view) bool { return t.closed && q.next > t.sealed && !q.catchingUp }

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

// writeHead writes what stands in every reply about an invite's ticket into an open map.
func writeHead(v *abi.Writer, inv *invite, t *ticket) {
	textField(v, "type", "ticket_invite")
	textField(v, "id", inv.code.String())
	textField(v, "owner", t.owner)
	if t.first != 0 && !t.hidden {
		intField(v, "first", t.first)
		intField(v, "last", t.last)
	}
}

// write writes what is to be seen into an open map.
func (a *sight) write(v *abi.Writer, r *guest.Request, q view) error {
	inv, t := a.inv, a.t
	writeHead(v, inv, t)
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
	return nil
}

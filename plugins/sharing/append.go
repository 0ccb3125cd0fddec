package main

import (
	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// maxPoints is how many points one request may bring.
const maxPoints = 1000

// readBatch reads the points of the body. The first one that is wrong refuses
// the whole batch: a client that is told "stored" must not have to look for
// what was not.
func (u *upload) readBatch(r *guest.Request, now, earliest int64) error {
	u.pts = u.pts[:0]
	body := r.Body()
	if !body.Exists() {
		return nil
	}
	if body.Kind() != abi.Array {
		return guest.Errorf(400, "bad_point", "want an array of points, got %s", body.Kind())
	}
	rd := body.Read()
	n := rd.Array()
	if n > maxPoints {
		return guest.Errorf(400, "bad_point", "%d points in one request, want at most %d", n, maxPoints)
	}
	if cap(u.pts) < n {
		u.pts = make([]point, 0, max(n, 64))
	}
	u.pts = u.pts[:n]
	for i := range u.pts {
		p := &u.pts[i]
		if e := readPoint(&rd, p); e != nil {
			return badPoint(i, e)
		}
		switch at := p.at[colTime]; {
		case at > now+maxAhead:
			return badPoint(i, &pointError{colTime, "more than a minute ahead of the server's clock (want milliseconds since 1970)"})
		case at < earliest:
			return badPoint(i, &pointError{colTime, "too long before the ticket's start (want milliseconds since 1970)"})
		}
	}
	return nil
}

func badPoint(index int, e *pointError) error {
	if e.column < 0 {
		return guest.Errorf(400, "bad_point", "index %d: %s", index, e.what)
	}
	return guest.Errorf(400, "bad_point", "index %d: %s: %s", index, columnNames[e.column], e.what)
}

// appendLocation: POST tickets/:id/append_location
func appendLocation(w *guest.Response, r *guest.Request) error {
	t, err := ownActiveTicket(r)
	if err != nil {
		return err
	}
	now := r.Time().UnixMilli()
	u := uploads.Get().(*upload)
	defer uploads.Put(u)
	if err := u.readBatch(r, now, t.start-maxEarly); err != nil {
		return err
	}
	stored, err := u.store(r.KV(), t, now)
	if err != nil {
		return err
	}
	if err := u.publish(r, t); err != nil {
		return err
	}
	return answerUpload(w, r, stored)
}

// appendLocationToAll: POST tickets/append_location
func appendLocationToAll(w *guest.Response, r *guest.Request) error {
	now := r.Time().UnixMilli()
	tickets, err := uploadTickets(r)
	if err != nil {
		return err
	}
	// Tickets began at different times, so a buffered point may be too old for
	// one and right for another. What is too old for all is a mistake.
	earliest := int64(0)
	for i, t := range tickets {
		if from := t.start - maxEarly; i == 0 || from < earliest {
			earliest = from
		}
	}
	u := uploads.Get().(*upload)
	defer uploads.Put(u)
	if err := u.readBatch(r, now, earliest); err != nil {
		return err
	}
	stored := 0
	for _, t := range tickets {
		n, err := u.store(r.KV(), t, now)
		if err != nil {
			return err
		}
		if err := u.publish(r, t); err != nil {
			return err
		}
		stored += n
	}
	return answerUpload(w, r, stored)
}

// uploadTickets returns all tickets of the caller that take uploads.
func uploadTickets(r *guest.Request) ([]*ticket, error) {
	ids, _, err := activeTickets(r.KV(), r.Caller().Account)
	if err != nil || len(ids) == 0 {
		return nil, err
	}
	list, err := loadTickets(r.KV(), ids)
	if err != nil {
		return nil, err
	}
	now, n := r.Time().UnixMilli(), 0
	for _, t := range list {
		if t != nil && !t.expired(now) {
			list[n] = t
			n++
		}
	}
	return list[:n], nil
}

// answerUpload says how much was stored, or, to a client that asks with since,
// what GET users/self/invites would.
func answerUpload(w *guest.Response, r *guest.Request, stored int) error {
	if r.HasQuery("since") {
		return pollInvites(w, r)
	}
	v := succeed(w, "stored")
	intField(v, "stored", int64(stored))
	return finish(v, r)
}

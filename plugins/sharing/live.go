package main

import (
	"errors"
	"strconv"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// Who looks at a ticket can be told what is new without asking, by a stream of events:
//
//	view     what the reply to a poll has, or points and properties that are new
//	refresh  something else has changed: poll
//	gone     the code, or the ticket, is no more
//
// A stream begins with a view that is what a poll would get, and is subscribed in the
// same transaction: it has all that is committed before, and hears all that comes.
//
// Only that first view has a cursor, as "next" and as the event's id. Cursors are
// stamps, which the store gives at the commit: an event, which is written before it,
// cannot know its own. A guess would have to be below it and above whatever the
// client was only told to poll for, and nothing that was told so may be passed over.
// So a client moves its cursor by what it polls, as if there were no stream; what it
// is told twice for that, times and names tell.
const (
	eventView    = "view"
	eventRefresh = "refresh"
	eventGone    = "gone"
)

// Bounds of what an event carries. What is larger is polled, by those who want it:
// an upload may go to a hundred tickets, and all its events together must fit a call.
const (
	maxPushedPoints = 200
	maxPushedRows   = 16 << 10 // bytes
)

// room is where those are who follow the ticket.
func (t *ticket) room() string { return string(ticketKey(nil, keyTicket, t.id)) }

// room is where those are who follow a ticket by this code.
func (c code) room() string { return string(codeKey(nil, keyInvite, c)) }

// streamInvite: GET invites/:code/stream
//
// A stream that cannot tell all at once, or of a ticket that is over, ends. The client
// comes back at once with the cursor that it was given; when there is nothing more to
// be told for good, it is told that, by 204, and stays away.
func streamInvite(w *guest.Response, r *guest.Request) error {
	q, err := readView(r)
	if err != nil {
		return err
	}
	if id := r.Header("Last-Event-ID"); id != "" {
		next, err := strconv.ParseInt(id, 10, 64)
		if err != nil || !q.goOn(next) {
			return badParameter("Last-Event-ID: want the id of an event of this stream")
		}
	}
	q.points, q.compressed = true, false
	s, err := look(r, q)
	if err != nil {
		return err
	}
	if s.t.toldAll(q) {
		w.Status(204)
		return nil
	}
	v := w.Event(eventView, strconv.FormatInt(s.next, 10))
	v.Map()
	if err := s.write(v, r, q); err != nil {
		return err
	}
	v.End()
	if s.more || s.t.closed {
		return nil
	}
	if !s.t.streamed {
		s.t.streamed = true
		if err := s.t.save(r.KV(), r.Time().UnixMilli()); err != nil {
			return err
		}
	}
	err = r.Subscribe([]string{s.t.room(), s.inv.code.room()}, nil)
	if errors.Is(err, abi.ErrDenied) {
		return guest.Errorf(404, "no_stream", "this server pushes no events; poll the invite instead")
	}
	return err
}

// publish tells those who follow a ticket of an event. Nearly all that is written is
// written to tickets that nobody follows: as long as nobody ever has, it costs
// nothing. Whoever is the first changes the ticket's record, which every upload reads,
// so that none passes by the other.
func (t *ticket) publish(r *guest.Request, name string, args abi.Value) error {
	if !t.streamed {
		return nil
	}
	return publish(r, t.room(), name, args)
}

func publish(r *guest.Request, room, name string, args abi.Value) error {
	return allowed(r.Publish(&abi.Message{Op: abi.OpEmit, To: []string{room}, Events: []abi.Event{{Name: name, Args: args}}}))
}

// allowed forgives that the manifest gives no events: viewers poll then.
func allowed(err error) error {
	if errors.Is(err, abi.ErrDenied) {
		return nil
	}
	return err
}

// nothing is the argument of an event that says no more than its name: an empty object.
const nothing = "\x91\x80"

// publishRefresh has those who follow the ticket poll.
func (t *ticket) publishRefresh(r *guest.Request) error {
	return t.publish(r, eventRefresh, abi.Value(nothing))
}

// publishGone tells all in a room that there is nothing to be seen any more.
func publishGone(r *guest.Request, room string) error {
	if err := publish(r, room, eventGone, abi.Value(nothing)); err != nil {
		return err
	}
	return allowed(r.Publish(&abi.Message{Op: abi.OpDisconnect, To: []string{room}, Reason: "there is no such invite any more"}))
}

// publish tells those who follow a ticket of the points that store has added. While
// the ticket is hidden there is nothing to tell; points of hidden stretches are not
// among what is stored.
func (u *upload) publish(r *guest.Request, t *ticket) error {
	switch {
	case !t.streamed || t.hidden || len(u.fresh) == 0:
		return nil
	case len(u.fresh) > maxPushedPoints:
		return t.publishRefresh(r)
	}
	w := &u.record
	w.Reset(u.buf)
	w.FixedArray(1)
	w.Map()
	w.Key("location")
	writePoints(w, u.fresh, false)
	boolField(w, "uncompressed", true)
	w.End()
	u.buf = w.Value()
	return t.publish(r, eventView, u.buf)
}

// publishRows tells those who follow a ticket of rows as they were logged.
func (t *ticket) publishRows(r *guest.Request, log []byte) error {
	switch {
	case !t.streamed:
		return nil
	case len(log) > maxPushedRows:
		return t.publishRefresh(r)
	}
	rows, err := readRows(nil, log)
	if err != nil {
		return err
	}
	var w abi.Writer
	w.FixedArray(1)
	w.Map()
	w.Key("data")
	w.Array()
	for _, row := range rows {
		w.Raw(row)
	}
	w.End()
	boolField(&w, "uncompressed", true)
	w.End()
	return t.publish(r, eventView, w.Value())
}

// dismissing has those who follow by the code that a call takes away be told so.
func dismissing(h guest.Handler) guest.Handler {
	return func(w *guest.Response, r *guest.Request) error {
		if err := h(w, r); err != nil {
			return err
		}
		c, _ := parseCode(r.Param("code"))
		return publishGone(r, c.room())
	}
}

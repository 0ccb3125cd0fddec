package main

import (
	"encoding/binary"
	"fmt"
	"strconv"
	"strings"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// maxActive is how many active tickets an account may have: a batch upload goes
// to all of them in one transaction.
const maxActive = 100

// createTicket: POST users/self/create_ticket
func createTicket(w *guest.Response, r *guest.Request) error {
	kv, set, now := r.KV(), settingsOf(r), r.Time().UnixMilli()
	duration, err := durationOf(r, set, 1)
	if err != nil {
		return err
	}
	account := r.Caller().Account
	ids, ends, err := activeTickets(kv, account)
	if err != nil {
		return err
	}
	active := 0
	for i := range ids {
		if ends[i] > now {
			active++
		}
	}
	if active >= maxActive {
		return guest.Errorf(409, "too_many", "an account has at most %d active tickets", maxActive)
	}
	id, err := newTicketID(kv)
	if err != nil {
		return err
	}
	t := &ticket{
		id: id, owner: account, start: now, end: now + duration, endSet: now,
		until: now + max(set.maxLifetime, duration) + set.retention, retention: set.retention,
	}
	if err := t.saveEnd(r); err != nil {
		return err
	}
	if err := kv.PutTTL(t.listedKey(), nil, t.keepAll(now)); err != nil {
		return err
	}
	if err := t.introduce(r); err != nil {
		return err
	}
	return answerTicket(w, r, t, false, false)
}

// introduce gives a new ticket the name of its sharer's account, if that has one, as
// a property that the sharer may replace.
func (t *ticket) introduce(r *guest.Request) error {
	name := r.Caller().Name
	if name == "" {
		return nil
	}
	var value abi.Writer
	value.Text(name)
	_, err := t.storeRows(r, []row{{t: t.start, name: propName, value: value.Value()}})
	return err
}

// durationOf reads the parameter duration, which must be there.
func durationOf(r *guest.Request, set settings, least int64) (int64, error) {
	duration, err := r.Int("duration", -1)
	if err != nil {
		return 0, err
	}
	if duration < least || duration > set.maxDuration {
		return 0, badParameter("duration: want %d to %d milliseconds", least, set.maxDuration)
	}
	return duration, nil
}

// saveEnd writes a ticket whose end is new, and tells its viewers.
func (t *ticket) saveEnd(r *guest.Request) error {
	kv, now := r.KV(), r.Time().UnixMilli()
	var row abi.Writer
	t.writeEndRow(&row)
	if err := t.log(kv, now, logRows, row.Value()); err != nil {
		return err
	}
	if err := t.activate(kv, now); err != nil {
		return err
	}
	if err := t.publishRefresh(r); err != nil {
		return err
	}
	return t.save(kv, now)
}

// updateTicket: POST tickets/:id/update
func updateTicket(w *guest.Response, r *guest.Request) error {
	t, err := ownActiveTicket(r)
	if err != nil {
		return err
	}
	now := r.Time().UnixMilli()
	duration, err := durationOf(r, settingsOf(r), 0)
	if err != nil {
		return err
	}
	switch end := now + duration; {
	case duration == 0:
		err = t.expire(r)
	case end+t.retention > t.until:
		return guest.Errorf(409, "ticket_lifetime",
			"a ticket lasts at most %d milliseconds from its start, however often it is extended; create another one", t.until-t.retention-t.start)
	case end != t.end:
		t.end, t.endSet = end, now
		err = t.saveEnd(r)
	}
	if err != nil {
		return err
	}
	return answerTicket(w, r, t, false, false)
}

// expire ends a ticket before its time.
func (t *ticket) expire(r *guest.Request) error {
	now := r.Time().UnixMilli()
	t.end, t.endSet = now, now
	if err := t.publishRefresh(r); err != nil {
		return err
	}
	return t.close(r.KV(), now)
}

// expireTicket: POST tickets/:id/expire. To end what has ended is no error.
func expireTicket(w *guest.Response, r *guest.Request) error {
	t, err := ownTicket(r)
	if err != nil {
		return err
	}
	if !t.expired(r.Time().UnixMilli()) {
		if err := t.expire(r); err != nil {
			return err
		}
	}
	return answerTicket(w, r, t, false, false)
}

// maxPurged leaves room in the transaction for the rest of a deletion.
const maxPurged = 800

// deleteTicket: POST tickets/:id/delete. From here on nobody sees it; the trail
// is removed as far as one transaction reaches, and the rest, which nothing
// leads to any more, when its time is up.
func deleteTicket(w *guest.Response, r *guest.Request) error {
	t, err := ownTicket(r)
	if err != nil {
		return err
	}
	kv, left := r.KV(), maxPurged
	for _, key := range [][]byte{ticketKey(nil, keyTicket, t.id), t.activeKey(), t.listedKey()} {
		if err := kv.Delete(key); err != nil {
			return err
		}
	}
	for _, kind := range []byte{keyPoints, keyProperty, keyUnique, keyLog} {
		if left, err = purge(kv, ticketKey(nil, kind, t.id), left); err != nil {
			return err
		}
	}
	if err := logTicketChange(kv, t.owner, t.id); err != nil {
		return err
	}
	if t.streamed {
		if err := publishGone(r, t.room()); err != nil {
			return err
		}
	}
	return finish(succeed(w, ""), r)
}

// purge deletes at most limit entries and returns how many it may still delete.
func purge(kv *guest.KV, prefix []byte, limit int) (int, error) {
	if limit == 0 {
		return 0, nil
	}
	rg := guest.Prefix(prefix)
	rg.Limit = limit
	page, err := kv.Scan(rg)
	if err != nil {
		return 0, err
	}
	for _, e := range page.Entries {
		if err := kv.Delete(e.Key); err != nil {
			return 0, err
		}
	}
	return limit - len(page.Entries), nil
}

// setVisibility: POST tickets/:id/set_visibility
func setVisibility(w *guest.Response, r *guest.Request) error {
	t, err := ownActiveTicket(r)
	if err != nil {
		return err
	}
	location, _ := r.Value("location")
	if location != "visible" && location != "hidden" {
		return badParameter("location: want visible or hidden")
	}
	kv, now := r.KV(), r.Time().UnixMilli()
	if hide := location == "hidden"; hide != t.hidden {
		t.hidden, t.shownSet = hide, now
		if !hide {
			t.visibleFrom = now
			// Cursors have moved on over the points that were uploaded before
			// and not shown since.
			if err := t.log(kv, now, logShown, nil); err != nil {
				return err
			}
		} else if t.hiddenFrom == 0 {
			t.hiddenFrom = now
		}
		var row abi.Writer
		t.writeVisibilityRow(&row)
		if err := t.log(kv, now, logRows, row.Value()); err != nil {
			return err
		}
		if err := t.publishRefresh(r); err != nil {
			return err
		}
		if err := t.save(kv, now); err != nil {
			return err
		}
	}
	return answerTicket(w, r, t, false, false)
}

// getTicket: GET tickets/:id
func getTicket(w *guest.Response, r *guest.Request) error {
	t, err := ownTicket(r)
	if err != nil {
		return err
	}
	invites, properties, err := detailsOf(r)
	if err != nil {
		return err
	}
	return answerTicket(w, r, t, invites, properties)
}

// detailsOf reads which lists are to be part of a ticket.
func detailsOf(r *guest.Request) (invites, properties bool, err error) {
	if invites, err = r.Bool("invites", false); err == nil {
		properties, err = r.Bool("properties", false)
	}
	return invites, properties, err
}

func answerTicket(w *guest.Response, r *guest.Request, t *ticket, invites, properties bool) error {
	v := succeed(w, "")
	if err := t.writeFields(v, r, invites, properties); err != nil {
		return err
	}
	return finish(v, r)
}

// writeFields writes the fields of a ticket object into an open map.
func (t *ticket) writeFields(v *abi.Writer, r *guest.Request, invites, properties bool) error {
	now := r.Time().UnixMilli()
	textField(v, "type", "ticket")
	textField(v, "id", strconv.FormatUint(t.id, 10))
	textField(v, "state", t.state(now))
	intField(v, "start_time", t.start)
	intField(v, "end_time", t.end)
	textField(v, "owner", t.owner)
	v.Key("visibility")
	v.Map()
	textField(v, "location", t.visibility())
	v.End()
	if properties {
		v.Key("properties")
		if err := t.writeProperties(v, r.KV(), now); err != nil {
			return err
		}
	}
	if !invites {
		return nil
	}
	v.Key("invites")
	return writeTicketInvites(v, r, t)
}

// Bounds of a list of tickets.
const (
	maxListed  = 100  // in a reply
	maxScanned = 1000 // looked at for it
)

// listTickets: GET users/self/tickets
func listTickets(w *guest.Response, r *guest.Request) error {
	invites, properties, err := detailsOf(r)
	if err != nil {
		return err
	}
	limit, err := r.Int("limit", maxListed)
	if err != nil {
		return err
	}
	if limit < 1 || limit > maxListed {
		return badParameter("limit: want 1 to %d", maxListed)
	}
	minEnd, err := r.Int("min_end_time", 0)
	if err != nil {
		return err
	}
	state, _ := r.Value("state")
	if state != "" && state != "active" && state != "expired" {
		return badParameter("state: want active or expired")
	}
	prefix := accountKey(nil, keyListed, r.Caller().Account)
	rg := guest.Prefix(prefix)
	if cursor, ok := r.Value("next"); ok {
		position, err := parseCursor(cursor)
		if err != nil {
			return err
		}
		rg.Start = append(append([]byte(nil), prefix...), position...)
	}

	v := succeed(w, "tickets")
	v.Key("items")
	v.Array()
	var next []byte
	now := r.Time().UnixMilli()
	for found, scanned := int64(0), 0; ; {
		rg.Limit = int(limit - found)
		page, err := r.KV().Scan(rg)
		if err != nil {
			return err
		}
		ids := make([]uint64, len(page.Entries))
		for i, e := range page.Entries {
			ids[i] = binary.BigEndian.Uint64(e.Key[len(prefix)+8:])
		}
		tickets, err := loadTickets(r.KV(), ids)
		if err != nil {
			return err
		}
		for _, t := range tickets {
			if t == nil || t.end < minEnd || state != "" && t.state(now) != state {
				continue
			}
			v.Map()
			if err := t.writeFields(v, r, invites, properties); err != nil {
				return err
			}
			v.End()
			found++
		}
		if !page.More {
			break
		}
		rg.Start = append(append([]byte(nil), page.Entries[len(page.Entries)-1].Key...), 0)
		if scanned += len(page.Entries); found == limit || scanned >= maxScanned {
			next = rg.Start[len(prefix):]
			break
		}
	}
	v.End()
	if next != nil {
		textField(v, "next", formatCursor(next))
	}
	return finish(v, r)
}

// A cursor into the list is the start and the id of the last ticket before it.
func formatCursor(position []byte) string {
	return fmt.Sprintf("%d-%d", ^binary.BigEndian.Uint64(position), binary.BigEndian.Uint64(position[8:]))
}

func parseCursor(s string) ([]byte, error) {
	start, id, _ := strings.Cut(s, "-")
	at, err := strconv.ParseUint(start, 10, 64)
	if err == nil {
		var n uint64
		if n, err = strconv.ParseUint(id, 10, 64); err == nil {
			return append(number(number(nil, ^at), n), 0), nil
		}
	}
	return nil, badParameter("next: %q is not what an earlier reply gave", s)
}

package main

import (
	"encoding/binary"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// maxChanges bounds the entries of the change log that one poll reads. A client
// that is further behind catches up with its next polls.
const maxChanges = 4000

// A poll is what GET users/self/invites was asked for.
type poll struct {
	since     int64
	onlyViews bool // only what has been viewed
	expired   bool // also invites of expired tickets, at the start
	viewers   bool // with lists of them
}

func readPoll(r *guest.Request) (p poll, err error) {
	if p.since, err = r.Int("since", 0); err != nil {
		return p, err
	}
	if p.since < 0 {
		return p, badParameter("since: want 0, or the last_refresh of an earlier reply")
	}
	if p.onlyViews, err = r.Bool("only_views", false); err != nil {
		return p, err
	}
	if p.expired, err = r.Bool("expired", false); err != nil {
		return p, err
	}
	p.viewers, err = r.Bool("viewers", false)
	return p, err
}

// pollInvites: GET users/self/invites
//
// A cursor is the largest stamp of the change log that the reply took into
// account. Stamps rise in commit order, so what is committed later is above it.
func pollInvites(w *guest.Response, r *guest.Request) error {
	p, err := readPoll(r)
	if err != nil {
		return err
	}
	kv, account, now := r.KV(), r.Caller().Account, r.Time().UnixMilli()
	if err := settle(kv, account, now); err != nil {
		return err
	}
	full := stale(p.since, now, changesKept)
	var list changed
	if full {
		err = list.addAll(kv, account, p.expired)
	} else {
		err = list.addSince(kv, account, p.since, p.onlyViews)
	}
	if err != nil {
		return err
	}
	if list.cursor == 0 {
		// Nothing was ever logged, or all of it is too long ago. What is logged
		// now gives the next poll something to go on from.
		list.cursor = 1
		if len(list.codes) > 0 {
			if err := logChange(kv, account, changeViews, list.codes[0]); err != nil {
				return err
			}
		}
	}

	v := succeed(w, "invites")
	if err := list.write(newInviteWriter(v, r, p.viewers), full, p.onlyViews); err != nil {
		return err
	}
	if full {
		boolField(v, "full", true)
	}
	intField(v, "last_refresh", list.cursor)
	return finish(v, r)
}

// stale tells of a cursor that it cannot be gone on from: it is none, the log
// behind it may be gone, or it is from another clock.
func stale(cursor, now, kept int64) bool {
	at := cursor / 1000
	return at < now-kept+minute || at > now+minute
}

// changed collects the invites that a poll tells, each once.
type changed struct {
	codes  []code
	itself map[code]bool // false: only its ticket has changed
	cursor int64
}

func (l *changed) add(c code, itself bool) {
	was, listed := l.itself[c]
	if !listed {
		l.codes = append(l.codes, c)
		if l.itself == nil {
			l.itself = map[code]bool{}
		}
	}
	l.itself[c] = was || itself
}

func (l *changed) addTicket(kv *guest.KV, id uint64) error {
	codes, err := codesOf(kv, id)
	for _, c := range codes {
		l.add(c, false)
	}
	return err
}

// addAll adds the invites of the account's active tickets, or of all of them.
func (l *changed) addAll(kv *guest.KV, account string, expired bool) (err error) {
	if l.cursor, err = lastStamp(kv, accountKey(nil, keyChange, account)); err != nil {
		return err
	}
	prefix, ids := accountKey(nil, keyActive, account), 0
	if expired {
		prefix, ids = accountKey(nil, keyListed, account), 8
	}
	ids += len(prefix)
	return each(kv, guest.Prefix(prefix), func(e abi.Entry) error {
		return l.addTicket(kv, binary.BigEndian.Uint64(e.Key[ids:]))
	})
}

// addSince adds the invites with a change behind the cursor.
func (l *changed) addSince(kv *guest.KV, account string, cursor int64, onlyViews bool) error {
	prefix := accountKey(nil, keyChange, account)
	l.cursor = cursor
	for read := 0; read < maxChanges; {
		page, err := kv.Scan(after(prefix, l.cursor))
		if err != nil {
			return err
		}
		for _, e := range page.Entries {
			l.cursor = stampOf(e.Key, len(prefix))
			switch kind := e.Value[0]; {
			case kind == changeViews || kind == changeInvite && !onlyViews:
				l.add(readCode(e.Value[1:]), true)
			case kind == changeTicket && !onlyViews:
				if err := l.addTicket(kv, binary.BigEndian.Uint64(e.Value[1:])); err != nil {
					return err
				}
			}
		}
		if !page.More {
			break
		}
		read += len(page.Entries)
	}
	return nil
}

// write writes the invites under "items", or nothing if there are none. Of one
// that was deleted only its own change tells, and only once; of a ticket that is
// gone only changes tell.
func (l *changed) write(w *inviteWriter, full, onlyViews bool) error {
	if len(l.codes) == 0 {
		return nil
	}
	invites, err := loadInvites(w.kv, l.codes)
	if err != nil {
		return err
	}
	tickets, err := ticketsOf(w.kv, invites)
	if err != nil {
		return err
	}
	open := false
	for _, v := range invites {
		if v == nil || v.deleted && !l.itself[v.code] || full && tickets[v.ticket] == nil {
			continue
		}
		if full && onlyViews {
			if viewed, err := v.viewed(w.kv); err != nil {
				return err
			} else if !viewed {
				continue
			}
		}
		if !open {
			open = true
			w.Key("items")
			w.Array()
		}
		if err := w.write(v, tickets[v.ticket]); err != nil {
			return err
		}
	}
	if open {
		w.End()
	}
	return nil
}

// ticketsOf loads the tickets that invites belong to.
func ticketsOf(kv *guest.KV, invites []*invite) (map[uint64]*ticket, error) {
	tickets := map[uint64]*ticket{}
	var ids []uint64
	for _, v := range invites {
		if v == nil {
			continue
		}
		if _, ok := tickets[v.ticket]; !ok {
			tickets[v.ticket] = nil
			ids = append(ids, v.ticket)
		}
	}
	list, err := loadTickets(kv, ids)
	for i, t := range list {
		tickets[ids[i]] = t
	}
	return tickets, err
}

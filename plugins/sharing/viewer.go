package main

import (
	"cmp"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"slices"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// Who views an invite is kept per viewer, so that a thousand of them write a
// thousand entries and not one: an entry that they are viewing now, under their
// sharer's account so that one scan finds all, and one that they have ever
// viewed. How many have is counted in shards. A viewer who polls writes only
// now and then.
const (
	presenceEvery = 15 * second // between two writes of one viewer
	presenceSpan  = minute      // after the last write, a viewer has gone
	shards        = 16
	viewerSize    = 12 // bytes that stand for a viewer in a key
)

// A viewer is who asks to see an invite.
type viewer struct {
	key     [viewerSize]byte
	account string // "": nobody we know
}

// viewerOf tells viewers apart: by account or, without one, by where they come
// from. Many people can be behind either, behind a shared login or a company's
// gateway, so that a client can add a name for itself.
func viewerOf(r *guest.Request) (v viewer, err error) {
	extra, _, err := limited(r, "viewer", 128)
	if err != nil {
		return v, err
	}
	v.account = r.Caller().Account
	b := make([]byte, 0, 256)
	if v.account != "" {
		b = append(append(b, 'a'), v.account...)
	} else {
		b = append(append(append(append(b, 'n'), r.Remote()...), 0), r.Header("User-Agent")...)
	}
	b = append(append(b, 0), extra...)
	sum := sha256.Sum256(b)
	copy(v.key[:], sum[:])
	return v, nil
}

func viewingKey(account string, c code, viewer []byte) []byte {
	return append(c.append(accountKey(nil, keyViewing, account)), viewer...)
}

func viewerKey(c code, viewer []byte) []byte {
	return append(codeKey(nil, keyViewer, c), viewer...)
}

// shardKey spreads viewers, whose keys are hashes, over the shards.
func shardKey(c code, viewer []byte) []byte {
	return append(codeKey(nil, keyViews, c), viewer[0]%shards)
}

// A presence is one viewer of one invite, now or in the past.
type presence struct {
	id    string // account, or a random name
	known bool   // id is an account
	first int64
	last  int64
}

func (p *presence) value() []byte {
	var w abi.Writer
	w.FixedArray(4)
	w.Text(p.id)
	w.Bool(p.known)
	w.Int(p.first)
	w.Int(p.last)
	return w.Value()
}

func readPresence(b []byte) (p presence, err error) {
	r := abi.Value(b).Read()
	n := r.Array()
	p = presence{id: r.Text(), known: r.Bool(), first: r.Int(), last: r.Int()}
	r.Skip(n - 4)
	if r.Failed() {
		err = abi.ErrFrame
	}
	return p, err
}

func (p *presence) gone(now int64) bool { return now >= p.last+presenceSpan }

// A shard counts a sixteenth of the viewers of an invite.
type shard struct {
	viewers int64
	last    int64 // view
	logged  int64 // last change that was logged
}

func (s *shard) value() []byte {
	var w abi.Writer
	w.FixedArray(3)
	w.Int(s.viewers)
	w.Int(s.last)
	w.Int(s.logged)
	return w.Value()
}

func readShard(b []byte) (s shard, err error) {
	if b == nil {
		return s, nil
	}
	r := abi.Value(b).Read()
	n := r.Array()
	s = shard{viewers: r.Int(), last: r.Int(), logged: r.Int()}
	r.Skip(n - 3)
	if r.Failed() {
		err = abi.ErrFrame
	}
	return s, err
}

// recordView counts a view. seen is the viewer's entry among those who are
// viewing, nil if there is none: while it is fresh, nothing is written.
func recordView(kv *guest.KV, inv *invite, who viewer, seen []byte, now int64) error {
	var p presence
	var err error
	if seen != nil {
		if p, err = readPresence(seen); err != nil {
			return err
		}
		if now < p.last+presenceEvery {
			return nil
		}
	}
	everKey, countKey := viewerKey(inv.code, who.key[:]), shardKey(inv.code, who.key[:])
	stored, err := kv.GetMany([][]byte{countKey, everKey})
	if err != nil {
		return err
	}
	count, err := readShard(stored[0])
	if err != nil {
		return err
	}
	// Coming and going is told at once. That somebody still views is told once
	// for all who do and share the shard.
	tell := seen == nil || p.gone(now) || now >= count.logged+presenceEvery
	switch {
	case seen != nil:
	case stored[1] != nil:
		if p, err = readPresence(stored[1]); err != nil {
			return err
		}
	default:
		p = presence{id: who.account, known: who.account != "", first: now, last: now}
		if !p.known {
			p.id = anonymous()
		}
		count.viewers++
		if err := kv.PutTTL(everKey, p.value(), inv.keep(now)); err != nil {
			return err
		}
	}
	p.last = now
	if err := kv.PutTTL(viewingKey(inv.owner, inv.code, who.key[:]), p.value(), inv.keep(now)); err != nil {
		return err
	}
	if !tell {
		return nil
	}
	count.last, count.logged = max(count.last, now), now
	if err := kv.PutTTL(countKey, count.value(), inv.keep(now)); err != nil {
		return err
	}
	return logChange(kv, inv.owner, changeViews, inv.code)
}

// anonymous names a viewer without an account. What is told to the sharer must
// not lead back to an address, as a hash of it would.
func anonymous() string {
	var b [6]byte
	rand.Read(b[:])
	return "anonymous-" + hex.EncodeToString(b[:])
}

// maxSettled bounds the viewers that one poll writes off; the next one goes on.
const maxSettled = 100

// settle writes down what time alone has changed: tickets that ran out, viewers
// who are gone. Written down it is a change like any other, with a stamp of its
// own, and the next poll of any client of the account tells it; derived from
// the clock at each poll it would be told twice to one and never to another.
func settle(kv *guest.KV, account string, now int64) error {
	ids, ends, err := activeTickets(kv, account)
	if err != nil {
		return err
	}
	for i, id := range ids {
		if now < ends[i] {
			continue
		}
		if err := settleTicket(kv, account, id, now); err != nil {
			return err
		}
	}

	prefix := accountKey(nil, keyViewing, account)
	settled, told := 0, false
	var inv *invite
	return each(kv, guest.Prefix(prefix), func(e abi.Entry) error {
		p, err := readPresence(e.Value)
		if err != nil || !p.gone(now) || settled == maxSettled {
			return err
		}
		settled++
		c, who := readCode(e.Key[len(prefix):]), e.Key[len(prefix)+codeSize:]
		if inv == nil || inv.code != c {
			list, err := loadInvites(kv, []code{c})
			if err != nil {
				return err
			}
			if inv = list[0]; inv == nil {
				return kv.Delete(e.Key)
			}
			// Of what is deleted nobody wants to know who has left.
			tickets, err := loadTickets(kv, []uint64{inv.ticket})
			if err != nil {
				return err
			}
			told = inv.deleted || tickets[0] == nil
		}
		if err := writeOff(kv, inv, who, &p, now); err != nil {
			return err
		}
		if told {
			return nil
		}
		told = true
		return logChange(kv, account, changeViews, c)
	})
}

// settleTicket closes a ticket that ran out, unless that was so long ago that
// the ticket is gone.
func settleTicket(kv *guest.KV, account string, id uint64, now int64) error {
	list, err := loadTickets(kv, []uint64{id})
	if err != nil {
		return err
	}
	if list[0] != nil {
		return list[0].close(kv, now)
	}
	if err := kv.Delete(number(accountKey(nil, keyActive, account), id)); err != nil {
		return err
	}
	return logTicketChange(kv, account, id)
}

// writeOff takes a viewer off those who are viewing.
func writeOff(kv *guest.KV, inv *invite, who []byte, p *presence, now int64) error {
	everKey, countKey := viewerKey(inv.code, who), shardKey(inv.code, who)
	stored, found, err := kv.Get(countKey)
	if err != nil {
		return err
	}
	if found {
		count, err := readShard(stored)
		if err != nil {
			return err
		}
		count.last = max(count.last, p.last)
		if err := kv.PutTTL(countKey, count.value(), inv.keep(now)); err != nil {
			return err
		}
	}
	if err := kv.PutTTL(everKey, p.value(), inv.keep(now)); err != nil {
		return err
	}
	return kv.Delete(viewingKey(inv.owner, inv.code, who))
}

// leaveInvite: POST invites/:code/leave. Who closes a page says so, and the sharer
// need not wait for what only time would tell. To leave twice, or without having
// been there, is no error.
func leaveInvite(w *guest.Response, r *guest.Request) error {
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
	if stored[1] != nil {
		p, err := readPresence(stored[1])
		if err != nil {
			return err
		}
		if !p.gone(now) {
			p.last = max(p.last, now)
		}
		if err := writeOff(kv, inv, who.key[:], &p, now); err != nil {
			return err
		}
		if err := logChange(kv, inv.owner, changeViews, inv.code); err != nil {
			return err
		}
	}
	return finish(succeed(w, ""), r)
}

// viewed tells whether anybody has ever viewed the invite.
func (v *invite) viewed(kv *guest.KV) (bool, error) {
	rg := guest.Prefix(codeKey(nil, keyViews, v.code))
	rg.Limit = 1
	page, err := kv.Scan(rg)
	return len(page.Entries) > 0, err
}

// writeViews writes what is known of an invite's viewers into an open map.
func (v *invite) writeViews(w *abi.Writer, kv *guest.KV, now int64, detailed bool) error {
	var all shard
	err := each(kv, guest.Prefix(codeKey(nil, keyViews, v.code)), func(e abi.Entry) error {
		s, err := readShard(e.Value)
		all.viewers += s.viewers
		all.last = max(all.last, s.last)
		return err
	})
	if err != nil {
		return err
	}
	var current []presence
	latest := map[string]int64{}
	prefix := viewingKey(v.owner, v.code, nil)
	err = each(kv, guest.Prefix(prefix), func(e abi.Entry) error {
		p, err := readPresence(e.Value)
		if err != nil {
			return err
		}
		all.last = max(all.last, p.last)
		if detailed {
			latest[string(e.Key[len(prefix):])] = p.last
		}
		if !p.gone(now) {
			current = append(current, p)
		}
		return nil
	})
	if err != nil {
		return err
	}
	intField(w, "viewers", all.viewers)
	intField(w, "viewing", int64(len(current)))
	if all.last != 0 {
		intField(w, "last_view", all.last)
	}
	if !detailed {
		return nil
	}
	w.Key("viewers_current")
	writePresences(w, current)

	ever, err := kv.Scan(guest.Prefix(codeKey(nil, keyViewer, v.code)))
	if err != nil {
		return err
	}
	list := make([]presence, 0, len(ever.Entries))
	for _, e := range ever.Entries {
		p, err := readPresence(e.Value)
		if err != nil {
			return err
		}
		p.last = max(p.last, latest[string(e.Key[1+codeSize:])])
		list = append(list, p)
	}
	w.Key("viewers_all")
	writePresences(w, list)
	return nil
}

// writePresences writes viewers, the latest view first.
func writePresences(w *abi.Writer, list []presence) {
	slices.SortFunc(list, func(a, b presence) int {
		return cmp.Or(cmp.Compare(b.last, a.last), cmp.Compare(a.id, b.id))
	})
	w.Array()
	for _, p := range list {
		w.Map()
		textField(w, "id", p.id)
		boolField(w, "account", p.known)
		intField(w, "first_view", p.first)
		intField(w, "last_view", p.last)
		w.End()
	}
	w.End()
}

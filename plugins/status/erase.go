package main

import (
	"math"
	"slices"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// An erasure is a deletion. If it hits more updates than one transaction can remove,
// it is kept in the head until later ones have removed the rest; meanwhile whoever
// reads leaves out what it hits.
type erasure struct {
	kind, source string  // "": any
	from, to     instant // of creation, both inclusive
	stamp        uint64  // the last one that is hit

	// How far it is: topics below this one are through, and the rows of this one up to
	// that stamp.
	topic uint16
	done  uint64
}

const (
	maxErasures = 16

	// How many updates a deletion removes, and each later upload until it is through.
	eraseAtOnce = 1500
	eraseLater  = 200

	// passedPerErased bounds how many updates are looked at for each that may be
	// removed.
	passedPerErased = 16
)

// all tells whether updates of any time are hit.
func (e *erasure) all() bool { return e.from <= firstInstant && e.to >= lastInstant }

func (e *erasure) within(created instant) bool { return e.from <= created && created <= e.to }

func (e *erasure) about(kind, source string) bool {
	return (e.kind == "" || e.kind == kind) && (e.source == "" || e.source == source)
}

// hits tells whether the update of a row on a topic, which the erasure is about, is
// deleted.
func (e *erasure) hits(at *position, t *topic) bool {
	if at.stamp > e.stamp || !e.within(at.created) {
		return false
	}
	return !t.mixed() || e.about(string(at.kind), string(at.source))
}

// covers tells whether all that an earlier erasure hits is hit by this one.
func (e *erasure) covers(earlier *erasure) bool {
	return (e.kind == "" || e.kind == earlier.kind) && (e.source == "" || e.source == earlier.source) &&
		e.from <= earlier.from && earlier.to <= e.to
}

// deleteOwn: DELETE /v1/status
func deleteOwn(w *guest.Response, r *guest.Request) error {
	s, err := ownSelection(r)
	if err != nil {
		return err
	}
	kv := r.KV()
	h, err := loadHead(kv, me(r))
	if err != nil {
		return err
	}
	e := &erasure{kind: s.kind, source: s.source, from: s.from, to: s.to, stamp: latest}
	h.erasures = slices.DeleteFunc(h.erasures, func(earlier *erasure) bool {
		h.changed = h.changed || e.covers(earlier)
		return e.covers(earlier)
	})
	b := budget{rows: eraseAtOnce, looks: eraseAtOnce * passedPerErased}
	if err := h.sweep(kv, &b); err != nil {
		return err
	}
	if len(h.erasures) >= maxErasures {
		if err := h.save(kv); err != nil {
			return err
		}
		w.Fail(&guest.Error{Status: 503, Code: "busy", Message: "Earlier deletions are not through yet; ask again."})
		return nil
	}
	h.erasures = append(h.erasures, e)
	if err := h.sweep(kv, &b); err != nil {
		return err
	}
	if e.stamp == latest && slices.Contains(h.erasures, e) {
		if err := h.seal(kv, e); err != nil {
			return err
		}
	}
	if err := h.save(kv); err != nil {
		return err
	}
	w.Status(204)
	return nil
}

// seal has an erasure that is not through hit nothing that is uploaded from now on.
func (h *head) seal(kv *guest.KV, e *erasure) error {
	h.changed, e.stamp = true, 0
	for _, t := range h.topicsFor(e.kind, e.source) {
		rg := stampsOf(h.owner, t.number, 0, latest)
		rg.Reverse, rg.KeysOnly, rg.Limit = true, true, 1
		page, err := kv.Scan(rg)
		if err != nil {
			return err
		}
		if len(page.Entries) == 0 {
			continue
		}
		at, ok := positionOf(page.Entries[0].Key)
		if !ok {
			return abi.ErrFrame
		}
		e.stamp = max(e.stamp, at.stamp)
	}
	return nil
}

// A budget is how much a transaction may still do for erasures.
type budget struct{ rows, looks int }

func (b *budget) spent() bool { return b.rows <= 0 || b.looks <= 0 }

// sweep removes updates that pending erasures hit, as far as the budget goes.
func (h *head) sweep(kv *guest.KV, b *budget) error {
	for len(h.erasures) > 0 && !b.spent() {
		e := h.erasures[0]
		topics := h.topicsFor(e.kind, e.source)
		slices.SortFunc(topics, func(a, b *topic) int { return int(a.number) - int(b.number) })
		for _, t := range topics {
			if t.number < e.topic {
				continue
			}
			if t.number > e.topic {
				e.topic, e.done = t.number, 0
			}
			through, err := h.remove(kv, e, t, b)
			if err != nil {
				return err
			}
			if !through {
				h.changed = true
				return nil
			}
			if e.topic == math.MaxUint16 {
				break
			}
			e.topic, e.done = t.number+1, 0
		}
		h.erasures = h.erasures[1:]
		h.changed = h.changed || e.stamp != latest
	}
	return nil
}

// remove removes the rows of one topic that an erasure hits, and tells whether these
// were all.
func (h *head) remove(kv *guest.KV, e *erasure, t *topic, b *budget) (through bool, err error) {
	above, below := t.bounds(e.from, e.to)
	above = max(above, e.done)
	if e.stamp != latest {
		below = min(below, e.stamp+1)
	}
	for above+1 < below {
		if b.spent() {
			return false, nil
		}
		rg := stampsOf(h.owner, t.number, above, below)
		rg.KeysOnly, rg.Limit = true, min(b.looks, 1000)
		if e.all() && !t.mixed() {
			rg.Limit = min(b.rows, 1000)
		}
		page, err := kv.Scan(rg)
		if err != nil {
			return false, err
		}
		for i := range page.Entries {
			key := page.Entries[i].Key
			at, ok := positionOf(key)
			if !ok {
				return false, abi.ErrFrame
			}
			if b.rows == 0 {
				return false, nil
			}
			if b.looks--; e.hits(&at, t) {
				if err := kv.Delete(key); err != nil {
					return false, err
				}
				b.rows--
			}
			above, e.done = at.stamp, at.stamp
		}
		if !page.More {
			break
		}
	}
	return true, h.dropIfEmpty(kv, e, t)
}

// dropIfEmpty removes a topic of which an erasure may have left nothing.
func (h *head) dropIfEmpty(kv *guest.KV, e *erasure, t *topic) error {
	if !e.all() {
		return nil
	}
	rg := stampsOf(h.owner, t.number, 0, latest)
	rg.KeysOnly, rg.Limit = true, 1
	page, err := kv.Scan(rg)
	if err != nil {
		return err
	}
	if len(page.Entries) == 0 {
		h.drop(t)
	}
	return nil
}

package main

import (
	"math"
	"math/bits"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// A head tells where somebody's updates are. It is read with every upload and every
// look at the updates, and written rarely, so that uploads hardly ever meet.
type head struct {
	owner    gid
	next     int // number of the next topic
	topics   []*topic
	erasures []*erasure
	changed  bool
}

// A topic is a type and a source with a feed of its own.
type topic struct {
	number       uint16
	kind, source string
	// How much later than they were uploaded updates were created, and how much
	// earlier, at most. As a feed is ordered by the upload, it tells which part of it
	// can have updates that were created in some time.
	ahead, late int64
}

const (
	// mixedTopic is the number of the one topic that has all types and sources for
	// which no other is left.
	mixedTopic = 0
	maxTopics  = 250 // besides the mixed one
	maxNumber  = math.MaxUint16
)

func (t *topic) mixed() bool { return t.number == mixedTopic }

// about tells whether the topic may have updates of this type and source ("": any).
func (t *topic) about(kind, source string) bool {
	return t.mixed() || (kind == "" || kind == t.kind) && (source == "" || source == t.source)
}

// topicsFor returns the topics that may have updates of this type and source ("": any).
// Of the mixed one, if there is one, nothing is known beforehand.
func (h *head) topicsFor(kind, source string) []*topic {
	list := make([]*topic, 0, len(h.topics))
	for _, t := range h.topics {
		if t.about(kind, source) {
			list = append(list, t)
		}
	}
	return list
}

// topicOf returns the topic that a new update belongs to.
func (h *head) topicOf(u *update) *topic {
	var mixed *topic
	for _, t := range h.topics {
		switch {
		case t.mixed():
			mixed = t
		case t.kind == u.kind && t.source == u.source:
			return t
		}
	}
	full := len(h.topics) >= maxTopics
	if mixed != nil {
		full = len(h.topics) > maxTopics
	}
	t := &topic{number: mixedTopic}
	switch {
	case !full && h.next <= maxNumber:
		t.number, t.kind, t.source = uint16(h.next), u.kind, u.source
		h.next++
	case mixed != nil:
		return mixed
	}
	h.topics = append(h.topics, t)
	h.changed = true
	return t
}

// widen makes sure that an update is within what the topic says of its times.
func (h *head) widen(t *topic, u *update) {
	if gap := u.created - u.uploaded; gap > t.ahead {
		t.ahead, h.changed = roundUp(gap), true
	} else if -gap > t.late {
		t.late, h.changed = roundUp(-gap), true
	}
}

// roundUp makes a span a little longer, by an eighth at most or ten seconds, so that
// the next one that is longer still does not have the head written again.
func roundUp(span int64) int64 {
	step := max(int64(1)<<bits.Len64(uint64(span))>>4, 10*second)
	return (span + step - 1) / step * step
}

// drop removes a topic, which has no updates left. Its number is not used again.
func (h *head) drop(t *topic) {
	for i, other := range h.topics {
		if other == t {
			h.topics = append(h.topics[:i], h.topics[i+1:]...)
			h.changed = true
			return
		}
	}
}

// erased tells whether an update whose row still exists was deleted.
func (h *head) erased(u *update) bool {
	for _, e := range h.erasures {
		if u.stamp <= e.stamp && e.within(u.created) && e.about(u.kind, u.source) {
			return true
		}
	}
	return false
}

const (
	headFields    = 3
	topicFields   = 5
	erasureFields = 7
)

// readHead reads a record, whose memory the texts share; of no record it makes the head
// of somebody who has uploaded nothing.
func readHead(owner gid, record []byte) (*head, error) {
	h := &head{owner: owner, next: mixedTopic + 1}
	if record == nil {
		return h, nil
	}
	r := abi.Value(record).Read()
	n := r.Array()
	h.next = int(r.Int())
	count := r.Array()
	topics := make([]topic, count)
	h.topics = make([]*topic, count)
	for i := range topics {
		t := &topics[i]
		m := r.Array()
		t.number, t.kind, t.source, t.ahead, t.late = uint16(r.Int()), r.TextShared(), r.TextShared(), r.Int(), r.Int()
		r.Skip(m - topicFields)
		h.topics[i] = t
	}
	if count = r.Array(); count > 0 {
		h.erasures = make([]*erasure, count)
	}
	for i := range h.erasures {
		m := r.Array()
		e := &erasure{kind: r.TextShared(), source: r.TextShared(), from: r.Int(), to: r.Int()}
		e.stamp, e.topic, e.done = uint64(r.Int()), uint16(r.Int()), uint64(r.Int())
		r.Skip(m - erasureFields)
		h.erasures[i] = e
	}
	r.Skip(n - headFields)
	if !r.Done() {
		return nil, abi.ErrFrame
	}
	return h, nil
}

func loadHead(kv *guest.KV, owner gid) (*head, error) {
	record, _, err := kv.Get(headKey(owner))
	if err != nil {
		return nil, err
	}
	return readHead(owner, record)
}

// save writes the head if it has changed.
func (h *head) save(kv *guest.KV) error {
	if !h.changed {
		return nil
	}
	h.changed = false
	return kv.Put(headKey(h.owner), h.record())
}

func (h *head) record() abi.Value {
	var w abi.Writer
	w.FixedArray(headFields)
	w.Int(int64(h.next))
	w.FixedArray(len(h.topics))
	for _, t := range h.topics {
		w.FixedArray(topicFields)
		w.Int(int64(t.number))
		w.Text(t.kind)
		w.Text(t.source)
		w.Int(t.ahead)
		w.Int(t.late)
	}
	w.FixedArray(len(h.erasures))
	for _, e := range h.erasures {
		w.FixedArray(erasureFields)
		w.Text(e.kind)
		w.Text(e.source)
		w.Int(e.from)
		w.Int(e.to)
		w.Int(int64(e.stamp))
		w.Int(int64(e.topic))
		w.Int(int64(e.done))
	}
	return w.Value()
}

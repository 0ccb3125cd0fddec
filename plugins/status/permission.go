package main

import (
	"math"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// A permission shares updates of its owner with others.
type permission struct {
	id        gid
	source    string // "*": any
	kind      string // "*": any
	audience  audience
	recipient gid // of a group and an individual

	// Of created_at, both exclusive; unbounded if there is none.
	from, until         instant
	fromText, untilText string // as they are shown

	created, updated instant
}

// An audience is a kind of recipient.
type audience byte

const (
	toAll audience = iota
	toContacts
	toGroup
	toIndividual
)

// audienceNames are the words of clients, by audience.
var audienceNames = [...]string{toAll: "all", toContacts: "contacts", toGroup: "group", toIndividual: "individual"}

func (a audience) named() bool { return a == toGroup || a == toIndividual }

// No bound: every update is created strictly between these.
const (
	always = instant(math.MinInt64)
	never  = instant(math.MaxInt64)
)

const (
	maxPermissions = 200
	anything       = "*"
)

// covers tells whether p is about updates of this type and source.
func (p *permission) covers(kind, source string) bool {
	return (p.kind == anything || p.kind == kind) && (p.source == anything || p.source == source)
}

// unbounded tells whether p is about updates of any time.
func (p *permission) unbounded() bool { return p.from == always && p.until == never }

// during tells whether p is about updates that were created then.
func (p *permission) during(created instant) bool { return p.from < created && created < p.until }

const permissionFields = 11

func (p *permission) append(w *abi.Writer) {
	w.FixedArray(permissionFields)
	w.Bytes(p.id[:])
	w.Text(p.source)
	w.Text(p.kind)
	w.Int(int64(p.audience))
	if p.audience.named() {
		w.Bytes(p.recipient[:])
	} else {
		w.Bytes(nil)
	}
	w.Int(p.from)
	w.Int(p.until)
	w.Text(p.fromText)
	w.Text(p.untilText)
	w.Int(p.created)
	w.Int(p.updated)
}

// readPermissions appends the permissions of a record, whose memory their texts
// share. It is called for each who may share something with a reader: a list that
// is used again and again has it allocate nothing.
func readPermissions(list []permission, record []byte) ([]permission, error) {
	if record == nil {
		return list, nil
	}
	r := abi.Value(record).Read()
	for range r.Array() {
		n := r.Array()
		var p permission
		copy(p.id[:], r.Bytes())
		p.source, p.kind, p.audience = r.TextShared(), r.TextShared(), audience(r.Int())
		copy(p.recipient[:], r.Bytes())
		p.from, p.until, p.fromText, p.untilText = r.Int(), r.Int(), r.TextShared(), r.TextShared()
		p.created, p.updated = r.Int(), r.Int()
		r.Skip(n - permissionFields)
		list = append(list, p)
	}
	if !r.Done() {
		return nil, abi.ErrFrame
	}
	return list, nil
}

func loadPermissions(kv *guest.KV, owner gid) ([]permission, error) {
	record, _, err := kv.Get(permissionsKey(owner))
	if err != nil {
		return nil, err
	}
	return readPermissions(nil, record)
}

func savePermissions(kv *guest.KV, owner gid, list []permission) error {
	if len(list) == 0 {
		return kv.Delete(permissionsKey(owner))
	}
	var w abi.Writer
	w.FixedArray(len(list))
	for i := range list {
		list[i].append(&w)
	}
	return kv.Put(permissionsKey(owner), w.Value())
}

// indexKey returns the key by which recipients find out that owner has a permission
// for them; nil if there is none, as contacts look at who has them as a contact.
func (p *permission) indexKey(owner gid) []byte {
	switch p.audience {
	case toAll:
		return sharesWithAllKey(owner)
	case toGroup:
		return sharesWithGroupKey(p.recipient, owner)
	case toIndividual:
		return sharesWithIdentityKey(p.recipient, owner)
	}
	return nil
}

// sameIndex tells whether two permissions of one owner are found by the same key.
func (p *permission) sameIndex(q *permission) bool {
	return p.audience == q.audience && (!p.audience.named() || p.recipient == q.recipient)
}

// reindex has the index follow a change of a permission, before to after, either of
// which may be nil; list is what the owner's permissions are from now on.
func reindex(kv *guest.KV, owner gid, before, after *permission, list []permission) error {
	if before != nil && after != nil && before.sameIndex(after) {
		return nil
	}
	if before != nil {
		if key := before.indexKey(owner); key != nil && !indexed(list, before) {
			if err := kv.Delete(key); err != nil {
				return err
			}
		}
	}
	if after != nil {
		if key := after.indexKey(owner); key != nil {
			return kv.Put(key, nil)
		}
	}
	return nil
}

func indexed(list []permission, p *permission) bool {
	for i := range list {
		if list[i].sameIndex(p) {
			return true
		}
	}
	return false
}

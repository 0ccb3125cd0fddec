package main

import (
	"encoding/binary"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// An update is what somebody's status was at some time.
type update struct {
	id           gid
	upper        bool // the id was sent in upper case
	owner        gid
	kind, source string
	created      instant
	createdText  string // as it is shown
	uploaded     instant
	payload      abi.Value
	stamp        uint64 // of its row in the feed: updates are ordered by it
}

// text returns the id as it was sent.
func (u *update) text() string {
	var b [uuidText]byte
	u.id.write(&b, u.digits())
	return string(b[:])
}

func (u *update) digits() string {
	if u.upper {
		return upperHex
	}
	return lowerHex
}

// appendShared writes the form that others see.
func (u *update) appendShared(w *abi.Writer) {
	w.Map()
	u.appendFields(w)
	w.End()
}

// appendOwn writes the form that its owner sees.
func (u *update) appendOwn(w *abi.Writer) {
	w.Map()
	u.appendFields(w)
	var b [len("2006-01-02T15:04:05.000Z")]byte
	w.Key("uploaded_at")
	w.TextBytes(appendDate(b[:0], u.uploaded))
	w.End()
}

func (u *update) appendFields(w *abi.Writer) {
	var b [uuidText]byte
	w.Key("uuid")
	u.id.write(&b, u.digits())
	w.TextBytes(b[:])
	w.Key("gid_uuid")
	u.owner.write(&b, lowerHex)
	w.TextBytes(b[:])
	w.Key("source")
	w.Text(u.source)
	w.Key("type")
	w.Text(u.kind)
	w.Key("created_at")
	w.Text(u.createdText)
	w.Key("payload")
	w.Raw(u.payload)
}

// updateFields is how many values a record has. A newer version may add more. Owner,
// stamp and time of creation stand in the key.
const updateFields = 7

// appendRecord writes what is stored.
func (u *update) appendRecord(w *abi.Writer) {
	w.FixedArray(updateFields)
	w.Bytes(u.id[:])
	w.Bool(u.upper)
	w.Text(u.kind)
	w.Text(u.source)
	w.Text(u.createdText)
	w.Int(u.uploaded)
	w.Raw(u.payload)
}

// read reads the record of the row at a position. The texts share its memory.
func (u *update) read(owner gid, at position, record []byte) error {
	r := abi.Value(record).Read()
	n := r.Array()
	u.owner, u.created, u.stamp = owner, at.created, at.stamp
	copy(u.id[:], r.Bytes())
	u.upper, u.kind, u.source = r.Bool(), r.TextShared(), r.TextShared()
	u.createdText, u.uploaded, u.payload = r.TextShared(), r.Int(), r.Value()
	r.Skip(n - updateFields)
	if !r.Done() {
		return abi.ErrFrame
	}
	return nil
}

// An uploaded tells that somebody has uploaded an update of some UUID. Each has
// UUIDs of his own: others' may be the same. Its stamp is a little larger than that
// of the update itself.
type uploaded struct {
	owner gid
	stamp uint64
	topic uint16
}

// maxUploads is how many uploads of one UUID are looked at.
const maxUploads = 100

// findUploads returns who has uploaded an update of this id, whether it still exists
// or not.
func findUploads(kv *guest.KV, id gid) ([]uploaded, error) {
	rg := guest.Prefix(uploadsKey(id))
	rg.Limit = maxUploads
	return uploadsIn(kv, rg)
}

// findUpload returns owner's upload of an id, nil if there is none.
func findUpload(kv *guest.KV, id, owner gid) (*uploaded, error) {
	rg := guest.Prefix(uploadKey(id, owner))
	rg.Limit = 1
	list, err := uploadsIn(kv, rg)
	if err != nil || len(list) == 0 {
		return nil, err
	}
	return &list[0], nil
}

func uploadsIn(kv *guest.KV, rg abi.Range) ([]uploaded, error) {
	page, err := kv.Scan(rg)
	if err != nil || len(page.Entries) == 0 {
		return nil, err
	}
	list := make([]uploaded, len(page.Entries))
	for i, e := range page.Entries {
		const owner = 1 + gidSize
		if len(e.Key) != owner+gidSize+stampSize || len(e.Value) != 2 {
			return nil, abi.ErrFrame
		}
		list[i] = uploaded{
			owner: gid(e.Key[owner:]), stamp: binary.BigEndian.Uint64(e.Key[owner+gidSize:]),
			topic: binary.BigEndian.Uint16(e.Value),
		}
	}
	return list, nil
}

// load returns the update of an upload, nil if it was deleted.
func (up *uploaded) load(kv *guest.KV, id gid, h *head) (*update, error) {
	rg := stampsOf(up.owner, up.topic, 0, up.stamp)
	rg.Reverse, rg.Limit = true, 1
	page, err := kv.Scan(rg)
	if err != nil || len(page.Entries) == 0 {
		return nil, err
	}
	e := page.Entries[0]
	at, ok := positionOf(e.Key)
	if !ok {
		return nil, abi.ErrFrame
	}
	u := new(update)
	if err := u.read(up.owner, at, e.Value); err != nil {
		return nil, err
	}
	if u.id != id || h.erased(u) {
		return nil, nil
	}
	return u, nil
}

package main

import (
	"encoding/binary"
	"unsafe"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// An update is what somebody's status was at some time.
type update struct {
	owner    gid
	created  instant
	uploaded instant
	stamp    uint64 // of its row in the feed: updates are ordered by it
	// args has the form that others see as the one argument of an event. It is made
	// once, when the update is stored, and then copied wherever the update is shown.
	args abi.Value

	// Of an update that was read from its row, readFields has to find these.
	id           gid
	upper        bool // the id was sent in upper case
	kind, source string
	createdText  string // as it is shown
	payload      abi.Value
}

const (
	// argsHead is what all args begin with: a list of one map with six entries, whose
	// first one is the UUID. Behind it stands the text of that.
	argsHead = "\x91\x86\xa4uuid\xd9\x24"
	// mapAt is where the map is.
	mapAt = 1
)

// text returns the id as it was sent. It shares the memory of args.
func (u *update) text() string { return shared(u.args[len(argsHead) : len(argsHead)+uuidText]) }

// shared returns a text that shares the memory of b.
func shared(b []byte) string { return unsafe.String(unsafe.SliceData(b), len(b)) }

func (u *update) digits() string {
	if u.upper {
		return upperHex
	}
	return lowerHex
}

// appendShared writes the form that others see.
func (u *update) appendShared(w *abi.Writer) { w.Raw(u.args[mapAt:]) }

// appendOwn writes the form that its owner sees: that of the others with the time of
// the upload as its seventh entry.
func (u *update) appendOwn(w *abi.Writer, uploaded []byte) {
	w.Raw(abi.Value{0x87})
	w.Splice(shared(u.args[mapAt+1:]))
	w.Key("uploaded_at")
	w.KeyBytes(uploaded)
}

// updateFields is how many values a record has. A newer version may add more. Owner,
// stamp and time of creation stand in the key.
const updateFields = 2

// recordRoom is what a record takes at most, besides type, source, payload and the time
// of creation.
const recordRoom = 160

// room is what the record takes at most.
func (u *update) room() int {
	return recordRoom + len(u.kind) + len(u.source) + len(u.createdText) + len(u.payload)
}

// appendRecord writes what is stored, and has args be a part of it.
//
// That is the form in which updates are shown, though it takes a hundred bytes more
// than the values alone: the text of the owner's UUID is most of that. A page is read
// far more often than its updates are written, and so it copies them as they are,
// without a look at any of their fields.
func (u *update) appendRecord(w *abi.Writer) {
	w.FixedArray(updateFields)
	w.Int(u.uploaded)
	w.Splice("\xc6\x00\x00\x00\x00") // bytes, of a length that is known at the end
	start := w.Len()
	w.FixedArray(1)
	w.Splice("\x86")
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
	u.args = w.Value()[start:]
	binary.BigEndian.PutUint32(w.Value()[start-4:], uint32(len(u.args)))
}

// read reads the record of the row at a position, whose memory it shares.
func (u *update) read(owner gid, at position, record []byte) error {
	r := abi.Value(record).Read()
	n := r.Array()
	u.owner, u.created, u.stamp = owner, at.created, at.stamp
	u.uploaded, u.args = r.Int(), r.Bytes()
	r.Skip(n - updateFields)
	if !r.Done() || len(u.args) < len(argsHead)+uuidText || string(u.args[:len(argsHead)]) != argsHead {
		return abi.ErrFrame
	}
	return nil
}

// readFields reads what an update that was read has in it.
func (u *update) readFields() error {
	r := u.args[mapAt:].Read()
	for range r.Map() {
		switch string(r.TextBytes()) {
		case "source":
			u.source = r.TextShared()
		case "type":
			u.kind = r.TextShared()
		case "created_at":
			u.createdText = r.TextShared()
		case "payload":
			u.payload = r.Value()
		default:
			r.Skip(1)
		}
	}
	var ok bool
	if u.id, u.upper, ok = parseUUID(u.text()); !ok || !r.Done() {
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
	if err := u.readFields(); err != nil {
		return nil, err
	}
	if u.id != id || h.erased(u) {
		return nil, nil
	}
	return u, nil
}

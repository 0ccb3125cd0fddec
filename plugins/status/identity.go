package main

import (
	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// An identity is what is known of somebody, or of a group, whose members are
// identities.
type identity struct {
	id      gid
	group   bool
	name    string // of an individual: under which the account signs in, "" if it has none
	display string // what others are shown; of a group: its name
	created instant

	// Of a group.
	owner   gid
	open    bool
	members int64
}

const (
	flagGroup = 1 << iota
	flagOpen
)

func (i *identity) save(kv *guest.KV) error {
	var flags int64
	if i.group {
		flags |= flagGroup
	}
	if i.open {
		flags |= flagOpen
	}
	var w abi.Writer
	w.FixedArray(6)
	w.Int(flags)
	w.Text(i.name)
	w.Text(i.display)
	w.Int(i.created)
	w.Bytes(i.owner[:])
	w.Int(i.members)
	return kv.Put(identityKey(i.id), w.Value())
}

// readIdentity reads a record, whose memory the texts share; it is nil if there is none.
func readIdentity(id gid, record []byte) (*identity, error) {
	if record == nil {
		return nil, nil
	}
	r := abi.Value(record).Read()
	n := r.Array()
	flags := r.Int()
	i := &identity{
		id: id, group: flags&flagGroup != 0, open: flags&flagOpen != 0,
		name: r.TextShared(), display: r.TextShared(), created: r.Int(),
	}
	copy(i.owner[:], r.Bytes())
	i.members = r.Int()
	r.Skip(n - 6)
	if !r.Done() {
		return nil, abi.ErrFrame
	}
	return i, nil
}

// loadIdentity returns what is stored under an id, nil if that is nothing.
func loadIdentity(kv *guest.KV, id gid) (*identity, error) {
	record, _, err := kv.Get(identityKey(id))
	if err != nil {
		return nil, err
	}
	return readIdentity(id, record)
}

// loadIdentities returns one for each id, nil where nothing is stored.
func loadIdentities(kv *guest.KV, ids []gid) ([]*identity, error) {
	if len(ids) == 0 {
		return nil, nil
	}
	keys := make([][]byte, len(ids))
	for n, id := range ids {
		keys[n] = identityKey(id)
	}
	records, err := kv.GetMany(keys)
	if err != nil {
		return nil, err
	}
	list := make([]*identity, len(ids))
	for n, record := range records {
		if list[n], err = readIdentity(ids[n], record); err != nil {
			return nil, err
		}
	}
	return list, nil
}

func (i *identity) write(w *abi.Writer) {
	w.Map()
	writeText(w, "gid_uuid", i.id.String())
	writeTextOrNull(w, "gid_name", i.name)
	writeTextOrNull(w, "display_name", i.display)
	if i.group {
		writeText(w, "type", "group")
	} else {
		writeText(w, "type", "individual")
	}
	writeText(w, "created_at", formatDate(i.created))
	w.End()
}

// own returns the caller's identity, and whether its record has to be written: there
// was none, or the name of the account is another by now.
func own(r *guest.Request) (i *identity, changed bool, err error) {
	id := me(r)
	if i, err = loadIdentity(r.KV(), id); err != nil {
		return nil, false, err
	}
	if i == nil {
		i, changed = &identity{id: id, created: r.Time().UnixMicro()}, true
	}
	if name := r.Caller().Name; i.name != name {
		i.name, changed = name, true
	}
	return i, changed, nil
}

// getOwnIdentity: GET /v1/identities/me
func getOwnIdentity(w *guest.Response, r *guest.Request) error {
	i, changed, err := own(r)
	if err == nil && changed {
		err = i.save(r.KV())
	}
	if err != nil {
		return err
	}
	i.write(w.Value())
	return nil
}

// putOwnIdentity: PUT /v1/identities/me
func putOwnIdentity(w *guest.Response, r *guest.Request) error {
	body, err := objectOf(r)
	if err != nil {
		return err
	}
	i, _, err := own(r)
	if err != nil {
		return err
	}
	if v := body.value("display_name"); v.Exists() {
		text, ok := v.Text()
		if !v.IsNil() && !ok || len(text) > maxName {
			return fail(400, "bad_field", "display_name", "display_name: want null or a string of at most %d bytes", maxName)
		}
		i.display = text
	}
	if err := i.save(r.KV()); err != nil {
		return err
	}
	i.write(w.Value())
	return nil
}

// getIdentity: GET /v1/identities/:uuid
func getIdentity(w *guest.Response, r *guest.Request) error {
	id, err := pathUUID(r, "uuid")
	if err != nil {
		return err
	}
	i, err := loadIdentity(r.KV(), id)
	if err != nil {
		return err
	}
	if i == nil {
		return notFound("uuid")
	}
	i.write(w.Value())
	return nil
}

// A person is an identity as it stands in a list.
func writePerson(w *abi.Writer, id gid, i *identity) {
	display := ""
	if i != nil {
		display = i.display
	}
	w.Map()
	writeText(w, "gid_uuid", id.String())
	writeTextOrNull(w, "display_name", display)
	w.End()
}

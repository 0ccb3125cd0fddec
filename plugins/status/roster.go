package main

import (
	"iter"
	"slices"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// A roster is a list of identities that somebody keeps, in the order in which they were
// added: 16 bytes each, one record for all, as it is read as a whole with every
// update that is uploaded or shown.
type roster []byte

const gidSize = len(gid{})

func loadRoster(kv *guest.KV, key []byte) (roster, error) {
	record, _, err := kv.Get(key)
	if err != nil {
		return nil, err
	}
	if len(record)%gidSize != 0 {
		return nil, abi.ErrFrame
	}
	return record, nil
}

// save writes the roster, or removes it if it is empty.
func (l roster) save(kv *guest.KV, key []byte) error {
	if len(l) == 0 {
		return kv.Delete(key)
	}
	return kv.Put(key, l)
}

func (l roster) len() int { return len(l) / gidSize }

func (l roster) at(index int) gid { return gid(l[index*gidSize:]) }

func (l roster) all() iter.Seq[gid] {
	return func(yield func(gid) bool) {
		for i := range l.len() {
			if !yield(l.at(i)) {
				return
			}
		}
	}
}

// index returns where id stands, -1 if it does not.
func (l roster) index(id gid) int {
	for i := 0; i+gidSize <= len(l); i += gidSize {
		if l[i] == id[0] && gid(l[i:]) == id {
			return i / gidSize
		}
	}
	return -1
}

func (l roster) has(id gid) bool { return l.index(id) >= 0 }

// with returns a longer roster; l stays as it is.
func (l roster) with(id gid) roster { return append(slices.Clip(l), id[:]...) }

// without returns a shorter roster; l stays as it is.
func (l roster) without(index int) roster {
	return slices.Concat(l[:index*gidSize], l[(index+1)*gidSize:])
}

// write answers with a page of the roster.
func (l roster) write(w *guest.Response, r *guest.Request) error {
	skip, limit, err := pageOf(r, maxPerPage)
	if err != nil {
		return err
	}
	ids := make([]gid, 0, min(limit, l.len()))
	for i := skip; i < l.len() && len(ids) < limit; i++ {
		ids = append(ids, l.at(i))
	}
	return writePeople(w, r, ids)
}

// writePeople answers with the identities of these ids.
func writePeople(w *guest.Response, r *guest.Request, ids []gid) error {
	people, err := loadIdentities(r.KV(), ids)
	if err != nil {
		return err
	}
	v := w.Value()
	v.Array()
	for n, id := range ids {
		writePerson(v, id, people[n])
	}
	v.End()
	return nil
}

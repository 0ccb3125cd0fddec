package main

import "github.com/edgeset/edgeset/abi/guest"

// A book is one of the rosters that everybody keeps of others: contacts, and blocks.
type book struct {
	name string // in messages
	max  int    // identities in it
	key  func(owner gid) []byte

	// What else there is to do when somebody enters the book, or is taken out.
	entered, left func(r *guest.Request, owner, id gid) error
}

// route adds the book's routes at a path.
func (b *book) route(f *guest.Family, path string) {
	token, small := guest.Auth("token"), guest.MaxBody(maxSmallBody)
	f.GET(path, b.list, token)
	f.POST(path, b.add, token, guest.JSON, small)
	f.DELETE(path+"/:uuid", b.remove, token)
}

func (b *book) list(w *guest.Response, r *guest.Request) error {
	all, err := loadRoster(r.KV(), b.key(me(r)))
	if err != nil {
		return err
	}
	return all.write(w, r)
}

func (b *book) add(w *guest.Response, r *guest.Request) error {
	kv, self := r.KV(), me(r)
	body, err := objectOf(r)
	if err != nil {
		return err
	}
	id, err := body.other(self)
	if err != nil {
		return err
	}
	all, err := loadRoster(kv, b.key(self))
	if err != nil {
		return err
	}
	if !all.has(id) {
		if all.len() == b.max {
			return fail(409, "too_many", "gid_uuid", "%s: you have %d, which is as many as there can be", b.name, b.max)
		}
		if err := all.with(id).save(kv, b.key(self)); err != nil {
			return err
		}
		if err := b.entered(r, self, id); err != nil {
			return err
		}
		w.Status(201)
	}
	person, err := loadIdentity(kv, id)
	if err != nil {
		return err
	}
	writePerson(w.Value(), id, person)
	return nil
}

func (b *book) remove(w *guest.Response, r *guest.Request) error {
	kv, self := r.KV(), me(r)
	id, err := pathUUID(r, "uuid")
	if err != nil {
		return err
	}
	all, err := loadRoster(kv, b.key(self))
	if err != nil {
		return err
	}
	index := all.index(id)
	if index < 0 {
		return notFound("uuid")
	}
	if err := all.without(index).save(kv, b.key(self)); err != nil {
		return err
	}
	if err := b.left(r, self, id); err != nil {
		return err
	}
	w.Status(204)
	return nil
}

package main

import "github.com/edgeset/edgeset/abi/guest"

const maxContacts = 2000

// Contacts are one-way: whom somebody has named. The reverse, who has named
// somebody, is kept as keys of their own: it tells a reader where to look for
// what is shared with contacts.

// listContacts: GET /v1/contacts
func listContacts(w *guest.Response, r *guest.Request) error {
	contacts, err := loadRoster(r.KV(), contactsKey(me(r)))
	if err != nil {
		return err
	}
	return contacts.write(w, r)
}

// addContact: POST /v1/contacts
func addContact(w *guest.Response, r *guest.Request) error {
	kv, self := r.KV(), me(r)
	body, err := objectOf(r)
	if err != nil {
		return err
	}
	id, err := body.other(self)
	if err != nil {
		return err
	}
	contacts, err := loadRoster(kv, contactsKey(self))
	if err != nil {
		return err
	}
	if !contacts.has(id) {
		if contacts.len() == maxContacts {
			return fail(409, "too_many", "gid_uuid", "contacts: you have %d, which is as many as there can be", maxContacts)
		}
		if err := contacts.with(id).save(kv, contactsKey(self)); err != nil {
			return err
		}
		if err := kv.Put(contactOfKey(id, self), nil); err != nil {
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

// removeContact: DELETE /v1/contacts/:uuid
func removeContact(w *guest.Response, r *guest.Request) error {
	kv, self := r.KV(), me(r)
	id, err := pathUUID(r, "uuid")
	if err != nil {
		return err
	}
	contacts, err := loadRoster(kv, contactsKey(self))
	if err != nil {
		return err
	}
	index := contacts.index(id)
	if index < 0 {
		return notFound("uuid")
	}
	if err := contacts.without(index).save(kv, contactsKey(self)); err != nil {
		return err
	}
	if err := kv.Delete(contactOfKey(id, self)); err != nil {
		return err
	}
	w.Status(204)
	return nil
}

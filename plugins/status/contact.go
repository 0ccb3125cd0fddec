package main

import "github.com/edgeset/edgeset/abi/guest"

const maxContacts = 2000

// contactBook is whom somebody has named. It is one-way. The reverse, who has named
// somebody, is kept as keys of their own: it tells a reader where to look for what is
// shared with contacts.
func contactBook() *book {
	return &book{
		name: "contacts", max: maxContacts, key: contactsKey,
		entered: func(r *guest.Request, owner, id gid) error { return r.KV().Put(contactOfKey(id, owner), nil) },
		left:    func(r *guest.Request, owner, id gid) error { return r.KV().Delete(contactOfKey(id, owner)) },
	}
}

package main

import (
	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// own returns the account of the caller.
func own(r *guest.Request) (account, error) {
	a, found, err := findAccount(r.KV(), r.Caller().Account)
	if err == nil && !found {
		err = errGone
	}
	return a, err
}

// self answers GET /v2/users/self.
func self(w *guest.Response, r *guest.Request) error {
	a, err := own(r)
	if err != nil {
		return err
	}
	succeedUser(w, r, &a)
	return nil
}

// updateSelf answers POST /v2/users/self/update. A parameter that is absent
// changes nothing; an empty name takes the name away.
func updateSelf(w *guest.Response, r *guest.Request) error {
	a, err := own(r)
	if err != nil {
		return err
	}
	if _, ok := r.Value("name"); !ok {
		return guest.Errorf(400, "missing_parameter", "name is missing.")
	}
	if a.name, err = textParameter(r, "name", maxName); err != nil {
		return err
	}
	a.modified = r.Time().UnixMicro()
	if err := r.KV().Put(accountKey(r.Caller().Account), a.record()); err != nil {
		return err
	}
	succeedUser(w, r, &a)
	return nil
}

func succeedUser(w *guest.Response, r *guest.Request, a *account) {
	succeed(w, r, "user", func(v *abi.Writer) {
		entry(v, "id", r.Caller().Account)
		appendProfile(v, a)
	})
}

// showUser answers GET /v2/users/:id with what others may see of an account.
func showUser(w *guest.Response, r *guest.Request) error {
	id := r.Param("id")
	var a account
	found := isRandom(id, accountIDSize)
	if found {
		var err error
		if a, found, err = findAccount(r.KV(), id); err != nil {
			return err
		}
	}
	if !found {
		return guest.Errorf(404, "not_found", "There is no user with this id.")
	}
	succeed(w, r, "user", func(v *abi.Writer) {
		entry(v, "id", id)
		entry(v, "name", a.publicName())
	})
	return nil
}

// appendProfile writes what the holder of an account sees of it.
func appendProfile(v *abi.Writer, a *account) {
	entry(v, "name", a.name)
	if a.username != "" {
		entry(v, "username", a.username)
	}
	entryTime(v, "created_time", a.created)
	entryTime(v, "last_modified", a.modified)
}

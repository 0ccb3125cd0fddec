package main

import (
	"strings"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// Bounds of a password that a client chooses, in bytes. Hashing costs the same
// for all of them.
const (
	minPassword = 8
	maxPassword = 256
)

// createAccount answers /v2/account/create.
//
// Without username and password the account is one that only its application
// knows of, and the password a random one that the application keeps, like a
// refresh token that lasts. A person's account has both of their choosing.
func createAccount(w *guest.Response, r *guest.Request) error {
	kv := r.KV()
	appID, err := callingApp(r)
	if err != nil {
		return err
	}
	// An account that should be linked to an address must not quietly become
	// one that is not.
	if kind, ok := r.Value("type"); ok && kind != "" {
		return guest.Errorf(400, "bad_parameter", "type: linking an account to an address is not supported.")
	}
	a := account{app: appID, created: r.Time().UnixMicro()}
	a.modified = a.created
	if a.name, err = textParameter(r, "name", maxName); err != nil {
		return err
	}
	a.username, _ = r.Value("username")
	if err := checkUsername(a.username); err != nil {
		return err
	}
	password, chosen := r.Value("password")
	if chosen = chosen && password != ""; !chosen {
		password = random(passwordSize)
	} else if err := checkPassword("password", password); err != nil {
		return err
	}

	id := random(accountIDSize)
	if a.username != "" {
		if taken, err := claimUsername(w, r, a.username, id); taken || err != nil {
			return err
		}
	}
	if a.hash, err = r.HashPassword(password); err != nil {
		return err
	}
	if err := kv.Put(accountKey(id), a.record()); err != nil {
		return err
	}
	w.Header("Cache-Control", "no-store") // it may have a password
	succeed(w, r, "account", func(v *abi.Writer) {
		entry(v, "id", id)
		if !chosen {
			entry(v, "password", password)
		}
		appendProfile(v, &a)
		entry(v, "api_key_id", appID)
	})
	return nil
}

// claimUsername reserves a username for an account. If it is taken it answers
// so, which says that there is such an account and therefore counts like a
// failed login from the address.
func claimUsername(w *guest.Response, r *guest.Request, name, id string) (taken bool, err error) {
	kv := r.KV()
	t, err := newThrottle(r, "")
	if err != nil {
		return false, err
	}
	if err := t.blocked(w); err != nil {
		return false, err
	}
	name = strings.ToLower(name)
	// Nor may it be an account's id: both stand for an account at login.
	found, err := kv.GetMany([][]byte{usernameKey(name), accountKey(name)})
	if err != nil {
		return false, err
	}
	if found[0] == nil && found[1] == nil {
		return false, kv.Put(usernameKey(name), []byte(id))
	}
	if err := t.failed(kv); err != nil {
		return false, err
	}
	w.Fail(guest.Errorf(409, "username_taken", "There is already an account with this username."))
	return true, nil
}

// checkUsername refuses a username that is not 3 to 64 of A-Z a-z 0-9 . _ - + @:
// what e-mail addresses and phone numbers need, and nothing that looks like
// something else.
func checkUsername(s string) error {
	if s == "" {
		return nil
	}
	ok := len(s) >= 3 && len(s) <= 64
	for i := range len(s) {
		c := s[i]
		ok = ok && ('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' ||
			strings.IndexByte("._-+@", c) >= 0)
	}
	if !ok {
		return guest.Errorf(400, "bad_parameter", "username: want 3 to 64 of the characters A-Z a-z 0-9 . _ - + @")
	}
	return nil
}

func checkPassword(name, s string) error {
	if len(s) < minPassword || len(s) > maxPassword {
		return guest.Errorf(400, "bad_parameter", "%s: want %d to %d bytes.", name, minPassword, maxPassword)
	}
	return nil
}

// findAccount returns an account by its id.
func findAccount(kv *guest.KV, id string) (a account, found bool, err error) {
	record, found, err := kv.Get(accountKey(id))
	if err != nil || !found {
		return a, false, err
	}
	a, err = readAccount(record)
	return a, err == nil, err
}

// findLogin returns the account that a login id, in lower case, stands for: its
// id or its username. It asks the store the same questions in every case.
func findLogin(kv *guest.KV, login string) (id string, a account, found bool, err error) {
	id = login
	record, found, err := kv.Get(usernameKey(login))
	if err != nil {
		return "", a, false, err
	}
	if found {
		id = string(record)
	}
	a, found, err = findAccount(kv, id)
	return id, a, found, err
}

// changePassword answers POST /v2/account/password. Whoever knew the old
// password may hold tokens, so all but the caller's end.
func changePassword(w *guest.Response, r *guest.Request) error {
	kv, caller := r.KV(), r.Caller()
	old, err := parameter(r, "old")
	if err != nil {
		return err
	}
	password, err := parameter(r, "new")
	if err != nil {
		return err
	}
	if err := checkPassword("new", password); err != nil {
		return err
	}
	t, err := newThrottle(r, caller.Account)
	if err != nil {
		return err
	}
	if err := t.blocked(w); err != nil {
		return err
	}
	a, found, err := findAccount(kv, caller.Account)
	if err != nil {
		return err
	}
	ok, err := verify(r, a.hash, old)
	if err != nil {
		return err
	}
	if !ok || !found {
		if err := t.failed(kv); err != nil {
			return err
		}
		w.Fail(guest.Errorf(401, "access_denied", "The old password is not right."))
		return nil
	}
	if err := t.succeeded(kv); err != nil {
		return err
	}
	if a.hash, err = r.HashPassword(password); err != nil {
		return err
	}
	a.modified = r.Time().UnixMicro()
	if err := kv.Put(accountKey(caller.Account), a.record()); err != nil {
		return err
	}
	revoked, err := revokeTokens(kv, caller.Account, caller.Token)
	if err != nil {
		return err
	}
	succeed(w, r, "account", func(v *abi.Writer) {
		entry(v, "id", caller.Account)
		appendProfile(v, &a)
		entryInt(v, "revoked", int64(revoked))
	})
	return nil
}

// verify compares a password with a hash. One that no account can have is not
// worth hashing in full, yet takes as long.
func verify(r *guest.Request, hash []byte, password string) (bool, error) {
	if len(password) > maxPassword {
		hash, password = nil, password[:maxPassword]
	}
	return r.VerifyPassword(hash, password)
}

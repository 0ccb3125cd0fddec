package main

import (
	"crypto/rand"
	"errors"

	"github.com/edgeset/edgeset/abi"
)

// What is stored, and under which keys:
//
//	a/<app id>                 app
//	u/<account id>             account
//	n/<username, lower case>   the account's id
//	t/<SHA-256 of a token>     token
//	d/<account id>/<token id>  device: the account's tokens, oldest first
//	f/i/<login id, lower case> failures, of logins under that id
//	f/r/<remote address>       failures, of logins from there
//
// A record is a MessagePack array whose fields are told by position. A newer
// version appends fields; readers pass over those they do not know. Times are
// microseconds since the epoch.

func appKey(id string) []byte        { return []byte("a/" + id) }
func accountKey(id string) []byte    { return []byte("u/" + id) }
func usernameKey(name string) []byte { return []byte("n/" + name) }
func tokenKey(hash []byte) []byte    { return append([]byte("t/"), hash...) }
func deviceKey(account, token string) []byte {
	return []byte("d/" + account + "/" + token)
}

// An app is an application that may call the APIs.
type app struct {
	name string
	// secret stands here as it is, not as a hash: signatures of requests are
	// recomputed with it. Encrypting the store is the deployment's part.
	secret  string
	created int64
	revoked int64 // 0: it is not
}

func (a *app) record() []byte {
	var w abi.Writer
	w.FixedArray(4)
	w.Text(a.name)
	w.Text(a.secret)
	w.Int(a.created)
	w.Int(a.revoked)
	return w.Value()
}

func readApp(record []byte) (a app, err error) {
	err = read(record, "app", 4, func(r *abi.Reader) {
		a = app{name: r.Text(), secret: r.Text(), created: r.Int(), revoked: r.Int()}
	})
	return a, err
}

// An account is a person, or a device that shares on its own.
type account struct {
	username string // as it was written; "": the account has just its id
	name     string // what others see
	hash     []byte // of the password
	app      string // that created it
	created  int64
	modified int64
}

func (a *account) record() []byte {
	var w abi.Writer
	w.FixedArray(6)
	w.Text(a.username)
	w.Text(a.name)
	w.Bytes(a.hash)
	w.Text(a.app)
	w.Int(a.created)
	w.Int(a.modified)
	return w.Value()
}

func readAccount(record []byte) (a account, err error) {
	err = read(record, "account", 6, func(r *abi.Reader) {
		a = account{
			username: r.Text(), name: r.Text(), hash: r.Bytes(), app: r.Text(),
			created: r.Int(), modified: r.Int(),
		}
	})
	return a, err
}

// A token is what the credential check needs to know of one. It outlives its
// expiry by expiredFor.
type token struct {
	id      string
	account string
	app     string
	expires int64
}

func (t *token) record() []byte {
	var w abi.Writer
	w.FixedArray(4)
	w.Text(t.id)
	w.Text(t.account)
	w.Text(t.app)
	w.Int(t.expires)
	return w.Value()
}

func readToken(record []byte) (t token, err error) {
	err = read(record, "token", 4, func(r *abi.Reader) {
		t = token{id: r.Text(), account: r.Text(), app: r.Text(), expires: r.Int()}
	})
	return t, err
}

// A device is what a person knows of a token: where it is in use. It ends with
// the token.
type device struct {
	hash    []byte // of the token: where its record is
	name    string // as the client calls it; may be ""
	app     string
	created int64
	expires int64
}

func (d *device) record() []byte {
	var w abi.Writer
	w.FixedArray(5)
	w.Bytes(d.hash)
	w.Text(d.name)
	w.Text(d.app)
	w.Int(d.created)
	w.Int(d.expires)
	return w.Value()
}

func readDevice(record []byte) (d device, err error) {
	err = read(record, "device", 5, func(r *abi.Reader) {
		d = device{hash: r.Bytes(), name: r.Text(), app: r.Text(), created: r.Int(), expires: r.Int()}
	})
	return d, err
}

// failures are the times of failed logins, oldest first.
type failures []int64

func (f failures) record() []byte {
	var w abi.Writer
	w.FixedArray(1)
	w.FixedArray(len(f))
	for _, t := range f {
		w.Int(t)
	}
	return w.Value()
}

func readFailures(record []byte) (f failures, err error) {
	err = read(record, "failures", 1, func(r *abi.Reader) {
		n := r.Array()
		f = make(failures, 0, n)
		for ; n > 0 && !r.Failed(); n-- {
			f = append(f, r.Int())
		}
	})
	return f, err
}

// read takes a record of at least so many fields apart.
func read(record []byte, kind string, fields int, read func(r *abi.Reader)) error {
	r := abi.Value(record).Read()
	n := r.Array()
	if n >= fields {
		read(&r)
		r.Skip(n - fields)
		if r.Done() {
			return nil
		}
	}
	return errors.New("signing: record of kind " + kind + " cannot be read")
}

// alphabet is of 32 characters that people do not confuse and that need no
// escaping anywhere. No letter is a capital, so that case never matters.
const alphabet = "0123456789abcdefghjkmnpqrstvwxyz"

// Lengths in characters of 5 random bits each.
const (
	appIDSize     = 24 // 120 bits
	secretSize    = 40 // 200 bits
	accountIDSize = 20 // 100 bits
	passwordSize  = 32 // 160 bits
	tokenSize     = 40 // 200 bits
)

// random returns n characters that nobody can guess.
func random(n int) string {
	b := make([]byte, n)
	rand.Read(b) // never fails
	for i := range b {
		b[i] = alphabet[b[i]&31]
	}
	return string(b)
}

// isRandom tells whether s could be from random(n). What a client sends as an id
// is looked up only if it could be one.
func isRandom(s string, n int) bool {
	if len(s) != n {
		return false
	}
	for i := range len(s) {
		c := s[i]
		if !('0' <= c && c <= '9' || 'a' <= c && c <= 'z') {
			return false
		}
	}
	return true
}

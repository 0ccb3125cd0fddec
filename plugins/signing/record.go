package main

import (
	"crypto/rand"
	"errors"

	"github.com/edgeset/edgeset/abi"
)

// What is stored, and under which keys:
//
//	a/<app id>                 app
//	o/<account id>/<app id>    nothing: the applications of an account
//	u/<account id>             account
//	n/<username, lower case>   the account's id
//	i/<SHA-256 of an OpenID>   the id of the account that signs in with it
//	l/<SHA-256 of a state>     attempt: a login that is under way
//	q/<SHA-256 of provider and nonce>  nothing: the nonce was used
//	f/l/<remote address>       times at which logins were begun there
//	p/m/<issuer>               published: what a provider of OpenID Connect says of itself
//	p/k/<issuer>               published: its keys
//	t/<SHA-256 of a token>     token, also of a session, whose cookie has the token
//	d/<account id>/<token id>  device: the account's tokens, oldest first
//	s/<app id>/<scheme>/<sum>  nothing: the signature has been seen
//	f/i/<login id, lower case> failures, of logins under that id
//	f/r/<remote address>       failures, of logins from there
//
// A record is a MessagePack array whose fields are told by position. A newer
// version appends fields; readers pass over those they do not know. Times are
// microseconds since the epoch.

func appKey(id string) []byte        { return append(append(make([]byte, 0, 2+appIDSize), "a/"...), id...) }
func accountKey(id string) []byte    { return []byte("u/" + id) }
func usernameKey(name string) []byte { return []byte("n/" + name) }
func tokenKey(hash []byte) []byte    { return append([]byte("t/"), hash...) }
func deviceKey(account, token string) []byte {
	return []byte("d/" + account + "/" + token)
}

// An account is a person, or a device that shares on its own.
type account struct {
	username string // as it was written; "": the account has just its id
	name     string // what others see
	hash     []byte // of the password
	app      string // that created it
	created  int64
	modified int64

	// Of one who signs in with an OpenID: what the provider says.
	openid   string // the claimed identifier, or issuer#subject
	nickname string
	email    string
}

func (a *account) record() []byte {
	var w abi.Writer
	w.FixedArray(9)
	w.Text(a.username)
	w.Text(a.name)
	w.Bytes(a.hash)
	w.Text(a.app)
	w.Int(a.created)
	w.Int(a.modified)
	w.Text(a.openid)
	w.Text(a.nickname)
	w.Text(a.email)
	return w.Value()
}

func readAccount(record []byte) (a account, err error) {
	err = read(record, "account", 6, func(r *abi.Reader, more int) int {
		a = account{
			username: r.Text(), name: r.Text(), hash: r.Bytes(), app: r.Text(),
			created: r.Int(), modified: r.Int(),
		}
		if more < 3 {
			return 0
		}
		a.openid, a.nickname, a.email = r.Text(), r.Text(), r.Text()
		return 3
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
	session bool // it is a session's, and stands in a cookie: it is good there alone
}

func (t *token) record() []byte {
	var w abi.Writer
	w.FixedArray(5)
	w.Text(t.id)
	w.Text(t.account)
	w.Text(t.app)
	w.Int(t.expires)
	w.Bool(t.session)
	return w.Value()
}

func readToken(record []byte) (t token, err error) {
	r, more := fieldsOf(record, 4)
	t = token{id: r.TextShared(), account: r.TextShared(), app: r.TextShared(), expires: r.Int()}
	if more > 0 {
		t.session = r.Bool()
		more--
	}
	return t, readAll(&r, more, "token")
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
	err = read(record, "device", 5, func(r *abi.Reader, _ int) int {
		d = device{hash: r.Bytes(), name: r.Text(), app: r.Text(), created: r.Int(), expires: r.Int()}
		return 0
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
	err = read(record, "failures", 1, func(r *abi.Reader, _ int) int {
		n := r.Array()
		f = make(failures, 0, n)
		for ; n > 0 && !r.Failed(); n-- {
			f = append(f, r.Int())
		}
		return 0
	})
	return f, err
}

// fieldsOf returns a reader of a record of at least so many fields, and how many
// more there are. Texts that are read without a copy are good until the call ends,
// like the record.
func fieldsOf(record []byte, least int) (r abi.Reader, more int) {
	r = abi.Value(record).Read()
	if more = r.Array() - least; more < 0 {
		r = abi.Reader{} // of which nothing can be read
	}
	return r, more
}

// readAll passes over the fields that are left, which a newer version wrote, and
// tells whether all could be read.
func readAll(r *abi.Reader, left int, kind string) error {
	r.Skip(left)
	if left < 0 || !r.Done() {
		return errors.New("signing: record of kind " + kind + " cannot be read")
	}
	return nil
}

// read takes a record of at least so many fields apart. fn reads these; it is
// told how many more there are, and returns how many of them it has read.
func read(record []byte, kind string, fields int, fn func(r *abi.Reader, more int) int) error {
	r, more := fieldsOf(record, fields)
	if more < 0 {
		return readAll(&r, more, kind)
	}
	return readAll(&r, more-fn(&r, more), kind)
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

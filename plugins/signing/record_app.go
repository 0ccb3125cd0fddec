package main

import (
	"bytes"
	"slices"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// Schemes are the ways in which an application, or somebody through it, proves
// who makes a request. An application can be restricted to some of them.
const (
	schemeToken   = "token"       // an access token that was issued through it
	schemeMD5     = "md5"         // a signature of the parameters
	schemeHMAC    = "hmac-sha256" // RFC 9421, with the secret
	schemeEd25519 = "ed25519"     // RFC 9421, with the key pair whose public half it has registered
)

var allSchemes = []string{schemeToken, schemeMD5, schemeHMAC, schemeEd25519}

// An app is an application that may call the APIs.
type app struct {
	name string
	// secret stands here as it is, not as a hash: signatures of requests are
	// recomputed with it. Encrypting the store is the deployment's part.
	secret   string
	created  int64
	revoked  int64  // 0: it is not
	approved int64  // 0: it was asked for, and is not good for anything yet
	owner    string // the account of its developer; "": an operator made it

	// What was in force before the last rotation stays good until then.
	oldSecret   string
	secretUntil int64
	key         []byte // Ed25519 public key; nil: none
	oldKey      []byte
	keyUntil    int64

	// Restrictions; none where a list is empty.
	schemes  []string
	families []string // prefixes: "/1.0"
	origins  []string // web origins: "https://example.org"
	rate     int64    // requests in a window, as the developer wants it; 0: no limit
	maxRate  int64    // the same, as the operator allows; 0: the deployment's setting

	// The names of those of the lists that an operator has set; its developer
	// cannot change them.
	fixed []string
}

const appFields = 17

func (a *app) record() []byte {
	var w abi.Writer
	w.FixedArray(appFields)
	w.Text(a.name)
	w.Text(a.secret)
	w.Int(a.created)
	w.Int(a.revoked)
	w.Int(a.approved)
	w.Text(a.owner)
	w.Text(a.oldSecret)
	w.Int(a.secretUntil)
	appendKey(&w, a.key)
	appendKey(&w, a.oldKey)
	w.Int(a.keyUntil)
	appendTexts(&w, a.schemes)
	appendTexts(&w, a.families)
	appendTexts(&w, a.origins)
	w.Int(a.rate)
	w.Int(a.maxRate)
	appendTexts(&w, a.fixed)
	return w.Value()
}

func readApp(record []byte) (a app, err error) {
	err = a.read(record)
	return a, err
}

// read is readApp for an a that is nothing yet.
func (a *app) read(record []byte) error {
	const least = 4 // what the first version wrote
	r, more := fieldsOf(record, least)
	a.name, a.secret, a.created, a.revoked = r.TextShared(), r.TextShared(), r.Int(), r.Int()
	if more < appFields-least {
		a.approved = a.created
		return readAll(&r, more, "app")
	}
	a.approved, a.owner = r.Int(), r.TextShared()
	a.oldSecret, a.secretUntil = r.TextShared(), r.Int()
	a.key, a.oldKey, a.keyUntil = r.Bytes(), r.Bytes(), r.Int()
	a.schemes, a.families, a.origins = readTexts(&r), readTexts(&r), readTexts(&r)
	a.rate, a.maxRate = r.Int(), r.Int()
	a.fixed = readTexts(&r)
	return readAll(&r, more-(appFields-least), "app")
}

func appendKey(w *abi.Writer, key []byte) {
	if key == nil {
		w.Nil()
		return
	}
	w.Bytes(key)
}

func appendTexts(w *abi.Writer, list []string) {
	w.FixedArray(len(list))
	for _, s := range list {
		w.Text(s)
	}
}

func readTexts(r *abi.Reader) (list []string) {
	for n := r.Array(); n > 0 && !r.Failed(); n-- {
		list = append(list, r.TextShared())
	}
	return list
}

// Why an application may not do something. They are the same for every scheme.
var (
	errPending = guest.Errorf(401, "key_pending", "The application was not approved yet.")
	errScheme  = guest.Errorf(403, "scheme_denied", "The application does not accept requests that are proven in this way.")
	errFamily  = guest.Errorf(403, "family_denied", "The application may not call this family of APIs.")
	errOrigin  = guest.Errorf(403, "origin_denied", "The application may not be used from this web origin, or from none.")
)

// admits tells whether the application may be used in this way and place; whether
// it was revoked, its caller has looked.
func (a *app) admits(scheme string, c *abi.Credential) error {
	switch {
	case a.approved == 0:
		return errPending
	case len(a.schemes) > 0 && !slices.Contains(a.schemes, scheme):
		return errScheme
	case len(a.families) > 0 && !slices.Contains(a.families, c.Family):
		return errFamily
	case len(a.origins) > 0 && !slices.Contains(a.origins, c.Origin):
		return errOrigin
	}
	return nil
}

// state tells what has become of the application.
func (a *app) state() string {
	switch {
	case a.revoked != 0:
		return "revoked"
	case a.approved == 0:
		return "pending"
	}
	return "active"
}

// secrets returns the secrets that are good at a time: the current one, then what
// it took the place of.
func (a *app) secrets(now int64) []string {
	if now < a.secretUntil {
		return []string{a.secret, a.oldSecret}
	}
	return []string{a.secret}
}

// keys returns the public keys that are good at a time, like secrets.
func (a *app) keys(now int64) [][]byte {
	switch {
	case len(a.key) == 0:
		return nil
	case now < a.keyUntil:
		return [][]byte{a.key, a.oldKey}
	}
	return [][]byte{a.key}
}

// rotate gives the application another secret. The one it had stays good for as
// long as grace; one from before that ends now.
func (a *app) rotate(now int64, grace time.Duration) {
	a.oldSecret, a.secretUntil = "", 0
	if grace > 0 {
		a.oldSecret, a.secretUntil = a.secret, now+grace.Microseconds()
	}
	a.secret = random(secretSize)
}

// setKey gives the application another public key, which goes like rotate. To
// take the key away takes the old one, too, and at once: that is what to do when
// somebody else has got hold of one.
func (a *app) setKey(key []byte, now int64, grace time.Duration) {
	if len(key) > 0 && bytes.Equal(key, a.key) {
		return
	}
	old := a.key
	a.key, a.oldKey, a.keyUntil = key, nil, 0
	if len(key) > 0 && len(old) > 0 && grace > 0 {
		a.oldKey, a.keyUntil = old, now+grace.Microseconds()
	}
}

// limit returns how many requests of the application the host lets through in a
// window of so many seconds; 0: as many as come. A developer can lower what the
// operator allows, and not raise it.
func (a *app) limit(r *guest.Request) (requests, seconds int64, err error) {
	requests = a.maxRate
	if requests == 0 {
		if requests, err = numberSetting(r, "rate_limit", 0, 0, maxRate); err != nil {
			return 0, 0, err
		}
	}
	if requests == 0 || a.rate > 0 && a.rate < requests {
		requests = a.rate
	}
	if requests == 0 {
		return 0, 0, nil
	}
	window, err := durationSetting(r, "rate_window", time.Hour, time.Second, 24*time.Hour)
	return requests, int64(window / time.Second), err
}

package main

import (
	"crypto/sha256"
	"strings"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

var (
	errSession        = guest.Errorf(401, "session_unknown", "The session is not known: it was ended, or never was.")
	errSessionExpired = guest.Errorf(401, "session_expired", "The session has expired; log in again.")
)

func sessionTTL(r *guest.Request) (time.Duration, error) {
	return durationSetting(r, "session_ttl", 7*24*time.Hour, time.Minute, 365*24*time.Hour)
}

// checkSession finds out whose session a cookie stands for. Besides the session it
// reads the account, for the name that others see.
func checkSession(r *guest.Request, c abi.Credential) (nobody abi.Caller, err error) {
	t, err := findToken(r.KV(), c.Value)
	if err != nil {
		return nobody, err
	}
	if !t.session {
		return nobody, errSession
	}
	if t.expires <= r.Time().UnixMicro() {
		return nobody, errSessionExpired
	}
	a, found, err := findAccount(r.KV(), t.account)
	if err != nil {
		return nobody, err
	}
	if !found {
		return nobody, errSession
	}
	return abi.Caller{
		Account: t.account, Proof: sessionProof, Token: t.id, Expires: t.expires,
		Scheme: schemeOpenID, Name: a.publicName(),
	}, nil
}

// schemeOpenID is how the kind of a session was proven.
const schemeOpenID = "openid"

// publicName is what others see of an account.
func (a *account) publicName() string {
	if a.nickname != "" {
		return a.nickname
	}
	return a.name
}

func openIDKey(id string) []byte {
	hash := sha256.Sum256([]byte(id))
	return append([]byte("i/"), hash[:]...)
}

// signIn returns the account of an identity. The first time it makes one; later
// it takes over what the provider says now.
func signIn(r *guest.Request, who identity) (id string, a account, err error) {
	kv, now := r.KV(), r.Time().UnixMicro()
	key := openIDKey(who.id)
	record, found, err := kv.Get(key)
	if err != nil {
		return "", a, err
	}
	if found {
		id = string(record)
		if a, found, err = findAccount(kv, id); err != nil {
			return "", a, err
		}
	}
	if !found {
		id, a = random(accountIDSize), account{openid: who.id, created: now}
		if err := kv.Put(key, []byte(id)); err != nil {
			return "", a, err
		}
	}
	if found && a.name == who.name && a.nickname == who.nickname && a.email == who.email {
		return id, a, nil
	}
	a.name, a.nickname, a.email, a.modified = who.name, who.nickname, who.email, now
	return id, a, kv.Put(accountKey(id), a.record())
}

// startSession ends the session that the browser has, if it has one, and begins
// one of an account. Its token stands in the cookie and nowhere else.
func startSession(w *guest.Response, r *guest.Request, account string) (expires int64, err error) {
	ttl, err := sessionTTL(r)
	if err != nil {
		return 0, err
	}
	if err := endSession(r); err != nil {
		return 0, err
	}
	secret, err := issue(r, token{account: account, session: true}, browser(r), ttl)
	if err != nil {
		return 0, err
	}
	setCookie(w, r, cookie{name: sessionCookie, value: secret, path: "/", age: ttl})
	return r.Time().Add(ttl).UnixMicro(), nil
}

// endSession ends the session that the browser shows.
func endSession(r *guest.Request) error {
	t, err := findToken(r.KV(), r.Cookie(sessionCookie))
	if err != nil || !t.session {
		return err
	}
	_, err = revokeToken(r.KV(), t.account, t.id)
	return err
}

// browser is what the list of sessions calls one: the browser's own name for
// itself, as far as it can be shown.
func browser(r *guest.Request) string {
	name := []rune(strings.ToValidUTF8(r.Header("User-Agent"), ""))
	s := string(name[:min(len(name), maxDevice)])
	if checkText("User-Agent", s, maxDevice) != nil {
		return ""
	}
	return s
}

// endLogin answers /1.0/logout: the same to everybody, who has a session and who
// has none.
func endLogin(w *guest.Response, r *guest.Request) error {
	if err := endSession(r); err != nil {
		return err
	}
	setCookie(w, r, cookie{name: sessionCookie, path: "/"})
	v := w.Value()
	v.Map()
	v.Key("logged_out")
	v.Bool(true)
	v.End()
	return nil
}

// showSession answers GET /1.0/session with who is logged in.
func showSession(w *guest.Response, r *guest.Request) error {
	a, err := own(r)
	if err != nil {
		return err
	}
	writeSession(w, r.Caller().Account, &a, r.Caller().Expires)
	return nil
}

func writeSession(w *guest.Response, id string, a *account, expires int64) {
	w.Header("Cache-Control", "no-store")
	v := w.Value()
	v.Map()
	entry(v, "account", id)
	entry(v, "name", a.name)
	entry(v, "nickname", a.nickname)
	entry(v, "email", a.email)
	entryTime(v, "expires", expires)
	v.End()
}

// listSessions answers GET /1.0/sessions: where the account is logged in, with a
// browser or with a token of an application, the latest first.
func listSessions(w *guest.Response, r *guest.Request) error {
	v := w.Value()
	v.Map()
	v.Key("items")
	v.Array()
	err := eachDevice(r, func(id string, d *device) {
		v.Map()
		entry(v, "id", id)
		entry(v, "device", d.name)
		if d.app == "" {
			entry(v, "kind", sessionProof)
		} else {
			entry(v, "kind", tokenProof)
			entry(v, "api_key_id", d.app)
		}
		entryTime(v, "created", d.created)
		entryTime(v, "expires", d.expires)
		v.Key("current")
		v.Bool(id == r.Caller().Token)
		v.End()
	})
	v.End()
	v.End()
	return err
}

// revokeSession answers DELETE /1.0/sessions/:id, and POST …/delete.
func revokeSession(w *guest.Response, r *guest.Request) error {
	id := r.Param("id")
	found, err := revokeOwn(r, id)
	if err != nil {
		return err
	}
	if !found {
		return guest.Errorf(404, "not_found", "There is no session with this id.")
	}
	v := w.Value()
	v.Map()
	entry(v, "id", id)
	v.End()
	return nil
}

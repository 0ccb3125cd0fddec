package main

import (
	"crypto/sha256"
	"strconv"
	"strings"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// maxTokens is how many tokens of one account live side by side. One more ends
// the oldest.
const maxTokens = 100

// expiredFor is how long an expired token is still told from one that never was.
const expiredFor = 7 * 24 * time.Hour

// login answers /v2/account/login. A wrong id and a wrong password get the same
// answer after the same work.
//
// A second login from the same device leaves the first token alone: the name is
// the client's own, two applications or two phones may share it, and a login
// whose answer was lost must not end the session that still works.
func login(w *guest.Response, r *guest.Request) error {
	kv := r.KV()
	appID, err := callingApp(r)
	if err != nil {
		return err
	}
	id, err := loginID(r)
	if err != nil {
		return err
	}
	password, err := parameter(r, "password")
	if err != nil {
		return err
	}
	name, err := textParameter(r, "device", maxDevice)
	if err != nil {
		return err
	}
	ttl, err := tokenTTL(r)
	if err != nil {
		return err
	}
	t, err := newThrottle(r, id)
	if err != nil {
		return err
	}
	if err := t.blocked(w); err != nil {
		return err
	}
	accountID, a, found, err := findLogin(kv, id)
	if err != nil {
		return err
	}
	ok, err := verify(r, a.hash, password)
	if err != nil {
		return err
	}
	if !ok || !found {
		if err := t.failed(kv); err != nil {
			return err
		}
		w.Fail(errDenied)
		return nil
	}
	if err := t.succeeded(kv); err != nil {
		return err
	}
	secret, err := issue(r, token{account: accountID, app: appID}, name, ttl)
	if err != nil {
		return err
	}
	w.Header("Cache-Control", "no-store")
	succeed(w, r, "access_token", func(v *abi.Writer) {
		entry(v, "access_token", secret)
		entry(v, "token_type", "bearer")
		entryInt(v, "expires_in", int64(ttl/time.Second))
		v.Key("config")
		v.Map()
		v.End()
		// When the account was created: clients in the field read it as a time
		// in milliseconds.
		entryTime(v, "account_created", a.created)
	})
	return nil
}

// loginID returns what a client logs in as, in lower case: parameter id, or
// username, which some clients send instead.
func loginID(r *guest.Request) (string, error) {
	name := "id"
	if s, _ := r.Value("id"); s == "" {
		if s, _ := r.Value("username"); s != "" {
			name = "username"
		}
	}
	id, err := parameter(r, name)
	if err != nil {
		return "", err
	}
	return strings.ToLower(id), checkText(name, id, maxID)
}

// issue makes a token, for an application or for a session, and returns what the
// client shows for it. Of that only the hash is kept: who reads the store cannot
// act for anybody.
func issue(r *guest.Request, t token, name string, ttl time.Duration) (string, error) {
	kv, now := r.KV(), r.Time()
	if err := makeRoom(kv, t.account); err != nil {
		return "", err
	}
	secret := random(tokenSize)
	hash := sha256.Sum256([]byte(secret))
	t.id, t.expires = tokenID(now), now.Add(ttl).UnixMicro()
	d := device{hash: hash[:], name: name, app: t.app, created: now.UnixMicro(), expires: t.expires}
	if err := kv.PutTTL(tokenKey(hash[:]), t.record(), ttl+expiredFor); err != nil {
		return "", err
	}
	return secret, kv.PutTTL(deviceKey(t.account, t.id), d.record(), ttl)
}

// tokenIDTime is how many characters of a token's id are its time, in
// hexadecimal milliseconds; they put an account's tokens in order.
const (
	tokenIDTime   = 12
	tokenIDRandom = 12
)

func tokenID(now time.Time) string {
	ms := strconv.FormatInt(now.UnixMilli(), 16)
	return strings.Repeat("0", max(0, tokenIDTime-len(ms))) + ms + random(tokenIDRandom)
}

// makeRoom ends the oldest tokens of an account that has as many as it may.
func makeRoom(kv *guest.KV, account string) error {
	page, err := kv.Scan(devices(account))
	if err != nil {
		return err
	}
	for len(page.Entries) >= maxTokens {
		if err := revokeEntry(kv, page.Entries[0]); err != nil {
			return err
		}
		page.Entries = page.Entries[1:]
	}
	return nil
}

// devices is the range of an account's tokens. It holds at most maxTokens, which
// is less than a page.
func devices(account string) abi.Range { return guest.Prefix(deviceKey(account, "")) }

func revokeEntry(kv *guest.KV, e abi.Entry) error {
	d, err := readDevice(e.Value)
	if err != nil {
		return err
	}
	if err := kv.Delete(tokenKey(d.hash)); err != nil {
		return err
	}
	return kv.Delete(e.Key)
}

// revokeTokens ends all tokens of an account except the one with the id keep,
// and returns how many.
func revokeTokens(kv *guest.KV, account, keep string) (n int, err error) {
	page, err := kv.Scan(devices(account))
	if err != nil {
		return 0, err
	}
	for _, e := range page.Entries {
		if string(e.Key) == string(deviceKey(account, keep)) {
			continue
		}
		if err := revokeEntry(kv, e); err != nil {
			return 0, err
		}
		n++
	}
	return n, nil
}

// revokeToken ends one token of an account and tells whether there was one.
func revokeToken(kv *guest.KV, account, id string) (bool, error) {
	key := deviceKey(account, id)
	record, found, err := kv.Get(key)
	if err != nil || !found {
		return false, err
	}
	return true, revokeEntry(kv, abi.Entry{Key: key, Value: record})
}

// logout answers POST /v2/account/logout: it ends the token that it is called
// with, or with all=true every token of the account.
func logout(w *guest.Response, r *guest.Request) error {
	all, err := r.Bool("all", false)
	if err != nil {
		return err
	}
	var n int
	if all {
		n, err = revokeTokens(r.KV(), r.Caller().Account, "")
	} else {
		var found bool
		if found, err = revokeToken(r.KV(), r.Caller().Account, r.Caller().Token); found {
			n = 1
		}
	}
	if err != nil {
		return err
	}
	succeed(w, r, "logout", func(v *abi.Writer) { entryInt(v, "revoked", int64(n)) })
	return nil
}

// eachDevice calls fn with the caller's tokens that have not expired, the latest
// first.
func eachDevice(r *guest.Request, fn func(id string, d *device)) error {
	all := devices(r.Caller().Account)
	prefix := len(all.Start)
	all.Reverse = true
	page, err := r.KV().Scan(all)
	if err != nil {
		return err
	}
	for _, e := range page.Entries {
		d, err := readDevice(e.Value)
		if err != nil {
			return err
		}
		if d.expires > r.Time().UnixMicro() {
			fn(string(e.Key[prefix:]), &d)
		}
	}
	return nil
}

// listDevices answers GET /v2/account/devices: where the account is logged in.
func listDevices(w *guest.Response, r *guest.Request) (err error) {
	succeed(w, r, "devices", func(v *abi.Writer) {
		v.Key("items")
		v.Array()
		err = eachDevice(r, func(id string, d *device) {
			v.Map()
			entry(v, "id", id)
			entry(v, "device", d.name)
			entry(v, "api_key_id", d.app)
			entryTime(v, "created_time", d.created)
			entryTime(v, "expires_time", d.expires)
			v.Key("current")
			v.Bool(id == r.Caller().Token)
			v.End()
		})
		v.End()
	})
	return err
}

// revokeOwn ends a token of the caller's account, by an id that a client sends.
func revokeOwn(r *guest.Request, id string) (found bool, err error) {
	if !isRandom(id, tokenIDTime+tokenIDRandom) {
		return false, nil
	}
	return revokeToken(r.KV(), r.Caller().Account, id)
}

// revokeDevice answers DELETE /v2/account/devices/:id, and POST …/delete.
func revokeDevice(w *guest.Response, r *guest.Request) error {
	id := r.Param("id")
	found, err := revokeOwn(r, id)
	if err != nil {
		return err
	}
	if !found {
		return guest.Errorf(404, "not_found", "There is no device with this id.")
	}
	succeed(w, r, "device", func(v *abi.Writer) { entry(v, "id", id) })
	return nil
}

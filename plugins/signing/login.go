package main

import (
	"cmp"
	"crypto/sha256"
	"crypto/subtle"
	"errors"
	"net/url"
	"strconv"
	"strings"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// An identity is what a provider vouches for.
type identity struct {
	id       string // the claimed identifier, or issuer + "#" + subject
	name     string
	nickname string
	email    string
}

// An attempt is a login under way: what has to be remembered between the
// redirect to the provider and the way back.
type attempt struct {
	browser  []byte // SHA-256 of the login cookie
	back     string // local path to return to; "": none
	provider string // of OpenID Connect, by its name; "": OpenID 2.0

	// Of OpenID 2.0, as discovered.
	claimed  string // the claimed identifier; "": the provider has the user choose
	local    string
	endpoint string

	// Of OpenID Connect.
	nonce    string
	verifier string
}

func (a *attempt) record() []byte {
	var w abi.Writer
	w.FixedArray(8)
	w.Bytes(a.browser)
	for _, s := range []string{a.back, a.provider, a.claimed, a.local, a.endpoint, a.nonce, a.verifier} {
		w.Text(s)
	}
	return w.Value()
}

func readAttempt(record []byte) (a attempt, err error) {
	err = read(record, "attempt", 8, func(r *abi.Reader, _ int) int {
		a.browser = r.Bytes()
		for _, s := range []*string{&a.back, &a.provider, &a.claimed, &a.local, &a.endpoint, &a.nonce, &a.verifier} {
			*s = r.Text()
		}
		return 0
	})
	return a, err
}

// What an operator sets for logins, besides the providers of OpenID Connect. The
// manifest's egress has to let the plugin reach the pages of OpenIDs and their
// providers. What a provider of OpenID 2.0 says is meant for base_url, or, where the
// deployment has none, for the host that the browser names: one of the two,
// base_url or hosts, must tell this server from others, see checkAudience.
//
//	session_ttl   how long a session lasts             168h  (1m to 8760h)
//	login_starts  logins per address in login_window   30    (1 to 1000)

// A login that is not finished by then has to be begun again.
const attemptTTL = 10 * time.Minute

// loginCookie is the name of the cookie that ties an attempt to the browser that
// began it: nobody can have somebody else finish it, and so be logged in as who
// they are not.
const loginCookie = "edgeset_login"

// attemptKey is where an attempt is kept: l/<SHA-256 of its state>.
func attemptKey(state string) []byte {
	hash := sha256.Sum256([]byte(state))
	return append([]byte("l/"), hash[:]...)
}

func routeLogin(f *guest.Family) {
	small := guest.MaxBody(16 << 10)
	session := guest.Auth(sessionProof)
	either := guest.Auth(sessionProof, tokenProof)

	f.GET("/1.0/login", beginLogin, guest.Writes)
	f.GET("/1.0/login/*openid", beginLogin, guest.Writes)
	f.GET("/1.0/login/callback", finishLogin, guest.Writes)
	f.POST("/1.0/login/callback", postedCallback, guest.ReadOnly, guest.Form, small)

	f.GET("/1.0/logout", endLogin, guest.Writes)
	f.POST("/1.0/logout", endLogin)

	f.GET("/1.0/session", showSession, session)
	f.GET("/1.0/sessions", listSessions, either)
	f.DELETE("/1.0/sessions/:id", revokeSession, either)
	f.POST("/1.0/sessions/:id/delete", revokeSession, either)
}

// Why a login goes no further.
var (
	errCancelled = guest.Errorf(403, "login_cancelled", "The login was cancelled at the OpenID provider.")
	errAttempt   = guest.Errorf(400, "login_unknown", "No such login is under way: it was finished, or took too long. Log in again.")
	errMismatch  = guest.Errorf(403, "login_mismatch", "The login was begun in another browser, or its cookies are off.")
)

// beginLogin answers GET /1.0/login/OPENID, and /1.0/login?openid_identifier=, by
// sending the browser to the provider.
func beginLogin(w *guest.Response, r *guest.Request) error {
	identifier := fromPath(r.Param("openid"))
	for _, name := range []string{"openid_identifier", "openid"} {
		identifier = cmp.Or(identifier, r.Query(name))
	}
	if identifier == "" {
		return guest.Errorf(400, "missing_parameter", "openid_identifier is missing: the OpenID to log in with.")
	}
	back, err := localPath(r.Query("return"))
	if err != nil {
		return err
	}
	if err := countBegin(w, r); err != nil {
		return err
	}
	return keep(w, redirectToProvider(w, r, identifier, back))
}

// keep makes a refusal one that leaves its traces: what the attempt has cost is
// counted, and what it has used up stays so.
func keep(w *guest.Response, err error) error {
	if e, ok := errors.AsType[*guest.Error](err); ok {
		w.Fail(e)
		return nil
	}
	return err
}

func redirectToProvider(w *guest.Response, r *guest.Request, identifier, back string) error {
	secret, state := random(tokenSize), random(tokenSize)
	browser := sha256.Sum256([]byte(secret))
	a := attempt{browser: browser[:], back: back}
	p, found, err := oidcFor(r, identifier)
	if err != nil {
		return err
	}
	var location string
	if found {
		location, err = p.begin(r, &a, state, callback(r))
	} else {
		location, err = beginOpenID(r, &a, identifier, state)
	}
	if err != nil {
		return err
	}
	if err := r.KV().PutTTL(attemptKey(state), a.record(), attemptTTL); err != nil {
		return err
	}
	setCookie(w, r, cookie{name: loginCookie, value: secret, path: "/1.0/login", age: attemptTTL})
	w.Header("Cache-Control", "no-store")
	w.Redirect(302, location)
	return nil
}

// callback is where providers send browsers back to.
func callback(r *guest.Request) string { return r.BaseURL() + "/1.0/login/callback" }

// finishLogin answers GET /1.0/login/callback: the browser is back from the
// provider.
func finishLogin(w *guest.Response, r *guest.Request) error {
	state := r.Query("state")
	if state == "" {
		return guest.Errorf(400, "missing_parameter", "state is missing.")
	}
	record, found, err := r.KV().Get(attemptKey(state))
	if err != nil {
		return err
	}
	if !found {
		return errAttempt
	}
	a, err := readAttempt(record)
	if err != nil {
		return err
	}
	browser := sha256.Sum256([]byte(r.Cookie(loginCookie)))
	if subtle.ConstantTimeCompare(browser[:], a.browser) != 1 {
		return errMismatch
	}
	// An attempt is good for one answer of the provider, whatever that is.
	if err := r.KV().Delete(attemptKey(state)); err != nil {
		return err
	}
	setCookie(w, r, cookie{name: loginCookie, path: "/1.0/login"})
	return keep(w, enter(w, r, &a, state))
}

// enter logs in who the provider says it is.
func enter(w *guest.Response, r *guest.Request, a *attempt, state string) error {
	who, err := vouched(r, a, state)
	if err != nil {
		return err
	}
	if err := who.complete(); err != nil {
		return err
	}
	id, account, err := signIn(r, who)
	if err != nil {
		return err
	}
	expires, err := startSession(w, r, id)
	if err != nil {
		return err
	}
	if a.back == "" {
		writeSession(w, id, &account, expires)
		return nil
	}
	w.Header("Cache-Control", "no-store")
	w.Redirect(303, a.back)
	return nil
}

func vouched(r *guest.Request, a *attempt, state string) (who identity, err error) {
	if a.provider == "" {
		return finishOpenID(r, a, state)
	}
	p, found, err := oidcNamed(r, a.provider)
	if err != nil {
		return who, err
	}
	if !found { // the operator has taken it away
		return who, errAttempt
	}
	return p.finish(r, a, callback(r))
}

// maxEmail is the length of an e-mail address by RFC 5321, in characters.
const maxEmail = 254

// complete refuses a login without full name, nickname and e-mail address. What
// cannot be shown counts as missing.
func (who *identity) complete() error {
	var missing []string
	for _, f := range []struct {
		name  string
		value *string
		limit int
	}{{"full name", &who.name, maxName}, {"nickname", &who.nickname, maxName}, {"e-mail address", &who.email, maxEmail}} {
		*f.value = strings.TrimSpace(*f.value)
		if *f.value == "" || checkText(f.name, *f.value, f.limit) != nil {
			missing = append(missing, f.name)
		}
	}
	if missing == nil {
		return nil
	}
	return guest.Errorf(403, "profile_incomplete", "The OpenID provider must tell full name, nickname and e-mail address; missing: %s.", strings.Join(missing, ", "))
}

// maxCallback bounds the URL that a posted callback becomes, in bytes: it has to
// pass as the head of a request.
const maxCallback = 12 << 10

// postedCallback answers POST /1.0/login/callback. A provider has the browser post
// a long answer. Cookies of this server do not come with a request that another
// site makes the browser post, so it is sent to where the same is got.
func postedCallback(w *guest.Response, r *guest.Request) error {
	var query strings.Builder
	add := func(name, value []byte) bool {
		if query.Len() > 0 {
			query.WriteByte('&')
		}
		query.WriteString(url.QueryEscape(string(name)) + "=" + url.QueryEscape(string(value)))
		return query.Len() <= maxCallback
	}
	r.QueryPairs().Each(add)
	r.Form().Each(add)
	if query.Len() > maxCallback {
		return guest.Errorf(400, "bad_parameter", "The OpenID provider's answer is too long.")
	}
	w.Header("Cache-Control", "no-store")
	w.Redirect(303, callback(r)+"?"+query.String())
	return nil
}

// A cookie is one that this plugin sets: no script sees it, and no request that
// another site makes carries it, but for going to a page.
type cookie struct {
	name  string
	value string // "": the browser forgets it
	path  string
	age   time.Duration
}

func setCookie(w *guest.Response, r *guest.Request, c cookie) {
	w.Header("Set-Cookie", c.header(r.BaseURL()))
}

// header is the cookie for a deployment that may stand below a path of its host.
func (c *cookie) header(base string) string {
	path := c.path
	if u, err := url.Parse(base); err == nil && path != "/" {
		path = u.EscapedPath() + path
	}
	s := c.name + "=" + c.value + "; Path=" + path + "; Max-Age=" + strconv.FormatInt(int64(c.age/time.Second), 10) +
		"; HttpOnly; SameSite=Lax"
	if strings.HasPrefix(base, "https://") {
		s += "; Secure"
	}
	return s
}

// countBegin counts the logins that are begun from an address, in the window of
// the throttle of passwords: each costs requests to others.
func countBegin(w *guest.Response, r *guest.Request) error {
	limit, err := countSetting(r, "login_starts", 30)
	if err != nil {
		return err
	}
	window, err := loginWindow(r)
	if err != nil {
		return err
	}
	remote := network(r.Remote())
	if remote == "" {
		return nil
	}
	now := r.Time().UnixMicro()
	c := counter{key: []byte("f/l/" + remote), limit: limit}
	if err := c.read(r.KV(), now-window.Microseconds()); err != nil {
		return err
	}
	if until := c.full(window); until > 0 {
		return throttled(w, "logins", until-now)
	}
	c.times = append(c.times, now)
	return r.KV().PutTTL(c.key, c.times.record(), window)
}

package main

import (
	"crypto/hmac"
	"crypto/sha256"
	"encoding/base64"
	"fmt"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guesttest"
)

const (
	bobID      = "http://bob.example/"
	opEndpoint = "https://op.example/auth?v=2"
)

// A provider is one of OpenID 2.0, and the pages of those it vouches for.
type provider struct {
	web
	b        *bench
	nonces   int
	used     map[string]bool // nonces of responses that were verified
	verdict  *abi.FetchReply // instead of its own
	verified []url.Values    // what it was asked to verify
}

// newProvider gives the plugin a provider that vouches for Bob.
func (b *bench) newProvider() *provider {
	p := &provider{b: b, used: map[string]bool{}}
	p.pages = map[string]page{
		bobID:                 {body: `<head><link rel="openid2.provider" href="` + opEndpoint + `"><link rel="openid2.local_id" href="https://op.example/bob">`},
		"http://ann.example/": {kind: xrdsType, body: xrds(signon("", "<URI>"+opEndpoint+"</URI>"))},
		"https://op.example/": {kind: xrdsType, body: xrds("<Service><Type>" + typeServer + "</Type><URI>" + opEndpoint + "</URI></Service>")},
		"http://eve.example/": {kind: xrdsType, body: xrds(signon("", "<URI>https://eve.example/auth</URI>"))},
	}
	b.Host.Web = p.answer
	return p
}

func (p *provider) answer(f *abi.Fetch) *abi.FetchReply {
	if f.Method != "POST" {
		return p.fetch(f)
	}
	q, err := url.ParseQuery(string(f.Body))
	if kind, _ := f.Headers.Get("Content-Type"); err != nil || kind != "application/x-www-form-urlencoded" || f.URL != opEndpoint || f.Follow {
		p.b.t.Errorf("%s %s: %q", f.Method, f.URL, f.Body)
	}
	p.verified = append(p.verified, q)
	if p.verdict != nil {
		return p.verdict
	}
	nonce := q.Get("openid.response_nonce")
	valid := q.Get("openid.mode") == "check_authentication" && q.Get("openid.sig") == sign(q) && !p.used[nonce]
	p.used[nonce] = true
	return &abi.FetchReply{Status: 200, Body: fmt.Appendf(nil, "ns:%s\nis_valid:%v\n", spaceOpenID, valid)}
}

// sign is the provider's signature of the fields that are named in signed.
func sign(q url.Values) string {
	mac := hmac.New(sha256.New, []byte("secret"))
	for name := range strings.SplitSeq(q.Get("openid.signed"), ",") {
		fmt.Fprintf(mac, "%s:%s\n", name, q.Get("openid."+name))
	}
	return base64.StdEncoding.EncodeToString(mac.Sum(nil))
}

// assertion is the answer to a request: that it is from who is asked for, whose
// profile is Bob's.
func (p *provider) assertion(location string) url.Values {
	p.b.t.Helper()
	u, err := url.Parse(location)
	if err != nil || !strings.HasPrefix(location, opEndpoint+"&") {
		p.b.t.Fatalf("location %q", location)
	}
	q := u.Query()
	p.nonces++
	a := form([]string{
		"openid.ns", spaceOpenID, "openid.mode", "id_res", "openid.op_endpoint", opEndpoint,
		"openid.claimed_id", q.Get("openid.claimed_id"), "openid.identity", q.Get("openid.identity"),
		"openid.return_to", q.Get("openid.return_to"), "openid.assoc_handle", "1",
		"openid.response_nonce", fmt.Sprintf("%s%d", p.b.Host.Now.Format("2006-01-02T15:04:05Z"), p.nonces),
		"openid.ns.sreg", spaceSReg, "openid.sreg.fullname", "Bob Smith", "openid.sreg.nickname", "bob",
		"openid.sreg.email", "bob@bob.example",
	})
	p.sign(a)
	return a
}

// sign signs all fields of an answer.
func (p *provider) sign(a url.Values) {
	var names []string
	for name := range a {
		if name = strings.TrimPrefix(name, "openid."); name != "mode" && name != "signed" && name != "sig" {
			names = append(names, name)
		}
	}
	slices.Sort(names)
	a.Set("openid.signed", strings.Join(names, ","))
	a.Set("openid.sig", sign(a))
}

// A visitor is a browser.
type visitor struct {
	b   *bench
	jar map[string]string
}

func (b *bench) visitor() *visitor { return &visitor{b, map[string]string{}} }

func (v *visitor) cookies() string {
	var list []string
	for _, name := range slices.Sorted(maps.Keys(v.jar)) {
		list = append(list, name+"="+v.jar[name])
	}
	return strings.Join(list, "; ")
}

func (v *visitor) get(path string) *guesttest.Response {
	v.b.t.Helper()
	return v.do(guesttest.Request{Path: path})
}

// do sends a request with the browser's cookies, and keeps those that come. It is
// made by whom the session cookie stands for.
func (v *visitor) do(q guesttest.Request) *guesttest.Response {
	v.b.t.Helper()
	q.Headers = map[string]string{"Cookie": v.cookies(), "User-Agent": "Browser/1.0"}
	if s := v.jar[sessionCookie]; s != "" {
		if caller, err := v.b.Authenticate(sessionProof, s); err == nil {
			q.Caller = &caller
		}
	}
	r := v.b.send(q)
	if c := r.Headers["Set-Cookie"]; c != "" {
		name, value, _ := strings.Cut(strings.SplitN(c, ";", 2)[0], "=")
		v.jar[name] = value
		if value == "" {
			delete(v.jar, name)
		}
	}
	return r
}

// begin begins a login and returns where the provider is.
func (v *visitor) begin(openid string, params ...string) string {
	v.b.t.Helper()
	r := v.get("/1.0/login/" + openid + "?" + form(params).Encode())
	if r.Status != 302 || r.Err != nil {
		v.b.t.Fatal(r)
	}
	return r.Headers["Location"]
}

// answer comes back from the provider.
func (v *visitor) answer(a url.Values) *guesttest.Response {
	v.b.t.Helper()
	to := a.Get("openid.return_to")
	back, ok := strings.CutPrefix(to, "http://edge.test")
	if !ok {
		v.b.t.Fatalf("return_to %q", to)
	}
	return v.get(back + "&" + a.Encode())
}

// login logs in with an OpenID and returns the answer.
func (v *visitor) login(p *provider, openid string, params ...string) *guesttest.Response {
	v.b.t.Helper()
	r := v.answer(p.assertion(v.begin(openid, params...)))
	if r.Err != nil {
		v.b.t.Fatal(r)
	}
	return r
}

func TestLogin(t *testing.T) {
	b := newBench(t)
	p, v := b.newProvider(), b.visitor()
	location := v.begin("bob.example")
	u, err := url.Parse(location)
	if err != nil {
		t.Fatal(err)
	}
	q := u.Query()
	to, err := url.Parse(q.Get("openid.return_to"))
	if err != nil {
		t.Fatal(err)
	}
	state := to.Query().Get("state")
	for name, want := range map[string]string{
		"v": "2", "openid.ns": spaceOpenID, "openid.mode": "checkid_setup", "openid.claimed_id": bobID,
		"openid.identity": "https://op.example/bob", "openid.realm": "http://edge.test/1.0/",
		"openid.return_to": "http://edge.test/1.0/login/callback?state=" + state,
		"openid.ns.sreg":   spaceSReg, "openid.sreg.required": "nickname,fullname,email",
		"openid.ns.ax": spaceAX, "openid.ax.mode": "fetch_request", "openid.ax.required": "fullname,nickname,email",
		"openid.ax.type.nickname": "http://axschema.org/namePerson/friendly",
	} {
		if q.Get(name) != want {
			t.Errorf("%s: got %q, want %q", name, q.Get(name), want)
		}
	}
	r := v.answer(p.assertion(location))
	if r.Status != 200 || r.Text("name") != "Bob Smith" || r.Text("nickname") != "bob" || r.Text("email") != "bob@bob.example" ||
		len(r.Text("account")) != accountIDSize || r.Text("expires") != fmt.Sprint(b.Host.Now.Add(7*24*time.Hour).UnixMilli()) ||
		r.Headers["Cache-Control"] != "no-store" {
		t.Fatal(r)
	}
	c := r.Headers["Set-Cookie"]
	secret := v.jar[sessionCookie]
	if c != "edgeset_session="+secret+"; Path=/; Max-Age=604800; HttpOnly; SameSite=Lax" || len(secret) != tokenSize {
		t.Fatalf("got %s", c)
	}
	caller, err := b.Authenticate(sessionProof, secret)
	want := abi.Caller{Account: r.Text("account"), Proof: sessionProof, Token: caller.Token, Scheme: "openid", Name: "bob",
		Expires: b.Host.Now.Add(7 * 24 * time.Hour).UnixMicro()}
	if err != nil || caller != want || caller.Token == "" {
		t.Fatalf("got %+v, %v, want %+v", caller, err, want)
	}
	for _, s := range []string{secret, state} {
		if strings.Contains(b.dump(), fmt.Sprintf("%x", s)) {
			t.Errorf("%s is stored as it is", s)
		}
	}
}

func TestLoginCookieIsTheBrowsers(t *testing.T) {
	b := newBench(t)
	b.newProvider()
	r := b.visitor().get("/1.0/login/bob.example")
	name, rest, _ := strings.Cut(r.Headers["Set-Cookie"], "=")
	value, rest, _ := strings.Cut(rest, ";")
	if name != loginCookie || !isRandom(value, tokenSize) || rest != " Path=/1.0/login; Max-Age=600; HttpOnly; SameSite=Lax" ||
		strings.Contains(r.Headers["Location"], value) || r.Headers["Cache-Control"] != "no-store" {
		t.Fatalf("got %v", r.Headers)
	}
}

func TestLoginByEitherForm(t *testing.T) {
	b := newBench(t)
	p := b.newProvider()
	p.pages["https://bob.example/me/"] = p.pages[bobID]
	for path, want := range map[string]string{
		"/1.0/login?openid_identifier=bob.example":                   bobID,
		"/1.0/login?openid=http%3A%2F%2Fbob.example%2F":              bobID,
		"/1.0/login/http:/bob.example":                               bobID,
		"/1.0/login/http://bob.example/":                             bobID,
		"/1.0/login/https:/bob.example/me/":                          "https://bob.example/me/",
		"/1.0/login?openid_identifier=https://bob.example/me/%23now": "https://bob.example/me/",
	} {
		r := b.visitor().get(path)
		u, err := url.Parse(r.Headers["Location"])
		if err != nil || r.Status != 302 || u.Query().Get("openid.claimed_id") != want {
			t.Errorf("%s: %v, %v", path, r, u)
		}
	}
}

func TestLoginAnswersPosted(t *testing.T) {
	b := newBench(t)
	p, v := b.newProvider(), b.visitor()
	a := p.assertion(v.begin("bob.example"))
	to := strings.TrimPrefix(a.Get("openid.return_to"), "http://edge.test")
	// The browser sends no cookies with it.
	r := b.send(guesttest.Request{Method: "POST", Path: to, Form: a})
	next, ok := strings.CutPrefix(r.Headers["Location"], "http://edge.test")
	if r.Status != 303 || !ok {
		t.Fatal(r)
	}
	if r := v.get(next); r.Text("nickname") != "bob" {
		t.Fatal(r)
	}
	a.Set("openid.more", strings.Repeat("x", maxCallback))
	b.refused(b.send(guesttest.Request{Method: "POST", Path: to, Form: a}), 400, "bad_parameter")
}

func TestLoginReturnsToItsPage(t *testing.T) {
	b := newBench(t)
	p, v := b.newProvider(), b.visitor()
	r := v.login(p, "bob.example", "return", "/photos?page=2")
	if r.Status != 303 || r.Headers["Location"] != "/photos?page=2" || len(r.Raw) != 0 || v.jar[sessionCookie] == "" {
		t.Fatal(r)
	}
	b.refused(v.get("/1.0/login/bob.example?return=https://evil.example/"), 400, "bad_parameter")
}

func TestCookies(t *testing.T) {
	login := cookie{name: "l", value: "x", path: "/1.0/login", age: time.Minute}
	over := cookie{name: "s", path: "/"}
	for _, c := range []struct {
		cookie cookie
		base   string
		want   string
	}{
		{login, "http://edge.test", "l=x; Path=/1.0/login; Max-Age=60; HttpOnly; SameSite=Lax"},
		{login, "https://edge.test/below", "l=x; Path=/below/1.0/login; Max-Age=60; HttpOnly; SameSite=Lax; Secure"},
		{over, "https://edge.test/below", "s=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax; Secure"},
	} {
		if got := c.cookie.header(c.base); got != c.want {
			t.Errorf("got %s, want %s", got, c.want)
		}
	}
}

func TestAnOpenIDIsOneAccount(t *testing.T) {
	b := newBench(t)
	p := b.newProvider()
	id := b.visitor().login(p, "bob.example").Text("account")
	before := b.dump()
	b.Advance(time.Minute)

	v := b.visitor()
	a := p.assertion(v.begin("bob.example"))
	a.Set("openid.sreg.nickname", "bobby")
	p.sign(a)
	if r := v.answer(a); r.Text("account") != id || r.Text("nickname") != "bobby" {
		t.Fatal(r)
	}
	if r := v.get("/1.0/session"); r.Text("nickname") != "bobby" || r.Text("account") != id {
		t.Fatal(r)
	}
	if before == b.dump() {
		t.Fatal("nothing was written")
	}
	if r := b.visitor().login(p, "ann.example"); r.Text("account") == id {
		t.Fatal("two OpenIDs are one account")
	}
	// A later holder of the identifier is somebody else.
	v = b.visitor()
	a = p.assertion(v.begin("bob.example"))
	a.Set("openid.claimed_id", bobID+"#2")
	p.sign(a)
	if r := v.answer(a); r.Err != nil || r.Text("account") == id {
		t.Fatal(r)
	}
}

func TestAccountOfAnOpenIDHasNoPassword(t *testing.T) {
	b := newBench(t)
	id := b.visitor().login(b.newProvider(), "bob.example").Text("account")
	for _, password := range []string{"correct horse", "bob", " "} {
		b.refused(b.login(id, password), 401, "access_denied")
	}
	b.refused(b.login(id, ""), 400, "missing_parameter")
}

func TestLoginNeedsAProfile(t *testing.T) {
	b := newBench(t)
	p := b.newProvider()
	entries := b.Host.Len()
	for _, c := range []struct {
		name string
		edit func(a url.Values)
		says string
	}{
		{"none", func(a url.Values) {
			for _, name := range []string{"fullname", "nickname", "email"} {
				a.Del("openid.sreg." + name)
			}
		}, "full name, nickname, e-mail address"},
		{"no nickname", func(a url.Values) { a.Del("openid.sreg.nickname") }, "nickname"},
		{"a blank name", func(a url.Values) { a.Set("openid.sreg.fullname", " \t") }, "full name"},
		{"a long address", func(a url.Values) { a.Set("openid.sreg.email", strings.Repeat("x", 255)) }, "e-mail address"},
		{"a nickname that garbles", func(a url.Values) { a.Set("openid.sreg.nickname", "bob\x1b[2J") }, "nickname"},
		{"of no known kind", func(a url.Values) { a.Set("openid.ns.sreg", "http://other.example/") }, "full name, nickname, e-mail address"},
	} {
		b.Advance(time.Hour)
		v := b.visitor()
		a := p.assertion(v.begin("bob.example"))
		c.edit(a)
		p.sign(a)
		r := v.answer(a)
		b.refused(r, 403, "profile_incomplete")
		if !strings.HasSuffix(r.Err.Message, "missing: "+c.says+".") {
			t.Errorf("%s: %v", c.name, r)
		}
	}
	b.Advance(time.Hour)
	if n := b.Host.Len(); n != entries {
		t.Errorf("%d entries are left, want %d", n, entries)
	}
}

func TestProfileByAttributeExchange(t *testing.T) {
	b := newBench(t)
	p := b.newProvider()
	for name, more := range map[string][]string{
		"the full name":       {"openid.x.type.n", "http://axschema.org/namePerson", "openid.x.value.n", "Bob Smith"},
		"its parts":           {"openid.x.type.f", "http://schema.openid.net/namePerson/first", "openid.x.value.f", "Bob", "openid.x.type.l", "http://axschema.org/namePerson/last", "openid.x.value.l", "Smith"},
		"the first of values": {"openid.x.type.n", "http://axschema.org/namePerson", "openid.x.count.n", "2", "openid.x.value.n.1", "Bob Smith", "openid.x.value.n.2", "B."},
	} {
		v := b.visitor()
		a := p.assertion(v.begin("bob.example"))
		for _, s := range []string{"ns.sreg", "sreg.fullname", "sreg.nickname", "sreg.email"} {
			a.Del("openid." + s)
		}
		maps.Copy(a, form(append(more, "openid.ns.x", spaceAX, "openid.x.mode", "fetch_response",
			"openid.x.type.nick", "http://axschema.org/namePerson/friendly", "openid.x.value.nick", "bob",
			"openid.x.type.mail", "http://axschema.org/contact/email", "openid.x.value.mail", "bob@bob.example")))
		p.sign(a)
		if r := v.answer(a); r.Text("name") != "Bob Smith" || r.Text("nickname") != "bob" || r.Text("email") != "bob@bob.example" {
			t.Errorf("%s: %v", name, r)
		}
	}
}

func TestAttributesOfAnotherMessageDoNotCount(t *testing.T) {
	b := newBench(t)
	p, v := b.newProvider(), b.visitor()
	a := p.assertion(v.begin("bob.example"))
	a.Del("openid.sreg.email")
	maps.Copy(a, form([]string{"openid.ns.x", spaceAX, "openid.x.mode", "store_request",
		"openid.x.type.mail", "http://axschema.org/contact/email", "openid.x.value.mail", "bob@bob.example"}))
	p.sign(a)
	b.refused(v.answer(a), 403, "profile_incomplete")
}

func TestUnsignedProfileDoesNotCount(t *testing.T) {
	b := newBench(t)
	p, v := b.newProvider(), b.visitor()
	a := p.assertion(v.begin("bob.example"))
	a.Set("openid.signed", strings.ReplaceAll(a.Get("openid.signed"), ",sreg.email", ""))
	a.Set("openid.sig", sign(a))
	r := v.answer(a)
	b.refused(r, 403, "profile_incomplete")
	if !strings.HasSuffix(r.Err.Message, "missing: e-mail address.") {
		t.Fatal(r)
	}
}

func TestLoginsAreThrottledByAddress(t *testing.T) {
	b := newBench(t)
	b.Host.Settings["login_starts"] = "3"
	p := b.newProvider()
	from := func(remote, openid string) *guesttest.Response {
		b.Advance(time.Second)
		return b.send(guesttest.Request{Path: "/1.0/login?openid=" + openid, Remote: remote})
	}
	// Those that lead nowhere count, too.
	if r := from("192.0.2.1", "bob.example"); r.Status != 302 {
		t.Fatal(r)
	}
	b.refused(from("192.0.2.1", "nobody.example"), 502, "provider_unreachable")
	b.refused(from("192.0.2.1", "=bob"), 400, "bad_openid")
	n := len(p.asked)
	r := from("192.0.2.1", "bob.example")
	b.refused(r, 429, "throttled")
	if len(p.asked) != n || r.Headers["Retry-After"] != "897" {
		t.Fatalf("%v, %v", r.Headers, p.asked[n:])
	}
	if r := from("192.0.2.2", "bob.example"); r.Status != 302 {
		t.Fatal(r)
	}
	b.Advance(15 * time.Minute)
	if r := from("192.0.2.1", "bob.example"); r.Status != 302 {
		t.Fatal(r)
	}
}

func TestLoginNeedsAnOpenID(t *testing.T) {
	b := newBench(t)
	b.newProvider()
	b.refused(b.visitor().get("/1.0/login"), 400, "missing_parameter")
	b.refused(b.visitor().get("/1.0/login?openid="), 400, "missing_parameter")
	b.refused(b.visitor().get("/1.0/login/@bob"), 400, "bad_openid")
	b.refused(b.visitor().get("/1.0/login/callback"), 400, "missing_parameter")
}

package main

import (
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guesttest"
)

// noSession checks that a cookie stands for nobody, and why.
func (b *bench) noSession(secret, code string) {
	b.t.Helper()
	caller, err := b.Authenticate(sessionProof, secret)
	e, ok := err.(*abi.Error)
	if !ok || e.Status != 401 || e.Code != code {
		b.t.Fatalf("got %v, %v, want 401 %s", caller, err, code)
	}
}

func TestSessionShowsWhoIsLoggedIn(t *testing.T) {
	b := newBench(t)
	v := b.visitor()
	login := v.login(b.newProvider(), "bob.example")
	r := v.get("/1.0/session")
	if r.Status != 200 || r.String() != login.String() || r.Headers["Cache-Control"] != "no-store" {
		t.Fatalf("got %v, want %v", r, login)
	}
	b.refused(b.visitor().get("/1.0/session"), 401, "unauthenticated")
}

// Others see the nickname, and not the full name that the provider told.
func TestOthersSeeTheNickname(t *testing.T) {
	b := newBench(t)
	login := b.visitor().login(b.newProvider(), "bob.example")
	b.create("ann", "correct horse")
	_, ann := b.session("ann", "correct horse", "phone")
	r := b.get(ann, "/v2/users/"+login.Text("account"))
	if r.Text("response.name") != login.Text("nickname") || login.Text("nickname") == login.Text("name") ||
		strings.Contains(r.String(), login.Text("name")) || strings.Contains(r.String(), login.Text("email")) {
		t.Fatalf("got %v of %v", r, login)
	}
}

// So do other plugins, as soon as the account's holder has another.
func TestATokenTellsTheName(t *testing.T) {
	b := newBench(t)
	b.create("ann", "correct horse")
	secret, ann := b.session("ann", "correct horse", "phone")
	for _, name := range []string{"", "Änne", "Ann O'Hara", ""} {
		if r := b.post(ann, "/v2/users/self/update", "name", name); r.Status != 200 {
			t.Fatal(r)
		}
		if caller, err := b.Authenticate(tokenProof, secret); err != nil || caller.Name != name {
			t.Errorf("got %+v, %v, want the name %q", caller, err, name)
		}
	}
}

func TestSessionAndTokenAreNotEachOther(t *testing.T) {
	b := newBench(t)
	v := b.visitor()
	v.login(b.newProvider(), "bob.example")
	b.rejects(v.jar[sessionCookie], "oauth_token")
	b.create("ann", "correct horse")
	secret, caller := b.session("ann", "correct horse", "phone")
	b.noSession(secret, "session_unknown")
	b.refused(b.get(caller, "/1.0/session"), 401, "unauthenticated")
}

func TestGarbageIsNoSession(t *testing.T) {
	b := newBench(t)
	for _, s := range []string{"", "x", random(tokenSize), strings.Repeat("\x00", tokenSize), strings.Repeat("x", 5000)} {
		b.noSession(s, "session_unknown")
	}
}

func TestSessionExpires(t *testing.T) {
	b := newBench(t)
	b.Host.Settings["session_ttl"] = "1h"
	v := b.visitor()
	r := v.login(b.newProvider(), "bob.example")
	if !strings.Contains(r.Headers["Set-Cookie"], "; Max-Age=3600;") {
		t.Fatal(r.Headers)
	}
	secret := v.jar[sessionCookie]
	b.Advance(time.Hour - time.Second)
	if r := v.get("/1.0/session"); r.Status != 200 {
		t.Fatal(r)
	}
	b.Advance(time.Second)
	b.noSession(secret, "session_expired")
	b.Advance(expiredFor)
	b.noSession(secret, "session_unknown")
}

func TestSessionSettingOutOfBounds(t *testing.T) {
	for _, s := range []string{"1s", "9000h", "x"} {
		b := newBench(t)
		b.Host.Settings["session_ttl"] = s
		p, v := b.newProvider(), b.visitor()
		if r := v.answer(p.assertion(v.begin("bob.example"))); r.Status != 500 || v.jar[sessionCookie] != "" {
			t.Errorf("%s: %v", s, r)
		}
	}
}

func TestLogoutEndsTheSession(t *testing.T) {
	b := newBench(t)
	p := b.newProvider()
	var first string
	for _, method := range []string{"GET", "POST"} {
		v := b.visitor()
		v.login(p, "bob.example")
		secret := v.jar[sessionCookie]
		r := v.do(guesttest.Request{Method: method, Path: "/1.0/logout"})
		if r.Status != 200 || r.Headers["Set-Cookie"] != "edgeset_session=; Path=/; Max-Age=0; HttpOnly; SameSite=Lax" || v.jar[sessionCookie] != "" {
			t.Fatalf("%v %v", r, r.Headers)
		}
		b.noSession(secret, "session_unknown")
		if first == "" {
			first = r.String()
		}
		// Who has no session, or a token in its place, is answered alike.
		b.create("ann"+strings.ToLower(method), "correct horse")
		token, _ := b.session("ann"+strings.ToLower(method), "correct horse", "phone")
		for _, cookie := range []string{"", "x", secret, token} {
			v.jar[sessionCookie] = cookie
			if r := v.do(guesttest.Request{Method: method, Path: "/1.0/logout"}); r.String() != first {
				t.Errorf("%q: got %v, want %s", cookie, r, first)
			}
		}
		b.accepts(token)
	}
}

func TestLoginEndsTheSessionOfTheBrowser(t *testing.T) {
	b := newBench(t)
	p, v := b.newProvider(), b.visitor()
	v.login(p, "bob.example")
	first := v.jar[sessionCookie]
	other := b.visitor()
	other.login(p, "bob.example")
	v.login(p, "ann.example")
	b.noSession(first, "session_unknown")
	if v.jar[sessionCookie] == first {
		t.Fatal("the session has its token still")
	}
	if r := other.get("/1.0/session"); r.Status != 200 {
		t.Fatalf("a session of another browser: %v", r)
	}
}

func TestSessionsAreListedAndRevoked(t *testing.T) {
	b := newBench(t)
	p, v, other := b.newProvider(), b.visitor(), b.visitor()
	other.login(p, "bob.example")
	b.Advance(time.Second)
	v.login(p, "bob.example")
	secret := other.jar[sessionCookie]
	r := v.get("/1.0/sessions")
	if len(r.Field("items").([]any)) != 2 || r.Text("items.0.kind") != "session" || r.Text("items.0.device") != "Browser/1.0" ||
		r.Text("items.0.current") != "true" || r.Text("items.1.current") != "false" || r.Field("items.0.api_key_id") != nil {
		t.Fatal(r)
	}
	id := r.Text("items.1.id")
	// Somebody else cannot.
	stranger := b.visitor()
	stranger.login(p, "ann.example")
	for _, s := range []string{id, "x", strings.ToUpper(id)} {
		b.refused(stranger.do(guesttest.Request{Method: "DELETE", Path: "/1.0/sessions/" + s}), 404, "not_found")
	}
	if r := v.do(guesttest.Request{Method: "DELETE", Path: "/1.0/sessions/" + id}); r.Text("id") != id {
		t.Fatal(r)
	}
	b.noSession(secret, "session_unknown")
	b.refused(v.do(guesttest.Request{Method: "POST", Path: "/1.0/sessions/" + id + "/delete"}), 404, "not_found")
	own := r.Text("items.0.id")
	if r := v.do(guesttest.Request{Method: "POST", Path: "/1.0/sessions/" + own + "/delete"}); r.Text("id") != own {
		t.Fatal(r)
	}
	b.refused(v.get("/1.0/session"), 401, "unauthenticated")
}

func TestTokensAreListedWithSessions(t *testing.T) {
	b := newBench(t)
	b.create("ann", "correct horse")
	_, caller := b.session("ann", "correct horse", "phone")
	r := b.get(caller, "/1.0/sessions")
	if r.Text("items.0.kind") != "token" || r.Text("items.0.api_key_id") != b.app || r.Text("items.0.device") != "phone" ||
		r.Text("items.0.current") != "true" {
		t.Fatal(r)
	}
}

func TestSessionsOfAnAccountAreBounded(t *testing.T) {
	b := newBench(t)
	b.Host.Settings["login_starts"] = "1000"
	p := b.newProvider()
	var first, last *visitor
	for range maxTokens + 1 {
		b.Advance(time.Second)
		last = b.visitor()
		if last.login(p, "bob.example"); first == nil {
			first = last
		}
	}
	b.noSession(first.jar[sessionCookie], "session_unknown")
	if r := last.get("/1.0/sessions"); len(r.Field("items").([]any)) != maxTokens {
		t.Fatal(r)
	}
}

func TestBrowserNames(t *testing.T) {
	b := newBench(t)
	p := b.newProvider()
	for agent, want := range map[string]string{
		strings.Repeat("é", 200): strings.Repeat("é", maxDevice), "a\x1bb": "", "": "", "a\xffb": "ab",
	} {
		v := b.visitor()
		a := p.assertion(v.begin("bob.example"))
		to := strings.TrimPrefix(a.Get("openid.return_to"), "http://edge.test")
		r := b.send(guesttest.Request{Path: to + "&" + a.Encode(), Headers: map[string]string{"Cookie": v.cookies(), "User-Agent": agent}})
		v.jar[sessionCookie], _, _ = strings.Cut(strings.TrimPrefix(r.Headers["Set-Cookie"], sessionCookie+"="), ";")
		if r := v.get("/1.0/sessions"); r.Text("items.0.device") != want {
			t.Errorf("%q: %v", agent, r)
		}
		v.get("/1.0/logout")
	}
}

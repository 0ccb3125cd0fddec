package main_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"
)

// turnedAway wants a refusal of /1.0.
func (b *browser) turnedAway(r reply, status int, code string) {
	b.t.Helper()
	if r.status != status || r.text("error.code") != code || r.text("error.message") == "" {
		b.t.Errorf("%v\nwant %d %s", r, status, code)
	}
}

// loggedIn wants to be who that is at the provider, and returns the account.
func (b *browser) loggedIn(r reply, who string) string {
	b.t.Helper()
	if r.status != 200 || r.text("name") != who+" of the test" || r.text("nickname") != who+"-nick" || r.text("email") != who+"@example.org" {
		b.fatalf("%v\nwant the session of %s", r, who)
	}
	return r.text("account")
}

func TestOpenIDConnect(t *testing.T) {
	t.Parallel()
	needProvider(t)
	at, other, down := freeAddr(t), freeAddr(t), freeAddr(t)
	silent := newSilent(t)
	var manifest strings.Builder
	fmt.Fprintf(&manifest, `
[[deployment]]
name = "default"
hosts = ["*"]
[[deployment.plugin]]
name = "sharing"
source = "embedded:sharing"
grants = ["kv"]
[[deployment.plugin]]
name = "signing"
source = "embedded:signing"
grants = ["kv", "passwords"]
instances = 4
egress = ["private:%s", "private:%s", "private:%s", "private:%s"]
[deployment.plugin.config]
login_starts = "1000"
oidc = "op es256 public wrong other down silent denied"
`, at, other, down, silent.listen())
	for _, p := range []struct{ name, issuer, client, secret string }{
		{"op", "http://" + at, "edge basic", oidcSecret},
		{"es256", "http://" + at, "edge-es256", oidcSecret},
		{"public", "http://" + at, "edge-public", ""},
		{"wrong", "http://" + at, "edge basic", oidcSecret + "!"},
		{"other", "http://" + other, "edge basic", oidcSecret},
		{"down", "http://" + down, "edge", ""},
		{"silent", "http://" + silent.listen(), "edge", ""},
		{"denied", "http://127.0.0.1:1", "edge", ""},
	} {
		fmt.Fprintf(&manifest, "oidc_%s_issuer = %q\noidc_%s_client_id = %q\noidc_%s_client_secret = %q\n",
			p.name, p.issuer, p.name, p.client, p.name, p.secret)
	}
	s := newServer(t, manifest.String())
	op := newProvider(t, at, "http://"+at, s)
	newProvider(t, other, "http://issuer.example", s)

	ann := s.browser()
	account := ann.loggedIn(ann.login("op", "ann", ""), "ann")
	if r, _ := ann.visit("/1.0/session"); ann.loggedIn(r, "ann") != account {
		t.Errorf("%v\nwant account %s", r, account)
	}
	code := ann.callback()
	for _, secret := range []string{"id_token", "access_token", "code_verifier", url.QueryEscape(oidcSecret)} {
		for _, place := range ann.seen {
			if strings.Contains(place, secret) {
				t.Errorf("%s stands in %s", secret, place)
			}
		}
	}

	t.Run("the same person is the same account", func(t *testing.T) {
		again := s.browser().in(t)
		if got := again.loggedIn(again.login("op", "ann", ""), "ann"); got != account {
			t.Errorf("account %s, want %s", got, account)
		}
		// Whoever has logged in at the provider is not asked again.
		if got := again.loggedIn(again.login("op", "nobody", ""), "ann"); got != account {
			t.Errorf("account %s, want %s", got, account)
		}
		bob := s.browser().in(t)
		if bob.loggedIn(bob.login("op", "bob", ""), "bob") == account {
			t.Error("two people have one account")
		}
	})
	t.Run("every algorithm and every kind of client", func(t *testing.T) {
		for _, name := range []string{"es256", "public"} {
			b := s.browser().in(t)
			if got := b.loggedIn(b.login(name, "ann", ""), "ann"); got != account {
				t.Errorf("%s: account %s, want %s: it is the same person of the same issuer", name, got, account)
			}
		}
	})
	t.Run("by the issuer", func(t *testing.T) {
		b := s.browser().in(t)
		b.loggedIn(b.login(url.PathEscape(op.issuer+"/"), "ann", ""), "ann")
		b.loggedIn(b.login(op.listen, "ann", ""), "ann")
	})
	t.Run("an answer is taken once", func(t *testing.T) {
		r, _ := ann.visit(code)
		ann.turnedAway(r, 400, "login_unknown")
	})
	t.Run("an answer is taken from the browser that asked", func(t *testing.T) {
		thief, victim := s.browser().in(t), s.browser().in(t)
		thief.http.CheckRedirect = func(r *http.Request, _ []*http.Request) error {
			if thief.seen = append(thief.seen, r.URL.String()); strings.Contains(r.URL.Path, "callback") {
				return http.ErrUseLastResponse
			}
			return nil
		}
		page, _ := thief.visit("/1.0/login/op")
		for range 3 {
			form, prompt := pageForm.FindSubmatch(page.raw), pagePrompt.FindSubmatch(page.raw)
			if form == nil || prompt == nil {
				break
			}
			page, _ = thief.visit(string(form[1]), "prompt", string(prompt[1]), "login", "mallory", "password", "x")
		}
		r, _ := victim.visit(thief.callback())
		victim.turnedAway(r, 403, "login_mismatch")
		r, _ = victim.visit("/1.0/session")
		if r.status != 401 {
			t.Errorf("%v\nwant nobody to be logged in", r)
		}
	})
	t.Run("cancelled", func(t *testing.T) {
		for _, prompt := range []string{"login", "consent"} {
			b := s.browser().in(t)
			b.turnedAway(b.login("op", "ann", prompt), 403, "login_cancelled")
			if r, _ := b.visit("/1.0/session"); r.status != 401 {
				t.Errorf("%v\nwant nobody to be logged in", r)
			}
		}
	})
	t.Run("no nickname", func(t *testing.T) {
		b := s.browser().in(t)
		r := b.login("op", "nameless", "")
		b.turnedAway(r, 403, "profile_incomplete")
		if !strings.Contains(r.text("error.message"), "nickname") {
			t.Errorf("%v\nwant it to name the nickname", r)
		}
	})
	t.Run("a wrong secret", func(t *testing.T) {
		b := s.browser().in(t)
		b.turnedAway(b.login("wrong", "ann", ""), 502, "provider_error")
	})
	t.Run("another issuer than is set", func(t *testing.T) {
		b := s.browser().in(t)
		b.turnedAway(b.login("other", "ann", ""), 502, "provider_error")
	})
	t.Run("a provider that is down", func(t *testing.T) {
		b := s.browser().in(t)
		b.turnedAway(b.login("down", "ann", ""), 502, "provider_unreachable")
	})
	t.Run("a provider where the plugin may not go", func(t *testing.T) {
		b := s.browser().in(t)
		b.turnedAway(b.login("denied", "ann", ""), 403, "provider_denied")
	})
	t.Run("keys change", func(t *testing.T) {
		b := s.browser().in(t)
		b.loggedIn(b.login("op", "ann", ""), "ann")
		op.stop()
		op.start()
		time.Sleep(11 * time.Second) // before that the keys are not asked for again
		for _, name := range []string{"op", "es256", "public"} {
			b := s.browser().in(t)
			if got := b.loggedIn(b.login(name, "ann", ""), "ann"); got != account {
				t.Errorf("%s: account %s, want %s", name, got, account)
			}
		}
	})
	t.Run("providers that do not answer", func(t *testing.T) {
		// Of four instances two may wait for one. The third is told so at once, and
		// others are served.
		var waiting sync.WaitGroup
		for range 2 {
			b := s.browser().in(t)
			waiting.Go(func() { b.turnedAway(b.login("silent", "ann", ""), 502, "provider_error") })
		}
		silent.await(2)
		begin := time.Now()
		b := s.browser().in(t)
		b.turnedAway(b.login("silent", "ann", ""), 502, "provider_unreachable")
		for range 20 {
			if r, _ := ann.visit("/1.0/session"); r.status != 200 {
				t.Errorf("%v\nwant the session", r)
			}
		}
		if took := time.Since(begin); took > 5*time.Second {
			t.Errorf("it took %v while others waited for their provider", took)
		}
		silent.answer()
		waiting.Wait()
		b.loggedIn(b.login("op", "ann", ""), "ann")
	})
}

// A silent server takes requests and does not answer them, until it is told to.
type silent struct {
	*httptest.Server
	t       testing.TB
	arrived chan struct{}
	told    chan struct{}
	answer  func()
}

func newSilent(t testing.TB) *silent {
	s := &silent{t: t, arrived: make(chan struct{}, 100), told: make(chan struct{})}
	s.answer = sync.OnceFunc(func() { close(s.told) })
	s.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		s.arrived <- struct{}{}
		<-s.told
		fmt.Fprint(w, "{}")
	}))
	t.Cleanup(s.Close)
	t.Cleanup(s.answer)
	return s
}

func (s *silent) listen() string { return s.Listener.Addr().String() }

// await waits until n more requests have come.
func (s *silent) await(n int) {
	s.t.Helper()
	for range n {
		select {
		case <-s.arrived:
		case <-time.After(callTime):
			s.t.Fatal("no request came")
		}
	}
}

package main_test

import (
	"crypto/ed25519"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// A hasty provider sends everybody back at once, and lets a test hold up what it
// replies.
type hasty struct {
	*httptest.Server
	t      testing.TB
	public ed25519.PublicKey
	secret ed25519.PrivateKey
	hold   func(path string)

	mu       sync.Mutex
	nonces   map[string]string // of codes
	redeemed map[string]int    // how often a code was brought
}

func newHasty(t testing.TB) *hasty {
	p := &hasty{t: t, nonces: map[string]string{}, redeemed: map[string]int{}}
	p.public, p.secret, _ = ed25519.GenerateKey(rand.Reader) // never fails
	p.Server = httptest.NewServer(http.HandlerFunc(p.serve))
	t.Cleanup(p.Close)
	return p
}

func (p *hasty) serve(w http.ResponseWriter, r *http.Request) {
	p.hold(r.URL.Path)
	p.mu.Lock()
	defer p.mu.Unlock()
	var answer any
	switch r.URL.Path {
	case "/.well-known/openid-configuration":
		answer = map[string]any{
			"issuer": p.URL, "authorization_endpoint": p.URL + "/auth", "token_endpoint": p.URL + "/token", "jwks_uri": p.URL + "/keys",
		}
	case "/auth":
		q := r.URL.Query()
		code := fmt.Sprint("code", len(p.nonces))
		p.nonces[code] = q.Get("nonce")
		back := url.Values{"code": {code}, "state": {q.Get("state")}}
		http.Redirect(w, r, q.Get("redirect_uri")+"?"+back.Encode(), http.StatusFound)
		return
	case "/keys":
		answer = map[string]any{"keys": []any{map[string]any{
			"kty": "OKP", "crv": "Ed25519", "x": base64.RawURLEncoding.EncodeToString(p.public),
		}}}
	case "/token":
		code := r.FormValue("code")
		if p.redeemed[code]++; p.redeemed[code] > 1 || p.nonces[code] == "" {
			w.WriteHeader(400)
			answer = map[string]any{"error": "invalid_grant"}
			break
		}
		token, err := jwt.NewWithClaims(jwt.SigningMethodEdDSA, jwt.MapClaims{
			"iss": p.URL, "aud": "edge", "sub": code, "nonce": p.nonces[code],
			"iat": time.Now().Unix(), "exp": time.Now().Unix() + 60,
			"name": code + " of the test", "nickname": code + "-nick", "email": code + "@example.org",
		}).SignedString(p.secret)
		if err != nil {
			p.t.Error(err)
		}
		answer = map[string]any{"id_token": token, "access_token": "x", "token_type": "Bearer"}
	}
	if err := json.NewEncoder(w).Encode(answer); err != nil {
		p.t.Error(err)
	}
}

// Two logins ask for the provider's keys at the same time, and keep them. Of the
// two requests one is run again, and must not redeem its code again.
func TestOpenIDConnectCodeIsRedeemedOnce(t *testing.T) {
	t.Parallel()
	p := newHasty(t)
	held, released := make(chan struct{}), make(chan struct{})
	release := sync.OnceFunc(func() { close(released) })
	t.Cleanup(release)
	var asked atomic.Bool
	p.hold = func(path string) {
		if path == "/keys" && asked.CompareAndSwap(false, true) {
			close(held)
			<-released
		}
	}
	s := newServer(t, strings.Replace(limited, "# LIMIT of the plugin", fmt.Sprintf(
		"instances = 8\negress = [%q]\n[deployment.plugin.config]\noidc = \"op\"\noidc_op_issuer = %q\noidc_op_client_id = \"edge\"\n",
		"private:"+p.Listener.Addr().String(), p.URL), 1))

	slow, fast := s.browser(), s.browser()
	done := make(chan reply, 1)
	go func() { r, _ := slow.visit("/1.0/login/op"); done <- r }()
	select {
	case <-held:
	case <-time.After(callTime):
		s.fatalf("nobody asked for keys")
	}
	r, _ := fast.visit("/1.0/login/op")
	fast.loggedIn(r, "code1")
	release()
	slow.loggedIn(<-done, "code0")

	p.mu.Lock()
	defer p.mu.Unlock()
	for code, n := range p.redeemed {
		if n != 1 {
			t.Errorf("%s was brought %d times", code, n)
		}
	}
	_, metrics := s.probe("/metrics")
	if !strings.Contains(metrics, `edgeset_transaction_retries_total{deployment="default",plugin="signing",route="GET /1.0/login/callback"} 1`) {
		s.errorf("no request was run again")
	}
}

package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"crypto/sha256"
	"encoding/base64"
	"encoding/json"
	"math/big"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
	"github.com/edgeset/edgeset/abi/guesttest"
	"github.com/golang-jwt/jwt/v5"
)

// A signer is a key that a provider signs with, and publishes under an id.
type signer struct {
	id     string
	method jwt.SigningMethod
	key    crypto.Signer
}

// testKeys are made once: RSA keys take long.
var testKeys = sync.OnceValue(func() map[string]crypto.Signer {
	keys := map[string]crypto.Signer{}
	for _, name := range []string{"RSA", "other RSA"} {
		keys[name], _ = rsa.GenerateKey(rand.Reader, 2048)
	}
	for name, curve := range map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()} {
		keys[name], _ = ecdsa.GenerateKey(curve, rand.Reader)
	}
	_, keys["Ed25519"], _ = ed25519.GenerateKey(rand.Reader)
	return keys
})

// published returns the key as a provider publishes it.
func (s signer) published() map[string]any {
	b64 := base64.RawURLEncoding.EncodeToString
	k := map[string]any{"kid": s.id, "use": "sig"}
	switch public := s.key.Public().(type) {
	case *rsa.PublicKey:
		k["kty"], k["n"], k["e"] = "RSA", b64(public.N.Bytes()), b64(big.NewInt(int64(public.E)).Bytes())
	case *ecdsa.PublicKey:
		point, _ := public.Bytes()
		size := (len(point) - 1) / 2
		k["kty"], k["crv"], k["x"], k["y"] = "EC", public.Params().Name, b64(point[1:1+size]), b64(point[1+size:])
	case ed25519.PublicKey:
		k["kty"], k["crv"], k["x"] = "OKP", "Ed25519", b64(public)
	}
	return k
}

// A testProvider is an OpenID Connect provider, and a client that logs in there.
// What it states can be changed by a test.
type testProvider struct {
	*guesttest.Client
	t *testing.T

	issuer   string
	metadata map[string]any
	keys     []map[string]any // as published
	signer   signer
	header   map[string]any // added to an ID token's
	claims   map[string]any // added to an ID token's; one that is nil is left out
	userInfo map[string]any
	mangle   func(token string) string               // of an ID token
	reply    func(*abi.Fetch) *abi.FetchReply        // instead of the provider's, unless it is nil
	token    func(url.Values, *abi.Fetch) (any, int) // what the token endpoint replies, unless it is nil

	asked     []string // paths, in their order
	challenge string   // of the login that is under way
	nonce     string
}

const testIssuer = "https://op.test"

func newTestProvider(t *testing.T) *testProvider {
	p := &testProvider{
		t: t, issuer: testIssuer, signer: signer{"one", jwt.SigningMethodRS256, testKeys()["RSA"]},
		metadata: map[string]any{
			"issuer": testIssuer, "authorization_endpoint": testIssuer + "/auth?tenant=1", "token_endpoint": testIssuer + "/token",
			"userinfo_endpoint": testIssuer + "/me", "jwks_uri": testIssuer + "/keys",
		},
		claims: map[string]any{"name": "Ann Other", "nickname": "ann", "email": "ann@example.org"},
	}
	p.keys = []map[string]any{p.signer.published()}
	p.Client = guesttest.New(t, loginPlugin())
	p.Host.Web = p.web
	p.Host.Settings = map[string]string{
		"oidc": "op", "oidc_op_issuer": testIssuer, "oidc_op_client_id": "edge", "oidc_op_client_secret": "s3 cret/+",
	}
	return p
}

// loginPlugin has just the two ends of a login, with the attempt in between kept
// as it is.
func loginPlugin() *guest.Plugin {
	p := guest.New("login", "1.0.0")
	f := p.Family("/", problem)
	f.GET("/login/*openid", func(w *guest.Response, r *guest.Request) error {
		provider, found, err := oidcFor(r, r.Param("openid"))
		if err != nil {
			return err
		}
		if !found {
			return guest.Errorf(404, "not_found", "No provider.")
		}
		var a attempt
		location, err := provider.begin(r, &a, "the-state", callback(r))
		if err != nil {
			return err
		}
		w.Redirect(303, location)
		return r.KV().Put([]byte("attempt"), a.record())
	}, guest.Writes)
	f.GET("/callback", func(w *guest.Response, r *guest.Request) error {
		record, _, err := r.KV().Get([]byte("attempt"))
		if err != nil {
			return err
		}
		a, err := readAttempt(record)
		if err != nil {
			return err
		}
		provider, _, err := oidcNamed(r, a.provider)
		if err != nil {
			return err
		}
		who, err := provider.finish(r, &a, callback(r))
		if err == nil {
			err = who.complete()
		}
		if err != nil {
			return keep(w, err)
		}
		v := w.Value()
		v.Map()
		entry(v, "id", who.id)
		entry(v, "name", who.name)
		entry(v, "nickname", who.nickname)
		entry(v, "email", who.email)
		v.End()
		return nil
	}, guest.Writes)
	return p
}

func (p *testProvider) web(f *abi.Fetch) *abi.FetchReply {
	u, err := url.Parse(f.URL)
	if err != nil {
		p.t.Fatal(err)
	}
	p.asked = append(p.asked, u.Path)
	if p.reply != nil {
		if reply := p.reply(f); reply != nil {
			return reply
		}
	}
	var answer any
	status := 200
	switch u.Path {
	case "/.well-known/openid-configuration":
		answer = p.metadata
	case "/keys":
		answer = map[string]any{"keys": p.keys}
	case "/token":
		form, err := url.ParseQuery(string(f.Body))
		if err != nil {
			p.t.Fatal(err)
		}
		verifier := sha256.Sum256([]byte(form.Get("code_verifier")))
		switch {
		case p.token != nil:
			answer, status = p.token(form, f)
		case form.Get("code") != "good" || base64.RawURLEncoding.EncodeToString(verifier[:]) != p.challenge:
			answer, status = map[string]any{"error": "invalid_grant"}, 400
		default:
			answer = map[string]any{"access_token": "access", "token_type": "Bearer", "id_token": p.idToken()}
		}
	case "/me":
		if authorization, _ := f.Headers.GetFold("Authorization"); authorization != "Bearer access" {
			status = 401
		}
		answer = p.userInfo
	default:
		status = 404
	}
	body, err := json.Marshal(answer)
	if err != nil {
		p.t.Fatal(err)
	}
	return &abi.FetchReply{Status: status, URL: f.URL, Body: body}
}

func (p *testProvider) idToken() string {
	p.t.Helper()
	now := p.Host.Now.Unix()
	claims := jwt.MapClaims{
		"iss": p.issuer, "aud": "edge", "sub": "7", "iat": now, "exp": now + 60, "nonce": p.nonce,
	}
	for name, value := range p.claims {
		if claims[name] = value; value == nil {
			delete(claims, name)
		}
	}
	t := jwt.NewWithClaims(p.signer.method, claims)
	if p.signer.id != "" {
		t.Header["kid"] = p.signer.id
	}
	for name, value := range p.header {
		t.Header[name] = value
	}
	raw, err := t.SignedString(p.signer.key)
	if err != nil {
		p.t.Fatal(err)
	}
	if p.mangle != nil {
		raw = p.mangle(raw)
	}
	return raw
}

// begin is the browser's way to the provider.
func (p *testProvider) begin() url.Values {
	p.t.Helper()
	r := p.Do(guesttest.Request{Path: "/login/op"})
	if r.Status != 303 {
		p.t.Fatal(r)
	}
	u, err := url.Parse(r.Headers["Location"])
	if err != nil {
		p.t.Fatal(err)
	}
	q := u.Query()
	p.challenge, p.nonce = q.Get("code_challenge"), q.Get("nonce")
	return q
}

// login is there and back.
func (p *testProvider) login() *guesttest.Response {
	p.t.Helper()
	p.begin()
	return p.back("code=good")
}

func (p *testProvider) back(query string) *guesttest.Response {
	p.t.Helper()
	return p.Do(guesttest.Request{Path: "/callback?state=the-state&" + query})
}

// times tells how often the provider was asked for a path since the last time.
func (p *testProvider) times(path string) (n int) {
	for _, a := range p.asked {
		if a == path {
			n++
		}
	}
	p.asked = nil
	return n
}

func (p *testProvider) succeeds(r *guesttest.Response) {
	p.t.Helper()
	if r.Status != 200 || r.Text("id") != testIssuer+"#7" {
		p.t.Fatal(r)
	}
}

// refused checks the refusal, and that its message speaks of something.
func (p *testProvider) refused(r *guesttest.Response, status int, code, of string) {
	p.t.Helper()
	if r.Err == nil || r.Status != status || r.Err.Code != code || !strings.Contains(r.Err.Message, of) {
		p.t.Fatalf("got %v, want %d %s with %q", r, status, code, of)
	}
}

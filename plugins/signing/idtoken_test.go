package main

import (
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// keyOf names the test key that an algorithm signs with.
func keyOf(algorithm string) string { return algorithms[algorithm].kind }

func TestIDTokenAlgorithms(t *testing.T) {
	for algorithm := range algorithms {
		t.Run(algorithm, func(t *testing.T) {
			p := newTestProvider(t)
			p.signer = signer{"k", jwt.GetSigningMethod(algorithm), testKeys()[keyOf(algorithm)]}
			p.keys = nil
			for name, key := range testKeys() {
				if name != "other RSA" {
					p.keys = append(p.keys, signer{id: "k", key: key}.published())
				}
			}
			p.claims["at_hash"] = leftHash(algorithm, "access")
			p.succeeds(p.login())
			p.claims["at_hash"] = leftHash(algorithm, "another")
			p.refused(p.login(), 403, "login_refused", "at_hash")
			delete(p.claims, "at_hash")
			p.mangle = func(token string) string {
				signed, signature, _ := cutLast(token)
				raw, _ := base64.RawURLEncoding.DecodeString(signature)
				raw[len(raw)/2] ^= 1
				return signed + "." + base64.RawURLEncoding.EncodeToString(raw)
			}
			p.refused(p.login(), 403, "login_refused", "none of the provider's keys")
		})
	}
}

func cutLast(token string) (before, after string, found bool) {
	i := strings.LastIndexByte(token, '.')
	return token[:max(i, 0)], token[i+1:], i >= 0
}

// The example of OpenID Connect Core 1.0, appendix A.3.
func TestAccessTokenHash(t *testing.T) {
	if got := leftHash("RS256", "jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y"); got != "77QmUPtjPfzWtF2AnpK9RQ" {
		t.Errorf("got %q", got)
	}
}

func TestIDTokenChecks(t *testing.T) {
	const ok = ""
	at := func(p *testProvider, d time.Duration) int64 { return p.Host.Now.Add(d).Unix() }
	claim := func(name string, value any) func(*testProvider) {
		return func(p *testProvider) { p.claims[name] = value }
	}
	when := func(name string, d time.Duration) func(*testProvider) {
		return func(p *testProvider) { p.claims[name] = at(p, d) }
	}
	header := func(name string, value any) func(*testProvider) {
		return func(p *testProvider) { p.header = map[string]any{name: value} }
	}
	mangle := func(fn func(string) string) func(*testProvider) {
		return func(p *testProvider) { p.mangle = fn }
	}
	tests := []struct {
		name   string
		change func(*testProvider)
		of     string
	}{
		{"issuer of another", claim("iss", "https://evil.test"), "(iss)"},
		{"issuer with a slash", claim("iss", testIssuer+"/"), "(iss)"},
		{"issuer missing", claim("iss", nil), "claim is missing"},
		{"issuer a list", claim("iss", []string{testIssuer}), "wrong type"},

		{"audience of another", claim("aud", "other"), "(aud)"},
		{"audience missing", claim("aud", nil), "claim is missing"},
		{"audience empty", claim("aud", []string{}), "claim is missing"},
		{"audience of one", claim("aud", []string{"edge"}), ok},
		{"audience of two, unclear to whom", claim("aud", []string{"edge", "other"}), "(azp)"},
		{"audience of two, to us", func(p *testProvider) { p.claims["aud"], p.claims["azp"] = []string{"other", "edge"}, "edge" }, ok},
		{"audience of two, to the other", func(p *testProvider) { p.claims["aud"], p.claims["azp"] = []string{"edge", "other"}, "other" }, "(azp)"},
		{"party of another", claim("azp", "other"), "(azp)"},
		{"party a list", claim("azp", []string{"edge"}), "(azp)"},
		{"party of us", claim("azp", "edge"), ok},

		{"expired", when("exp", -121*time.Second), "(exp)"},
		{"just expired", when("exp", -119*time.Second), ok},
		{"without expiry", claim("exp", nil), "claim is missing"},
		{"expiry a text", claim("exp", "2100-01-01"), "wrong type"},
		{"issued in the future", when("iat", 121*time.Second), "(iat)"},
		{"issued by a clock ahead", when("iat", 119*time.Second), ok},
		{"issued nobody knows when", claim("iat", nil), "(iat)"},
		{"not valid yet", when("nbf", 121*time.Second), "(nbf)"},

		{"nonce of another", claim("nonce", "other"), "(nonce)"},
		{"nonce missing", claim("nonce", nil), "(nonce)"},
		{"nonce a number", claim("nonce", 0), "(nonce)"},

		{"subject missing", claim("sub", nil), "(sub)"},
		{"subject empty", claim("sub", ""), "(sub)"},
		{"subject a number", claim("sub", 7), "(sub)"},
		{"subject too long", claim("sub", strings.Repeat("s", 256)), "(sub)"},

		{"access token of another", claim("at_hash", leftHash("RS256", "other")), "(at_hash)"},
		{"access token a number", claim("at_hash", 1), "(at_hash)"},

		{"critical header", header("crit", []string{"b64"}), "(crit)"},
		{"embedded key", header("jwk", map[string]any{"kty": "RSA"}), ok}, // is not looked at
		{"no algorithm", header("alg", ""), "(alg)"},
		{"an algorithm for another key", header("alg", "ES256"), "none of the provider's keys"},
		{"an unknown algorithm", header("alg", "RS1"), "(alg)"},
		{"an algorithm that is not listed", header("alg", "PS384"), "(alg)"},
		{"a number for an algorithm", header("alg", 1), "(alg)"},

		{"two parts", mangle(func(s string) string { s, _, _ = cutLast(s); return s }), "malformed"},
		{"four parts", mangle(func(s string) string { return s + ".x" }), "malformed"},
		{"blank behind", mangle(func(s string) string { return s + " " }), "malformed"},
		{"no signature", mangle(func(s string) string { s, _, _ = cutLast(s); return s + "." }), "none of the provider's keys"},
		{"padded", mangle(func(s string) string { return s + "=" }), "malformed"},
		{"spelled otherwise", mangle(func(s string) string { return s[:len(s)-1] + string(s[len(s)-1]+1) }), "malformed"},
		{"JSON", mangle(func(string) string { return `{"payload":"e30","signatures":[]}` }), "malformed"},
		{"other claims", mangle(func(s string) string {
			parts := strings.Split(s, ".")
			claims, _ := base64.RawURLEncoding.DecodeString(parts[1])
			parts[1] = base64.RawURLEncoding.EncodeToString([]byte(strings.Replace(string(claims), `"sub":"7"`, `"sub":"8"`, 1)))
			return strings.Join(parts, ".")
		}), "none of the provider's keys"},
		{"claims null", mangle(func(s string) string {
			parts := strings.Split(s, ".")
			parts[1] = "bnVsbA"
			return strings.Join(parts, ".")
		}), "none of the provider's keys"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newTestProvider(t)
			tt.change(p)
			if r := p.login(); tt.of == ok {
				p.succeeds(r)
			} else {
				p.refused(r, 403, "login_refused", tt.of)
			}
			// It is just this token that is refused.
			p.claims = map[string]any{"name": "Ann Other", "nickname": "ann", "email": "ann@example.org"}
			p.header, p.mangle = nil, nil
			p.succeeds(p.login())
		})
	}
}

// Nobody but the provider can sign: not with what everybody knows, nor with what
// the provider and we know.
func TestIDTokenAlgorithmConfusion(t *testing.T) {
	p := newTestProvider(t)
	der, err := x509.MarshalPKIXPublicKey(p.signer.key.Public())
	if err != nil {
		t.Fatal(err)
	}
	known := map[string]any{
		"the public key in PEM": pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}),
		"the public key in DER": der,
		"the client's secret":   []byte(p.Host.Settings["oidc_op_client_secret"]),
		"no key":                []byte{},
	}
	resign := func(token string, method jwt.SigningMethod, key any) string {
		parsed, _, err := jwt.NewParser().ParseUnverified(token, jwt.MapClaims{})
		if err != nil {
			t.Fatal(err)
		}
		forged := jwt.NewWithClaims(method, parsed.Claims)
		forged.Header["kid"] = p.signer.id
		raw, err := forged.SignedString(key)
		if err != nil {
			t.Fatal(err)
		}
		return raw
	}
	// As an oct key, too, such a secret is none of the provider's.
	p.keys = append(p.keys, map[string]any{"kty": "oct", "kid": p.signer.id, "k": base64.RawURLEncoding.EncodeToString(der)})
	for name, key := range known {
		for _, method := range []jwt.SigningMethod{jwt.SigningMethodHS256, jwt.SigningMethodHS384, jwt.SigningMethodHS512} {
			p.mangle = func(token string) string { return resign(token, method, key) }
			t.Log(name, method.Alg())
			p.refused(p.login(), 403, "login_refused", "(alg)")
		}
	}
	p.mangle = func(token string) string {
		return resign(token, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType)
	}
	p.refused(p.login(), 403, "login_refused", "(alg)")
	p.mangle = nil
	p.succeeds(p.login())
}

func FuzzIDToken(f *testing.F) {
	p := &oidcProvider{name: "op", issuer: testIssuer, clientID: "edge"}
	now := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
	s := signer{"one", jwt.SigningMethodRS256, testKeys()["RSA"]}
	public, kind, err := keyFrom(s.published())
	if err != nil {
		f.Fatal(err)
	}
	set := keySet{{id: "one", kind: kind, key: public}}
	var signed []string
	for _, claims := range []jwt.MapClaims{
		{"iss": testIssuer, "aud": "edge", "sub": "7", "exp": now.Unix() + 60, "iat": now.Unix()},
		{"iss": testIssuer, "aud": []string{"edge", "x"}, "azp": "edge", "sub": "7", "exp": 1e300, "nbf": -1},
	} {
		t := jwt.NewWithClaims(s.method, claims)
		t.Header["kid"] = "one"
		raw, err := t.SignedString(s.key)
		if err != nil {
			f.Fatal(err)
		}
		signed = append(signed, raw)
		f.Add(raw)
	}
	f.Add("eyJhbGciOiJub25lIn0.e30.")
	f.Add("eyJhbGciOiJIUzI1NiIsImtpZCI6Im9uZSJ9.eyJzdWIiOiI3In0.AAAA")
	f.Add("e30.bnVsbA.")
	f.Fuzz(func(t *testing.T, raw string) {
		token, err := p.parse(func() time.Time { return now }, raw, set)
		if err == nil && !slices.Contains(signed, raw) {
			t.Fatalf("%q is accepted, with claims %v", raw, token.Claims)
		}
	})
}

// Every algorithm is one of the library's, and of no secret.
func TestAlgorithms(t *testing.T) {
	for name := range maps.Keys(algorithms) {
		if m := jwt.GetSigningMethod(name); m == nil || !algorithms[name].hash.Available() || strings.HasPrefix(name, "HS") || name == "none" {
			t.Errorf("%s: %v", name, m)
		}
	}
}

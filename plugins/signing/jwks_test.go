package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"fmt"
	"maps"
	"math/big"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

// keyFrom reads one published key.
func keyFrom(published map[string]any) (crypto.PublicKey, string, error) {
	raw, err := json.Marshal(published)
	if err != nil {
		return nil, "", err
	}
	var k jwk
	if err := json.Unmarshal(raw, &k); err != nil {
		return nil, "", err
	}
	return k.public()
}

func TestKeyRotation(t *testing.T) {
	for _, id := range []string{"two", "one", ""} { // another id, the same, none
		t.Run("id "+id, func(t *testing.T) {
			p := newTestProvider(t)
			if id == "" {
				p.signer.id = ""
				delete(p.keys[0], "kid")
			}
			p.succeeds(p.login())
			old := p.signer
			p.signer = signer{id, jwt.SigningMethodES256, testKeys()["P-256"]}
			p.keys = []map[string]any{p.signer.published()}
			if id == "" {
				delete(p.keys[0], "kid")
			}
			p.Advance(10 * time.Second)
			p.times("/keys")
			p.succeeds(p.login())
			p.succeeds(p.login())
			if n := p.times("/keys"); n != 1 {
				t.Errorf("keys were asked for %d times, want once", n)
			}
			p.signer = old
			p.refused(p.login(), 403, "login_refused", "none of the provider's keys")
		})
	}
}

// Tokens signed with keys that there are not have the provider asked for its keys
// every ten seconds at most, and once for a login.
func TestForgedKeyIDs(t *testing.T) {
	p := newTestProvider(t)
	p.succeeds(p.login())
	p.signer.key = testKeys()["other RSA"]
	p.times("/keys")
	for i := range 40 { // at 0, 0.5, … 19.5 s: 10 s after the first login, and then nothing before 20 s
		p.signer.id = fmt.Sprint("forged", i)
		p.refused(p.login(), 403, "login_refused", "none of the provider's keys")
		p.Advance(500 * time.Millisecond)
	}
	if n := p.times("/keys"); n != 1 {
		t.Errorf("keys were asked for %d times in 20 seconds, want once", n)
	}
	p.Advance(time.Hour)
	p.refused(p.login(), 403, "login_refused", "none of the provider's keys")
	if n := p.times("/keys"); n != 1 {
		t.Errorf("keys were asked for %d times by one login, want once", n)
	}
}

func TestKeysThatDoNotCount(t *testing.T) {
	weak, err := rsa.GenerateKey(rand.Reader, 1024)
	if err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name   string
		change func(p *testProvider, k map[string]any)
	}{
		{"for encryption", func(_ *testProvider, k map[string]any) { k["use"] = "enc" }},
		{"for signing alone", func(_ *testProvider, k map[string]any) { k["key_ops"] = []string{"sign"} }},
		{"of another algorithm", func(_ *testProvider, k map[string]any) { k["alg"] = "RS512" }},
		{"of another id", func(_ *testProvider, k map[string]any) { k["kid"] = "two" }},
		{"of no id", func(_ *testProvider, k map[string]any) { delete(k, "kid") }},
		{"of another type", func(_ *testProvider, k map[string]any) { k["kty"] = "oct" }},
		{"too small", func(p *testProvider, k map[string]any) {
			p.signer.key = weak
			k["n"] = base64.RawURLEncoding.EncodeToString(weak.N.Bytes())
		}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			p := newTestProvider(t)
			tt.change(p, p.keys[0])
			p.refused(p.login(), 403, "login_refused", "none of the provider's keys")
		})
	}

	// They do not keep the others from being used.
	p := newTestProvider(t)
	good := p.keys
	p.keys = nil
	for _, tt := range tests[:len(tests)-1] {
		k := p.signer.published()
		tt.change(p, k)
		p.keys = append(p.keys, k)
	}
	p.keys = append(p.keys, good...)
	p.succeeds(p.login())
}

// refusesKeys checks that a key that is published as it is can be read, and with
// any of the changes cannot.
func refusesKeys(t *testing.T, good map[string]any, changes map[string]map[string]any) {
	t.Helper()
	if _, _, err := keyFrom(good); err != nil {
		t.Fatal(err)
	}
	for name, change := range changes {
		k := maps.Clone(good)
		maps.Copy(k, change)
		if key, kind, err := keyFrom(k); err == nil {
			t.Errorf("%s: got a key %v of kind %s", name, key, kind)
		}
	}
}

func TestRSAKeys(t *testing.T) {
	b64 := base64.RawURLEncoding.EncodeToString
	modulus := func(bits int) string {
		n := new(big.Int).Lsh(big.NewInt(1), uint(bits-1))
		return b64(n.SetBit(n, 0, 1).Bytes())
	}
	good := signer{"k", nil, testKeys()["RSA"]}.published()
	good["n"] = modulus(maxRSA)
	refusesKeys(t, good, map[string]map[string]any{
		"too large":               {"n": modulus(maxRSA + 1)},
		"too small":               {"n": modulus(minRSA - 1)},
		"without modulus":         {"n": ""},
		"padded":                  {"n": modulus(maxRSA) + "="},
		"a number":                {"n": 1},
		"exponent of nought":      {"e": "AA"},
		"exponent of one":         {"e": "AQ"},
		"exponent of 32 bits":     {"e": b64([]byte{0x80, 0, 0, 1})},
		"exponent of 33 bits":     {"e": b64([]byte{1, 0, 0, 0, 1})},
		"without exponent":        {"e": ""},
		"of no type":              {"kty": ""},
		"of a type with capitals": {"kty": "rsa"},
	})
}

func TestKeysFitAlgorithms(t *testing.T) {
	var set keySet
	for name, key := range testKeys() {
		if public, kind, err := keyFrom(signer{"k", nil, key}.published()); err != nil {
			t.Fatal(name, err)
		} else {
			set = append(set, publicKey{id: "k", kind: kind, key: public})
		}
	}
	for algorithm, a := range algorithms {
		want := 1
		if a.kind == "RSA" {
			want = 2
		}
		if keys := set.fitting(algorithm, "k"); len(keys) != want || keys[0].kind != a.kind {
			t.Errorf("%s: %v", algorithm, keys)
		}
	}
}

func TestEllipticKeys(t *testing.T) {
	b64 := base64.RawURLEncoding.EncodeToString
	good := signer{"k", nil, testKeys()["P-256"]}.published()
	x, _ := base64.RawURLEncoding.DecodeString(good["x"].(string))
	refusesKeys(t, good, map[string]map[string]any{
		"not on the curve":      {"y": good["x"]},
		"of another curve":      {"crv": "P-384"},
		"of an unknown curve":   {"crv": "secp256k1"},
		"the point at nought":   {"x": b64(make([]byte, 32)), "y": b64(make([]byte, 32))},
		"a coordinate too long": {"x": b64(append([]byte{0}, x...))},
		"a coordinate missing":  {"y": ""},
		"Ed25519, too short":    {"kty": "OKP", "crv": "Ed25519", "x": b64(x[1:])},
		"X25519":                {"kty": "OKP", "crv": "X25519"},
		"a curve for RSA":       {"kty": "RSA"},
	})
}

// Of many keys some are read.
func TestKeySetIsBounded(t *testing.T) {
	k := signer{"k", nil, testKeys()["Ed25519"]}.published()
	keys := make([]any, 1000)
	for i := range keys {
		keys[i] = k
	}
	document, err := json.Marshal(map[string]any{"keys": keys})
	if err != nil {
		t.Fatal(err)
	}
	if set, err := readKeys(document); err != nil || len(set) != maxKeys {
		t.Fatalf("%d keys, %v", len(set), err)
	}
}

func FuzzKeySet(f *testing.F) {
	for _, key := range testKeys() {
		document, err := json.Marshal(map[string]any{"keys": []any{signer{"k", nil, key}.published()}})
		if err != nil {
			f.Fatal(err)
		}
		f.Add(document)
	}
	f.Add([]byte(`{"keys":[{"kty":"EC","crv":"P-256","x":"","y":""},{"kty":"OKP","crv":"Ed25519"},null,1]}`))
	f.Add([]byte(`{"keys":null}`))
	f.Fuzz(func(t *testing.T, document []byte) {
		set, err := readKeys(document)
		if err != nil && set != nil || len(set) > maxKeys {
			t.Fatalf("%d keys, %v", len(set), err)
		}
		for _, k := range set {
			switch key := k.key.(type) {
			case *rsa.PublicKey:
				if n := key.N.BitLen(); k.kind != "RSA" || n < minRSA || n > maxRSA || big.NewInt(int64(key.E)).Sign() <= 0 {
					t.Fatalf("RSA key of %d bits, kind %s", n, k.kind)
				}
			case *ecdsa.PublicKey:
				if k.kind != key.Params().Name || key.Curve == elliptic.P224() {
					t.Fatalf("key of %s, kind %s", key.Params().Name, k.kind)
				}
			case ed25519.PublicKey:
				if k.kind != "Ed25519" || len(key) != ed25519.PublicKeySize {
					t.Fatalf("key of %d bytes, kind %s", len(key), k.kind)
				}
			default:
				t.Fatalf("key of type %T", key)
			}
		}
	})
}

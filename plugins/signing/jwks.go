package main

import (
	"crypto"
	"crypto/ecdsa"
	"crypto/ed25519"
	"crypto/elliptic"
	"crypto/rsa"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"math/big"
	"slices"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
)

// A keySet are the public keys that a provider signs with, as it publishes them
// (RFC 7517).
type keySet []publicKey

// A publicKey is one that can check signatures.
type publicKey struct {
	id        string // "": none
	algorithm string // "": any of its type
	kind      string // "RSA", or the curve
	key       crypto.PublicKey
}

// How old the keys may be that are kept, and how soon they are asked for again
// when a token is signed with none of them: logins that are made up must not
// become as many requests to the provider.
const (
	keysFresh   = time.Hour
	keysAtLeast = 10 * time.Second
)

func keysKey(issuer string) []byte { return []byte("p/k/" + issuer) }

// keys returns the provider's keys: those that are kept, unless they are older
// than maxAge.
func (p *oidcProvider) keys(r *guest.Request, m *metadata, maxAge time.Duration) (keySet, error) {
	key := keysKey(p.issuer)
	doc, found, err := findPublished(r, key, maxAge)
	if err != nil {
		return nil, err
	}
	if !found {
		if doc, err = fetchPublished(r, m.Keys); err != nil {
			return nil, err
		}
	}
	set, err := readKeys(doc.body)
	if err != nil {
		r.Logf(abi.LogWarn, "login: provider %s: keys: %v", p.name, err)
		return nil, errProvider
	}
	if !found {
		err = r.KV().PutTTL(key, doc.record(), keysFresh)
	}
	return set, err
}

// maxKeys bounds how many keys of a set are read.
const maxKeys = 32

// readKeys takes a set apart. What is not a key for checking signatures, or not
// of a type that is known here, is passed over, as the RFC wants it.
func readKeys(document []byte) (set keySet, err error) {
	var doc struct {
		Keys []json.RawMessage `json:"keys"`
	}
	if err := json.Unmarshal(document, &doc); err != nil {
		return nil, err
	}
	for _, raw := range doc.Keys[:min(len(doc.Keys), maxKeys)] {
		var k jwk
		if json.Unmarshal(raw, &k) != nil || k.Use != "" && k.Use != "sig" || k.Ops != nil && !slices.Contains(k.Ops, "verify") {
			continue
		}
		if key, kind, err := k.public(); err == nil {
			set = append(set, publicKey{id: k.ID, algorithm: k.Algorithm, kind: kind, key: key})
		}
	}
	return set, nil
}

// fitting returns the keys that a signature may be checked with: those of that
// id, or all if there is none, that are for the algorithm.
func (s keySet) fitting(algorithm, id string) (list []publicKey) {
	for _, k := range s {
		if k.kind == algorithms[algorithm].kind && (k.algorithm == "" || k.algorithm == algorithm) && (id == "" || k.id == id) {
			list = append(list, k)
		}
	}
	return list
}

// A jwk is a key as it is published.
type jwk struct {
	Type      string   `json:"kty"`
	Use       string   `json:"use"`
	Ops       []string `json:"key_ops"`
	Algorithm string   `json:"alg"`
	ID        string   `json:"kid"`

	Curve string `json:"crv"`
	N     octets `json:"n"`
	E     octets `json:"e"`
	X     octets `json:"x"`
	Y     octets `json:"y"`
}

// octets are bytes that stand in base64url.
type octets []byte

func (o *octets) UnmarshalText(text []byte) (err error) {
	*o, err = base64.RawURLEncoding.DecodeString(string(text))
	return err
}

// Sizes of RSA keys in bits. Less is not safe (RFC 7518, section 3.3), more takes
// long to check.
const (
	minRSA = 2048
	maxRSA = 8192
)

// public returns the key, and the kind that an algorithm asks for.
func (k *jwk) public() (key crypto.PublicKey, kind string, err error) {
	switch k.Type {
	case "RSA":
		n, e := new(big.Int).SetBytes(k.N), new(big.Int).SetBytes(k.E)
		if n.BitLen() < minRSA || n.BitLen() > maxRSA || e.BitLen() < 2 || e.BitLen() > 31 {
			return nil, "", fmt.Errorf("RSA key of %d bits with an exponent of %d bits", n.BitLen(), e.BitLen())
		}
		return &rsa.PublicKey{N: n, E: int(e.Int64())}, "RSA", nil
	case "EC":
		curve, ok := curves[k.Curve]
		if !ok {
			return nil, "", fmt.Errorf("curve %.20q", k.Curve)
		}
		if size := (curve.Params().BitSize + 7) / 8; len(k.X) != size || len(k.Y) != size {
			return nil, "", errors.New("coordinates of another size than the curve's")
		}
		// It refuses what is not on the curve.
		key, err := ecdsa.ParseUncompressedPublicKey(curve, slices.Concat([]byte{4}, k.X, k.Y))
		return key, k.Curve, err
	case "OKP":
		if k.Curve == "Ed25519" && len(k.X) == ed25519.PublicKeySize {
			return ed25519.PublicKey(k.X), k.Curve, nil
		}
	}
	return nil, "", fmt.Errorf("type %.20q, curve %.20q", k.Type, k.Curve)
}

var curves = map[string]elliptic.Curve{"P-256": elliptic.P256(), "P-384": elliptic.P384(), "P-521": elliptic.P521()}

package main

import (
	"crypto"
	_ "crypto/sha256" // the hashes of the algorithms
	_ "crypto/sha512"
	"encoding/base64"
	"errors"
	"maps"
	"slices"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
	"github.com/golang-jwt/jwt/v5"
)

// algorithms are those that an ID token may be signed with: of asymmetric keys
// alone, so that no secret of ours, and no public key in place of one, ever
// counts as the provider's signature. Each is for one kind of key.
var algorithms = map[string]struct {
	kind string
	hash crypto.Hash // also that of at_hash
}{
	"RS256": {"RSA", crypto.SHA256},
	"RS384": {"RSA", crypto.SHA384},
	"RS512": {"RSA", crypto.SHA512},
	"PS256": {"RSA", crypto.SHA256},
	"ES256": {"P-256", crypto.SHA256},
	"ES384": {"P-384", crypto.SHA384},
	"ES512": {"P-521", crypto.SHA512},
	"EdDSA": {"Ed25519", crypto.SHA512},
}

// Bounds of an ID token.
const (
	clockLeeway = 2 * time.Minute // that the provider's clock may differ by
	maxSubject  = 255             // bytes, as the standard has it
)

// Why a token is refused that could not be checked at all.
var (
	errNoKey    = errors.New("signed with none of the provider's keys")
	errCritical = errors.New("has critical header parameters")
)

// checkIDToken returns the claims of an ID token, after the checks of OpenID
// Connect Core 1.0, section 3.1.3.7.
func (p *oidcProvider) checkIDToken(r *guest.Request, m *metadata, t *tokens, nonce string) (claims, error) {
	token, err := p.verified(r, m, t.ID)
	if err != nil {
		return nil, err
	}
	c := claims(token.Claims.(jwt.MapClaims))
	audience, _ := token.Claims.GetAudience()
	_, hasParty := c["azp"]
	_, hasHash := c["at_hash"]
	subject, _ := c["sub"].(string)
	switch {
	case c["iat"] == nil:
		return nil, refusedToken("it does not say when it was issued (iat)")
	case (hasParty || len(audience) > 1) && c["azp"] != p.clientID:
		return nil, refusedToken("it was issued to another client (azp)")
	case c["nonce"] != nonce:
		return nil, refusedToken("it belongs to another login (nonce)")
	case subject == "" || len(subject) > maxSubject:
		return nil, refusedToken("it does not say who has logged in (sub)")
	case hasHash && c["at_hash"] != leftHash(token.Method.Alg(), t.Access):
		return nil, refusedToken("it belongs to another access token (at_hash)")
	}
	return c, nil
}

// leftHash is the hash of an access token, as far as at_hash has it.
func leftHash(algorithm, access string) string {
	h := algorithms[algorithm].hash.New()
	h.Write([]byte(access))
	sum := h.Sum(nil)
	return base64.RawURLEncoding.EncodeToString(sum[:len(sum)/2])
}

// verified checks the signature of a token, and the claims that any token has. If
// none of the keys that are kept has signed it, the provider may have new ones.
func (p *oidcProvider) verified(r *guest.Request, m *metadata, raw string) (*jwt.Token, error) {
	set, err := p.keys(r, m, keysFresh)
	if err != nil {
		return nil, err
	}
	token, refused := p.parse(r.Time, raw, set)
	if errors.Is(refused, errNoKey) {
		if set, err = p.keys(r, m, keysAtLeast); err != nil {
			return nil, err
		}
		token, refused = p.parse(r.Time, raw, set)
	}
	if refused != nil {
		return nil, p.tokenRefusal(r, refused)
	}
	return token, nil
}

// parse takes a token apart and checks it with the keys of a set.
func (p *oidcProvider) parse(now func() time.Time, raw string, set keySet) (*jwt.Token, error) {
	looked := false
	token, err := jwt.Parse(raw, func(t *jwt.Token) (any, error) {
		if _, has := t.Header["crit"]; has {
			return nil, errCritical
		}
		looked = true
		id, _ := t.Header["kid"].(string)
		var keys jwt.VerificationKeySet
		for _, k := range set.fitting(t.Method.Alg(), id) {
			keys.Keys = append(keys.Keys, k.key)
		}
		return keys, nil
	},
		jwt.WithValidMethods(slices.Collect(maps.Keys(algorithms))),
		jwt.WithStrictDecoding(),
		jwt.WithTimeFunc(now), jwt.WithLeeway(clockLeeway), jwt.WithExpirationRequired(), jwt.WithIssuedAt(),
		jwt.WithIssuer(p.issuer), jwt.WithAudience(p.clientID),
	)
	if looked && (errors.Is(err, jwt.ErrTokenSignatureInvalid) || errors.Is(err, jwt.ErrTokenUnverifiable)) {
		err = errNoKey
	}
	return token, err
}

// reasons are what a client is told of the checks that the library makes, in the
// order in which they count.
var reasons = []struct {
	err error
	why string
}{
	{errNoKey, "it is signed with none of the provider's keys"},
	{errCritical, "it has header parameters that are not understood (crit)"},
	{jwt.ErrTokenMalformed, "it is malformed"},
	{jwt.ErrTokenSignatureInvalid, "its algorithm is not accepted (alg)"},
	{jwt.ErrTokenUnverifiable, "its algorithm is not accepted (alg)"},
	{jwt.ErrTokenInvalidIssuer, "it is from another issuer (iss)"},
	{jwt.ErrTokenInvalidAudience, "it is for another client (aud)"},
	{jwt.ErrTokenExpired, "it has expired (exp)"},
	{jwt.ErrTokenUsedBeforeIssued, "it was issued in the future (iat)"},
	{jwt.ErrTokenNotValidYet, "it is not valid yet (nbf)"},
}

// tokenRefusal is what a client is told of a token that did not pass.
func (p *oidcProvider) tokenRefusal(r *guest.Request, err error) error {
	r.Logf(abi.LogWarn, "login: provider %s: ID token: %v", p.name, err)
	for _, reason := range reasons {
		if errors.Is(err, reason.err) {
			return refusedToken(reason.why)
		}
	}
	return refusedToken("a claim is missing, or of the wrong type")
}

func refusedToken(why string) error {
	return guest.Errorf(403, "login_refused", "The provider's ID token is refused: %s.", why)
}

package edge

import (
	"crypto/ed25519"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"testing"

	"github.com/edgeset/edgeset/abi"
)

// The bodies and digests are those of RFC 9530.
func TestBodyDigest(t *testing.T) {
	var c Call
	for _, tt := range []struct{ body, algorithm, want string }{
		{"{\"hello\": \"world\"}\n", "sha-256", "RK/0qy18MlBSVnWgjwz6lZEWjP/lF5HF9bvEF8FabDg="},
		{"{\"hello\": \"world\"}\n", "sha-512", "YMAam51Jz/jOATT6/zvHrLVgOYTGFy1d6GJiOHTohq4yP+pgk4vf2aCsyRZOtw8MjkM7iw7yZ/WkppmM44T3qg=="},
		{"", "sha-256", "47DEQpj8HBSa+/TImW+5JCeuQeRkm5NMpJWZG3hSuFU="},
	} {
		c.Start(t.Context(), &Plugin{}, "")
		c.Body = []byte(tt.body)
		for range 2 {
			got, err := c.BodyDigest(tt.algorithm)
			if err != nil || base64.StdEncoding.EncodeToString(got) != tt.want {
				t.Errorf("%s of %q: %x, %v", tt.algorithm, tt.body, got, err)
			}
		}
		if _, err := c.BodyDigest("md5"); !errors.Is(err, abi.ErrArgument) {
			t.Errorf("md5: %v", err)
		}
	}
}

func TestKeyedChecks(t *testing.T) {
	var c Call
	// RFC 4231, test case 2.
	sum, err := c.HMACSHA256([]byte("Jefe"), []byte("what do ya want for nothing?"))
	if err != nil || hex.EncodeToString(sum) != "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843" {
		t.Errorf("%x, %v", sum, err)
	}
	key := ed25519.NewKeyFromSeed(make([]byte, ed25519.SeedSize))
	public, message := key.Public().(ed25519.PublicKey), []byte("message")
	signature := ed25519.Sign(key, message)
	for _, tt := range []struct {
		name                    string
		key, message, signature []byte
		want                    bool
	}{
		{"the signature", public, message, signature, true},
		{"another message", public, []byte("massage"), signature, false},
		{"half a signature", public, message, signature[:32], false},
		{"no signature", public, message, nil, false},
		{"half a key", public[:16], message, signature, false},
		{"no key", nil, message, signature, false},
	} {
		if got, err := c.VerifyEd25519(tt.key, tt.message, tt.signature); got != tt.want || err != nil {
			t.Errorf("%s: %v, %v", tt.name, got, err)
		}
	}
}

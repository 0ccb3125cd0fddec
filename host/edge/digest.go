package edge

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"

	"github.com/edgeset/edgeset/abi"
)

// BodyDigest implements abi.Host.
func (c *Call) BodyDigest(algorithm string) ([]byte, error) {
	switch algorithm {
	case "sha-256":
		sum := sha256.Sum256(c.Body)
		return sum[:], nil
	case "sha-512":
		sum := sha512.Sum512(c.Body)
		return sum[:], nil
	}
	return nil, abi.ErrArgument
}

// HMACSHA256 implements abi.Host.
func (c *Call) HMACSHA256(key, message []byte) ([]byte, error) {
	h := hmac.New(sha256.New, key)
	h.Write(message)
	return h.Sum(nil), nil
}

// VerifyEd25519 implements abi.Host.
func (c *Call) VerifyEd25519(key, message, signature []byte) (bool, error) {
	return len(key) == ed25519.PublicKeySize && ed25519.Verify(key, message, signature), nil
}

package edge

import (
	"crypto/ed25519"
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

// VerifyEd25519 implements abi.Host.
func (c *Call) VerifyEd25519(key, message, signature []byte) (bool, error) {
	return len(key) == ed25519.PublicKeySize && ed25519.Verify(key, message, signature), nil
}

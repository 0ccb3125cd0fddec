package edge

import (
	"crypto/ed25519"
	"crypto/hmac"
	"crypto/sha256"
	"crypto/sha512"

	"github.com/edgeset/edgeset/abi"
)

// digests are those of the body of a request. They are made once: a guest may ask
// for them as often as it likes, and a body has megabytes.
type digests struct {
	sha256, sha512 []byte
	foreign        bool // they were made elsewhere, if at all
}

// Digested has the call know the digests of a body that it does not have, because it is
// an upload; nil if they were not made, as nobody was to ask for them.
func (c *Call) Digested(sha256, sha512 []byte) { c.digests = digests{sha256, sha512, true} }

// BodyDigest implements abi.Host.
func (c *Call) BodyDigest(algorithm string) ([]byte, error) {
	d := &c.digests
	switch {
	case !d.foreign:
	case algorithm == "sha-256" && d.sha256 != nil:
		return d.sha256, nil
	case algorithm == "sha-512" && d.sha512 != nil:
		return d.sha512, nil
	default:
		return nil, abi.ErrArgument
	}
	switch algorithm {
	case "sha-256":
		if d.sha256 == nil {
			sum := sha256.Sum256(c.Body)
			d.sha256 = sum[:]
		}
		return d.sha256, nil
	case "sha-512":
		if d.sha512 == nil {
			sum := sha512.Sum512(c.Body)
			d.sha512 = sum[:]
		}
		return d.sha512, nil
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

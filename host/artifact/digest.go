// Package artifact deals with plugins as bytes: the digests that they are known by,
// the library in which a host keeps them, the registries that they come from and go
// to, and the signatures that say whose they are.
package artifact

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"strings"
)

// MaxSize is how large a plugin may be, in bytes.
const MaxSize = 64 << 20

// A Digest tells bytes apart: "sha256:" and 64 hexadecimal digits.
type Digest string

const digestScheme = "sha256:"

// DigestOf returns the digest of a plugin.
func DigestOf(wasm []byte) Digest {
	sum := sha256.Sum256(wasm)
	return Digest(digestScheme + hex.EncodeToString(sum[:]))
}

// ParseDigest checks that a string is a digest, in the one form that it has.
func ParseDigest(s string) (Digest, error) {
	digits, ok := strings.CutPrefix(s, digestScheme)
	if !ok || len(digits) != 2*sha256.Size || strings.Trim(digits, "0123456789abcdef") != "" {
		return "", fmt.Errorf("digest %.100q: want \"sha256:\" and 64 hexadecimal digits, in lower case", s)
	}
	return Digest(s), nil
}

// Hex returns the digits alone.
func (d Digest) Hex() string { return strings.TrimPrefix(string(d), digestScheme) }

package artifact

import (
	"errors"
	"fmt"
	"io"
	"os"
	"slices"
	"strings"

	"aead.dev/minisign"
)

// Keys are those whose owners' plugins an operator trusts.
type Keys struct {
	file string
	list []minisign.PublicKey
}

// SignatureEnding is what minisign adds to the name of a file for its signature.
const SignatureEnding = ".minisig"

const (
	maxKeysFile = 256 << 10 // bytes
	comment     = "untrusted comment:"
)

// ReadKeys reads a file of minisign's public keys, one a line. Lines that are empty,
// or begin with '#' or "untrusted comment:", say nothing, so the .pub files of
// minisign can be put one behind the other.
func ReadKeys(file string) (*Keys, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("artifact: keys: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxKeysFile+1))
	if err != nil {
		return nil, fmt.Errorf("artifact: keys: %w", err)
	}
	k, err := parseKeys(file, string(text))
	if err != nil {
		return nil, fmt.Errorf("artifact: keys: %w", err)
	}
	return k, nil
}

func parseKeys(file, text string) (*Keys, error) {
	if len(text) > maxKeysFile {
		return nil, fmt.Errorf("%s has more than %d bytes: want public keys of minisign, one a line", file, maxKeysFile)
	}
	k := &Keys{file: file}
	n := 0
	for line := range strings.Lines(text) {
		n++
		line = strings.TrimSpace(line)
		if line == "" || line[0] == '#' || strings.HasPrefix(line, comment) {
			continue
		}
		var key minisign.PublicKey
		if err := key.UnmarshalText([]byte(line)); err != nil {
			return nil, fmt.Errorf("%s:%d: %w; want a public key of minisign, such as \"RWQ…\", or a comment, which begins with '#'", file, n, err)
		}
		i := slices.IndexFunc(k.list, func(other minisign.PublicKey) bool { return other.ID() == key.ID() })
		switch {
		case i < 0:
			k.list = append(k.list, key)
		case !k.list[i].Equal(key):
			return nil, fmt.Errorf("%s:%d: there is another key whose id is %s: want one of the two", file, n, keyID(key.ID()))
		}
	}
	if len(k.list) == 0 {
		return nil, fmt.Errorf("%s has no key: want public keys of minisign, one a line", file)
	}
	return k, nil
}

// keyID is how minisign writes the id of a key.
func keyID(id uint64) string { return fmt.Sprintf("%X", id) }

// Verify tells which of the keys has signed a plugin. signature is the text of a
// .minisig file.
func (k *Keys) Verify(wasm []byte, signature string) (string, error) {
	if signature == "" {
		return "", fmt.Errorf("signature: it is not signed; want it signed by %s of %s", k.any(), k.file)
	}
	s, err := parseSignature(signature)
	if err != nil {
		return "", err
	}
	for _, key := range k.list {
		if key.ID() != s.KeyID {
			continue
		}
		if !minisign.Verify(key, wasm, []byte(signature)) {
			return "", fmt.Errorf("signature: it is said to be that of key %s, but is none of these bytes (%s): the plugin or the signature is not the one that was made", keyID(s.KeyID), DigestOf(wasm))
		}
		return keyID(s.KeyID), nil
	}
	return "", fmt.Errorf("signature: it is signed by key %s, which is not %s of %s", keyID(s.KeyID), k.any(), k.file)
}

// any names the keys.
func (k *Keys) any() string {
	if len(k.list) == 1 {
		return "key " + keyID(k.list[0].ID())
	}
	return fmt.Sprintf("one of the %d keys", len(k.list))
}

// ReadSignature returns the signature that stands beside the file of a plugin, in
// FILE.minisig, or "" if there is none.
func ReadSignature(file string) (string, error) {
	f, err := os.Open(file + SignatureEnding)
	if errors.Is(err, os.ErrNotExist) {
		return "", nil
	}
	if err != nil {
		return "", fmt.Errorf("artifact: signature: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxSignature+1))
	if err == nil && len(text) > maxSignature {
		err = fmt.Errorf("%s%s has more than %d bytes: want a signature of minisign", file, SignatureEnding, maxSignature)
	}
	if err != nil {
		return "", fmt.Errorf("artifact: signature: %w", err)
	}
	return string(text), nil
}

// SignedBy returns the id of the key that a signature is said to be of. That is no
// more than a claim: see Verify.
func SignedBy(signature string) (string, error) {
	s, err := parseSignature(signature)
	if err != nil {
		return "", err
	}
	return keyID(s.KeyID), nil
}

func parseSignature(signature string) (s minisign.Signature, err error) {
	if len(signature) > maxSignature {
		return s, fmt.Errorf("signature: it has %d bytes; want at most %d", len(signature), maxSignature)
	}
	if err := s.UnmarshalText([]byte(signature)); err != nil {
		return s, fmt.Errorf("signature: %s; want the text of a %s file", clean(err.Error()), SignatureEnding)
	}
	return s, nil
}

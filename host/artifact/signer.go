package artifact

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"time"

	"aead.dev/minisign"
)

// PasswordEnv has the password of the key that plugins are signed with.
const PasswordEnv = "EDGESET_SIGN_PASSWORD"

// A Signer signs plugins.
type Signer struct{ key minisign.PrivateKey }

// NewSigner makes a pair of keys. secret is for a file that only its owner can read,
// encrypted if there is a password, and public for who is to trust it. Both have
// minisign's form.
func NewSigner(password string) (s *Signer, secret, public []byte, err error) {
	_, key, err := minisign.GenerateKey(nil)
	if err != nil {
		return nil, nil, nil, fmt.Errorf("artifact: make a key: %w", err)
	}
	if password == "" {
		secret, err = key.MarshalText()
	} else {
		secret, err = minisign.EncryptKey(password, key)
	}
	if err != nil {
		return nil, nil, nil, fmt.Errorf("artifact: make a key: %w", err)
	}
	s = &Signer{key}
	public = fmt.Appendf(nil, "%s minisign public key %s\n%s\n", comment, s.ID(), s.Public())
	return s, append(secret, '\n'), public, nil
}

// ReadSigner reads a secret key of minisign. The password is that of one that is
// encrypted.
func ReadSigner(file, password string) (*Signer, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, fmt.Errorf("artifact: key: %w", err)
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, maxKeysFile))
	if err != nil {
		return nil, fmt.Errorf("artifact: key: %w", err)
	}
	s, err := parseSigner(text, password)
	if err != nil {
		return nil, fmt.Errorf("artifact: key %s: %w", file, err)
	}
	return s, nil
}

func parseSigner(text []byte, password string) (*Signer, error) {
	s := new(Signer)
	if !minisign.IsEncrypted(text) {
		if err := s.key.UnmarshalText(text); err != nil {
			return nil, fmt.Errorf("%w; want a secret key of minisign", err)
		}
		return s, nil
	}
	if password == "" {
		return nil, errors.New("it is encrypted: want its password in " + PasswordEnv)
	}
	var err error
	if s.key, err = minisign.DecryptKey(password, text); err != nil {
		return nil, fmt.Errorf("%w: the password in %s is not its password, or the file is damaged", err, PasswordEnv)
	}
	return s, nil
}

// ID is the id of the key.
func (s *Signer) ID() string { return keyID(s.key.ID()) }

// Public is the public key, as one line for a file of keys.
func (s *Signer) Public() string { return s.key.Public().(minisign.PublicKey).String() }

// Sign returns the signature of a plugin, as the text of a .minisig file. The name of
// the file and the time are signed, too.
func (s *Signer) Sign(wasm []byte, file string, at time.Time) string {
	r := minisign.NewReader(bytes.NewReader(wasm))
	_, _ = io.Copy(io.Discard, r) // memory can always be read
	trusted := fmt.Sprintf("timestamp:%d\tfile:%s\thashed", at.Unix(), clean(filepath.Base(file)))
	return string(r.SignWithComments(s.key, trusted, "signature from edgeset key "+s.ID()))
}

package secret

import (
	"crypto/rand"
	"encoding/base64"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
)

// KeyEnv names the environment variable that sets the key.
const KeyEnv = "EDGESET_SECRET_KEY"

// KeySize is the number of bytes of a key.
const KeySize = 32

// keyFile is the name, in the data folder, of the file with the key.
const keyFile = "secret.key"

// Key returns the key that secrets are encrypted with: the one that the
// environment sets, else the one in the data folder, which is made on first use.
// Both are base64, and the file can be read by its owner alone.
func Key(dataDir string) ([]byte, error) {
	if text := os.Getenv(KeyEnv); text != "" {
		key, err := parseKey(text)
		if err != nil {
			return nil, fmt.Errorf("secret: %s: %w", KeyEnv, err)
		}
		return key, nil
	}
	file := filepath.Join(dataDir, keyFile)
	key, err := readKey(file)
	if errors.Is(err, fs.ErrNotExist) {
		if err = makeKey(dataDir, file); err == nil {
			key, err = readKey(file)
		}
	}
	if err != nil {
		return nil, fmt.Errorf("secret: key: %w (or set %s)", err, KeyEnv)
	}
	return key, nil
}

// parseKey reads base64 in either alphabet, padded or not. What it says of a bad
// key does not quote it: it may be a good one with a slip.
func parseKey(text string) ([]byte, error) {
	text = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimSpace(text))
	key, err := base64.RawStdEncoding.DecodeString(strings.TrimRight(text, "="))
	if err != nil {
		return nil, fmt.Errorf("%d characters that are not base64: want %d bytes in base64, as of \"openssl rand -base64 %d\"", len(text), KeySize, KeySize)
	}
	if len(key) != KeySize {
		return nil, fmt.Errorf("%d bytes in base64: want %d, as of \"openssl rand -base64 %d\"", len(key), KeySize, KeySize)
	}
	return key, nil
}

func readKey(file string) ([]byte, error) {
	// Looked at before it is opened: a named pipe would wait for a writer.
	if info, err := os.Stat(file); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is a %s: want a file", file, info.Mode().Type())
	}
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	info, err := f.Stat()
	if err != nil {
		return nil, err
	}
	if mode := info.Mode().Perm(); mode&0o077 != 0 {
		return nil, fmt.Errorf("%s has mode %#o, so others may have read it: want 0600, and new secrets if others use this machine", file, mode)
	}
	text, err := io.ReadAll(io.LimitReader(f, 1<<10))
	if err != nil {
		return nil, err
	}
	key, err := parseKey(string(text))
	if err != nil {
		return nil, fmt.Errorf("%s: %w", file, err)
	}
	return key, nil
}

// makeKey writes a new key to file unless there is one. The file is there whole
// or not at all, so a crash leaves no half key, and of two processes that make
// one at a time both find the same.
func makeKey(dir, file string) error {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return err
	}
	f, err := os.CreateTemp(dir, keyFile+".*.tmp") // mode 0600
	if err != nil {
		return err
	}
	defer os.Remove(f.Name())
	var key [KeySize]byte
	rand.Read(key[:])
	_, err = f.WriteString(base64.StdEncoding.EncodeToString(key[:]) + "\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return err
	}
	// A link, other than a rename, does not replace what is there.
	if err := os.Link(f.Name(), file); err != nil && !errors.Is(err, fs.ErrExist) {
		return err
	}
	d, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(d.Sync(), d.Close()) // the name is to outlive a crash, as what is encrypted does
}

// Package secret keeps the settings of plugins that do not belong into a
// manifest: passwords and keys. They are encrypted at rest, given to the plugins
// that name them, and kept out of logs.
package secret

import (
	"context"
	"crypto/cipher"
	"crypto/rand"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"golang.org/x/crypto/chacha20poly1305"

	"github.com/edgeset/edgeset/store"
)

// hostSpace is where the host keeps its own records in the store.
const hostSpace = store.HostSpace

// Outbox is what stands for a plugin where the secrets of a deployment's outbox are
// kept: the passwords and keys by which it delivers. No plugin has such a name.
const Outbox = "@outbox"

// MaxValue bounds the bytes of a secret.
const MaxValue = 64 << 10

// maxName bounds each part of what a secret is called.
const maxName = 64

var (
	// ErrKey is wrapped by New and Set if the store holds secrets of another key.
	ErrKey = errors.New("the secrets in the store were encrypted with another key: want the one of " + KeyEnv + " or " + keyFile)

	// ErrNotSet is wrapped by Values if a secret has no value.
	ErrNotSet = errors.New("not set")

	// ErrInvalid is wrapped if a name or value cannot be one.
	ErrInvalid = errors.New("invalid")
)

// A Vault keeps secrets in a store. It can be used by several goroutines.
type Vault struct {
	aead  cipher.AEAD
	store store.Store
}

// An Entry tells of a secret, but not its value.
type Entry struct {
	Plugin   string    `json:"plugin"` // its name, or Outbox
	Name     string    `json:"name"`
	Revision int       `json:"revision"` // rises with each change, also with one that deletes it
	At       time.Time `json:"at"`       // when it was set
}

// New returns a vault whose values are encrypted with key, see Key. It fails with
// ErrKey if the store holds values of another one.
func New(key []byte, s store.Store) (*Vault, error) {
	aead, err := chacha20poly1305.NewX(key)
	if err != nil {
		return nil, fmt.Errorf("secret: key of %d bytes: want %d", len(key), KeySize)
	}
	v := &Vault{aead, s}
	err = s.View(context.Background(), hostSpace, func(tx store.Txn) error {
		_, err := v.check(tx)
		return err
	})
	if err != nil {
		return nil, fmt.Errorf("secret: %w", err)
	}
	return v, nil
}

// check tells whether the store says which key it was encrypted with, and fails
// if that is another.
func (v *Vault) check(tx store.Txn) (found bool, err error) {
	record, found, err := tx.Get([]byte(checkKey))
	if err != nil || !found {
		return false, err
	}
	if _, err := v.open(record, []byte(checkKey)); err != nil {
		return true, ErrKey
	}
	return true, nil
}

// Set gives a secret a value and returns its new revision.
func (v *Vault) Set(ctx context.Context, deployment, plugin, name, value string) (revision int, err error) {
	wrong := func(err error) error { return fmt.Errorf("secret: set %s: %w", title(deployment, plugin, name), err) }
	if err := validNames(deployment, nameOf(plugin), name); err != nil {
		return 0, wrong(err)
	}
	if len(value) == 0 || len(value) > MaxValue {
		return 0, wrong(fmt.Errorf("%w: value of %d bytes: want 1 to %d", ErrInvalid, len(value), MaxValue))
	}
	if !utf8.ValidString(value) {
		return 0, wrong(fmt.Errorf("%w: value is not UTF-8: want text, such as the base64 of bytes", ErrInvalid))
	}
	err = store.Repeat(ctx, v.store, hostSpace, func(tx store.Txn) error {
		keyKnown, err := v.check(tx)
		if err != nil {
			return err
		}
		if !keyKnown {
			if err := tx.Put([]byte(checkKey), v.seal(nil, nil, []byte(checkKey)), 0); err != nil {
				return err
			}
		}
		before, _, err := get(tx, deployment, plugin, name)
		if err != nil && !errors.Is(err, errRecord) { // what nobody can read is replaced
			return err
		}
		e := entry{revision: before.revision + 1, at: time.Now()}
		revision = e.revision
		record := v.seal(e.head(), []byte(value), e.context(deployment, plugin, name))
		return tx.Put(keyOf(deployment, plugin, name), record, 0)
	})
	if err != nil {
		return 0, wrong(err)
	}
	return revision, nil
}

// Delete takes a secret away. Its revision stays, so that a later value does not
// pass for an earlier one.
func (v *Vault) Delete(ctx context.Context, deployment, plugin, name string) (found bool, err error) {
	wrong := func(err error) error {
		return fmt.Errorf("secret: delete %s: %w", title(deployment, plugin, name), err)
	}
	if err := validNames(deployment, nameOf(plugin), name); err != nil {
		return false, wrong(err)
	}
	err = store.Repeat(ctx, v.store, hostSpace, func(tx store.Txn) error {
		before, there, err := get(tx, deployment, plugin, name)
		if errors.Is(err, errRecord) {
			found = true
			return tx.Delete(keyOf(deployment, plugin, name))
		}
		if found = there && err == nil; !found {
			return err
		}
		gone := entry{revision: before.revision + 1, at: time.Now()}
		return tx.Put(keyOf(deployment, plugin, name), gone.head(), 0)
	})
	if err != nil {
		return false, wrong(err)
	}
	return found, nil
}

// List returns the secrets of a deployment, ordered by plugin and name.
func (v *Vault) List(ctx context.Context, deployment string) ([]Entry, error) {
	if err := validNames(deployment); err != nil {
		return nil, fmt.Errorf("secret: list: %w", err)
	}
	var list []Entry
	err := v.store.View(ctx, hostSpace, func(tx store.Txn) error {
		prefix := keyPrefix + deployment + separator
		r := store.Range{Start: []byte(prefix), End: []byte(keyPrefix + deployment + afterSeparator)}
		for {
			page, err := tx.Scan(r)
			if err != nil {
				return err
			}
			for _, found := range page.Entries {
				plugin, name, _ := strings.Cut(string(found.Key[len(prefix):]), separator)
				e, err := parseEntry(found.Value)
				if err != nil {
					return fmt.Errorf("%s: %w", title(deployment, plugin, name), err)
				}
				if e.sealed != nil {
					list = append(list, Entry{plugin, name, e.revision, e.at})
				}
			}
			if !page.More {
				return nil
			}
			last := page.Entries[len(page.Entries)-1].Key
			r.Start = append(append([]byte{}, last...), 0)
		}
	})
	if err != nil {
		return nil, fmt.Errorf("secret: list: %w", err)
	}
	return list, nil
}

// Values returns the values and revisions of a plugin's secrets, all as they were
// at one time. If some are not set it fails with ErrNotSet and names them.
func (v *Vault) Values(ctx context.Context, deployment, plugin string, names []string) (values map[string]string, revisions map[string]int, err error) {
	if err := validNames(append([]string{deployment, nameOf(plugin)}, names...)...); err != nil {
		return nil, nil, fmt.Errorf("secret: values: %w", err)
	}
	values, revisions = make(map[string]string, len(names)), make(map[string]int, len(names))
	err = v.store.View(ctx, hostSpace, func(tx store.Txn) error {
		var missing []error
		for _, name := range names {
			e, found, err := get(tx, deployment, plugin, name)
			if err == nil && !found {
				missing = append(missing, fmt.Errorf("%s is %w", title(deployment, plugin, name), ErrNotSet))
				continue
			}
			var value []byte
			if err == nil {
				value, err = v.open(e.sealed, e.context(deployment, plugin, name))
			}
			if err != nil {
				return fmt.Errorf("%s: %w", title(deployment, plugin, name), err)
			}
			values[name], revisions[name] = string(value), e.revision
		}
		return errors.Join(missing...)
	})
	if err != nil {
		return nil, nil, fmt.Errorf("secret: %w", err)
	}
	return values, revisions, nil
}

// seal appends the encrypted text to head: nonce and ciphertext. context is what
// it can be decrypted with alone.
func (v *Vault) seal(head, text, context []byte) []byte {
	nonce := make([]byte, chacha20poly1305.NonceSizeX)
	rand.Read(nonce)
	return v.aead.Seal(append(head, nonce...), nonce, text, context)
}

func (v *Vault) open(sealed, context []byte) ([]byte, error) {
	if len(sealed) < chacha20poly1305.NonceSizeX {
		return nil, errRecord
	}
	nonce, sealed := sealed[:chacha20poly1305.NonceSizeX], sealed[chacha20poly1305.NonceSizeX:]
	text, err := v.aead.Open(nil, nonce, sealed, context)
	if err != nil {
		return nil, errRecord
	}
	return text, nil
}

// title is how messages call a secret.
func title(deployment, plugin, name string) string {
	if plugin == Outbox {
		return fmt.Sprintf("deployment %q: outbox: secret %q", deployment, name)
	}
	return fmt.Sprintf("deployment %q: plugin %q: secret %q", deployment, plugin, name)
}

// nameOf is the part of what a plugin is called that has to be a name.
func nameOf(plugin string) string {
	if plugin == Outbox {
		return plugin[1:]
	}
	return plugin
}

func validNames(names ...string) error {
	for _, name := range names {
		ok := 0 < len(name) && len(name) <= maxName
		for _, c := range []byte(name) {
			ok = ok && ('a' <= c && c <= 'z' || 'A' <= c && c <= 'Z' || '0' <= c && c <= '9' || c == '_' || c == '-' || c == '.')
		}
		if !ok {
			return fmt.Errorf("%w: name %q: want 1 to %d of a-z, A-Z, 0-9, '_', '-' and '.'", ErrInvalid, shortened(name), maxName)
		}
	}
	return nil
}

// shortened keeps a name that is none from filling the log.
func shortened(name string) string {
	if len(name) > maxName+1 {
		return name[:maxName+1] + "…"
	}
	return name
}

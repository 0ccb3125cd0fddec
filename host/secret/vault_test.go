package secret

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/edgeset/edgeset/store"
	"github.com/edgeset/edgeset/store/badgerstore"
)

var testKey = bytes.Repeat([]byte{7}, KeySize)

func openStore(t testing.TB, dir string) *badgerstore.Store {
	t.Helper()
	s, err := badgerstore.Open(badgerstore.Options{Dir: dir, Durability: badgerstore.Process})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// rig is a vault and what it stands on.
type rig struct {
	*Vault
	t     *testing.T
	store *badgerstore.Store
}

func newRig(t *testing.T) *rig {
	t.Helper()
	s := openStore(t, t.TempDir())
	v, err := New(testKey, s)
	if err != nil {
		t.Fatal(err)
	}
	return &rig{v, t, s}
}

// set gives a secret "deployment/plugin/name" a value and wants it to have a revision.
func (r *rig) set(path, value string, want int) {
	r.t.Helper()
	p := strings.Split(path, "/")
	if got, err := r.Set(r.t.Context(), p[0], p[1], p[2], value); err != nil || got != want {
		r.t.Fatalf("set %s: revision %d, %v; want %d", path, got, err, want)
	}
}

// get returns a secret's value and revision as "value 3", or the error.
func (r *rig) get(path string) string {
	r.t.Helper()
	p := strings.Split(path, "/")
	values, revisions, err := r.Values(r.t.Context(), p[0], p[1], p[2:])
	if err != nil {
		return err.Error()
	}
	if len(values) != 1 || len(revisions) != 1 {
		r.t.Fatalf("%v, %v", values, revisions)
	}
	return fmt.Sprint(values[p[2]], " ", revisions[p[2]])
}

// records reads or changes what the store holds.
func (r *rig) records(fn func(tx store.Txn) error) {
	r.t.Helper()
	if err := r.store.Update(r.t.Context(), hostSpace, fn); err != nil {
		r.t.Fatal(err)
	}
}

func TestASecretIsWhatItWasSetTo(t *testing.T) {
	r := newRig(t)
	if err := r.get("eu/signing/smtp"); !strings.Contains(err, `deployment "eu": plugin "signing": secret "smtp" is not set`) {
		t.Error(err)
	}
	r.set("eu/signing/smtp", "one", 1)
	r.set("eu/signing/smtp", "two", 2)
	r.set("eu/signing/smtp.port", "25", 1)
	r.set("eu/status/smtp", "of status", 1)
	r.set("us/signing/smtp", "of us", 1)
	r.set("eu-2/signing/smtp", "of eu-2", 1)
	for path, want := range map[string]string{
		"eu/signing/smtp": "two 2", "eu/signing/smtp.port": "25 1", "eu/status/smtp": "of status 1",
		"us/signing/smtp": "of us 1", "eu-2/signing/smtp": "of eu-2 1",
	} {
		if got := r.get(path); got != want {
			t.Errorf("%s: %s, want %s", path, got, want)
		}
	}
	values, revisions, err := r.Values(t.Context(), "eu", "signing", []string{"smtp", "smtp.port"})
	if err != nil || !maps.Equal(values, map[string]string{"smtp": "two", "smtp.port": "25"}) ||
		!maps.Equal(revisions, map[string]int{"smtp": 2, "smtp.port": 1}) {
		t.Errorf("%v, %v, %v", values, revisions, err)
	}
	if values, revisions, err := r.Values(t.Context(), "eu", "signing", nil); err != nil || len(values)+len(revisions) != 0 {
		t.Errorf("of none: %v, %v, %v", values, revisions, err)
	}
	large := strings.Repeat("é", MaxValue/2)
	r.set("eu/signing/large", large, 1)
	if got := r.get("eu/signing/large"); got != large+" 1" {
		t.Errorf("the largest value came back as %d bytes", len(got))
	}
}

func TestTheOutboxHasSecretsOfItsOwn(t *testing.T) {
	r := newRig(t)
	if err := r.get("eu/@outbox/smtp"); !strings.Contains(err, `deployment "eu": outbox: secret "smtp" is not set`) {
		t.Error(err)
	}
	r.set("eu/@outbox/smtp", "one", 1)
	r.set("eu/outbox/smtp", "of a plugin", 1)
	if got := r.get("eu/@outbox/smtp"); got != "one 1" {
		t.Error(got)
	}
	if list, err := r.List(t.Context(), "eu"); err != nil || len(list) != 2 || list[0].Plugin != Outbox || list[1].Plugin != "outbox" {
		t.Errorf("%+v, %v", list, err)
	}
	if found, err := r.Delete(t.Context(), "eu", Outbox, "smtp"); err != nil || !found {
		t.Errorf("%v, %v", found, err)
	}
	for _, p := range [][3]string{{Outbox, "p", "n"}, {"eu", "p", Outbox}, {"eu", "@", "n"}, {"eu", "@@outbox", "n"}, {"eu", "@outbox2", "n"}} {
		if _, err := r.Set(t.Context(), p[0], p[1], p[2], "x"); !errors.Is(err, ErrInvalid) {
			t.Errorf("%q: %v", p, err)
		}
	}
}

func TestAllSecretsThatAreMissingAreNamed(t *testing.T) {
	r := newRig(t)
	r.set("eu/signing/b", "x", 1)
	_, _, err := r.Values(t.Context(), "eu", "signing", []string{"a", "b", "c"})
	if !errors.Is(err, ErrNotSet) || !strings.Contains(err.Error(), `"a"`) || !strings.Contains(err.Error(), `"c"`) || strings.Contains(err.Error(), `"b"`) {
		t.Errorf("error %v", err)
	}
}

func TestARevisionIsNeverUsedTwice(t *testing.T) {
	r := newRig(t)
	if found, err := r.Delete(t.Context(), "eu", "signing", "smtp"); found || err != nil {
		t.Errorf("delete of none: %v, %v", found, err)
	}
	r.set("eu/signing/smtp", "one", 1)
	if found, err := r.Delete(t.Context(), "eu", "signing", "smtp"); !found || err != nil {
		t.Errorf("delete: %v, %v", found, err)
	}
	if found, err := r.Delete(t.Context(), "eu", "signing", "smtp"); found || err != nil {
		t.Errorf("delete again: %v, %v", found, err)
	}
	if got := r.get("eu/signing/smtp"); !strings.Contains(got, "not set") {
		t.Errorf("after the delete: %s", got)
	}
	if list, err := r.List(t.Context(), "eu"); err != nil || len(list) != 0 {
		t.Errorf("list after the delete: %v, %v", list, err)
	}
	r.set("eu/signing/smtp", "two", 3)
}

func TestAListHasAllSecretsOfADeploymentInOrder(t *testing.T) {
	r := newRig(t)
	before := time.Now().Add(-time.Second)
	var want []string
	for i := range store.MaxPageSize + 10 {
		name := fmt.Sprintf("s%04d", i)
		r.set("eu/signing/"+name, "x", 1)
		want = append(want, "signing/"+name)
	}
	r.set("eu/a/z", "x", 1)
	r.set("eu/a/z", "x", 2)
	r.set("eu-1/a/z", "x", 1)
	r.set("e/a/z", "x", 1)
	want = slices.Insert(want, 0, "a/z")
	list, err := r.List(t.Context(), "eu")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, e := range list {
		got = append(got, e.Plugin+"/"+e.Name)
		if e.At.Before(before) || e.At.After(time.Now()) {
			t.Fatalf("%s was set at %v", e.Name, e.At)
		}
	}
	if !slices.Equal(got, want) {
		t.Errorf("%d entries, want %d: %v", len(got), len(want), got[:min(3, len(got))])
	}
	if list[0].Revision != 2 {
		t.Errorf("revision %d, want 2", list[0].Revision)
	}
}

func TestNamesAndValuesOutOfBoundsAreRefused(t *testing.T) {
	r := newRig(t)
	for _, c := range [][4]string{
		{"", "p", "n", "v"}, {"d", "", "n", "v"}, {"d", "p", "", "v"}, {"d", "p", strings.Repeat("n", 65), "v"},
		{"d\x00p", "p", "n", "v"}, {"d", "p/n", "n", "v"}, {"d", "p", "n n", "v"}, {"d", "p", "é", "v"},
		{"d", "p", "n", ""}, {"d", "p", "n", strings.Repeat("v", MaxValue+1)}, {"d", "p", "n", "\xff"},
	} {
		_, err := r.Set(t.Context(), c[0], c[1], c[2], c[3])
		if !errors.Is(err, ErrInvalid) || !strings.Contains(err.Error(), "want") {
			t.Errorf("set %.70q: error %v", c, err)
		}
		if c[3] != "v" {
			continue
		}
		if _, err := r.Delete(t.Context(), c[0], c[1], c[2]); !errors.Is(err, ErrInvalid) {
			t.Errorf("delete %.70q: error %v", c, err)
		}
		if _, _, err := r.Values(t.Context(), c[0], c[1], []string{c[2]}); !errors.Is(err, ErrInvalid) {
			t.Errorf("values of %.70q: error %v", c, err)
		}
	}
	if _, err := r.List(t.Context(), "\x00"); !errors.Is(err, ErrInvalid) {
		t.Errorf("list: error %v", err)
	}
	r.set("d/p/"+strings.Repeat("n", 64), "v", 1)
}

func TestChangesAtTheSameTimeAreAllCounted(t *testing.T) {
	r := newRig(t)
	const writers, each = 4, 10
	var wg sync.WaitGroup
	for i := range writers {
		wg.Go(func() {
			for range each {
				if _, err := r.Set(t.Context(), "eu", "signing", "smtp", fmt.Sprint("writer", i)); err != nil {
					t.Error(err)
				}
			}
		})
	}
	wg.Wait()
	if got := r.get("eu/signing/smtp"); !strings.HasSuffix(got, fmt.Sprint(" ", writers*each)) {
		t.Errorf("%s, want revision %d", got, writers*each)
	}
}

func TestNoValueStandsInTheFilesOfTheStore(t *testing.T) {
	const value = "correct-horse-battery-staple-0123456789"
	dir := t.TempDir()
	s, err := badgerstore.Open(badgerstore.Options{Dir: dir, Durability: badgerstore.Process})
	if err != nil {
		t.Fatal(err)
	}
	v, err := New(testKey, s)
	if err != nil {
		t.Fatal(err)
	}
	for i := range 20 {
		if _, err := v.Set(t.Context(), "eu", "signing", fmt.Sprintf("name-that-shows-%d", i), value); err != nil {
			t.Fatal(err)
		}
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	names := 0
	err = filepath.WalkDir(dir, func(path string, d os.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		b, err := os.ReadFile(path)
		if bytes.Contains(b, []byte(value)) || bytes.Contains(b, []byte(value[8:24])) || bytes.Contains(b, testKey) {
			t.Errorf("%s has the value", path)
		}
		names += bytes.Count(b, []byte("name-that-shows-"))
		return err
	})
	if err != nil || names == 0 {
		t.Errorf("%d names found, %v: looked at the wrong place", names, err)
	}
}

func TestAnotherKeyIsRefused(t *testing.T) {
	r := newRig(t)
	other := bytes.Repeat([]byte{8}, KeySize)
	early, err := New(other, r.store) // nothing is encrypted yet
	if err != nil {
		t.Fatal(err)
	}
	r.set("eu/signing/smtp", "one", 1)
	if _, err := New(other, r.store); !errors.Is(err, ErrKey) || !strings.Contains(err.Error(), "want the one of EDGESET_SECRET_KEY or secret.key") {
		t.Errorf("new: error %v", err)
	}
	if _, err := early.Set(t.Context(), "eu", "signing", "smtp", "two"); !errors.Is(err, ErrKey) {
		t.Errorf("set: error %v", err)
	}
	if _, _, err := early.Values(t.Context(), "eu", "signing", []string{"smtp"}); !errors.Is(err, errRecord) {
		t.Errorf("values: error %v", err)
	}
	if _, err := New(testKey, r.store); err != nil {
		t.Error(err)
	}
	if got := r.get("eu/signing/smtp"); got != "one 1" {
		t.Error(got)
	}
	if _, err := New(testKey[1:], r.store); err == nil || !strings.Contains(err.Error(), "31 bytes: want 32") {
		t.Errorf("a short key: error %v", err)
	}
}

func TestARecordThatWasTamperedWithIsRefused(t *testing.T) {
	at := keyOf("eu", "signing", "smtp")
	copyOf := func(tx store.Txn, key []byte) []byte {
		b, _, _ := tx.Get(key)
		return bytes.Clone(b)
	}
	for name, tamper := range map[string]func(tx store.Txn, r *rig) []byte{
		"that of another name":       func(tx store.Txn, r *rig) []byte { return copyOf(tx, keyOf("eu", "signing", "other")) },
		"that of another plugin":     func(tx store.Txn, r *rig) []byte { return copyOf(tx, keyOf("eu", "status", "smtp")) },
		"that of another deployment": func(tx store.Txn, r *rig) []byte { return copyOf(tx, keyOf("us", "signing", "smtp")) },
		"the check value":            func(tx store.Txn, r *rig) []byte { return copyOf(tx, []byte(checkKey)) },
		"another revision":           func(tx store.Txn, r *rig) []byte { b := copyOf(tx, at); b[8]++; return b },
		"another time":               func(tx store.Txn, r *rig) []byte { b := copyOf(tx, at); b[headSize-1]++; return b },
		"a changed byte":             func(tx store.Txn, r *rig) []byte { b := copyOf(tx, at); b[len(b)-1] ^= 1; return b },
		"a changed nonce":            func(tx store.Txn, r *rig) []byte { b := copyOf(tx, at); b[headSize] ^= 1; return b },
		"cut short":                  func(tx store.Txn, r *rig) []byte { b := copyOf(tx, at); return b[:headSize+3] },
		"another format":             func(tx store.Txn, r *rig) []byte { b := copyOf(tx, at); b[0] = 9; return b },
		"no revision":                func(tx store.Txn, r *rig) []byte { b := copyOf(tx, at); clear(b[1:9]); return b },
		"a huge revision":            func(tx store.Txn, r *rig) []byte { b := copyOf(tx, at); b[1] = 0xff; return b },
		"nothing":                    func(tx store.Txn, r *rig) []byte { return nil },
	} {
		t.Run(name, func(t *testing.T) {
			r := newRig(t)
			for _, path := range []string{"eu/signing/smtp", "eu/signing/other", "eu/status/smtp", "us/signing/smtp"} {
				r.set(path, "value", 1)
			}
			r.records(func(tx store.Txn) error { return tx.Put(at, tamper(tx, r), 0) })
			if _, _, err := r.Values(t.Context(), "eu", "signing", []string{"smtp"}); !errors.Is(err, errRecord) || !strings.Contains(err.Error(), `secret "smtp"`) {
				t.Errorf("error %v", err)
			}
			// It can be set again.
			if _, err := r.Set(t.Context(), "eu", "signing", "smtp", "new"); err != nil {
				t.Error(err)
			}
			if got := r.get("eu/signing/smtp"); !strings.HasPrefix(got, "new ") {
				t.Error(got)
			}
			r.records(func(tx store.Txn) error { return tx.Put(at, tamper(tx, r), 0) })
			if found, err := r.Delete(t.Context(), "eu", "signing", "smtp"); !found || err != nil {
				t.Errorf("delete: %v, %v", found, err)
			}
			if got := r.get("eu/signing/smtp"); !strings.Contains(got, "not set") {
				t.Error(got)
			}
		})
	}
}

func TestAVaultSaysThatItsStoreIsClosed(t *testing.T) {
	s, err := badgerstore.Open(badgerstore.Options{Dir: t.TempDir(), Durability: badgerstore.Process})
	if err != nil {
		t.Fatal(err)
	}
	v, err := New(testKey, s)
	if err != nil {
		t.Fatal(err)
	}
	if err := s.Close(); err != nil {
		t.Fatal(err)
	}
	ctx := context.Background()
	_, set := v.Set(ctx, "d", "p", "n", "v")
	_, deleted := v.Delete(ctx, "d", "p", "n")
	_, listed := v.List(ctx, "d")
	_, _, read := v.Values(ctx, "d", "p", []string{"n"})
	_, made := New(testKey, s)
	for _, err := range []error{set, deleted, listed, read, made} {
		if !errors.Is(err, store.ErrClosed) {
			t.Errorf("error %v", err)
		}
	}
}

// FuzzParseEntry reads what a store could hold. What is taken as an entry is
// written again as it was.
func FuzzParseEntry(f *testing.F) {
	one := entry{revision: 1, at: time.UnixMicro(1)}
	f.Add(one.head())
	f.Add(append(one.head(), "sealed"...))
	f.Add([]byte{})
	f.Add(bytes.Repeat([]byte{0xff}, headSize))
	f.Fuzz(func(t *testing.T, record []byte) {
		e, err := parseEntry(record)
		if err != nil {
			return
		}
		if e.revision <= 0 || !bytes.Equal(append(e.head(), e.sealed...), record) {
			t.Errorf("%x is read as %+v", record, e)
		}
	})
}

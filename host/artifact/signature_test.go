package artifact

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"aead.dev/minisign"
)

func newSigner(t testing.TB) *Signer {
	t.Helper()
	s, _, _, err := NewSigner("")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// keysOf are the keys of a file with these lines.
func keysOf(t testing.TB, lines ...string) *Keys {
	t.Helper()
	k, err := ReadKeys(write(t, "keys", strings.Join(lines, "\n")))
	if err != nil {
		t.Fatal(err)
	}
	return k
}

func write(t testing.TB, name, text string) string {
	t.Helper()
	file := filepath.Join(t.TempDir(), name)
	if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return file
}

func TestASignatureOfAKeyThatIsTrustedIsGood(t *testing.T) {
	ann, ben, wasm := newSigner(t), newSigner(t), []byte("a plugin")
	keys := keysOf(t, "# those of the team", "", "untrusted comment: minisign public key", ann.Public(), ben.Public()+"\r", ann.Public())
	for _, s := range []*Signer{ann, ben} {
		if id, err := keys.Verify(wasm, s.Sign(wasm, "a.wasm", time.Now())); err != nil || id != s.ID() {
			t.Errorf("%s, %v; want %s", id, err, s.ID())
		}
	}
	// The older form, in which the bytes are not hashed first.
	if id, err := keys.Verify(wasm, string(minisign.Sign(ann.key, wasm))); err != nil || id != ann.ID() {
		t.Errorf("%s, %v", id, err)
	}
}

func TestAnyOtherSignatureIsRefused(t *testing.T) {
	ann, ben, wasm := newSigner(t), newSigner(t), []byte("a plugin")
	one, two := keysOf(t, ann.Public()), keysOf(t, ann.Public(), newSigner(t).Public())
	good := ann.Sign(wasm, "a.wasm", time.Now())
	lines := strings.Split(good, "\n")
	lines[2] = strings.Replace(lines[2], "a.wasm", "b.wasm", 1)
	for _, c := range []struct {
		name      string
		keys      *Keys
		wasm      string
		signature string
		want      string
	}{
		{"none", one, "a plugin", "", "it is not signed; want it signed by key " + ann.ID() + " of "},
		{"none, of several", two, "a plugin", "", "want it signed by one of the 2 keys of " + two.file},
		{"of a stranger", two, "a plugin", ben.Sign(wasm, "a.wasm", time.Now()), "it is signed by key " + ben.ID() + ", which is not one of the 2 keys of " + two.file},
		{"of other bytes", one, "a plug-in", good, "is none of these bytes (" + string(DigestOf([]byte("a plug-in")))},
		{"with another comment", one, "a plugin", strings.Join(lines, "\n"), "is none of these bytes"},
		{"half of it", one, "a plugin", good[:len(good)/2], "want the text of a .minisig file"},
		{"a text", one, "a plugin", "hello", "want the text of a .minisig file"},
		{"a long text", one, "a plugin", strings.Repeat("x", maxSignature+1), "want at most 16384"},
	} {
		if id, err := c.keys.Verify([]byte(c.wasm), c.signature); err == nil || id != "" || !strings.Contains(err.Error(), c.want) {
			t.Errorf("%s: %q\ngot  %v\nwant %s", c.name, id, err, c.want)
		}
	}
}

func TestAFileOfKeysIsCheckedAsAWhole(t *testing.T) {
	ann, ben := newSigner(t), newSigner(t)
	// A key of Ben's with the id of Ann's.
	text, err := ben.key.MarshalText()
	if err != nil {
		t.Fatal(err)
	}
	forged := forge(t, ben.Public(), ann.Public())
	for want, lines := range map[string][]string{
		"has no key: want":                                 {"# nothing", ""},
		":2: minisign: invalid public key":                 {ann.Public(), "RWQ"},
		":2: minisign: invalid public key length 158":      {string(text)},
		":3: there is another key whose id is " + ann.ID(): {ann.Public(), "", forged},
		"has more than 262144 bytes":                       {strings.Repeat("# long\n", maxKeysFile/7+1)},
	} {
		file := write(t, "keys", strings.Join(lines, "\n"))
		if _, err := ReadKeys(file); err == nil || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), want) {
			t.Errorf("got  %v\nwant %s%s", err, file, want)
		}
	}
	if _, err := ReadKeys(filepath.Join(t.TempDir(), "none")); err == nil || !strings.Contains(err.Error(), "no such file") {
		t.Error(err)
	}
}

// forge returns a public key with the id of another.
func forge(t *testing.T, public, other string) string {
	t.Helper()
	a, b := decode(t, public), decode(t, other)
	return encode(append(b[:10:10], a[10:]...))
}

func TestAnEncryptedKeyWantsItsPassword(t *testing.T) {
	if testing.Short() {
		t.Skip("-short: the derivation of the key takes a gigabyte, and long under the race detector")
	}
	s, secret, _, err := NewSigner("open sesame")
	if err != nil {
		t.Fatal(err)
	}
	file := write(t, "key", string(secret))
	for password, want := range map[string]string{"": "it is encrypted: want its password in EDGESET_SIGN_PASSWORD", "sesame": "is not its password"} {
		if _, err := ReadSigner(file, password); err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), file) {
			t.Errorf("%q: %v", password, err)
		}
	}
	again, err := ReadSigner(file, "open sesame")
	if err != nil || !again.key.Equal(s.key) {
		t.Errorf("another key, or %v", err)
	}
	dir := filepath.Dir(file)
	if err := os.WriteFile(filepath.Join(dir, "a.wasm"), []byte("a plugin"), 0o600); err != nil {
		t.Fatal(err)
	}
	if out, err := tool(t, dir, "open sesame\n", "-S", "-s", "key", "-m", "a.wasm"); err != nil {
		t.Fatalf("minisign has no use for the key: %v: %s", err, out)
	}
}

func TestAFileThatIsNoSecretKeyIsRefused(t *testing.T) {
	s, secret, public, err := NewSigner("")
	if err != nil {
		t.Fatal(err)
	}
	for name, text := range map[string]string{"empty": "", "a text": "hello", "a public key": string(public), "half a key": string(secret[:len(secret)/2])} {
		file := write(t, "key", text)
		if _, err := ReadSigner(file, ""); err == nil || !strings.Contains(err.Error(), file) || !strings.Contains(err.Error(), "want a secret key of minisign") {
			t.Errorf("%s: %v", name, err)
		}
	}
	// It is not asked for a password that it has no use for.
	if again, err := ReadSigner(write(t, "key", string(secret)), "sesame"); err != nil || !again.key.Equal(s.key) {
		t.Error(err)
	}
}

func TestASignatureStandsBesideItsFile(t *testing.T) {
	file := write(t, "a.wasm", "a plugin")
	if s, err := ReadSignature(file); err != nil || s != "" {
		t.Errorf("none: %q, %v", s, err)
	}
	if err := os.WriteFile(file+".minisig", []byte("signed"), 0o600); err != nil {
		t.Fatal(err)
	}
	if s, err := ReadSignature(file); err != nil || s != "signed" {
		t.Errorf("%q, %v", s, err)
	}
	if err := os.WriteFile(file+".minisig", make([]byte, maxSignature+1), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := ReadSignature(file); err == nil || !strings.Contains(err.Error(), "a.wasm.minisig has more than") {
		t.Error(err)
	}
}

func FuzzParseKeys(f *testing.F) {
	s, secret, public, err := NewSigner("")
	if err != nil {
		f.Fatal(err)
	}
	f.Add(s.Public())
	f.Add("# a comment\n" + string(public))
	f.Add(string(secret))
	f.Add("RWQ=\n\n")
	f.Fuzz(func(t *testing.T, text string) {
		k, err := parseKeys("keys", text)
		if err != nil {
			return
		}
		if len(k.list) == 0 {
			t.Fatal("no error, and no key")
		}
		var lines []string
		for _, key := range k.list {
			lines = append(lines, key.String())
		}
		if again, err := parseKeys("keys", strings.Join(lines, "\n")); err != nil || len(again.list) != len(k.list) {
			t.Fatalf("%d keys are read again as %v, %v", len(k.list), again, err)
		}
	})
}

var fuzzTime = time.Unix(1700000000, 0)

// fuzzSigner always has the same key, so that what was found once can be tried again.
func fuzzSigner(f *testing.F) *Signer {
	_, key, err := minisign.GenerateKey(strings.NewReader(strings.Repeat("0123456789abcdef", 4)))
	if err != nil {
		f.Fatal(err)
	}
	return &Signer{key}
}

func FuzzVerify(f *testing.F) {
	s, wasm := fuzzSigner(f), []byte("a plugin")
	keys, err := parseKeys("keys", s.Public())
	if err != nil {
		f.Fatal(err)
	}
	at := fuzzTime
	f.Add(wasm, s.Sign(wasm, "a.wasm", at))
	f.Add(wasm, string(minisign.Sign(s.key, wasm)))
	f.Add([]byte("another"), s.Sign(wasm, "a.wasm", at))
	f.Add([]byte{}, "untrusted comment: \n\ntrusted comment: \n")
	f.Fuzz(func(t *testing.T, data []byte, signature string) {
		id, err := keys.Verify(data, signature)
		switch {
		case err != nil && (id != "" || strings.ContainsAny(err.Error(), "\x1b\n")):
			t.Fatalf("%q, %q", id, err)
		case err == nil && (id != s.ID() || string(data) != string(wasm)):
			t.Fatalf("%q is signed by %q", data, id)
		}
	})
}

package artifact

import (
	"encoding/base64"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/host/artifact/registrytest"
)

func decode(t *testing.T, s string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

func encode(b []byte) string { return base64.StdEncoding.EncodeToString(b) }

// tool runs minisign in a folder.
func tool(t *testing.T, dir, stdin string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), registrytest.Need(t, "minisign"), args...)
	cmd.Dir, cmd.Stdin = dir, strings.NewReader(stdin)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

func TestMinisignVerifiesWhatIsSignedHere(t *testing.T) {
	dir, wasm := t.TempDir(), []byte("a plugin")
	s, _, public, err := NewSigner("")
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{
		"a.wasm": wasm, "key.pub": public, "a.wasm.minisig": []byte(s.Sign(wasm, "/home/ann/a.wasm", time.Now())), "b.wasm": []byte("another"),
	} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	out, err := tool(t, dir, "", "-V", "-p", "key.pub", "-m", "a.wasm")
	if err != nil || !strings.Contains(out, "Signature and comment signature verified") || !strings.Contains(out, "file:a.wasm") {
		t.Errorf("%v: %s", err, out)
	}
	if out, err := tool(t, dir, "", "-V", "-p", "key.pub", "-m", "b.wasm", "-x", "a.wasm.minisig"); err == nil {
		t.Errorf("another plugin passes: %s", out)
	}
}

func TestWhatMinisignSignsIsVerifiedHere(t *testing.T) {
	dir, wasm := t.TempDir(), []byte("a plugin")
	if out, err := tool(t, dir, "", "-G", "-W", "-p", "key.pub", "-s", "key"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	file := filepath.Join(dir, "a.wasm")
	if err := os.WriteFile(file, wasm, 0o600); err != nil {
		t.Fatal(err)
	}
	keys, err := ReadKeys(filepath.Join(dir, "key.pub"))
	if err != nil {
		t.Fatal(err)
	}
	for _, form := range []string{"-S", "-Sl"} { // -l: the bytes are not hashed first
		if out, err := tool(t, dir, "", form, "-s", "key", "-m", "a.wasm"); err != nil {
			t.Fatalf("%v: %s", err, out)
		}
		signature, err := ReadSignature(file)
		if err != nil {
			t.Fatal(err)
		}
		if id, err := keys.Verify(wasm, signature); err != nil || id != keyID(keys.list[0].ID()) {
			t.Errorf("%s: %q, %v", form, id, err)
		}
	}
	// Its secret key is one to sign with here.
	s, err := ReadSigner(filepath.Join(dir, "key"), "")
	if err != nil {
		t.Fatal(err)
	}
	if id, err := keys.Verify(wasm, s.Sign(wasm, "a.wasm", time.Now())); err != nil || id != s.ID() {
		t.Errorf("%q, %v", id, err)
	}
}

func TestMinisignSignsWithKeysMadeHere(t *testing.T) {
	dir, wasm := t.TempDir(), []byte("a plugin")
	s, secret, public, err := NewSigner("")
	if err != nil {
		t.Fatal(err)
	}
	for name, data := range map[string][]byte{"a.wasm": wasm, "key": secret} {
		if err := os.WriteFile(filepath.Join(dir, name), data, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	if out, err := tool(t, dir, "", "-S", "-s", "key", "-m", "a.wasm"); err != nil {
		t.Fatalf("%v: %s", err, out)
	}
	signature, err := ReadSignature(filepath.Join(dir, "a.wasm"))
	if err != nil {
		t.Fatal(err)
	}
	keys := keysOf(t, string(public))
	if id, err := keys.Verify(wasm, signature); err != nil || id != s.ID() {
		t.Errorf("%q, %v", id, err)
	}
}

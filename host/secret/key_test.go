package secret

import (
	"bytes"
	"encoding/base64"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
)

func TestAKeyIsMadeOnceAndKeptFromOthers(t *testing.T) {
	t.Setenv(KeyEnv, "")
	dir := filepath.Join(t.TempDir(), "data")
	keys := make([][]byte, 8)
	var wg sync.WaitGroup
	for i := range keys {
		wg.Go(func() {
			key, err := Key(dir)
			if err != nil {
				t.Error(err)
			}
			keys[i] = key
		})
	}
	wg.Wait()
	for _, key := range keys {
		if len(key) != KeySize || !bytes.Equal(key, keys[0]) {
			t.Fatalf("keys %x and %x", keys[0], key)
		}
	}
	info, err := os.Stat(filepath.Join(dir, "secret.key"))
	if err != nil {
		t.Fatal(err)
	}
	if info.Mode() != 0o600 {
		t.Errorf("mode %v, want 0600", info.Mode())
	}
	if list, err := os.ReadDir(dir); err != nil || len(list) != 1 {
		t.Errorf("%v, %v: want secret.key alone", list, err)
	}
	if other, err := Key(t.TempDir()); err != nil || bytes.Equal(other, keys[0]) {
		t.Errorf("another folder has key %x, %v", other, err)
	}
}

func TestTheKeyOfTheEnvironmentComesFirst(t *testing.T) {
	dir := t.TempDir()
	want := bytes.Repeat([]byte{0xfb, 0xff}, 16) // has '+' or '-' and '/' or '_' in base64
	for _, e := range []*base64.Encoding{base64.StdEncoding, base64.RawStdEncoding, base64.URLEncoding, base64.RawURLEncoding} {
		t.Setenv(KeyEnv, e.EncodeToString(want))
		if key, err := Key(dir); err != nil || !bytes.Equal(key, want) {
			t.Errorf("%s: %x, %v", os.Getenv(KeyEnv), key, err)
		}
	}
	if list, err := os.ReadDir(dir); err != nil || len(list) != 0 {
		t.Errorf("%v, %v: want no file", list, err)
	}
}

func TestABadKeyIsRefusedAndNotShown(t *testing.T) {
	half := base64.StdEncoding.EncodeToString([]byte("half a key, no more"))
	for _, c := range []struct {
		name, env, file string
		mode            os.FileMode
		want            string
	}{
		{"short, in the environment", half, "", 0, KeyEnv + ": 19 bytes in base64: want 32"},
		{"no base64, in the environment", "correct horse battery staple", "", 0, "28 characters that are not base64"},
		{"short", "", half, 0o600, "secret.key: 19 bytes in base64: want 32"},
		{"empty", "", "", 0o600, "secret.key: 0 bytes in base64"},
		{"much", "", strings.Repeat(half, 1000), 0o600, "that are not base64"},
		{"others can read it", "", base64.StdEncoding.EncodeToString(make([]byte, 32)), 0o640, "has mode 0640, so others may have read it: want 0600"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Setenv(KeyEnv, c.env)
			dir := t.TempDir()
			if c.mode != 0 {
				file := filepath.Join(dir, "secret.key")
				if err := os.WriteFile(file, []byte(c.file), c.mode); err != nil {
					t.Fatal(err)
				}
				if err := os.Chmod(file, c.mode); err != nil { // whatever the umask
					t.Fatal(err)
				}
			}
			_, err := Key(dir)
			if err == nil || !strings.Contains(err.Error(), c.want) {
				t.Fatalf("error %v, want %q", err, c.want)
			}
			if c.env != "" && strings.Contains(err.Error(), c.env) || c.file != "" && strings.Contains(err.Error(), c.file) {
				t.Errorf("the key is shown: %v", err)
			}
		})
	}
}

func TestAKeyThatIsNoFileIsRefused(t *testing.T) {
	t.Setenv(KeyEnv, "")
	dir := t.TempDir()
	if err := syscall.Mkfifo(filepath.Join(dir, "secret.key"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Key(dir); err == nil || !strings.Contains(err.Error(), "want a file") {
		t.Errorf("named pipe: error %v", err)
	}
}

package wasmtest

import (
	"bytes"
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestBuildMakesAModuleOnce(t *testing.T) {
	const dir = "host/engine/testdata/pdkempty"
	wasm := Build(t, dir)
	if !bytes.HasPrefix(wasm, []byte("\x00asm")) {
		t.Fatalf("%q…: no module", wasm[:8])
	}
	if again := Build(t, dir); &again[0] != &wasm[0] {
		t.Error("built twice")
	}
}

func TestWhatCannotBeBuiltIsSaid(t *testing.T) {
	if _, err := compile("host/wasmtest/none"); err == nil || !bytes.Contains([]byte(err.Error()), []byte("none")) {
		t.Errorf("error %v", err)
	}
}

func TestTheCacheForgetsWhatIsOld(t *testing.T) {
	dir := t.TempDir()
	for _, name := range []string{"old", "new"} {
		file := filepath.Join(dir, "wazero", name)
		if err := os.MkdirAll(filepath.Dir(file), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if name == "old" {
			if err := os.Chtimes(file, time.Time{}, time.Now().Add(-2*time.Hour)); err != nil {
				t.Fatal(err)
			}
		}
	}
	if err := expire(dir, time.Now().Add(-time.Hour)); err != nil {
		t.Fatal(err)
	}
	left, err := os.ReadDir(filepath.Join(dir, "wazero"))
	if err != nil || len(left) != 1 || left[0].Name() != "new" {
		t.Fatalf("left %v, %v", left, err)
	}
}

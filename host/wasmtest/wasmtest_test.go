package wasmtest

import (
	"bytes"
	"testing"
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
	if _, err := compile("host/wasmtest/none", "", nil); err == nil || !bytes.Contains([]byte(err.Error()), []byte("none")) {
		t.Errorf("error %v", err)
	}
}

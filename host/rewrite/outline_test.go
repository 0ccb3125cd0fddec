package rewrite_test

import (
	"bytes"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"

	"github.com/edgeset/edgeset/host/rewrite"
)

// answer is a module with a function "f" that returns a number.
func answer(n byte) []byte {
	return []byte("\x00asm\x01\x00\x00\x00\x01\x05\x01\x60\x00\x01\x7f\x03\x02\x01\x00\x07\x05\x01\x01f\x00\x00\x0a\x06\x01\x04\x00\x41" + string(n) + "\x0b")
}

func TestAnOutlineIsTheModuleWithoutItsCode(t *testing.T) {
	m, err := rewrite.Plugin(answer(42))
	if err != nil {
		t.Fatal(err)
	}
	whole := m.Encode()
	outline := m.Outline([32]byte{1}).Encode()
	if !bytes.Equal(m.Encode(), whole) {
		t.Error("the module has changed")
	}
	if bytes.Equal(m.Outline([32]byte{2}).Encode(), outline) {
		t.Error("the outlines of two modules are the same")
	}
	for name, c := range map[string]struct {
		wasm []byte
		trap string
	}{"whole": {whole, ""}, "outline": {outline, "unreachable"}} {
		w := newWorld(t, wazero.NewRuntimeConfig())
		mod, err := w.rt.Instantiate(t.Context(), c.wasm)
		if err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		got, err := mod.ExportedFunction("f").Call(t.Context())
		switch {
		case c.trap != "" && (err == nil || !strings.Contains(err.Error(), c.trap)):
			t.Errorf("%s: %v, %v; want %s", name, got, err, c.trap)
		case c.trap == "" && (err != nil || got[0] != 42):
			t.Errorf("%s: %v, %v; want 42", name, got, err)
		}
	}
}

package rewrite_test

import (
	"bytes"
	"context"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"

	"github.com/edgeset/edgeset/host/rewrite"
)

// FuzzParse has any bytes at all rewritten. Of what can be read, what the engine
// takes is rewritten to what it takes as well; what it refuses it refuses still.
func FuzzParse(f *testing.F) {
	files, err := filepath.Glob(filepath.Join(moduleDir(f, wazeroModule), specDir, "v2/testdata/*.0.wasm"))
	if err != nil || len(files) < 50 {
		f.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		wasm, err := os.ReadFile(file)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(wasm)
	}
	for seed := range uint64(10) {
		wasm, _ := randomModule(&dice{data: randomBytes(seed, 1000)})
		f.Add(wasm)
		wasm, _ = randomGo(&dice{data: randomBytes(seed, 300)})
		f.Add(wasm)
	}
	// The interpreter is quick to compile with, and the rules are the same.
	rt := wazero.NewRuntimeWithConfig(context.Background(), wazero.NewRuntimeConfigInterpreter())
	f.Cleanup(func() { rt.Close(context.Background()) })
	compiles := func(wasm []byte) error {
		code, err := rt.CompileModule(context.Background(), wasm)
		if err == nil {
			err = code.Close(context.Background())
		}
		return err
	}
	f.Fuzz(func(t *testing.T, wasm []byte) {
		fixed(t, wasm)
		// What cannot be read is better not shown to wazero, which makes room for as
		// much as a module says that it has, be it in a section about names.
		m, err := rewrite.Parse(wasm)
		if err != nil {
			return
		}
		m.Customs = nil
		plain := m.Encode()
		ours, err := asPlugin(wasm)
		switch {
		case err == nil:
			err = compiles(ours)
		case strings.HasPrefix(err.Error(), "rewriting failed"):
			t.Error(err)
		case !errors.Is(err, rewrite.ErrMalformed):
			return // too large, or a name that is reserved
		}
		switch wrong := compiles(plain); {
		case wrong == nil && err != nil:
			t.Errorf("a module that is right is refused: %v", err)
		case wrong != nil && err == nil && structuredOf(t, wasm, asItIs) == 0: // code that nothing leads to is left out
			t.Errorf("a module is taken that is wrong: %v", wrong)
		}
		if err == nil {
			if err := rewrite.Verify(ours); err != nil {
				t.Error(err)
			}
		}
	})
}

// fixed checks that a module that can be read is written in one way.
func fixed(t *testing.T, wasm []byte) {
	t.Helper()
	m, err := rewrite.Parse(wasm)
	if err != nil {
		if !errors.Is(err, rewrite.ErrMalformed) {
			t.Errorf("the error is %v", err)
		}
		return
	}
	once := m.Encode()
	m, err = rewrite.Parse(once)
	if err != nil {
		t.Fatalf("what was written cannot be read: %v", err)
	}
	if twice := m.Encode(); !bytes.Equal(once, twice) {
		t.Errorf("written a second time it is %x, not %x", twice, once)
	}
}

// FuzzModule compares modules with what they are rewritten to.
func FuzzModule(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(randomBytes(seed, 1500))
	}
	l := newLab(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		l.t = t
		l.random(data)
	})
}

// FuzzGo compares functions of Go's form with what they are rewritten to.
func FuzzGo(f *testing.F) {
	for seed := range uint64(20) {
		f.Add(randomBytes(seed, 400))
	}
	l := newLab(f)
	f.Fuzz(func(t *testing.T, data []byte) {
		l.t = t
		l.randomGo(data)
	})
}

// TestEncodeChangesNothingTwice reads and writes all modules of the core test
// suite.
func TestEncodeChangesNothingTwice(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(moduleDir(t, wazeroModule), specDir, "v2/testdata/*.wasm"))
	if err != nil || len(files) < 4000 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		wasm, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		fixed(t, wasm)
	}
}

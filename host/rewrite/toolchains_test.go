package rewrite_test

import (
	"os"
	"path/filepath"
	"testing"
)

// TestOtherToolchains rewrites the example plugins of the Extism SDK: they are
// written in C, Go, Haskell, Rust, TinyGo, Zig and by hand.
func TestOtherToolchains(t *testing.T) {
	files, err := filepath.Glob(filepath.Join(moduleDir(t, "github.com/extism/go-sdk"), "wasm", "*.wasm"))
	if err != nil || len(files) < 20 {
		t.Fatalf("%d files, %v", len(files), err)
	}
	for _, file := range files {
		t.Run(filepath.Base(file), func(t *testing.T) {
			t.Parallel()
			wasm, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			ours, err := asPlugin(wasm)
			if err != nil {
				t.Fatal(err)
			}
			valid(t, ours)
		})
	}
}

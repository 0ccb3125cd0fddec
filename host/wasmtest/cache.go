package wasmtest

import (
	"os"
	"path/filepath"
	"testing"
)

// CacheDir returns a directory for the compilation cache of an engine, shared
// by all tests of this user, now and later. A plugin in Go takes seconds to
// compile, and under the race detector ten times that. What is compiled depends
// on the plugin's bytes, the rewriting and wazero, all of which the engine tells
// apart; it also sees to it that the cache does not grow without end.
func CacheDir(t testing.TB) string {
	t.Helper()
	base, err := os.UserCacheDir()
	if err != nil {
		base = t.TempDir() // no home: this test alone
	}
	dir := filepath.Join(base, "edgeset-test")
	if err := os.MkdirAll(dir, 0o700); err != nil {
		t.Fatalf("wasmtest: %v", err)
	}
	return dir
}

package wasmtest

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

// cacheAge is how long compiled code is kept.
const cacheAge = 7 * 24 * time.Hour

// CacheDir returns a directory for the compilation cache of an engine, shared
// by all tests of this user, now and later. A plugin in Go takes seconds to
// compile, and under the race detector ten times that; what is compiled depends
// on nothing but the plugin's bytes and the version of wazero.
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
	if err := expire(dir, time.Now().Add(-cacheAge)); err != nil {
		t.Fatalf("wasmtest: %v", err)
	}
	return dir
}

// expire deletes what was written before a time: every change of a plugin
// leaves some megabytes behind.
func expire(dir string, before time.Time) error {
	files, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err != nil {
		return err
	}
	for _, file := range files {
		// Another test may be deleting it, too.
		if info, err := os.Stat(file); err == nil && info.Mode().IsRegular() && info.ModTime().Before(before) {
			_ = os.Remove(file)
		}
	}
	return nil
}

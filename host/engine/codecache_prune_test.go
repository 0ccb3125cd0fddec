package engine

import (
	"os"
	"path/filepath"
	"testing"
	"time"
)

func TestACacheKeepsWhatWasUsedLast(t *testing.T) {
	c, err := openCodeCache(filepath.Join(t.TempDir(), "cache"))
	if err != nil {
		t.Fatal(err)
	}
	own := filepath.Base(c.dir)
	const hour, day, mega = time.Hour, 24 * time.Hour, 1 << 20
	files := []struct {
		name string
		size int64
		used time.Duration // ago
		kept bool
	}{
		{own + "/a.plugin", mega, 0, true},
		{own + "/wazero-1/a", 500 * mega, 0, true},
		{own + "/old.plugin", mega, 300 * day, false}, // too much, with the next
		{own + "/wazero-1/old", 500 * mega, 299 * day, false},
		{own + "/next-1/whole/wazero-1/x", mega, hour / 2, true},
		{own + "/next-2/whole/wazero-1/x", mega, 2 * hour, false},
		{own + "/b.plugin", mega, 200 * day, true}, // long ago, but there is room
		{own + "/wazero-1/b", 100 * mega, 200 * day, true},
		{"0123456789abcdef/a.plugin", mega, 29 * day, true},
		{"0123456789abcdef/wazero-1/a", 100 * mega, 29 * day, true},
		{"0123456789abcdef/b.plugin", mega, 31 * day, false},
		{"fedcba9876543210/wazero-1/b", 100 * mega, 31 * day, false},
		{"wazero-v1-amd64-linux/c", 100 * mega, 31 * day, false},
		{"letters/to-my-mother", mega, 900 * day, true},
		{"by-itself", 2000 * mega, 900 * day, true},
	}
	for _, f := range files {
		path := filepath.Join(c.root, f.name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, nil, 0o600); err != nil {
			t.Fatal(err)
		}
		if err := os.Truncate(path, f.size); err != nil { // takes no room
			t.Fatal(err)
		}
		at := time.Now().Add(-f.used)
		if err := os.Chtimes(path, at, at); err != nil {
			t.Fatal(err)
		}
	}
	c.prune()
	for _, f := range files {
		if _, err := os.Stat(filepath.Join(c.root, f.name)); (err == nil) != f.kept {
			t.Errorf("%s: %v, want it kept: %v", f.name, err, f.kept)
		}
	}

	// Folders with nothing in them go when they have been so for a while.
	long := time.Now().Add(-2 * fillAge)
	for _, dir := range []string{"fedcba9876543210/wazero-1", "fedcba9876543210", own} {
		if err := os.Chtimes(filepath.Join(c.root, dir), long, long); err != nil {
			t.Fatal(err)
		}
	}
	c.prune() // the inner one
	if err := os.Chtimes(filepath.Join(c.root, "fedcba9876543210"), long, long); err != nil {
		t.Fatal(err)
	}
	c.prune()
	if _, err := os.Stat(filepath.Join(c.root, "fedcba9876543210")); err == nil {
		t.Error("an empty folder is kept")
	}
	if _, err := os.Stat(c.dir); err != nil {
		t.Errorf("the folder of this version: %v", err)
	}
}

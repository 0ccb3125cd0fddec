package main

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"
)

// watchTime bounds the time until a change is told, on a busy machine.
const watchTime = time.Minute

// watching watches a folder whose files in Go are a concern.
func watching(t *testing.T, dir string, quiet time.Duration) *watcher {
	t.Helper()
	w, err := newWatcher(t.Context(), quiet)
	if err != nil {
		t.Fatal(err)
	}
	if err := w.watch([]string{dir}, nil, func(path string) bool { return strings.HasSuffix(path, ".go") }); err != nil {
		t.Fatal(err)
	}
	return w
}

// tells waits until a change of a file is told.
func (w *watcher) tells(t *testing.T, path string) {
	t.Helper()
	for end := time.After(watchTime); ; {
		select {
		case changed := <-w.changes:
			if slices.Contains(changed, path) {
				return
			}
			t.Logf("told: %q", changed)
		case <-end:
			t.Fatalf("no change of %s was told within %v", path, watchTime)
		}
	}
}

func TestChangesAreTold(t *testing.T) {
	t.Parallel()
	dir := realDir(t)
	in := func(name string) string { return filepath.Join(dir, name) }
	writeFiles(t, dir, map[string]string{"a.go": "1", "sub/b.go": "1"})
	w := watching(t, dir, 10*time.Millisecond)
	for _, c := range []struct {
		name   string
		change func() error
		path   string
	}{
		{"a write", func() error { return os.WriteFile(in("a.go"), []byte("2"), 0o644) }, "a.go"},
		{"a write below", func() error { return os.WriteFile(in("sub/b.go"), []byte("2"), 0o644) }, "sub/b.go"},
		{"a new file", func() error { return os.WriteFile(in("c.go"), []byte("1"), 0o644) }, "c.go"},
		{"a file that is put in the place of another", func() error {
			if err := os.WriteFile(in("a.go.new"), []byte("3"), 0o644); err != nil {
				return err
			}
			return os.Rename(in("a.go.new"), in("a.go"))
		}, "a.go"},
		{"that file, after it has been put there", func() error { return os.WriteFile(in("a.go"), []byte("4"), 0o644) }, "a.go"},
		{"a file that is moved away and written anew", func() error {
			if err := os.Rename(in("a.go"), in("a.go~")); err != nil {
				return err
			}
			return os.WriteFile(in("a.go"), []byte("5"), 0o644)
		}, "a.go"},
		{"a new folder with a file", func() error {
			if err := os.MkdirAll(in("new/deep"), 0o755); err != nil {
				return err
			}
			return os.WriteFile(in("new/deep/d.go"), []byte("1"), 0o644)
		}, "new/deep/d.go"},
		{"a write in it", func() error { return os.WriteFile(in("new/deep/d.go"), []byte("2"), 0o644) }, "new/deep/d.go"},
		{"a deletion", func() error { return os.Remove(in("c.go")) }, "c.go"},
		{"a folder that goes", func() error { return os.RemoveAll(in("sub")) }, "sub/b.go"},
		{"and comes back", func() error {
			if err := os.Mkdir(in("sub"), 0o755); err != nil {
				return err
			}
			return os.WriteFile(in("sub/b.go"), []byte("3"), 0o644)
		}, "sub/b.go"},
		{"a folder that gets another name", func() error { return os.Rename(in("new"), in("old")) }, "old/deep/d.go"},
		{"a write in that", func() error { return os.WriteFile(in("old/deep/d.go"), []byte("3"), 0o644) }, "old/deep/d.go"},
	} {
		t.Log(c.name)
		if err := c.change(); err != nil {
			t.Fatalf("%s: %v", c.name, err)
		}
		w.tells(t, in(c.path))
	}
}

func TestWhatIsNoConcernIsNotTold(t *testing.T) {
	t.Parallel()
	dir := realDir(t)
	writeFiles(t, dir, map[string]string{"a.go": "1", ".git/x.go": "1", "node_modules/x.go": "1"})
	w := watching(t, dir, 10*time.Millisecond)
	writeFiles(t, dir, map[string]string{"a.txt": "2", ".git/x.go": "2", "node_modules/x.go": "2", "node_modules/new/x.go": "2", "z.go": "1"})
	for end := time.After(watchTime); ; {
		select {
		case changed := <-w.changes:
			if slices.Equal(changed, []string{filepath.Join(dir, "z.go")}) {
				return // what came before it would have been told by now
			}
			t.Fatalf("told: %q", changed)
		case <-end:
			t.Fatal("nothing was told")
		}
	}
}

func TestQuickChangesAreToldAtOnce(t *testing.T) {
	t.Parallel()
	dir := realDir(t)
	w := watching(t, dir, 2*time.Second)
	var want []string
	for _, name := range []string{"a.go", "b.go", "c.go", "d.go"} {
		want = append(want, filepath.Join(dir, name))
		for range 5 {
			writeFiles(t, dir, map[string]string{name: "x"})
		}
	}
	select {
	case changed := <-w.changes:
		if !slices.Equal(changed, want) {
			t.Errorf("told: %q, want %q", changed, want)
		}
	case <-time.After(watchTime):
		t.Fatal("nothing was told")
	}
	select {
	case changed := <-w.changes:
		t.Errorf("told again: %q", changed)
	case <-time.After(100 * time.Millisecond):
	}
}

func TestChangesAreToldAlthoughMoreCome(t *testing.T) {
	t.Parallel()
	dir := realDir(t)
	w := watching(t, dir, 100*time.Millisecond)
	for end := time.Now().Add(watchTime); time.Now().Before(end); time.Sleep(10 * time.Millisecond) {
		writeFiles(t, dir, map[string]string{"a.go": "x"})
		select {
		case <-w.changes:
			return
		default:
		}
	}
	t.Error("nothing was told while changes came")
}

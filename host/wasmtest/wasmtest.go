// Package wasmtest builds plugins for tests.
package wasmtest

import (
	"os"
	"os/exec"
	"path/filepath"
	"sync"
	"testing"
)

// builds holds what was built: once for each test binary, however many tests
// ask. Between binaries, Go's build cache makes it quick.
var builds sync.Map // package directory and build tags → func() ([]byte, error)

// Build returns the Wasm of the main package in a directory, which is given
// relative to the module's root: "plugins/sharing".
func Build(t testing.TB, pkgDir string) []byte {
	t.Helper()
	return BuildTags(t, pkgDir, "")
}

// BuildTags is Build with build tags, separated by commas.
func BuildTags(t testing.TB, pkgDir, tags string) []byte {
	t.Helper()
	return once(t, pkgDir+" "+tags, pkgDir, func() ([]byte, error) { return compile(pkgDir, tags, nil) })
}

// once builds what has a key, unless it was built before.
func once(t testing.TB, key, what string, build func() ([]byte, error)) []byte {
	t.Helper()
	built, _ := builds.LoadOrStore(key, sync.OnceValues(build))
	wasm, err := built.(func() ([]byte, error))()
	if err != nil {
		t.Fatalf("wasmtest: build %s: %v", what, err)
	}
	return wasm
}

func compile(pkgDir, tags string, edits []Edit) ([]byte, error) {
	root, err := moduleRoot()
	if err != nil {
		return nil, err
	}
	dir, err := os.MkdirTemp("", "wasmtest")
	if err != nil {
		return nil, err
	}
	defer os.RemoveAll(dir)
	out := filepath.Join(dir, "plugin.wasm")
	args := []string{"build", "-buildmode=c-shared", "-tags", tags, "-o", out}
	if len(edits) > 0 {
		overlay, err := writeOverlay(dir, root, edits)
		if err != nil {
			return nil, err
		}
		args = append(args, "-overlay="+overlay)
	}
	cmd := exec.Command("go", append(args, "./"+filepath.ToSlash(pkgDir))...)
	cmd.Dir = root
	cmd.Env = append(os.Environ(), "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0", "GOFLAGS=")
	if text, err := cmd.CombinedOutput(); err != nil {
		return nil, &buildError{err, string(text)}
	}
	return os.ReadFile(out)
}

type buildError struct {
	err    error
	output string
}

func (e *buildError) Error() string { return e.err.Error() + "\n" + e.output }

// moduleRoot finds go.mod from where the test runs, which is the directory of
// the package that is tested.
func moduleRoot() (string, error) {
	dir, err := os.Getwd()
	if err != nil {
		return "", err
	}
	for {
		if _, err := os.Stat(filepath.Join(dir, "go.mod")); err == nil {
			return dir, nil
		}
		parent := filepath.Dir(dir)
		if parent == dir {
			return "", os.ErrNotExist
		}
		dir = parent
	}
}

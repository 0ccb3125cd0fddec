// The tests in this folder run the binary, as operators do, and talk to it over
// HTTP, as app clients do: nothing in here knows what is behind the wire.
//
// A noun a file: binary (built and run), server (a process), usage (what it takes
// of the machine), client (HTTP and the envelope), trail, device and viewer (what
// is shared, who uploads, who looks), load (many of them at once). The tests are
// in the files of what they test.
package main_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/edgeset/edgeset/host/wasmtest"
	"github.com/edgeset/edgeset/plugins"
)

// binary is built once, from the sources as they are.
var binary struct {
	sync.Once
	dir string
	err error
}

func TestMain(m *testing.M) {
	flag.Parse()
	chosen := false
	flag.Visit(func(f *flag.Flag) { chosen = chosen || f.Name == "test.parallel" })
	if !chosen {
		// Tests wait for servers, and for time to pass, more than they compute.
		if err := flag.Set("test.parallel", "6"); err != nil {
			panic(err)
		}
	}
	code := m.Run()
	if binary.dir != "" {
		os.RemoveAll(binary.dir)
	}
	os.Exit(code)
}

// edgeset returns the path of the binary.
func edgeset(t testing.TB) string {
	t.Helper()
	wasm := map[string][]byte{}
	for _, name := range plugins.Names {
		wasm[name] = wasmtest.Build(t, "plugins/"+name)
	}
	binary.Do(func() { binary.err = build(wasm) })
	if binary.err != nil {
		t.Fatalf("build edgeset: %v", binary.err)
	}
	return filepath.Join(binary.dir, "edgeset")
}

// build has the binary embed these plugins in place of those that make put into
// plugins/wasm, which may be older than the sources, or not there.
func build(wasm map[string][]byte) (err error) {
	if binary.dir, err = os.MkdirTemp("", "edgeset-test"); err != nil {
		return err
	}
	root, err := filepath.Abs("../..")
	if err != nil {
		return err
	}
	overlay := struct{ Replace map[string]string }{map[string]string{}}
	for name, code := range wasm {
		file := filepath.Join(binary.dir, name+".wasm")
		if err := os.WriteFile(file, code, 0o600); err != nil {
			return err
		}
		overlay.Replace[filepath.Join(root, "plugins", "wasm", name+".wasm")] = file
	}
	text, err := json.Marshal(overlay)
	if err != nil {
		return err
	}
	file := filepath.Join(binary.dir, "overlay.json")
	if err := os.WriteFile(file, text, 0o600); err != nil {
		return err
	}
	cmd := exec.Command("go", "build", "-overlay", file, "-o", filepath.Join(binary.dir, "edgeset"), ".")
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	// All servers share what they compile: each would take seconds for it.
	return os.Mkdir(filepath.Join(binary.dir, "cache"), 0o700)
}

// environment is the one of this process without what would set flags of the
// binary, and with the given variables.
func environment(more ...string) []string {
	var env []string
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "EDGESET_") {
			env = append(env, v)
		}
	}
	return append(env, more...)
}

// A finished command.
type finished struct {
	args           []string
	code           int
	stdout, stderr string
}

func (f finished) String() string {
	return fmt.Sprintf("edgeset %s: exit status %d\nstdout: %s\nstderr: %s",
		strings.Join(f.args, " "), f.code, f.stdout, f.stderr)
}

// run runs the binary to its end, with more variables in the environment.
func run(t testing.TB, env []string, args ...string) finished {
	t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(t.Context(), edgeset(t), args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = environment(env...), &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) {
		t.Fatalf("edgeset %s: %v", strings.Join(args, " "), err)
	}
	return finished{args: args, code: cmd.ProcessState.ExitCode(), stdout: stdout.String(), stderr: stderr.String()}
}

package main_test

import (
	"bytes"
	leb "encoding/binary"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/edgeset/edgeset/plugins"
)

// smallest is the smallest module.
const smallest = "\x00asm\x01\x00\x00\x00"

// filesOf lists what is in a cache: names, and what tells a file from another that
// has come into its place.
func filesOf(t *testing.T, cache string) map[string]fs.FileInfo {
	t.Helper()
	files := map[string]fs.FileInfo{}
	err := filepath.WalkDir(cache, func(path string, d fs.DirEntry, err error) error {
		if err != nil || d.IsDir() {
			return err
		}
		files[path], err = d.Info()
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

func TestAServerCompilesOnce(t *testing.T) {
	t.Parallel()
	const said = `msg="compiled a plugin"`
	cache := filepath.Join(t.TempDir(), "cache")
	s := newServer(t, "", "--cache", cache)
	logged := func() int {
		text, err := os.ReadFile(s.log)
		if err != nil {
			t.Fatal(err)
		}
		return strings.Count(string(text), said)
	}
	if n := logged(); n != len(plugins.Names) {
		s.errorf("%d plugins were compiled, want %d", n, len(plugins.Names))
	}
	before := filesOf(t, cache)
	s.restart()
	s.client().newUser(s.newApp())
	if n := logged(); n != len(plugins.Names) {
		s.errorf("%d plugins were compiled after a restart", n-len(plugins.Names))
	}

	// The command and the server have one and the same cache.
	f := run(t, nil, "plugin", "compile", "--cache", cache)
	if n := strings.Count(f.stdout, "  cached  "); f.code != 0 || n != len(plugins.Names) {
		t.Errorf("%v\nwant %d plugins cached", f, len(plugins.Names))
	}
	after := filesOf(t, cache)
	if len(before) != 2*len(plugins.Names) || len(after) != len(before) {
		t.Fatalf("%d files, then %d; want two a plugin", len(before), len(after))
	}
	for name, info := range before {
		if !os.SameFile(info, after[name]) {
			t.Errorf("%s is another file", name)
		}
	}
}

func TestPluginCompile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cache := filepath.Join(dir, "cache")
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	one := write("one.wasm", smallest)
	two := write("two.wasm", smallest+"\x00\x04\x03two")
	text := write("text.wasm", "text")
	const plugin = "[[deployment.plugin]]\nname = \"%s\"\nsource = %q\n"
	manifest := write("edgeset.toml", "[[deployment]]\nname = \"d\"\nhosts = [\"*\"]\n"+
		fmt.Sprintf(plugin, "a", two)+fmt.Sprintf(plugin, "b", two))

	line := regexp.MustCompile(`^([0-9a-f]{64})  ([0-9]+)  (compiled|cached)  [0-9.]+m?s  (.*)$`)
	for _, c := range []struct {
		name   string
		env    []string
		args   []string
		code   int
		stdout []string // of each line: how, and source
	}{
		{"a file", nil, []string{"--cache", cache, one}, 0, []string{"compiled " + one}},
		{"again, and another", nil, []string{"--cache", cache, one, two}, 0, []string{"cached " + one, "compiled " + two}},
		{"the cache of a server", nil, []string{"--data", dir, one}, 0, []string{"cached " + one}},
		{"by the environment", []string{"EDGESET_CACHE=" + cache}, []string{one}, 0, []string{"cached " + one}},
		{"a manifest", nil, []string{"--cache", cache, "--config", manifest}, 0, []string{"cached " + two}},
		{"one that is none, and one that is", nil, []string{"--cache", cache, text, one}, 1, []string{"cached " + one}},
	} {
		f := run(t, c.env, append([]string{"plugin", "compile"}, c.args...)...)
		var got []string
		digests := map[string]bool{}
		for l := range strings.Lines(f.stdout) {
			m := line.FindStringSubmatch(strings.TrimSuffix(l, "\n"))
			if m == nil {
				t.Fatalf("%s: %v\nwant lines of the form %v", c.name, f, line)
			}
			digests[m[1]] = true
			got = append(got, m[3]+" "+m[4])
		}
		if f.code != c.code || !slices.Equal(got, c.stdout) || len(digests) != len(got) {
			t.Errorf("%s: %v\nwant %q, exit status %d", c.name, f, c.stdout, c.code)
		}
		if (f.code == 0) != (f.stderr == "") {
			t.Errorf("%s: %v", c.name, f)
		}
	}
}

// endless is a module that the compiler needs minutes for: 5,000 loops, each of
// which might change one of 5,000 variables.
func endless() string {
	const n = 5000
	number := func(n int) []byte { return leb.AppendUvarint(nil, uint64(n)) }
	section := func(id byte, b []byte) []byte { return slices.Concat([]byte{id}, number(len(b)), b) }
	body := slices.Concat([]byte{1}, number(n), []byte{0x7e})
	for i := range n {
		body = slices.Concat(body,
			[]byte{0x03, 0x40, 0x20}, number(i), []byte{0x42, 1, 0x7c, 0x21}, number(i*7%n), // loop: local.get, + 1, local.set
			[]byte{0x20}, number(i*3%n), []byte{0xa7, 0x0d, 0, 0x0b}) // local.get, br_if
	}
	body = append(body, 0x0b)
	return smallest + string(slices.Concat(section(1, []byte{1, 0x60, 0, 0}), section(3, []byte{1, 0}),
		section(10, slices.Concat([]byte{1}, number(len(body)), body))))
}

// A server that is told to end does not wait for a compiler, nor leave it behind.
func TestACompilerEndsWithItsServer(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	file := filepath.Join(dir, "endless.wasm")
	if err := os.WriteFile(file, []byte(endless()), 0o600); err != nil {
		t.Fatal(err)
	}
	cache := filepath.Join(dir, "cache")
	cmd := exec.Command(edgeset(t), "plugin", "compile", "--cache", cache, file)
	var stderr bytes.Buffer
	cmd.Env, cmd.Stderr = environment(), &stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	// It is at work when something is in the cache that is not finished.
	begun := func() bool {
		found, err := filepath.Glob(filepath.Join(cache, "*", "next-*", "*"))
		return err == nil && len(found) > 0
	}
	for deadline := time.Now().Add(startTime); !begun() && time.Now().Before(deadline); {
		time.Sleep(10 * time.Millisecond)
	}
	if err := cmd.Process.Signal(syscall.SIGTERM); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	select {
	case <-ended:
	case <-time.After(stopTime):
		cmd.Process.Kill()
		t.Fatalf("it has not ended %v after SIGTERM", stopTime)
	}
	if code := cmd.ProcessState.ExitCode(); code != 1 || !strings.Contains(stderr.String(), "terminated") {
		t.Errorf("exit status %d, %s; want 1, terminated", code, &stderr)
	}
	processes, err := filepath.Glob("/proc/*/cmdline")
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range processes {
		if line, err := os.ReadFile(p); err == nil && strings.Contains(string(line), cache) {
			t.Errorf("%s is still there: %q", p, line)
		}
	}
}

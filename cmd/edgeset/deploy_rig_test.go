package main_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"testing"
)

// A fakeAdmin stands in for the admin API of a host: what the commands ask it for is
// noted, and it answers what a test says.
type fakeAdmin struct {
	t      testing.TB
	server *httptest.Server

	mu      sync.Mutex
	answers map[string][]string // by "METHOD /path?query"; the last one stays
	asked   []asked
}

type asked struct {
	line   string
	header http.Header
	body   string
}

func newFakeAdmin(t testing.TB) *fakeAdmin {
	f := &fakeAdmin{t: t, answers: map[string][]string{}}
	f.server = httptest.NewServer(f)
	t.Cleanup(f.server.Close)
	return f
}

// on has a request answered: "STATUS body", one after the other.
func (f *fakeAdmin) on(line string, answers ...string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.answers[line] = answers
}

// ServeHTTP implements http.Handler.
func (f *fakeAdmin) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	body, _ := io.ReadAll(r.Body)
	line := r.Method + " " + r.URL.RequestURI()
	f.mu.Lock()
	f.asked = append(f.asked, asked{line, r.Header, string(body)})
	path, _, _ := strings.Cut(line, "?by=") // who runs the tests is not known to them
	list := f.answers[path]
	if len(list) > 1 {
		f.answers[path] = list[1:]
	}
	f.mu.Unlock()
	if r.Header.Get("Authorization") != "Bearer t0ken" {
		http.Error(w, `{"error":{"code":"unauthenticated","message":"no token"}}`, http.StatusUnauthorized)
		return
	}
	if len(list) == 0 {
		http.Error(w, `{"error":{"code":"not_found","message":"There is nothing here."}}`, http.StatusNotFound)
		return
	}
	var status int
	text := list[0]
	if _, err := fmt.Sscan(text, &status); err == nil {
		_, text, _ = strings.Cut(text, " ")
		w.WriteHeader(status)
	}
	io.WriteString(w, text)
}

// requests returns what was asked for since the last time.
func (f *fakeAdmin) requests() []asked {
	f.mu.Lock()
	defer f.mu.Unlock()
	defer func() { f.asked = nil }()
	return f.asked
}

// lines are the first lines of those requests.
func (f *fakeAdmin) lines() (lines []string) {
	for _, a := range f.requests() {
		lines = append(lines, a.line)
	}
	return lines
}

func (f *fakeAdmin) env() []string {
	return []string{"EDGESET_ADMIN=" + strings.TrimPrefix(f.server.URL, "http://"), "EDGESET_ADMIN_TOKEN=t0ken", "TZ=UTC"}
}

// run runs a command against it.
func (f *fakeAdmin) run(args ...string) finished { return run(f.t, f.env(), args...) }

// runWith runs a command that reads a text from stdin.
func (f *fakeAdmin) runWith(ctx context.Context, stdin string, args ...string) finished {
	f.t.Helper()
	var stdout, stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, edgeset(f.t), args...)
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = environment(f.env()...), strings.NewReader(stdin), &stdout, &stderr
	err := cmd.Run()
	var exit *exec.ExitError
	if err != nil && !errors.As(err, &exit) && ctx.Err() == nil {
		f.t.Fatalf("edgeset %s: %v", strings.Join(args, " "), err)
	}
	return finished{args: args, code: cmd.ProcessState.ExitCode(), stdout: stdout.String(), stderr: stderr.String()}
}

// written writes files into a folder of the test and returns it.
func written(t testing.TB, files map[string]string) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range files {
		name = filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(name), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(name, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// wants checks how a command has ended and what it has printed.
func (f finished) wants(t testing.TB, code int, stdout, stderr string) {
	t.Helper()
	if f.code != code || !strings.Contains(f.stdout, stdout) || stdout == "" && f.stdout != "" ||
		!strings.Contains(f.stderr, stderr) || stderr == "" && f.stderr != "" {
		t.Errorf("%v\nwant exit status %d, %q on stdout, and %q on stderr", f, code, stdout, stderr)
	}
}

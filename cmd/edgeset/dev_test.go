package main_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A workshop is a session of "edgeset dev" on a plugin that "edgeset plugin new" made.
type workshop struct {
	*testing.T
	dir    string // of the plugin
	listen string
	temp   string // where the session keeps what is gone at its end
	log    string // file
	cmd    *exec.Cmd
	ended  chan struct{}
}

// newWorkshop makes the plugin "hits".
func newWorkshop(t *testing.T) *workshop {
	t.Helper()
	w := &workshop{T: t, dir: filepath.Join(t.TempDir(), "hits"), listen: freeAddr(t), temp: t.TempDir()}
	w.log = filepath.Join(t.TempDir(), "log")
	root, err := filepath.Abs("../..")
	if err != nil {
		t.Fatal(err)
	}
	if f := run(t, nil, "plugin", "new", "hits", "--dir", w.dir, "--checkout", root); f.code != 0 {
		t.Fatal(f)
	}
	return w
}

// start runs edgeset dev.
func (w *workshop) start(args ...string) {
	w.Helper()
	goCache, err := exec.Command("go", "env", "GOCACHE").Output()
	if err != nil {
		w.Fatal(err)
	}
	caches := w.TempDir()
	if err := os.Symlink(filepath.Join(filepath.Dir(edgeset(w)), "cache"), filepath.Join(caches, "edgeset")); err != nil {
		w.Fatal(err)
	}
	out, err := os.OpenFile(w.log, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600)
	if err != nil {
		w.Fatal(err)
	}
	defer out.Close()
	w.cmd = exec.Command(edgeset(w), append([]string{"dev", "--listen", w.listen, "--admin", freeAddr(w)}, args...)...)
	w.cmd.Dir, w.cmd.Stdout, w.cmd.Stderr = filepath.Dir(w.dir), out, out
	w.cmd.Env = environment("XDG_CACHE_HOME="+caches, "GOCACHE="+strings.TrimSpace(string(goCache)), "TMPDIR="+w.temp)
	if err := w.cmd.Start(); err != nil {
		w.Fatal(err)
	}
	w.ended = make(chan struct{})
	go func() {
		w.cmd.Wait() // ProcessState has what is to be known
		close(w.ended)
	}()
	w.Cleanup(func() {
		w.cmd.Process.Kill()
		<-w.ended
	})
}

// text is what the session has printed.
func (w *workshop) text() string {
	text, err := os.ReadFile(w.log)
	if err != nil {
		w.Fatal(err)
	}
	return string(text)
}

// tail is that without the requests that nobody looks at.
func (w *workshop) tail() string {
	var b strings.Builder
	for line := range strings.Lines(w.text()) {
		if !strings.Contains(line, "  200  GET ") {
			b.WriteString(line)
		}
	}
	return b.String()
}

// shows waits until the session has printed something.
func (w *workshop) shows(want string) {
	w.Helper()
	for end := time.Now().Add(startTime); !strings.Contains(w.text(), want); time.Sleep(10 * time.Millisecond) {
		select {
		case <-w.ended:
			w.Fatalf("it has ended: %v\n%s\nwant %s", w.cmd.ProcessState, w.tail(), want)
		default:
		}
		if time.Now().After(end) {
			w.Fatalf("after %v:\n%s\nwant %s", startTime, w.tail(), want)
		}
	}
}

// edit replaces a text in main.go.
func (w *workshop) edit(old, text string) {
	w.Helper()
	file := filepath.Join(w.dir, "main.go")
	source, err := os.ReadFile(file)
	if err != nil {
		w.Fatal(err)
	}
	if !bytes.Contains(source, []byte(old)) {
		w.Fatalf("main.go has no %s", old)
	}
	if err := os.WriteFile(file, bytes.Replace(source, []byte(old), []byte(text), 1), 0o644); err != nil {
		w.Fatal(err)
	}
}

// do sends a request and returns its status and its answer.
func (w *workshop) do(method, path string, header ...string) (int, string, error) {
	req, err := http.NewRequest(method, "http://"+w.listen+path, nil)
	if err != nil {
		return 0, "", err
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := (&http.Client{Timeout: callTime}).Do(req)
	if err != nil {
		return 0, "", err
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	return resp.StatusCode, string(body), err
}

// wants does so and wants an answer.
func (w *workshop) wants(method, path string, status int, body string, header ...string) {
	w.Helper()
	got, text, err := w.do(method, path, header...)
	if err != nil || got != status || !strings.Contains(text, body) {
		w.Errorf("%s %s: %d %s, %v; want %d %s", method, path, got, text, err, status, body)
	}
}

// end has the session end, which must succeed and leave nothing.
func (w *workshop) end() {
	w.Helper()
	if err := w.cmd.Process.Signal(syscall.SIGINT); err != nil {
		w.Fatal(err)
	}
	select {
	case <-w.ended:
	case <-time.After(stopTime):
		w.Fatalf("it has not ended %v after SIGINT\n%s", stopTime, w.tail())
	}
	if code := w.cmd.ProcessState.ExitCode(); code != 0 {
		w.Errorf("exit status %d\n%s", code, w.tail())
	}
	left, err := os.ReadDir(w.temp)
	for _, entry := range left {
		if strings.HasPrefix(entry.Name(), "edgeset-") {
			w.Errorf("%s is left", entry.Name())
		}
	}
	if err != nil {
		w.Error(err)
	}
}

// asking asks for a path all the time, until the returned function is called, which
// tells how many answers there were. Each must be 200 and have one of the fields.
func (w *workshop) asking(path string, fields ...string) (stop func() int) {
	var (
		wait sync.WaitGroup
		end  = make(chan struct{})
		n    int
	)
	wait.Go(func() {
		for ; ; n++ {
			select {
			case <-end:
				return
			case <-time.After(5 * time.Millisecond): // builds need the cores, too
			}
			status, body, err := w.do("GET", path)
			var answer map[string]any
			if err == nil {
				err = json.Unmarshal([]byte(body), &answer)
			}
			found := 0
			for _, field := range fields {
				if answer[field] != nil {
					found++
				}
			}
			if err != nil || status != 200 || found != 1 {
				w.Errorf("GET %s: %d %s, %v; want 200 and one of %q", path, status, body, err, fields)
				return
			}
		}
	})
	return func() int {
		close(end)
		wait.Wait()
		return n
	}
}

func TestAPluginIsWrittenWhileItServes(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	test := exec.Command("go", "test", "./...")
	test.Dir = w.dir
	if out, err := test.CombinedOutput(); err != nil {
		t.Errorf("the tests of a new plugin: %v\n%s", err, out)
	}

	w.start("hits")
	w.shows("version 1\n")
	w.shows("curl -X POST http://" + w.listen + "/hits/who\n")
	w.wants("POST", "/hits/ann", 201, `"visits":1`)
	w.shows("  201  POST   /hits/ann ")

	stop := w.asking("/hits/ann", "visits", "count", "times")
	w.edit(`v.Key("visits")`, `v.Key("count")`)
	w.shows("version 2\n")
	w.wants("GET", "/hits/ann", 200, `"count":1`)

	w.edit(`v.Key("count")`, `v.Key(count)`)
	w.shows("hits cannot be used; version 2 serves on\n")
	source, err := os.ReadFile(filepath.Join(w.dir, "main.go"))
	if err != nil {
		t.Fatal(err)
	}
	before, _, _ := strings.Cut(string(source), "v.Key(count)")
	w.shows(fmt.Sprintf("%s:%d:8: undefined: count\n", filepath.Join("hits", "main.go"), strings.Count(before, "\n")+1))
	w.wants("GET", "/hits/ann", 200, `"count":1`)

	// A panic while it is loaded is no better than one that the compiler finds.
	w.edit(`v.Key(count)`, `v.Key("times")`)
	w.edit("func init() {", "func init() {\n\tpanic(\"too early\")")
	w.shows("panic: too early\n")
	w.wants("GET", "/hits/ann", 200, `"count":1`)

	w.edit("\tpanic(\"too early\")", "")
	w.edit(`w.Status(201)`, `if r.Param("who") == "boom" { panic("no boom here") }; r.Logf(abi.LogInfo, "welcome, %s", r.Param("who")); w.Status(201)`)
	w.edit(`"strconv"`, `"strconv"; "github.com/edgeset/edgeset/abi"`)
	w.edit(`show)`, `show); api.GET("/hits/:who/secret", show, guest.Auth("token"))`)
	w.shows("version 3\n")
	w.wants("GET", "/hits/ann", 200, `"times":1`)
	if n := stop(); n == 0 {
		t.Error("nobody has asked meanwhile")
	} else {
		t.Logf("%d answers meanwhile", n)
	}

	w.wants("POST", "/hits/boom", 500, `"internal"`)
	w.shows("error  the plugin trapped: panic: no boom here")
	w.wants("POST", "/hits/bob", 201, `"times":1`)
	w.shows("          info   welcome, bob\n")

	// The route for which somebody has to prove themselves can be tried at once.
	w.shows(`curl -H "Authorization: Bearer $TOKEN" http://` + w.listen + "/hits/who/secret\n")
	token := regexp.MustCompile(`TOKEN=(\S+)`).FindStringSubmatch(w.text())
	w.wants("GET", "/hits/ann/secret", 401, "")
	if token == nil {
		t.Errorf("%s\nwant a token", w.tail())
	} else {
		w.wants("GET", "/hits/ann/secret", 200, `"times":1`, "Authorization", "Bearer "+token[1])
	}
	if strings.Contains(w.text(), "\x1b") {
		t.Error("there are colours in a file")
	}
	w.end()
}

func TestAManifestIsTriedWhileItIsWritten(t *testing.T) {
	t.Parallel()
	w := newWorkshop(t)
	manifest := func(mount string) {
		text := fmt.Sprintf("[[deployment]]\nname = \"eu\"\nhosts = [\"*\"]\n\n[[deployment.plugin]]\nname = \"hits\"\nsource = \"hits\"\nmount = %q\ngrants = [\"kv\"]\n", mount)
		if err := os.WriteFile(filepath.Join(filepath.Dir(w.dir), "edge.toml"), []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
	manifest("/one")
	data := filepath.Join(t.TempDir(), "data")
	w.start("--config", "edge.toml", "--data", data)
	w.shows("curl -X POST http://" + w.listen + "/one/hits/who\n")
	w.wants("POST", "/one/hits/ann", 201, `"visits":1`)
	manifest("one")
	w.shows("edge.toml:8: ")
	w.wants("GET", "/one/hits/ann", 200, `"visits":1`)
	manifest("/two")
	w.shows("version 2\n")
	w.wants("GET", "/two/hits/ann", 200, `"visits":1`)
	w.edit(`v.Key("visits")`, `v.Key("count")`)
	w.shows("version 3\n")
	w.wants("GET", "/two/hits/ann", 200, `"count":1`)
	w.end()

	// The state is there for the next session.
	w.start("--config", "edge.toml", "--data", data)
	w.shows("/two/hits/who\n")
	w.wants("GET", "/two/hits/ann", 200, `"count":1`)
	w.end()
}

func TestDevSaysWhatItCannotServe(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	for _, c := range []struct {
		name   string
		args   []string
		code   int
		stderr string
	}{
		{"a folder that is not there", []string{filepath.Join(dir, "none")}, 1, "want the folder of a plugin's package"},
		{"a folder twice", []string{dir, dir}, 2, "twice"},
		{"a manifest that is not there", []string{"--config", filepath.Join(dir, "none.toml")}, 1, "none.toml"},
		{"a manifest and a folder", []string{"--config", "x", dir}, 2, "the manifest names the folders"},
		{"a flag behind the folder", []string{dir, "--listen"}, 2, "flags stand before"},
		{"an address that is none", []string{"--listen", "nowhere", dir}, 1, "nowhere"},
	} {
		if f := run(t, nil, append([]string{"dev"}, c.args...)...); f.code != c.code || !strings.Contains(f.stderr, c.stderr) {
			t.Errorf("%s: %v\nwant exit status %d and %s", c.name, f, c.code, c.stderr)
		}
	}
	full := filepath.Join(dir, "full")
	if err := os.MkdirAll(filepath.Join(full, "x"), 0o755); err != nil {
		t.Fatal(err)
	}
	for _, c := range []struct {
		name   string
		args   []string
		code   int
		stderr string
	}{
		{"no name", nil, 2, "want a name"},
		{"a name that no plugin can have", []string{"My_Plugin"}, 2, "a letter first"},
		{"two names", []string{"one", "two"}, 2, `"two"`},
		{"a folder that is not empty", []string{"hits", "--dir", full}, 1, "is not empty"},
		{"a checkout that is none", []string{"--checkout", dir, "hits", "--dir", filepath.Join(dir, "hits")}, 1, "want the folder with the go.mod"},
	} {
		if f := run(t, nil, append([]string{"plugin", "new"}, c.args...)...); f.code != c.code || !strings.Contains(f.stderr, c.stderr) {
			t.Errorf("plugin new with %s: %v\nwant exit status %d and %s", c.name, f, c.code, c.stderr)
		}
	}
}

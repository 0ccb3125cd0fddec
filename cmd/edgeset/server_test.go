package main_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// A server is a process of the binary with data of its own. It can be stopped
// or killed and started again, on the same addresses and the same data.
type server struct {
	t      testing.TB
	listen string
	admin  string
	data   string
	args   []string
	log    string // file
	http   *http.Client

	process *exec.Cmd // nil while it does not run
	exited  chan struct{}
}

// Bounds of what a busy machine may need.
const (
	startTime = 2 * time.Minute
	stopTime  = time.Minute
	callTime  = time.Minute
)

// newServer starts a server. A manifest is given as text; flags are added to
// those that every server gets.
func newServer(t testing.TB, manifest string, flags ...string) *server {
	t.Helper()
	dir := t.TempDir()
	s := &server{
		t: t, listen: freeAddr(t), admin: freeAddr(t),
		data: filepath.Join(dir, "data"), log: filepath.Join(dir, "log"),
		http: &http.Client{
			Timeout:   callTime,
			Transport: &http.Transport{MaxIdleConnsPerHost: 4096, ExpectContinueTimeout: 10 * time.Second},
		},
	}
	if err := os.Mkdir(s.data, 0o700); err != nil {
		t.Fatal(err)
	}
	edgeset(t)
	if err := os.Symlink(filepath.Join(binary.dir, "cache"), filepath.Join(s.data, "cache")); err != nil {
		t.Fatal(err)
	}
	s.args = append([]string{"serve", "--listen", s.listen, "--admin", s.admin, "--data", s.data}, flags...)
	if manifest != "" {
		file := filepath.Join(dir, "edgeset.toml")
		if err := os.WriteFile(file, []byte(manifest), 0o600); err != nil {
			t.Fatal(err)
		}
		s.args = append(s.args, "--config", file)
	}
	t.Cleanup(s.cleanup)
	s.start()
	return s
}

// start starts the process and waits until it takes requests.
func (s *server) start() {
	s.t.Helper()
	s.launch()
	for deadline := time.Now().Add(startTime); ; time.Sleep(10 * time.Millisecond) {
		if status, _ := s.probe("/readyz"); status == 200 {
			return
		}
		select {
		case <-s.exited:
			state := s.process.ProcessState
			s.process = nil
			s.fatalf("the server ended while it started: %v", state)
		default:
		}
		if time.Now().After(deadline) {
			s.fatalf("the server was not ready within %v", startTime)
		}
	}
}

// launch starts the process.
func (s *server) launch() {
	s.t.Helper()
	out, err := os.OpenFile(s.log, os.O_CREATE|os.O_WRONLY|os.O_APPEND, 0o600)
	if err != nil {
		s.t.Fatal(err)
	}
	defer out.Close()
	cmd := exec.Command(edgeset(s.t), s.args...)
	cmd.Env, cmd.Stdout, cmd.Stderr = environment(), out, out
	if err := cmd.Start(); err != nil {
		s.t.Fatalf("start %s: %v", cmd, err)
	}
	exited := make(chan struct{})
	go func() {
		cmd.Wait() // ProcessState has what is to be known
		close(exited)
	}()
	s.process, s.exited = cmd, exited
}

// probe gets a path of the admin address.
func (s *server) probe(path string) (status int, body string) {
	resp, err := s.http.Get("http://" + s.admin + path)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	b, _ := io.ReadAll(resp.Body)
	return resp.StatusCode, string(b)
}

// stop has the server drain and end, which must succeed.
func (s *server) stop() {
	s.t.Helper()
	if state := s.end(syscall.SIGTERM); state.ExitCode() != 0 {
		s.errorf("after SIGTERM: %v, want exit status 0", state)
	}
}

// kill ends the server where it stands.
func (s *server) kill() {
	s.t.Helper()
	s.end(syscall.SIGKILL)
}

func (s *server) end(sig syscall.Signal) *os.ProcessState {
	s.t.Helper()
	cmd := s.process
	s.process = nil
	if err := cmd.Process.Signal(sig); err != nil {
		s.fatalf("%v to process %d: %v", sig, cmd.Process.Pid, err)
	}
	select {
	case <-s.exited:
	case <-time.After(stopTime):
		cmd.Process.Kill()
		<-s.exited
		s.fatalf("the server had not ended %v after %v", stopTime, sig)
	}
	s.http.CloseIdleConnections()
	return cmd.ProcessState
}

func (s *server) restart() {
	s.t.Helper()
	s.stop()
	s.start()
}

func (s *server) cleanup() {
	if s.process != nil {
		s.stop()
	}
	s.http.CloseIdleConnections()
	// What a client sends is never an error of the server's.
	text, err := os.ReadFile(s.log)
	if err != nil {
		s.t.Error(err)
	}
	for line := range bytes.Lines(text) {
		for _, sign := range []string{"level=ERROR", `"level":"ERROR"`, "panic:", "fatal error:", "DATA RACE"} {
			if bytes.Contains(line, []byte(sign)) {
				s.errorf("in the server's log: %s", line)
				return
			}
		}
	}
}

// tail is the end of the server's log, after the last of what it warned of.
func (s *server) tail() string {
	text, err := os.ReadFile(s.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.SplitAfter(strings.TrimSpace(string(text)), "\n")
	end := max(0, len(lines)-15)
	var warnings []string
	for _, line := range lines[:end] {
		if !strings.Contains(line, "level=INFO") || strings.Contains(line, "status=5") {
			warnings = append(warnings, line)
		}
	}
	warnings = warnings[max(0, len(warnings)-10):]
	return "the server's log:\n" + strings.Join(append(warnings, lines[end:]...), "")
}

func (s *server) errorf(format string, args ...any) {
	s.t.Helper()
	s.t.Errorf("%s\n%s", fmt.Sprintf(format, args...), s.tail())
}

func (s *server) fatalf(format string, args ...any) {
	s.t.Helper()
	s.t.Fatalf("%s\n%s", fmt.Sprintf(format, args...), s.tail())
}

// app runs a subcommand of "edgeset app" against the server.
func (s *server) app(args ...string) finished {
	s.t.Helper()
	return run(s.t, nil, append(append([]string{"app"}, args...), "--admin", s.admin, "--data", s.data)...)
}

// newApp makes an application as an operator does and returns its api_key.
func (s *server) newApp(args ...string) string {
	s.t.Helper()
	f := s.app(append([]string{"create", "--name", "My App"}, args...)...)
	var made struct{ ID, Secret, Name string }
	if err := json.Unmarshal([]byte(f.stdout), &made); err != nil || f.code != 0 ||
		made.ID == "" || made.Secret == "" || made.Name != "My App" {
		s.fatalf("%v\nwant one JSON object with id, secret and name", f)
	}
	return made.ID
}

// ports are those that servers of this process have.
var ports struct {
	sync.Mutex
	taken map[int]bool
}

// freeAddr returns a loopback address that nobody listens on. It is outside the
// range that connections get their local ports from: while a server is down its
// port would otherwise be given to a client.
func freeAddr(t testing.TB) string {
	t.Helper()
	ports.Lock()
	defer ports.Unlock()
	if ports.taken == nil {
		ports.taken = map[int]bool{}
	}
	for range 1000 {
		port := 12000 + rand.IntN(18000)
		if ports.taken[port] {
			continue
		}
		addr := fmt.Sprintf("127.0.0.1:%d", port)
		l, err := net.Listen("tcp", addr)
		if err != nil {
			continue
		}
		l.Close()
		ports.taken[port] = true
		return addr
	}
	t.Fatal("no free port")
	return ""
}

// waitUntilNotReady waits until the server says that it drains, or has ended.
func waitUntilNotReady(s *server) {
	for deadline := time.Now().Add(stopTime); time.Now().Before(deadline); time.Sleep(5 * time.Millisecond) {
		if status, _ := s.probe("/readyz"); status != 200 {
			return
		}
	}
}

//go:build linux

package main_test

import (
	"bufio"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/host/wasmtest"
	"golang.org/x/sys/unix"
)

// A fanOut is a server, in a process of its own, and the crowd that listens to it.
type fanOut struct {
	b      *testing.B
	addr   string
	pid    int
	token  string // of who shares
	crowd  io.Writer
	said   <-chan string // lines that the crowd prints
	shared int           // updates

	cpu  []time.Duration // of the server, before each block of rounds and after the last
	wall []time.Duration // of each block
}

// listenAccounts is how many accounts the listeners to edgeset share: a login costs
// as much processor time as some hundred LISTENs, on purpose.
const listenAccounts = 8

// newFanOut starts edgeset with a sharer who shares everything with all.
func newFanOut(b *testing.B) *fanOut {
	b.Helper()
	s := newServer(b, "", "--cache", wasmtest.CacheDir(b))
	app := s.newApp()
	var listen []json.RawMessage
	for range listenAccounts {
		p := s.newPerson(app)
		text, err := json.Marshal(map[string]string{"access_token": p.token, "gid_uuid": p.gid, "filters": "*"})
		if err != nil {
			b.Fatal(err)
		}
		listen = append(listen, text)
	}
	c := s.client().newUser(app)
	all := map[string]string{"source": "*", "type": "*", "recipient_type": "all"}
	if r := c.do("POST", "/v1/status/permissions", all); r.status != http.StatusCreated {
		b.Fatal(r)
	}
	s.restart() // what passwords took of the memory is nothing of the listeners'
	f := &fanOut{b: b, addr: s.listen, pid: s.process.Process.Pid, token: c.token}
	f.startCrowd(listen)
	return f
}

// newPeerFanOut starts the server in testdata/fanout, which takes anybody.
func newPeerFanOut(b *testing.B) *fanOut {
	b.Helper()
	f := &fanOut{b: b, addr: freeAddr(b)}
	cmd := exec.Command("node", "server.js", f.addr)
	cmd.Dir, cmd.Env, cmd.Stderr = fanOutDir, environment("NODE_ENV=production"), os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		b.Fatalf("start %s: %v", cmd, err)
	}
	b.Cleanup(func() {
		_ = cmd.Process.Kill() // it may have ended
		_ = cmd.Wait()         // it was killed
	})
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "http://"+f.addr+"\n" {
		b.Fatalf("%s: its first line is %q, %v: want its address", cmd, line, err)
	}
	f.pid = cmd.Process.Pid
	f.startCrowd([]json.RawMessage{json.RawMessage(`{"access_token":"","gid_uuid":"","filters":"*"}`)})
	return f
}

const fanOutDir = "testdata/fanout"

// startCrowd starts the process of the listeners.
func (f *fanOut) startCrowd(listen []json.RawMessage) {
	f.b.Helper()
	config, err := json.Marshal(crowdConfig{f.addr, listen})
	if err != nil {
		f.b.Fatal(err)
	}
	self, err := os.Executable()
	if err != nil {
		f.b.Fatal(err)
	}
	cmd := exec.Command(self, "-test.run", "^TestCrowd$")
	cmd.Env, cmd.Stderr = environment(crowdEnv+"="+string(config)), os.Stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		f.b.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		f.b.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		f.b.Fatalf("start %s: %v", cmd, err)
	}
	said := make(chan string, 16)
	f.crowd, f.said = in, said
	go func() {
		for lines := bufio.NewScanner(out); lines.Scan(); {
			said <- lines.Text()
		}
		close(said)
	}()
	f.b.Cleanup(func() {
		in.Close() // the crowd ends with its input
		for range said {
		}
		if err := cmd.Wait(); err != nil {
			f.b.Errorf("%s: %v", cmd, err)
		}
	})
}

// connect has the crowd have so many connections, each of which listens.
func (f *fanOut) connect(n int) {
	f.b.Helper()
	if _, err := fmt.Fprintln(f.crowd, n); err != nil {
		f.b.Fatalf("the crowd of %s: %v", f.addr, err)
	}
	f.await(fmt.Sprint("connected ", n))
}

// await waits for a line of the crowd.
func (f *fanOut) await(want string) {
	f.b.Helper()
	select {
	case got := <-f.said:
		if got != want {
			f.b.Fatalf("the crowd of %s says %q, want %q", f.addr, got, want)
		}
	case <-time.After(callTime):
		f.b.Fatalf("the crowd of %s does not say %q within %v", f.addr, want, callTime)
	}
}

// share posts one update and waits until all listeners have heard of it.
func (f *fanOut) share() {
	f.b.Helper()
	f.shared++
	if err := f.post(f.shared); err != nil {
		f.b.Fatal(err)
	}
	f.await(fmt.Sprint("heard ", f.shared))
}

// flood posts updates, several at a time and one behind the other, and waits until all
// listeners have heard of all of them.
func (f *fanOut) flood(updates, posters int) {
	f.b.Helper()
	numbers, failed := make(chan int, updates), make(chan error, posters)
	for range updates {
		f.shared++
		numbers <- f.shared
	}
	close(numbers)
	for range posters {
		go func() {
			for n := range numbers {
				if err := f.post(n); err != nil {
					failed <- err
					return
				}
			}
			failed <- nil
		}()
	}
	for n := f.shared - updates + 1; n <= f.shared; n++ {
		f.await(fmt.Sprint("heard ", n))
	}
	for range posters {
		if err := <-failed; err != nil {
			f.b.Fatal(err)
		}
	}
}

// post posts an update.
func (f *fanOut) post(number int) error {
	body := fmt.Sprintf(`[{"uuid":"%08x-cafe-4000-8000-%012x","source":"phone","type":"location","created_at":%q,`+
		`"payload":{"lat":52.520008,"lon":13.404954,"speed":12.5,"heading":270}}]`,
		f.pid, number, time.Now().UTC().Format("2006-01-02T15:04:05.000Z"))
	req, err := http.NewRequest("POST", "http://"+f.addr+"/v1/status", strings.NewReader(body))
	if err != nil {
		return err
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Authorization", "Bearer "+f.token)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	text, err := io.ReadAll(resp.Body)
	if err := errors.Join(err, resp.Body.Close()); err != nil || resp.StatusCode != http.StatusCreated {
		return fmt.Errorf("POST to %s: %s, %w\n%s", f.addr, resp.Status, err, text)
	}
	return nil
}

// mark notes what the server has taken of the processors so far.
func (f *fanOut) mark() {
	f.b.Helper()
	// Exact, where /proc/PID/stat counts in hundredths of a second: see
	// clock_getcpuclockid(3).
	const schedClock = 2
	var t unix.Timespec
	if err := unix.ClockGettime(int32(^f.pid)<<3|schedClock, &t); err != nil {
		f.b.Fatalf("CPU time of process %d: %v", f.pid, err)
	}
	f.cpu = append(f.cpu, time.Duration(t.Nano()))
}

// resident is the server's memory, in bytes, once it has settled: when it has not
// changed by more than a hundredth in a second and a half, or after ten seconds.
func (f *fanOut) resident() float64 {
	f.b.Helper()
	const pause = 500 * time.Millisecond
	var last [4]float64
	for range 20 {
		time.Sleep(pause)
		copy(last[1:], last[:3])
		last[0] = f.residentNow()
		if max(last[0], last[1], last[2], last[3])-min(last[0], last[1], last[2], last[3]) <= last[0]/100 {
			break
		}
	}
	return last[0]
}

func (f *fanOut) residentNow() float64 {
	f.b.Helper()
	file := fmt.Sprintf("/proc/%d/smaps_rollup", f.pid)
	text, err := os.ReadFile(file)
	if err != nil {
		f.b.Fatal(err)
	}
	for line := range strings.Lines(string(text)) {
		if rest, ok := strings.CutPrefix(line, "Rss:"); ok {
			kib, err := strconv.ParseFloat(strings.Fields(rest)[0], 64)
			if err != nil {
				f.b.Fatalf("%s: %q: %v", file, line, err)
			}
			return kib * 1024
		}
	}
	f.b.Fatalf("%s has no line Rss", file)
	return 0
}

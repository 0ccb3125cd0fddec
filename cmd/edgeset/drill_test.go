package main_test

import (
	"bufio"
	"bytes"
	"encoding/json"
	"flag"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/host/artifact"
	"github.com/edgeset/edgeset/host/rollout"
	"github.com/edgeset/edgeset/host/wasmtest"
	"github.com/edgeset/edgeset/plugins"
)

var (
	drillSwaps = flag.Int("drill", 0, "how often TestSwapDrill swaps all plugins; 0: a few times, with few clients")
	drillOut   = flag.String("drill.out", "", "file that TestSwapDrill writes its result to, as JSON")
)

// drillMarks are the builds of all plugins that a drill swaps: their answers differ.
var drillMarks = [2]string{"one", "two"}

// A drill swaps the versions of a deployment while clients use it.
type drill struct {
	*server
	tally tally
	// Of drillMarks: the manifests, and what was uploaded for them, by source.
	files   [2]string
	uploads [2]map[string]rollout.Upload

	log     *bufio.Reader // what of the server's log was not read yet
	logPart string        // of a line that is not whole
	version int
	swaps   []swap
	memory  memory
}

// A swap is when all plugins were swapped.
type swap struct {
	begin    time.Time // the host is asked for it
	deployed time.Time // it has answered: the new version serves
	end      time.Time // the old version is closed
}

// TestSwapDrill swaps all plugins again and again while clients use all of them, as
// quickly as they are answered, and while hundreds of sockets are told of updates. Nobody
// notices: each request is answered as it should be, wholly by one build, and by the new
// one once the deploy has ended; no socket is closed; what was acknowledged is there; and
// each event comes once and in order.
//
// How long requests take is told, and no reason to fail: that depends on the machine.
func TestSwapDrill(t *testing.T) {
	swaps, size, steady, pause := *drillSwaps, crewSize{8, 4, 10, 500}, 20*time.Second, 500*time.Millisecond
	if swaps == 0 {
		t.Parallel()
		swaps, size, steady, pause = 12, crewSize{2, 1, 2, 60}, time.Second, 50*time.Millisecond
		if testing.Short() {
			swaps = 4
		}
	}
	provider := newOpenIDProvider(t)
	d := newDrill(t, provider)
	c := newCrew(t, d.server, &d.tally, provider, size)
	// Both are compiled before it begins.
	d.deploy(1)
	d.deploy(0)
	d.swaps = nil
	files := d.openFiles() - len(c.ears)
	begin := time.Now()
	c.start()
	time.Sleep(steady)
	for n := range swaps {
		d.deploy((n + 1) % 2)
		time.Sleep(pause)
		d.memory.rss = append(d.memory.rss, d.usage().rss)
	}
	c.stop()
	took := time.Since(begin)
	r := d.result(c, begin, took)
	c.readBack()
	r.count(&d.tally)
	t.Logf("\n%s\nfiles open in the server: %d before, %d after\n%s", r.text, files, d.openFiles(), d.gauges())
	if err := d.tally.faults(); err != nil {
		d.errorf("%v: %v", r, err)
	}
	if r.Requests == 0 || r.Writes == 0 || r.Events == 0 {
		t.Errorf("%d requests, %d writes, %d events: nothing was tried", r.Requests, r.Writes, r.Events)
	}
	r.write(t, *drillOut)
}

// newDrill starts a server with the first of the two versions.
func newDrill(t *testing.T, provider string) *drill {
	t.Helper()
	d := new(drill)
	dir := t.TempDir()
	for i, mark := range drillMarks {
		text := "[[deployment]]\nname = \"default\"\nhosts = [\"*\"]\norigins = [\"*\"]\n"
		d.uploads[i] = map[string]rollout.Upload{}
		for _, name := range plugins.Names {
			file, wasm := filepath.Join(dir, mark+"-"+name+".wasm"), wasmtest.Marked(t, name, mark)
			if err := os.WriteFile(file, wasm, 0o600); err != nil {
				t.Fatal(err)
			}
			d.uploads[i][file] = rollout.Upload{Digest: string(artifact.DigestOf(wasm))}
			// A busy machine may take its time.
			text += fmt.Sprintf("[[deployment.plugin]]\nname = %q\nsource = %q\ngrants = [\"kv\", \"passwords\", \"events\", \"blobs\"]\n"+
				"deadline = \"1m\"\nmax_wait = \"30s\"\n", name, file)
			if name == "signing" {
				text += fmt.Sprintf("egress = [%q]\nconfig = { login_starts = \"1000\" }\n", "private:"+strings.TrimPrefix(provider, "http://"))
			}
		}
		d.files[i] = filepath.Join(dir, mark+".toml")
		if err := os.WriteFile(d.files[i], []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	d.tally.serving.Store(&phase{})
	d.server = newServer(t, "", "--cache", wasmtest.CacheDir(t), "--config", d.files[0])
	log, err := os.Open(d.server.log)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { log.Close() })
	d.log, d.version = bufio.NewReader(log), 1
	for _, uploads := range d.uploads {
		for file, u := range uploads {
			wasm, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			d.asked("PUT", "/v1/plugins/"+u.Digest, wasm, nil)
		}
	}
	return d
}

// deploy has one of the two versions served, and waits until the one before is closed.
// It asks the admin API itself: what "edgeset deploy" does before that, which is to read
// and hash the plugins, is the work of an operator's machine.
func (d *drill) deploy(which int) {
	d.t.Helper()
	text, err := os.ReadFile(d.files[which])
	if err != nil {
		d.t.Fatal(err)
	}
	body, err := json.Marshal(map[string]any{"manifest": string(text), "uploads": d.uploads[which]})
	if err != nil {
		d.t.Fatal(err)
	}
	var result rollout.Result
	s := swap{begin: time.Now()}
	d.tally.serving.Store(&phase{})
	d.asked("POST", "/v1/deploy", body, &result)
	s.deployed = time.Now()
	d.tally.serving.Store(&phase{drillMarks[which]})
	d.version++
	if n := result.Deployments; len(n) != 1 || n[0].Action != "swapped" || n[0].Version != d.version {
		d.fatalf("%+v; want version %d to serve", result, d.version)
	}
	d.awaitClosed(d.version - 1)
	s.end = time.Now()
	d.swaps = append(d.swaps, s)
}

// asked asks the admin API for something, which must succeed. The answer is put into
// result, if there is one to be.
func (d *drill) asked(method, path string, body []byte, result any) {
	d.t.Helper()
	req, err := http.NewRequest(method, "http://"+d.admin+path, bytes.NewReader(body))
	if err != nil {
		d.t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+d.adminToken())
	resp, err := d.http.Do(req)
	if err != nil {
		d.fatalf("%v", err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(resp.Body)
	if err != nil || resp.StatusCode >= 300 {
		d.fatalf("%s %s: %d %s, %v", method, path, resp.StatusCode, answer, err)
	}
	if result != nil {
		if err := json.Unmarshal(answer, result); err != nil {
			d.fatalf("%s %s: %s: %v", method, path, answer, err)
		}
	}
}

// awaitClosed waits until the server's log says that a version is closed.
func (d *drill) awaitClosed(version int) {
	d.t.Helper()
	want := fmt.Sprintf(` msg="version closed" deployment=default version=%d`, version)
	for begin := time.Now(); time.Since(begin) < stopTime; {
		part, err := d.log.ReadString('\n')
		d.logPart += part
		switch {
		case err == io.EOF:
			time.Sleep(2 * time.Millisecond)
			continue
		case err != nil:
			d.t.Fatal(err)
		}
		line := strings.TrimSuffix(d.logPart, "\n")
		d.logPart = ""
		if strings.HasSuffix(line, want) {
			return
		}
		if strings.Contains(line, "cut off") {
			d.fatalf("%s", line)
		}
	}
	d.fatalf("version %d was not closed within %v", version, stopTime)
}

// openFiles is how many files and sockets the server has open, as far as the kernel tells.
func (d *drill) openFiles() int {
	list, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", d.process.Process.Pid))
	if err != nil {
		return 0
	}
	return len(list)
}

// write writes the result, if somebody wants it.
func (r *drillResult) write(t *testing.T, file string) {
	t.Helper()
	if file == "" {
		return
	}
	text, err := json.MarshalIndent(r, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(file, append(text, '\n'), 0o644); err != nil {
		t.Fatal(err)
	}
}

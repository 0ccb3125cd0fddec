package gateway

import (
	"fmt"
	"os"
	"path/filepath"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/edgeset/edgeset/host/deploy"
)

// bare returns a module without any runtime, whose exports do not come to an
// end. It serves by the Extism lane, which asks nothing else of a plugin.
func bare() []byte {
	section := func(id byte, items ...string) string {
		body := strings.Join(items, "")
		return string([]byte{id, byte(len(body) + 1), byte(len(items))}) + body
	}
	export := func(name, what string) string { return string([]byte{byte(len(name))}) + name + what }
	body := func(code string) string { return string([]byte{byte(len(code) + 2)}) + "\x00" + code + "\x0b" }
	const one = "\x20\x00\x41\x01\x6b\x10\x04" // (call tree (i32.sub (local.get 0) (i32.const 1)))
	return []byte("\x00asm\x01\x00\x00\x00" +
		section(1, "\x60\x00\x01\x7f", "\x60\x01\x7f\x01\x7f") + // types: () → i32, (i32) → i32
		section(3, "\x00", "\x00", "\x00", "\x00", "\x01") +
		section(5, "\x00\x01") + // a page of memory
		section(7, export("memory", "\x02\x00"),
			export("loop", "\x00\x00"), export("recurse", "\x00\x01"), export("grow", "\x00\x02"), export("branch", "\x00\x03")) +
		section(10,
			body("\x03\x40\x0c\x00\x0b\x41\x00"),                        // loop: (loop (br 0)) (i32.const 0)
			body("\x10\x01"),                                            // recurse: (call recurse)
			body("\x03\x40\x41\x01\x40\x00\x1a\x0c\x00\x0b\x41\x00"),    // grow: (loop (drop (memory.grow (i32.const 1))) (br 0)) (i32.const 0)
			body("\x41\x3c\x10\x04"),                                    // branch: (call tree (i32.const 60))
			body("\x20\x00\x45\x04\x7f\x41\x00\x05"+one+one+"\x6a\x0b"), // tree: (if (i32.eqz n) 0 else tree(n-1) + tree(n-1))
		))
}

// runaways is a deployment of a plugin in Go and one without a runtime, which
// run away.
func runaways(t *testing.T, deadline time.Duration) deploy.Spec {
	t.Helper()
	file := filepath.Join(t.TempDir(), "bare.wasm")
	if err := os.WriteFile(file, bare(), 0o600); err != nil {
		t.Fatal(err)
	}
	spec := runaway(deadline)
	plugin := deploy.PluginSpec{Name: "bare", Source: file, Instances: 2, Deadline: deploy.Duration(deadline)}
	for _, function := range []string{"loop", "recurse", "grow", "branch"} {
		plugin.Routes = append(plugin.Routes, deploy.RouteSpec{Method: "GET", Pattern: "/b/" + function, Function: function, ReadOnly: true})
	}
	spec.Plugins = append(spec.Plugins, plugin)
	return spec
}

func TestARunawayCostsItsDeadline(t *testing.T) {
	const deadline = 200 * time.Millisecond
	r := start(t, Config{}, runaways(t, deadline))
	r.do("GET /r/ok", "").wants(200)
	for _, c := range []struct{ line, plugin string }{
		{"GET /r/loop", "runaway"}, // in Go
		{"GET /b/loop", "bare"},    // the tightest there is
		{"GET /b/branch", "bare"},  // calls and no loop
		{"GET /b/grow", "bare"},    // asks for memory for ever, and does not mind that it gets none
	} {
		before := r.stats(c.plugin)
		begin := time.Now()
		got := r.do(c.line, "").wants(504)
		took := time.Since(begin)
		if took < deadline || took > deadline+slow {
			t.Errorf("%s: given up after %v", c.line, took)
		}
		t.Logf("%s: %v after its deadline: %s", c.line, took-deadline, got.body)
		after := r.stats(c.plugin)
		if after.Traps != before.Traps+1 || after.Instances != after.Idle {
			t.Errorf("%s: before %+v, after %+v", c.line, before, after)
		}
		if fuel := r.metric("edgeset_fuel_total", "route", c.line); fuel < 1e6 {
			t.Errorf("%s: %v fuel spent", c.line, fuel)
		}
		r.do("GET /r/ok", "").wants(200)
	}
}

// What comes to its end by itself is a trap, and the deadline has no part in it.
func TestARunawayThatDiesIsATrap(t *testing.T) {
	r := start(t, Config{}, runaways(t, time.Minute))
	for _, c := range []struct{ line, plugin, why string }{
		{"GET /r/recurse", "runaway", "out of memory"}, // Go's stack is in its memory
		{"GET /r/grow", "runaway", "out of memory"},
		{"GET /b/recurse", "bare", "stack overflow"}, // WebAssembly's own stack
	} {
		before := r.stats(c.plugin)
		r.do(c.line, "").wants(500)
		after := r.stats(c.plugin)
		if after.Traps != before.Traps+1 || after.Instances != after.Idle {
			t.Errorf("%s: before %+v, after %+v", c.line, before, after)
		}
		told := slices.ContainsFunc(strings.Split(r.log.String(), "\n"), func(line string) bool {
			return strings.Contains(line, fmt.Sprintf("route=%q", c.line)) && strings.Contains(line, c.why)
		})
		if !told {
			t.Errorf("%s: the log does not say %q: %s", c.line, c.why, r.log)
		}
		r.do("GET /r/ok", "").wants(200)
	}
}

// Others are served, and the host's garbage is collected, while every core could
// be busy with runaways.
func TestOthersAreServedMeanwhile(t *testing.T) {
	const deadline = 4 * time.Second
	spec := runaways(t, deadline)
	n := runtime.GOMAXPROCS(0) + 1
	spec.Plugins[0].Instances, spec.Plugins[1].Instances = n, n
	spec.Plugins = append(spec.Plugins, extism().Plugins...)
	r := start(t, Config{}, spec)
	r.do("GET /r/ok", "").wants(200)

	ended := make(chan string, n)
	var wg sync.WaitGroup
	for i := range n {
		line := []string{"GET /r/loop", "GET /b/loop"}[i%2]
		wg.Go(func() {
			r.do(line, "").wants(504)
			ended <- line
		})
	}
	eventually(t, "all of them run", func() bool {
		busy := 0
		for _, plugin := range []string{"runaway", "bare"} {
			s := r.stats(plugin)
			busy += s.Instances - s.Idle
		}
		return busy == n
	})
	for range 50 {
		r.do("POST /p/visits", "").wants(200)
	}
	runtime.GC()
	select {
	case line := <-ended:
		t.Errorf("others came to their turn when %s had ended", line)
	default:
	}
	wg.Wait()
}

func TestARunawayEndsWithItsClient(t *testing.T) {
	r := start(t, Config{}, runaways(t, time.Hour))
	r.do("GET /r/ok", "").wants(200)
	for _, path := range []string{"/r/loop", "/b/loop"} {
		c := r.dial("GET " + path + " HTTP/1.1\r\nHost: x\r\n\r\n")
		time.Sleep(50 * time.Millisecond)
		if err := c.Close(); err != nil {
			t.Fatal(err)
		}
		eventually(t, path+" has ended", func() bool { return r.metric("edgeset_disconnects_total", "route", "GET "+path) == 1 })
	}
}

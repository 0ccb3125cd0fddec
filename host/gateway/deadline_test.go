package gateway

import (
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/edgeset/edgeset/host/deploy"
	"github.com/edgeset/edgeset/host/engine"
	"github.com/edgeset/edgeset/store"
)

// runaway is a deployment of a plugin that takes as long as it can.
func runaway(deadline time.Duration, egress ...string) deploy.Spec {
	return deploy.Spec{Name: "test", Hosts: []string{"*"}, Plugins: []deploy.PluginSpec{{
		Name: "runaway", Source: "embedded:runaway", Grants: []string{"kv", "passwords"}, Egress: egress,
		Instances: 2, Deadline: deploy.Duration(deadline),
	}}}
}

// slow is how late a test lets something be on a machine that is busy.
const slow = 5 * time.Second

// timesOut sends a request that is to be given up at its deadline.
func (r *rig) timesOut(line string, deadline time.Duration) {
	r.t.Helper()
	begin := time.Now()
	got := r.do(line, "").wants(504)
	took := time.Since(begin)
	if took < deadline || took > deadline+slow {
		r.t.Errorf("%s: given up after %v", line, took)
	}
	if !strings.Contains(got.body, `"code":"too_slow"`) {
		r.t.Errorf("%s: %s", line, got.body)
	}
	r.t.Logf("%s: %v after its deadline", line, took-deadline)
}

// stats are those of a plugin's pool.
func (r *rig) stats(plugin string) engine.Stats {
	r.t.Helper()
	for _, p := range r.gateway.table.Load().services[0].deployment.Plugins {
		if p.Spec.Name == plugin {
			return p.Runner.(*engine.Version).Stats()
		}
	}
	r.t.Fatalf("no plugin %q", plugin)
	return engine.Stats{}
}

// eventually waits until a condition holds.
func eventually(t testing.TB, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(2 * slow); !holds(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal("never: " + what)
		}
	}
}

func TestWhatBlocksEndsAtTheDeadline(t *testing.T) {
	release := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, q *http.Request) {
		if q.URL.Path == "/drip" {
			w.WriteHeader(200)
			w.(http.Flusher).Flush()
		}
		<-release
	}))
	defer silent.Close()
	defer close(release)
	// Takes connections and says nothing, not even within the handshake of TLS.
	mute, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer mute.Close()

	const deadline = 150 * time.Millisecond
	r := start(t, Config{}, runaway(deadline, "private:"+silent.Listener.Addr().String(), "private:"+mute.Addr().String()))
	r.do("GET /r/ok", "").wants(200)
	for _, line := range []string{
		"GET /r/sleep", "POST /r/write", "GET /r/hash", "GET /r/read",
		"GET /r/fetch?url=" + silent.URL + "/never", "GET /r/fetch?url=" + silent.URL + "/drip", "GET /r/fetch?url=https://" + mute.Addr().String(),
	} {
		r.timesOut(line, deadline)
		r.do("GET /r/ok", "").wants(200)
	}
	r.timesOut("GET /r/short", 50*time.Millisecond) // as the plugin asks
	r.do("GET /r/poll", "").wants(200)

	if got := r.do("GET /r/kept", "").wants(200); got.body != "false" {
		t.Error("what a request wrote that timed out was kept")
	}
	if !strings.Contains(r.log.String(), `its deadline of 150ms has passed: engine: plugin \"runaway\": edge_call: the call ended while the guest slept`) {
		t.Errorf("the log does not tell why: %s", r.log)
	}
	if got := r.metric("edgeset_timeouts_total", "plugin", "runaway"); got != 8 {
		t.Errorf("%v timeouts were counted, want 8", got)
	}
	if got := r.metric("edgeset_traps_total", "plugin", "runaway"); got != 0 {
		t.Errorf("%v traps were counted besides", got)
	}
}

func TestAnInstanceThatSleptIsGone(t *testing.T) {
	const deadline = 100 * time.Millisecond
	r := start(t, Config{}, runaway(deadline))
	before := r.stats("runaway")
	r.timesOut("GET /r/sleep", deadline)
	after := r.stats("runaway")
	if after.Traps != before.Traps+1 || after.Idle != after.Instances {
		t.Errorf("before %+v, after %+v", before, after)
	}
}

// The deadline is the client's: it has passed for one that waits for an instance,
// too.
func TestADeadlineCoversTheWaitForAnInstance(t *testing.T) {
	const deadline = 300 * time.Millisecond
	spec := runaway(deadline)
	spec.Plugins[0].Instances = 1
	r := start(t, Config{}, spec)
	r.do("GET /r/ok", "").wants(200)
	var wg sync.WaitGroup
	for range 6 {
		wg.Go(func() { r.timesOut("GET /r/sleep", deadline) })
	}
	wg.Wait()
	r.do("GET /r/ok", "").wants(200)
	if s := r.stats("runaway"); s.Waiting != 0 || s.Instances != s.Idle {
		t.Errorf("%+v", s)
	}
}

// A request that waits for others on its path to be through waits no longer
// than its deadline.
func TestADeadlineCoversTheWaitForATurn(t *testing.T) {
	spec := trial()
	spec.Plugins[1].Deadline = deploy.Duration(200 * time.Millisecond)
	r := start(t, Config{}, spec)
	held, err := r.gateway.table.Load().byName("test").turns.take(t.Context(), []byte("/t/count"), alone)
	if err != nil {
		t.Fatal(err)
	}
	r.do("POST /t/count", "").wants(504)
	held.done()
	r.do("POST /t/count", "").wants(200)
}

func TestADeadlineCoversRepeatedRuns(t *testing.T) {
	spec := trial()
	spec.Plugins[1].Deadline = deploy.Duration(30 * time.Millisecond)
	r := start(t, Config{}, spec)
	d := &disputed{Store: r.store}
	r.gateway.store = d
	r.do("POST /t/count", "").wants(504)
	if n := d.runs.Load(); n == store.MaxRuns {
		t.Errorf("it was run %d times", n)
	}
}

func TestADeadlineHoldsForAnExtismPlugin(t *testing.T) {
	release := make(chan struct{})
	silent := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { <-release }))
	defer silent.Close()
	defer close(release)
	spec := extism()
	p := &spec.Plugins[0]
	p.Egress = []string{"private:" + silent.Listener.Addr().String()}
	p.Routes = append(p.Routes, deploy.RouteSpec{Method: "GET", Pattern: "/p/fetch", Function: "fetch", Deadline: deploy.Duration(100 * time.Millisecond)})
	r := start(t, Config{}, spec)
	got := r.do("GET /p/fetch?url="+silent.URL, "").wants(504)
	if !strings.Contains(got.body, `"code":"timeout"`) {
		t.Error(got.body)
	}
	r.do("POST /p/visits", "").wants(200)
}

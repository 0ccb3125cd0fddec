package gateway

import (
	"context"
	"fmt"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	open "github.com/edgeset/edgeset/host/bench/load"
	"github.com/edgeset/edgeset/host/deploy"
	"github.com/edgeset/edgeset/host/engine"
	"github.com/valyala/fasthttp"
)

// tight is the trial deployment with one instance of each plugin, and room for
// one caller that waits.
func tight(maxWait time.Duration) deploy.Spec {
	spec := trial()
	for i := range spec.Plugins {
		spec.Plugins[i].Instances, spec.Plugins[i].Waiting, spec.Plugins[i].MaxWait = 1, 1, deploy.Duration(maxWait)
	}
	return spec
}

// lease takes an instance of a plugin.
func (r *rig) lease(plugin string) engine.Lease {
	r.t.Helper()
	for _, p := range r.gateway.table.Load().byName("test").deployment.Plugins {
		if p.Spec.Name == plugin {
			l, err := p.Runner.Lease(r.t.Context(), false)
			if err != nil {
				r.t.Fatal(err)
			}
			return l
		}
	}
	r.t.Fatalf("no plugin %q", plugin)
	return nil
}

func TestARefusalComesBeforeAllElse(t *testing.T) {
	r := start(t, Config{}, tight(time.Minute))
	lease := r.lease("trial")
	var wg sync.WaitGroup
	wg.Go(func() { r.do("GET /t/echo", "").wants(200) })
	eventually(t, "one waits", func() bool { return r.stats("trial").Waiting == 1 })

	requests := []struct {
		line, body string
		otherwise  int
	}{
		{"POST /t/echo", `{"not JSON`, 400},
		{"GET /t/private", "", 401},
		{"GET /t/echo?%zz", "", 400},
		{"POST /t/count", "", 200},
	}
	for _, q := range requests {
		got := r.do(q.line, q.body).wants(503)
		if got.header.Get("Retry-After") != "60" || got.field("fault") != "busy" || got.header.Get("X-Request-Id") == "" {
			t.Errorf("%s: %v %s", q.line, got.header, got.body)
		}
	}
	r.do("GET /t/nothing", "").wants(404)
	r.do("POST /g/grant/x", "").wants(204) // another plugin
	n := float64(len(requests))
	if got := r.metric("edgeset_callers_refused_total", "plugin", "trial", "reason", "full"); got != n {
		t.Errorf("%v were counted by reason, want %v", got, n)
	}
	if got := r.metric("edgeset_busy_total", "plugin", "trial"); got != n {
		t.Errorf("%v were counted by route, want %v", got, n)
	}
	if got := r.metric("edgeset_plugin_calls_total", "plugin", "trial"); got != 1 { // it described itself
		t.Errorf("%v calls", got)
	}

	wg.Go(func() { // the operator is not refused
		if got := r.operate("POST", "trial", "/t/operated", ""); got.status != 200 {
			t.Errorf("%d %s", got.status, got.body)
		}
	})
	eventually(t, "the operator waits, too", func() bool { return r.stats("trial").Waiting == 2 })
	lease.Release()
	wg.Wait()
	for _, q := range requests {
		r.do(q.line, q.body).wants(q.otherwise)
	}
	if s := r.stats("trial"); s.Waits != 2 || s.Waited <= 0 || s.Idle != 1 {
		t.Errorf("%+v", s)
	}
}

// A request to the plugin that checks credentials has an instance of it already,
// and would wait for a second one in vain.
func TestACheckByTheSamePluginNeedsNoSecondInstance(t *testing.T) {
	r := start(t, Config{}, tight(time.Minute))
	r.do("POST /g/grant/word", "").wants(204)
	if got := r.do("GET /g/seen", "", "Authorization", "Bearer word").wants(200); got.field("account") != "word" {
		t.Error(got.body)
	}
	r.do("GET /g/seen", "", "Authorization", "Bearer other").wants(401)
	if s := r.stats("guard"); s.Waits != 0 || s.Idle != 1 {
		t.Errorf("%+v", s)
	}
}

func TestNoInstanceIsHeldByWhoWaitsForATurn(t *testing.T) {
	r := start(t, Config{}, tight(time.Minute))
	path := []byte("/t/count")
	turn, err := r.gateway.table.Load().byName("test").turns.take(t.Context(), path, alone)
	if err != nil {
		t.Fatal(err)
	}
	var wg sync.WaitGroup
	wg.Go(func() {
		if got := r.do("POST /t/count", "").wants(503); got.header.Get("Retry-After") != "1" || got.field("fault") != "busy" {
			t.Errorf("%v %s", got.header, got.body)
		}
	})
	waits := func() bool { return r.gateway.running.Load() == 1 && r.stats("trial").Idle == 1 }
	eventually(t, "the request waits for its turn", waits)
	for range 5 {
		r.do("GET /t/echo", "").wants(200)
	}
	wg.Wait() // turnTime is over
	wg.Go(func() { r.do("POST /t/count", "").wants(200) })
	eventually(t, "the next request waits for its turn", waits)
	turn.done()
	wg.Wait()
}

func TestRefusalsDoNotFloodTheLog(t *testing.T) {
	r := start(t, Config{}, tight(time.Minute))
	lease := r.lease("trial")
	var wg sync.WaitGroup
	wg.Go(func() { r.do("GET /t/echo", "").wants(200) })
	eventually(t, "one waits", func() bool { return r.stats("trial").Waiting == 1 })
	begin := time.Now()
	for range 200 {
		r.do("GET /t/echo", "").wants(503)
	}
	lines, most := strings.Count(r.log.String(), "as many callers wait as may"), 2+int(time.Since(begin)/time.Second)
	if lines == 0 || lines > most {
		t.Errorf("%d lines tell of 200 refusals, want 1 to %d", lines, most)
	}
	lease.Release()
	wg.Wait()
}

// Three times as many requests come as can be served. What a call takes is time
// and not work, so that the figures do not depend on the machine.
func TestUnderOverloadWhatCanBeServedIs(t *testing.T) {
	const (
		instances = 4
		call      = 40 * time.Millisecond
		can       = float64(instances) / 0.04 // a second
		length    = 4 * time.Second
		maxWait   = 4 * time.Second
	)
	spec := trial()
	spec.Plugins[1].Instances, spec.Plugins[1].Waiting, spec.Plugins[1].MaxWait = instances, 1<<20, deploy.Duration(maxWait)
	r := start(t, Config{}, spec)
	r.do("GET /t/echo", "").wants(200)
	got, err := open.Run(context.Background(), open.Config{
		Addr: r.addr, Rate: 3 * can, Duration: length, Connections: 500, Timeout: time.Minute, Poisson: true,
	}, func(_ int, req *fasthttp.Request) {
		req.SetRequestURI(fmt.Sprintf("http://%s/t/sleep/%d", r.addr, call.Milliseconds()))
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Logf("%v; refused %v", got, got.Failed)
	if got.Sent != got.Status[http.StatusOK]+got.Status[http.StatusServiceUnavailable] || got.Unsent != 0 {
		t.Errorf("%v: want each answered with 200 or 503", got)
	}
	// More would be served by a machine without any other work, and no more than
	// the line holds after the last was sent.
	if least := can * length.Seconds() / 2; float64(got.OK) < least {
		t.Errorf("%d were served, want at least %v", got.OK, least)
	}
	if got.Status[http.StatusServiceUnavailable] < got.Sent/4 {
		t.Errorf("%d of %d were refused", got.Status[http.StatusServiceUnavailable], got.Sent)
	}
	if got.Failed.P50 > maxWait/8 || got.Failed.Max > maxWait {
		t.Errorf("refused after %v: want most of them at once", got.Failed)
	}
	if got.Latency.P99 > maxWait {
		t.Errorf("served after %v", got.Latency)
	}
}

package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"runtime"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/deploy"
)

// altered returns another version of a deployment, with one plugin changed. It runs the
// same Wasm, so what is told apart is the host's work.
func altered(d *deploy.Deployment, plugin string, edit func(*deploy.Plugin)) *deploy.Deployment {
	next := *d
	next.Version++
	next.Plugins = slices.Clone(d.Plugins)
	for i, p := range next.Plugins {
		if p.Spec.Name == plugin {
			changed, desc := *p, *p.Desc
			desc.Routes, desc.Sockets = slices.Clone(desc.Routes), slices.Clone(desc.Sockets)
			changed.Desc = &desc
			edit(&changed)
			next.Plugins[i] = &changed
		}
	}
	return &next
}

// same is another version that is no different.
func same(d *deploy.Deployment) *deploy.Deployment { return altered(d, "", nil) }

// goroutines waits until there are no more of them than before.
func goroutines(t *testing.T, before int) {
	t.Helper()
	for end := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines, and %d before", runtime.NumGoroutine(), before)
		}
	}
}

func TestACheckLeavesNothingBehind(t *testing.T) {
	d := load(t, chat())
	before := runtime.NumGoroutine()
	for range 20 {
		if err := Check([]Serving{{Current: d}}, slog.New(slog.DiscardHandler)); err != nil {
			t.Fatal(err)
		}
	}
	goroutines(t, before)
}

func TestASwapThatFailsLeavesNothingBehind(t *testing.T) {
	d := load(t, chat())
	r := serve(t, Config{}, d)
	before := runtime.NumGoroutine()
	// Its socket is another one, as it is another plugin's.
	other := altered(d, "chat", func(p *deploy.Plugin) { p.Spec.Name = "talk" })
	for range 20 {
		if err := r.gateway.Set([]*deploy.Deployment{other, d}); err == nil {
			t.Fatal("two deployments have the same host")
		}
	}
	goroutines(t, before)
	r.do("GET /chat/socket/?EIO=4&transport=polling", "").wants(200)
}

func TestACanaryThatIsTakenBackLeavesNoSocketsBehind(t *testing.T) {
	d := load(t, chat())
	r := serve(t, Config{}, d)
	before := runtime.NumGoroutine()
	for range 10 {
		canary := altered(d, "chat", func(p *deploy.Plugin) { p.Spec.Name = "talk" })
		for _, list := range [][]Serving{{{Current: d, Canary: canary, Share: 0.5}}, {{Current: d}}} {
			if err := r.gateway.Swap(list); err != nil {
				t.Fatal(err)
			}
		}
		if err := r.gateway.Drain(t.Context(), canary); err != nil {
			t.Fatal(err)
		}
	}
	goroutines(t, before)
}

func TestMetricsOfRoutesThatAreGoneGoWithThem(t *testing.T) {
	d := load(t, trial())
	r := serve(t, Config{}, d)
	count := func() (n int) {
		var text strings.Builder
		if err := r.gateway.WritePrometheus(&text); err != nil {
			t.Fatal(err)
		}
		return strings.Count(text.String(), `route="GET /t/echo`)
	}
	r.do("GET /t/echo", "").wants(200)
	if count() == 0 {
		t.Fatal("the route has no metrics")
	}
	for i := range 5 {
		pattern := "/t/echo" + strings.Repeat("x", i+1)
		before := d
		d = altered(d, "trial", func(p *deploy.Plugin) {
			i := slices.IndexFunc(p.Desc.Routes, func(r abi.Route) bool {
				return r.Method == "GET" && strings.HasPrefix(r.Pattern, "/t/echo") && !strings.Contains(r.Pattern, ":")
			})
			p.Desc.Routes[i].Pattern = pattern
		})
		if err := r.gateway.Set([]*deploy.Deployment{d}); err != nil {
			t.Fatal(err)
		}
		r.do("GET "+pattern, "").wants(200)
		if err := r.gateway.Drain(t.Context(), before); err != nil {
			t.Fatal(err)
		}
	}
	if got := r.metric("edgeset_requests_total", "route", "GET /t/echo"); got != 0 {
		t.Errorf("%v requests are counted of a route that is gone", got)
	}
	if got := r.metric("edgeset_requests_total", "route", "GET /t/echoxxxxx"); got != 1 {
		t.Errorf("%v requests are counted of the route that there is", got)
	}
	if text := count(); text > 30 {
		t.Errorf("%d series of routes that have come and gone", text)
	}
}

func TestAPluginThatDescribesTooManySocketsIsRefused(t *testing.T) {
	d := altered(load(t, chat()), "chat", func(p *deploy.Plugin) {
		first := p.Desc.Sockets[0]
		for i := range maxEvents {
			first.Path = fmt.Sprintf("/chat/%d/", i)
			p.Desc.Sockets = append(p.Desc.Sockets, first)
		}
	})
	err := Check([]Serving{{Current: d}}, slog.New(slog.DiscardHandler))
	if err == nil || !strings.Contains(err.Error(), `plugin "chat": it describes 7007 sockets and events of sockets: want at most 1000`) {
		t.Error(err)
	}
}

func TestAVersionThatIsCutOffIsWaitedForAgain(t *testing.T) {
	d := load(t, trial())
	r := serve(t, Config{}, d)
	site := r.gateway.table.Load().byName("test").site
	var running sync.WaitGroup
	running.Go(func() {
		if got, err := r.try("GET /t/sleep/1500", ""); err != nil || got.status != 200 {
			t.Errorf("%+v, %v", got, err)
		}
	})
	defer running.Wait()
	eventually(t, "the request runs", func() bool { return site.refs.Load() > 0 })
	if err := r.gateway.Set([]*deploy.Deployment{same(d)}); err != nil {
		t.Fatal(err)
	}
	short, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	if err := r.gateway.Drain(short, d); err == nil {
		t.Fatal("nobody is waited for")
	}
	if err := r.gateway.Drain(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if n := site.refs.Load(); n != retired {
		t.Errorf("the version is drained, and answers %d requests", n&^retired)
	}
	r.gateway.mu.Lock()
	defer r.gateway.mu.Unlock()
	if n := len(r.gateway.retiring); n > 0 {
		t.Errorf("%d versions are kept that nobody uses", n)
	}
}

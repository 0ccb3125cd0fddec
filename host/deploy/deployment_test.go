package deploy

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/edgeset/edgeset/host/edge"
	"github.com/edgeset/edgeset/host/engine"
	"github.com/edgeset/edgeset/host/wasmtest"
)

func TestLoadingSaysWhatIsWrongAndKeepsNothing(t *testing.T) {
	embedded := fstest.MapFS{
		"trial.wasm": {Data: wasmtest.Build(t, "host/gateway/testdata/trial")},
		"guard.wasm": {Data: wasmtest.Build(t, "host/gateway/testdata/guard")},
		"plain.wasm": {Data: wasmtest.Build(t, "host/gateway/testdata/plain")},
		"text.wasm":  {Data: []byte("no Wasm")},
	}
	file := filepath.Join(t.TempDir(), "trial.wasm")
	if err := os.WriteFile(file, embedded["trial.wasm"].Data, 0o600); err != nil {
		t.Fatal(err)
	}
	e, err := engine.New(engine.Config{CacheDir: wasmtest.CacheDir(t), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	l := Loader{Engine: e, Embedded: embedded, Log: slog.New(slog.DiscardHandler)}

	kv := []string{"kv"}
	trial := PluginSpec{Name: "trial", Source: "embedded:trial", Grants: kv}
	guard := PluginSpec{Name: "guard", Source: "embedded:guard", Grants: kv}
	plain := func(r RouteSpec) PluginSpec {
		return PluginSpec{Name: "plain", Source: "embedded:plain", Routes: []RouteSpec{r}}
	}
	greet := RouteSpec{Method: "GET", Pattern: "/p/:name", Function: "greet"}
	edit := func(r RouteSpec, fn func(*RouteSpec)) RouteSpec { fn(&r); return r }
	for _, c := range []struct {
		name    string
		plugins []PluginSpec
		want    string // "": it is loaded
	}{
		{"two plugins", []PluginSpec{trial, guard}, ""},
		{"from a file", []PluginSpec{{Name: "trial", Source: file, Grants: kv}}, ""},
		{"an Extism plugin", []PluginSpec{plain(greet)}, ""},
		{"no such file", []PluginSpec{{Name: "x", Source: "/no/such.wasm"}}, `plugin "x": source: open /no/such.wasm`},
		{"not embedded", []PluginSpec{{Name: "x", Source: "embedded:x"}}, `source "embedded:x": this host embeds no such plugin, but guard, plain, text, trial`},
		{"no Wasm", []PluginSpec{{Name: "text", Source: "embedded:text"}}, `load plugin "text"`},
		{"another name", []PluginSpec{{Name: "other", Source: "embedded:trial", Grants: kv}}, `it describes itself as "trial"; want that as its name`},
		{"a grant is missing", []PluginSpec{{Name: "trial", Source: "embedded:trial"}}, `it needs grant "kv", which the manifest does not give`},
		{"routes that it describes itself", []PluginSpec{{Name: "trial", Source: "embedded:trial", Grants: kv, Routes: []RouteSpec{greet}}}, "describes its routes itself"},
		{"little memory", []PluginSpec{{Name: "trial", Source: "embedded:trial", Grants: kv, Memory: 1 << 16}}, `load plugin "trial"`},
		{"bad egress", []PluginSpec{{Name: "trial", Source: "embedded:trial", Grants: kv, Egress: []string{"http://x"}}}, `entry "http://x"`},
		{"no routes", []PluginSpec{{Name: "plain", Source: "embedded:plain"}}, "the manifest has no [[deployment.plugin.route]]"},
		{"no function", []PluginSpec{plain(edit(greet, func(r *RouteSpec) { r.Function = "" }))}, "route GET /p/:name: function: want the name of an export"},
		{"no export", []PluginSpec{plain(edit(greet, func(r *RouteSpec) { r.Function = "great" }))}, `function "great": the plugin has no such export`},
		{"a bad method", []PluginSpec{plain(edit(greet, func(r *RouteSpec) { r.Method = "FETCH" }))}, "want GET, POST"},
		{"a bad pattern", []PluginSpec{plain(edit(greet, func(r *RouteSpec) { r.Pattern = "p" }))}, "begin with '/'"},
		{"a bad body", []PluginSpec{plain(edit(greet, func(r *RouteSpec) { r.Body = "xml" }))}, `body "xml": want json, form, raw or nothing`},
		{"the second is bad", []PluginSpec{trial, {Name: "x", Source: "embedded:x"}}, `plugin "x"`},
	} {
		t.Run(c.name, func(t *testing.T) {
			d, err := l.Load(t.Context(), Spec{Name: "d", Plugins: c.plugins})
			if c.want != "" {
				if err == nil || !strings.HasPrefix(err.Error(), `deploy: deployment "d": plugin "`) || !strings.Contains(err.Error(), c.want) {
					t.Errorf("got  %v\nwant %s", err, c.want)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if err := d.Close(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	t.Run("two authenticators", func(t *testing.T) {
		d := Deployment{}
		for _, name := range []string{"guard", "other"} {
			p, err := l.plugin(t.Context(), guard)
			if err != nil {
				t.Fatal(err)
			}
			p.Spec.Name = name
			d.Plugins = append(d.Plugins, p)
		}
		if err := d.checkAuthenticator(); err == nil || !strings.Contains(err.Error(), "plugins guard and other all check credentials: want one") {
			t.Error(err)
		}
		if err := d.Close(t.Context()); err != nil {
			t.Error(err)
		}
	})
	t.Run("a host that embeds nothing", func(t *testing.T) {
		l := Loader{Engine: e, Log: l.Log}
		if _, err := l.Load(t.Context(), Spec{Name: "d", Plugins: []PluginSpec{trial}}); err == nil || !strings.Contains(err.Error(), "embeds no plugins") {
			t.Error(err)
		}
	})
	// Whatever was opened is closed: the engine has nothing left to wait for.
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	if err := e.Close(ctx); err != nil {
		t.Error(err)
	}
}

func TestInstancesMayStartAtTheSameTime(t *testing.T) {
	e, err := engine.New(engine.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := e.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	l := Loader{Engine: e, Log: slog.New(slog.DiscardHandler), Embedded: fstest.MapFS{
		"plain.wasm": {Data: wasmtest.Build(t, "host/gateway/testdata/plain")},
	}}
	ctx, cancel := context.WithCancel(t.Context())
	p, err := l.plugin(ctx, PluginSpec{Name: "plain", Source: "embedded:plain", Instances: 8, Routes: []RouteSpec{
		{Method: "GET", Pattern: "/", Function: "nonsense"},
	}})
	if err != nil {
		t.Fatal(err)
	}
	cancel() // loading is over; starting is not
	done := make(chan error)
	for range 8 {
		go func() {
			var call edge.Call
			call.Start(t.Context(), p.Edge, "test")
			_, err := p.Runner.Invoke(t.Context(), &call, "nonsense")
			done <- err
		}()
	}
	for range 8 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

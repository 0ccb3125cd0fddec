package deploy

import (
	"context"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/edgeset/edgeset/abi"
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
		{"an upload", []PluginSpec{plain(edit(greet, func(r *RouteSpec) { r.Body = "upload" }))}, `body "upload": Extism has no functions for files`},
		{"a bad method", []PluginSpec{plain(edit(greet, func(r *RouteSpec) { r.Method = "FETCH" }))}, "want GET, POST"},
		{"a bad pattern", []PluginSpec{plain(edit(greet, func(r *RouteSpec) { r.Pattern = "p" }))}, "begin with '/'"},
		{"a bad body", []PluginSpec{plain(edit(greet, func(r *RouteSpec) { r.Body = "xml" }))}, `body "xml": want json, form, upload, raw, any or nothing`},
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
			p, err := l.plugin(t.Context(), &d, guard)
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
	p, err := l.plugin(ctx, &Deployment{}, PluginSpec{Name: "plain", Source: "embedded:plain", Instances: 8, Routes: []RouteSpec{
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
			lease, err := p.Runner.Lease(t.Context(), false)
			if err == nil {
				_, _, err = lease.Invoke(t.Context(), &call, "nonsense")
				lease.Release()
			}
			done <- err
		}()
	}
	for range 8 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
}

func TestADeadlineIsTheSmallerOfTwo(t *testing.T) {
	for _, c := range []struct{ manifest, route, want time.Duration }{
		{0, 0, DefaultDeadline},
		{0, time.Second, time.Second},
		{0, time.Minute, DefaultDeadline},
		{2 * time.Second, 0, 2 * time.Second},
		{2 * time.Second, time.Second, time.Second},
		{2 * time.Second, 3 * time.Second, 2 * time.Second},
		{time.Minute, 30 * time.Second, 30 * time.Second},
	} {
		p := Plugin{Spec: PluginSpec{Deadline: Duration(c.manifest)}}
		if got := p.Deadline(&abi.Route{Deadline: c.route}); got != c.want {
			t.Errorf("manifest %v, route %v: got %v, want %v", c.manifest, c.route, got, c.want)
		}
	}
}

// A plugin that does not get to the end of its description is not waited for.
func TestAPluginHasADeadlineToDescribeItself(t *testing.T) {
	e, err := engine.New(engine.Config{Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := e.Close(context.Background()); err != nil {
			t.Error(err)
		}
	}()
	endless := "\x00asm\x01\x00\x00\x00" +
		"\x01\x0f\x03\x60\x00\x01\x7f\x60\x01\x7f\x01\x7f\x60\x01\x7f\x01\x7e" + // types: () → i32, (i32) → i32, (i32) → i64
		"\x03\x04\x03\x00\x01\x02\x05\x03\x01\x00\x01" + // functions; a page of memory
		"\x07\x36\x04\x06memory\x02\x00\x10edge_abi_version\x00\x00\x0aedge_alloc\x00\x01\x09edge_call\x00\x02" +
		"\x0a\x16\x03\x04\x00\x41\x01\x0b\x05\x00\x41\x80\x08\x0b\x09\x00\x03\x40\x0c\x00\x0b\x42\x00\x0b" // 1, 1024, and a loop
	l := Loader{Engine: e, Log: slog.New(slog.DiscardHandler), Embedded: fstest.MapFS{"endless.wasm": {Data: []byte(endless)}}}
	_, err = l.Load(t.Context(), Spec{Name: "d", Plugins: []PluginSpec{{
		Name: "endless", Source: "embedded:endless", Deadline: Duration(50 * time.Millisecond),
	}}})
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("got %v", err)
	}
}

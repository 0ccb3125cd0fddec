package rollout

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/edgeset/edgeset/host/artifact"
	"github.com/edgeset/edgeset/host/deploy"
	"github.com/edgeset/edgeset/host/engine"
	"github.com/edgeset/edgeset/host/gateway"
	"github.com/edgeset/edgeset/host/secret"
	"github.com/edgeset/edgeset/host/wasmtest"
	"github.com/edgeset/edgeset/store/badgerstore"
)

// shared is the engine of all tests: a plugin is compiled once.
var shared struct {
	once   sync.Once
	engine *engine.Engine
	err    error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.engine != nil {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		if err := shared.engine.Close(ctx); err != nil && code == 0 {
			fmt.Fprintln(os.Stderr, "engine:", err)
			code = 1
		}
		cancel()
	}
	os.Exit(code)
}

// A buffer is a log that can be read while it is written.
type buffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (b *buffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.Write(p)
}

func (b *buffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.b.String()
}

// rig is a controller with a store, a gateway on a loopback address, and plugins.
type rig struct {
	t        testing.TB
	dir      string
	log      *buffer
	client   *http.Client
	keys     *artifact.Keys
	embedded fstest.MapFS
	drain    time.Duration
	engine   *engine.Engine

	store   *badgerstore.Store
	library *artifact.Library
	gateway *gateway.Gateway
	c       *Controller
	addr    string
	served  chan error
}

// probe is the plugin of the tests, built with a mark of its own.
func probe(t testing.TB, build string) []byte {
	t.Helper()
	const dir = "host/rollout/testdata/probe"
	if build == "one" {
		return wasmtest.Build(t, dir)
	}
	return wasmtest.BuildVariant(t, dir, wasmtest.Edit{File: dir + "/main.go", Old: `const build = "one"`, New: fmt.Sprintf("const build = %q", build)})
}

func newEngine(t testing.TB) (*engine.Engine, error) {
	return engine.New(engine.Config{CacheDir: wasmtest.CacheDir(t), Logger: slog.New(slog.DiscardHandler)})
}

// forget restarts with an engine that has not loaded anything yet, as that of another
// process.
func (r *rig) forget() {
	r.t.Helper()
	fresh, err := newEngine(r.t)
	must(r.t, err)
	old := r.engine
	r.engine = fresh
	r.restart()
	if old != shared.engine {
		must(r.t, old.Close(context.Background()))
	}
}

func newRig(t testing.TB) *rig {
	t.Helper()
	shared.once.Do(func() {
		shared.engine, shared.err = newEngine(t)
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	transport := &http.Transport{MaxIdleConnsPerHost: 100, DisableCompression: true}
	r := &rig{t: t, dir: t.TempDir(), log: &buffer{}, drain: 20 * time.Second, engine: shared.engine,
		client:   &http.Client{Transport: transport, Timeout: time.Minute},
		embedded: fstest.MapFS{"probe.wasm": {Data: probe(t, "one")}}}
	r.open()
	t.Cleanup(func() {
		r.close()
		transport.CloseIdleConnections()
		if r.engine != shared.engine {
			must(t, r.engine.Close(context.Background()))
		}
	})
	return r
}

// open makes all that a host has, of which nothing serves.
func (r *rig) open() {
	r.t.Helper()
	log := slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	var err error
	r.store, err = badgerstore.Open(badgerstore.Options{Dir: filepath.Join(r.dir, "store"), Durability: badgerstore.Process, MinFree: -1, Logger: slog.New(slog.DiscardHandler)})
	must(r.t, err)
	r.library, err = artifact.OpenLibrary(filepath.Join(r.dir, "plugins"))
	must(r.t, err)
	vault, err := secret.New(bytes.Repeat([]byte{7}, 32), r.store)
	must(r.t, err)
	r.gateway = gateway.New(gateway.Config{Store: r.store, Log: log, Proxies: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")}})
	r.c = New(Config{Store: r.store, Gateway: r.gateway, Library: r.library, Keys: r.keys, Vault: vault, Log: log, Drain: r.drain,
		Loader: deploy.Loader{Engine: r.engine, Embedded: r.embedded, Log: log}})
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(r.t, err)
	r.addr, r.served = l.Addr().String(), make(chan error, 1)
	go func(g *gateway.Gateway, served chan<- error) { served <- g.Serve(l) }(r.gateway, r.served)
	_, err = r.call("GET /", "nobody.test") // a gateway is shut down that serves
	must(r.t, err)
}

func (r *rig) close() {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	must(r.t, r.gateway.Shutdown(ctx))
	must(r.t, <-r.served)
	must(r.t, r.c.Close(ctx))
	r.nothingLoaded()
	must(r.t, r.store.Close())
}

// nothingLoaded checks that no instance of a plugin is left.
func (r *rig) nothingLoaded() {
	r.t.Helper()
	for name, tenant := range r.c.tenants {
		if n := tenant.Stats().Memory; n != 0 {
			r.t.Errorf("%d bytes of plugins of %q are left", n, name)
		}
	}
}

// start starts the controller with a manifest; "" has nothing in it.
func (r *rig) start(manifest, origin string) error {
	r.t.Helper()
	m := &deploy.Manifest{}
	if manifest != "" {
		var err error
		m, err = deploy.ParseManifest("host.toml", manifest)
		must(r.t, err)
	}
	return r.c.Start(r.t.Context(), m, origin)
}

func started(t testing.TB) *rig {
	t.Helper()
	r := newRig(t)
	must(t, r.start("", FromDefault))
	return r
}

// restart is the end of the process, and the next one.
func (r *rig) restart() {
	r.t.Helper()
	r.close()
	r.open()
	must(r.t, r.start("", FromDefault))
}

func must(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// spec is a deployment of the probe, for the host NAME.test.
type spec struct {
	name, mark, fault string
	hosts             string // default NAME.test
	source            string
	more, plugin      string // further keys of the deployment, and of the plugin
	config            string
}

func (s spec) String() string {
	var b strings.Builder
	hosts, source := s.hosts, s.source
	if hosts == "" {
		hosts = s.name + ".test"
	}
	if source == "" {
		source = "embedded:probe"
	}
	fmt.Fprintf(&b, "[[deployment]]\nname = %q\nhosts = [%q]\n%s\n[[deployment.plugin]]\nname = \"probe\"\nsource = %q\ninstances = 2\ndeadline = \"30s\"\nmax_wait = \"30s\"\ngrants = [\"kv\"]\n%s\n[deployment.plugin.config]\nmark = %q\n%s\n",
		s.name, hosts, s.more, source, s.plugin, s.mark, s.config)
	if s.fault != "" {
		fmt.Fprintf(&b, "fault = %q\n", s.fault)
	}
	return b.String()
}

func manifest(list ...spec) string {
	var b strings.Builder
	for _, s := range list {
		b.WriteString(s.String())
	}
	return b.String()
}

// request asks for deployments.
func request(list ...spec) *Request {
	return &Request{Change: Change{By: "ann"}, File: "m.toml", Manifest: manifest(list...)}
}

func (r *rig) deploy(list ...spec) *Result {
	r.t.Helper()
	return r.ask(request(list...))
}

func (r *rig) ask(q *Request) *Result {
	r.t.Helper()
	res, err := r.c.Deploy(r.t.Context(), q)
	must(r.t, err)
	return res
}

// An answer is what a client gets.
type answer struct {
	status                             int
	First, Last, Build, Account, Error string
	header, text                       string
}

// whole returns the mark of the one version that has answered.
func (a answer) whole() (string, error) {
	if a.status != 200 || a.First == "" || a.First != a.Last || a.First != a.header {
		return "", fmt.Errorf("status %d, header %q, body %.200s", a.status, a.header, a.text)
	}
	return a.First, nil
}

// call sends "METHOD /path" to a host, with headers in pairs.
func (r *rig) call(line, host string, headers ...string) (a answer, err error) {
	method, path, _ := strings.Cut(line, " ")
	req, err := http.NewRequest(method, "http://"+r.addr+path, nil)
	if err != nil {
		return a, err
	}
	req.Host = host
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return a, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	a.status, a.header, a.text = resp.StatusCode, resp.Header.Get("X-Mark"), string(b)
	if json.Unmarshal(b, &a) != nil {
		a.First = "" // not every answer is a map
	}
	return a, err
}

// mark returns the mark of what answers for a deployment; "" if nothing does.
func (r *rig) mark(name string, headers ...string) string {
	r.t.Helper()
	a, err := r.call("GET /p/mark", name+".test", headers...)
	must(r.t, err)
	if a.status == 404 {
		return ""
	}
	m, err := a.whole()
	if err != nil {
		r.t.Fatalf("%s: %v", name, err)
	}
	return m
}

func (r *rig) wantMark(name, want string) {
	r.t.Helper()
	if got := r.mark(name); got != want {
		r.t.Fatalf("%s is answered by %q, want %q", name, got, want)
	}
}

func (r *rig) status(name string) Status {
	r.t.Helper()
	s, ok := r.c.Status(name)
	if !ok {
		r.t.Fatalf("there is no %s", name)
	}
	return s
}

// wants checks what became of a change: "NAME ACTION VERSION BEFORE".
func (r *rig) wants(res *Result, want ...string) {
	r.t.Helper()
	var got []string
	for _, o := range res.Deployments {
		got = append(got, fmt.Sprint(o.Name, " ", o.Action, " ", o.Version, " ", o.Before))
	}
	if fmt.Sprint(got) != fmt.Sprint(want) {
		r.t.Fatalf("outcome %q, want %q", got, want)
	}
}

// refused checks that a change was not made, for a reason, and its text.
func refused(t testing.TB, err, kind error, texts ...string) {
	t.Helper()
	var invalid *InvalidError
	if kind == nil && !errors.As(err, &invalid) || kind != nil && !errors.Is(err, kind) {
		t.Fatalf("error %v, want %v", err, kind)
	}
	for _, text := range texts {
		if !strings.Contains(err.Error(), text) {
			t.Fatalf("error %v, want it to say %q", err, text)
		}
	}
}

// eventually waits for something that comes by itself.
func eventually(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !cond(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it takes too long until %s", what)
		}
	}
}

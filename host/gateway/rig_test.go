package gateway

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"strings"
	"sync"
	"testing"
	"testing/fstest"
	"time"

	"github.com/edgeset/edgeset/host/deploy"
	"github.com/edgeset/edgeset/host/edge"
	"github.com/edgeset/edgeset/host/engine"
	"github.com/edgeset/edgeset/host/wasmtest"
	"github.com/edgeset/edgeset/store/badgerstore"
	"github.com/prometheus/common/expfmt"
	"github.com/prometheus/common/model"
	"github.com/valyala/fasthttp"
)

// rig is a gateway on a loopback address, with a real store and real plugins.
type rig struct {
	t       testing.TB
	gateway *Gateway
	store   *badgerstore.Store
	addr    string
	client  *http.Client
	log     *syncBuffer
	served  chan error
}

// A syncBuffer is a log that can be read while it is written.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

// shared is the engine of all tests: a plugin is compiled once.
var shared struct {
	once   sync.Once
	engine *engine.Engine
	err    error
}

func TestMain(m *testing.M) {
	code := m.Run()
	if shared.engine != nil {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		if err := shared.engine.Close(ctx); err != nil && code == 0 {
			fmt.Fprintln(os.Stderr, "engine:", err)
			code = 1
		}
		cancel()
	}
	os.Exit(code)
}

func load(t testing.TB, spec deploy.Spec) *deploy.Deployment {
	t.Helper()
	d, err := loadErr(t, spec)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := d.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	return d
}

func loadErr(t testing.TB, spec deploy.Spec) (*deploy.Deployment, error) {
	t.Helper()
	shared.once.Do(func() {
		shared.engine, shared.err = engine.New(engine.Config{CacheDir: wasmtest.CacheDir(t), Logger: slog.New(slog.DiscardHandler)})
	})
	if shared.err != nil {
		t.Fatal(shared.err)
	}
	files := fstest.MapFS{}
	for _, p := range spec.Plugins {
		if name, embedded := strings.CutPrefix(p.Source, "embedded:"); embedded {
			files[name+".wasm"] = &fstest.MapFile{Data: wasmtest.Build(t, "host/gateway/testdata/"+name)}
		}
	}
	l := deploy.Loader{Engine: shared.engine, Embedded: files, Log: slog.New(slog.DiscardHandler), Pictures: edge.NewPictures(0, 0)}
	return l.Load(t.Context(), spec)
}

func trial(hosts ...string) deploy.Spec {
	if hosts == nil {
		hosts = []string{"*"}
	}
	return deploy.Spec{Name: "test", Hosts: hosts, Origins: []string{"https://app.example"}, Plugins: []deploy.PluginSpec{
		{Name: "guard", Source: "embedded:guard", Grants: []string{"kv"}},
		{Name: "trial", Source: "embedded:trial", Grants: []string{"kv"}, Instances: 4, Waiting: 256},
	}}
}

func openStore(t testing.TB) *badgerstore.Store {
	t.Helper()
	s, err := badgerstore.Open(badgerstore.Options{Dir: t.TempDir(), Durability: badgerstore.Process})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	return s
}

// start serves deployments until the test ends.
func start(t testing.TB, c Config, specs ...deploy.Spec) *rig {
	t.Helper()
	if specs == nil {
		specs = []deploy.Spec{trial()}
	}
	var ds []*deploy.Deployment
	for _, s := range specs {
		ds = append(ds, load(t, s))
	}
	return serve(t, c, ds...)
}

// serve is start for deployments that are loaded already.
func serve(t testing.TB, c Config, ds ...*deploy.Deployment) *rig {
	t.Helper()
	r := &rig{t: t, store: openStore(t), log: &syncBuffer{}, served: make(chan error, 1)}
	c.Store, c.Log = r.store, slog.New(slog.NewTextHandler(r.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	for _, d := range ds {
		for _, p := range d.Plugins {
			p.Edge.Log = c.Log
		}
	}
	r.gateway = New(c)
	if err := r.gateway.Set(ds); err != nil {
		t.Fatal(err)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.addr = l.Addr().String()
	go func() { r.served <- r.gateway.Serve(l) }()
	transport := &http.Transport{MaxIdleConnsPerHost: 100, DisableCompression: true}
	r.client = &http.Client{Transport: transport, Timeout: 20 * time.Second}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := r.gateway.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if err := <-r.served; err != nil {
			t.Error(err)
		}
	})
	return r
}

// A reply is what a client got.
type reply struct {
	t      testing.TB
	status int
	header http.Header
	body   string
}

// do sends "METHOD /path" with headers in pairs. A header Host is the host.
func (r *rig) do(line, body string, headers ...string) reply {
	r.t.Helper()
	got, err := r.try(line, body, headers...)
	if err != nil {
		r.t.Fatal(err)
	}
	return got
}

func (r *rig) try(line, body string, headers ...string) (reply, error) {
	method, path, _ := strings.Cut(line, " ")
	var content io.Reader
	if body != "" {
		content = strings.NewReader(body)
	}
	req, err := http.NewRequest(method, "http://"+r.addr+path, content)
	if err != nil {
		return reply{}, err
	}
	for i := 0; i < len(headers); i += 2 {
		if headers[i] == "Host" {
			req.Host = headers[i+1]
		} else {
			req.Header.Add(headers[i], headers[i+1])
		}
	}
	resp, err := r.client.Do(req)
	if err != nil {
		return reply{}, err
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	return reply{r.t, resp.StatusCode, resp.Header, string(b)}, err
}

// wants checks the status and gives the reply back.
func (p reply) wants(status int) reply {
	p.t.Helper()
	if p.status != status {
		p.t.Fatalf("status %d, want %d: %s", p.status, status, p.body)
	}
	return p
}

// field returns a field of the JSON body as text.
func (p reply) field(name string) string {
	p.t.Helper()
	var m map[string]any
	if err := json.Unmarshal([]byte(p.body), &m); err != nil {
		p.t.Fatalf("body is no JSON object: %v: %q", err, p.body)
	}
	if s, ok := m[name].(string); ok {
		return s
	}
	b, _ := json.Marshal(m[name])
	return string(b)
}

// raw sends bytes as they are and returns all that comes back until the server
// closes the connection.
func (r *rig) raw(request string) string {
	r.t.Helper()
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	defer c.Close()
	if err := c.SetDeadline(time.Now().Add(10 * time.Second)); err != nil {
		r.t.Fatal(err)
	}
	if _, err := io.WriteString(c, request); err != nil {
		r.t.Fatal(err)
	}
	b, err := io.ReadAll(c)
	if err != nil {
		r.t.Fatalf("%v, after %q", err, b)
	}
	return string(b)
}

// operate calls the operator's way in, as the admin API does.
func (r *rig) operate(method, plugin, path, body string, headers ...string) reply {
	r.t.Helper()
	var ctx fasthttp.RequestCtx
	ctx.Init(&fasthttp.Request{}, nil, nil)
	ctx.Request.Header.SetMethod(method)
	ctx.Request.SetRequestURI("/v1/deployments/test/plugins/" + plugin + "/x")
	ctx.Request.Header.SetHost("admin.example")
	ctx.Request.SetBodyString(body)
	for i := 0; i < len(headers); i += 2 {
		ctx.Request.Header.Add(headers[i], headers[i+1])
	}
	r.gateway.Operate(&ctx, "test", plugin, path)
	h := http.Header{}
	for name, value := range ctx.Response.Header.All() {
		h.Add(string(name), string(value))
	}
	return reply{r.t, ctx.Response.StatusCode(), h, string(ctx.Response.Body())}
}

// metric returns the sum of a metric over the series that have some labels, given
// in pairs; of a histogram, how many were observed.
func (r *rig) metric(name string, labels ...string) (sum float64) {
	r.t.Helper()
	var text strings.Builder
	if err := r.gateway.WritePrometheus(&text); err != nil {
		r.t.Fatal(err)
	}
	parser := expfmt.NewTextParser(model.LegacyValidation)
	families, err := parser.TextToMetricFamilies(strings.NewReader(text.String()))
	if err != nil {
		r.t.Fatal(err)
	}
	for _, m := range families[name].GetMetric() {
		have := map[string]string{}
		for _, l := range m.GetLabel() {
			have[l.GetName()] = l.GetValue()
		}
		match := true
		for i := 0; i < len(labels); i += 2 {
			match = match && have[labels[i]] == labels[i+1]
		}
		if match {
			sum += m.GetCounter().GetValue() + m.GetGauge().GetValue() + float64(m.GetHistogram().GetSampleCount())
		}
	}
	return sum
}

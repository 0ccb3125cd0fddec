package host

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/edgeset/edgeset/host/admin"
	"github.com/edgeset/edgeset/host/deploy"
	"github.com/edgeset/edgeset/host/wasmtest"
	"github.com/edgeset/edgeset/store/badgerstore"
)

func config(t *testing.T) Config {
	t.Helper()
	t.Setenv(admin.TokenEnv, "")
	return Config{
		Listen: "127.0.0.1:0", Admin: "127.0.0.1:0", Data: filepath.Join(t.TempDir(), "data"), Cache: wasmtest.CacheDir(t), Durability: badgerstore.Process,
		Drain: 5 * time.Second, Log: slog.New(slog.DiscardHandler),
		Embedded: fstest.MapFS{
			"trial.wasm": {Data: wasmtest.Build(t, "host/gateway/testdata/trial")},
			"guard.wasm": {Data: wasmtest.Build(t, "host/gateway/testdata/guard")},
			"text.wasm":  {Data: []byte("no Wasm")},
		},
		Manifest: deploy.DefaultManifest("trial", "guard"),
	}
}

// run runs a host until stop is called, which returns what Run did.
func run(t *testing.T, h *Host) (stop func() error) {
	t.Helper()
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- h.Run(ctx) }()
	return func() error {
		t.Helper()
		cancel()
		select {
		case err := <-ended:
			return err
		case <-time.After(20 * time.Second):
			t.Fatal("Run does not return")
			return nil
		}
	}
}

func ask(t *testing.T, method, url string, headers ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequest(method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	req.Close = true
	resp, err := (&http.Client{Timeout: 20 * time.Second}).Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(b)
}

func TestAHostServesDrainsAndKeepsItsState(t *testing.T) {
	c := config(t)
	h, err := New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	public, private := "http://"+h.Addr().String(), "http://"+h.AdminAddr().String()
	stop := run(t, h)
	token, err := admin.Token(c.Data, false)
	if err != nil {
		t.Fatal(err)
	}
	operator := private + "/v1/deployments/default/plugins/guard/g/words/ann"
	if status, body := ask(t, "POST", operator, "Authorization", "Bearer "+token); status != 204 {
		t.Errorf("operator: %d %s", status, body)
	}
	if status, _ := ask(t, "POST", operator); status != 401 {
		t.Errorf("operator without token: %d", status)
	}
	if status, _ := ask(t, "POST", public+"/g/words/ann", "Authorization", "Bearer "+token); status != 404 {
		t.Errorf("operator's route in public: %d", status)
	}
	if status, _ := ask(t, "GET", private+"/g/seen?token=ann"); status != 401 {
		t.Errorf("public route on the admin address: %d", status)
	}
	if status, body := ask(t, "GET", public+"/t/private?token=ann"); status != 200 {
		t.Errorf("private: %d %s", status, body)
	}
	if status, _ := ask(t, "GET", private+"/readyz"); status != 200 {
		t.Errorf("readyz: %d", status)
	}

	slow := make(chan int, 1)
	go func() { status, _ := ask(t, "GET", public+"/t/sleep/600"); slow <- status }()
	time.Sleep(200 * time.Millisecond)
	if err := stop(); err != nil {
		t.Error(err)
	}
	if status := <-slow; status != 200 {
		t.Errorf("the request in flight: %d", status)
	}

	c.Listen = h.Addr().String() // the address is free again
	if h, err = New(t.Context(), c); err != nil {
		t.Fatal(err)
	}
	stop = run(t, h)
	if status, body := ask(t, "GET", public+"/t/private?token=ann"); status != 200 {
		t.Errorf("after a restart: %d %s", status, body)
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

func TestAGuestThatIsStillAtItDoesNotHoldTheHostUp(t *testing.T) {
	c := config(t)
	c.Drain = 100 * time.Millisecond
	h, err := New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	url := "http://" + h.Addr().String()
	stop := run(t, h)
	slow := make(chan int, 1)
	go func() { status, _ := ask(t, "GET", url+"/t/sleep/15000"); slow <- status }()
	time.Sleep(500 * time.Millisecond)
	begin := time.Now()
	if err := stop(); !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("%v", err)
	}
	if took := time.Since(begin); took > 8*time.Second {
		t.Errorf("it took %v", took)
	}
	if status := <-slow; status != 503 {
		t.Errorf("the request in flight: %d", status)
	}
}

func TestAHostThatCannotStartLeavesNothingOpen(t *testing.T) {
	c := config(t)
	taken, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer taken.Close()
	other, err := New(t.Context(), c)
	if err != nil {
		t.Fatal(err)
	}
	stop := run(t, other)
	// All of its goroutines run when both addresses answer.
	ask(t, "GET", "http://"+other.Addr().String()+"/")
	ask(t, "GET", "http://"+other.AdminAddr().String()+"/readyz")
	before := runtime.NumGoroutine()
	fresh := func(fn func(*Config)) Config {
		n := c
		n.Data = filepath.Join(t.TempDir(), "data")
		fn(&n)
		return n
	}
	for _, f := range []struct {
		name, want string
		config     Config
	}{
		{"the address is taken", "host: listen: ", fresh(func(c *Config) { c.Listen = taken.Addr().String() })},
		{"the admin address is taken", "host: listen for the admin API", fresh(func(c *Config) { c.Admin = taken.Addr().String() })},
		{"the data is locked", "is open already", c},
		{"the data is a file", "host: data: ", fresh(func(c *Config) { c.Data = filepath.Join(other.config.Data, "admin.token") })},
		{"a plugin is none", `plugin "text"`, fresh(func(c *Config) { c.Manifest = deploy.DefaultManifest("trial", "text") })},
		{"a plugin is missing", `plugin "nobody"`, fresh(func(c *Config) { c.Manifest = deploy.DefaultManifest("guard", "nobody") })},
		{"a table makes no sense", "no plugin of the deployment checks credentials", fresh(func(c *Config) { c.Manifest = deploy.DefaultManifest("trial") })},
	} {
		t.Run(f.name, func(t *testing.T) {
			h, err := New(t.Context(), f.config)
			if h != nil || err == nil || !strings.Contains(err.Error(), f.want) {
				t.Errorf("got %v, want %s", err, f.want)
			}
			if f.config.Data == c.Data {
				return
			}
			// The store is not locked any more.
			dir := filepath.Join(f.config.Data, "store")
			if _, err := os.Stat(dir); err != nil {
				return // it was never opened
			}
			s, err := badgerstore.Open(badgerstore.Options{Dir: dir, Durability: badgerstore.Process})
			if err != nil {
				t.Fatal(err)
			}
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	for deadline := time.Now().Add(5 * time.Second); runtime.NumGoroutine() > before && time.Now().Before(deadline); {
		time.Sleep(20 * time.Millisecond)
	}
	if n := runtime.NumGoroutine(); n > before {
		stacks := make([]byte, 1<<20)
		t.Errorf("%d goroutines, %d before:\n%s", n, before, stacks[:runtime.Stack(stacks, true)])
	}
	if err := stop(); err != nil {
		t.Error(err)
	}
}

package host

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/edgeset/edgeset/host/admin"
	"github.com/edgeset/edgeset/host/bench"
	"github.com/edgeset/edgeset/host/bench/load"
	"github.com/edgeset/edgeset/host/deploy"
	"github.com/edgeset/edgeset/host/wasmtest"
	"github.com/edgeset/edgeset/store/badgerstore"
)

// overload is how many times as many requests come as can be served.
const overload = 3

// BenchmarkOverload has three times as many requests come as can be served, at
// times of their own, and compares how many are served with the most that can be.
//
// A request is for a page of a trail of 1,000 points, which takes about a
// millisecond: refusing one that takes no longer than that to refuse would gain
// nothing. The server is a process of its own, with one core, and leaves the other
// to the clients: what they spend on sending so much would otherwise be taken from
// what the server can do.
func BenchmarkOverload(b *testing.B) {
	s := startServer(b)
	page := s.trail()
	const rounds = 5
	var peaks, goodputs, served, refused, latest []float64
	for range rounds {
		peak := s.peak(page, time.Second)
		r := s.flood(page, overload*peak, 4*time.Second)
		if r.Errors+r.Unsent > 0 || r.Status[http.StatusServiceUnavailable] == 0 {
			b.Fatalf("%v, %v: want answers alone, 503 among them", r, r.FirstError)
		}
		b.Logf("peak %.0f/s; %v; refused %v", peak, r, r.Failed)
		peaks, goodputs = append(peaks, peak), append(goodputs, r.Goodput)
		served, latest = append(served, ms(r.Latency.P50)), append(latest, ms(r.Latency.P99))
		refused = append(refused, ms(r.Failed.P99))
	}
	bench.Report(b, "overload/goodput", "peak", "1/s", bench.Median(goodputs), bench.Median(peaks), bench.Larger)
	b.ReportMetric(bench.Median(served), "ms-p50-served")
	b.ReportMetric(bench.Median(latest), "ms-p99-served")
	b.ReportMetric(bench.Median(refused), "ms-p99-refused")
}

func ms(d time.Duration) float64 { return float64(d) / float64(time.Millisecond) }

// serverEnv is set in the process of the server: its folder.
const serverEnv = "EDGESET_BENCH_SERVER"

func TestMain(m *testing.M) {
	if dir := os.Getenv(serverEnv); dir != "" {
		if err := beServer(dir); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
		return
	}
	os.Exit(m.Run())
}

// beServer serves the plugins that stand in a folder until stdin ends. It prints
// its two addresses.
func beServer(dir string) error {
	ctx, cancel := context.WithCancel(context.Background())
	h, err := New(ctx, Config{
		Listen: "127.0.0.1:0", Admin: "127.0.0.1:0", Data: filepath.Join(dir, "data"), Cache: filepath.Join(dir, "cache"),
		Durability: badgerstore.Process, Manifest: deploy.DefaultManifest("signing", "sharing"), Embedded: os.DirFS(dir),
		Drain: time.Second, Log: slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelError})),
	})
	if err != nil {
		cancel()
		return err
	}
	fmt.Println(h.Addr(), h.AdminAddr())
	go func() {
		defer cancel()
		_, _ = bufio.NewReader(os.Stdin).ReadByte() // ends with the one who started us
	}()
	return h.Run(ctx)
}

// A server is a process that serves the plugins signing and sharing.
type server struct {
	b           *testing.B
	addr, admin string
	adminToken  string
	token       string // of an account
}

func startServer(b *testing.B) *server {
	b.Helper()
	dir := b.TempDir()
	for _, name := range []string{"signing", "sharing"} {
		check(b, os.WriteFile(filepath.Join(dir, name+".wasm"), wasmtest.Build(b, "plugins/"+name), 0o600))
	}
	check(b, os.Symlink(wasmtest.CacheDir(b), filepath.Join(dir, "cache")))
	self, err := os.Executable()
	check(b, err)
	s := &server{b: b, adminToken: "bench"}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), serverEnv+"="+dir, admin.TokenEnv+"="+s.adminToken, "GOMAXPROCS=1")
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	check(b, err)
	stdout, err := cmd.StdoutPipe()
	check(b, err)
	check(b, cmd.Start())
	b.Cleanup(func() {
		check(b, stdin.Close())
		check(b, cmd.Wait())
	})
	if _, err := fmt.Fscan(stdout, &s.addr, &s.admin); err != nil {
		b.Fatalf("the server's addresses: %v", err)
	}
	return s
}

func check(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// call makes a request that must succeed, and reads the answer.
func (s *server) call(method, addr, path, token, body string, answer any) {
	s.b.Helper()
	req, err := http.NewRequest(method, "http://"+addr+path, strings.NewReader(body))
	check(s.b, err)
	req.Header.Set("Authorization", "Bearer "+token)
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	check(s.b, err)
	defer resp.Body.Close()
	if resp.StatusCode/100 != 2 {
		s.b.Fatalf("%s %s: %s", method, path, resp.Status)
	}
	check(s.b, json.NewDecoder(resp.Body).Decode(answer))
}

// trail uploads a trail and returns the path of its page.
func (s *server) trail() string {
	s.b.Helper()
	const points = 1000
	var app struct{ ID string }
	s.call("POST", s.admin, "/v1/deployments/default/plugins/signing/apps", s.adminToken, `{"name":"bench"}`, &app)
	var answer struct {
		Response struct {
			ID          string
			AccessToken string `json:"access_token"`
			Location    []json.RawMessage
		}
	}
	r := &answer.Response
	query := "?api_key=" + app.ID + "&username=ann&id=ann&password=correct+horse"
	s.call("POST", s.addr, "/v2/account/create"+query, "", "", &answer)
	s.call("POST", s.addr, "/v2/account/login"+query, "", "", &answer)
	s.token = r.AccessToken
	s.call("POST", s.addr, "/v2/users/self/create_ticket?duration=14400000", s.token, "", &answer)
	ticket := r.ID
	s.call("POST", s.addr, "/v2/tickets/"+ticket+"/create_invite?type=link&send=client", s.token, "", &answer)
	path := "/v2/invites/" + r.ID + "?next=0&full_trail=true&uncompressed=true&no_count=true"
	rows := bytes.NewBufferString("[")
	for i, from := int64(0), time.Now().UnixMilli()-points*100; i < points; i++ {
		if i > 0 {
			rows.WriteByte(',')
		}
		fmt.Fprintf(rows, "[%d,%d,%d,350,90,12,5,8]", from+i*100, 37772000+i*i%97, -122419000-i*i%89)
	}
	s.call("POST", s.addr, "/v2/tickets/"+ticket+"/append_location", s.token, rows.String()+"]", &answer)
	s.call("GET", s.addr, path, s.token, "", &answer)
	if len(r.Location) != points {
		s.b.Fatalf("the page has %d points, want %d", len(r.Location), points)
	}
	return path
}

func (s *server) prepare(req *fasthttp.Request, path string) {
	req.SetRequestURI("http://" + s.addr + path)
	req.Header.Set("Accept-Encoding", "gzip")
	req.Header.Set("Authorization", "Bearer "+s.token)
}

// peak is how many requests a second are served to clients that never let the
// server wait, and never overload it.
func (s *server) peak(path string, d time.Duration) float64 {
	const clients = 16
	client := &fasthttp.HostClient{Addr: s.addr, MaxConns: clients}
	defer client.CloseIdleConnections()
	var served atomic.Int64
	var wg sync.WaitGroup
	begin := time.Now()
	for range clients {
		wg.Go(func() {
			var req fasthttp.Request
			var resp fasthttp.Response
			s.prepare(&req, path)
			for time.Since(begin) < d {
				if err := client.Do(&req, &resp); err != nil || resp.StatusCode() != http.StatusOK {
					s.b.Errorf("at the peak: %d, %v", resp.StatusCode(), err)
					return
				}
				served.Add(1)
			}
		})
	}
	wg.Wait()
	return float64(served.Load()) / time.Since(begin).Seconds()
}

// flood has requests come at a rate, whatever becomes of them.
func (s *server) flood(path string, rate float64, d time.Duration) *load.Result {
	s.b.Helper()
	r, err := load.Run(context.Background(), load.Config{
		Addr: s.addr, Rate: rate, Duration: d, Connections: 2048, Poisson: true,
	}, func(_ int, req *fasthttp.Request) { s.prepare(req, path) })
	check(s.b, err)
	return r
}

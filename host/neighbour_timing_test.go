package host

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/bench"
	"github.com/edgeset/edgeset/host/bench/load"
	"github.com/edgeset/edgeset/host/deploy"
	"github.com/edgeset/edgeset/host/engine"
	"github.com/edgeset/edgeset/host/gateway"
	"github.com/edgeset/edgeset/host/wasmtest"
	"github.com/edgeset/edgeset/store/badgerstore"
)

// BenchmarkNeighbours has three deployments misbehave beside one that does not:
// one computes for ever, one takes all memory it can get, and one traps in each
// call, each of them asked again and again by clients that wait for their answers.
// It measures what clients of the fourth notice: their 99th percentile when they
// come at a third of the rate that it can serve, and how much it serves if they do
// not let up. It takes turns with and without the others. On a machine that has other
// things to do as well, "requests a core" is the figure to look at: how much it serves
// for each second that the host has computed.
//
// The clients share the cores with the host, as they would not elsewhere, so what
// the others' clients take is part of the figures; "refused" has as many clients
// ask for what needs no plugin, for comparison.
func BenchmarkNeighbours(b *testing.B) {
	s := startNeighbours(b)
	third := s.closed(2*time.Second) / 3
	for _, set := range []struct {
		name  string
		paths map[string]string // by host
	}{
		{"loop", map[string]string{"loop.test": "/b/loop"}},
		{"eat", map[string]string{"eat.test": "/b/eat"}},
		{"trap", map[string]string{"trap.test": "/b/trap"}},
		{"all", map[string]string{"loop.test": "/b/loop", "eat.test": "/b/eat", "trap.test": "/b/trap"}},
		{"refused", map[string]string{"loop.test": "/b/none", "eat.test": "/b/none", "trap.test": "/b/none"}},
	} {
		b.Run(set.name, func(b *testing.B) {
			const blocks, rounds, part = 4, 5, 500 * time.Millisecond
			var answers [2]load.Result // alone, and beside the others
			var rate, perCore [2][]float64
			var others, failed float64
			for range blocks {
				for beside := range 2 {
					wait := func() float64 { return 0 }
					if beside == 1 {
						wait = s.bother(set.paths, (2*rounds+1)*part)
						time.Sleep(part / 2) // they have used up what was saved up for them
					}
					for range rounds {
						r := s.open(third, part)
						answers[beside].Add(r)
						failed += float64(r.Sent + r.Unsent - r.OK)
						cpu := s.computed()
						n := s.closed(part)
						rate[beside] = append(rate[beside], n)
						perCore[beside] = append(perCore[beside], n*part.Seconds()/(s.computed()-cpu).Seconds())
					}
					others = max(others, wait())
				}
				time.Sleep(bullied + part) // the others' last calls are over
			}
			b.Logf("at %.0f/s; the others were answered %.0f times a second; %.0f requests failed", third, others, failed)
			for beside, name := range []string{"alone", "beside"} {
				b.Logf("%s: %v; %.0f/s, %.0f a core; rates %.0f", name, answers[beside].Latency,
					bench.Median(rate[beside]), bench.Median(perCore[beside]), rate[beside])
			}
			bench.Report(b, "neighbours/"+set.name+"/p99", "alone", "ms", ms(answers[1].Latency.P99), ms(answers[0].Latency.P99), bench.Smaller)
			bench.Report(b, "neighbours/"+set.name+"/throughput", "alone", "1/s", bench.Median(rate[1]), bench.Median(rate[0]), bench.Larger)
			bench.Report(b, "neighbours/"+set.name+"/requests_a_core", "alone", "1/core-s", bench.Median(perCore[1]), bench.Median(perCore[0]), bench.Larger)
		})
	}
}

// neighbourEnv is set in the process of the host: its folder.
const neighbourEnv = "EDGESET_BENCH_NEIGHBOURS"

// The host is this program, started again.
func init() {
	dir := os.Getenv(neighbourEnv)
	if dir == "" {
		return
	}
	if err := serveNeighbours(dir); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	os.Exit(0)
}

// serveNeighbours serves the plugins signing and sharing, and three deployments of
// the plugin bully, until stdin ends. It prints its address and the id of an
// application.
func serveNeighbours(dir string) (err error) {
	quiet := slog.New(slog.DiscardHandler)
	state, err := badgerstore.Open(badgerstore.Options{Dir: filepath.Join(dir, "data"), Durability: badgerstore.Process, Logger: quiet})
	if err != nil {
		return err
	}
	e, err := engine.New(engine.Config{CacheDir: filepath.Join(dir, "cache"), Logger: quiet})
	if err != nil {
		return err
	}
	grants := []string{abi.GrantKV, abi.GrantPasswords, abi.GrantEvents}
	specs := []deploy.Spec{{Name: "good", Hosts: []string{"*"}, Plugins: []deploy.PluginSpec{
		{Name: "signing", Source: "embedded:signing", Grants: grants},
		{Name: "sharing", Source: "embedded:sharing", Grants: grants},
	}}}
	for _, name := range []string{"loop", "eat", "trap"} {
		specs = append(specs, deploy.Spec{Name: name, Hosts: []string{name + ".test"}, Plugins: []deploy.PluginSpec{
			{Name: "bully", Source: "embedded:bully", Grants: grants, Deadline: deploy.Duration(bullied)},
		}})
	}
	loader := deploy.Loader{Engine: e, Embedded: os.DirFS(dir), Log: quiet}
	list, err := loader.LoadAll(context.Background(), specs)
	if err != nil {
		return err
	}
	g := gateway.New(gateway.Config{Store: state, Log: quiet})
	if err := g.Set(list); err != nil {
		return err
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	served := make(chan error, 1)
	go func() { served <- g.Serve(l) }()
	var ctx fasthttp.RequestCtx
	ctx.Request.Header.SetMethod("POST")
	ctx.Request.SetBodyString(`{"name":"bench"}`)
	g.Operate(&ctx, "good", "signing", "/apps")
	var app struct{ ID string }
	if err := json.Unmarshal(ctx.Response.Body(), &app); err != nil {
		return err
	}
	fmt.Println(l.Addr(), app.ID)
	_, _ = bufio.NewReader(os.Stdin).ReadByte() // ends with the one who started us
	end, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	errs := []error{g.Shutdown(end), <-served}
	for _, d := range list {
		errs = append(errs, d.Close(end))
	}
	return errors.Join(append(errs, e.Close(end), state.Close())...)
}

// A neighbourhood is a process that serves all of them.
type neighbourhood struct {
	b     *testing.B
	pid   int
	addr  string
	token string // of an account of the good one
	path  string // of what a viewer asks for who has seen all points
}

func startNeighbours(b *testing.B) *neighbourhood {
	b.Helper()
	dir := b.TempDir()
	for name, source := range map[string]string{"signing": "plugins/signing", "sharing": "plugins/sharing", "bully": "host/gateway/testdata/bully"} {
		must(b, os.WriteFile(filepath.Join(dir, name+".wasm"), wasmtest.Build(b, source), 0o600))
	}
	must(b, os.Symlink(wasmtest.CacheDir(b), filepath.Join(dir, "cache")))
	self, err := os.Executable()
	must(b, err)
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), neighbourEnv+"="+dir)
	cmd.Stderr = os.Stderr
	stdin, err := cmd.StdinPipe()
	must(b, err)
	stdout, err := cmd.StdoutPipe()
	must(b, err)
	must(b, cmd.Start())
	b.Cleanup(func() {
		must(b, stdin.Close())
		must(b, cmd.Wait())
	})
	s, app := &neighbourhood{b: b, pid: cmd.Process.Pid}, ""
	if _, err := fmt.Fscan(stdout, &s.addr, &app); err != nil {
		b.Fatalf("the host's address: %v", err)
	}
	query := "?api_key=" + app + "&username=ann&id=ann&password=correct+horse"
	s.call("POST", "/v2/account/create"+query, "")
	s.token = s.call("POST", "/v2/account/login"+query, "").Token
	ticket := s.call("POST", "/v2/users/self/create_ticket?duration=14400000", "").ID
	page := "/v2/invites/" + s.call("POST", "/v2/tickets/"+ticket+"/create_invite?type=link&send=client", "").ID + "?no_count=true&next="
	s.call("POST", "/v2/tickets/"+ticket+"/append_location", fmt.Sprintf("[[%d,37772000,-122419000,350,90,12,5,8]]", time.Now().UnixMilli()))
	s.path = page + s.call("GET", page+"0", "").Next.String()
	return s
}

func must(b *testing.B, err error) {
	b.Helper()
	if err != nil {
		b.Fatal(err)
	}
}

// An answer is what the benchmark needs of the answers of sharing.
type answer struct {
	ID    string
	Token string `json:"access_token"`
	Next  json.Number
}

// call makes a request that must succeed.
func (s *neighbourhood) call(method, path, body string) answer {
	s.b.Helper()
	req, err := http.NewRequest(method, "http://"+s.addr+path, strings.NewReader(body))
	must(s.b, err)
	if s.token != "" {
		req.Header.Set("Authorization", "Bearer "+s.token)
	}
	req.Close = true
	resp, err := http.DefaultClient.Do(req)
	must(s.b, err)
	defer resp.Body.Close()
	var all struct{ Response answer }
	if err := json.NewDecoder(resp.Body).Decode(&all); resp.StatusCode/100 != 2 || err != nil {
		s.b.Fatalf("%s %s: %s, %v", method, path, resp.Status, err)
	}
	return all.Response
}

func (s *neighbourhood) prepare(req *fasthttp.Request) {
	req.SetRequestURI("http://" + s.addr + s.path)
	req.Header.Set("Authorization", "Bearer "+s.token)
}

// open has requests come at a rate, whatever becomes of them.
func (s *neighbourhood) open(rate float64, d time.Duration) *load.Result {
	s.b.Helper()
	r, err := load.Run(context.Background(), load.Config{
		Addr: s.addr, Rate: rate, Duration: d, Connections: 256, Poisson: true,
	}, func(_ int, req *fasthttp.Request) { s.prepare(req) })
	must(s.b, err)
	return r
}

// closed returns how many requests a second are answered to clients of which each
// sends the next when it has its answer.
func (s *neighbourhood) closed(d time.Duration) float64 {
	s.b.Helper()
	var answers atomic.Int64
	s.clients(8, time.Now().Add(d), func(c *fasthttp.HostClient, req *fasthttp.Request, resp *fasthttp.Response) {
		s.prepare(req)
		if err := c.Do(req, resp); err == nil && resp.StatusCode() == http.StatusOK {
			answers.Add(1)
		}
	})
	return float64(answers.Load()) / d.Seconds()
}

// computed returns how long the host has computed, on all cores, to a hundredth of
// a second.
func (s *neighbourhood) computed() time.Duration {
	s.b.Helper()
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", s.pid))
	must(s.b, err)
	_, rest, _ := strings.Cut(string(text), ") ") // behind the name
	fields, ticks := strings.Fields(rest), time.Duration(0)
	for _, field := range fields[11:13] { // in the process, and in the system for it
		n, err := strconv.Atoi(field)
		must(s.b, err)
		ticks += time.Duration(n)
	}
	return ticks * time.Second / 100
}

// clients has n clients do something until a time.
func (s *neighbourhood) clients(n int, until time.Time, ask func(*fasthttp.HostClient, *fasthttp.Request, *fasthttp.Response)) {
	c := &fasthttp.HostClient{Addr: s.addr, MaxConns: n, MaxIdemponentCallAttempts: 1}
	defer c.CloseIdleConnections()
	var all sync.WaitGroup
	for range n {
		all.Go(func() {
			req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
			for time.Now().Before(until) {
				req.Reset()
				ask(c, req, resp)
			}
		})
	}
	all.Wait()
}

const (
	// bothering is how many clients ask a bad neighbour.
	bothering = 4
	// bullied is how long a call of one may take.
	bullied = 2 * time.Second
)

// bother has clients ask hosts for a path each, again and again, for some time. The
// function that it returns waits for their end and tells how many answers a second
// they got.
func (s *neighbourhood) bother(paths map[string]string, d time.Duration) (wait func() float64) {
	var answers atomic.Int64
	var all sync.WaitGroup
	until := time.Now().Add(d)
	for host, path := range paths {
		all.Go(func() {
			s.clients(bothering, until, func(c *fasthttp.HostClient, req *fasthttp.Request, resp *fasthttp.Response) {
				req.SetRequestURI("http://" + host + path)
				if err := c.DoDeadline(req, resp, until); err == nil {
					answers.Add(1)
					if resp.StatusCode() == http.StatusOK {
						s.b.Errorf("%s%s was answered", host, path)
					}
				}
			})
		})
	}
	return func() float64 {
		all.Wait()
		return float64(answers.Load()) / d.Seconds()
	}
}

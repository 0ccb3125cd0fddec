package load

import (
	"context"
	"errors"
	"net"
	"slices"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"
)

// serve answers on a loopback port until the test ends, and returns its address.
func serve(t *testing.T, handler fasthttp.RequestHandler) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	server := &fasthttp.Server{Handler: handler}
	done := make(chan error, 1)
	go func() { done <- server.Serve(l) }()
	t.Cleanup(func() {
		if err := errors.Join(server.Shutdown(), <-done); err != nil {
			t.Error(err)
		}
	})
	return l.Addr().String()
}

func get(_ int, req *fasthttp.Request) { req.SetRequestURI("/") }

func TestSendsWhatIsDueOnceEach(t *testing.T) {
	var mu sync.Mutex
	var got []int
	addr := serve(t, func(c *fasthttp.RequestCtx) {
		n, err := strconv.Atoi(string(c.PostBody()))
		if err != nil || string(c.Path()) != "/a" || string(c.Method()) != "POST" {
			t.Errorf("%s %s %s", c.Method(), c.Path(), c.PostBody())
		}
		mu.Lock()
		got = append(got, n)
		mu.Unlock()
		switch n % 10 {
		case 3:
			c.SetStatusCode(503)
		case 4:
			c.SetStatusCode(204)
		}
	})
	r, err := Run(t.Context(), Config{Addr: addr, Rate: 1000, Duration: 200 * time.Millisecond, Connections: 4}, func(n int, req *fasthttp.Request) {
		req.Header.SetMethod("POST")
		req.SetRequestURI("/a")
		req.SetBodyString(strconv.Itoa(n))
	})
	if err != nil {
		t.Fatal(err)
	}
	slices.Sort(got)
	if len(got) != 200 || len(slices.Compact(got)) != 200 || got[199] != 199 {
		t.Errorf("got %d requests: %v", len(got), got)
	}
	if r.Sent != 200 || r.OK != 180 || r.Errors != 0 || r.Unsent != 0 || r.Status[200] != 160 || r.Status[204] != 20 || r.Status[503] != 20 {
		t.Errorf("result %v", r)
	}
	if r.Latency.P50 <= 0 || r.Latency.Max < r.Latency.P999 || r.Latency.P999 < r.Latency.P50 || r.Failed.Max <= 0 {
		t.Errorf("latency %v, failed %v", r.Latency, r.Failed)
	}
	if r.Elapsed < 200*time.Millisecond || r.Goodput <= 0 || r.Goodput > 180/0.2 {
		t.Errorf("elapsed %v, goodput %v", r.Elapsed, r.Goodput)
	}
}

// The server stops for 300 ms once. A closed loop would see one slow request in
// thirty; in truth half of them took more than 150 ms.
func TestAStallCountsForAllThatWereDueInIt(t *testing.T) {
	var calls atomic.Int64
	addr := serve(t, func(*fasthttp.RequestCtx) {
		if calls.Add(1) == 1 {
			time.Sleep(300 * time.Millisecond)
		}
	})
	r, err := Run(t.Context(), Config{Addr: addr, Rate: 100, Duration: 300 * time.Millisecond, Connections: 1}, get)
	if err != nil {
		t.Fatal(err)
	}
	if r.OK != 30 {
		t.Errorf("%d were answered, want 30: none is left out", r.OK)
	}
	if r.Latency.P50 < 140*time.Millisecond || r.Wait.P50 < 140*time.Millisecond {
		t.Errorf("median latency %v, wait %v: want 140 ms or more", r.Latency.P50, r.Wait.P50)
	}
}

func TestConnectionsAreBounded(t *testing.T) {
	var now, most atomic.Int64
	addr := serve(t, func(*fasthttp.RequestCtx) {
		k := now.Add(1)
		for m := most.Load(); k > m && !most.CompareAndSwap(m, k); m = most.Load() {
		}
		time.Sleep(5 * time.Millisecond)
		now.Add(-1)
	})
	r, err := Run(t.Context(), Config{Addr: addr, Rate: 5000, Duration: 20 * time.Millisecond, Connections: 3}, get)
	if err != nil {
		t.Fatal(err)
	}
	if r.OK != 100 || most.Load() != 3 {
		t.Errorf("%d ok with %d at once, want 100 with 3", r.OK, most.Load())
	}
}

func TestWhatCannotBeSentInTimeIsCounted(t *testing.T) {
	addr := serve(t, func(*fasthttp.RequestCtx) { time.Sleep(100 * time.Millisecond) })
	r, err := Run(t.Context(), Config{
		Addr: addr, Rate: 1000, Duration: 50 * time.Millisecond, Connections: 1, Drain: 50 * time.Millisecond,
	}, get)
	if err != nil {
		t.Fatal(err)
	}
	if r.Sent == 0 || r.Unsent == 0 || r.Sent+r.Unsent != 50 {
		t.Errorf("sent %d, unsent %d, want 50 together", r.Sent, r.Unsent)
	}
	if r.Failed.Max < 50*time.Millisecond {
		t.Errorf("given up after %v, want 50 ms or more", r.Failed.Max)
	}
}

func TestErrorsAreCounted(t *testing.T) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	nobody := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	slow := serve(t, func(*fasthttp.RequestCtx) { time.Sleep(200 * time.Millisecond) })
	for name, config := range map[string]Config{
		"refused": {Addr: nobody},
		"timeout": {Addr: slow, Timeout: 20 * time.Millisecond},
	} {
		config.Rate, config.Duration, config.Connections = 200, 50*time.Millisecond, 2
		r, err := Run(t.Context(), config, get)
		if err != nil {
			t.Fatal(err)
		}
		if r.Sent != 10 || r.Errors != 10 || r.OK != 0 || r.FirstError == nil || len(r.Status) != 0 {
			t.Errorf("%s: %v, first error %v", name, r, r.FirstError)
		}
	}
}

// The percentiles of two runs are those of all their answers, and not of the runs.
func TestRunsAddUp(t *testing.T) {
	run := func(n int, latency time.Duration) *Result {
		r := newRecord()
		for range n {
			r.answer(true, 200, nil, 0, latency)
		}
		r.answer(false, 0, errors.New("gone"), 0, latency)
		return r.result(time.Second)
	}
	var sum Result
	sum.Add(run(90, time.Millisecond))
	sum.Add(run(10, time.Second))
	if sum.Sent != 102 || sum.OK != 100 || sum.Errors != 2 || sum.Status[200] != 100 || sum.Goodput != 50 || sum.FirstError == nil {
		t.Errorf("%v", &sum)
	}
	if l := sum.Latency; l.P50 > 2*time.Millisecond || l.P99 < 900*time.Millisecond || sum.Failed.Max < 900*time.Millisecond {
		t.Errorf("%v; failed %v", l, sum.Failed)
	}
}

func TestOKJudges(t *testing.T) {
	addr := serve(t, func(c *fasthttp.RequestCtx) { c.SetBodyString("no") })
	r, err := Run(t.Context(), Config{
		Addr: addr, Rate: 1000, Duration: 10 * time.Millisecond, Connections: 1,
		OK: func(n int, resp *fasthttp.Response) bool { return n == 0 && string(resp.Body()) == "no" },
	}, get)
	if err != nil {
		t.Fatal(err)
	}
	if r.OK != 1 || r.Status[200] != 10 {
		t.Errorf("%v", r)
	}
}

func TestEndsWithItsContext(t *testing.T) {
	addr := serve(t, func(*fasthttp.RequestCtx) {})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	start := time.Now()
	r, err := Run(ctx, Config{Addr: addr, Rate: 0.1, Duration: time.Hour, Connections: 1}, get)
	if !errors.Is(err, context.DeadlineExceeded) {
		t.Errorf("error %v", err)
	}
	if r.Sent != 1 || time.Since(start) > 30*time.Second {
		t.Errorf("%v, after %v", r, time.Since(start))
	}
}

func TestSchedules(t *testing.T) {
	even := Config{Rate: 400, Duration: time.Second}
	at := slices.Collect(even.offsets())
	if len(at) != 400 || at[0] != 0 || at[1] != 2500*time.Microsecond || at[399] != 399*2500*time.Microsecond {
		t.Errorf("even: %d, %v", len(at), at)
	}
	random := Config{Rate: 400, Duration: 100 * time.Second, Poisson: true, Seed: 1}
	at = slices.Collect(random.offsets())
	// The count has a standard deviation of 200, and this seed's is always the same.
	if len(at) < 39000 || len(at) > 41000 || !slices.IsSorted(at) {
		t.Errorf("Poisson: %d due times, sorted %v", len(at), slices.IsSorted(at))
	}
	close := 0 // gaps below a tenth of the mean: 1 - e^-0.1, nearly a tenth of all
	for i := 1; i < len(at); i++ {
		if at[i]-at[i-1] < 250*time.Microsecond {
			close++
		}
	}
	if close < 3300 || close > 4300 {
		t.Errorf("Poisson: %d short gaps of %d, want about 3,800", close, len(at))
	}
	if again := slices.Collect(random.offsets()); !slices.Equal(at, again) {
		t.Error("Poisson: one seed gave two schedules")
	}
	random.Seed = 2
	if other := slices.Collect(random.offsets()); slices.Equal(at, other) {
		t.Error("Poisson: two seeds gave one schedule")
	}
}

func TestWrongConfigurations(t *testing.T) {
	good := Config{Addr: "127.0.0.1:1", Rate: 1, Duration: time.Second, Connections: 1}
	if err := good.check(); err != nil {
		t.Fatal(err)
	}
	for name, spoil := range map[string]func(*Config){
		"address":     func(c *Config) { c.Addr = "" },
		"rate":        func(c *Config) { c.Rate = 0 },
		"much":        func(c *Config) { c.Rate = 1e7 },
		"duration":    func(c *Config) { c.Duration = 0 },
		"connections": func(c *Config) { c.Connections = 0 },
		"timeout":     func(c *Config) { c.Timeout = -1 },
		"drain":       func(c *Config) { c.Drain = -1 },
	} {
		bad := good
		spoil(&bad)
		if r, err := Run(t.Context(), bad, get); !errors.Is(err, ErrConfig) || r != nil {
			t.Errorf("%s: %v, %v", name, r, err)
		}
	}
}

package gateway

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"math/rand/v2"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/deploy"
	"github.com/edgeset/edgeset/host/edge"
	"github.com/edgeset/edgeset/host/engine"
	"github.com/valyala/fasthttp"
)

// sinceEpoch is a time in seconds since epoch.
func sinceEpoch(s float64) time.Time { return epoch.Add(time.Duration(s * float64(time.Second))) }

func TestARateIsCountedInAWindowThatMoves(t *testing.T) {
	r := newRates()
	const refused = -1
	for _, step := range []struct {
		at, limit, remaining, reset float64 // remaining: refused: it is not let through
	}{
		{0.5, 3, 2, 60.5}, // until the first second is out of the window
		{0.9, 3, 1, 60.1},
		{30, 3, 0, 31},
		{31, 3, refused, 30},
		{60.9, 3, refused, 0.1}, // it is still in a part of the second
		{60.9, 4, 0, 0.1},       // a larger limit holds at once
		{60.95, 2, refused, 30.05},
		{61, 2, refused, 30}, // and a smaller one; two of the four are in the window
		{61, 3, 0, 30},
		{91, 3, 0, 30}, // that of 30 is out of it
		{500, 3, 2, 61},
		{499, 3, 1, 61}, // was slower than another one, and counts with it
		{560.9, 3, 0, 0.1},
		{561, 3, 1, 60}, // those of 500 leave together
	} {
		s := r.take("a", int64(step.limit), time.Minute, sinceEpoch(step.at))
		if got := s.reset.Seconds(); got-step.reset > 1e-6 || step.reset-got > 1e-6 {
			t.Errorf("%v s: reset in %v, want %v", step.at, got, step.reset)
		}
		switch {
		case step.remaining == refused:
			if s.wait != s.reset || s.remaining != 0 {
				t.Errorf("%v s: %+v, want a refusal", step.at, s)
			}
		case s.wait != 0 || s.remaining != int64(step.remaining):
			t.Errorf("%v s: %+v, want it let through, and %v left", step.at, s, step.remaining)
		}
	}
}

func TestARateIsOfAnApplicationAndAWindow(t *testing.T) {
	r := newRates()
	for _, app := range []string{"a", "b"} {
		for _, window := range []time.Duration{time.Second, time.Hour} {
			if s := r.take(app, 1, window, sinceEpoch(1)); s.wait != 0 {
				t.Errorf("%s in %v: %+v", app, window, s)
			}
			if s := r.take(app, 1, window, sinceEpoch(1)); s.wait == 0 {
				t.Errorf("%s in %v is let through twice", app, window)
			}
		}
	}
}

// The model keeps the time of each request.
func TestARateKeepsToItsLimitInAnyWindow(t *testing.T) {
	for seed := range uint64(40) {
		rnd := rand.New(rand.NewPCG(seed, 1))
		window := []time.Duration{time.Second, 7 * time.Second, time.Minute, time.Hour, 30 * 24 * time.Hour}[seed%5]
		slot := (window + rateSlots - 1) / rateSlots
		r, limit := newRates(), 1+rnd.Int64N(30)
		var through []time.Time
		within := func(now time.Time, d time.Duration) (n int64) {
			for i := len(through) - 1; i >= 0 && now.Sub(through[i]) <= d; i-- {
				n++
			}
			return n
		}
		take := func(now time.Time) rateState {
			s := r.take("app", limit, window, now)
			if s.wait == 0 {
				through = append(through, now)
				if n := within(now, window); n > limit {
					t.Fatalf("seed %d: %d requests in a window of %v, limit %d", seed, n, window, limit)
				}
			} else if n := within(now, (rateSlots+1)*slot-1); n < limit {
				t.Fatalf("seed %d: refused after %d requests in %v and a slot, limit %d", seed, n, window, limit)
			}
			return s
		}
		now, refusals := epoch.Add(time.Duration(rnd.Int64N(int64(window)))), 0
		for range 3000 {
			step := []time.Duration{1, slot / 8, slot, window / 8, 2 * window}[rnd.IntN(100)%11%5]
			now = now.Add(time.Duration(rnd.Int64N(int64(step) + 1)))
			s := take(now)
			switch {
			case s.wait > 0 && rnd.IntN(4) == 0: // it is the true time
				refusals++
				if early := take(now.Add(s.wait - 1)); early.wait != 1 {
					t.Fatalf("seed %d: 1 ns before the end of a wait: %+v", seed, early)
				}
				if now = now.Add(s.wait); take(now).wait != 0 {
					t.Fatalf("seed %d: refused after a wait of %v", seed, s.wait)
				}
			case s.wait == 0 && rnd.IntN(40) == 0: // as many are left as it says
				for left := s.remaining; left >= 0; left-- {
					if again := take(now); (again.wait == 0) != (left > 0) {
						t.Fatalf("seed %d: %d should be left: %+v", seed, left, again)
					}
				}
			}
			if rnd.IntN(200) == 0 {
				limit = 1 + rnd.Int64N(30)
			}
		}
		if refusals < 20 || len(through) < 200 {
			t.Errorf("seed %d: %d refusals, %d let through: too few to mean anything", seed, refusals, len(through))
		}
	}
}

func TestRatesOfRequestsAtTheSameTime(t *testing.T) {
	r := newRates()
	now := time.Now()
	var through [3]atomic.Int64
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for i := range 3000 {
				if r.take(strconv.Itoa(i%3), 500, time.Minute, now).wait == 0 {
					through[i%3].Add(1)
				}
			}
		})
	}
	wg.Wait()
	for i := range through {
		if n := through[i].Load(); n != 500 {
			t.Errorf("application %d: %d let through, want 500", i, n)
		}
	}
}

func TestRatesAreBounded(t *testing.T) {
	r := newRates()
	refused := func(app string) bool { return r.take(app, 1, time.Hour, sinceEpoch(1)).wait > 0 }
	for i := range maxRates {
		refused(strconv.Itoa(i))
	}
	if !refused("0") { // which is used last now
		t.Error("a counter is gone before there are too many")
	}
	refused("one more")
	if n := r.lru.Len(); n != maxRates {
		t.Errorf("%d counters, want %d", n, maxRates)
	}
	if !refused("0") || refused("1") {
		t.Error("want the counter gone that was not used for longest")
	}
}

func TestARateOfAnApplicationThatIsKnownAllocatesNothing(t *testing.T) {
	r := newRates()
	now := time.Now()
	r.take("app", 100, time.Minute, now)
	if n := testing.AllocsPerRun(200, func() { r.take("app", 100, time.Minute, now) }); n != 0 {
		t.Errorf("%v allocations", n)
	}
}

func TestRateHeaders(t *testing.T) {
	var h fasthttp.ResponseHeader
	rateState{limit: 100, window: 90 * time.Second, remaining: 7, reset: 1200 * time.Millisecond}.writeHeaders(&h)
	for name, want := range map[string]string{
		"RateLimit-Limit": "100", "RateLimit-Remaining": "7", "RateLimit-Reset": "2", "RateLimit-Policy": "100;w=90",
	} {
		if got := string(h.Peek(name)); got != want {
			t.Errorf("%s: %q, want %q", name, got, want)
		}
	}
}

// A door is a plugin that lets in whoever has an application or a session: the
// credential is the application's id.
type door struct{ limit, window int64 }

func (d door) Call(_ context.Context, _ any, request, dst []byte) ([]byte, uint64, error) {
	var q abi.RawRequest
	if err := abi.ReadRequest(request, &q); err != nil {
		return dst, 0, err
	}
	reply := abi.Reply{Status: 204}
	if q.Kind == abi.CallAuthenticate {
		cred, err := abi.ReadCredential(q.Credential)
		if err != nil {
			return dst, 0, err
		}
		var w abi.Writer
		abi.AppendCaller(&w, &abi.Caller{App: strings.TrimPrefix(cred.Value, "none"), Proof: cred.Kind, Limit: d.limit, Window: d.window})
		reply.BodyKind, reply.Body = abi.BodyCaller, w.Value()
	}
	var w abi.Writer
	w.Reset(dst)
	reply.Append(&w)
	return w.Value(), 0, nil
}

func (d door) Invoke(context.Context, any, string) (int32, uint64, error) {
	return 0, 0, errors.New("no exports")
}

func (d door) Lease(context.Context, bool) (engine.Lease, error) { return d, nil }

func (d door) Release() {}

func (d door) Close(context.Context) error { return nil }

// deployment is one of the door alone.
func (d door) deployment(baseURL string) *deploy.Deployment {
	desc := &abi.Description{Name: "door",
		Families: []abi.Family{{
			Prefix: "/d", Errors: abi.DefaultErrors(), Codes: [][2]string{{abi.HostLimited, "slow_down"}, {abi.HostCrossOrigin, "forged"}},
		}},
		Credentials: []abi.CredentialSource{{Kind: "key", Header: "X-Key"}, {Kind: "session", Cookie: "sid"}},
		Routes: []abi.Route{
			{Method: "GET", Pattern: "/d/read", Auth: []string{"key", "session"}},
			{Method: "POST", Pattern: "/d/ask", Auth: []string{"key", "session"}},
			{Method: "GET", Pattern: "/d/visit", Auth: []string{"key", "session"}, Write: true},
			{Method: "POST", Pattern: "/d/write", Auth: []string{"key", "session"}, Write: true},
		},
	}
	return &deploy.Deployment{
		Spec: deploy.Spec{Name: "test", Hosts: []string{"*"}, BaseURL: baseURL, Origins: []string{"https://app.example"}},
		Plugins: []*deploy.Plugin{{
			Spec: deploy.PluginSpec{Name: "door"}, Desc: desc, Runner: d,
			Edge: &edge.Plugin{Name: "door", Log: slog.New(slog.DiscardHandler)},
		}},
	}
}

func TestAnApplicationOverItsRateIsRefused(t *testing.T) {
	r := serve(t, Config{}, door{limit: 2, window: 3600}.deployment(""))
	set := func(limit, window int64) {
		t.Helper()
		if err := r.gateway.Set([]*deploy.Deployment{door{limit: limit, window: window}.deployment("")}); err != nil {
			t.Fatal(err)
		}
	}
	for left := 1; left >= 0; left-- {
		got := r.do("GET /d/read", "", "X-Key", "a").wants(204)
		h := got.header
		if h.Get("RateLimit-Limit") != "2" || h.Get("RateLimit-Remaining") != fmt.Sprint(left) || h.Get("RateLimit-Policy") != "2;w=3600" ||
			h.Get("Retry-After") != "" {
			t.Errorf("%v", h)
		}
	}
	over := func() {
		t.Helper()
		got := r.do("POST /d/write", "", "X-Key", "a").wants(429)
		h := got.header
		after, err := strconv.Atoi(h.Get("Retry-After"))
		if err != nil || after < 3500 || after > 3660 || h.Get("RateLimit-Reset") != h.Get("Retry-After") || h.Get("RateLimit-Remaining") != "0" ||
			!strings.Contains(got.body, `"code":"slow_down"`) {
			t.Errorf("%v %s", h, got.body)
		}
	}
	over()
	r.do("GET /d/read", "", "X-Key", "b").wants(204) // it has its own
	r.do("GET /d/read", "", "X-Key", "none").wants(204)
	got := r.do("GET /d/read", "", "X-Key", "none").wants(204)
	if got.header.Get("RateLimit-Limit") != "" || r.do("GET /d/read", "", "X-Key", "none").status != 204 {
		t.Errorf("a credential of no application is counted: %v", got.header)
	}

	set(2, 3600) // another version has counted as much
	over()
	set(4, 3600)
	r.do("GET /d/read", "", "X-Key", "a").wants(204)
	set(0, 0)
	if got := r.do("GET /d/read", "", "X-Key", "a").wants(204); got.header.Get("RateLimit-Limit") != "" {
		t.Errorf("no limit: %v", got.header)
	}
	for _, window := range []int64{0, -1, 1 << 60} {
		set(1, window)
		if got := r.do("GET /d/read", "", "X-Key", "a").wants(500); !strings.Contains(got.body, `"code":"internal"`) {
			t.Errorf("%s", got.body)
		}
	}
	if got := r.metric("edgeset_rate_limited_total", "deployment", "test"); got != 2 {
		t.Errorf("edgeset_rate_limited_total is %v, want 2", got)
	}
}

func BenchmarkRate(b *testing.B) {
	for _, apps := range []int{1, 1000} {
		b.Run(fmt.Sprintf("%d applications", apps), func(b *testing.B) {
			r := newRates()
			names := make([]string, apps)
			for i := range names {
				names[i] = "application" + strconv.Itoa(i)
				r.take(names[i], 1000, time.Second, time.Now())
			}
			b.ReportAllocs()
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					r.take(names[i%apps], 1000, time.Second, time.Now())
				}
			})
		})
	}
}

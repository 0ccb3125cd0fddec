package gateway

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/edgeset/edgeset/host/deploy"
)

// numbered is a version of the deployment of trial that tells its number: it is the
// host of the links that it makes.
func numbered(t testing.TB, n int) *deploy.Deployment {
	t.Helper()
	spec := trial("*")
	spec.BaseURL = base(n)
	d := load(t, spec)
	d.Version = n
	return d
}

func base(n int) string { return fmt.Sprintf("http://version%d.example", n) }

// waits waits for something that comes by itself.
func waits(t testing.TB, what string, cond func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !cond(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("it takes too long until %s", what)
		}
	}
}

// inside returns how many requests a version answers.
func (r *rig) inside(d *deploy.Deployment) int64 {
	for _, s := range r.gateway.table.Load().byName(d.Spec.Name).sites() {
		if s.deployment == d {
			return s.refs.Load()
		}
	}
	return 0
}

func (r *rig) drain(d *deploy.Deployment, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(r.t.Context(), limit)
	defer cancel()
	return r.gateway.Drain(ctx, d)
}

func (r *rig) swap(list ...Serving) {
	r.t.Helper()
	if err := r.gateway.Swap(list); err != nil {
		r.t.Fatal(err)
	}
}

func TestADrainWaitsForTheRequestsOfItsVersion(t *testing.T) {
	one, two := numbered(t, 1), numbered(t, 2)
	r := serve(t, Config{}, one)
	if err := r.drain(one, time.Millisecond); err != nil {
		t.Errorf("of a version that serves: %v", err)
	}
	slow := make(chan reply, 1)
	go func() { p, _ := r.try("GET /t/sleep/700", ""); slow <- p }()
	waits(t, "the request runs", func() bool { return r.inside(one) > 0 })
	r.swap(Serving{Current: two})
	if got := r.do("GET /t/echo", "").wants(200).field("base"); got != base(2) {
		t.Errorf("answered by %s", got)
	}
	if err := r.drain(one, time.Millisecond); err == nil || !strings.Contains(err.Error(), "version 1 still answers 1 requests") {
		t.Errorf("%v", err)
	}
	if err := r.drain(one, time.Minute); err != nil {
		t.Error(err)
	}
	if p := <-slow; p.status != 200 {
		t.Errorf("%d %s", p.status, p.body)
	}
	if n := len(r.gateway.retiring); n != 0 {
		t.Errorf("%d versions are remembered", n)
	}
	// What was not asked for since is drained at once.
	r.swap(Serving{Current: one})
	if err := r.drain(two, time.Minute); err != nil {
		t.Error(err)
	}
}

// slowBody is longer than what the server reads of a body before it looks at the request.
func slowBody() string { return strings.Repeat("0123456789", 4000) }

// slowly sends the head of a request and a part of its body, and the rest when it is
// told to.
func (r *rig) slowly(d *deploy.Deployment) (finish func() reply) {
	r.t.Helper()
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	send := func(s string) {
		r.t.Helper()
		if _, err := io.WriteString(c, s); err != nil {
			r.t.Fatal(err)
		}
	}
	body := slowBody()
	half := len(body) / 2
	send(fmt.Sprintf("POST /t/raw HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n%s", len(body), body[:half]))
	waits(r.t, "the head has arrived", func() bool { return r.inside(d) > 0 })
	return func() reply {
		r.t.Helper()
		send(body[half:])
		resp, err := http.ReadResponse(bufio.NewReader(c), nil)
		if err != nil {
			r.t.Fatal(err)
		}
		defer resp.Body.Close()
		b, err := io.ReadAll(resp.Body)
		if err != nil {
			r.t.Fatal(err)
		}
		return reply{r.t, resp.StatusCode, resp.Header, string(b)}
	}
}

func TestASlowBodyIsAnsweredByTheVersionThatServesByThen(t *testing.T) {
	one, two := numbered(t, 1), numbered(t, 2)
	r := serve(t, Config{}, one)
	finish := r.slowly(one)
	r.swap(Serving{Current: two})
	p := finish().wants(200)
	if p.field("base") != base(2) || p.field("raw") != slowBody() {
		t.Errorf("%s", p.body)
	}
	if err := r.drain(one, time.Minute); err != nil {
		t.Error(err)
	}
	// A version that does not take it leaves it to the one that has begun.
	spec := trial("*")
	spec.Plugins = spec.Plugins[:1] // the guard alone
	three := load(t, spec)
	finish = r.slowly(two)
	r.swap(Serving{Current: three})
	if p := finish().wants(200); p.field("base") != base(2) || p.field("raw") != slowBody() {
		t.Errorf("%s", p.body)
	}
	if err := r.drain(two, time.Minute); err != nil {
		t.Error(err)
	}
	r.do("POST /t/raw", "x").wants(404)
}

func TestSwapsAtOnceLoseNoRequest(t *testing.T) {
	var list []*deploy.Deployment
	for n := range 4 {
		list = append(list, numbered(t, n+1))
	}
	r := serve(t, Config{}, list[0])
	var stopped atomic.Bool
	var answered atomic.Int64
	var callers, swappers sync.WaitGroup
	for range 4 {
		callers.Go(func() {
			for !stopped.Load() {
				p, err := r.try("GET /t/echo", "")
				if err != nil || p.status != 200 || !strings.Contains(p.body, "//version") {
					t.Errorf("%v, %d %s", err, p.status, p.body)
					return
				}
				answered.Add(1)
			}
		})
	}
	// Each pair of versions has a swapper of its own, that knows when to come back to one.
	for _, pair := range [][]*deploy.Deployment{list[:2], list[2:]} {
		swappers.Go(func() {
			for i := range 100 {
				if err := r.gateway.Set(pair[i%2 : i%2+1]); err != nil {
					t.Error(err)
				}
			}
		})
	}
	swappers.Wait()
	stopped.Store(true)
	callers.Wait()
	if answered.Load() == 0 {
		t.Error("nothing was answered")
	}
	svc := r.gateway.table.Load().byName("test")
	for _, d := range list {
		if d == svc.deployment {
			continue
		}
		if err := r.drain(d, time.Minute); err != nil {
			t.Error(err)
		}
	}
}

func TestTwoVersionsAreToldApart(t *testing.T) {
	one, two := numbered(t, 1), numbered(t, 2)
	r := serve(t, Config{}, one)
	if _, _, ok := r.gateway.Compare("test"); ok {
		t.Error("nothing is tried, and compared")
	}
	for range 5 {
		r.do("GET /t/echo", "").wants(200)
	}
	if s, since := r.gateway.Stats(one); s.Requests != 5 || s.Errors != 0 || s.P99 <= 0 || s.P50 > s.P99 || time.Since(since) > time.Hour {
		t.Errorf("%+v since %v", s, since)
	}
	r.swap(Serving{Current: one, Canary: two, Share: 0.5})
	for _, word := range []string{"ann", "bob", "cy", "dee", "eve", "flo", "gus", "hal", "ian", "joe"} {
		r.do("POST /g/grant/"+word, "").wants(204)
		first := r.do("GET /t/private", "", "Authorization", "Bearer "+word).wants(200)
		again := r.do("GET /t/private", "", "Authorization", "Bearer "+word).wants(200)
		if first.field("base") != again.field("base") || first.field("account") != word {
			t.Errorf("%s: %s, then %s", word, first.body, again.body)
		}
		r.do("GET /t/trap", "").wants(500) // of an address: always the same version
	}
	current, canary, ok := r.gateway.Compare("test")
	if !ok || current.Requests+canary.Requests != 40 || current.Traps+canary.Traps != 10 || current.Errors+canary.Errors != 10 {
		t.Errorf("%+v, %+v", current, canary)
	}
	if canary.Requests == 0 || current.Requests == 0 {
		t.Errorf("one of them answers nothing: %+v, %+v", current, canary)
	}
	// All that the current version has answered, and not since the canary is tried alone.
	if s, _ := r.gateway.Stats(one); s.Requests != current.Requests+5 {
		t.Errorf("%+v, of these since then %+v", s, current)
	}
	labels := func(version, role string) []string {
		return []string{"deployment", "test", "version", version, "role", role}
	}
	const name = "edgeset_version_requests_total"
	if a, b := r.metric(name, labels("1", "current")...), r.metric(name, labels("2", "canary")...); a != float64(current.Requests+5) || b != float64(canary.Requests) {
		t.Errorf("metrics say %v and %v", a, b)
	}
	// Another share keeps what is known.
	r.swap(Serving{Current: one, Canary: two, Share: 1})
	if a, b, _ := r.gateway.Compare("test"); a.Requests != current.Requests || b.Requests != canary.Requests {
		t.Errorf("%+v, %+v", a, b)
	}
	r.swap(Serving{Current: two})
	if s, _ := r.gateway.Stats(two); s.Requests != canary.Requests {
		t.Errorf("promoted: %+v", s)
	}
	if s, since := r.gateway.Stats(one); s.Requests != 0 || !since.IsZero() {
		t.Errorf("of one that is gone: %+v", s)
	}
	var text strings.Builder
	if err := r.gateway.WritePrometheus(&text); err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(text.String(), `version="2"`) || strings.Contains(text.String(), `version="1"`) || strings.Contains(text.String(), `role="canary"`) {
		t.Error("the metrics are not those of version 2 alone")
	}
	if err := r.drain(one, time.Minute); err != nil {
		t.Error(err)
	}
}

func TestACheckFindsConflictsAndLeavesNothingBehind(t *testing.T) {
	spec := trial("a.example", "*.b.example")
	one := load(t, spec)
	spec.Name, spec.Hosts = "other", []string{"c.example"}
	other := load(t, spec)
	spec.Name, spec.Hosts = "third", []string{"*.b.example"}
	third := load(t, spec)
	spec.Name, spec.Hosts, spec.Plugins = "fourth", []string{"d.example"}, spec.Plugins[1:]
	fourth := load(t, spec) // whose routes want credentials that nobody checks
	log := slog.New(slog.DiscardHandler)
	before := runtime.NumGoroutine()
	for range 50 {
		for _, f := range []struct {
			list []Serving
			want string
		}{
			{[]Serving{{Current: one}, {Current: other}}, ""},
			{[]Serving{{Current: one, Canary: third, Share: 0.5}, {Current: other}}, ""}, // as a canary it has the hosts of the other
			{[]Serving{{Current: one}, {Current: third}}, `"*.b.example" belongs to deployment "test"`},
			{[]Serving{{Current: one}, {Current: fourth}}, `deployment "fourth"`},
			{[]Serving{{Current: one, Canary: fourth, Share: 0.5}}, `deployment "test"`},
		} {
			if err := Check(f.list, log); (err == nil) != (f.want == "") || err != nil && !strings.Contains(err.Error(), f.want) {
				t.Fatalf("%v, want %s", err, f.want)
			}
		}
	}
	waits(t, "all of it is gone", func() bool { return runtime.NumGoroutine() <= before })
}

package gateway

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/deploy"
	"github.com/edgeset/edgeset/store"
)

func TestARefusalKeepsNothingAndAFailureKeepsAll(t *testing.T) {
	r := start(t, Config{})
	if got := r.do("POST /t/refuse/a", "").wants(409); got.field("fault") != "refused" {
		t.Error(got.body)
	}
	r.do("GET /t/kv/a", "").wants(404)
	if got := r.do("POST /t/fail/b", "").wants(409); got.field("fault") != "failed" {
		t.Error(got.body)
	}
	r.do("GET /t/kv/b", "").wants(200)
	// An answer that cannot be sent is no reason to keep what was written.
	r.do("POST /t/odd/c", "").wants(500)
	r.do("GET /t/kv/c", "").wants(404)
}

func TestARouteThatReadsCannotWrite(t *testing.T) {
	r := start(t, Config{})
	r.do("GET /t/write/a", "").wants(500)
	r.do("GET /t/kv/a", "").wants(404)
	r.do("GET /t/writes/a", "").wants(204)
	r.do("GET /t/kv/a", "").wants(200)
}

func TestWhatWasAnsweredIsCommitted(t *testing.T) {
	r := start(t, Config{})
	for i := range 50 {
		body := fmt.Sprint("value ", i)
		r.do("PUT /t/kv/a", body).wants(204)
		// Past the gateway, in the store itself.
		err := r.store.View(t.Context(), "test", func(txn store.Txn) error {
			value, _, err := txn.Get([]byte("trial\x00kv/a"))
			if string(value) != body {
				t.Errorf("the store has %q, want %q", value, body)
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	r.do("DELETE /t/kv/a", "").wants(204)
	r.do("GET /t/kv/a", "").wants(404)
}

func TestConcurrentIncrementsAreAllCounted(t *testing.T) {
	r := start(t, Config{})
	var ok, busy atomic.Int64
	var wg sync.WaitGroup
	for range 64 {
		wg.Go(func() {
			got, err := r.try("POST /t/count", "")
			switch {
			case err != nil:
				t.Error(err)
			case got.status == 200:
				ok.Add(1)
			case got.status == 503 && got.header.Get("Retry-After") != "":
				busy.Add(1)
			default:
				t.Errorf("status %d: %s", got.status, got.body)
			}
		})
	}
	wg.Wait()
	if got := r.do("GET /t/count", "").wants(200).body; got != fmt.Sprint(ok.Load()) {
		t.Errorf("%s were counted, %d acknowledged", got, ok.Load())
	}
	if ok.Load() < 32 {
		t.Errorf("%d of 64 were refused as busy", busy.Load())
	}
}

func TestStampedEntriesStandInTheOrderOfTheirCommits(t *testing.T) {
	r := start(t, Config{})
	for _, name := range []string{"z", "a", "m"} {
		r.do("POST /t/stamped/"+name, "").wants(204)
	}
	if got := r.do("GET /t/scan", "").wants(200).body; got != `["z","a","m"]` {
		t.Error(got)
	}
}

func TestATrapCostsOneRequest(t *testing.T) {
	r := start(t, Config{})
	for range 3 {
		got := r.do("GET /t/trap", "").wants(500)
		if got.field("fault") != "internal" || strings.Contains(got.body, "as asked") {
			t.Error(got.body)
		}
		r.do("GET /t/echo", "").wants(200)
	}
	if !strings.Contains(r.log.String(), "as asked") {
		t.Error("the log does not tell the cause")
	}
}

// disputed is a store whose commits all conflict.
type disputed struct {
	store.Store
	runs atomic.Int64
}

func (d *disputed) Update(ctx context.Context, space string, fn func(store.Txn) error) error {
	d.runs.Add(1)
	if err := d.Store.Update(ctx, space, fn); err != nil {
		return err
	}
	return fmt.Errorf("disputed: %w", store.ErrConflict)
}

func TestARequestIsNotRunForEver(t *testing.T) {
	r := start(t, Config{})
	d := &disputed{Store: r.store}
	r.gateway.store = d
	got := r.do("POST /t/count", "").wants(503)
	if got.header.Get("Retry-After") != "1" || got.field("fault") != "busy" {
		t.Errorf("%v %s", got.header, got.body)
	}
	if n := d.runs.Load(); n != store.MaxRuns {
		t.Errorf("%d runs, want %d", n, store.MaxRuns)
	}
}

func TestABusyPluginRefusesQuickly(t *testing.T) {
	spec := trial()
	spec.Plugins[1].Instances, spec.Plugins[1].Waiting, spec.Plugins[1].MaxWait = 1, 1, deploy.Duration(100*time.Millisecond)
	r := start(t, Config{}, spec)
	r.do("GET /t/echo", "").wants(200)
	var wg sync.WaitGroup
	wg.Go(func() { r.do("GET /t/sleep/4000", "").wants(200) })
	time.Sleep(600 * time.Millisecond)
	for range 4 {
		wg.Go(func() {
			begin := time.Now()
			got := r.do("GET /t/echo", "").wants(503)
			if got.header.Get("Retry-After") != "1" || got.field("fault") != "busy" {
				t.Errorf("%v %s", got.header, got.body)
			}
			if took := time.Since(begin); took > 2*time.Second {
				t.Errorf("refused after %v", took)
			}
		})
	}
	wg.Wait()
	r.do("GET /t/echo", "").wants(200)
}

func TestARequestInFlightIsAnsweredDuringShutdown(t *testing.T) {
	r := start(t, Config{})
	r.do("GET /t/echo", "").wants(200)
	answered := make(chan reply, 1)
	go func() {
		got, err := r.try("GET /t/sleep/1500", "")
		if err != nil {
			t.Error(err)
		}
		answered <- got
	}()
	time.Sleep(500 * time.Millisecond)
	ctx, cancel := context.WithTimeout(context.Background(), 8*time.Second)
	defer cancel()
	if err := r.gateway.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	select {
	case got := <-answered:
		if got.status != 200 || got.body != `"slept"` {
			t.Errorf("%d %s", got.status, got.body)
		}
	case <-time.After(5 * time.Second): // the client may be slower to read than we to end
		t.Error("the request was not answered")
	}
	if _, err := http.Get("http://" + r.addr + "/t/echo"); err == nil {
		t.Error("a connection was taken after Shutdown")
	}
}

func TestARequestPastTheDrainDeadlineIsCutOff(t *testing.T) {
	r := start(t, Config{})
	r.do("GET /t/echo", "").wants(200)
	answered := make(chan reply, 1)
	go func() {
		got, _ := r.try("GET /t/sleep/9000", "")
		answered <- got
	}()
	time.Sleep(200 * time.Millisecond)
	ctx, cancel := context.WithTimeout(context.Background(), 100*time.Millisecond)
	defer cancel()
	if err := r.gateway.Shutdown(ctx); err == nil {
		t.Error("want an error: a request was running")
	}
	select {
	case got := <-answered:
		if got.status != 503 || got.header.Get("Retry-After") == "" {
			t.Errorf("%d %s", got.status, got.body)
		}
	case <-time.After(5 * time.Second):
		t.Error("the request goes on")
	}
}

func TestAConnectionWithoutARequestDoesNotHoldUpShutdown(t *testing.T) {
	r := start(t, Config{})
	r.do("GET /t/echo", "").wants(200)
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	time.Sleep(50 * time.Millisecond)
	ctx, cancel := context.WithTimeout(context.Background(), 4*time.Second)
	defer cancel()
	if err := r.gateway.Shutdown(ctx); err != nil {
		t.Error(err)
	}
	if b, err := io.ReadAll(c); err != nil || len(b) > 0 {
		t.Errorf("%q %v", b, err)
	}
}

func TestARequestThatNeverArrivesIsNoFailureOfShutdown(t *testing.T) {
	r := start(t, Config{})
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer c.Close()
	if _, err := io.WriteString(c, "POST /t/raw HTTP/1.1\r\nHost: x\r\nContent-Length: 9\r\n\r\n"); err != nil {
		t.Fatal(err)
	}
	time.Sleep(50 * time.Millisecond)
	ctx, cancel := context.WithTimeout(context.Background(), 500*time.Millisecond)
	defer cancel()
	if err := r.gateway.Shutdown(ctx); err != nil {
		t.Error(err)
	}
}

func TestAPanicOfTheHostCostsOneRequest(t *testing.T) {
	r := start(t, Config{})
	good := r.gateway.store
	r.gateway.store = nil
	if got := r.do("GET /t/echo", "").wants(500); !strings.Contains(got.body, `"code":"internal"`) || got.header.Get("X-Request-Id") == "" {
		t.Errorf("%s", got.body)
	}
	r.gateway.store = good
	r.do("GET /t/echo", "").wants(200)
}

func TestMetricsCountWhatHappened(t *testing.T) {
	var access syncBuffer
	r := start(t, Config{Access: slog.New(slog.NewTextHandler(&access, nil))})
	for range 3 {
		r.do("GET /t/echo/1/2?token=secret", "").wants(200)
	}
	r.do("GET /t/trap", "").wants(500)
	r.do("GET /none", "").wants(404)
	r.do("GET /t/private", "").wants(401)
	for i := range 100 { // paths are no labels
		r.do(fmt.Sprintf("GET /t/echo/%d/x", i), "").wants(200)
	}
	for _, c := range []struct {
		name   string
		labels []string
		want   float64
	}{
		{"edgeset_requests_total", []string{"route", "GET /t/echo/:a/:b", "code", "2xx", "deployment", "test", "plugin", "trial"}, 103},
		{"edgeset_requests_total", []string{"route", "GET /t/trap", "code", "5xx"}, 1},
		{"edgeset_requests_total", []string{"route", "GET /t/private", "code", "4xx"}, 1},
		{"edgeset_traps_total", []string{"route", "GET /t/trap"}, 1},
		{"edgeset_unmatched_requests_total", nil, 1},
		{"edgeset_request_duration_seconds", []string{"route", "GET /t/echo/:a/:b"}, 103},
		{"edgeset_plugin_traps_total", []string{"plugin", "trial"}, 1},
	} {
		if got := r.metric(c.name, c.labels...); got != c.want {
			t.Errorf("%s%v is %v, want %v", c.name, c.labels, got, c.want)
		}
	}
	if n := strings.Count(access.String(), "msg=request"); n != 106 {
		t.Errorf("%d lines in the access log, want 106", n)
	}
	if strings.Contains(access.String(), "secret") {
		t.Error("the access log has a credential")
	}
}

func extism() deploy.Spec {
	return deploy.Spec{Name: "test", Hosts: []string{"*"}, Plugins: []deploy.PluginSpec{{
		Name: "plain", Source: "embedded:plain", Grants: []string{"kv"}, Config: map[string]string{"greeting": "Hello"},
		Routes: []deploy.RouteSpec{
			{Method: "POST", Pattern: "/p/greet/:name", Function: "greet", Body: "json"},
			{Method: "POST", Pattern: "/p/visits", Function: "visits"},
			{Method: "GET", Pattern: "/p/visits", Function: "visits", ReadOnly: true},
			{Method: "GET", Pattern: "/p/keep/:key", Function: "keep", ReadOnly: true},
			{Method: "POST", Pattern: "/p/keep/:key", Function: "keep"},
			{Method: "POST", Pattern: "/p/fails", Function: "fails"},
			{Method: "GET", Pattern: "/p/nonsense", Function: "nonsense", ReadOnly: true},
		},
	}}}
}

func TestAnExtismPluginServes(t *testing.T) {
	r := start(t, Config{}, extism())
	got := r.do("POST /p/greet/Ann?q=%22x%22", `{"a":[1]}`).wants(201)
	if got.field("text") != "Hello, Ann" || got.field("query") != `"x"` || got.field("body") != `{"a":[1]}` || got.header.Get("X-Plain") != "yes" {
		t.Errorf("%v %s", got.header, got.body)
	}
	for i := 1; i <= 5; i++ { // a variable outlives the call
		if got := r.do("POST /p/visits", "").wants(200); got.body != fmt.Sprint(i) || got.header.Get("Content-Type") != "text/plain" {
			t.Errorf("%v %s", got.header, got.body)
		}
	}
	r.do("GET /p/visits", "").wants(500) // sets it, where only reading was declared
	if got := r.do("POST /p/fails", "").wants(500); strings.Contains(got.body, "does not want") {
		t.Error(got.body)
	}
	if !strings.Contains(r.log.String(), "it does not want to") {
		t.Error("the log does not tell the plugin's error")
	}
	if got := r.do("POST /p/visits", "").wants(200).body; got != "6" {
		t.Errorf("what a call wrote that failed was kept: %s", got)
	}
	r.do("POST /p/keep/k?value=v", "").wants(200)
	if got := r.do("GET /p/keep/k", "").wants(200).body; got != "v" {
		t.Error(got)
	}
	r.do("GET /p/keep/k?value=w", "").wants(409) // kv_put tells the plugin
	r.do("GET /p/nonsense", "").wants(500)
	if !strings.Contains(r.log.String(), "want a JSON object") {
		t.Error("the log does not tell what output was wanted")
	}
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() { r.do("POST /p/visits", "").wants(200) })
	}
	wg.Wait()
	if got := r.do("POST /p/visits", "").wants(200).body; got != "23" {
		t.Errorf("%s visits, want 23", got)
	}
}

func FuzzExtismOutput(f *testing.F) {
	for _, s := range []string{`{}`, `{"status":204}`, `{"headers":{"A":"b","C":1},"json":[1,{}]}`, `{"body":"é"}`, `[]`, ``, `{"status":1e3}`, `{"json":null}`} {
		f.Add([]byte(s))
	}
	x := newExchange(New(Config{Log: slog.New(slog.NewTextHandler(io.Discard, nil))}))
	x.route = &route{plugin: &deploy.Plugin{}, function: "f"}
	f.Fuzz(func(t *testing.T, output []byte) {
		frame, err := x.readExtismReply(output)
		if err != nil {
			return
		}
		var reply abi.Reply
		if err := abi.ReadReply(frame, &reply); err != nil {
			t.Fatalf("%q became a frame that cannot be read: %v", output, err)
		}
		if reply.Status < 200 || reply.Status > 599 {
			t.Fatalf("status %d", reply.Status)
		}
		x.reply = frame
	})
}

// A request that takes long, and that quick ones on the same path overtake every
// time, gets its turn all the same.
func TestASlowRequestIsNotStarvedByQuickOnes(t *testing.T) {
	r := start(t, Config{})
	stop := make(chan struct{})
	var quick atomic.Int64
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for {
				select {
				case <-stop:
					return
				default:
				}
				if got, err := r.try("POST /t/count", ""); err != nil || got.status != 200 {
					t.Errorf("quick: %v %v", got, err)
					return
				}
				quick.Add(1)
			}
		})
	}
	const slow = 10
	for range slow {
		r.do("POST /t/count?slow=20", "").wants(200)
	}
	close(stop)
	wg.Wait()
	if got, want := r.do("GET /t/count", "").wants(200).body, fmt.Sprint(quick.Load()+slow); got != want {
		t.Errorf("counted %s, want %s", got, want)
	}
}

package gateway

import (
	"context"
	"errors"
	"log/slog"
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
)

func TestAQuotaIsABucketThatCanBeOverdrawn(t *testing.T) {
	q := newQuota(1000)
	now := time.Now()
	after := func(seconds float64) time.Time { return now.Add(time.Duration(seconds * float64(time.Second))) }
	for _, step := range []struct {
		at    float64 // seconds
		spend uint64
		wait  time.Duration // afterwards
	}{
		{0, 0, 0},
		{0, 10_000, 0},             // all that was saved
		{0, 500, time.Second / 2},  // what a call took that was let in
		{0.25, 0, time.Second / 4}, // time goes by
		{0.5, 0, 0},                // and it is paid
		{1, 1000, time.Second / 2}, // no more is saved than flowed in since
		{100, 10_000, 0},           // and no more than the bucket holds
		{100, 1 << 63, time.Hour},  // a mistake is not paid for for ever
		{100, 1 << 63, time.Hour},  // nor two
		{100 + 3600, 0, 0},         // in the end
		{100 + 3600, 1, time.Second / 1000},
	} {
		q.spend(step.spend, after(step.at))
		if got := q.wait(after(step.at)); (got - step.wait).Abs() > time.Microsecond {
			t.Errorf("%v s, %d spent: wait of %v, want %v", step.at, step.spend, got, step.wait)
		}
	}
}

func TestNoQuotaIsNoLimit(t *testing.T) {
	q := newQuota(0)
	q.spend(1<<63, time.Now())
	if got := q.wait(time.Now()); got != 0 {
		t.Errorf("wait of %v", got)
	}
}

func TestAQuotaCountsWhatIsSpentAtTheSameTime(t *testing.T) {
	q := newQuota(1000)
	now := time.Now()
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			for range 1000 {
				q.spend(2, now)
			}
		})
	}
	wg.Wait()
	if got := q.wait(now); (got - 6*time.Second).Abs() > time.Microsecond {
		t.Errorf("wait of %v, want 6s", got)
	}
}

// A costly plugin answers quickly, and says that it was much work.
type costly struct {
	fuel  uint64
	calls atomic.Int64
}

func (c *costly) Call(_ context.Context, _ any, _, dst []byte) ([]byte, uint64, error) {
	n := c.calls.Add(1)
	var w abi.Writer
	w.Reset(dst)
	if n == 1 {
		return dst, c.fuel, errors.New("the first call fails, and costs as much")
	}
	(&abi.Reply{Status: 204}).Append(&w)
	return w.Value(), c.fuel, nil
}

func (c *costly) Invoke(context.Context, any, string) (int32, uint64, error) {
	return 0, 0, errors.New("no exports")
}

func (c *costly) Lease(context.Context, bool) (engine.Lease, error) { return c, nil }

func (c *costly) Release() {}

func (c *costly) Close(context.Context) error { return nil }

// costlySite is a deployment of a costly plugin.
func costlySite(c *costly, perSecond int64) *deploy.Deployment {
	desc := &abi.Description{Name: "costly", Families: []abi.Family{{
		Prefix: "/c", Errors: abi.DefaultErrors(), Codes: [][2]string{{abi.HostBusy, "later"}},
	}}, Routes: []abi.Route{
		{Method: "GET", Pattern: "/c/:x"}, {Method: "GET", Pattern: "/op", Auth: []string{"operator"}},
	}}
	return &deploy.Deployment{
		Spec: deploy.Spec{Name: "test", Hosts: []string{"*"}, FuelPerSecond: perSecond},
		Plugins: []*deploy.Plugin{{
			Spec: deploy.PluginSpec{Name: "costly"}, Desc: desc, Runner: c,
			Edge: &edge.Plugin{Name: "costly", Log: slog.New(slog.DiscardHandler)},
		}},
	}
}

func TestADeploymentThatHasUsedUpItsFuelIsRefused(t *testing.T) {
	var access syncBuffer
	r := start(t, Config{Access: slog.New(slog.NewTextHandler(&access, nil))})
	plugin := &costly{fuel: 600e3}
	set := func(perSecond int64) {
		t.Helper()
		if err := r.gateway.Set([]*deploy.Deployment{costlySite(plugin, perSecond)}); err != nil {
			t.Fatal(err)
		}
	}
	set(100) // 1,000 can be saved up
	r.do("GET /c/1", "").wants(500)
	for range 2 {
		got := r.do("GET /c/2", "").wants(503)
		after, err := strconv.Atoi(got.header.Get("Retry-After"))
		if err != nil || after < 3500 || after > 3600 || !strings.Contains(got.body, `"code":"later"`) {
			t.Errorf("%v %s", got.header, got.body)
		}
	}
	if n := plugin.calls.Load(); n != 1 {
		t.Errorf("the plugin was called %d times", n)
	}
	r.operate("GET", "costly", "/op", "").wants(204) // the operator gets in

	set(100) // another version owes as much
	r.do("GET /c/3", "").wants(503)
	set(0) // unless the limit is lifted
	r.do("GET /c/4", "").wants(204)

	for name, want := range map[string]float64{"edgeset_quota_refusals_total": 3, "edgeset_busy_total": 0, "edgeset_fuel_total": 3 * 600e3} {
		if got := r.metric(name, "deployment", "test", "plugin", "costly"); got != want {
			t.Errorf("%s is %v, want %v", name, got, want)
		}
	}
	if got := r.metric("edgeset_fuel_total", "route", "GET /c/:x"); got != 2*600e3 {
		t.Errorf("fuel of the route is %v", got)
	}
	for _, want := range []string{"path=/c/1 status=500", "path=/c/4 status=204"} {
		if !strings.Contains(access.String(), want) {
			t.Errorf("the access log has no %q", want)
		}
	}
	if n := strings.Count(access.String(), "fuel=600000\n"); n != 3 {
		t.Errorf("the access log tells of fuel %d times: %s", n, access.String())
	}
}

// The fuel of the check of a credential is the deployment's as well.
func TestACredentialCheckIsPaidFor(t *testing.T) {
	r := start(t, Config{})
	d := costlySite(&costly{fuel: 70}, 0)
	a := newAuthenticator(r.gateway, d, d.Plugins[0])
	x := newExchange(r.gateway)
	x.route = new(route)
	x.life.begin(r.gateway.ctx, time.Now(), nil)
	x.life.deadline = time.Now().Add(time.Minute)
	defer x.life.end()
	if _, err := a.ask(x, digest{}, abi.Credential{Kind: "token", Value: "x"}); err == nil {
		t.Error("want an error")
	}
	if got := r.metric("edgeset_fuel_total", "plugin", "costly", "route", "credential check"); got != 70 || x.fuel != 70 {
		t.Errorf("%v; the request's is %d", got, x.fuel)
	}
}

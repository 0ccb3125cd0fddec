package gateway

import (
	"io"
	"log/slog"
	"strconv"
	"time"

	"github.com/edgeset/edgeset/host/engine"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/common/expfmt"
	"github.com/valyala/fasthttp"
)

// metrics counts what a gateway does, for Prometheus.
type metrics struct {
	registry  *prometheus.Registry
	unmatched prometheus.Counter
	requests  *prometheus.CounterVec
	traps     *prometheus.CounterVec
	busy      *prometheus.CounterVec
	retries   *prometheus.CounterVec
	timeouts  *prometheus.CounterVec
	gone      *prometheus.CounterVec
	quota     *prometheus.CounterVec
	limited   *prometheus.CounterVec
	fuel      *prometheus.CounterVec
	latency   *prometheus.HistogramVec
}

// routeMetrics counts the requests of one route. The counters stay when the
// route's plugin is replaced.
type routeMetrics struct {
	requests [6]series // by the first digit of the status
	traps    series
	busy     series
	retries  series
	timeouts series
	gone     series
	quota    series
	limited  series // of the deployment
	fuel     series
	latency  times
}

func newMetrics(g *Gateway) *metrics {
	labels := []string{"deployment", "plugin", "route"}
	counter := func(name, help string, labels ...string) *prometheus.CounterVec {
		return prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, labels)
	}
	m := &metrics{
		registry: prometheus.NewRegistry(),
		unmatched: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "edgeset_unmatched_requests_total", Help: "Requests that no route matched.",
		}),
		requests: counter("edgeset_requests_total", "Requests by route and class of status.", append(labels, "code")...),
		traps:    counter("edgeset_traps_total", "Requests that ended with a trap of the plugin.", labels...),
		busy:     counter("edgeset_busy_total", "Requests refused because all instances were busy or the data in dispute.", labels...),
		retries:  counter("edgeset_transaction_retries_total", "Runs repeated after a conflict.", labels...),
		timeouts: counter("edgeset_timeouts_total", "Requests that were not done by their deadline.", labels...),
		gone:     counter("edgeset_disconnects_total", "Requests given up because the client had gone.", labels...),
		quota:    counter("edgeset_quota_refusals_total", "Requests refused because the deployment had used up its fuel.", labels...),
		limited:  counter("edgeset_rate_limited_total", "Requests refused because their application had made as many as it may.", "deployment"),
		fuel:     counter("edgeset_fuel_total", "Fuel spent by plugins: about one WebAssembly instruction a unit.", labels...),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "edgeset_request_duration_seconds", Help: "Time from the arrival of the whole request to its response.",
			Buckets: []float64{0.00005, 0.0001, 0.00025, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10},
		}, labels),
	}
	spool := prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "edgeset_spool_bytes", Help: "Files of uploads that are under way."},
		func() float64 { return float64(g.spools.taken()) })
	m.registry.MustRegister(spool, m.unmatched, m.requests, m.traps, m.busy, m.retries, m.timeouts, m.gone, m.quota, m.limited, m.fuel, m.latency, pools{g}, connections{g}, versions{g}, tenants{g},
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	return m
}

// name is what metrics call the route.
func (r *route) name() string { return r.Method + " " + r.Pattern }

func (m *metrics) route(deployment, plugin, method, pattern string) *routeMetrics {
	labels := []string{deployment, plugin, method + " " + pattern}
	r := &routeMetrics{
		traps:    series{vec: m.traps, labels: labels},
		busy:     series{vec: m.busy, labels: labels},
		retries:  series{vec: m.retries, labels: labels},
		timeouts: series{vec: m.timeouts, labels: labels},
		gone:     series{vec: m.gone, labels: labels},
		quota:    series{vec: m.quota, labels: labels},
		limited:  series{vec: m.limited, labels: labels[:1]},
		fuel:     series{vec: m.fuel, labels: labels},
		latency:  times{vec: m.latency, labels: labels},
	}
	for digit := 2; digit < len(r.requests); digit++ {
		r.requests[digit].vec = m.requests
		r.requests[digit].labels = append(labels[:3:3], strconv.Itoa(digit)+"xx")
	}
	r.requests[2].Add(0) // every route is seen, whether it is called or not
	return r
}

// forget drops what was counted of a deployment that is gone.
func (m *metrics) forget(deployment string) {
	gone := prometheus.Labels{"deployment": deployment}
	for _, v := range []*prometheus.CounterVec{m.requests, m.traps, m.busy, m.retries, m.timeouts, m.gone, m.quota, m.limited, m.fuel} {
		v.DeletePartialMatch(gone)
	}
	m.latency.DeletePartialMatch(gone)
}

// drop drops what was counted of the routes of a version that nobody uses any more, but
// for those that the versions that serve by now have as well, if there are any.
func (m *metrics) drop(s *site, now *service) {
	kept := map[string]bool{}
	if now != nil {
		for _, other := range now.sites() {
			for _, r := range other.routes() {
				kept[r.plugin.Spec.Name+" "+r.name()] = true
			}
		}
	}
	for _, r := range s.routes() {
		if kept[r.plugin.Spec.Name+" "+r.name()] {
			continue
		}
		gone := r.metrics
		for i := range gone.requests {
			gone.requests[i].drop()
		}
		for _, s := range []*series{&gone.traps, &gone.busy, &gone.retries, &gone.timeouts, &gone.gone, &gone.quota, &gone.fuel} {
			s.drop()
		}
		gone.latency.vec.DeleteLabelValues(gone.latency.labels...)
	}
}

// WritePrometheus writes the counters, the state of the pools, and what others count.
func (g *Gateway) WritePrometheus(w io.Writer, others ...prometheus.Gatherer) error {
	families, err := append(prometheus.Gatherers{g.metrics.registry}, others...).Gather()
	if err != nil {
		return err
	}
	encoder := expfmt.NewEncoder(w, expfmt.NewFormat(expfmt.TypeTextPlain))
	for _, f := range families {
		if err := encoder.Encode(f); err != nil {
			return err
		}
	}
	return nil
}

// pools collects the state of the plugins' instance pools when it is asked for.
type pools struct{ gateway *Gateway }

var poolMetrics = []struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(engine.Stats) float64
}{
	{poolDesc("edgeset_instances", "Instances of a plugin."), prometheus.GaugeValue,
		func(s engine.Stats) float64 { return float64(s.Instances) }},
	{poolDesc("edgeset_instances_idle", "Instances that wait for a call."), prometheus.GaugeValue,
		func(s engine.Stats) float64 { return float64(s.Idle) }},
	{poolDesc("edgeset_callers_waiting", "Requests that wait for an instance."), prometheus.GaugeValue,
		func(s engine.Stats) float64 { return float64(s.Waiting) }},
	{poolDesc("edgeset_plugin_calls_total", "Calls into a plugin."), prometheus.CounterValue,
		func(s engine.Stats) float64 { return float64(s.Calls) }},
	{poolDesc("edgeset_plugin_traps_total", "Calls that trapped."), prometheus.CounterValue,
		func(s engine.Stats) float64 { return float64(s.Traps) }},
	{poolDesc("edgeset_instance_evictions_total", "Instances thrown away."), prometheus.CounterValue,
		func(s engine.Stats) float64 { return float64(s.Evictions) }},
}

var (
	refusedDesc = poolDesc("edgeset_callers_refused_total",
		"Requests that got no instance: too many waited (full), the wait would have been too long (slow), or it was (late).", "reason")
	waitDesc = poolDesc("edgeset_callers_wait_seconds", "How long requests waited for an instance that did not get one at once.")
)

func poolDesc(name, help string, more ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, append([]string{"deployment", "version", "plugin"}, more...), nil)
}

// Describe implements prometheus.Collector.
func (pools) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range poolMetrics {
		ch <- m.desc
	}
	ch <- refusedDesc
	ch <- waitDesc
}

// Collect implements prometheus.Collector.
func (p pools) Collect(ch chan<- prometheus.Metric) {
	for _, svc := range p.gateway.table.Load().services {
		for _, s := range svc.sites() {
			for _, plugin := range s.deployment.Plugins {
				if v, ok := plugin.Runner.(interface{ Stats() engine.Stats }); ok {
					collectPool(ch, v.Stats(), s.deployment.Spec.Name, strconv.Itoa(s.deployment.Version), plugin.Spec.Name)
				}
			}
		}
	}
}

func collectPool(ch chan<- prometheus.Metric, stats engine.Stats, labels ...string) {
	for _, m := range poolMetrics {
		ch <- prometheus.MustNewConstMetric(m.desc, m.kind, m.value(stats), labels...)
	}
	for reason, n := range map[string]uint64{"full": stats.RefusedFull, "slow": stats.RefusedSlow, "late": stats.RefusedLate} {
		ch <- prometheus.MustNewConstMetric(refusedDesc, prometheus.CounterValue, float64(n), append(labels, reason)...)
	}
	ch <- prometheus.MustNewConstSummary(waitDesc, stats.Waits, stats.Waited.Seconds(), nil, labels...)
}

// finish counts a request that is answered, and logs it.
func (g *Gateway) finish(x *exchange) {
	now := time.Now()
	took := now.Sub(x.ready)
	if x.site != nil {
		x.site.quota.spend(x.fuel, now)
	}
	status := x.ctx.Response.StatusCode()
	if x.route == nil {
		g.metrics.unmatched.Inc()
	} else {
		m := x.route.metrics
		m.requests[min(max(status/100, 2), 5)].Inc()
		m.latency.Observe(took.Seconds())
		if x.site != nil && !x.route.isTransport() { // a poll takes as long as nothing happens
			x.site.stats.count(status, took)
			if svc := x.service; svc.canary != nil && x.site == svc.site {
				svc.beside.count(status, took)
			}
		}
		if x.retries > 0 {
			m.retries.Add(float64(x.retries))
		}
	}
	if access := g.config.Access; access != nil {
		access.LogAttrs(g.ctx, slog.LevelInfo, "request", x.attrs(status, took)...)
	}
}

// answerSize is how many bytes the body of an answer has, or is going to have: a blob is
// read as it is sent.
func answerSize(resp *fasthttp.Response) int {
	if resp.IsBodyStream() {
		return max(0, resp.Header.ContentLength())
	}
	return len(resp.Body())
}

// attrs are what the access log says of a request. The query is left out: it
// may carry a token.
func (x *exchange) attrs(status int, took time.Duration) []slog.Attr {
	deployment, plugin, pattern := "", "", ""
	if x.site != nil {
		deployment = x.site.deployment.Spec.Name
	}
	if x.route != nil {
		plugin, pattern = x.route.plugin.Spec.Name, x.route.Pattern
	}
	return []slog.Attr{
		slog.String("id", string(x.id)),
		slog.String("remote", string(x.remote)),
		slog.String("method", string(x.ctx.Method())),
		slog.String("path", string(x.path)),
		slog.Int("status", status),
		slog.Duration("took", took),
		slog.Int("in", x.received),
		slog.Int("out", answerSize(&x.ctx.Response)),
		slog.String("deployment", deployment),
		slog.String("plugin", plugin),
		slog.String("route", pattern),
		slog.String("app", x.caller.App),
		slog.String("proof", x.caller.Proof),
		slog.Int("retries", x.retries),
		slog.Uint64("fuel", x.fuel),
	}
}

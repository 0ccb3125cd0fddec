package gateway

import (
	"strconv"

	"github.com/prometheus/client_golang/prometheus"
)

// versions collects how the versions that serve answer. Their numbers are labels, so
// what has been counted of one goes when it does.
type versions struct{ gateway *Gateway }

var versionMetrics = []struct {
	desc  *prometheus.Desc
	value func(VersionStats) float64
}{
	{versionDesc("edgeset_version_requests_total", "Requests answered by a version of a deployment that serves."),
		func(s VersionStats) float64 { return float64(s.Requests) }},
	{versionDesc("edgeset_version_errors_total", "Of these, those answered with 5xx."),
		func(s VersionStats) float64 { return float64(s.Errors) }},
	{versionDesc("edgeset_version_traps_total", "Of these, those that ended with a trap of a plugin."),
		func(s VersionStats) float64 { return float64(s.Traps) }},
}

var versionTimeDesc = versionDesc("edgeset_version_duration_seconds", "Time from the arrival of the whole request to its response, since the version serves.")

func versionDesc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, []string{"deployment", "version", "role"}, nil)
}

// Describe implements prometheus.Collector.
func (versions) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range versionMetrics {
		ch <- m.desc
	}
	ch <- versionTimeDesc
}

// Collect implements prometheus.Collector.
func (v versions) Collect(ch chan<- prometheus.Metric) {
	for _, svc := range v.gateway.table.Load().services {
		for i, s := range svc.sites() {
			stats := s.stats.read()
			labels := []string{s.deployment.Spec.Name, strconv.Itoa(s.deployment.Version), [...]string{"current", "canary"}[i]}
			for _, m := range versionMetrics {
				ch <- prometheus.MustNewConstMetric(m.desc, prometheus.CounterValue, m.value(stats), labels...)
			}
			ch <- prometheus.MustNewConstSummary(versionTimeDesc, stats.Requests, s.stats.seconds(),
				map[float64]float64{0.5: stats.P50 / 1000, 0.99: stats.P99 / 1000}, labels...)
		}
	}
}

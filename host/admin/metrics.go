package admin

import (
	"time"

	"github.com/edgeset/edgeset/host/outbox"
	"github.com/prometheus/client_golang/prometheus"
)

// deliveries collects what the outbox counts when it is asked for.
type deliveries struct{ outbox Outbox }

// newMetrics has what the outbox counts; o may be nil.
func newMetrics(o Outbox) *prometheus.Registry {
	r := prometheus.NewRegistry()
	if o != nil {
		r.MustRegister(deliveries{o})
	}
	return r
}

var outboxMetrics = []struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(outbox.Stat) float64
}{
	{outboxDesc("edgeset_outbox_queued", "Entries of the outbox that wait to be delivered."), prometheus.GaugeValue,
		func(s outbox.Stat) float64 { return float64(s.Queued) }},
	{outboxDesc("edgeset_outbox_oldest_seconds", "How long the oldest entry has waited; 0: none waits."), prometheus.GaugeValue, oldest},
	{outboxDesc("edgeset_outbox_attempts_total", "Attempts to deliver an entry."), prometheus.CounterValue,
		func(s outbox.Stat) float64 { return float64(s.Attempts) }},
	{outboxDesc("edgeset_outbox_retries_total", "Attempts that were not the first of their entry."), prometheus.CounterValue,
		func(s outbox.Stat) float64 { return float64(s.Retried) }},
	{outboxDesc("edgeset_outbox_sent_total", "Entries that were delivered."), prometheus.CounterValue,
		func(s outbox.Stat) float64 { return float64(s.Sent) }},
	{outboxDesc("edgeset_outbox_failed_total", "Entries that were refused or given up."), prometheus.CounterValue,
		func(s outbox.Stat) float64 { return float64(s.Failed) }},
}

func outboxDesc(name, help string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, []string{"deployment", "via"}, nil)
}

func oldest(s outbox.Stat) float64 {
	if s.Oldest.IsZero() {
		return 0
	}
	return max(0, time.Since(s.Oldest).Seconds())
}

// Describe implements prometheus.Collector.
func (deliveries) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range outboxMetrics {
		ch <- m.desc
	}
}

// Collect implements prometheus.Collector.
func (d deliveries) Collect(ch chan<- prometheus.Metric) {
	d.outbox.Collect(func(s outbox.Stat) {
		for _, m := range outboxMetrics {
			ch <- prometheus.MustNewConstMetric(m.desc, m.kind, m.value(s), s.Deployment, s.Via)
		}
	})
}

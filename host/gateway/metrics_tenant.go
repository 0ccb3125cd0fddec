package gateway

import (
	"github.com/edgeset/edgeset/host/engine"
	"github.com/prometheus/client_golang/prometheus"
)

// tenants collects what deployments use, when it is asked for.
type tenants struct{ gateway *Gateway }

var tenantMetrics = []struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(engine.TenantStats) float64
}{
	{liveDesc("edgeset_deployment_memory_bytes", "Memory of all instances of a deployment, as its guests see it."), prometheus.GaugeValue,
		func(s engine.TenantStats) float64 { return float64(s.Memory) }},
	{liveDesc("edgeset_deployment_computed_seconds_total", "Time that guests of a deployment have computed, and that was spent for them."), prometheus.CounterValue,
		func(s engine.TenantStats) float64 { return s.Computed.Seconds() }},
	{liveDesc("edgeset_deployment_waited_seconds_total", "Time that calls of a deployment have waited in their midst, for its limits or for others."), prometheus.CounterValue,
		func(s engine.TenantStats) float64 { return s.Waited.Seconds() }},
}

// Describe implements prometheus.Collector.
func (tenants) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range tenantMetrics {
		ch <- m.desc
	}
}

// Collect implements prometheus.Collector.
func (c tenants) Collect(ch chan<- prometheus.Metric) {
	for _, s := range c.gateway.table.Load().services {
		if s.deployment.Tenant == nil { // one that is compiled into this process
			continue
		}
		stats := s.deployment.Tenant.Stats()
		for _, m := range tenantMetrics {
			ch <- prometheus.MustNewConstMetric(m.desc, m.kind, m.value(stats), s.deployment.Spec.Name)
		}
	}
}

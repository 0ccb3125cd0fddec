package gateway

import (
	"github.com/edgeset/edgeset/host/realtime"
	"github.com/prometheus/client_golang/prometheus"
)

// connections collects the state of the hubs when it is asked for.
type connections struct{ gateway *Gateway }

var liveMetrics = []struct {
	desc  *prometheus.Desc
	kind  prometheus.ValueType
	value func(realtime.Stats) float64
}{
	{liveDesc("edgeset_realtime_members", "Connections that clients keep open: sockets and streams."), prometheus.GaugeValue,
		func(s realtime.Stats) float64 { return float64(s.Members) }},
	{liveDesc("edgeset_realtime_subscribed", "Connections that a plugin has subscribed."), prometheus.GaugeValue,
		func(s realtime.Stats) float64 { return float64(s.Subscribed) }},
	{liveDesc("edgeset_realtime_rooms", "Rooms that connections are in."), prometheus.GaugeValue,
		func(s realtime.Stats) float64 { return float64(s.Rooms) }},
	{liveDesc("edgeset_realtime_queue_bytes", "Published messages that wait for their delivery."), prometheus.GaugeValue,
		func(s realtime.Stats) float64 { return float64(s.QueueBytes) }},
	{liveDesc("edgeset_realtime_events_total", "Events that plugins have published."), prometheus.CounterValue,
		func(s realtime.Stats) float64 { return float64(s.Events) }},
	{liveDesc("edgeset_realtime_deliveries_total", "Events handed to connections."), prometheus.CounterValue,
		func(s realtime.Stats) float64 { return float64(s.Deliveries) }},
	{liveDesc("edgeset_realtime_checks_total", "Credentials of subscriptions that were checked again."), prometheus.CounterValue,
		func(s realtime.Stats) float64 { return float64(s.Checks) }},
}

var droppedDesc = liveDesc("edgeset_realtime_dropped_total", "Connections and subscriptions that the server has ended.", "reason")

func liveDesc(name, help string, more ...string) *prometheus.Desc {
	return prometheus.NewDesc(name, help, append([]string{"deployment"}, more...), nil)
}

// Describe implements prometheus.Collector.
func (connections) Describe(ch chan<- *prometheus.Desc) {
	for _, m := range liveMetrics {
		ch <- m.desc
	}
	ch <- droppedDesc
}

// Collect implements prometheus.Collector.
func (c connections) Collect(ch chan<- prometheus.Metric) {
	for _, s := range c.gateway.table.Load().services {
		name, stats := s.deployment.Spec.Name, s.live.hub.Stats()
		for _, m := range liveMetrics {
			ch <- prometheus.MustNewConstMetric(m.desc, m.kind, m.value(stats), name)
		}
		for reason, n := range stats.Dropped {
			ch <- prometheus.MustNewConstMetric(droppedDesc, prometheus.CounterValue, float64(n), name, reason)
		}
	}
}

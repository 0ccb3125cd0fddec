package gateway

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// A series is a counter of a route that is made when something is counted for the
// first time. Of a hundred deployments there would be 100,000 otherwise, of 1 KB each,
// to be kept and to be read by every scrape, and few of them are ever used.
type series struct {
	vec    *prometheus.CounterVec
	labels []string
	made   atomic.Pointer[prometheus.Counter]
}

// Inc and Add count.
func (s *series) Inc() { s.Add(1) }
func (s *series) Add(n float64) {
	c := s.made.Load()
	if c == nil {
		made := s.vec.WithLabelValues(s.labels...) // the same for all who come at once
		c = &made
		s.made.Store(c)
	}
	(*c).Add(n)
}

// drop takes it away, if it was ever made.
func (s *series) drop() {
	if s.vec != nil {
		s.vec.DeleteLabelValues(s.labels...)
	}
}

// A times is such a histogram.
type times struct {
	vec    *prometheus.HistogramVec
	labels []string
	made   atomic.Pointer[prometheus.Observer]
}

// Observe counts a time, in seconds.
func (t *times) Observe(seconds float64) {
	o := t.made.Load()
	if o == nil {
		made := t.vec.WithLabelValues(t.labels...)
		o = &made
		t.made.Store(o)
	}
	(*o).Observe(seconds)
}

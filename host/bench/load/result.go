package load

import (
	"fmt"
	"sync"
	"time"

	"github.com/HdrHistogram/hdrhistogram-go"
)

// A Result is what came of a run. Sent + Unsent is the number of requests that
// were due (until ctx ended), and Sent the sum of Status and Errors.
type Result struct {
	Sent   int64         // requests that were sent
	OK     int64         // of them, answered as they should be
	Status map[int]int64 // of them, by status
	Errors int64         // of them, without an answer: timeouts, closed connections
	Unsent int64         // due, but not sent within Drain

	FirstError error // of Errors, or nil

	Elapsed time.Duration // until the last answer, at least the Duration
	Goodput float64       // OK a second

	Latency Latency // of OK, from due to answered
	Failed  Latency // of all others, from due to refused or given up
	Wait    Latency // of Sent, from due to sent: for the generator, or a free connection
}

// Latency is a distribution, exact to a thousandth of each value. All is 0 if
// there were none.
type Latency struct {
	P50, P90, P99, P999, Max time.Duration

	counts *hdrhistogram.Histogram // nil: none
}

// add makes l the distribution of the values of both.
func (l *Latency) add(other *Latency) {
	sum := newHistogram()
	for _, part := range [...]*Latency{l, other} {
		if part.counts != nil {
			sum.Merge(part.counts)
		}
	}
	*l = summary(sum)
}

func (l Latency) String() string {
	return fmt.Sprintf("p50 %v p90 %v p99 %v p99.9 %v max %v", l.P50, l.P90, l.P99, l.P999, l.Max)
}

func (r *Result) String() string {
	return fmt.Sprintf("%d sent, %d ok, %d errors, %d unsent, status %v, %.0f/s; %v",
		r.Sent, r.OK, r.Errors, r.Unsent, r.Status, r.Goodput, r.Latency)
}

// unit and longest are those of the histograms; what took longer counts as the
// longest.
const (
	unit    = time.Microsecond
	longest = 10 * time.Minute
)

// Add makes r the result of both runs, one after the other.
func (r *Result) Add(other *Result) {
	if r.Status == nil {
		r.Status = map[int]int64{}
	}
	for status, n := range other.Status {
		r.Status[status] += n
	}
	r.Sent, r.OK, r.Errors, r.Unsent = r.Sent+other.Sent, r.OK+other.OK, r.Errors+other.Errors, r.Unsent+other.Unsent
	if r.FirstError == nil {
		r.FirstError = other.FirstError
	}
	r.Elapsed += other.Elapsed
	r.Goodput = float64(r.OK) / r.Elapsed.Seconds()
	for _, l := range [...][2]*Latency{{&r.Latency, &other.Latency}, {&r.Failed, &other.Failed}, {&r.Wait, &other.Wait}} {
		l[0].add(l[1])
	}
}

// A record gathers what the workers see.
type record struct {
	mu                    sync.Mutex
	sum                   Result
	latency, failed, wait *hdrhistogram.Histogram
}

func newRecord() *record {
	return &record{
		sum:     Result{Status: map[int]int64{}},
		latency: newHistogram(), failed: newHistogram(), wait: newHistogram(),
	}
}

func newHistogram() *hdrhistogram.Histogram { return hdrhistogram.New(1, int64(longest/unit), 3) }

func put(h *hdrhistogram.Histogram, d time.Duration) {
	// Clamped to what the histogram takes, so that there is no error.
	_ = h.RecordValue(int64(min(max(d, 0), longest) / unit))
}

func (r *record) answer(ok bool, status int, err error, wait, latency time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sum.Sent++
	put(r.wait, wait)
	switch {
	case err != nil:
		r.sum.Errors++
		if r.sum.FirstError == nil {
			r.sum.FirstError = err
		}
	default:
		r.sum.Status[status]++
	}
	if ok {
		r.sum.OK++
		put(r.latency, latency)
	} else {
		put(r.failed, latency)
	}
}

// leave counts a request that was never sent, and had waited so long.
func (r *record) leave(waited time.Duration) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.sum.Unsent++
	put(r.failed, waited)
}

func (r *record) result(elapsed time.Duration) *Result {
	r.mu.Lock()
	defer r.mu.Unlock()
	sum := r.sum
	sum.Elapsed = elapsed
	sum.Goodput = float64(sum.OK) / elapsed.Seconds()
	sum.Latency, sum.Failed, sum.Wait = summary(r.latency), summary(r.failed), summary(r.wait)
	return &sum
}

func summary(h *hdrhistogram.Histogram) Latency {
	at := func(percent float64) time.Duration { return time.Duration(h.ValueAtQuantile(percent)) * unit }
	return Latency{P50: at(50), P90: at(90), P99: at(99), P999: at(99.9), Max: time.Duration(h.Max()) * unit, counts: h}
}

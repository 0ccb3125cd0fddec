package main_test

import (
	"cmp"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"
)

// A drillResult is what came out of a drill.
type drillResult struct {
	Swaps     int     `json:"swaps"` // each of which swaps all plugins
	Requests  int     `json:"requests"`
	Failed    int     `json:"failed"`
	Dropped   int     `json:"sockets_dropped"`
	Lost      int     `json:"writes_lost"`
	Mixed     int     `json:"mixed_answers"`
	P99Steady float64 `json:"p99_steady_ms"` // between swaps
	P99Swap   float64 `json:"p99_swap_ms"`   // from when the host was asked until the version before was closed

	P99Before float64 `json:"p99_before_ms"` // before the first swap
	Stale     int     `json:"stale_answers"`
	Missed    int     `json:"events_lost"`
	Strange   int     `json:"events_strange"`
	Sockets   int     `json:"sockets"`
	Events    int64   `json:"events"`
	Writes    int     `json:"writes"`
	RSSBefore float64 `json:"rss_before_mib"`
	RSSAfter  float64 `json:"rss_after_mib"`

	text string
}

// The times of a drill that are told apart.
const (
	beforeSwaps = iota
	betweenSwaps
	duringSwaps
	drillTimes
)

// result tells how long requests took. One that was under way while a swap was counts
// for the swap.
func (d *drill) result(c *crew, begin time.Time, took time.Duration) *drillResult {
	r := &drillResult{Swaps: len(d.swaps), Sockets: len(c.ears), Events: c.events(), Writes: c.writes()}
	var total [drillTimes]latencies
	kinds := map[string]*[drillTimes]latencies{}
	for _, l := range c.lines {
		for i := range l.calls {
			call := &l.calls[i]
			if call.begin.Before(begin) {
				continue
			}
			r.Requests++
			k := kinds[call.kind]
			if k == nil {
				k = new([drillTimes]latencies)
				kinds[call.kind] = k
			}
			at := d.timeOf(call)
			k[at].add(call.took)
			total[at].add(call.took)
		}
	}
	ms := func(d time.Duration) float64 { return float64(d.Microseconds()) / 1000 }
	r.P99Before, r.P99Steady, r.P99Swap = ms(total[beforeSwaps].at(0.99)), ms(total[betweenSwaps].at(0.99)), ms(total[duringSwaps].at(0.99))
	if n := len(d.memory.rss); n > 0 {
		r.RSSBefore, r.RSSAfter = mib(d.memory.rss[0]), mib(d.memory.rss[n-1])
	}

	var b strings.Builder
	line := func(format string, args ...any) { fmt.Fprintf(&b, format+"\n", args...) }
	line("%d swaps of all plugins within %v, %d clients, %d sockets; %d requests (%.0f a second), %d writes, %d events; access log on, durability power",
		r.Swaps, took.Round(time.Second), len(c.workers), r.Sockets, r.Requests, float64(r.Requests)/took.Seconds(), r.Writes, r.Events)
	line("%-9s %8s %23s %23s %23s", "", "", "before", "between", "during swaps")
	line("%-9s %8s %11s %11s %11s %11s %11s %11s", "", "requests", "p50", "p99", "p50", "p99", "p50", "p99")
	row := func(name string, k *[drillTimes]latencies) {
		n := 0
		var cells []any
		for i := range k {
			n += len(k[i].list)
			cells = append(cells, k[i].at(0.5), k[i].at(0.99))
		}
		line("%-9s %8d %11v %11v %11v %11v %11v %11v", append([]any{name, n}, cells...)...)
	}
	for _, name := range slices.Sorted(maps.Keys(kinds)) {
		row(name, kinds[name])
	}
	row("all", &total)
	verdict := "is not at most"
	if r.P99Swap <= 2*r.P99Steady {
		verdict = "is at most"
	}
	line("p99 during swaps %s 2 times the p99 between them: %.2f times; %.2f times the p99 before the first one",
		verdict, r.P99Swap/r.P99Steady, r.P99Swap/r.P99Before)
	var deploys, drains latencies
	for _, s := range d.swaps {
		deploys.add(s.deployed.Sub(s.begin))
		drains.add(s.end.Sub(s.deployed))
	}
	line("a deploy took %v (median), %v (longest); until the version before was closed %v, %v more",
		deploys.at(0.5), deploys.at(1), drains.at(0.5), drains.at(1))
	line("RSS of the server in the course of the swaps, MiB:%s; largest %.0f", d.memory.course(), mib(d.memory.largest()))
	r.text = b.String()
	return r
}

// timeOf tells in which of the times of the drill a request was under way.
func (d *drill) timeOf(call *lineCall) int {
	end := call.end()
	if len(d.swaps) == 0 || end.Before(d.swaps[0].begin) {
		return beforeSwaps
	}
	// The first swap that had not ended when the request began.
	i, _ := slices.BinarySearchFunc(d.swaps, call.begin, func(s swap, at time.Time) int { return cmp.Or(s.end.Compare(at), -1) })
	if i == len(d.swaps) || !d.swaps[i].begin.Before(end) {
		return betweenSwaps
	}
	return duringSwaps
}

// count takes over what must not be.
func (r *drillResult) count(y *tally) {
	r.Failed, r.Dropped, r.Lost, r.Mixed = y.of(failed), y.of(dropped), y.of(lost), y.of(mixed)
	r.Stale, r.Missed, r.Strange = y.of(stale), y.of(missed), y.of(strange)
}

func (r *drillResult) String() string {
	return fmt.Sprintf("%d of %d requests failed, %d answers are mixed and %d stale, %d sockets were dropped, %d events lost and %d strange, %d writes lost",
		r.Failed, r.Requests, r.Mixed, r.Stale, r.Dropped, r.Missed, r.Strange, r.Lost)
}

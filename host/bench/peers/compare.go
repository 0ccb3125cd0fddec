package main

import (
	"bytes"
	"context"
	"fmt"
	"math"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/edgeset/edgeset/host/bench"
	"github.com/edgeset/edgeset/host/bench/load"
)

// An exchange is one kind of request, the same to all sides.
type exchange struct {
	name    string
	stores  bool // so that durability matters
	prepare func(s *side) load.Prepare
	expect  string // in the body of every answer
}

var exchanges = []exchange{
	{name: "http/empty", expect: `"result":"ok"`, prepare: func(*side) load.Prepare {
		return func(_ int, req *fasthttp.Request) { req.SetRequestURI("/empty") }
	}},
	{name: "http/view", expect: `"location":[[`, prepare: func(s *side) load.Prepare {
		return func(n int, req *fasthttp.Request) { req.SetRequestURI(s.viewURI[n%tickets]) }
	}},
	{name: "http/append_location", stores: true, expect: fmt.Sprintf(`"stored":%d`, points), prepare: func(s *side) load.Prepare {
		return func(_ int, req *fasthttp.Request) {
			u := s.uploads.Add(1) - 1
			s.fill(req, "POST", "")
			req.SetRequestURI(s.appendURI[u%tickets])
			req.Header.SetContentType("application/json")
			req.SetBodyRaw(s.rows(req.Body(), firstUpload+u/tickets))
		}
	}},
}

// A drive is one way of sending requests.
type drive struct {
	rate        float64 // requests due a second
	time        time.Duration
	connections int
	seed        uint64 // of the times at which requests are due
	drop        bool   // what has not been sent by the end never is
}

// full is more than any side takes: what a request costs a server that has
// always something to do. A server that waits for most requests pays as much for
// falling asleep and waking up, which is the same for all of them.
func full(d time.Duration) drive {
	return drive{rate: 100_000, time: d, connections: 16, drop: true}
}

// steady is the same load for both sides, which come and go as those of
// independent clients. All is sent, if late.
func steady(rate float64, d time.Duration, seed uint64) drive {
	return drive{rate: rate, time: d, connections: 64, seed: seed}
}

const (
	// settle is a pause behind each run, which counts as part of it: what the
	// server still does then it does because of the run.
	settle = 100 * time.Millisecond
	// tolerated is the share of requests that may go wrong: uploads to one ticket
	// that meet each other too often.
	tolerated = 0.01
)

// A sample is what one run gave.
type sample struct {
	perCPU   float64 // requests a second of processor time
	perTime  float64 // requests a second of time
	p50, p99 float64 // ms
}

// run sends requests and measures what they cost the server.
func (s *side) run(ctx context.Context, x *exchange, d drive) (sample, error) {
	expect := []byte(x.expect)
	c := load.Config{
		Addr: s.addr, Rate: d.rate, Duration: d.time, Connections: d.connections,
		Poisson: true, Seed: d.seed, Drain: time.Minute,
		OK: func(_ int, resp *fasthttp.Response) bool {
			return resp.StatusCode() == fasthttp.StatusOK && bytes.Contains(resp.Body(), expect)
		},
	}
	if d.drop {
		c.Drain = 1
	}
	before, err := cpuTime(s.process.cmd.Process.Pid)
	if err != nil {
		return sample{}, err
	}
	r, err := load.Run(ctx, c, x.prepare(s))
	if err != nil {
		return sample{}, err
	}
	failed := r.Sent - r.OK
	if !d.drop {
		failed += r.Unsent
	}
	if r.OK == 0 || float64(failed) > tolerated*float64(r.OK) {
		return sample{}, fmt.Errorf("%s: %s at %.0f/s: %v (%v)", s.name, x.name, d.rate, r, r.FirstError)
	}
	time.Sleep(settle)
	after, err := cpuTime(s.process.cmd.Process.Pid)
	if err != nil {
		return sample{}, err
	}
	ms := func(d time.Duration) float64 { return d.Seconds() * 1e3 }
	return sample{
		perCPU: float64(r.OK) / (after - before).Seconds(), perTime: r.Goodput,
		p50: ms(r.Latency.P50), p99: ms(r.Latency.P99),
	}, nil
}

// A plan is how a comparison is measured: of each side in each round, that long
// under full and under steady load.
type plan struct {
	rounds int // odd, so that there is a median
	time   time.Duration
}

// mostRate is where steady load ends: the generator is on the same machine.
const mostRate = 4000

// steadyRate returns what both sides can be offered: half of what the slower one
// takes. Afterwards both are warm.
func steadyRate(ctx context.Context, x *exchange, d time.Duration, sides [2]*side) (float64, error) {
	rate := float64(mostRate)
	for _, s := range sides {
		for range 2 {
			r, err := s.run(ctx, x, full(d))
			if err != nil {
				return 0, err
			}
			rate = min(rate, r.perTime/2)
		}
	}
	return roundDown(rate), nil
}

// roundDown leaves two digits.
func roundDown(x float64) float64 {
	scale := math.Pow(10, math.Floor(math.Log10(x))-1)
	return math.Floor(x/scale) * scale
}

// A result is a comparison of edgeset and a peer.
type result struct {
	exchange     *exchange
	peer         string
	durability   string
	rate         float64     // of the steady load
	full, steady [2][]sample // ours, theirs
}

// compare has the sides take turns, each first as often as the other.
func compare(ctx context.Context, x *exchange, p plan, sides [2]*side) (*result, error) {
	rate, err := steadyRate(ctx, x, p.time, sides)
	if err != nil {
		return nil, err
	}
	r := &result{exchange: x, rate: rate}
	for round := range p.rounds {
		for _, load := range []struct {
			drive   drive
			samples *[2][]sample
		}{
			{full(p.time), &r.full},
			{steady(rate, p.time, uint64(round)), &r.steady},
		} {
			for k := range sides {
				i := (k + round) % 2
				s, err := sides[i].run(ctx, x, load.drive)
				if err != nil {
					return nil, err
				}
				load.samples[i] = append(load.samples[i], s)
			}
		}
	}
	return r, nil
}

// column takes one figure of all rounds.
func column(samples []sample, of func(sample) float64) []float64 {
	var v []float64
	for _, s := range samples {
		v = append(v, of(s))
	}
	return v
}

func perCPU(s sample) float64 { return s.perCPU }
func p50(s sample) float64    { return s.p50 }
func p99(s sample) float64    { return s.p99 }

// rows are those of the file, medians: what a request costs under full load,
// what under steady load, and how long it takes then.
func (r *result) rows() []bench.Row {
	row := func(suffix, unit string, samples [2][]sample, of func(sample) float64, better bench.Better) bench.Row {
		return bench.RoundsRow(r.exchange.name+suffix, r.peer, unit, column(samples[0], of), column(samples[1], of), better)
	}
	return []bench.Row{
		row("", "requests/CPU-s", r.full, perCPU, bench.Larger),
		row("/steady", "requests/CPU-s", r.steady, perCPU, bench.Larger),
		row("/p50", "ms", r.steady, p50, bench.Smaller),
		row("/p99", "ms", r.steady, p99, bench.Smaller),
	}
}

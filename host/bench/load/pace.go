package load

import (
	"context"
	"iter"
	"math/rand/v2"
	"time"
)

// A call is one request of the schedule.
type call struct {
	n   int
	due time.Time
}

// offsets yields when requests are due, counted from the start, in order.
func (c *Config) offsets() iter.Seq[time.Duration] {
	second := float64(time.Second)
	return func(yield func(time.Duration) bool) {
		random := rand.New(rand.NewPCG(c.Seed, 0))
		next := 0.0
		for n := 0; ; n++ {
			if c.Poisson {
				next += random.ExpFloat64() * second / c.Rate
			} else {
				next = float64(n) * second / c.Rate // from n: no sum of errors
			}
			if at := time.Duration(next); at >= c.Duration || !yield(at) {
				return
			}
		}
	}
}

// pace hands each call to a worker when it is due. While all workers are busy it
// waits, and then catches up without a pause: calls start late, with the time at
// which they were due.
func pace(ctx context.Context, config *Config, start time.Time, calls chan<- call, record *record) error {
	end := time.NewTimer(config.Duration + config.Drain)
	defer end.Stop()
	n, over := 0, false
	for at := range config.offsets() {
		c := call{n, start.Add(at)}
		n++
		if over {
			record.leave(time.Since(c.due))
			continue
		}
		if err := sleepUntil(ctx, c.due); err != nil {
			return err
		}
		select {
		case calls <- c:
		case <-end.C:
			over = true
			record.leave(time.Since(c.due))
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// coarse is how much too late a timer of Go's may be on an idle machine: it
// counts in milliseconds there.
const coarse = 2 * time.Millisecond

func sleepUntil(ctx context.Context, due time.Time) error {
	if d := time.Until(due); d > coarse {
		timer := time.NewTimer(d - coarse)
		select {
		case <-timer.C:
		case <-ctx.Done():
			timer.Stop()
			return ctx.Err()
		}
	}
	for d := time.Until(due); d > 0; d = time.Until(due) {
		sleepFine(d)
	}
	return nil
}

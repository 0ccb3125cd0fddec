package gateway

import (
	"math/bits"
	"sync/atomic"
	"time"

	"github.com/edgeset/edgeset/host/deploy"
)

// VersionStats tells how a version of a deployment answers.
type VersionStats struct {
	Requests uint64  `json:"requests"` // socket's events included
	Errors   uint64  `json:"errors"`   // answered with 5xx
	Traps    uint64  `json:"traps"`    // of these: calls that trapped
	P50      float64 `json:"p50_ms"`   // from the arrival of the whole request to its response, within 6 %
	P99      float64 `json:"p99_ms"`
}

// versionStats counts the requests of a version. Unlike the metrics of a route they end
// with it, so that two versions can be told apart.
type versionStats struct {
	requests, errors, traps atomic.Uint64
	took                    atomic.Int64 // all of them together, in nanoseconds
	times                   [timeBuckets]atomic.Uint64
}

// A time is counted in microseconds, with 4 bits behind the first one: in a bucket that
// is a sixteenth of it wide. Beyond half an hour they all are in the last.
const (
	timeBits    = 4
	timeBuckets = (31 - timeBits) << timeBits
)

func timeBucket(d time.Duration) int {
	us := uint64(max(d.Microseconds(), 0))
	if us < 1<<timeBits {
		return int(us)
	}
	shift := bits.Len64(us) - 1 - timeBits
	return min(shift<<timeBits+int(us>>shift), timeBuckets-1)
}

// timeOf returns the middle of a bucket, in milliseconds.
func timeOf(bucket int) float64 {
	if bucket < 2<<timeBits {
		return float64(bucket) / 1000
	}
	shift := bucket>>timeBits - 1
	low := uint64(1<<timeBits+bucket&(1<<timeBits-1)) << shift
	return (float64(low) + float64(uint64(1)<<shift)/2) / 1000
}

func (v *versionStats) count(status int, took time.Duration) {
	v.requests.Add(1)
	if status >= 500 {
		v.errors.Add(1)
	}
	v.took.Add(int64(took))
	v.times[timeBucket(took)].Add(1)
}

func (v *versionStats) seconds() float64 { return time.Duration(v.took.Load()).Seconds() }

func (v *versionStats) read() VersionStats {
	var counts [timeBuckets]uint64
	var total uint64
	for i := range v.times {
		counts[i] = v.times[i].Load()
		total += counts[i]
	}
	quantile := func(q float64) float64 {
		if total == 0 {
			return 0
		}
		rank, seen := uint64(q*float64(total)), uint64(0)
		for i, n := range counts {
			if seen += n; seen > rank {
				return timeOf(i)
			}
		}
		return timeOf(timeBuckets - 1)
	}
	return VersionStats{Requests: v.requests.Load(), Errors: v.errors.Load(), Traps: v.traps.Load(), P50: quantile(0.5), P99: quantile(0.99)}
}

// Stats tells how a version answers that is served, and since when it is.
func (g *Gateway) Stats(d *deploy.Deployment) (stats VersionStats, since time.Time) {
	if svc := g.table.Load().byName(d.Spec.Name); svc != nil {
		for _, s := range svc.sites() {
			if s.deployment == d {
				return s.stats.read(), s.since
			}
		}
	}
	return stats, since
}

// Compare tells how the current version and the canary of a deployment answer, both
// since the canary is tried; ok is false if there is none.
func (g *Gateway) Compare(deployment string) (current, canary VersionStats, ok bool) {
	svc := g.table.Load().byName(deployment)
	if svc == nil || svc.canary == nil {
		return current, canary, false
	}
	return svc.beside.read(), svc.canary.stats.read(), true
}

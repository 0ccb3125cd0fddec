package gateway

import (
	"fmt"
	"sync/atomic"
	"time"

	"github.com/edgeset/edgeset/host/engine"
)

// Of the time that fuel takes to flow in: a deployment can save up quotaBurst to
// spend at once, and owes maxDebt at most.
const (
	quotaBurst = engine.FuelBurst
	maxDebt    = time.Hour
)

// A quota bounds the fuel of a deployment in the long run. It is a bucket that
// holds as much as flows in during quotaBurst. Nobody knows what a request costs
// before it has run: requests are let in as long as there is anything left, and
// what they took beyond that is owed, and waited for. What one request can take
// beyond it is little: its guests wait for fuel as well, see engine.Tenant.
//
// The level is kept as the time at which all that was spent will have flown in,
// so that nothing has to be topped up, and a change of the rate forgives
// nothing.
type quota struct {
	perSecond float64       // units of fuel; 0: no limit
	paid      *atomic.Int64 // nanoseconds since epoch
}

// epoch is where times begin that no setting of the clock may change.
var epoch = time.Now()

// newQuota returns a quota that nothing was taken of yet.
func newQuota(perSecond int64) *quota {
	return &quota{float64(perSecond), new(atomic.Int64)}
}

// inherit has q go on where another one stands, which may still be in use.
func (q *quota) inherit(old *quota) { q.paid = old.paid }

// wait returns how long it is until a request can be let in; 0: it can be now.
func (q *quota) wait(now time.Time) time.Duration {
	if q.perSecond == 0 {
		return 0
	}
	return max(0, time.Duration(q.paid.Load())-now.Sub(epoch)-quotaBurst)
}

// spend takes fuel that was spent.
func (q *quota) spend(fuel uint64, now time.Time) {
	if q.perSecond == 0 || fuel == 0 {
		return
	}
	cost := min(float64(fuel)/q.perSecond*float64(time.Second), float64(maxDebt))
	at := int64(now.Sub(epoch))
	for {
		paid := q.paid.Load()
		next := min(max(paid, at)+int64(cost), at+int64(quotaBurst+maxDebt))
		if q.paid.CompareAndSwap(paid, next) {
			return
		}
	}
}

// A quotaError says that a deployment has used up its fuel.
type quotaError struct {
	deployment string
	wait       time.Duration
}

func (e *quotaError) Error() string {
	return fmt.Sprintf("gateway: deployment %q has used up its fuel_per_second for the next %v", e.deployment, e.wait.Round(time.Millisecond))
}

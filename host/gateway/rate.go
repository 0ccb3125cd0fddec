package gateway

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/hashicorp/golang-lru/v2/simplelru"
	"github.com/valyala/fasthttp"
)

// rates count the requests of the applications of a deployment, each in windows
// that move with time. What the limits are is said by whoever checks credentials,
// with each request; so a new limit holds at once, for what was counted already.
//
// The counts are kept in memory: they outlive a change of the deployment, but not
// the process. There are at most maxRates of them. When there would be more, the
// one that was not used for longest is dropped, and its application begins anew.
//
// One lock does for all: what is done under it takes a fraction of a microsecond.
type rates struct {
	mu  sync.Mutex
	lru *simplelru.LRU[rateKey, *rate]
}

// An application that has limits of several windows has one count for each.
type rateKey struct {
	app    string
	window time.Duration
}

const maxRates = 1 << 16

func newRates() *rates {
	lru, _ := simplelru.NewLRU[rateKey, *rate](maxRates, nil) // fails for a size below 1 only
	return &rates{lru: lru}
}

// rateSlots is in how many parts a window is counted.
const rateSlots = 60

// A rate is a count of the requests of the last window, by when they came: the
// slots of the window, and the one under way. A request is counted until the whole
// of its slot is out of the window. So there are never more of them in any window
// than the limit, and it takes a slot longer, at most, to get the last one back
// than if each request had its time kept.
type rate struct {
	now   int64                 // number of the slot under way, from epoch on
	total int64                 // of all slots
	count [rateSlots + 1]uint32 // of slot n at n modulo their number
}

// A rateState is what an application has left of a limit.
type rateState struct {
	limit     int64
	window    time.Duration
	remaining int64         // requests that would be let through now
	reset     time.Duration // until more would be
	wait      time.Duration // of a request that is not let through: until one will be; 0: it is
}

// Limits and windows that are counted. A slot's count is no larger than a limit.
const (
	maxRateLimit  = math.MaxUint32
	maxRateWindow = 366 * 24 * time.Hour
)

// take counts a request of an application that may make limit requests in any
// window. One that is not let through is not counted: an application that keeps
// trying does not keep itself out.
func (r *rates) take(app string, limit int64, window time.Duration, now time.Time) rateState {
	limit, window = min(limit, maxRateLimit), min(window, maxRateWindow)
	slot := (window + rateSlots - 1) / rateSlots
	at := now.Sub(epoch)
	r.mu.Lock()
	defer r.mu.Unlock()
	key := rateKey{app, window}
	c, ok := r.lru.Get(key)
	if !ok {
		c = &rate{now: int64(at / slot)}
		key.app = strings.Clone(app) // which may be a part of something larger
		r.lru.Add(key, c)
	}
	c.advance(int64(at / slot))
	at = max(at, time.Duration(c.now)*slot) // another request may have been later, and here before

	s := rateState{limit: limit, window: window}
	if c.total < limit {
		c.count[c.now%int64(len(c.count))]++
		c.total++
		s.remaining = limit - c.total
		s.reset = time.Duration(c.leave(1))*slot - at
		return s
	}
	s.wait = time.Duration(c.leave(c.total-limit+1))*slot - at
	s.reset = s.wait
	return s
}

// advance begins slots up to the n-th, and forgets those that are out of the
// window by then.
func (c *rate) advance(n int64) {
	if n-c.now >= int64(len(c.count)) {
		c.total, c.count = 0, [rateSlots + 1]uint32{}
		c.now = n
		return
	}
	for c.now < n {
		c.now++
		oldest := &c.count[c.now%int64(len(c.count))]
		c.total -= int64(*oldest)
		*oldest = 0
	}
}

// leave returns the slot with whose beginning n of the requests are no longer
// counted, of the total at most.
func (c *rate) leave(n int64) int64 {
	slots := int64(len(c.count))
	leaving := c.now // which begins with the oldest slot out of the window
	for n > 0 {
		leaving++
		n -= int64(c.count[leaving%slots])
	}
	return leaving
}

// writeHeaders tells a client where it stands. RateLimit-Limit, -Remaining and
// -Reset are what most services and clients know, and what the drafts of the IETF
// had up to the sixth (draft-ietf-httpapi-ratelimit-headers-06), with
// RateLimit-Policy to say the window. Later drafts pack them into one header,
// with names of policies and keys of partitions, and have changed with every
// version.
//
// RateLimit-Reset is how many seconds it takes until more requests are let
// through than now: in a window that moves there is no time at which all are, and
// the latest drafts define it so. Of a request that is refused it is the same as
// Retry-After, as the drafts want.
func (s rateState) writeHeaders(h *fasthttp.ResponseHeader) {
	var b [48]byte
	h.SetBytesV("RateLimit-Limit", strconv.AppendInt(b[:0], s.limit, 10))
	h.SetBytesV("RateLimit-Remaining", strconv.AppendInt(b[:0], s.remaining, 10))
	h.SetBytesV("RateLimit-Reset", strconv.AppendInt(b[:0], seconds(s.reset), 10))
	policy := append(strconv.AppendInt(b[:0], s.limit, 10), ";w="...)
	h.SetBytesV("RateLimit-Policy", strconv.AppendInt(policy, seconds(s.window), 10))
}

// seconds rounds up: a client that waits for as long is not early.
func seconds(d time.Duration) int64 { return int64((d + time.Second - 1) / time.Second) }

// countCaller counts a request against the limit of its application, if there is
// one. It is counted when it is known whose it is: its own beginning may lie back
// by as long as the check of the credential took.
func (x *exchange) countCaller(c *abi.Caller) error {
	if c.Limit <= 0 || c.App == "" {
		return nil
	}
	if c.Window <= 0 || c.Window > int64(maxRateWindow/time.Second) {
		return fmt.Errorf("gateway: application %q is limited to %d requests in %d seconds: want 1 to %d seconds",
			c.App, c.Limit, c.Window, int64(maxRateWindow/time.Second))
	}
	s := x.site.rates.take(c.App, c.Limit, time.Duration(c.Window)*time.Second, time.Now())
	s.writeHeaders(&x.ctx.Response.Header)
	if s.wait > 0 {
		return x.rateLimited(s)
	}
	return nil
}

// rateLimited refuses a request that is over the limit of its application.
func (x *exchange) rateLimited(s rateState) error {
	x.route.metrics.limited.Inc()
	x.retryAfter(s.wait)
	return &abi.Error{Status: 429, Code: x.route.family.Code(abi.HostLimited),
		Message: fmt.Sprintf("The application may make %d requests in %d s, and has; try again in %d s.",
			s.limit, seconds(s.window), seconds(s.wait))}
}

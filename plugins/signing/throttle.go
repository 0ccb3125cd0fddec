package main

import (
	"net/netip"
	"slices"
	"strconv"
	"time"

	"github.com/edgeset/edgeset/abi/guest"
)

// A throttle keeps passwords from being guessed. It counts failures in a moving
// window, under the id that was tried and under the address that tried it. Ids
// are counted as they are written, whether an account has them or not: being
// throttled tells nothing.
//
// Counting is exact even if guesses come at once: each reads the counters and,
// if it fails, writes them, so of two in parallel one runs again and sees the
// other.
type throttle struct {
	now    int64
	window time.Duration
	id     counter
	remote counter
}

type counter struct {
	key   []byte // nil: not counted
	limit int
	times failures // within the window
	found bool     // something is stored
}

// newThrottle reads the counters for an attempt under a login id; with no id it
// counts for the address alone.
func newThrottle(r *guest.Request, id string) (*throttle, error) {
	t := &throttle{now: r.Time().UnixMicro()}
	var err error
	if t.window, err = loginWindow(r); err != nil {
		return nil, err
	}
	if t.id.limit, err = countSetting(r, "login_attempts", 10); err != nil {
		return nil, err
	}
	if t.remote.limit, err = countSetting(r, "login_attempts_remote", 100); err != nil {
		return nil, err
	}
	if id != "" {
		t.id.key = []byte("f/i/" + id)
	}
	if remote := network(r.Remote()); remote != "" {
		t.remote.key = []byte("f/r/" + remote)
	}
	for _, c := range []*counter{&t.id, &t.remote} {
		if err := c.read(r.KV(), t.now-t.window.Microseconds()); err != nil {
			return nil, err
		}
	}
	return t, nil
}

// network is what counts as one address: of IPv6 the /64, all of which is one
// subscriber's.
func network(remote string) string {
	a, err := netip.ParseAddr(remote)
	if err != nil {
		return remote
	}
	a = a.Unmap().WithZone("")
	if a.Is4() {
		return a.String()
	}
	p, _ := a.Prefix(64)
	return p.String()
}

func (c *counter) read(kv *guest.KV, since int64) error {
	if c.key == nil {
		return nil
	}
	record, found, err := kv.Get(c.key)
	if err != nil || !found {
		return err
	}
	all, err := readFailures(record)
	if err != nil {
		return err
	}
	c.found = true
	c.times = slices.DeleteFunc(all, func(t int64) bool { return t <= since })
	return nil
}

// blocked returns the refusal of an attempt that comes too early. Such an attempt
// is not counted, and its password is not looked at.
func (t *throttle) blocked(w *guest.Response) error {
	var until int64
	for _, c := range []*counter{&t.id, &t.remote} {
		until = max(until, c.full(t.window))
	}
	if until <= t.now {
		return nil
	}
	return throttled(w, "failed attempts", until-t.now)
}

// full returns until when the window has no room for one more; 0: it has.
func (c *counter) full(window time.Duration) int64 {
	n := len(c.times)
	if n < c.limit {
		return 0
	}
	return c.times[n-c.limit] + window.Microseconds()
}

// throttled refuses what comes too early by so many microseconds.
func throttled(w *guest.Response, what string, wait int64) error {
	seconds := strconv.FormatInt((wait+999_999)/1_000_000, 10)
	w.Header("Retry-After", seconds)
	return guest.Errorf(429, "throttled", "Too many %s; try again in %s seconds.", what, seconds)
}

// failed counts the attempt, which was not blocked: there is room for it.
func (t *throttle) failed(kv *guest.KV) error {
	for _, c := range []*counter{&t.id, &t.remote} {
		if c.key == nil {
			continue
		}
		c.times = append(c.times, t.now)
		if err := kv.PutTTL(c.key, c.times.record(), t.window); err != nil {
			return err
		}
	}
	return nil
}

// succeeded forgets the failures under the id. Those of the address stay: who
// guesses at others' accounts may well have one.
func (t *throttle) succeeded(kv *guest.KV) error {
	if !t.id.found {
		return nil
	}
	return kv.Delete(t.id.key)
}

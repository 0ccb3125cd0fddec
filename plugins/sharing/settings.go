package main

import (
	"strconv"
	"strings"

	"github.com/edgeset/edgeset/abi/guest"
)

// Times and durations are in milliseconds throughout, as on the wire. What is
// a constant here is read on paths too hot to ask the host for a setting.
const (
	second = int64(1000)
	minute = 60 * second
	hour   = 60 * minute
	day    = 24 * hour

	maxAhead = minute      // how far a client's clock may be ahead
	maxEarly = 10 * minute // how old a point may be when its ticket begins

	// minRetention leaves viewers, who poll, the time to learn of the end; and
	// cursors are good for as long as the retention.
	minRetention = 10 * minute
)

// settings are what the operator may change. A ticket keeps those it was made
// under.
type settings struct {
	maxDuration int64 // of a ticket, from now
	maxLifetime int64 // of a ticket, however often it is extended
	retention   int64 // how long an expired ticket can still be looked at
}

func settingsOf(r *guest.Request) settings {
	return settings{
		maxDuration: setting(r, "max_duration", 4*hour),
		maxLifetime: setting(r, "max_lifetime", 7*day),
		retention:   max(setting(r, "retention", 48*hour), minRetention),
	}
}

// setting reads a number of milliseconds; nonsense in a manifest must not stop
// people from sharing, so the default stands in for it.
func setting(r *guest.Request, key string, def int64) int64 {
	n, err := strconv.ParseInt(r.Config(key, ""), 10, 64)
	if err != nil || n <= 0 {
		return def
	}
	return n
}

// linkBase returns what the codes in links stand behind.
func linkBase(r *guest.Request) string {
	return strings.TrimRight(r.Config("link_base", r.BaseURL()), "/")
}

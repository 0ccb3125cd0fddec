package outbox

import (
	"errors"
	"time"

	"github.com/edgeset/edgeset/host/outbox/reason"
)

// Defaults of a Backoff and of Limits.
const (
	defaultFirst        = 5 * time.Second
	defaultMost         = time.Hour
	defaultRate         = 50
	defaultPerRecipient = 20
	defaultQueue        = 100_000
	defaultGiveUp       = 48 * time.Hour
)

// withDefaults returns the limits with what is 0 filled in.
func (l Limits) withDefaults() Limits {
	if l.Rate <= 0 {
		l.Rate = defaultRate
	}
	if l.PerRecipient <= 0 {
		l.PerRecipient = defaultPerRecipient
	}
	if l.Queue <= 0 {
		l.Queue = defaultQueue
	}
	if l.GiveUp <= 0 {
		l.GiveUp = defaultGiveUp
	}
	return l
}

func (b Backoff) withDefaults() Backoff {
	if b.First <= 0 {
		b.First = defaultFirst
	}
	if b.Most <= 0 {
		b.Most = defaultMost
	}
	b.Most = max(b.First, b.Most)
	return b
}

// pause is how long to wait after so many failures, at least one. random returns one of
// the numbers from 0 up to, and without, n: those that failed together do not come back
// together.
func (b Backoff) pause(failures int, random func(n int64) int64) time.Duration {
	window := b.First
	for ; failures > 1 && window < b.Most; failures-- {
		window *= 2
	}
	window = min(window, b.Most)
	return 1 + time.Duration(random(int64(window)))
}

// judge says what becomes of a queued entry by an attempt that ended now with err, the
// entry's count of attempts included. An entry that is tried again is due before it is
// given up: as long as that leaves time, its last pauses are shorter.
func (r *record) judge(err error, now int64, b Backoff, random func(n int64) int64) {
	r.attempts++
	r.tried = now
	if err == nil {
		r.end(StateSent, "", "", now)
		return
	}
	var f *Failure
	if !errors.As(err, &f) {
		f = &Failure{Reason: "it could not be delivered", Detail: err.Error()}
	}
	why, detail := line(f.Reason), ""
	if f.Detail != "" {
		detail = line(f.Detail)
	}
	if f.Permanent {
		r.end(StateFailed, why, detail, now)
		return
	}
	left := time.Duration(max(r.until-now, 0)) * time.Microsecond
	pause := max(min(b.pause(r.attempts, random), left/2), f.After)
	if left < b.First || pause >= left {
		r.expire(now, why, detail)
		return
	}
	r.reason, r.detail, r.due = why, detail, now+micros(pause)
}

// expire gives up a queued entry whose time is over, for why and detail in the end.
func (r *record) expire(now int64, why, detail string) {
	if detail != "" {
		detail = expired(detail)
	}
	r.end(StateFailed, expired(why), detail, now)
}

// expired is why an entry failed that was given up.
func expired(last string) string {
	if last == "" {
		last = "it was too late for a first attempt"
	}
	return line("expired: " + last)
}

// undelivered is why nothing is tried.
func undelivered(via string) string { return "nothing delivers " + via + " any more" }

// micros rounds a duration up to microseconds: what is to be waited for is over then.
func micros(d time.Duration) int64 { return int64((d + time.Microsecond - 1) / time.Microsecond) }

// line makes a reason, which may be what a server has answered, one printable line that
// is not too long.
func line(s string) string {
	if s = reason.Line(s); s != "" {
		return s
	}
	return "it failed without saying why"
}

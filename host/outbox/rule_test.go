package outbox

import (
	"errors"
	"fmt"
	"math"
	"math/rand/v2"
	"strings"
	"testing"
	"time"
	"unicode"
	"unicode/utf8"
)

func TestPausesDoubleUpToTheMostAndAreRandom(t *testing.T) {
	b := Backoff{}.withDefaults()
	if b.First != 5*time.Second || b.Most != time.Hour {
		t.Fatalf("defaults: %+v", b)
	}
	largest := func(n int64) int64 { return n - 1 }
	least := func(int64) int64 { return 0 }
	for failures, want := range map[int]time.Duration{
		1: 5 * time.Second, 2: 10 * time.Second, 3: 20 * time.Second, 10: 2560 * time.Second, 11: time.Hour, 12: time.Hour, math.MaxInt32: time.Hour,
	} {
		if got := b.pause(failures, largest); got != want {
			t.Errorf("the longest pause after %d failures is %v: want %v", failures, got, want)
		}
		if got := b.pause(failures, least); got != 1 {
			t.Errorf("the shortest pause after %d failures is %v: want 1ns", failures, got)
		}
	}
}

func TestAnAttemptIsJudgedByTheRules(t *testing.T) {
	random := rand.New(rand.NewPCG(1, 2))
	for range 50_000 {
		now := int64(1e15) + random.Int64N(1e12)
		b := Backoff{First: time.Duration(1 + random.Int64N(int64(10*time.Second))), Most: time.Duration(random.Int64N(int64(2 * time.Hour)))}.withDefaults()
		before := record{state: StateQueued, attempts: random.IntN(60), until: now - 1e6 + random.Int64N(int64(1)<<random.IntN(40)), message: []byte{1}}
		r := before
		var err error
		f := &Failure{Reason: "why"}
		switch random.IntN(5) {
		case 0:
		case 1:
			err = errors.New("dial 10.0.0.1")
			f.Reason = "it could not be delivered"
		case 2:
			f.Permanent = true
			err = f
		case 3:
			f.After = time.Duration(random.Int64N(int64(1) << random.IntN(63)))
			err = fmt.Errorf("wrapped: %w", f)
		case 4:
			err = f
		}
		r.judge(err, now, b, random.Int64N)
		wrong := func(how string) {
			t.Fatalf("%s: %+v by %v with %+v is %+v", how, before, err, b, r)
		}
		left := time.Duration(before.until-now) * time.Microsecond
		if r.attempts != before.attempts+1 || r.tried != now {
			wrong("the attempt does not count")
		}
		switch {
		case err == nil:
			if r.state != StateSent || r.reason != "" || r.message != nil {
				wrong("not sent")
			}
		case f.Permanent:
			if r.state != StateFailed || r.reason != f.Reason || r.message == nil {
				wrong("not failed for good")
			}
		case r.state == StateFailed:
			// Given up: too late for the first pause, or for what was asked for.
			if r.reason != "expired: "+f.Reason || left >= b.First && left > f.After+time.Microsecond {
				wrong("given up too early")
			}
		case r.state == StateQueued:
			pause := time.Duration(r.due-now) * time.Microsecond
			most := max(b.Most, f.After) + time.Microsecond
			if r.reason != f.Reason || r.ended != 0 || pause < f.After || pause <= 0 || pause > most || r.due > r.until {
				wrong("badly queued")
			}
		default:
			wrong("neither")
		}
		if r.state != StateQueued && (r.ended != now || r.due != now || r.told) {
			wrong("badly ended")
		}
	}
}

// An entry whose every attempt fails is not tried for ever, also close to its end.
func TestAnEntryThatFailsIsGivenUpAfterABoundedNumberOfAttempts(t *testing.T) {
	random := rand.New(rand.NewPCG(3, 4))
	for range 100 {
		now := int64(1e15)
		r := record{state: StateQueued, until: now + micros(defaultGiveUp)}
		for r.state == StateQueued {
			r.judge(errors.New("why"), now, Backoff{}.withDefaults(), random.Int64N)
			now = r.due
		}
		if r.attempts < 20 || r.attempts > 400 || r.ended > r.until {
			t.Errorf("%d attempts, ended %v after it was to be given up", r.attempts, time.Duration(r.ended-r.until)*time.Microsecond)
		}
	}
}

func FuzzReasonsAreOneShortPrintableLine(f *testing.F) {
	for _, s := range []string{"", "a\r\nb", "\x00\xff", strings.Repeat("ä", 1000), "a\u2028b", "\u202e"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		r := record{state: StateQueued, until: math.MaxInt64}
		r.judge(Refused("%s", s), 1, Backoff{}.withDefaults(), rand.Int64N)
		e := record{state: StateQueued}
		e.expire(1, s, "")
		for _, got := range []string{r.reason, e.reason} {
			bad := strings.ContainsFunc(got, func(c rune) bool { return !unicode.IsPrint(c) })
			if got == "" || len(got) > 500 || bad || !utf8.ValidString(got) {
				t.Errorf("%q", got)
			}
		}
	})
}

package main

import (
	"testing"
	"time"
)

// Every day of four hundred years, and some of the others, at changing times of day.
func TestCalendarAgreesWithPackageTime(t *testing.T) {
	const end = 253402300799
	for seconds := int64(0); seconds <= end; seconds += secondsOfDay + 7 {
		if seconds > 420*366*secondsOfDay {
			seconds += 97 * secondsOfDay
		}
		checkCalendar(t, min(seconds, end))
	}
	checkCalendar(t, end)
}

func checkCalendar(t *testing.T, seconds int64) {
	t.Helper()
	at := time.Unix(seconds, 0).UTC()
	c := calendarOf(seconds*1_000_000 + 999_999)
	if got, want := string(c.appendPlain(nil)), at.Format(time.DateTime); got != want {
		t.Fatalf("%d: got %q, want %q", seconds, got, want)
	}
	if got, want := string(c.appendRFC3339(nil)), at.Format(time.RFC3339); got != want {
		t.Fatalf("%d: got %q, want %q", seconds, got, want)
	}
	if got, want := string(c.appendRFC822(nil)), at.Format("Mon, 02 Jan 2006 15:04:05 GMT"); got != want {
		t.Fatalf("%d: got %q, want %q", seconds, got, want)
	}
}

func TestCalendarOfWhatCannotBeShown(t *testing.T) {
	for micros, want := range map[int64]string{
		-1:        "1970-01-01 00:00:00",
		-1 << 63:  "1970-01-01 00:00:00",
		1<<63 - 1: "9999-12-31 23:59:59",
	} {
		c := calendarOf(micros)
		if got := string(c.appendPlain(nil)); got != want {
			t.Errorf("%d: got %q, want %q", micros, got, want)
		}
	}
}

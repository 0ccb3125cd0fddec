package main

import (
	"strings"
	"testing"
	"time"
)

func TestDate(t *testing.T) {
	for _, c := range []struct {
		text, want string
		rfc3339    bool
	}{
		{"2026-11-21T10:15:00Z", "2026-11-21T10:15:00Z", true},
		{"2026-11-21t10:15:00z", "2026-11-21T10:15:00Z", true},
		{"2026-11-21T10:15:00.5Z", "2026-11-21T10:15:00.5Z", true},
		{"2026-11-21T10:15:00.123456789Z", "2026-11-21T10:15:00.123456Z", true},
		{"2026-11-21T10:15:00+05:30", "2026-11-21T04:45:00Z", true},
		{"2026-11-21T00:15:00-00:30", "2026-11-21T00:45:00Z", true},
		{"2026-12-31T23:15:00.25-01:00", "2027-01-01T00:15:00.25Z", true},
		{"2026-11-21 10:15:00Z", "2026-11-21T10:15:00Z", false},
		{"2026-11-21T10:15:00", "2026-11-21T10:15:00Z", false},
		{"2026-11-21T10:15", "2026-11-21T10:15:00Z", false},
		{"2026-11-21T10:15Z", "2026-11-21T10:15:00Z", false},
		{"2026-11-21T10:15:00,25Z", "2026-11-21T10:15:00.25Z", false},
		{"2026-11-21T10:15:00+0530", "2026-11-21T04:45:00Z", false},
		{"2026-11-21T10:15:00+05", "2026-11-21T05:15:00Z", false},
		{"20261121T101500Z", "2026-11-21T10:15:00Z", false},
		{"20261121T101500.75+0100", "2026-11-21T09:15:00.75Z", false},
		{"20261121T101500", "2026-11-21T10:15:00Z", false},
		{"20261121T1015", "2026-11-21T10:15:00Z", false},
		{"2026-11-21", "2026-11-21T00:00:00Z", false},
		{"20261121", "2026-11-21T00:00:00Z", false},
		{"2024-02-29T00:00:00Z", "2024-02-29T00:00:00Z", true},
		{"2000-02-29T00:00:00Z", "2000-02-29T00:00:00Z", true},
		{"1969-12-31T23:59:59.999999Z", "1969-12-31T23:59:59.999999Z", true},
		{"0001-01-01T00:00:00Z", "0001-01-01T00:00:00Z", true},
		{"9999-12-31T23:59:59.999999Z", "9999-12-31T23:59:59.999999Z", true},
	} {
		at, rfc3339, ok := parseDate(c.text)
		want, err := time.Parse(time.RFC3339Nano, c.want)
		if err != nil {
			t.Fatal(err)
		}
		if !ok || at != want.UnixMicro() || rfc3339 != c.rfc3339 {
			t.Errorf("%q: %v %v %v, want %v %v", c.text, time.UnixMicro(at).UTC(), rfc3339, ok, want, c.rfc3339)
		}
	}
}

func TestWhatIsNoDate(t *testing.T) {
	for _, text := range []string{
		"", "now", "2026", "2026-11", "2026-11-2", "2026-13-01", "2026-00-01", "2026-11-31", "2026-11-00", "2026-02-29", "1900-02-29",
		"0000-01-01", "10000-01-01", "-001-01-01", "2026-1121", "202611-21", "2026-11-21T", "2026-11-21T10", "2026-11-21T10:", "2026-11-21T24:00:00Z",
		"2026-11-21T10:60:00Z", "2026-11-21T10:15:60Z", "2026-11-21T10:15:00.Z", "2026-11-21T10:15.5Z", "2026-11-21T10:15:00ZZ", "2026-11-21T10:15:00Z ",
		" 2026-11-21", "2026-11-21T10:15:00+24:00", "2026-11-21T10:15:00+05:60", "2026-11-21T10:15:00+5", "2026-11-21T10:15:00+053", "2026-11-21T10:15:00+05:",
		"2026-11-21T101500Z", "20261121T10:15:00Z", "2026/11/21", "2026-11-21  10:15", "２026-11-21", "0001-01-01T00:00:00+00:01", "9999-12-31T23:59:59-00:01",
		"2026-11-21T1015", "2026-11-21T10:1500", "20261121T10150", "2026-11-21T10:15:00\x00",
	} {
		if at, _, ok := parseDate(text); ok {
			t.Errorf("%q: reads as %v", text, time.UnixMicro(at).UTC())
		}
	}
}

func TestDaysOfAllYearsAreReadAndWritten(t *testing.T) {
	last := time.Date(9999, 12, 31, 12, 34, 56, 789e6, time.UTC)
	for at := time.Date(1, 1, 1, 12, 34, 56, 789e6, time.UTC); !at.After(last); at = at.AddDate(0, 0, 29) {
		text := at.Format("2006-01-02T15:04:05.000Z07:00")
		if micros, _, ok := parseDate(text); !ok || micros != at.UnixMicro() {
			t.Fatalf("%q: %v %v, want %v", text, micros, ok, at.UnixMicro())
		}
		if got := formatDate(at.UnixMicro()); got != text {
			t.Fatalf("%v: %q, want %q", at, got, text)
		}
	}
}

func TestMicrosecondsAreWrittenWhereTheyMakeADifference(t *testing.T) {
	for text, want := range map[string]string{
		"2026-11-21 10:15:00.123456": "2026-11-21T10:15:00.123456Z", "2026-11-21 10:15:00.120": "2026-11-21T10:15:00.120Z",
		"1969-11-21 10:15:00.000006": "1969-11-21T10:15:00.000006Z", "20260101": "2026-01-01T00:00:00.000Z",
	} {
		at, _, _ := parseDate(text)
		if got := exactDate(at); got != want {
			t.Errorf("%s: %s, want %s", text, got, want)
		}
	}
}

func FuzzDate(f *testing.F) {
	for _, text := range []string{
		"2026-11-21T10:15:00.123456+05:30", "20261121T101500Z", "2026-11-21 10:15", "2026-11-21", "2026-02-29T00:00:00Z", "0001-01-01T00:00:00+23:59",
	} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		at, standard, ok := parseDate(text)
		// Go reads a fraction behind a comma as well, and offsets of any size.
		want, err := time.Parse(time.RFC3339, strings.ToUpper(text))
		if err == nil && strings.Contains(text, ",") {
			err = nil
			if ok && standard {
				t.Fatalf("%q is not of RFC 3339", text)
			}
		} else if standard != (err == nil && ok) {
			t.Fatalf("%q: of RFC 3339: %v, but %v", text, standard, err)
		}
		if !ok {
			if err == nil && want.Year() > 0 && want.UnixMicro() >= firstInstant && want.UnixMicro() <= lastInstant {
				t.Fatalf("%q is not read, but is %v", text, want)
			}
			return
		}
		if err == nil && at != want.UnixMicro() {
			t.Fatalf("%q: %v, want %v", text, at, want.UnixMicro())
		}
		again, standard, ok := parseDate(exactDate(at))
		if again != at || !standard || !ok {
			t.Fatalf("%q: %v is written as %q", text, at, exactDate(at))
		}
	})
}

// Package bench compares an implementation with a peer in a way that a noisy
// machine does not spoil, and keeps the figures in a file.
//
// Two benchmarks that run one after the other measure two different moments of
// the machine. Compare lets the two sides take turns, in many short rounds of
// one run, and reports the median of each and how far the rounds spread.
package bench

import (
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"math"
	"os"
	"slices"
	"testing"
	"time"
)

// EnvFile names the environment variable with the file that rows go to.
const EnvFile = "EDGESET_BENCH_JSON"

// A Row is one comparison, as it stands in the file.
type Row struct {
	Name   string  `json:"name"`
	Peer   string  `json:"peer"`
	Ours   float64 `json:"ours"`
	Theirs float64 `json:"theirs"`
	Unit   string  `json:"unit"`
	// Ratio is how many times better ours is: above 1 is better, whatever the
	// unit.
	Ratio float64 `json:"ratio"`
	// How far the middle half of the rounds of each side lies apart, in percent
	// of the median. 0: there were no rounds, or they are not known.
	SpreadOurs   float64 `json:"spread_ours,omitempty"`
	SpreadTheirs float64 `json:"spread_theirs,omitempty"`
}

// Better says which way a unit goes.
type Better bool

const (
	Smaller Better = false // times, bytes
	Larger  Better = true  // calls a second
)

// Side is one side of a comparison: it does the work n times.
type Side func(n int)

const (
	rounds    = 41                    // odd, so that there is a median
	roundTime = 20 * time.Millisecond // of each side
)

// Compare measures the time that ours and theirs take for one of their n, in a
// unit that is one of ns, µs and ms.
func Compare(b *testing.B, name, peer, unit string, ours, theirs Side) Row {
	b.Helper()
	scale, ok := map[string]float64{"ns": 1, "µs": 1e3, "ms": 1e6}[unit]
	if !ok {
		b.Fatalf("bench: unit %q: want ns, µs or ms", unit)
	}
	sides := [2]Side{ours, theirs}
	var batch [2]int
	for i, side := range sides {
		batch[i] = calibrate(side)
	}
	b.ResetTimer()
	var times [2][]float64
	for round := range rounds {
		for k := range sides {
			i := (k + round) % 2 // each goes first as often as the other
			start := time.Now()
			sides[i](batch[i])
			times[i] = append(times[i], float64(time.Since(start))/float64(batch[i])/scale)
		}
	}
	b.StopTimer()
	row := RoundsRow(name, peer, unit, times[0], times[1], Smaller)
	b.ReportMetric(row.SpreadOurs, "%spread-ours")
	b.ReportMetric(row.SpreadTheirs, "%spread-theirs")
	publish(b, row)
	return row
}

// calibrate finds how many fit into a round.
func calibrate(side Side) int {
	for n := 1; ; n *= 2 {
		start := time.Now()
		side(n)
		if d := time.Since(start); d >= roundTime/2 {
			return max(1, int(float64(n)*float64(roundTime)/float64(d)))
		}
	}
}

// Report puts a comparison that was measured in some other way into the output
// of the benchmark and into the file.
func Report(b *testing.B, name, peer, unit string, ours, theirs float64, better Better) Row {
	b.Helper()
	row := NewRow(name, peer, unit, ours, theirs, better)
	publish(b, row)
	return row
}

func publish(b *testing.B, row Row) {
	b.Helper()
	b.ReportMetric(row.Ours, row.Unit+"-ours")
	b.ReportMetric(row.Theirs, row.Unit+"-theirs")
	b.ReportMetric(row.Ratio, "times-better")
	b.ReportMetric(0, "ns/op") // of b.N, which is not what ran
	if file := os.Getenv(EnvFile); file != "" {
		if err := Put(file, row); err != nil {
			b.Fatal(err)
		}
	}
}

// RoundsRow makes the row of the figures of all rounds, an odd number of each
// side.
func RoundsRow(name, peer, unit string, ours, theirs []float64, better Better) Row {
	row := NewRow(name, peer, unit, Median(ours), Median(theirs), better)
	row.SpreadOurs, row.SpreadTheirs = round(Spread(ours)), round(Spread(theirs))
	return row
}

// NewRow makes the row of two figures.
func NewRow(name, peer, unit string, ours, theirs float64, better Better) Row {
	row := Row{Name: name, Peer: peer, Ours: round(ours), Theirs: round(theirs), Unit: unit}
	if better == Larger {
		row.Ratio = round(ours / theirs)
	} else {
		row.Ratio = round(theirs / ours)
	}
	return row
}

// Load reads the list in a file. A file that is not there has none.
func Load(file string) ([]Row, error) {
	text, err := os.ReadFile(file)
	if errors.Is(err, fs.ErrNotExist) || err == nil && len(text) == 0 {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("bench: %w", err)
	}
	var rows []Row
	if err := json.Unmarshal(text, &rows); err != nil {
		return nil, fmt.Errorf("bench: %s: want a JSON list of rows: %w", file, err)
	}
	return rows, nil
}

// Put adds a row to the list in a file, in place of the one with its name and
// peer, if there is one.
func Put(file string, row Row) error {
	rows, err := Load(file)
	if err != nil {
		return err
	}
	same := func(r Row) bool { return r.Name == row.Name && r.Peer == row.Peer }
	if i := slices.IndexFunc(rows, same); i >= 0 {
		rows[i] = row
	} else {
		rows = append(rows, row)
	}
	text, err := json.MarshalIndent(rows, "", "  ")
	if err != nil {
		return fmt.Errorf("bench: row %q: %w", row.Name, err)
	}
	// Readers never see half a file.
	next := file + ".next"
	if err := os.WriteFile(next, append(text, '\n'), 0o644); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	if err := os.Rename(next, file); err != nil {
		return fmt.Errorf("bench: %w", err)
	}
	return nil
}

// Median returns the middle one of the rounds, of which there is an odd number.
func Median(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return s[len(s)/2]
}

// Spread is how far the middle half of the rounds lies apart, in percent of the
// median.
func Spread(v []float64) float64 {
	s := slices.Sorted(slices.Values(v))
	return 100 * (s[len(s)*3/4] - s[len(s)/4]) / s[len(s)/2]
}

// round leaves four significant digits: there are no more in a measurement.
func round(x float64) float64 {
	if x == 0 || math.IsInf(x, 0) || math.IsNaN(x) {
		return x
	}
	scale := math.Pow(10, 3-math.Floor(math.Log10(math.Abs(x))))
	return math.Round(x*scale) / scale
}

package main

import (
	"encoding/binary"
	"math"
	"slices"

	"github.com/edgeset/edgeset/abi"
)

// The columns of a point, in the order of the wire.
const (
	colTime = iota
	colLat
	colLng
	colSpeed
	colHeading
	colAltitude
	colHAcc
	colVAcc
	columns
)

// required is how many columns come first and are never null.
const required = colLng + 1

// A point is one row of a trail, in whole units: ms, degrees × 1e6, cm/s,
// degrees, m. Finer fractions are below what receivers can tell, and whole
// numbers add up exactly when a viewer sums differences.
type point struct {
	at  [columns]int64
	has uint8 // a bit for every column that is not null
}

const hasRequired = 1<<required - 1

var columnNames = [columns]string{"time", "latitude", "longitude", "speed", "heading", "altitude", "horizontal accuracy", "vertical accuracy"}

// columnRange holds the smallest and the largest value of the columns that do
// not depend on the clock.
var columnRange = [columns][2]int64{
	colLat:      {-90e6, 90e6},
	colLng:      {-180e6, 180e6},
	colSpeed:    {0, 1e8},
	colHeading:  {0, 360},
	colAltitude: {-1e8, 1e8},
	colHAcc:     {0, 1e8},
	colVAcc:     {0, 1e8},
}

// A pointError says what is wrong with a row, so that the text of the refusal
// is made only when there is one.
type pointError struct {
	column int // -1: the row as a whole
	what   string
}

// readPoint reads a row of 3 to 8 numbers.
func readPoint(r *abi.Reader, p *point) *pointError {
	row := *r
	n, null, rounded := r.Row(p.at[:])
	if r.Failed() || n < required || null&hasRequired != 0 {
		return wrongRow(row)
	}
	p.has = uint8(1<<n-1) &^ uint8(null)
	for col := colLat; col < n; col++ {
		v, lim := p.at[col], &columnRange[col]
		switch {
		case v < lim[0] || v > lim[1]:
			// Receivers say −1 where they do not know.
			if v != -1 {
				return &pointError{col, "out of range"}
			}
			p.has &^= 1 << col
		case rounded != 0 && rounded&(1<<col) != 0 && (col == colLat || col == colLng) && -180 <= v && v <= 180:
			// The mistake that everybody makes once would land in the sea off
			// Africa without a word.
			return &pointError{col, "want degrees × 1,000,000, not degrees"}
		}
	}
	return nil
}

// readWhole reads any number and rounds it.
func readWhole(r *abi.Reader) (n int64, exact, ok bool) {
	switch r.Kind() {
	case abi.Int:
		n = r.Int()
		return n, true, !r.Failed()
	case abi.Float, abi.Number:
		f := r.Float()
		if r.Failed() || !(math.Abs(f) < 1<<53) {
			return 0, false, false
		}
		n = int64(math.Round(f))
		return n, float64(n) == f, true
	}
	return 0, false, false
}

// wrongRow finds out what is wrong with a row that could not be read.
func wrongRow(r abi.Reader) *pointError {
	if r.Kind() != abi.Array {
		return &pointError{-1, "want an array"}
	}
	it := r.Value().Items()
	for col := 0; it.Next() && col < columns; col++ {
		switch it.Value().Kind() {
		case abi.Nil:
			if col < required {
				return &pointError{col, "must not be null"}
			}
		case abi.Int, abi.Float, abi.Number:
			if f, ok := it.Value().Float(); ok && math.Abs(f) < 1<<53 {
				continue
			}
			return &pointError{col, "want a number"}
		default:
			return &pointError{col, "want a number"}
		}
	}
	return &pointError{-1, "want 3 to 8 numbers: time, latitude, longitude, speed, heading, altitude, horizontal accuracy, vertical accuracy"}
}

func byTime(a, b point) int {
	switch {
	case a.at[colTime] < b.at[colTime]:
		return -1
	case a.at[colTime] > b.at[colTime]:
		return 1
	}
	return 0
}

// sortPoints sorts by time; of equals the one that came first stays first.
func sortPoints(pts []point) {
	for i := 1; i < len(pts); i++ {
		if pts[i].at[colTime] < pts[i-1].at[colTime] {
			slices.SortStableFunc(pts, byTime)
			return
		}
	}
}

// longestPoint is how many bytes a packed point has at most.
const longestPoint = 1 + columns*binary.MaxVarintLen64

// appendPoints packs points for the store: differences of time and place, which
// are small, and the other columns that are there as they are, all as varints.
// The varints are written in place, since calls are what costs in Wasm.
func appendPoints(b []byte, pts []point) []byte {
	var prev [required]int64
	for i := range pts {
		p := &pts[i]
		start := len(b)
		b = slices.Grow(b, longestPoint)
		out := b[start : start+longestPoint]
		out[0] = p.has
		n := 1
		for col, v := range p.at {
			if p.has&(1<<col) == 0 {
				continue
			}
			if col < required {
				v, prev[col] = v-prev[col], v
			}
			u := uint64(v)<<1 ^ uint64(v>>63)
			for u >= 0x80 {
				out[n] = byte(u) | 0x80
				u >>= 7
				n++
			}
			out[n] = byte(u)
			n++
		}
		b = b[:start+n]
	}
	return b
}

// readPoints unpacks points and appends them.
func readPoints(pts []point, b []byte) ([]point, error) {
	var prev [required]int64
	for pos := 0; pos < len(b); {
		p := point{has: b[pos]}
		pos++
		for col := range columns {
			if p.has&(1<<col) == 0 {
				continue
			}
			var u uint64
			for shift := 0; ; shift += 7 {
				if pos == len(b) || shift > 63 {
					return nil, abi.ErrFrame
				}
				c := b[pos]
				pos++
				u |= uint64(c&0x7f) << shift
				if c < 0x80 {
					break
				}
			}
			v := int64(u>>1) ^ -int64(u&1)
			if col < required {
				v += prev[col]
				prev[col] = v
			}
			p.at[col] = v
		}
		pts = append(pts, p)
	}
	return pts, nil
}

// writePoints writes the rows of a reply, each with all columns. Compressed, a
// number is the difference from the last number in its column, and null means
// that this row has none there; the first number of a column stands as it is.
// Whoever sums up the columns and takes null for 0 gets every number right.
func writePoints(w *abi.Writer, pts []point, compressed bool) {
	var prev, row [columns]int64
	w.Array()
	for i := range pts {
		p := &pts[i]
		for col, v := range p.at {
			row[col] = v - prev[col]
			if compressed && p.has&(1<<col) != 0 {
				prev[col] = v
			}
		}
		w.Row(row[:], uint32(^p.has))
	}
	w.End()
}

package abi

import (
	"bytes"
	"math"
	"math/rand/v2"
	"testing"
)

func TestRowReadsAndWritesWhatSingleValuesDo(t *testing.T) {
	rng := rand.New(rand.NewPCG(1, 2))
	for range 5000 {
		row := make([]int64, rng.IntN(MaxRow+1))
		var null uint32
		var one, all Writer
		one.Array()
		all.Array()
		one.FixedArray(len(row))
		for i := range row {
			if rng.IntN(5) == 0 {
				null |= 1 << i
				one.Nil()
				continue
			}
			row[i] = int64(rng.Uint64()) >> rng.IntN(64)
			one.Int(row[i])
		}
		all.Row(row, null)
		one.End()
		all.End()
		if !bytes.Equal(one.Value(), all.Value()) {
			t.Fatalf("%v, null %b: one by one % x, as a row % x", row, null, one.Value(), all.Value())
		}
		r := all.Value().Read()
		r.Array()
		dst := make([]int64, MaxRow)
		n, gotNull, rounded := r.Row(dst)
		if !r.Done() || n != len(row) || gotNull != null || rounded != 0 {
			t.Fatalf("%v: read %d numbers, null %b, rounded %b, done %v", row, n, gotNull, rounded, r.Done())
		}
		for i := range row {
			if dst[i] != row[i] {
				t.Fatalf("%v: read %v", row, dst[:n])
			}
		}
	}
}

func TestRowRoundsWhatIsNotWhole(t *testing.T) {
	var w Writer
	w.FixedArray(5)
	w.Float(1.5)
	w.Float(-2)
	w.Number([]byte("3.00000000000000000001"))
	w.Uint(200)
	w.Float(0.4)
	r := w.Value().Read()
	dst := make([]int64, 8)
	n, null, rounded := r.Row(dst)
	if !r.Done() || n != 5 || null != 0 || rounded != 1|1<<4 {
		t.Fatalf("n %d, null %b, rounded %b, done %v", n, null, rounded, r.Done())
	}
	for i, want := range []int64{2, -2, 3, 200, 0} {
		if dst[i] != want {
			t.Errorf("number %d: %d, want %d", i, dst[i], want)
		}
	}
}

func TestRowRefusesWhatIsNone(t *testing.T) {
	values := map[string]func(w *Writer){
		"a text":                 func(w *Writer) { w.FixedArray(1); w.Text("1") },
		"a boolean":              func(w *Writer) { w.FixedArray(1); w.Bool(true) },
		"too many numbers":       func(w *Writer) { w.Row(make([]int64, 9), 0) },
		"a number beyond 2^53":   func(w *Writer) { w.FixedArray(1); w.Float(1 << 60) },
		"not a number":           func(w *Writer) { w.FixedArray(1); w.Float(math.NaN()) },
		"an unsigned above 2^63": func(w *Writer) { w.FixedArray(1); w.Uint(math.MaxUint64) },
		"no array":               func(w *Writer) { w.Int(1) },
	}
	for name, write := range values {
		var w Writer
		write(&w)
		r := w.Value().Read()
		if n, _, _ := r.Row(make([]int64, 8)); n != 0 || !r.Failed() {
			t.Errorf("%s: read as %d numbers", name, n)
		}
	}
}

func FuzzRow(f *testing.F) {
	f.Add([]byte{0x93, 1, 0xc0, 0xd3})
	f.Fuzz(func(t *testing.T, b []byte) {
		r := Value(b).Read()
		dst := make([]int64, 8)
		if n, _, _ := r.Row(dst); n > 8 || n > 0 && r.Failed() {
			t.Fatalf("%d numbers, failed %v", n, r.Failed())
		}
	})
}

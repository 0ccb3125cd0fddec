package rewrite_test

import (
	"encoding/json"
	"math"
	"strconv"
	"testing"
)

// A specValue is a value in a file of the core test suite: a number that is
// written out in decimal, as its bits, or for a vector the numbers of its lanes.
type specValue struct {
	Type  string
	Lane  string `json:"lane_type"`
	Value json.RawMessage
}

// number is the type of the value, or of its lanes.
func (v *specValue) number() string {
	if v.Type == "v128" {
		return v.Lane
	}
	return v.Type
}

// width is how many bits a number takes.
func (v *specValue) width() int {
	switch v.number() {
	case "i8":
		return 8
	case "i16":
		return 16
	case "i32", "f32":
		return 32
	}
	return 64
}

func (v *specValue) lanes(t testing.TB) []string {
	t.Helper()
	var all []string
	var err error
	if v.Type == "v128" {
		err = json.Unmarshal(v.Value, &all)
	} else {
		all = make([]string, 1)
		err = json.Unmarshal(v.Value, &all[0])
	}
	if err != nil {
		t.Fatal(err)
	}
	return all
}

// bits returns the value as functions of wazero's take it.
func (v *specValue) bits(t testing.TB) []uint64 {
	t.Helper()
	lanes := v.lanes(t)
	words := make([]uint64, max(1, len(lanes)*v.width()/64))
	for i, text := range lanes {
		at := i * v.width()
		words[at/64] |= v.parse(t, text) << (at % 64)
	}
	return words
}

func (v *specValue) parse(t testing.TB, text string) uint64 {
	t.Helper()
	if text == "null" {
		return 0
	}
	n, err := strconv.ParseUint(text, 10, 64)
	if err != nil {
		t.Fatal(err)
	}
	if v.Type == "externref" {
		n++ // 0 is null
	}
	return n
}

// matches compares words that a function returned with the value.
func (v *specValue) matches(t testing.TB, words []uint64) bool {
	t.Helper()
	for i, want := range v.lanes(t) {
		at := i * v.width()
		got := words[at/64] >> (at % 64)
		if v.width() < 64 {
			got &= 1<<v.width() - 1
		}
		if !v.same(t, want, got) {
			return false
		}
	}
	return true
}

func (v *specValue) same(t testing.TB, want string, got uint64) bool {
	t.Helper()
	switch want {
	case "nan:canonical":
		if v.width() == 32 {
			return got&^(1<<31) == 0x7fc0_0000
		}
		return got&^(1<<63) == 0x7ff8_0000_0000_0000
	case "nan:arithmetic":
		if v.width() == 32 {
			return got&0x7fc0_0000 == 0x7fc0_0000
		}
		return got&0x7ff8_0000_0000_0000 == 0x7ff8_0000_0000_0000
	}
	n := v.parse(t, want)
	switch v.number() {
	case "f32":
		if nan := math.Float32frombits(uint32(n)); nan != nan {
			x := math.Float32frombits(uint32(got))
			return x != x
		}
	case "f64":
		if nan := math.Float64frombits(n); nan != nan {
			x := math.Float64frombits(got)
			return x != x
		}
	}
	return n == got
}

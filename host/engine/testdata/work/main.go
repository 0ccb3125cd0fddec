// Command work is a guest that computes, for measuring what that costs.
package main

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"
)

type place struct {
	Latitude, Longitude float64
	Time                int64
	Name                string
}

var (
	places = make([]place, 20)
	text   []byte
	bytes  = make([]byte, 4096)
)

func init() {
	for i := range places {
		places[i] = place{37.77 + float64(i)/1000, -122.41, int64(i), "a place with a name"}
	}
	text, _ = json.Marshal(places)
}

// parse reads and writes a list of 20 objects with encoding/json.
//
//go:wasmexport json
func parse() int32 {
	var list []place
	if json.Unmarshal(text, &list) != nil {
		return -1
	}
	out, _ := json.Marshal(list)
	return int32(len(out))
}

// build puts a string of 100 numbers together and takes it apart.
//
//go:wasmexport strings
func build() int32 {
	var b strings.Builder
	for i := range 100 {
		b.WriteString(strconv.Itoa(i * i))
		b.WriteByte(',')
	}
	return int32(len(strings.Split(strings.ToUpper(b.String()), ",")))
}

// fnv is the tightest loop that there is: 4 KiB, a few instructions for each.
//
//go:wasmexport hash
func fnv() int32 {
	h := uint32(2166136261)
	for _, c := range bytes {
		h = (h ^ uint32(c)) * 16777619
	}
	return int32(h)
}

// order sorts 300 numbers.
//
//go:wasmexport sort
func order() int32 {
	list := make([]uint32, 300)
	x := uint32(1)
	for i := range list {
		x = x*1664525 + 1013904223
		list[i] = x
	}
	slices.Sort(list)
	return int32(list[0])
}

// spin computes for a second or so.
//
//go:wasmexport spin
func spin() int32 {
	n := int32(0)
	for range 200_000 {
		n += fnv()
	}
	return n
}

func main() {}

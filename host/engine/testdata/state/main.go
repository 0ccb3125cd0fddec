// Command state is a guest that fills its memory while it is initialised, and
// tells what has become of it.
package main

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"hash/maphash"
	mathrand "math/rand"
	randv2 "math/rand/v2"
	"strings"
	"sync/atomic"
	"time"
)

type node struct {
	key  int
	next *node
}

var (
	squares = make(map[string]int)
	list    *node
	text    strings.Builder
	ticks   atomic.Int64
	asked   = make(chan int)
	answer  = make(chan int)
	fixed   = randv2.NewChaCha8([32]byte{1, 2, 3})
	count   int32
	kept    []string
)

func init() {
	for i := range 1000 {
		squares[fmt.Sprint(i)] = i * i
		list = &node{i, list}
		fmt.Fprint(&text, i)
	}
	go func() { // waits for time to pass
		for range time.Tick(time.Millisecond) {
			ticks.Add(1)
		}
	}()
	go func() { // waits for someone
		for i := range asked {
			answer <- i + 1
		}
	}()
}

// checks tells whether what was initialised is there: 0 if it is.
//
//go:wasmexport checks
func checks() int32 {
	if len(squares) != 1000 || len(text.String()) != 2890 {
		return 1
	}
	n := 1000
	for e := list; e != nil; e = e.next {
		if n--; e.key != n || squares[fmt.Sprint(n)] != n*n {
			return 2
		}
	}
	asked <- 41
	if <-answer != 42 {
		return 3
	}
	return 0
}

// counts tells how often it was called before, on this instance.
//
//go:wasmexport counts
func counts() int32 {
	count++
	return count - 1
}

// waits sleeps until a goroutine of before has counted, and tells how far.
//
//go:wasmexport waits
func waits() int32 {
	before := ticks.Load()
	for range 1000 {
		if n := ticks.Load() - before; n >= 3 {
			return int32(n)
		}
		time.Sleep(time.Millisecond)
	}
	return 0
}

// hides leaves a secret in every place that it can think of.
//
//go:wasmexport hides
func hides() int32 {
	secret := make([]byte, 32)
	for i := range secret {
		secret[i] = byte(i*7+3) ^ 0x5a
	}
	for i := range 100 {
		kept = append(kept, fmt.Sprint(i)+string(secret))
		squares[string(secret)+fmt.Sprint(i)] = i
	}
	go func(s [32]byte) { // on a stack
		<-asked
		kept = append(kept, string(s[:]))
	}([32]byte(secret))
	return int32(len(squares))
}

// Draws of random numbers, from wherever a program can have them.

//go:wasmexport rand1
func rand1() int32 { return int32(mathrand.Uint32()) }

//go:wasmexport rand2
func rand2() int32 { return int32(randv2.Uint32()) }

//go:wasmexport hash
func hash() int32 { return int32(maphash.String(maphash.MakeSeed(), "edge")) }

//go:wasmexport crypto
func crypto() int32 {
	var b [4]byte
	rand.Read(b[:])
	return int32(binary.LittleEndian.Uint32(b[:]))
}

// order is that of a range over a map.
//
//go:wasmexport order
func order() int32 {
	n := int32(0)
	for k := range squares {
		n = n*31 + int32(len(k)) + int32(k[0])
	}
	return n
}

// choice is that of select statements.
//
//go:wasmexport choice
func choice() int32 {
	a, b := make(chan int, 1), make(chan int, 1)
	n := int32(0)
	for range 32 {
		a <- 0
		b <- 1
		select {
		case i := <-a:
			n = n<<1 | int32(i)
			<-b
		case i := <-b:
			n = n<<1 | int32(i)
			<-a
		}
	}
	return n
}

// seeded is from a generator that the program has seeded itself.
//
//go:wasmexport seeded
func seeded() int32 { return int32(fixed.Uint64()) }

func main() {}

// Command behave is a guest that does what guests do besides answering.
package main

import (
	"crypto/rand"
	"encoding/binary"
	"fmt"
	"os"
	"strings"
	"time"
)

//go:wasmexport panics
func panics() int32 { panic("at the disco") }

//go:wasmexport exits
func exits() int32 {
	os.Exit(0)
	return 1
}

//go:wasmexport fails
func fails() int32 {
	os.Exit(3)
	return 0
}

//go:wasmexport talks
func talks() int32 {
	fmt.Println(strings.Repeat("a", 10_000))
	for range 100 {
		fmt.Fprintln(os.Stderr, strings.Repeat("b", 1000))
	}
	return 0
}

//go:wasmexport sleeps
func sleeps() int32 {
	time.Sleep(time.Hour)
	return 0
}

//go:wasmexport random
func random() int32 {
	var b [4]byte
	rand.Read(b[:])
	return int32(binary.LittleEndian.Uint32(b[:]))
}

//go:wasmexport now
func now() int32 { return int32(time.Now().Unix()) }

//go:wasmexport looks
func looks() int32 {
	if _, err := os.ReadDir("/"); err == nil {
		return 1
	}
	if len(os.Environ()) > 0 {
		return 2
	}
	if len(os.Args) > 0 {
		return 3
	}
	return 0
}

func main() {}

// Command clock is a guest that looks at the clock while it is initialised.
package main

import "time"

var start = time.Now()

// age is how long that is ago, in nanoseconds.
//
//go:wasmexport age
func age() int32 { return int32(min(time.Since(start), 1<<31-1)) }

func main() {}

// Command dice is a guest that draws random numbers while it is initialised.
package main

import "math/rand/v2"

var generator = rand.New(rand.NewPCG(rand.Uint64(), rand.Uint64()))

//go:wasmexport throw
func throw() int32 { return int32(generator.Uint32()) }

func main() {}

// Command guest runs the programs of its package programs, for tests of what is
// rewritten.
package main

import "github.com/edgeset/edgeset/host/rewrite/testdata/guest/programs"

func main() {}

// run returns what the program with a number computes.
//
//go:wasmexport run
func run(program int32) uint64 { return programs.All[program].Run() }

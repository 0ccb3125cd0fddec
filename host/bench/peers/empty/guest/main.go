// The plugin of package empty, to be built as Wasm.
package main

import (
	"github.com/edgeset/edgeset/abi/guest"
	"github.com/edgeset/edgeset/host/bench/peers/empty"
)

func init() { guest.Serve(empty.Plugin()) }

func main() {}

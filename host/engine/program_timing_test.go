package engine_test

import (
	"context"
	"testing"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/bench"
	"github.com/edgeset/edgeset/host/edge"
	"github.com/edgeset/edgeset/host/engine"
	native "github.com/edgeset/edgeset/host/extism"
	"github.com/edgeset/edgeset/host/wasmtest"
)

// BenchmarkLoad measures a new version of a plugin, until it can be called: of one
// whose program is kept, and of one whose machine code has to be read from the disk.
func BenchmarkLoad(b *testing.B) {
	e := goEngine(b)
	wasm := wasmtest.Build(b, "plugins/sharing")
	var w abi.Writer
	(&abi.Request{Kind: abi.CallDescribe}).Append(&w)
	o := engine.Options{Name: "sharing", Rehearsal: w.Value(), Modules: []engine.Module{edge.Module{}, native.Module()}}
	loads := func(before func()) bench.Side {
		return func(n int) {
			for range n {
				before()
				v, err := e.Load(context.Background(), wasm, o)
				if err != nil {
					b.Fatal(err)
				}
				o.Digest = v.Digest()
				closeVersion(b, v)
			}
		}
	}
	bench.Compare(b, "version/load", "from the disk", "ms", loads(func() {}), loads(e.EndKeeping))
}

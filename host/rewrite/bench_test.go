package rewrite_test

import (
	"testing"

	"github.com/edgeset/edgeset/host/rewrite"
	"github.com/edgeset/edgeset/host/wasmtest"
)

// BenchmarkRewrite has a Go guest rewritten, pass by pass and as a whole.
func BenchmarkRewrite(b *testing.B) {
	wasm := wasmtest.Build(b, "plugins/sharing")
	names := []string{"limit", "structure", "snapshot", "fuel"}
	for i := range everything {
		b.Run(names[i], func(b *testing.B) {
			b.SetBytes(int64(len(wasm)))
			b.ReportAllocs()
			for range b.N {
				b.StopTimer()
				m, err := rewrite.Parse(wasm)
				for k := 0; err == nil && k < i; k++ {
					err = everything[k](m)
				}
				b.StartTimer()
				if err == nil {
					err = everything[i](m)
				}
				if err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	for name, passes := range map[string][]func(*rewrite.Module) error{"read and write": nil, "all": everything} {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(wasm)))
			b.ReportAllocs()
			for range b.N {
				if _, err := rewritten(wasm, passes); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
}

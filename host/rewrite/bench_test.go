package rewrite_test

import (
	"testing"

	"github.com/edgeset/edgeset/host/rewrite"
	"github.com/edgeset/edgeset/host/wasmtest"
)

// BenchmarkRewrite has a plugin rewritten, pass by pass and as a whole.
func BenchmarkRewrite(b *testing.B) {
	wasm := wasmtest.Build(b, "plugins/sharing")
	passes := []struct {
		name string
		run  func(*rewrite.Module) error
	}{
		{"structure", func(m *rewrite.Module) error { _, err := rewrite.StructureGo(m); return err }},
		{"addresses", func(m *rewrite.Module) error { return rewrite.Addresses(m, true) }},
		{"snapshot", rewrite.Snapshot},
		{"fuel", rewrite.Fuel},
	}
	run := func(b *testing.B, name string, f func(*testing.B) error) {
		b.Run(name, func(b *testing.B) {
			b.SetBytes(int64(len(wasm)))
			b.ReportAllocs()
			for range b.N {
				if err := f(b); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	for i, pass := range passes {
		run(b, pass.name, func(b *testing.B) error {
			b.StopTimer()
			m, err := rewrite.Parse(wasm)
			for _, before := range passes[:i] {
				if err == nil {
					err = before.run(m)
				}
			}
			b.StartTimer()
			if err != nil {
				return err
			}
			return pass.run(m)
		})
	}
	run(b, "read and write", func(*testing.B) error {
		m, err := rewrite.Parse(wasm)
		if err == nil {
			m.Encode()
		}
		return err
	})
	run(b, "all", func(*testing.B) error {
		_, err := asPlugin(wasm)
		return err
	})
}

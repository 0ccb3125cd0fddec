package rewrite_test

import (
	"crypto/rand"
	"slices"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/edgeset/edgeset/host/rewrite"
	"github.com/edgeset/edgeset/host/rewrite/testdata/guest/programs"
	"github.com/edgeset/edgeset/host/wasmtest"
)

// TestGuest runs programs in Go as they are, and rewritten, and natively.
func TestGuest(t *testing.T) {
	wasm := wasmtest.Build(t, "host/rewrite/testdata/guest")
	var functions int
	named := structuredOf(t, wasm, func(m *rewrite.Module) { functions = len(m.Code) })
	stripped := structuredOf(t, wasm, func(m *rewrite.Module) {
		m.Customs = slices.DeleteFunc(m.Customs, func(c rewrite.Custom) bool { return c.Name == "name" })
	})
	if named < functions/2 || stripped != named {
		t.Errorf("%d of %d functions were given a structure, without names %d", named, functions, stripped)
	}
	cache, err := wazero.NewCompilationCacheWithDir(wasmtest.CacheDir(t))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { cache.Close(t.Context()) })
	for _, rewritten := range []bool{false, true} {
		w := newWorld(t, wazero.NewRuntimeConfigCompiler().WithCompilationCache(cache))
		if rewritten {
			w.rewrite = asPlugin
			w.refuel = func(api.Module) int32 { return 1000 }
		}
		wasi_snapshot_preview1.MustInstantiate(w.ctx, w.rt)
		mod, err := w.instantiateWith(wasm, wazero.NewModuleConfig().WithStartFunctions().
			WithRandSource(rand.Reader).WithSysWalltime().WithSysNanotime())
		if err != nil {
			t.Fatal(err)
		}
		if _, err := mod.ExportedFunction("_initialize").Call(w.ctx); err != nil {
			t.Fatal(err)
		}
		for i, p := range programs.All {
			got, err := mod.ExportedFunction("run").Call(w.ctx, uint64(i))
			if err != nil {
				t.Fatalf("%s, rewritten %v: %v", p.Name, rewritten, err)
			}
			if want := p.Run(); got[0] != want {
				t.Errorf("%s, rewritten %v: %#x, natively %#x", p.Name, rewritten, got[0], want)
			}
		}
		if rewritten && w.refuels < 1000 {
			t.Errorf("%d passes through the host", w.refuels)
		}
	}
}

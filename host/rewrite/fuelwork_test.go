package rewrite_test

import (
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/edgeset/edgeset/host/rewrite"
)

// TestFuelBoundsWork counts the instructions that are run between two passes
// through the host, by random modules whose code counts them itself.
func TestFuelBoundsWork(t *testing.T) {
	const grant = 1000
	l := &lab{t: t, plain: newWorld(t, wazero.NewRuntimeConfigCompiler())}
	w := l.plain
	w.env()
	w.rewrite = func(wasm []byte) ([]byte, error) {
		wasm, err := asPlugin(wasm)
		if err != nil {
			return nil, err
		}
		return rewrite.CountTicks(wasm)
	}
	var most, last, passes uint64
	w.refuel = func(mod api.Module) int32 {
		now := mod.ExportedGlobal(rewrite.TicksExport).Get()
		most, last, passes = max(most, now-last), now, passes+1
		return grant
	}
	modules := 200
	if testing.Short() {
		modules = 20
	}
	for seed := range uint64(modules) {
		var wasm []byte
		var calls []call
		if seed%2 == 0 {
			var types []funcType
			wasm, types = randomModule(&dice{data: randomBytes(seed, 2500)})
			calls = randomCalls(&dice{data: randomBytes(seed, 200)}, types)
		} else {
			wasm, calls = randomGo(&dice{data: randomBytes(seed, 600)})
		}
		mod := l.start(wasm)[0]
		for _, c := range calls {
			mod.ExportedGlobal(stepsExport).(api.MutableGlobal).Set(200)
			last = mod.ExportedGlobal(rewrite.TicksExport).Get()
			mod.ExportedGlobal(rewrite.FuelExport).(api.MutableGlobal).Set(grant)
			w.run(mod, c, nil)
			if now := mod.ExportedGlobal(rewrite.TicksExport).Get(); now-last > most {
				most = now - last
			}
		}
		if err := mod.Close(w.ctx); err != nil {
			t.Fatal(err)
		}
	}
	t.Logf("%d passes, at most %d instructions between two of them, for %d units of fuel", passes, most, grant)
	if passes < uint64(modules) || most > 40*grant {
		t.Error("that is not what fuel is for")
	}
}

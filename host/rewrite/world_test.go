package rewrite_test

import (
	"context"
	"strconv"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/edgeset/edgeset/host/rewrite"
)

// A rewriter returns another module for a module.
type rewriter func(wasm []byte) ([]byte, error)

// asPlugin is what the engine does.
func asPlugin(wasm []byte) ([]byte, error) {
	m, err := rewrite.Plugin(wasm)
	if err != nil {
		return nil, err
	}
	return m.Encode(), nil
}

// codeOnly leaves data and the start function as they are.
func codeOnly(wasm []byte) ([]byte, error) {
	m, err := rewrite.Parse(wasm)
	if err != nil {
		return nil, err
	}
	structured, err := rewrite.StructureGo(m)
	if err != nil {
		return nil, err
	}
	if err := rewrite.Addresses(m, structured > 0); err != nil {
		return nil, err
	}
	if err := rewrite.Fuel(m); err != nil {
		return nil, err
	}
	return m.Encode(), nil
}

// A world is a runtime in which modules run either as they are or rewritten.
type world struct {
	t       testing.TB
	ctx     context.Context
	rt      wazero.Runtime
	rewrite rewriter // nil: modules stay as they are
	refuels int
	granted int64                  // to instances, less what they had left
	refuel  func(api.Module) int32 // what the host grants; it is called for each pass
	trace   []string               // what programs asked of the host
}

// worlds returns one of each kind. In the second, fuel comes in small and
// changing amounts, so that both ways out of each check are taken.
func worlds(t testing.TB, features api.CoreFeatures, rewrite rewriter) (plain, ours *world) {
	t.Helper()
	config := wazero.NewRuntimeConfigCompiler().WithCoreFeatures(features)
	plain = newWorld(t, config)
	ours = newWorld(t, config)
	ours.rewrite = rewrite
	return plain, ours
}

func newWorld(t testing.TB, config wazero.RuntimeConfig) *world {
	t.Helper()
	w := &world{t: t, ctx: context.Background(), rt: wazero.NewRuntimeWithConfig(context.Background(), config)}
	t.Cleanup(func() {
		if err := w.rt.Close(w.ctx); err != nil {
			t.Error(err)
		}
	})
	amounts := [...]int32{1, 100, 0, 7, 1000, 3}
	w.refuel = func(api.Module) int32 { return amounts[w.refuels%len(amounts)] }
	i32 := []api.ValueType{api.ValueTypeI32}
	_, err := w.rt.NewHostModuleBuilder(rewrite.FuelModule).NewFunctionBuilder().
		WithGoModuleFunction(api.GoModuleFunc(func(_ context.Context, mod api.Module, stack []uint64) {
			w.refuels++
			grant := w.refuel(mod)
			w.granted += int64(grant) - int64(int32(stack[0]))
			stack[0] = api.EncodeI32(grant)
		}), i32, i32).
		Export(rewrite.FuelImport).Instantiate(w.ctx)
	if err != nil {
		t.Fatal(err)
	}
	return w
}

// instantiate makes an instance, which other modules can import from under the
// name as, if that is not empty.
func (w *world) instantiate(wasm []byte, as string) (api.Module, error) {
	return w.instantiateWith(wasm, wazero.NewModuleConfig().WithName(as))
}

func (w *world) instantiateWith(wasm []byte, config wazero.ModuleConfig) (api.Module, error) {
	if w.rewrite == nil {
		return w.rt.InstantiateWithConfig(w.ctx, wasm, config)
	}
	wasm, err := w.rewrite(wasm)
	if err != nil {
		return nil, err
	}
	mod, err := w.rt.InstantiateWithConfig(w.ctx, wasm, config)
	if err != nil {
		return nil, err
	}
	mod.ExportedGlobal(rewrite.FuelExport).(api.MutableGlobal).Set(0)
	for n := 0; ; n++ {
		data := mod.ExportedFunction(rewrite.DataExport + strconv.Itoa(n))
		if data == nil {
			break
		}
		if _, err := data.Call(w.ctx); err != nil {
			return nil, err
		}
	}
	if start := mod.ExportedFunction(rewrite.StartExport); start != nil {
		if _, err := start.Call(w.ctx); err != nil {
			return nil, err
		}
	}
	return mod, nil
}

// function finds an export. One that a module has imported itself is looked up
// where it comes from: wazero takes another function instead if the module there
// has imports, as every rewritten module does. Guests only import what the host
// has.
func (w *world) function(mod api.Module, name string) api.Function {
	for {
		from, as, imported := mod.ExportedFunctionDefinitions()[name].Import()
		if !imported {
			return mod.ExportedFunction(name)
		}
		mod, name = w.rt.Module(from), as
	}
}

// kind says what kind of error ended a call, without the stack trace.
func kind(err error) string {
	if err == nil {
		return ""
	}
	text, _, _ := strings.Cut(err.Error(), "\n")
	return text
}

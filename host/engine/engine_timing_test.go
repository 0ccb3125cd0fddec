package engine_test

import (
	"context"
	"testing"

	extism "github.com/extism/go-sdk"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/bench"
	"github.com/edgeset/edgeset/host/engine"
	native "github.com/edgeset/edgeset/host/extism"
	"github.com/edgeset/edgeset/host/wasmtest"
)

// BenchmarkEmptyCall measures what the engine adds to a call: an empty export of
// the same plugin on all sides, so that the hosts alone are compared.
func BenchmarkEmptyCall(b *testing.B) {
	ctx := context.Background()
	v, err := goEngine(b).Load(ctx, wasmtest.Build(b, pdkEmptyDir),
		engine.Options{Name: "empty", Modules: []engine.Module{native.Module()}})
	if err != nil {
		b.Fatal(err)
	}
	var state extismState
	ours := func(n int) {
		for range n {
			state.Reset(nil, nil)
			if code, err := v.Invoke(ctx, &state, "empty"); err != nil || code != 0 {
				b.Fatal(code, err)
			}
		}
	}
	b.Run("wazero", func(b *testing.B) {
		bench.Compare(b, "call/empty", "wazero", "µs", ours, bareExport(b, ctx))
	})
	b.Run("extism-go-sdk", func(b *testing.B) {
		bench.Compare(b, "call/empty", "extism-go-sdk", "µs", ours, extismSDK(b, ctx))
	})
}

// BenchmarkRequestCall measures a request frame through a route that does
// nothing: the pool, the frame into the guest, which takes it apart and makes a
// reply, and the reply out of it.
func BenchmarkRequestCall(b *testing.B) {
	ctx := context.Background()
	v := loadHello(b, goEngine(b), engine.Options{})
	frame := request(0)
	var dst []byte
	ours := func(n int) {
		for range n {
			reply, err := v.Call(ctx, nil, frame, dst[:0])
			if err != nil {
				b.Fatal(err)
			}
			dst = reply
		}
	}
	b.Run("wazero", func(b *testing.B) {
		bench.Compare(b, "call/request", "wazero", "µs", ours, bareWazero(b, ctx, frame))
	})
	// What it costs to serve nothing, each in its own way: a frame with all of
	// a request here, no input at all there.
	b.Run("extism-go-sdk", func(b *testing.B) {
		bench.Compare(b, "call/request", "extism-go-sdk", "µs", ours, extismSDK(b, ctx))
	})
}

// bareExport calls the empty export of the plugin made with Extism's PDK.
func bareExport(b *testing.B, ctx context.Context) bench.Side {
	mod := instantiate(b, ctx, wasmtest.Build(b, pdkEmptyDir), native.Module())
	call, stack := mod.ExportedFunction("empty"), make([]uint64, 1)
	return func(n int) {
		for range n {
			if err := call.CallWithStack(ctx, stack); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// instantiate starts a module on wazero alone.
func instantiate(b *testing.B, ctx context.Context, wasm []byte, imports ...engine.Module) api.Module {
	rt := wazero.NewRuntime(ctx)
	b.Cleanup(func() { rt.Close(ctx) })
	wasi_snapshot_preview1.MustInstantiate(ctx, rt)
	for _, m := range imports {
		if err := m.Instantiate(ctx, rt); err != nil {
			b.Fatal(err)
		}
	}
	mod, err := rt.InstantiateWithConfig(ctx, wasm,
		wazero.NewModuleConfig().WithStartFunctions("_initialize").WithSysWalltime().WithSysNanotime())
	if err != nil {
		b.Fatal(err)
	}
	return mod
}

// bareWazero calls the same export of the same module, with the frame already
// in place, in the way that allocates nothing.
func bareWazero(b *testing.B, ctx context.Context, frame []byte) bench.Side {
	mod := instantiate(b, ctx, wasmtest.Build(b, helloDir), denyAll()...)
	room, err := mod.ExportedFunction(abi.ExportAlloc).Call(ctx, uint64(len(frame)))
	if err != nil {
		b.Fatal(err)
	}
	if !mod.Memory().Write(uint32(room[0]), frame) {
		b.Fatal("no room for the frame")
	}
	call, stack := mod.ExportedFunction(abi.ExportCall), make([]uint64, 1)
	return func(n int) {
		for range n {
			stack[0] = uint64(len(frame))
			if err := call.CallWithStack(ctx, stack); err != nil {
				b.Fatal(err)
			}
		}
	}
}

// extismSDK calls an empty export of a plugin made with Extism's PDK, compiled
// once, through one instance that is reused.
func extismSDK(b *testing.B, ctx context.Context) bench.Side {
	extism.SetLogLevel(extism.LogLevelOff)
	compiled, err := extism.NewCompiledPlugin(ctx,
		extism.Manifest{Wasm: []extism.Wasm{extism.WasmData{Data: wasmtest.Build(b, pdkEmptyDir)}}},
		extism.PluginConfig{EnableWasi: true}, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { compiled.Close(ctx) })
	plugin, err := compiled.Instance(ctx, extism.PluginInstanceConfig{
		ModuleConfig: wazero.NewModuleConfig().WithSysWalltime().WithSysNanotime(),
	})
	if err != nil {
		b.Fatal(err)
	}
	return func(n int) {
		for range n {
			if code, _, err := plugin.CallWithContext(ctx, "empty", nil); err != nil || code != 0 {
				b.Fatal(code, err)
			}
		}
	}
}

const pdkEmptyDir = "host/engine/testdata/pdkempty"

// BenchmarkExtismCall compares the Extism lane with Extism's own host on the
// same plugin, with 1 KiB of input that comes back as output.
func BenchmarkExtismCall(b *testing.B) {
	ctx := context.Background()
	wasm, input := wasmtest.Build(b, pdkEmptyDir), make([]byte, 1<<10)
	v, err := goEngine(b).Load(ctx, wasm, engine.Options{Name: "echo", Modules: []engine.Module{native.Module()}})
	if err != nil {
		b.Fatal(err)
	}
	var state extismState
	ours := func(n int) {
		for range n {
			state.Reset(nil, input)
			if code, err := v.Invoke(ctx, &state, "echo"); err != nil || code != 0 || len(state.Output()) != len(input) {
				b.Fatal(code, err, len(state.Output()))
			}
		}
	}
	extism.SetLogLevel(extism.LogLevelOff)
	plugin, err := extism.NewPlugin(ctx,
		extism.Manifest{Wasm: []extism.Wasm{extism.WasmData{Data: wasm}}}, extism.PluginConfig{EnableWasi: true}, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { plugin.Close(ctx) })
	bench.Compare(b, "call/extism-echo-1KiB", "extism-go-sdk", "µs", ours, func(n int) {
		for range n {
			if code, out, err := plugin.CallWithContext(ctx, "echo", input); err != nil || code != 0 || len(out) != len(input) {
				b.Fatal(code, err, len(out))
			}
		}
	})
}

type extismState struct{ native.State }

func (s *extismState) Extism() *native.State { return &s.State }

// BenchmarkCall is for profiles of a call, and shows that it allocates nothing.
func BenchmarkCall(b *testing.B) {
	v := loadHello(b, goEngine(b), engine.Options{})
	frame := request(0)
	b.ReportAllocs()
	b.ResetTimer()
	b.RunParallel(func(pb *testing.PB) {
		var dst []byte
		for pb.Next() {
			reply, err := v.Call(context.Background(), nil, frame, dst[:0])
			if err != nil {
				b.Error(err)
				return
			}
			dst = reply
		}
	})
}

// BenchmarkState is what a host function pays to find the call it serves.
func BenchmarkState(b *testing.B) {
	var state extismState
	call := api.GoFunc(func(ctx context.Context, _ []uint64) {
		for b.Loop() {
			if engine.State(ctx) == nil {
				b.Fatal("no state")
			}
		}
	})
	v := loadGuest(b, newEngine(b, engine.Config{}), engine.Options{}, guest{
		imports: []imported{{"t", "f", nil, nil}},
		exports: map[string]fn{"run": {nil, nil, code(opCall, 0)}},
	}.wasm(), host{name: "t", funcs: []hostFunc{{name: "f", fn: func(ctx context.Context, _ api.Module, s []uint64) { call(ctx, s) }}}})
	if _, err := v.Invoke(b.Context(), &state, "run"); err != nil {
		b.Fatal(err)
	}
}

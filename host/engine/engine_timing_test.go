package engine_test

import (
	"context"
	"strings"
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
			if code, _, err := v.Invoke(ctx, &state, "empty"); err != nil || code != 0 {
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
			reply, _, err := v.Call(ctx, nil, frame, dst[:0])
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

// extismSDK calls the empty export on Extism's own host.
func extismSDK(b *testing.B, ctx context.Context) bench.Side {
	plugin := extismPlugin(b, ctx)
	return func(n int) {
		for range n {
			if code, _, err := plugin.CallWithContext(ctx, "empty", nil); err != nil || code != 0 {
				b.Fatal(code, err)
			}
		}
	}
}

// extismPlugin starts a plugin made with Extism's PDK on Extism's own host:
// compiled once, and one instance of it that is reused.
func extismPlugin(b *testing.B, ctx context.Context) *extism.Plugin {
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
	b.Cleanup(func() { plugin.Close(ctx) })
	return plugin
}

const pdkEmptyDir = "host/engine/testdata/pdkempty"

// BenchmarkEcho measures what it takes to bring so many bytes into a guest and
// out again, in both lanes: a parameter that comes back in a greeting, and an
// input that comes back as output.
func BenchmarkEcho(b *testing.B) {
	for _, size := range []struct {
		name  string
		bytes int
	}{{"1KiB", 1 << 10}, {"64KiB", 64 << 10}} {
		name := "call/echo_" + size.name
		b.Run(size.name+"/wazero", func(b *testing.B) { echoFrame(b, name, size.bytes) })
		b.Run(size.name+"/extism-go-sdk", func(b *testing.B) { echoExtism(b, name, size.bytes) })
	}
}

// echoFrame compares with wazero alone, which has the frame copied into the
// memory and the reply out of it, as the engine does.
func echoFrame(b *testing.B, name string, size int) {
	ctx := context.Background()
	v := loadHello(b, goEngine(b), engine.Options{})
	frame := request(1, strings.Repeat("x", size))
	var dst []byte
	ours := func(n int) {
		for range n {
			reply, _, err := v.Call(ctx, nil, frame, dst[:0])
			if err != nil || len(reply) < size {
				b.Fatal(err, len(reply))
			}
			dst = reply
		}
	}
	mod := instantiate(b, ctx, wasmtest.Build(b, helloDir), denyAll()...)
	room, err := mod.ExportedFunction(abi.ExportAlloc).Call(ctx, uint64(len(frame)))
	if err != nil {
		b.Fatal(err)
	}
	call, stack := mod.ExportedFunction(abi.ExportCall), make([]uint64, 1)
	var out []byte
	bench.Compare(b, name, "wazero", "µs", ours, func(n int) {
		for range n {
			if !mod.Memory().Write(uint32(room[0]), frame) {
				b.Fatal("no room for the frame")
			}
			stack[0] = uint64(len(frame))
			if err := call.CallWithStack(ctx, stack); err != nil {
				b.Fatal(err)
			}
			reply, ok := mod.Memory().Read(uint32(stack[0]>>32), uint32(stack[0]))
			if !ok || len(reply) < size {
				b.Fatal(len(reply))
			}
			out = append(out[:0], reply...)
		}
	})
}

// echoExtism compares the Extism lane with Extism's own host.
func echoExtism(b *testing.B, name string, size int) {
	ctx := context.Background()
	wasm, input := wasmtest.Build(b, pdkEmptyDir), make([]byte, size)
	v, err := goEngine(b).Load(ctx, wasm, engine.Options{Name: "echo", Modules: []engine.Module{native.Module()}})
	if err != nil {
		b.Fatal(err)
	}
	var state extismState
	plugin := extismPlugin(b, ctx)
	bench.Compare(b, name, "extism-go-sdk", "µs", func(n int) {
		for range n {
			state.Reset(nil, input)
			if code, _, err := v.Invoke(ctx, &state, "echo"); err != nil || code != 0 || len(state.Output()) != size {
				b.Fatal(code, err, len(state.Output()))
			}
		}
	}, func(n int) {
		for range n {
			if code, out, err := plugin.CallWithContext(ctx, "echo", input); err != nil || code != 0 || len(out) != size {
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
			reply, _, err := v.Call(context.Background(), nil, frame, dst[:0])
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
	if _, _, err := v.Invoke(b.Context(), &state, "run"); err != nil {
		b.Fatal(err)
	}
}

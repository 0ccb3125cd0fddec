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

// BenchmarkStart measures a new instance of a plugin, until it can be called:
// here from the image, there by running its data segments and _initialize.
func BenchmarkStart(b *testing.B) {
	ctx := context.Background()
	v := loadHello(b, goEngine(b), engine.Options{})
	ours := func(n int) {
		for range n {
			s, err := v.Start(ctx)
			if err != nil {
				b.Fatal(err)
			}
			s.Close()
		}
	}
	b.Run("wazero", func(b *testing.B) {
		fresh := newFresh(b, ctx)
		bench.Compare(b, "instance/start", "wazero", "µs", ours, func(n int) {
			for range n {
				fresh(b, ctx).Close(ctx)
			}
		})
	})
	b.Run("extism-go-sdk", func(b *testing.B) {
		// The same plugin on both sides, in the Extism lane.
		v := loadGuest(b, goEngine(b), engine.Options{}, wasmtest.Build(b, pdkEmptyDir), native.Module())
		ours := func(n int) {
			for range n {
				s, err := v.Start(ctx)
				if err != nil {
					b.Fatal(err)
				}
				s.Close()
			}
		}
		bench.Compare(b, "instance/start", "extism-go-sdk", "µs", ours, freshExtism(b, ctx))
	})
}

// BenchmarkReset measures a call that nothing is left of: here with a reset
// behind it, there on an instance of its own.
func BenchmarkReset(b *testing.B) {
	ctx := context.Background()
	var describe abi.Writer
	(&abi.Request{Kind: abi.CallDescribe}).Append(&describe)
	v := loadHello(b, goEngine(b), engine.Options{Rehearsal: describe.Value()})
	s, err := v.Start(ctx)
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	frame := request(1, "Ada")
	var dst []byte
	ours := func(n int) {
		for range n {
			if dst, err = s.Call(ctx, frame, dst[:0]); err != nil {
				b.Fatal(err)
			}
			if !s.Reset() {
				b.Fatal("it cannot be reset")
			}
		}
	}
	fresh := newFresh(b, ctx)
	bench.Compare(b, "instance/reset", "wazero", "µs", ours, func(n int) {
		for range n {
			mod := fresh(b, ctx)
			room, err := mod.ExportedFunction(abi.ExportAlloc).Call(ctx, uint64(len(frame)))
			if err != nil || !mod.Memory().Write(uint32(room[0]), frame) {
				b.Fatal("no room for the frame", err)
			}
			reply, err := mod.ExportedFunction(abi.ExportCall).Call(ctx, uint64(len(frame)))
			if err != nil {
				b.Fatal(err)
			}
			got, _ := mod.Memory().Read(uint32(reply[0]>>32), uint32(reply[0]))
			dst = append(dst[:0], got...)
			mod.Close(ctx)
		}
	})
}

// newFresh returns a way to start instances on wazero alone.
func newFresh(b *testing.B, ctx context.Context) func(*testing.B, context.Context) api.Module {
	rt := wazero.NewRuntime(ctx)
	b.Cleanup(func() { rt.Close(ctx) })
	wasi_snapshot_preview1.MustInstantiate(ctx, rt)
	for _, m := range denyAll() {
		if err := m.Instantiate(ctx, rt); err != nil {
			b.Fatal(err)
		}
	}
	code, err := rt.CompileModule(ctx, wasmtest.Build(b, helloDir))
	if err != nil {
		b.Fatal(err)
	}
	config := wazero.NewModuleConfig().WithName("").WithStartFunctions("_initialize").WithSysWalltime().WithSysNanotime()
	return func(b *testing.B, ctx context.Context) api.Module {
		mod, err := rt.InstantiateModule(ctx, code, config)
		if err != nil {
			b.Fatal(err)
		}
		return mod
	}
}

// freshExtism starts instances of a compiled plugin on Extism's host.
func freshExtism(b *testing.B, ctx context.Context) bench.Side {
	extism.SetLogLevel(extism.LogLevelOff)
	compiled, err := extism.NewCompiledPlugin(ctx,
		extism.Manifest{Wasm: []extism.Wasm{extism.WasmData{Data: wasmtest.Build(b, pdkEmptyDir)}}},
		extism.PluginConfig{EnableWasi: true}, nil)
	if err != nil {
		b.Fatal(err)
	}
	b.Cleanup(func() { compiled.Close(ctx) })
	return func(n int) {
		for range n {
			plugin, err := compiled.Instance(ctx, extism.PluginInstanceConfig{ModuleConfig: wazero.NewModuleConfig().WithSysWalltime().WithSysNanotime()})
			if err != nil {
				b.Fatal(err)
			}
			// Extism initialises a plugin with its first call.
			if code, _, err := plugin.CallWithContext(ctx, "empty", nil); err != nil || code != 0 {
				b.Fatal(code, err)
			}
			plugin.Close(ctx)
		}
	}
}

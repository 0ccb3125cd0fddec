package edge

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"

	sdk "github.com/extism/go-sdk"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/bench"
	"github.com/edgeset/edgeset/host/engine"
	"github.com/edgeset/edgeset/host/extism"
	"github.com/edgeset/edgeset/host/wasmtest"
	"github.com/edgeset/edgeset/store"
)

const (
	kvDir    = "host/edge/testdata/kv"
	kvPDKDir = "host/edge/testdata/kvpdk"
)

// BenchmarkKV measures a call of a plugin that reads, or writes, one entry of 100
// bytes. A hundred such calls share a transaction, which is then rolled back: what
// a transaction and its commit cost is not the call's.
func BenchmarkKV(b *testing.B) {
	k := newKVBench(b)
	for _, op := range []struct {
		export, name string
		native       func(c *Call, key []byte) error
		code         int32 // what the export returns
	}{
		{"get", "call/kv_get", func(c *Call, key []byte) error { _, _, err := c.Get(key); return err }, kvValueSize},
		{"put", "call/kv_put", func(c *Call, key []byte) error { return c.Put(key, k.value, 0) }, 0},
	} {
		for _, peer := range []struct {
			name         string
			ours, theirs call
		}{
			{"native", k.engine(kvDir, op.export), k.native(op.native, op.code)},
			{"wazero", k.engine(kvDir, op.export), k.wazero(op.export)},
			{"extism-go-sdk", k.engine(kvPDKDir, op.export), k.extism(op.export)},
		} {
			b.Run(op.export+"/"+peer.name, func(b *testing.B) {
				bench.Compare(b, op.name, peer.name, "µs", k.side(b, peer.ours, op.code), k.side(b, peer.theirs, op.code))
			})
		}
	}
}

const kvValueSize = 100

// A kvBench is a store with a hundred documents, and the call on whose behalf they
// are read.
type kvBench struct {
	b     *testing.B
	ctx   context.Context
	store store.Store
	keys  [][]byte
	value []byte
	edge  Call // of the running transaction
}

// A call is one call of a guest, or what stands for it, on the current
// transaction.
type call func() (code int32, err error)

func newKVBench(b *testing.B) *kvBench {
	k := &kvBench{b: b, ctx: context.Background(), store: open(b), value: make([]byte, kvValueSize)}
	for i := range 100 {
		k.keys = append(k.keys, fmt.Appendf(nil, "document/%02d", i))
	}
	with(b, k.store, plugin("kv"), func(c *Call) {
		for _, key := range k.keys {
			must(b, c.Put(key, k.value, 0))
		}
	})
	k.edge.Start(k.ctx, plugin("kv"), "bench")
	return k
}

var errRollback = errors.New("rolled back")

// side makes calls, a hundred in a transaction.
func (k *kvBench) side(b *testing.B, one call, want int32) bench.Side {
	return func(n int) {
		for left := n; left > 0; left -= len(k.keys) {
			err := k.store.Update(k.ctx, "space", func(txn store.Txn) error {
				for range min(left, len(k.keys)) {
					k.edge.Begin(txn)
					if code, err := one(); err != nil || code != want {
						return fmt.Errorf("code %d, want %d: %v", code, want, err)
					}
				}
				return errRollback
			})
			if err != errRollback {
				b.Fatal(err)
			}
		}
	}
}

// native does the operation without a guest.
func (k *kvBench) native(op func(c *Call, key []byte) error, code int32) call {
	n := 0
	return func() (int32, error) {
		key := k.keys[n%len(k.keys)]
		n++
		return code, op(&k.edge, key)
	}
}

func (k *kvBench) engine(dir, export string) call {
	e, err := engine.New(engine.Config{CacheDir: wasmtest.CacheDir(k.b), Logger: slog.New(slog.DiscardHandler)})
	must(k.b, err)
	k.b.Cleanup(func() { must(k.b, e.Close(k.ctx)) })
	v, err := e.Load(k.ctx, wasmtest.Build(k.b, dir), engine.Options{Name: "kv", Modules: []engine.Module{Module{}, extism.Module()}})
	must(k.b, err)
	return func() (int32, error) {
		code, _, err := v.Invoke(k.ctx, &k.edge, export)
		return code, err
	}
}

// wazero calls the same guest on wazero alone, with host functions of its own that
// do as little as they can.
func (k *kvBench) wazero(export string) call {
	rt := wazero.NewRuntime(k.ctx)
	k.b.Cleanup(func() { must(k.b, rt.Close(k.ctx)) })
	wasi_snapshot_preview1.MustInstantiate(k.ctx, rt)
	_, err := rt.NewHostModuleBuilder(abi.Module).
		NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(func(_ context.Context, m api.Module, s []uint64) {
		key, _ := m.Memory().Read(uint32(s[0]), uint32(s[1]))
		value, _, err := k.edge.Get(key)
		if err != nil || !m.Memory().Write(uint32(s[2]), value) {
			panic(err)
		}
		s[0] = uint64(len(value))
	}), i32(4), i64).Export("kv_get").
		NewFunctionBuilder().WithGoModuleFunction(api.GoModuleFunc(func(_ context.Context, m api.Module, s []uint64) {
		key, _ := m.Memory().Read(uint32(s[0]), uint32(s[1]))
		value, _ := m.Memory().Read(uint32(s[2]), uint32(s[3]))
		if err := k.edge.Put(key, value, 0); err != nil {
			panic(err)
		}
		s[0] = 0
	}), i32(5), i64).Export("kv_put").
		Instantiate(k.ctx)
	must(k.b, err)
	mod, err := rt.InstantiateWithConfig(k.ctx, wasmtest.Build(k.b, kvDir), wazero.NewModuleConfig().WithStartFunctions("_initialize"))
	must(k.b, err)
	fn, stack := mod.ExportedFunction(export), make([]uint64, 1)
	return func() (int32, error) {
		err := fn.CallWithStack(k.ctx, stack)
		return int32(stack[0]), err
	}
}

// extism calls the guest on Extism's own host, with host functions as its
// documentation shows them.
func (k *kvBench) extism(export string) call {
	sdk.SetLogLevel(sdk.LogLevelOff)
	get := sdk.NewHostFunctionWithStack("kv_get", func(_ context.Context, p *sdk.CurrentPlugin, stack []uint64) {
		key, err := p.ReadBytes(stack[0])
		if err != nil {
			panic(err)
		}
		value, _, err := k.edge.Get(key)
		if err != nil {
			panic(err)
		}
		if stack[0], err = p.WriteBytes(value); err != nil {
			panic(err)
		}
	}, []sdk.ValueType{sdk.ValueTypePTR}, []sdk.ValueType{sdk.ValueTypePTR})
	put := sdk.NewHostFunctionWithStack("kv_put", func(_ context.Context, p *sdk.CurrentPlugin, stack []uint64) {
		key, err := p.ReadBytes(stack[0])
		if err != nil {
			panic(err)
		}
		value, err := p.ReadBytes(stack[1])
		if err != nil {
			panic(err)
		}
		if err := k.edge.Put(key, value, 0); err != nil {
			panic(err)
		}
		stack[0] = 0
	}, []sdk.ValueType{sdk.ValueTypePTR, sdk.ValueTypePTR}, []sdk.ValueType{sdk.ValueTypeI64})
	compiled, err := sdk.NewCompiledPlugin(k.ctx,
		sdk.Manifest{Wasm: []sdk.Wasm{sdk.WasmData{Data: wasmtest.Build(k.b, kvPDKDir)}}},
		sdk.PluginConfig{EnableWasi: true}, []sdk.HostFunction{get, put})
	must(k.b, err)
	k.b.Cleanup(func() { must(k.b, compiled.Close(k.ctx)) })
	p, err := compiled.Instance(k.ctx, sdk.PluginInstanceConfig{ModuleConfig: wazero.NewModuleConfig().WithSysWalltime().WithSysNanotime()})
	must(k.b, err)
	k.b.Cleanup(func() { must(k.b, p.Close(k.ctx)) })
	return func() (int32, error) {
		code, _, err := p.CallWithContext(k.ctx, export, nil)
		return int32(code), err
	}
}

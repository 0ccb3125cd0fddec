package main

import (
	"context"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/edgeset/edgeset/host/bench/peers/trail"
)

// newRuntime gives the guest what http-wasm has none of: state, in the module kv.
func newRuntime(ctx context.Context) (wazero.Runtime, error) {
	rt := wazero.NewRuntime(ctx)
	module := rt.NewHostModuleBuilder("kv")
	for name, f := range map[string]struct {
		params int
		result bool
		fn     api.GoModuleFunc
	}{
		"get": {4, true, func(ctx context.Context, m api.Module, stack []uint64) {
			value, found := trail.From(ctx).Get(bytesAt(m, stack))
			if !found {
				stack[0] = api.EncodeI32(-1)
				return
			}
			stack[0] = put(m, stack[2:], value)
		}},
		"put": {4, false, func(ctx context.Context, m api.Module, stack []uint64) {
			trail.From(ctx).Put(bytesAt(m, stack), bytesAt(m, stack[2:]))
		}},
		"put_stamped": {4, false, func(ctx context.Context, m api.Module, stack []uint64) {
			trail.From(ctx).PutStamped(bytesAt(m, stack), bytesAt(m, stack[2:]))
		}},
		"scan": {7, true, func(ctx context.Context, m api.Module, stack []uint64) {
			frame := trail.From(ctx).Frame(nil, bytesAt(m, stack), bytesAt(m, stack[2:]), int(api.DecodeU32(stack[4])))
			stack[0] = put(m, stack[5:], frame)
		}},
	} {
		params := make([]api.ValueType, f.params)
		for i := range params {
			params[i] = api.ValueTypeI32
		}
		var results []api.ValueType
		if f.result {
			results = []api.ValueType{api.ValueTypeI32}
		}
		module.NewFunctionBuilder().WithGoModuleFunction(f.fn, params, results).Export(name)
	}
	_, err := module.Instantiate(ctx)
	return rt, err
}

// bytesAt is what a pointer and a length on the stack stand for. A wrong one is a
// trap.
func bytesAt(m api.Module, stack []uint64) []byte {
	b, ok := m.Memory().Read(api.DecodeU32(stack[0]), api.DecodeU32(stack[1]))
	if !ok {
		panic("kv: outside the memory")
	}
	return b
}

// put writes to where a pointer and a limit on the stack point, and returns the
// length.
func put(m api.Module, stack []uint64, b []byte) uint64 {
	if len(b) > int(api.DecodeU32(stack[1])) || !m.Memory().Write(api.DecodeU32(stack[0]), b) {
		panic("kv: no room in the memory")
	}
	return uint64(len(b))
}

package main

import (
	"context"

	extism "github.com/extism/go-sdk"

	"github.com/edgeset/edgeset/host/bench/peers/trail"
)

// functions give the guest what the SDK has none of: state. All are offsets of
// Extism's memory, 0 for nothing.
func functions() []extism.HostFunction {
	i32, i64 := extism.ValueTypeI32, extism.ValueTypeI64
	type host = func(ctx context.Context, p *extism.CurrentPlugin, stack []uint64)
	return []extism.HostFunction{
		extism.NewHostFunctionWithStack("kv_get", host(func(ctx context.Context, p *extism.CurrentPlugin, stack []uint64) {
			value, found := trail.From(ctx).Get(bytesAt(p, stack[0]))
			if stack[0] = 0; found {
				stack[0] = put(p, value)
			}
		}), []extism.ValueType{i64}, []extism.ValueType{i64}),
		extism.NewHostFunctionWithStack("kv_put", host(func(ctx context.Context, p *extism.CurrentPlugin, stack []uint64) {
			trail.From(ctx).Put(bytesAt(p, stack[0]), bytesAt(p, stack[1]))
		}), []extism.ValueType{i64, i64}, nil),
		extism.NewHostFunctionWithStack("kv_put_stamped", host(func(ctx context.Context, p *extism.CurrentPlugin, stack []uint64) {
			trail.From(ctx).PutStamped(bytesAt(p, stack[0]), bytesAt(p, stack[1]))
		}), []extism.ValueType{i64, i64}, nil),
		extism.NewHostFunctionWithStack("kv_scan", host(func(ctx context.Context, p *extism.CurrentPlugin, stack []uint64) {
			frame := trail.From(ctx).Frame(nil, bytesAt(p, stack[0]), bytesAt(p, stack[1]), int(extism.DecodeU32(stack[2])))
			stack[0] = put(p, frame)
		}), []extism.ValueType{i64, i64, i32}, []extism.ValueType{i64}),
	}
}

// bytesAt reads a block. A wrong offset is a trap.
func bytesAt(p *extism.CurrentPlugin, at uint64) []byte {
	b, err := p.ReadBytes(at)
	if err != nil {
		panic(err)
	}
	return b
}

// put makes a block, 0 if it has no bytes.
func put(p *extism.CurrentPlugin, b []byte) uint64 {
	if len(b) == 0 {
		return 0
	}
	at, err := p.WriteBytes(b)
	if err != nil {
		panic(err)
	}
	return at
}

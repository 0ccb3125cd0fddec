package engine_test

import (
	"context"
	"encoding/binary"
	"maps"
	"slices"
	"testing"

	"github.com/tetratelabs/wazero/api"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/engine"
)

// A guest is a module written by hand: what no compiler would make, but an
// attacker might.
type guest struct {
	imports []imported
	tables  []byte // body of the table section
	pages   uint32 // of memory; 0: none
	hidden  bool   // the memory is not exported
	start   string // export that is the start function
	exports map[string]fn
}

type imported struct {
	module, name    string
	params, results []api.ValueType
}

type fn struct {
	params, results []api.ValueType
	body            []byte
}

// Instructions that tests need.
const (
	opUnreachable = 0x00
	opLoop        = 0x03
	opCall        = 0x10
	opDrop        = 0x1a
	opLocalGet    = 0x20
	opLoad8       = 0x2d
	opMemoryGrow  = 0x40
	opI32Const    = 0x41
	opI64Const    = 0x42
	opEnd         = 0x0b
)

// code is a body: opcodes and immediates of one byte.
func code(b ...byte) []byte { return append(b, opEnd) }

// i32Const and i64Const push a number.
func i32Const(n int64) []byte { return signed([]byte{opI32Const}, n) }
func i64Const(n int64) []byte { return signed([]byte{opI64Const}, n) }

func signed(b []byte, n int64) []byte {
	for {
		c := byte(n & 0x7f)
		n >>= 7
		if n == 0 && c&0x40 == 0 || n == -1 && c&0x40 != 0 {
			return append(b, c)
		}
		b = append(b, c|0x80)
	}
}

func (g guest) wasm() []byte {
	var typeList [][]byte
	typeOf := func(params, results []api.ValueType) byte {
		t := append([]byte{0x60, byte(len(params))}, params...)
		t = append(append(t, byte(len(results))), results...)
		for i, have := range typeList {
			if slices.Equal(have, t) {
				return byte(i)
			}
		}
		typeList = append(typeList, t)
		return byte(len(typeList) - 1)
	}
	name := func(s string) []byte { return append([]byte{byte(len(s))}, s...) }
	names := slices.Sorted(maps.Keys(g.exports))

	var imports, functions, exports, bodies [][]byte
	for _, i := range g.imports {
		imports = append(imports, slices.Concat(name(i.module), name(i.name), []byte{0, typeOf(i.params, i.results)}))
	}
	var start []byte
	for i, n := range names {
		f, index := g.exports[n], byte(len(g.imports)+i)
		functions = append(functions, []byte{typeOf(f.params, f.results)})
		exports = append(exports, slices.Concat(name(n), []byte{0, index}))
		body := append([]byte{0}, f.body...) // no locals
		bodies = append(bodies, append(binary.AppendUvarint(nil, uint64(len(body))), body...))
		if n == g.start {
			start = []byte{index}
		}
	}
	if g.pages > 0 && !g.hidden {
		exports = append(exports, slices.Concat(name("memory"), []byte{2, 0}))
	}

	out := []byte("\x00asm\x01\x00\x00\x00")
	section := func(id byte, body []byte) {
		if len(body) > 0 {
			out = append(binary.AppendUvarint(append(out, id), uint64(len(body))), body...)
		}
	}
	list := func(items [][]byte) []byte {
		if len(items) == 0 {
			return nil
		}
		return append(binary.AppendUvarint(nil, uint64(len(items))), slices.Concat(items...)...)
	}
	section(1, list(typeList))
	section(2, list(imports))
	section(3, list(functions))
	section(4, g.tables)
	if g.pages > 0 {
		section(5, append([]byte{1, 0}, binary.AppendUvarint(nil, uint64(g.pages))...))
	}
	section(7, list(exports))
	section(8, start)
	section(10, list(bodies))
	return out
}

// fast returns a guest of the fast lane whose edge_call answers what body
// leaves on the stack.
func fast(call []byte) guest {
	return guest{pages: 2, exports: map[string]fn{
		abi.ExportVersion: {nil, types(1, i32), code(opI32Const, abi.Version)},
		abi.ExportAlloc:   {types(1, i32), types(1, i32), append(i32Const(1024), opEnd)},
		abi.ExportCall:    {types(1, i32), types(1, i64), append(call, opEnd)},
	}}
}

// with returns the guest with one export replaced.
func (g guest) with(name string, f fn) guest {
	g.exports = maps.Clone(g.exports)
	g.exports[name] = f
	return g
}

func load(e *engine.Engine, o engine.Options, wasm []byte, modules ...engine.Module) (*engine.Version, error) {
	o.Name, o.Modules = "guest", modules
	return e.Load(context.Background(), wasm, o)
}

func loadGuest(t testing.TB, e *engine.Engine, o engine.Options, wasm []byte, modules ...engine.Module) *engine.Version {
	t.Helper()
	v, err := load(e, o, wasm, modules...)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

package rewrite_test

import (
	"encoding/binary"
	"slices"
)

// Value types, and the type of a block that neither takes nor leaves anything.
const (
	i32   byte = 0x7f
	i64   byte = 0x7e
	f32   byte = 0x7d
	f64   byte = 0x7c
	ref   byte = 0x70
	empty byte = 0x40
)

// Kinds of exports.
const (
	asFunc   byte = 0
	asTable  byte = 1
	asMemory byte = 2
	asGlobal byte = 3
)

// code is a body, or some other part of a module. It shares nothing with what it
// is to test.
type code []byte

func (c *code) op(b ...byte)  { *c = append(*c, b...) }
func (c *code) u32(v uint32)  { *c = binary.AppendUvarint(*c, uint64(v)) }
func (c *code) name(s string) { c.u32(uint32(len(s))); c.op([]byte(s)...) }

func (c *code) s64(v int64) {
	for ; v < -64 || v > 63; v >>= 7 {
		c.op(byte(v) | 0x80)
	}
	c.op(byte(v) & 0x7f)
}

// with is op with an index behind it.
func (c *code) with(op byte, index uint32) { c.op(op); c.u32(index) }

func (c *code) i32Const(v int32) { c.op(0x41); c.s64(int64(v)) }
func (c *code) i64Const(v int64) { c.op(0x42); c.s64(v) }

// A builder puts a module together.
type builder struct {
	types    [][]byte
	imports  [][]byte
	funcs    []uint32
	bodies   [][]byte
	tables   [][]byte
	memories [][]byte
	globals  [][]byte
	exports  [][]byte
	start    []byte
	elements [][]byte
	data     [][]byte
	customs  [][]byte
}

// typ returns the number of a function type.
func (b *builder) typ(params, results []byte) uint32 {
	t := code{0x60}
	t.u32(uint32(len(params)))
	t.op(params...)
	t.u32(uint32(len(results)))
	t.op(results...)
	for i, have := range b.types {
		if slices.Equal(have, t) {
			return uint32(i)
		}
	}
	b.types = append(b.types, t)
	return uint32(len(b.types) - 1)
}

// importFunc adds an imported function, which has to come before those that are
// defined, and returns its number.
func (b *builder) importFunc(module, name string, params, results []byte) uint32 {
	var c code
	c.name(module)
	c.name(name)
	c.with(asFunc, b.typ(params, results))
	b.imports = append(b.imports, c)
	return uint32(len(b.imports) - 1)
}

// fn adds a function. locals are those besides the parameters; instructions is
// without its last end.
func (b *builder) fn(typ uint32, locals []byte, instructions code) uint32 {
	var c code
	c.u32(uint32(len(locals)))
	for _, l := range locals {
		c.op(1, l)
	}
	c.op(instructions...)
	c.op(0x0b)
	b.funcs = append(b.funcs, typ)
	b.bodies = append(b.bodies, c)
	return uint32(len(b.imports) + len(b.funcs) - 1)
}

// global adds one that can be changed, and exports it under a name if it has one.
func (b *builder) global(typ byte, name string) uint32 {
	c := code{typ, 1}
	switch typ {
	case i32, i64:
		c.op(0x41+i32-typ, 0)
	case f32:
		c.op(0x43, 0, 0, 0, 0)
	case f64:
		c.op(0x44, 0, 0, 0, 0, 0, 0, 0, 0)
	default:
		c.op(0xd0, typ)
	}
	c.op(0x0b)
	b.globals = append(b.globals, c)
	index := uint32(len(b.globals) - 1)
	if name != "" {
		b.export(name, asGlobal, index)
	}
	return index
}

func (b *builder) export(name string, kind byte, index uint32) {
	var c code
	c.name(name)
	c.with(kind, index)
	b.exports = append(b.exports, c)
}

func (b *builder) custom(name string, content []byte) {
	var c code
	c.name(name)
	c.op(content...)
	b.customs = append(b.customs, c)
}

func (b *builder) encode() []byte {
	out := code("\x00asm\x01\x00\x00\x00")
	section := func(id byte, body code) {
		out.with(id, uint32(len(body)))
		out.op(body...)
	}
	list := func(id byte, entries [][]byte) {
		if len(entries) == 0 {
			return
		}
		var c code
		c.u32(uint32(len(entries)))
		section(id, append(c, slices.Concat(entries...)...))
	}
	list(1, b.types)
	list(2, b.imports)
	funcs := make([][]byte, len(b.funcs))
	for i, typ := range b.funcs {
		funcs[i] = binary.AppendUvarint(nil, uint64(typ))
	}
	list(3, funcs)
	list(4, b.tables)
	list(5, b.memories)
	list(6, b.globals)
	list(7, b.exports)
	if b.start != nil {
		section(8, b.start)
	}
	list(9, b.elements)
	if len(b.data) > 0 {
		section(12, binary.AppendUvarint(nil, uint64(len(b.data))))
	}
	bodies := make([][]byte, len(b.bodies))
	for i, body := range b.bodies {
		bodies[i] = append(binary.AppendUvarint(nil, uint64(len(body))), body...)
	}
	list(10, bodies)
	list(11, b.data)
	for _, c := range b.customs {
		section(0, c)
	}
	return out
}

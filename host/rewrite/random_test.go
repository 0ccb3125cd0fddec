package rewrite_test

import (
	"math"
	"slices"
)

// dice makes choices from bytes: the same bytes make the same program, and a
// fuzzer can change a part of it. When they are used up each choice is 0, which
// is always one that leads to an end.
type dice struct{ data []byte }

// n chooses one of k.
func (d *dice) n(k int) int {
	v := 0
	for m := k - 1; m > 0 && len(d.data) > 0; m >>= 8 {
		v = v<<8 | int(d.data[0])
		d.data = d.data[1:]
	}
	return v % k
}

// one says yes once in k times.
func (d *dice) one(k int) bool { return d.n(k) == k-1 }

func pick[T any](d *dice, from []T) T { return from[d.n(len(from))] }

var numbers = []byte{i32, i64, f32, f64}

// Names of what a random module exports, besides f0, f1 and so on.
const (
	stepsExport  = "steps"
	memoryExport = "memory"
)

// stateExports are the globals of a random module.
var stateExports = []string{"gi32", "gi64", "gf32", "gf64"}

// The functions that a random module imports from "env".
var envFuncs = []struct {
	name            string
	params, results []byte
}{
	{"a", []byte{i32}, nil},
	{"b", []byte{i64, i32}, []byte{i32}},
	{"c", nil, []byte{f64}},
}

const (
	tableSize   = 8
	memoryPages = 1
	maxPages    = 3
)

// A generator makes a random module. Every function and every loop counts down
// a global, and returns when that is used up, so that each call comes to an end.
type generator struct {
	d     *dice
	b     builder
	types []funcType // of all functions, imported ones first
	steps uint32
	state map[byte][]uint32 // globals by type
	fref  uint32            // a global that holds a function
}

type funcType struct{ params, results []byte }

// randomModule returns a module, and how many functions f0, f1, … it exports.
func randomModule(d *dice) (wasm []byte, types []funcType) {
	g := &generator{d: d, state: make(map[byte][]uint32)}
	for _, f := range envFuncs {
		g.b.importFunc("env", f.name, f.params, f.results)
		g.types = append(g.types, funcType{f.params, f.results})
	}
	g.outside()
	own := 2 + d.n(5)
	for range own {
		t := funcType{g.some(4), g.some(3)}
		g.types = append(g.types, t)
	}
	// Functions in tables are those that ref.func may name.
	g.segments()
	share := len(d.data) / own
	for i, t := range g.types[len(envFuncs):] {
		// So that not the first takes it all.
		g.d = &dice{data: d.data[i*share:][:share]}
		typ := g.b.typ(t.params, t.results)
		f := newFunction(g, t)
		f.spend()
		f.statements(12 + g.d.n(30))
		f.settle(t.results)
		index := g.b.fn(typ, f.locals[len(t.params):], f.c)
		g.b.export("f"+string(rune('0'+i)), asFunc, index)
	}
	return g.b.encode(), g.types[len(envFuncs):]
}

func (g *generator) some(limit int) []byte {
	types := make([]byte, g.d.n(limit))
	for i := range types {
		types[i] = pick(g.d, numbers)
	}
	return types
}

// outside declares everything but functions.
func (g *generator) outside() {
	g.b.memories = [][]byte{{1, memoryPages, maxPages}}
	g.b.export(memoryExport, asMemory, 0)
	g.b.tables = [][]byte{{ref, 1, tableSize, 2 * tableSize}}
	g.steps = g.b.global(i32, stepsExport)
	for i, name := range stateExports {
		g.state[numbers[i]] = []uint32{g.b.global(numbers[i], name)}
	}
	for _, t := range numbers {
		g.state[t] = append(g.state[t], g.b.global(t, ""))
	}
	g.fref = g.b.global(ref, "")
	active := code{0, 0x41, 16, 0x0b, 5}
	active.op([]byte("hello")...)
	passive := code{1, 9}
	passive.op([]byte("segmented")...)
	g.b.data = [][]byte{active, passive, {1, 1, 'x'}}
}

// segments puts all functions into an active and a passive segment.
func (g *generator) segments() {
	active := code{0, 0x41, 0, 0x0b, tableSize - 1}
	for i := range tableSize - 1 {
		active.u32(uint32(i % len(g.types)))
	}
	passive := code{1, 0, byte(len(g.types))}
	for i := range g.types {
		passive.u32(uint32(i))
	}
	g.b.elements = [][]byte{active, passive}
}

// A function is written from front to end, together with the types of what is on
// the stack.
type function struct {
	g      *generator
	d      *dice
	c      code
	typ    funcType
	locals []byte
	stack  []byte
	frames []frame
}

// A frame is a block that is open.
type frame struct {
	label   []byte // what a branch to it takes along
	results []byte
	base    int  // how much of the stack is not its own
	dead    bool // what comes next cannot be reached
}

func newFunction(g *generator, t funcType) *function {
	f := &function{g: g, d: g.d, typ: t, locals: slices.Clone(t.params)}
	for _, n := range numbers {
		f.locals = append(f.locals, n, n) // the last is for canon
	}
	f.frames = []frame{{label: t.results, results: t.results}}
	return f
}

func (f *function) top() *frame { return &f.frames[len(f.frames)-1] }

// own is what the innermost block has on the stack.
func (f *function) own() []byte { return f.stack[f.top().base:] }

func (f *function) push(types ...byte) { f.stack = append(f.stack, types...) }

// pop takes off what want has ensured.
func (f *function) pop(n int) {
	f.stack = f.stack[:max(len(f.stack)-n, f.top().base)]
}

// want has values of these types on the stack, by pushing them if it must.
func (f *function) want(types ...byte) {
	own := f.own()
	k := min(len(own), len(types))
	// Where nothing is reached, what is missing is there.
	if k == len(types) || f.top().dead && f.d.one(2) {
		if slices.Equal(own[len(own)-k:], types[len(types)-k:]) {
			return
		}
	}
	for _, t := range types {
		f.value(t)
	}
}

var interesting = []int64{0, 1, -1, 2, 7, 64, 255, 1000, 65535, 65536, 1 << 20, math.MaxInt32, math.MinInt32, math.MaxInt64, math.MinInt64}

// value pushes a value.
func (f *function) value(t byte) {
	defer f.push(t)
	switch f.d.n(4) {
	case 1, 2:
		f.c.with(0x20, f.local(t))
	case 3:
		f.c.with(0x23, pick(f.d, f.g.state[t]))
	default:
		f.constant(t)
	}
}

func (f *function) constant(t byte) {
	v := pick(f.d, interesting)
	switch t {
	case i32:
		f.c.i32Const(int32(v))
	case i64:
		f.c.i64Const(v)
	case f32:
		bits := math.Float32bits(float32(v) / 8)
		f.c.op(0x43, byte(bits), byte(bits>>8), byte(bits>>16), byte(bits>>24))
	case f64:
		bits := math.Float64bits(float64(v) / 8)
		f.c.op(0x44)
		for i := range 8 {
			f.c.op(byte(bits >> (8 * i)))
		}
	}
}

// local chooses a local of a type.
func (f *function) local(t byte) uint32 {
	from := f.d.n(len(f.locals))
	for i := range f.locals {
		if k := (from + i) % len(f.locals); f.locals[k] == t {
			return uint32(k)
		}
	}
	panic("there are locals of each type")
}

// spend counts a step, and returns from the function when there are none left.
func (f *function) spend() {
	f.c.with(0x23, f.g.steps)
	f.c.op(0x41, 1, 0x6b)
	f.c.with(0x24, f.g.steps)
	f.c.with(0x23, f.g.steps)
	f.c.op(0x41, 0, 0x48, 0x04, empty)
	for _, t := range f.typ.results {
		f.constant(t)
	}
	f.c.op(0x0f, 0x0b)
}

// settle ends a block, with what it has to leave on the stack.
func (f *function) settle(results []byte) {
	if slices.Equal(f.own(), results) {
		return
	}
	for range f.own() {
		f.c.op(0x1a)
	}
	f.stack = f.stack[:f.top().base]
	if f.top().dead && f.d.one(2) {
		return
	}
	for _, t := range results {
		f.value(t)
	}
}

// die is for behind a branch.
func (f *function) die() {
	f.top().dead = true
	f.stack = f.stack[:f.top().base]
}

func (f *function) statements(n int) {
	for range n {
		if len(f.d.data) == 0 || len(f.c) > 8000 || f.top().dead && f.d.one(4) {
			return
		}
		f.statement()
	}
}

func (f *function) statement() {
	switch f.d.n(24) {
	case 0, 1:
		f.value(pick(f.d, numbers))
	case 2, 3:
		f.assign()
	case 4, 5, 6:
		f.operate()
	case 7:
		f.load()
	case 8:
		f.store()
	case 9:
		f.record()
	case 10, 11, 12, 13:
		f.block(0x03)
	case 14:
		f.block(0x02)
	case 15:
		f.block(0x04)
	case 16, 17:
		f.branch()
	case 18:
		f.branchTable()
	case 19, 20:
		f.call()
	case 21:
		f.bulk()
	case 22:
		f.table()
	case 23:
		f.rare()
	}
}

// assign puts a value into a local or a global.
func (f *function) assign() {
	t := pick(f.d, numbers)
	if own := f.own(); len(own) > 0 && f.d.one(2) {
		t = own[len(own)-1]
	}
	f.want(t)
	switch f.d.n(4) {
	case 0:
		f.c.with(0x24, pick(f.d, f.g.state[t]))
		f.pop(1)
	case 1:
		f.c.with(0x22, f.local(t))
		f.pop(1)
		f.push(t)
	default:
		f.c.with(0x21, f.local(t))
		f.pop(1)
	}
}

func (f *function) operate() {
	o := pick(f.d, operators)
	if o.traps && !f.d.one(8) {
		return
	}
	f.want(o.in...)
	f.c.op(o.op...)
	f.pop(len(o.in))
	f.push(o.out)
	if o.float {
		f.canon(o.out)
	}
}

// canon makes a NaN the one NaN: which one an operation gives is open.
func (f *function) canon(t byte) {
	spare := uint32(slices.Index(numbers, t)*2 + 1 + len(f.typ.params))
	f.c.with(0x22, spare)
	equal := byte(0x5b)
	if t == f32 {
		f.c.op(0x43, 0, 0, 0xc0, 0x7f)
	} else {
		f.c.op(0x44, 0, 0, 0, 0, 0, 0, 0xf8, 0x7f)
		equal = 0x61
	}
	f.c.with(0x20, spare)
	f.c.with(0x20, spare)
	f.c.op(equal, 0x1b)
}

var loads = []struct{ op, typ, size byte }{
	{0x28, i32, 4}, {0x29, i64, 8}, {0x2a, f32, 4}, {0x2b, f64, 8},
	{0x2c, i32, 1}, {0x2d, i32, 1}, {0x2e, i32, 2}, {0x2f, i32, 2},
	{0x30, i64, 1}, {0x31, i64, 1}, {0x32, i64, 2}, {0x33, i64, 2}, {0x34, i64, 4}, {0x35, i64, 4},
}

var stores = []struct{ op, typ, size byte }{
	{0x36, i32, 4}, {0x37, i64, 8}, {0x38, f32, 4}, {0x39, f64, 8},
	{0x3a, i32, 1}, {0x3b, i32, 2}, {0x3c, i64, 1}, {0x3d, i64, 2}, {0x3e, i64, 4},
}

// address pushes one that mostly lies in the memory.
func (f *function) address() {
	f.want(i32)
	if !f.d.one(20) {
		f.c.i32Const(0xffff)
		f.c.op(0x71)
	}
}

func (f *function) offset() uint32 {
	if f.d.one(40) {
		return uint32(pick(f.d, interesting))
	}
	return uint32(f.d.n(64))
}

func (f *function) load() {
	l := pick(f.d, loads)
	f.address()
	f.c.op(l.op, 0)
	f.c.u32(f.offset())
	f.pop(1)
	f.push(l.typ)
}

func (f *function) store() {
	s := pick(f.d, stores)
	f.address()
	f.pop(1)
	f.push(i32)
	f.value(s.typ)
	f.c.op(s.op, 0)
	f.c.u32(f.offset())
	f.pop(2)
}

// record reads and writes around one pointer, like a program with structures.
func (f *function) record() {
	pointer := f.local(i32)
	wrap := f.d.one(2)
	if wrap {
		pointer = f.local(i64)
	}
	if !f.d.one(10) {
		f.c.with(0x20, pointer)
		if wrap {
			f.c.i64Const(0xff00)
			f.c.op(0x83)
		} else {
			f.c.i32Const(0xff00)
			f.c.op(0x71)
		}
		f.c.with(0x21, pointer)
	}
	base := func() {
		f.c.with(0x20, pointer)
		if wrap {
			f.c.op(0xa7)
		}
		f.push(i32)
	}
	for range 2 + f.d.n(4) {
		if f.d.one(2) {
			l := pick(f.d, loads)
			base()
			f.c.op(l.op, 0)
			f.c.u32(f.offset())
			f.pop(1)
			f.push(l.typ)
			f.c.with(0x21, f.local(l.typ))
			f.pop(1)
			continue
		}
		s := pick(f.d, stores)
		base()
		f.value(s.typ)
		f.c.op(s.op, 0)
		f.c.u32(f.offset())
		f.pop(2)
	}
}

// block writes a block, loop or if.
func (f *function) block(op byte) {
	if len(f.frames) > 10 {
		return
	}
	var params, results []byte
	if f.d.one(3) {
		own := f.own()
		params = slices.Clone(own[len(own)-min(f.d.n(3), len(own)):])
		results = f.g.some(3)
	}
	f.want(params...)
	if op == 0x04 {
		// The condition lies above what the block takes.
		f.value(i32)
		f.pop(1)
	}
	f.c.op(op)
	switch {
	case len(params) > 0 || len(results) > 1:
		f.c.s64(int64(f.g.b.typ(params, results)))
	case len(results) == 1:
		f.c.op(results[0])
	default:
		f.c.op(empty)
	}
	f.pop(len(params))
	base := len(f.stack)
	label := results
	if op == 0x03 {
		label = params
	}
	begin := func() {
		f.frames = append(f.frames, frame{label: label, results: results, base: base})
		f.push(params...)
	}
	end := func() {
		f.settle(results)
		f.stack = f.stack[:base]
		f.frames = f.frames[:len(f.frames)-1]
	}
	begin()
	if op == 0x03 {
		f.spend()
	}
	f.statements(1 + f.d.n(8))
	if op == 0x03 && !f.top().dead && !f.d.one(4) {
		f.branchTo(0, true)
	}
	if op == 0x04 && (f.d.one(2) || !slices.Equal(params, results)) {
		end()
		f.c.op(0x05)
		begin()
		f.statements(f.d.n(6))
	}
	end()
	f.c.op(0x0b)
	f.push(results...)
}

func (f *function) branch() {
	if f.d.one(6) {
		f.want(f.typ.results...)
		f.c.op(0x0f)
		f.die()
		return
	}
	f.branchTo(f.d.n(len(f.frames)), !f.d.one(3))
}

// branchTo branches to a label, perhaps on a condition.
func (f *function) branchTo(label int, perhaps bool) {
	types := f.frames[len(f.frames)-1-label].label
	f.want(types...)
	if !perhaps {
		f.c.with(0x0c, uint32(label))
		f.die()
		return
	}
	f.pop(len(types))
	f.push(types...)
	f.value(i32)
	f.c.with(0x0d, uint32(label))
	f.pop(1)
}

func (f *function) branchTable() {
	types := f.frames[f.d.n(len(f.frames))].label
	var labels []uint32
	for i := range f.frames {
		if slices.Equal(f.frames[i].label, types) {
			labels = append(labels, uint32(len(f.frames)-1-i))
		}
	}
	f.want(types...)
	f.value(i32)
	n := f.d.n(6)
	f.c.with(0x0e, uint32(n))
	for range n + 1 {
		f.c.u32(pick(f.d, labels))
	}
	f.die()
}

func (f *function) call() {
	callee := f.d.n(len(f.g.types))
	t := f.g.types[callee]
	f.want(t.params...)
	f.pop(len(t.params))
	if f.d.one(3) {
		f.push(t.params...)
		f.value(i32)
		if !f.d.one(8) {
			f.c.op(0x41, tableSize-1, 0x71)
		}
		f.c.with(0x11, f.g.b.typ(t.params, t.results))
		f.c.op(0)
		f.pop(1 + len(t.params))
	} else {
		f.c.with(0x10, uint32(callee))
	}
	f.push(t.results...)
}

// small pushes a number below 2^bits, mostly.
func (f *function) small(bits int) {
	f.value(i32)
	if !f.d.one(16) {
		f.c.i32Const(1<<bits - 1)
		f.c.op(0x71)
	}
}

func (f *function) bulk() {
	which := f.d.n(6)
	switch which {
	case 0: // data.drop
		f.c.op(0xfc, 9, 2)
		return
	case 1: // memory.grow
		f.small(1)
		f.c.op(0x40, 0)
		f.pop(1)
		f.push(i32)
		return
	case 2: // memory.size
		f.c.op(0x3f, 0)
		f.push(i32)
		return
	}
	f.small(15)
	switch which {
	case 3: // memory.init
		f.small(3)
		f.small(3)
		// Of the first, an active one, wazero forgets that it counts as dropped.
		f.c.op(0xfc, 8, byte(1+f.d.n(2)), 0)
	case 4: // memory.copy
		f.small(15)
		f.small(12)
		f.c.op(0xfc, 10, 0, 0)
	case 5: // memory.fill
		f.small(8)
		f.small(12)
		f.c.op(0xfc, 11, 0)
	}
	f.pop(3)
}

func (f *function) table() {
	switch f.d.n(9) {
	case 0: // table.size
		f.c.op(0xfc, 16, 0)
		f.push(i32)
	case 1: // table.set with ref.func
		f.small(3)
		f.c.with(0xd2, uint32(f.d.n(len(f.g.types))))
		f.c.op(0x26, 0)
		f.pop(1)
	case 2: // table.get and ref.is_null
		f.small(3)
		f.c.op(0x25, 0, 0xd1)
		f.pop(1)
		f.push(i32)
	case 3: // table.grow with ref.null
		f.c.op(0xd0, ref)
		f.small(1)
		f.c.op(0xfc, 15, 0)
		f.pop(1)
		f.push(i32)
	case 4: // table.copy
		f.small(2)
		f.small(2)
		f.small(2)
		f.c.op(0xfc, 14, 0, 0)
		f.pop(3)
	case 5: // table.init
		f.small(2)
		f.small(1)
		f.small(1)
		f.c.op(0xfc, 12, byte(f.d.n(2)), 0)
		f.pop(3)
	case 6: // table.fill
		f.small(2)
		f.c.with(0xd2, uint32(f.d.n(len(f.g.types))))
		f.small(2)
		f.c.op(0xfc, 17, 0)
		f.pop(2)
	case 7: // elem.drop
		f.c.op(0xfc, 13, byte(f.d.n(2)))
	case 8: // a global that holds a function
		f.c.with(0xd2, uint32(f.d.n(len(f.g.types))))
		f.c.with(0x24, f.g.fref)
		f.c.with(0x23, f.g.fref)
		f.c.op(0xd1)
		f.push(i32)
	}
}

func (f *function) rare() {
	switch f.d.n(6) {
	case 0:
		f.c.op(0x01) // nop
	case 1, 2: // select
		t := pick(f.d, numbers)
		f.want(t, t, i32)
		if f.d.one(2) {
			f.c.op(0x1b)
		} else {
			f.c.op(0x1c, 1, t)
		}
		f.pop(3)
		f.push(t)
	case 3, 4:
		if len(f.own()) > 0 {
			f.c.op(0x1a)
			f.pop(1)
		}
	case 5:
		if f.d.one(4) {
			f.c.op(0x00)
			f.die()
		}
	}
}

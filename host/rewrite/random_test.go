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

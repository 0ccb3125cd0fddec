package rewrite_test

import "fmt"

// A goFunction is a function in the form that Go's compiler gives it, with a
// random flow of control between its segments.
type goFunction struct {
	d *dice
	g *goModule
	c code

	unwind    bool
	segments  int
	numbers   []uint32 // the segment of each number
	at        int      // the segment that is being written
	nest      uint32   // blocks that are open within it
	afterCall int      // where the code of the last call ends
	called    bool     // the segment before ended there, or was empty behind one that did
	odd       bool     // it may differ from what Go's compiler writes
}

// Locals of such a function: the number of a segment, the stack's pointer, and
// registers.
const (
	localPC  = 0
	localSP  = 1
	localR   = 2
	goLocals = 3 // registers
)

// A goModule has functions g0, g1, … that call each other.
type goModule struct {
	b     builder
	d     *dice
	steps uint32
	sp    uint32
	regs  uint32 // a global that is mixed with what happens
	typ   uint32
	count int // of functions
}

// goProducers is the section by which modules of Go's toolchain are known.
const goProducers = "\x01\x0cprocessed-by\x01\x0eGo cmd/compile\x061.26.0"

// randomGo returns a module, and calls of each of its functions at each of the
// places where it can be entered.
func randomGo(d *dice) (wasm []byte, calls []call) {
	g := &goModule{d: d}
	for _, f := range envFuncs {
		g.b.importFunc("env", f.name, f.params, f.results)
	}
	g.b.custom("producers", []byte(goProducers))
	if d.one(2) {
		// One is known not to return, and does.
		names := code{1}
		names.u32(uint32(len(envFuncs)))
		names.name("runtime.panicwrap")
		g.b.custom("name", append(code{1, byte(len(names))}, names...))
	}
	g.b.memories = [][]byte{{1, memoryPages, maxPages}}
	g.b.export(memoryExport, asMemory, 0)
	g.steps = g.b.global(i32, stepsExport)
	g.sp = g.b.global(i32, "sp")
	g.regs = g.b.global(i64, "regs")
	g.typ = g.b.typ([]byte{i32}, []byte{i32})
	g.count = 1 + d.n(4)
	g.b.tables = [][]byte{{ref, 0, byte(g.count)}}
	elements := code{0, 0x41, 0, 0x0b, byte(g.count)}
	for i := range g.count {
		elements.u32(uint32(len(envFuncs) + i))
	}
	g.b.elements = [][]byte{elements}
	share := len(d.data) / g.count
	for i := range g.count {
		f := &goFunction{d: &dice{data: d.data[i*share:][:share]}, g: g}
		f.write()
		index := g.b.fn(g.typ, []byte{i32, i64, i64, i64}, f.c)
		g.b.export(fmt.Sprintf("g%d", i), asFunc, index)
		entries := 1
		if f.unwind {
			entries = len(f.numbers) + 2
		}
		for pc := range entries {
			calls = append(calls, call{fmt.Sprintf("g%d", i), []uint64{uint64(pc)}})
		}
	}
	return g.b.encode(), calls
}

func (f *goFunction) write() {
	f.odd = f.d.one(3)
	f.unwind = !f.d.one(4)
	f.segments = 2 + f.d.n(9)
	f.numbers = []uint32{0}
	for i := range f.segments {
		times := f.d.n(2)
		if i > 0 && !(f.odd && f.d.one(4)) {
			times++
		}
		for range times {
			f.numbers = append(f.numbers, uint32(i))
		}
	}
	if f.odd && f.d.one(8) {
		f.numbers[0] = uint32(f.d.n(f.segments))
	}
	f.c.with(0x23, f.g.sp)
	f.c.i32Const(4096)
	f.c.op(0x72)
	f.c.with(0x21, localSP)
	if f.odd && f.d.one(8) {
		f.c.i32Const(int32(f.d.n(f.segments)))
		f.c.with(0x21, localPC)
	}
	if f.unwind {
		f.c.op(0x02, empty)
	}
	f.c.op(0x03, empty)
	for range f.segments {
		f.c.op(0x02, empty)
	}
	f.c.with(0x20, localPC)
	f.c.with(0x0e, uint32(len(f.numbers)))
	for _, s := range f.numbers {
		f.c.u32(s)
	}
	f.c.u32(uint32(f.segments - 1))
	f.c.op(0x0b)
	for f.at = range f.segments {
		f.segment()
		f.called = f.called || f.afterCall == len(f.c)
		f.c.op(0x0b)
	}
	switch ends := f.odd && f.d.one(4); {
	case f.unwind && ends:
		f.c.op(0x01, 0x0b)
		f.c.i32Const(4)
	case ends:
		f.c.i32Const(5)
	case f.unwind:
		f.c.op(0x00, 0x0b)
		f.c.i32Const(1)
	default:
		f.c.op(0x00)
	}
}

// around is how many blocks are between a place in the segment and the loop.
func (f *goFunction) around() uint32 { return f.nest + uint32(f.segments-1-f.at) }

func (f *goFunction) segment() {
	if f.called {
		if f.d.one(3) {
			return // nothing, as behind a call that does not return
		}
		f.forget()
	}
	f.spend()
	f.mix(int64(f.at))
	for range f.d.n(5) {
		f.statement()
	}
	switch f.d.n(8) {
	case 0, 1: // falls into the next
	case 2:
		f.leave()
	case 3:
		f.condition()
		f.c.op(0x04, empty)
		f.nest++
		f.jump()
		f.c.op(0x05)
		f.jump()
		f.c.op(0x0b)
		f.nest--
	case 4:
		f.call()
	default:
		f.jump()
	}
}

// forget is for behind a call: the stack may have been unwound meanwhile, and
// nothing that was in a register is there any more.
func (f *goFunction) forget() {
	for r := range uint32(goLocals) {
		f.c.with(0x23, f.g.regs)
		f.c.with(0x21, localR+r)
	}
	f.called = false
}

// spend counts a step, and returns when there are none left.
func (f *goFunction) spend() {
	f.c.with(0x23, f.g.steps)
	f.c.op(0x41, 1, 0x6b)
	f.c.with(0x24, f.g.steps)
	f.c.with(0x23, f.g.steps)
	f.c.op(0x41, 0, 0x48, 0x04, empty)
	f.c.i32Const(1)
	f.c.op(0x0f, 0x0b)
}

func (f *goFunction) register() uint32 { return localR + uint32(f.d.n(goLocals)) }

// mix has a register and the global tell where the program has been.
func (f *goFunction) mix(k int64) {
	r := f.register()
	f.c.with(0x20, r)
	f.c.i64Const(31)
	f.c.op(0x7e)
	f.c.i64Const(k)
	f.c.op(0x7c)
	f.c.with(0x22, r)
	f.c.with(0x23, f.g.regs)
	f.c.i64Const(7)
	f.c.op(0x7e, 0x85)
	f.c.with(0x24, f.g.regs)
}

// condition pushes whether something is so.
func (f *goFunction) condition() {
	if f.d.one(3) {
		f.c.with(0x23, f.g.regs)
	} else {
		f.c.with(0x20, f.register())
	}
	f.c.i64Const(int64(1 << f.d.n(4)))
	f.c.op(0x83, 0x50) // and, eqz
}

// jump goes to a segment by its number.
func (f *goFunction) jump() {
	to := int32(f.d.n(len(f.numbers)))
	if f.odd && f.d.one(8) {
		to = int32(len(f.numbers)) + int32(f.d.n(3)) - 1
	}
	f.c.i32Const(to)
	if f.odd && f.d.one(12) {
		f.c.op(0x41, 0, 0x6a) // no constant any more
	}
	f.c.with(0x21, localPC)
	if f.odd && f.d.one(12) {
		f.condition()
		f.c.with(0x0d, f.around())
		return
	}
	f.c.with(0x0c, f.around())
}

// leave returns.
func (f *goFunction) leave() {
	switch {
	case f.odd && f.d.one(4):
		f.c.i32Const(3)
		up := f.around() + 1
		if f.unwind {
			up++
		}
		f.c.with(0x0c, up)
	case f.odd && f.d.one(4):
		f.c.op(0x00)
	default:
		f.c.i32Const(int32(f.d.n(2)))
		f.c.op(0x0f)
	}
}

// call calls another function, and unwinds the stack if that does.
func (f *goFunction) call() {
	callee := f.d.n(f.g.count)
	f.c.i32Const(0)
	switch f.d.n(3) {
	case 0:
		f.c.with(0x10, uint32(len(envFuncs)+callee))
	case 1:
		f.c.i32Const(int32(callee))
		f.c.with(0x11, f.g.typ)
		f.c.op(0)
	case 2:
		f.c.op(0x1a)
		f.c.with(0x20, f.register())
		f.c.op(0x41, 0)
		f.c.with(0x10, 1) // of the host
		f.c.op(0x41, 1, 0x71)
	}
	if f.unwind {
		f.c.with(0x0d, f.around()+1)
	} else {
		f.c.op(0x04, empty, 0x00, 0x0b)
	}
	f.afterCall = len(f.c)
}

func (f *goFunction) statement() {
	switch f.d.n(9) {
	case 0:
		f.mix(int64(f.d.n(64)))
	case 1, 2:
		f.condition()
		f.c.op(0x04, empty)
		f.nest++
		f.jump()
		f.c.op(0x0b)
		f.nest--
	case 3:
		if open := f.segments - 1 - f.at; open > 0 {
			f.condition()
			f.c.with(0x0d, f.nest+uint32(f.d.n(open)))
		}
	case 4:
		f.inner()
	case 5:
		f.call()
	case 6, 7:
		f.access()
	case 8:
		if f.odd {
			f.strange()
		}
	}
}

// inner is flow of control that stays in the segment.
func (f *goFunction) inner() {
	f.c.op(0x02, empty, 0x03, empty)
	f.nest += 2
	f.spend()
	f.mix(5)
	if f.d.one(2) {
		f.statement()
	}
	switch f.d.n(3) {
	case 0:
		f.condition()
		f.c.with(0x0d, 0)
	case 1:
		f.c.with(0x20, f.register())
		f.c.op(0xa7, 0x0e, 2, 0, 1, 1)
	case 2:
		f.c.with(0x0c, 1)
	}
	f.nest -= 2
	f.c.op(0x0b, 0x0b)
}

// access reads and writes the stack, in Go's way.
func (f *goFunction) access() {
	// In between, something else may happen that leaves the stack as it was.
	between := func() {
		if f.odd && f.d.one(8) {
			f.c.with(0x20, localSP)
			f.c.op(0x1a)
		}
	}
	address := func() {
		f.c.with(0x20, localSP)
		if f.d.one(2) {
			between()
			f.c.op(0xad)
			between()
			f.c.i64Const(int64(f.d.n(200)))
			between()
			f.c.op(0x7c)
			between()
			f.c.op(0xa7)
		}
		between()
	}
	for range 1 + f.d.n(3) {
		r := f.register()
		store := f.d.one(2)
		address()
		if store {
			f.c.with(0x20, r)
			f.c.op(0x37, 3)
		} else {
			f.c.op(0x29, 3)
		}
		f.c.u32(uint32(f.d.n(100)))
		if !store {
			f.c.with(0x21, r)
		}
	}
}

// strange is what Go's compiler does not write.
func (f *goFunction) strange() {
	switch f.d.n(4) {
	case 0:
		f.c.i32Const(int32(f.d.n(40)))
		f.c.with(0x22, localPC)
		f.c.op(0xac)
		f.c.with(0x21, f.register())
	case 1:
		f.c.i32Const(int32(f.d.n(4)))
		f.c.with(0x22, localPC)
		f.c.op(0x1a)
	case 2:
		// A table that leads out of the segment.
		if open := f.segments - 1 - f.at; open > 0 {
			f.c.op(0x02, empty)
			f.c.with(0x20, f.register())
			f.c.op(0xa7, 0x0e, 1, 0)
			f.c.u32(1 + f.nest + uint32(f.d.n(open)))
			f.c.op(0x0b)
		}
	case 3:
		f.c.op(0x00)
	}
}

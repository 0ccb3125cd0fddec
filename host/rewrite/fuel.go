package rewrite

import "strings"

// Names of what Fuel adds to a module.
const (
	// FuelModule and FuelImport name a function (i32) → (i32) that the host has
	// to provide: it is called when the fuel is used up, with what is left of it,
	// zero or less, and returns how much there is from then on. It is where the
	// host ends a call that has run for too long.
	FuelModule = Reserved + "engine"
	FuelImport = "refuel"
	// FuelExport names the mutable i32 global with the fuel that is left.
	FuelExport = Reserved + "fuel"
)

// Reserved is how the names begin that a module cannot have of its own.
const Reserved = "edgeset:"

// FuelSlice is how much fuel an instance begins with, and a good amount to
// return from FuelImport: some 50 µs of work. A pass through the host costs
// about a two-hundredth of that.
const FuelSlice = 500_000

// A unit of fuel is about one instruction, a tenth of a nanosecond, on the way that was taken through
// loops and calls. What lies between two checks is charged as a whole.
const (
	costCall = 4
	// What the host is asked for takes longer than the asking; a hundred calls
	// are a slice.
	costHost = FuelSlice / 100
	// To grow a table may be to copy it.
	costGrow = FuelSlice
	// Copies and fills up to bulkFree bytes, or entries, are free, and cost one
	// for each 1<<bulkUnitBits above that.
	bulkFree     = 1024
	bulkUnitBits = 2

	maxCost = 1 << 20 // of one turn, so that the count stays in 32 bits
)

// Fuel makes a module count what it does, and pass through the host now and
// then. It adds an import, and so moves the number of every function.
//
// The count is taken at the head of each loop, at the beginning of each function
// that calls others or is long, and before each copy or fill of many bytes: nothing can
// run on and on without passing one of these. It is kept in a global. While a
// loop runs in which nothing is called, it is kept in a local, which the compiler
// can keep in a register; and a loop passes through the host from outside of
// itself, so that no register has to be saved within it.
func Fuel(m *Module) (err error) {
	defer catch(&err)
	for i := range m.Imports {
		if strings.HasPrefix(m.Imports[i].Module, Reserved) {
			return ErrReserved
		}
	}
	f := &fueler{
		refuel: m.imported(KindFunc),
		global: m.addGlobal(I32),
	}
	m.Globals[len(m.Globals)-1].Init = append(appendS64([]byte{opI32Const}, FuelSlice), opEnd)
	m.Exports = append(m.Exports, Export{Name: FuelExport, Kind: KindGlobal, Index: f.global})
	params := make([]uint32, len(m.Types))
	for i, t := range m.Types {
		params[i] = (&reader{data: t, pos: 1}).u32()
	}
	for i, body := range m.Code {
		if int(m.Funcs[i]) >= len(params) {
			fail("function %d has a type that is not there", i)
		}
		m.Code[i] = f.function(body, params[m.Funcs[i]])
	}
	typ := m.addType([]byte{I32}, []byte{I32})
	m.Imports = append(m.Imports, Import{Module: FuelModule, Name: FuelImport, Kind: KindFunc, Type: appendU32(nil, typ)})
	f.renumber(m)
	return nil
}

// A fueler rewrites one function after the other.
type fueler struct {
	refuel uint32 // the number of the import; those from it on move up by one
	global uint32

	body  []byte
	out   []byte
	done  int    // the body is written up to here
	count uint32 // the local that holds the count
	size  uint32 // the local that holds the size of a copy
	work  survey
	open  []block
	// within is how deep the outermost loop lies in which nothing is called and
	// the count is in the local; 0 outside of such loops.
	within int
}

// A block is open around the instruction at hand.
type block struct {
	added   uint32 // blocks that were added around it and those outside of it
	wrapped bool   // a loop with blocks of its own around it
	cost    int64  // of a turn of it
}

// function writes a body anew.
func (f *fueler) function(body []byte, params uint32) []byte {
	r := &reader{data: body}
	_, _, at := r.locals()
	f.work.read(body, at)
	f.body, f.out, f.done = body, make([]byte, 0, len(body)+len(body)/8+64), 0
	if f.work.charged() || f.work.bulk || len(f.work.loops) > 0 {
		head, first, _ := withLocals(body, params, 2, I32)
		f.count, f.size = first, first+1
		f.out, f.done = append(f.out, head...), at
	}
	if f.work.charged() {
		f.load()
		f.charge(price(f.work.cost))
		f.store()
	}
	f.instructions(at)
	return append(f.out, body[f.done:]...)
}

// instructions writes the code from at on.
func (f *fueler) instructions(at int) {
	r := &reader{data: f.body, pos: at}
	f.open = append(f.open[:0], block{})
	f.within = 0
	loops := 0 // begun
	var in instr
	for len(f.open) > 0 {
		r.instr(&in)
		switch in.op {
		case opBlock, opIf:
			f.open = append(f.open, block{added: f.top().added})
		case opLoop:
			f.loop(&in, &f.work.loops[loops])
			loops++
		case opEnd:
			f.end(&in)
		case opReturn:
			f.leave(&in, 0)
		case opBr, opBrIf:
			f.leave(&in, len(f.open)-1-int(in.a))
			f.replace(&in, f.label(uint32(in.a)), in.a)
		case opBrTable:
			f.branchTable(&in)
		case opCall, opRefFunc:
			if index := uint32(in.a); index >= f.refuel {
				f.replace(&in, index+1, in.a)
			} else if in.op == opCall {
				f.before(&in, costHost)
			}
		case opMisc:
			switch in.sub {
			case miscMemoryInit, miscMemoryCopy, miscMemoryFill, miscTableInit, miscTableCopy, miscTableFill:
				f.copyTo(in.start)
				f.bulk()
			case miscTableGrow:
				f.before(&in, costGrow)
			}
		}
	}
}

func (f *fueler) top() *block { return &f.open[len(f.open)-1] }

// label says what a branch has to be to lead where it led before.
func (f *fueler) label(l uint32) uint32 {
	top := len(f.open) - 1
	if uint64(l) > uint64(top) {
		fail("a branch to %d of %d blocks", l, top+1)
	}
	return l + f.open[top].added - f.open[top-int(l)].added
}

// replace writes an instruction with another immediate.
func (f *fueler) replace(in *instr, to uint32, from int64) {
	if int64(to) != from {
		f.copyTo(in.start)
		f.out = appendU32(append(f.out, in.op), to)
		f.done = in.end
	}
}

func (f *fueler) branchTable(in *instr) {
	targets := in.targets(f.body)
	outermost := len(f.open) - 1
	for _, t := range targets {
		outermost = min(outermost, len(f.open)-1-int(t))
	}
	f.leave(in, outermost)
	f.copyTo(in.start)
	f.out = appendU32(append(f.out, opBrTable), uint32(len(targets)-1))
	for _, t := range targets {
		f.out = appendU32(f.out, f.label(t))
	}
	f.done = in.end
}

// loop writes the head of a loop:
//
//	block
//	  loop
//	    block
//	      loop             ;; the loop itself
//	        …              ;; take the cost from the count
//	        br_if 1        ;; nothing is left
//	        …
//	      end
//	      br 2
//	    end
//	    …                  ;; pass through the host
//	    br 0               ;; and go on at the head
//	  end
//	end
//
// One with parameters or results passes through the host where it is.
func (f *fueler) loop(in *instr, l *loopWork) {
	begins := f.within == 0 && !l.calls
	if begins {
		f.copyTo(in.start)
		f.load()
		f.out = appendU32(append(f.out, opLocalSet), f.count)
		f.within = len(f.open)
	}
	added := f.top().added
	wrapped := in.a == -64
	if wrapped {
		f.copyTo(in.start)
		f.out = append(f.out, opBlock, blockEmpty, opLoop, blockEmpty, opBlock, blockEmpty)
		added += 3
	}
	cost := price(l.cost)
	f.open = append(f.open, block{added: added, wrapped: wrapped, cost: cost})
	f.copyTo(in.end)
	if f.within > 0 {
		f.out = appendU32(append(f.out, opLocalGet), f.count)
	} else {
		f.load()
	}
	if !wrapped {
		f.charge(cost)
		if f.within == 0 {
			f.store()
		}
		return
	}
	f.take(cost)
	if f.within == 0 {
		f.store()
	}
	f.empty()
	f.out = append(f.out, opBrIf, 1)
}

// end closes a block, and what was added around it.
func (f *fueler) end(in *instr) {
	b, depth := *f.top(), len(f.open)-1
	f.open = f.open[:depth]
	if b.wrapped {
		f.copyTo(in.end)
		f.out = append(f.out, opBr, 2, opEnd)
		f.refill()
		// The turn is paid for, and what the host gives may be less than it costs.
		f.out = appendU32(append(f.out, opLocalGet), f.count)
		f.take(-b.cost)
		if f.within == 0 {
			f.store()
		}
		f.out = append(f.out, opBr, 0, opEnd, opEnd)
	}
	if f.within > 0 && f.within == depth {
		f.copyTo(in.end)
		f.store()
		f.within = 0
	}
}

// leave makes the global right before a branch to the block at a depth, or a
// return, if it leads out of where the local has the count.
func (f *fueler) leave(in *instr, to int) {
	if f.within > 0 && to < f.within {
		f.copyTo(in.start)
		f.store()
	}
}

func (f *fueler) copyTo(at int) {
	f.out = append(f.out, f.body[f.done:at]...)
	f.done = at
}

// load pushes the global.
func (f *fueler) load() { f.out = appendU32(append(f.out, opGlobalGet), f.global) }

// store puts the local into the global. It leaves the operands alone, and so can
// stand before any instruction.
func (f *fueler) store() {
	f.out = appendU32(append(f.out, opLocalGet), f.count)
	f.out = appendU32(append(f.out, opGlobalSet), f.global)
}

// take subtracts a cost from the count on the stack, and leaves it in the local.
func (f *fueler) take(cost int64) {
	f.out = append(appendS64(append(f.out, opI32Const), cost), opI32Sub)
	f.out = appendU32(append(f.out, opLocalSet), f.count)
}

// empty pushes whether nothing is left.
func (f *fueler) empty() {
	f.out = appendU32(append(f.out, opLocalGet), f.count)
	f.out = append(f.out, opI32Const, 0, opI32LtS)
}

// refill passes through the host.
func (f *fueler) refill() {
	f.out = appendU32(append(f.out, opLocalGet), f.count)
	f.out = appendU32(append(f.out, opCall), f.refuel)
	f.out = appendU32(append(f.out, opLocalSet), f.count)
}

// charge takes a cost from the count on the stack, and passes through the host
// if nothing is left.
func (f *fueler) charge(cost int64) {
	f.take(cost)
	f.refillIfEmpty()
}

// before charges for one instruction.
func (f *fueler) before(in *instr, cost int64) {
	f.copyTo(in.start)
	if f.within > 0 {
		f.out = appendU32(append(f.out, opLocalGet), f.count)
		f.charge(cost)
		return
	}
	f.load()
	f.charge(cost)
	f.store()
}

func (f *fueler) refillIfEmpty() {
	f.empty()
	f.out = append(f.out, opIf, blockEmpty)
	f.refill()
	f.out = append(f.out, opEnd)
}

// bulk charges for the number of bytes or entries on the stack, and leaves it
// there.
func (f *fueler) bulk() {
	f.out = appendU32(append(f.out, opLocalTee), f.size)
	f.out = appendS64(append(f.out, opI32Const), bulkFree)
	f.out = append(f.out, opI32GtU, opIf, blockEmpty)
	if f.within > 0 {
		f.out = appendU32(append(f.out, opLocalGet), f.count)
	} else {
		f.load()
	}
	f.out = appendU32(append(f.out, opLocalGet), f.size)
	f.out = append(f.out, opI32Const, bulkUnitBits, opI32ShrU, opI32Sub)
	f.out = appendU32(append(f.out, opLocalSet), f.count)
	f.refillIfEmpty()
	if f.within == 0 {
		f.store()
	}
	f.out = append(f.out, opEnd)
	f.out = appendU32(append(f.out, opLocalGet), f.size)
}

// renumber moves up the functions that are mentioned outside of the code.
func (f *fueler) renumber(m *Module) {
	move := func(index *uint32) {
		if *index >= f.refuel {
			*index++
		}
	}
	for i := range m.Exports {
		if m.Exports[i].Kind == KindFunc {
			move(&m.Exports[i].Index)
		}
	}
	if m.Start != nil {
		move(m.Start)
	}
	for i := range m.Elements {
		e := &m.Elements[i]
		for k := range e.Funcs {
			move(&e.Funcs[k])
		}
		for k := range e.Exprs {
			e.Exprs[k] = f.constant(e.Exprs[k])
		}
	}
	for i := range m.Globals {
		m.Globals[i].Init = f.constant(m.Globals[i].Init)
	}
	names := m.functionNames()
	for i := range names {
		move(&names[i].index)
	}
	m.setFunctionNames(names)
}

// constant moves up the functions in a constant expression.
func (f *fueler) constant(expr []byte) []byte {
	r := &reader{data: expr}
	var in instr
	var out []byte
	for r.more() {
		if r.instr(&in); in.op == opRefFunc && uint32(in.a) >= f.refuel {
			out = appendU32(append(out, opRefFunc), uint32(in.a)+1)
		} else {
			out = append(out, expr[in.start:in.end]...)
		}
	}
	return out
}

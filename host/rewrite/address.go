package rewrite

// A compiler checks each access to the memory against its bounds, unless it has
// checked one before it that lies further up from the same base, in a way that
// it can see: the base has to be the same value, not one that is equal. Go's code
// is not like that. A pointer is an i64 that is wrapped to an i32 anew for each
// access, what lies on the stack is found by adding to the stack's pointer, and
// the fields of a struct are read in any order.
//
// So a wrapped pointer is kept in a local of its own while the pointer does not
// change. What is added to the stack's pointer goes into the offset of the
// access. And in a stretch of code that runs from its beginning to its end, the
// access that lies furthest up from a base is checked first: by a load whose
// result is dropped, of which the compiler leaves nothing but the check. Its trap
// can come before what else the stretch stores; but a guest's memory is nobody's
// after a trap.

// Addresses makes the checks of memory accesses fewer. With fold, constants are
// added to offsets, which is right as long as the sum stays below 4 GiB, as in
// Go's code it does.
func Addresses(m *Module, fold bool) (err error) {
	defer catch(&err)
	if m.imported(KindMemory) > 0 || len(m.Memories) != 1 {
		return nil
	}
	a := &addresser{fold: fold}
	for i, body := range m.Code {
		m.Code[i] = a.function(body, m.Types[m.Funcs[i]])
	}
	return nil
}

// maxCopies is how many locals of a function have a wrapped copy.
const maxCopies = 64

// maxFold is the largest constant that is added to an offset.
const maxFold = 1 << 20

type addresser struct {
	fold bool

	body   []byte
	locals []byte // their types
	code   []instr
	notes  []note  // one for each of code
	bases  []base  // 0 is none
	now    []int32 // for each local: its base in this stretch, or 0
	used   []int32 // the locals for which now is set
	copies []uint32
	copied int
	stack  []operand
	open   []scope
	out    []byte
}

// A note is what is known of an instruction.
type note struct {
	base  int32  // that it pushes, if an access uses it
	add   uint32 // of an access: goes into its offset
	chain bool   // the first of those that push a base and add to it: one is left
}

// A base is a value that addresses are made from, in one stretch.
type base struct {
	local   uint32
	first   uint64 // the end of the first access from it
	highest uint64 // of all
	done    bool   // the highest is checked
}

// An operand is what the stack holds.
type operand struct {
	base int32 // 0: something else
	at   int   // the instruction that pushed it
	add  uint32
}

// function writes a body anew.
func (a *addresser) function(body, typ []byte) []byte {
	a.body = body
	at := a.readLocals(body, typ)
	a.read(at)
	a.findBases()
	if len(a.bases) == 1 {
		return body
	}
	return a.write(at)
}

func (a *addresser) readLocals(body, typ []byte) (at int) {
	t := &reader{data: typ, pos: 1}
	a.locals = append(a.locals[:0], t.bytes(t.u32())...)
	r := &reader{data: body}
	_, _, at = r.locals()
	r.pos = 0
	for range r.u32() {
		n := r.u32()
		kind := r.byte()
		for range n {
			a.locals = append(a.locals, kind)
		}
	}
	return at
}

// read takes the instructions apart, and finds which locals get a copy.
func (a *addresser) read(at int) {
	a.code = a.code[:0]
	a.copies = append(a.copies[:0], make([]uint32, len(a.locals))...)
	a.now = append(a.now[:0], make([]int32, len(a.locals))...)
	a.copied = 0
	r := &reader{data: a.body, pos: at}
	var before instr
	for r.more() {
		var in instr
		r.instr(&in)
		if in.op >= opLocalGet && in.op <= opLocalTee && uint64(in.a) >= uint64(len(a.locals)) {
			fail("a local %d of %d", in.a, len(a.locals))
		}
		if in.op == opI32WrapI64 && before.op == opLocalGet {
			// What is wrapped once only has no use for a copy: 1 is for once.
			switch c := &a.copies[before.a]; {
			case *c == 0:
				*c = 1
			case *c == 1 && a.copied < maxCopies:
				a.copied++
				*c = uint32(len(a.locals) + a.copied)
			}
		}
		a.code = append(a.code, in)
		before = in
	}
	for i, c := range a.copies {
		if c == 1 {
			a.copies[i] = 0
		}
	}
	a.notes = append(a.notes[:0], make([]note, len(a.code))...)
}

// findBases follows the stack through each stretch.
func (a *addresser) findBases() {
	a.bases = append(a.bases[:0], base{})
	a.stack, a.used = a.stack[:0], a.used[:0]
	for i := range a.code {
		in := &a.code[i]
		switch shape := shapes[in.op]; shape {
		case shapeEnd:
			a.endStretch()
		case shapeLoad:
			a.access(i, a.pop())
			a.push(operand{})
		case shapeStore:
			a.pop()
			a.access(i, a.pop())
		case shapeUnary:
			a.unary(i)
		case shapeBinary:
			y, x := a.pop(), a.pop()
			a.push(a.sum(i, x, y))
		case shapePush:
			a.push(operand{at: i})
		case shapePop:
			a.pop()
		case shapeSelect:
			a.pop()
			a.pop()
			a.pop()
			a.push(operand{})
		case shapeLocal:
			a.local(i)
		}
	}
	a.endStretch()
}

func (a *addresser) endStretch() {
	a.stack = a.stack[:0]
	for _, l := range a.used {
		a.now[l] = 0
	}
	a.used = a.used[:0]
}

func (a *addresser) push(o operand) { a.stack = append(a.stack, o) }

func (a *addresser) pop() (o operand) {
	if n := len(a.stack) - 1; n >= 0 {
		o, a.stack = a.stack[n], a.stack[:n]
	}
	return o
}

func (a *addresser) local(i int) {
	in := &a.code[i]
	l := uint32(in.a)
	if in.op != opLocalGet {
		a.pop()
		a.now[l] = 0
	}
	if in.op == opLocalSet {
		return
	}
	o := operand{at: i}
	if a.locals[l] == I32 {
		o.base = a.baseOf(l, l)
	}
	a.push(o)
}

// baseOf returns the base that a local is now; what is a base is the local
// itself, or its copy.
func (a *addresser) baseOf(local, what uint32) int32 {
	if a.now[local] == 0 {
		a.now[local] = int32(len(a.bases))
		a.used = append(a.used, int32(local))
		a.bases = append(a.bases, base{local: what})
	}
	return a.now[local]
}

func (a *addresser) unary(i int) {
	in, o := &a.code[i], a.pop()
	next := operand{at: i}
	switch {
	case in.op == opI32WrapI64 && i > 0 && a.code[i-1].op == opLocalGet:
		if l := uint32(a.code[i-1].a); a.copies[l] > 0 {
			next = operand{base: a.baseOf(l, a.copies[l]-1), at: i - 1}
		}
	case in.op == opI32WrapI64 && a.fold && o.add > 0 && a.code[i-1].op == opI64Add,
		in.op == opI64ExtendI32U && a.fold && o.base > 0 && o.at == i-1 && a.code[i-1].op == opLocalGet:
		next = o
	}
	a.push(next)
}

// sum recognises a constant that is added to a base of which an i64 was made.
func (a *addresser) sum(i int, x, y operand) operand {
	if a.fold && a.code[i].op == opI64Add && x.base > 0 && x.add == 0 && x.at == i-3 &&
		a.code[i-2].op == opI64ExtendI32U && a.code[i-1].op == opI64Const {
		if k := a.code[i-1].a; k > 0 && k < maxFold {
			x.add = uint32(k)
			return x
		}
	}
	return operand{at: i}
}

// access notes an access through an operand.
func (a *addresser) access(i int, o operand) {
	if o.base == 0 {
		return
	}
	in := &a.code[i]
	offset := uint64(in.b) + uint64(o.add)
	end := offset + accessSize[in.op-opI32Load]
	if offset > 1<<32-1 {
		return
	}
	if o.add > 0 {
		a.notes[i].add = o.add
		a.notes[o.at].chain = true
	}
	a.notes[o.at].base = o.base
	b := &a.bases[o.base]
	if b.first == 0 {
		b.first = end
	}
	b.highest = max(b.highest, end)
}

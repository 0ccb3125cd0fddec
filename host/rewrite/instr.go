package rewrite

// Opcodes that passes look at or write.
const (
	opUnreachable   = 0x00
	opNop           = 0x01
	opBlock         = 0x02
	opLoop          = 0x03
	opIf            = 0x04
	opElse          = 0x05
	opEnd           = 0x0b
	opBr            = 0x0c
	opBrIf          = 0x0d
	opBrTable       = 0x0e
	opReturn        = 0x0f
	opCall          = 0x10
	opCallIndirect  = 0x11
	opDrop          = 0x1a
	opSelectTyped   = 0x1c
	opLocalGet      = 0x20
	opLocalSet      = 0x21
	opLocalTee      = 0x22
	opGlobalGet     = 0x23
	opGlobalSet     = 0x24
	opTableGet      = 0x25
	opTableSet      = 0x26
	opI32Load       = 0x28
	opI32Load8U     = 0x2d
	opI64Store32    = 0x3e
	opMemorySize    = 0x3f
	opMemoryGrow    = 0x40
	opI32Const      = 0x41
	opI64Const      = 0x42
	opF32Const      = 0x43
	opF64Const      = 0x44
	opI32Eqz        = 0x45
	opI32LtS        = 0x48
	opI32GtU        = 0x4b
	opI32Add        = 0x6a
	opI32Sub        = 0x6b
	opI32ShrU       = 0x76
	opI64Add        = 0x7c
	opI32WrapI64    = 0xa7
	opI64ExtendI32U = 0xad
	opI64Extend32S  = 0xc4
	opRefNull       = 0xd0
	opRefIsNull     = 0xd1
	opRefFunc       = 0xd2
	opMisc          = 0xfc
	opSIMD          = 0xfd

	blockEmpty = 0x40
)

// Opcodes behind opMisc.
const (
	miscMemoryInit = 8
	miscDataDrop   = 9
	miscMemoryCopy = 10
	miscMemoryFill = 11
	miscTableInit  = 12
	miscElemDrop   = 13
	miscTableCopy  = 14
	miscTableGrow  = 15
	miscTableSize  = 16
	miscTableFill  = 17
)

// simdConst is the constant behind opSIMD.
const simdConst = 12

// An instr is one instruction of a function.
type instr struct {
	op         byte
	sub        uint32 // behind opMisc and opSIMD
	start, end int    // where it stands
	// a is the first immediate: an index, a depth, a constant of i32 or i64, the
	// type of a block (-64 if empty, -1 to -17 a value, else an index). b is the
	// second: the table of call_indirect, the offset of a load, the outermost
	// label of br_table.
	a, b int64
}

// instr reads one instruction. The targets of a br_table are read by targets,
// from the same bytes.
func (r *reader) instr(in *instr) {
	in.start = r.pos
	in.op = r.byte()
	in.sub, in.a, in.b = 0, 0, 0
	switch op := in.op; {
	case op == opI32Const:
		in.a = r.signed(32)
	case op == opI64Const:
		in.a = r.signed(64)
	case op == opBlock || op == opLoop || op == opIf:
		if in.a = r.signed(33); in.a < 0 && r.pos > in.start+2 {
			fail("the type of a block in %d bytes", r.pos-in.start-1)
		}
	case op == opBr, op == opBrIf, op == opCall, op >= opLocalGet && op <= opTableSet,
		op == opRefFunc, op == opMemorySize, op == opMemoryGrow:
		in.a = int64(r.u32())
	case op == opCallIndirect:
		in.a, in.b = int64(r.u32()), int64(r.u32())
	case op == opBrTable:
		n := r.u32()
		if uint64(n) > uint64(len(r.data)-r.pos) {
			fail("a br_table of %d entries", n)
		}
		in.a = int64(n)
		for range uint64(n) + 1 {
			in.b = max(in.b, int64(r.u32()))
		}
	case op >= opI32Load && op <= opI64Store32:
		in.a, in.b = int64(r.u32()), int64(r.u32())
	case op == opF32Const:
		r.bytes(4)
	case op == opF64Const:
		r.bytes(8)
	case op == opSelectTyped:
		in.a = int64(r.u32())
		r.bytes(uint32(in.a))
	case op == opRefNull:
		in.a = int64(r.byte())
	case op == opMisc:
		r.misc(in)
	case op == opSIMD:
		r.simd(in)
	case op <= opNop, op == opElse, op == opEnd, op == opReturn, op == 0x1a, op == 0x1b,
		op >= opI32Eqz && op <= opI64Extend32S, op == opRefIsNull:
	default:
		fail("opcode %#x is not known", op)
	}
	in.end = r.pos
}

func (r *reader) misc(in *instr) {
	in.sub = r.u32()
	switch in.sub {
	case 0, 1, 2, 3, 4, 5, 6, 7:
	case miscDataDrop, miscMemoryFill, miscElemDrop, miscTableGrow, miscTableSize, miscTableFill:
		in.a = int64(r.u32())
	case miscMemoryInit, miscMemoryCopy, miscTableInit, miscTableCopy:
		in.a, in.b = int64(r.u32()), int64(r.u32())
	default:
		fail("opcode %#x %d is not known", opMisc, in.sub)
	}
}

func (r *reader) simd(in *instr) {
	in.sub = r.u32()
	// There are compilers that take the first byte for all of the number, which is
	// enough, and what follows in a longer form than need be for the next
	// instruction: one that passes would not see.
	if size := r.pos - in.start - 1; size > 1 && in.sub < 1<<7 || size > 2 {
		fail("opcode %#x %d in %d bytes", opSIMD, in.sub, size)
	}
	switch s := in.sub; {
	case s <= 11, s == 92, s == 93: // loads and stores
		in.a, in.b = int64(r.u32()), int64(r.u32())
	case s == simdConst, s == simdConst+1: // and a shuffle
		r.bytes(16)
	case s >= 21 && s <= 34: // a lane
		r.byte()
	case s >= 84 && s <= 91: // loads and stores of a lane
		in.a, in.b = int64(r.u32()), int64(r.u32())
		r.byte()
	case s > 255:
		fail("opcode %#x %d is not known", opSIMD, s)
	}
}

// targets returns the labels of a br_table, the last of which is the default.
func (in *instr) targets(code []byte) []uint32 {
	r := &reader{data: code[:in.end], pos: in.start + 1}
	r.u32()
	t := make([]uint32, in.a+1)
	for i := range t {
		t[i] = r.u32()
	}
	return t
}

// locals reads what stands before the instructions of a body: groups of a count
// and a type. It returns where the instructions begin.
func (r *reader) locals() (groups uint32, total uint64, at int) {
	groups = r.u32()
	for range groups {
		total += uint64(r.u32())
		r.byte()
	}
	return groups, total, r.pos
}

// withLocals returns a body's declaration of locals with some more of one type,
// and the number that the first of them has. params is how many parameters the
// function takes.
func withLocals(body []byte, params uint32, n uint32, typ byte) (head []byte, first uint32, code []byte) {
	r := &reader{data: body}
	groups, total, at := r.locals()
	r.pos = 0
	r.u32() // it need not be as short as it could be
	head = append(appendU32(nil, groups+1), body[r.pos:at]...)
	head = append(appendU32(head, n), typ)
	return head, params + uint32(total), body[at:]
}

package rewrite

// A scope is a block that is open while code is written.
type scope struct {
	op   byte
	skip uint64 // of an if: the copies that are good where it is not taken
	good uint64 // the copies that are good along all ways to its end
	live bool   // there is a way to its end
}

// write writes the body with copies, and with checks in front.
func (a *addresser) write(at int) []byte {
	params := uint32(len(a.locals))
	{
		r := &reader{data: a.body}
		_, total, _ := r.locals()
		params -= uint32(total)
	}
	head, _, _ := withLocals(a.body, params, uint32(a.copied), I32)
	a.out = append(make([]byte, 0, len(a.body)+len(a.body)/4+16), head...)
	a.open = append(a.open[:0], scope{op: opBlock, good: ^uint64(0)})
	var good uint64 // the copies that are right here
	live := true
	leave := func() { good, live = 0, false }
	done := at
	for i := 0; i < len(a.code); i++ {
		in, n := &a.code[i], &a.notes[i]
		switch in.op {
		case opLocalGet:
			next := i
			switch c := a.copies[in.a]; {
			case n.chain:
				next = i + 4
			case c > 0 && a.code[i+1].op == opI32WrapI64:
				next = i + 1
				bit := uint64(1) << (c - 1 - uint32(len(a.locals)))
				a.out = append(a.out, a.body[done:in.start]...)
				if good&bit != 0 {
					a.out = appendU32(append(a.out, opLocalGet), c-1)
				} else {
					a.out = append(a.out, a.body[in.start:a.code[next].end]...)
					a.out = appendU32(append(a.out, opLocalTee), c-1)
					good |= bit
				}
				done = a.code[next].end
			}
			if n.chain {
				a.out = append(a.out, a.body[done:in.end]...)
				done = a.code[next].end
			}
			done = a.check(n.base, next, done)
			i = next
		case opLocalSet, opLocalTee:
			if c := a.copies[in.a]; c > 0 {
				good &^= 1 << (c - 1 - uint32(len(a.locals)))
			}
			done = a.check(n.base, i, done)
		case opBlock:
			a.open = append(a.open, scope{op: in.op, good: ^uint64(0)})
		case opIf:
			a.open = append(a.open, scope{op: in.op, skip: good, good: ^uint64(0)})
		case opLoop:
			good = 0 // what comes round again may have changed
			a.open = append(a.open, scope{op: in.op, good: ^uint64(0)})
		case opElse:
			s := &a.open[len(a.open)-1]
			s.arrive(good, live)
			good, live, s.op = s.skip, true, opElse
		case opEnd:
			s := a.open[len(a.open)-1]
			a.open = a.open[:len(a.open)-1]
			s.arrive(good, live)
			if s.op == opIf {
				s.arrive(s.skip, true)
			}
			if good, live = s.good, s.live; !live {
				good = 0
			}
		case opBr, opBrIf:
			a.branch(uint32(in.a), good, live)
			if in.op == opBr {
				leave()
			}
		case opBrTable:
			for _, t := range in.targets(a.body) {
				a.branch(t, good, live)
			}
			leave()
		case opReturn, opUnreachable:
			leave()
		case opCall, opCallIndirect:
			// Go keeps nothing in locals across a call, and neither should copies be.
			good = 0
		}
		if n.add > 0 {
			a.out = append(a.out, a.body[done:in.start]...)
			a.out = appendU32(append(a.out, in.op), uint32(in.a))
			a.out = appendU32(a.out, uint32(in.b)+n.add)
			done = in.end
		}
	}
	return append(a.out, a.body[done:]...)
}

// arrive notes a way to the end of a scope.
func (s *scope) arrive(good uint64, live bool) {
	if live {
		s.good &= good
		s.live = true
	}
}

func (a *addresser) branch(label uint32, good uint64, live bool) {
	if uint64(label) >= uint64(len(a.open)) {
		fail("a branch to %d of %d blocks", label, len(a.open))
	}
	if s := &a.open[len(a.open)-1-int(label)]; s.op != opLoop {
		s.arrive(good, live)
	}
}

// check has the highest access from a base checked, behind instruction i that
// has just pushed it, if that is not the first one anyway.
func (a *addresser) check(base int32, i, done int) int {
	b := &a.bases[base]
	if base == 0 || b.done || b.highest <= b.first {
		return done
	}
	b.done = true
	a.out = append(a.out, a.body[done:max(done, a.code[i].end)]...)
	a.out = appendU32(append(a.out, opLocalGet), b.local)
	a.out = appendU32(append(a.out, opI32Load8U, 0), uint32(b.highest-1))
	a.out = append(a.out, opDrop)
	return a.code[i].end
}

// What an instruction does to the stack.
const (
	shapeEnd byte = iota // a stretch ends with it: it branches, calls, or traps for a reason of its own
	shapeNone
	shapePush
	shapePop
	shapeUnary
	shapeBinary
	shapeSelect
	shapeLocal
	shapeLoad
	shapeStore
)

var shapes = func() (s [256]byte) {
	set := func(shape byte, from, to int) {
		for op := from; op <= to; op++ {
			s[op] = shape
		}
	}
	set(shapeNone, opNop, opNop)
	set(shapePop, opDrop, opDrop)
	set(shapeSelect, opDrop+1, opSelectTyped)
	set(shapeLocal, opLocalGet, opLocalTee)
	set(shapePush, opGlobalGet, opGlobalGet)
	set(shapePop, opGlobalSet, opGlobalSet)
	set(shapeLoad, opI32Load, opI32Load+13)
	set(shapeStore, opI32Load+14, opI64Store32)
	set(shapePush, opMemorySize, opMemorySize)
	set(shapePush, opI32Const, opF64Const)
	set(shapeUnary, opI32Eqz, opI32Eqz)
	set(shapeBinary, opI32Eqz+1, 0x4f)
	set(shapeUnary, 0x50, 0x50) // i64.eqz
	set(shapeBinary, 0x51, 0x66)
	set(shapeUnary, 0x67, 0x69) // i32: clz, ctz, popcnt
	set(shapeBinary, 0x6a, 0x6c)
	set(shapeEnd, 0x6d, 0x70) // i32: div, rem
	set(shapeBinary, 0x71, 0x78)
	set(shapeUnary, 0x79, 0x7b) // i64: clz, ctz, popcnt
	set(shapeBinary, 0x7c, 0x7e)
	set(shapeEnd, 0x7f, 0x82) // i64: div, rem
	set(shapeBinary, 0x83, 0x8a)
	set(shapeUnary, 0x8b, 0x91) // f32
	set(shapeBinary, 0x92, 0x98)
	set(shapeUnary, 0x99, 0x9f) // f64
	set(shapeBinary, 0xa0, 0xa6)
	set(shapeUnary, opI32WrapI64, 0xa7)
	set(shapeEnd, 0xa8, 0xab) // i32.trunc
	set(shapeUnary, 0xac, 0xad)
	set(shapeEnd, 0xae, 0xb1) // i64.trunc
	set(shapeUnary, 0xb2, opI64Extend32S)
	set(shapePush, opRefNull, opRefNull)
	set(shapeUnary, opRefIsNull, opRefIsNull)
	set(shapePush, opRefFunc, opRefFunc)
	return s
}()

// accessSize is how many bytes each load and store moves, from i32.load on.
var accessSize = [...]uint64{
	4, 8, 4, 8, 1, 1, 2, 2, 1, 1, 2, 2, 4, 4,
	4, 8, 4, 8, 1, 2, 1, 2, 4,
}

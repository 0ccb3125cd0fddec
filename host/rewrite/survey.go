package rewrite

// A survey is what there is to charge for in a function.
type survey struct {
	cost  int64 // of what lies outside of all loops, in instructions
	calls bool  // others, or the host
	bulk  bool  // it copies or fills memory or tables
	loops []loopWork

	open []int // for each block that is open, the loop around it; -1: none
}

// loopWork is one loop, in the order in which they begin.
type loopWork struct {
	cost  int64 // of a turn, without the loops inside, in instructions
	calls bool  // in it, or in a loop inside
	outer int   // the loop around it; -1: none
}

// read goes through the code of a body from at on.
func (s *survey) read(body []byte, at int) {
	r := &reader{data: body, pos: at}
	*s = survey{loops: s.loops[:0], open: append(s.open[:0], -1)}
	loop := -1
	var in instr
	for len(s.open) > 0 {
		r.instr(&in)
		cost := int64(1)
		switch in.op {
		case opLocalGet, opLocalSet, opLocalTee, opI32Const, opI64Const, opF32Const, opF64Const, opNop, opDrop, opElse:
			cost = 0 // these become parts of others
		case opLoop:
			s.open = append(s.open, loop)
			s.loops = append(s.loops, loopWork{outer: loop})
			loop = len(s.loops) - 1
		case opBlock, opIf:
			s.open = append(s.open, loop)
			cost = 0
		case opEnd:
			loop = s.open[len(s.open)-1]
			s.open = s.open[:len(s.open)-1]
			cost = 0
		case opCall:
			cost = costCall
			s.call(loop)
		case opCallIndirect:
			cost = costCall
			s.call(loop)
		case opMisc:
			s.bulk = s.bulk || in.sub >= miscMemoryInit
		}
		if loop < 0 {
			s.cost += cost
		} else {
			s.loops[loop].cost += cost
		}
	}
	if r.more() {
		fail("a function goes on behind its end")
	}
}

// price is what is charged for a way through code of so many instructions. In a
// little code most of it is on the way; of much code, most lies in branches that
// are not taken, such as those to panics.
func price(instructions int64) int64 {
	const little, share = 64, 16
	if instructions <= little {
		return instructions
	}
	return min(little+(instructions-little)/share, maxCost)
}

// freeLeaf is how many instructions a function may have that calls no other and
// is charged for by its callers.
const freeLeaf = 128

// charged says whether a function is charged for where it begins.
func (s *survey) charged() bool { return s.calls || s.cost > freeLeaf }

// call notes a call in a loop, and in those around it.
func (s *survey) call(loop int) {
	s.calls = true
	for ; loop >= 0 && !s.loops[loop].calls; loop = s.loops[loop].outer {
		s.loops[loop].calls = true
	}
}

package rewrite

import (
	"bytes"
	"slices"
	"strings"
)

// Go compiles a function to one loop around a table of its basic blocks: each
// jump, forward or back, stores the number of a block in a local and goes round
// the loop, which branches through the table. A compiler sees a loop whose head
// every block leads to and every block comes from, in which nothing can be known
// of any variable and no value can stay in a register.
//
//	block                         ;; where a call that unwinds the stack goes
//	  loop
//	    block block … block
//	      local.get 0
//	      br_table 0 1 … n
//	    end
//	    …                         ;; segment 0
//	      i32.const 5             ;; jump to block 5
//	      local.set 0
//	      br 7                    ;; the loop
//	    end
//	    …                         ;; segment 1
//
// The table exists because a function can also be entered in its middle, when a
// goroutine continues whose stack had been unwound. That is rare. So the
// function is kept as it is under a new number for those entries, and what is
// called in its place begins at the beginning, without table, in structured
// control flow: loops that are loops, and branches that go where they lead.

// A flow is a function of that form, taken apart.
type flow struct {
	body     []byte
	selector uint32    // the local that holds the number of a block
	code     int       // where the instructions begin
	skeleton int       // where the first block or the loop begins
	unwind   bool      // there is a block around the loop
	suffix   int       // where what follows the loop begins
	segments []segment // in the order in which they stand
	targets  []int     // the segment of each number
	rest     int       // and of all numbers above
}

// A segment is the code between the ends of two of the blocks.
type segment struct {
	start, end int
	falls      bool // into the next
	jumps      []jump
	// calls is set if it ends with a call that can unwind the stack, and callee is
	// what is called, if that is known.
	calls  bool
	callee int64
	// again is the number with which the original goes on where this ends, if it
	// does, or -1.
	again int
}

// A jump is a branch out of a segment: to another, or out of the loop.
type jump struct {
	at, end int    // the branch
	op      byte   // opBr or opBrIf
	nest    uint32 // how many blocks within the segment are around it
	to      int    // a segment, or one of the following
}

const (
	toUnwind   = -1 // the block around the loop
	toFunction = -2
)

// maxSegments is how many segments a function has at most, to be looked into.
// Go's compiler makes no more.
const maxSegments = 1 << 16

// parseFlow recognises the form. What has another is left alone: nil.
func parseFlow(body []byte) *flow {
	f := &flow{body: body}
	r := &reader{data: body}
	_, _, f.code = r.locals()
	var in instr
	for r.instr(&in); in.op != opBlock && in.op != opLoop; r.instr(&in) {
		if in.op >= opBlock && in.op <= opCallIndirect || (in.op == opLocalSet || in.op == opLocalTee) && in.a == 0 {
			return nil
		}
	}
	f.skeleton = in.start
	if in.op == opBlock {
		f.unwind = true
		if in.a != -64 {
			return nil
		}
		r.instr(&in)
	}
	if in.op != opLoop || in.a != -64 {
		return nil
	}
	blocks := 0
	for r.instr(&in); in.op == opBlock && in.a == -64; r.instr(&in) {
		blocks++
	}
	if blocks < 2 || blocks > maxSegments || in.op != opLocalGet {
		return nil
	}
	f.selector = uint32(in.a)
	if r.instr(&in); in.op != opBrTable {
		return nil
	}
	for _, t := range in.targets(body) {
		if int(t) >= blocks {
			return nil
		}
		f.targets = append(f.targets, int(t))
	}
	last := len(f.targets) - 1
	f.targets, f.rest = f.targets[:last], f.targets[last]
	if len(f.targets) == 0 || f.targets[0] != 0 {
		return nil
	}
	if r.instr(&in); in.op != opEnd {
		return nil
	}
	for open := blocks - 1; open >= 0; open-- {
		if !f.segment(r, uint32(open)) {
			return nil
		}
	}
	f.suffix = r.pos
	if f.segments[blocks-1].falls {
		// It falls out of the loop: only where that is known to be the end.
		if r.instr(&in); in.op != opUnreachable {
			return nil
		}
	}
	return f
}

// segment reads a segment up to its end, with open blocks of the skeleton and
// the loop around it.
func (f *flow) segment(r *reader, open uint32) bool {
	s := segment{start: r.pos, falls: true, callee: -1, again: -1}
	var nest uint32
	var in, before, before2 instr
	for {
		before2, before = before, in
		r.instr(&in)
		switch in.op {
		case opBlock, opLoop, opIf:
			nest++
		case opEnd:
			if nest == 0 {
				s.end = in.start
				last := len(s.jumps) - 1
				s.calls = last >= 0 && s.jumps[last].to == toUnwind && s.jumps[last].op == opBrIf && s.jumps[last].end == s.end
				f.segments = append(f.segments, s)
				return true
			}
			nest--
			s.falls = true // perhaps
			continue
		case opBr, opBrIf:
			j := jump{at: in.start, end: in.end, op: in.op, nest: nest}
			switch out := uint32(in.a) - nest; {
			case uint32(in.a) < nest: // within the segment
			case out < open:
				j.to = len(f.segments) + 1 + int(out)
				s.jumps = append(s.jumps, j)
			case out == open:
				constant := before2.op == opI32Const && before2.end == before.start
				if in.op != opBr || !constant || before.op != opLocalSet || uint32(before.a) != f.selector {
					return false
				}
				j.to = f.rest
				if n := uint32(before2.a); uint64(n) < uint64(len(f.targets)) {
					j.to = f.targets[n]
				}
				s.jumps = append(s.jumps, j)
			case out == open+1 && f.unwind:
				j.to = toUnwind
				s.jumps = append(s.jumps, j)
			default:
				j.to = toFunction
				s.jumps = append(s.jumps, j)
			}
		case opBrTable:
			for _, t := range in.targets(f.body) {
				if t >= nest {
					return false
				}
			}
		case opCall:
			s.callee = in.a
		case opCallIndirect:
			s.callee = -1
		}
		if nest == 0 {
			s.falls = in.op != opBr && in.op != opBrTable && in.op != opReturn && in.op != opUnreachable
		}
	}
}

// cut has some segments that end with a call not fall into the next. If the call
// returns, the original goes on from there, as it would if the stack had been
// unwound meanwhile: nothing is in a local that it needs.
func (f *flow) cut(which func(i int) bool) {
	numbers := make([]int, len(f.segments))
	for n, i := range slices.Backward(f.targets) {
		numbers[i] = n
	}
	for i := range len(f.segments) - 1 {
		// Number 0 is the beginning, where the original is not entered.
		if s := &f.segments[i]; s.calls && s.falls && numbers[i+1] > 0 && which(i) {
			s.falls, s.again = false, numbers[i+1]
		}
	}
}

// Names of functions of the runtime that do not return begin so.
var endings = []string{"runtime.goPanic", "runtime.gopanic", "runtime.panic", "runtime.throw", "runtime.fatal"}

// isGo says whether Go's own toolchain made the module. Its linker writes a
// section that says so.
func (m *Module) isGo() bool {
	return slices.ContainsFunc(m.Customs, func(c Custom) bool {
		return c.Name == "producers" && bytes.Contains(c.Bytes, []byte("Go cmd/compile"))
	})
}

// StructureGo gives the functions of a Go guest a structured form, where they
// have one. It returns how many it changed.
//
// It leaves other modules alone: what has the same form by chance need not keep
// to what is known of Go's code, that a function which is never unwound is never
// entered but at its beginning.
func StructureGo(m *Module) (changed int, err error) {
	defer catch(&err)
	if !m.isGo() {
		return 0, nil
	}
	imported := m.imported(KindFunc)
	names := m.functionNames()
	nameOf := make(map[uint32]string, len(names))
	ends := make(map[int64]bool)
	for _, n := range names {
		nameOf[n.index] = n.name
		ends[int64(n.index)] = slices.ContainsFunc(endings, func(e string) bool { return strings.HasPrefix(n.name, e) })
	}
	for i, n := 0, len(m.Code); i < n; i++ {
		// It has to be entered like a function of Go's: with the number of a block.
		typ := m.Types[m.Funcs[i]]
		if string(typ) != "\x60\x01\x7f\x01\x7f" {
			continue
		}
		f := parseFlow(m.Code[i])
		if f == nil || f.selector != 0 {
			continue
		}
		original := imported + uint32(len(m.Code))
		structured := f.structure(original, ends)
		if structured == nil {
			continue
		}
		body := append([]byte(nil), f.body[:f.code]...)
		body = append(body, opLocalGet, 0, opIf, blockEmpty)
		if f.unwind {
			body = append(body, opLocalGet, 0, opCall)
			body = append(appendU32(body, original), opReturn, opEnd)
			m.Code = append(m.Code, f.body)
			m.Funcs = append(m.Funcs, m.Funcs[i])
			if name, ok := nameOf[imported+uint32(i)]; ok {
				names = append(names, functionName{original, name})
			}
		} else {
			// A function that is never unwound is never continued.
			body = append(body, opUnreachable, opEnd)
		}
		body = append(body, f.body[f.code:f.skeleton]...)
		m.Code[i] = append(body, structured...)
		changed++
	}
	m.setFunctionNames(names)
	return changed, nil
}

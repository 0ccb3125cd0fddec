package rewrite

import "slices"

// A shaper writes a flow in structured form, after Ramsey, "Beyond Relooper":
// the tree of dominators gives the nesting. A segment that is jumped to follows
// the end of a block, which is opened before the segment that dominates it, or
// before the loop that is left on the way; a head of a loop begins one.
type shaper struct {
	f        *flow
	g        *graph
	original uint32
	out      []byte
	open     uint32   // how many blocks and loops there are around
	behind   []uint32 // for each segment: how many were around the block that it follows
	heads    []uint32 // and around the loop that begins with it
}

// structure returns the instructions of a flow from its skeleton on, or nil.
// original is the number that the function as it was is going to have, and ends
// says which functions do not return, as far as that is known.
//
// Where a panic is called in a loop, the compiler has no way to say that it does
// not return: it seems to lead back into the loop, often through a second
// entrance.
func (f *flow) structure(original uint32, ends map[int64]bool) []byte {
	f.cut(func(i int) bool { return ends[f.segments[i].callee] })
	g := f.analyse()
	if g == nil {
		// Perhaps there are no names. Nothing follows such a call.
		f.cut(func(i int) bool { return f.segments[i+1].start == f.segments[i+1].end })
		if g = f.analyse(); g == nil {
			return nil
		}
	}
	n := len(f.segments)
	s := &shaper{
		f: f, g: g, original: original, out: make([]byte, 0, len(f.body)),
		behind: make([]uint32, n), heads: make([]uint32, n),
	}
	if f.unwind {
		s.out = append(s.out, opBlock, blockEmpty)
	}
	s.tree(0)
	// What comes here has fallen out of the last segment, onto an unreachable.
	// Everything else has left by a branch.
	s.out = append(s.out, opUnreachable)
	return append(s.out, f.body[f.suffix:]...)
}

// tree writes a segment and all that it dominates.
func (s *shaper) tree(i int) {
	s.blocks(s.g.behind[i])
	if s.g.loops[i] {
		s.begin(opLoop, &s.heads[i])
	}
	s.blocks(s.g.below[i])
	s.segment(i)
	s.follow(s.g.below[i])
	if s.g.loops[i] {
		s.end()
	}
	s.follow(s.g.behind[i])
}

// blocks opens the blocks that lead to segments, and follow closes them, each
// with its segment behind it.
func (s *shaper) blocks(to []int) {
	for _, y := range to {
		if s.g.labels[y] {
			s.begin(opBlock, &s.behind[y])
		}
	}
}

func (s *shaper) follow(to []int) {
	for _, y := range slices.Backward(to) {
		if s.g.labels[y] {
			s.end()
			s.tree(y)
		}
	}
}

// begin opens a block or a loop, and notes how many are around it.
func (s *shaper) begin(op byte, around *uint32) {
	s.out = append(s.out, op, blockEmpty)
	*around = s.open
	s.open++
}

func (s *shaper) end() {
	s.out = append(s.out, opEnd)
	s.open--
}

// segment writes the code of a segment, with its branches led to where they go.
func (s *shaper) segment(i int) {
	seg := &s.f.segments[i]
	at := seg.start
	for _, j := range seg.jumps {
		s.out = append(s.out, s.f.body[at:j.at]...)
		s.branch(j.op, j.nest, i, j.to)
		at = j.end
	}
	s.out = append(s.out, s.f.body[at:seg.end]...)
	switch next := i + 1; {
	case seg.again >= 0:
		s.out = appendS64(append(s.out, opI32Const), int64(seg.again))
		s.out = append(appendU32(append(s.out, opCall), s.original), opReturn)
	case !seg.falls:
	case next == len(s.f.segments):
		s.out = append(s.out, opUnreachable)
	case s.g.idom[next] == i && !s.g.labels[next]:
		s.tree(next)
	default:
		s.branch(opBr, 0, i, next)
	}
}

// branch writes a branch from a segment.
func (s *shaper) branch(op byte, nest uint32, from, to int) {
	depth := s.open
	switch {
	case to == toFunction && s.f.unwind:
		depth++
	case to < 0:
	case s.g.number[to] <= s.g.number[from]: // back, to the head of a loop
		depth -= s.heads[to] + 1
	default:
		depth -= s.behind[to] + 1
	}
	s.out = appendU32(append(s.out, op), nest+depth)
}

package rewrite

import "slices"

// A graph is the control flow between segments, as far as they can be reached
// from the first.
type graph struct {
	next   [][]int // successors
	order  []int   // reverse postorder
	number []int   // place in it; -1 if it cannot be reached
	idom   []int   // immediate dominator
	loops  []bool  // heads of loops
	outer  []int   // the head of the innermost loop around a segment, for a head that around its own; or -1
	labels []bool  // segments that something jumps to
	// Where a segment is written: with the one that dominates it, or behind a
	// loop, for its head. The latest in order come first.
	below, behind [][]int

	// patience is how many steps up the tree of dominators may still be taken. In
	// what people write there are a few for each segment, but one can think of
	// functions where there are as many as segments.
	patience int
}

// analyse finds dominators and loops, or nil if there is a loop with two ways
// in, which has no structured form, or if that takes too long.
func (f *flow) analyse() *graph {
	n := len(f.segments)
	g := &graph{
		next: make([][]int, n), number: make([]int, n), idom: make([]int, n),
		loops: make([]bool, n), outer: make([]int, n), labels: make([]bool, n),
		below: make([][]int, n), behind: make([][]int, n),
	}
	before := make([][]int, n)
	for i := range f.segments {
		s := &f.segments[i]
		for _, j := range s.jumps {
			if j.to >= 0 {
				g.next[i] = append(g.next[i], j.to)
			}
		}
		if s.falls && i+1 < n {
			g.next[i] = append(g.next[i], i+1)
		}
		g.patience += 100 * (1 + len(g.next[i]))
	}
	g.sort()
	for _, i := range g.order {
		for _, to := range g.next[i] {
			before[to] = append(before[to], i)
		}
	}
	if !g.dominate(before) {
		return nil
	}
	for _, i := range g.order {
		for _, to := range g.next[i] {
			if g.number[to] > g.number[i] {
				continue
			}
			if !g.dominates(to, i) {
				return nil
			}
			g.loops[to] = true
		}
	}
	g.nest(before)
	for _, i := range g.order {
		for _, j := range f.segments[i].jumps {
			if j.to >= 0 && g.number[j.to] > g.number[i] {
				g.labels[j.to] = true
			}
		}
	}
	for k := len(g.order) - 1; k > 0; k-- {
		i := g.order[k]
		left, ok := g.leaves(i)
		switch {
		case !ok:
			return nil
		case left >= 0:
			g.labels[i] = true // even if it is only fallen into
			g.behind[left] = append(g.behind[left], i)
		default:
			g.below[g.idom[i]] = append(g.below[g.idom[i]], i)
		}
	}
	return g
}

// leaves returns the head of the outermost loop that is left on the way to a
// segment from the one that dominates it, or -1. What is written within a loop
// but is not part of it would be charged for with each turn, and what it calls
// would count as called in the loop.
func (g *graph) leaves(i int) (head int, ok bool) {
	head = -1
	around := g.idom[i]
	if !g.loops[around] {
		around = g.outer[around]
	}
	for ; around != g.outer[i]; around = g.outer[around] {
		head = around
		if g.patience--; g.patience < 0 {
			return 0, false
		}
	}
	return head, true
}

// nest finds which loops are within which, from the innermost on: a loop that
// has been found is taken for its head.
func (g *graph) nest(before [][]int) {
	found := make([]int, len(g.next)) // leads to the head of the outermost so far
	for i := range found {
		found[i], g.outer[i] = i, -1
	}
	outermost := func(i int) int {
		for found[i] != i {
			found[i] = found[found[i]]
			i = found[i]
		}
		return i
	}
	var work []int
	for _, head := range slices.Backward(g.order) {
		if !g.loops[head] {
			continue
		}
		for _, p := range before[head] {
			if g.number[p] >= g.number[head] {
				work = append(work, outermost(p))
			}
		}
		for len(work) > 0 {
			i := work[len(work)-1]
			work = work[:len(work)-1]
			if i == head || found[i] != i {
				continue
			}
			found[i], g.outer[i] = head, head
			for _, p := range before[i] {
				work = append(work, outermost(p))
			}
		}
	}
}

// sort finds the reverse postorder, without recursion: functions can be large.
func (g *graph) sort() {
	for i := range g.number {
		g.number[i] = -1
	}
	type visit struct{ node, edge int }
	stack := []visit{{node: 0}}
	seen := make([]bool, len(g.next))
	seen[0] = true
	for len(stack) > 0 {
		v := &stack[len(stack)-1]
		if v.edge == len(g.next[v.node]) {
			g.order = append(g.order, v.node)
			stack = stack[:len(stack)-1]
			continue
		}
		// The last edge is the fall into the next segment. Visited last, it comes
		// first in the order: the layout stays close to the original.
		to := g.next[v.node][v.edge]
		v.edge++
		if !seen[to] {
			seen[to] = true
			stack = append(stack, visit{node: to})
		}
	}
	slices.Reverse(g.order)
	for k, i := range g.order {
		g.number[i] = k
	}
}

// dominate is the algorithm of Cooper, Harvey and Kennedy. It says whether it
// came to its end.
func (g *graph) dominate(before [][]int) bool {
	for i := range g.idom {
		g.idom[i] = -1
	}
	g.idom[0] = 0
	for changed := true; changed; {
		changed = false
		for _, i := range g.order[1:] {
			d := -1
			// The latest first: their paths up the tree are short, where they meet.
			for _, p := range slices.Backward(before[i]) {
				switch {
				case g.idom[p] < 0:
				case d < 0:
					d = p
				default:
					d = g.common(d, p)
				}
			}
			if g.patience -= len(before[i]); g.patience < 0 {
				return false
			}
			if g.idom[i] != d {
				g.idom[i], changed = d, true
			}
		}
	}
	return true
}

func (g *graph) common(a, b int) int {
	for a != b && g.patience >= 0 {
		for ; g.number[a] > g.number[b]; g.patience-- {
			a = g.idom[a]
		}
		for ; g.number[b] > g.number[a]; g.patience-- {
			b = g.idom[b]
		}
	}
	return a
}

func (g *graph) dominates(a, b int) bool {
	for ; g.number[b] > g.number[a] && g.patience >= 0; g.patience-- {
		b = g.idom[b]
	}
	return a == b
}

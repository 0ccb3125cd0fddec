package rewrite

import "fmt"

// Verify looks at rewritten code for a way to run on and on without passing
// through the host: a cycle in a function's flow of control without a check of
// the fuel, or a call before the first check, which may be a recursion.
func Verify(wasm []byte) error {
	m, err := Parse(wasm)
	if err != nil {
		return err
	}
	v := &verifier{m: m}
	n := uint32(0)
	for i := range m.Imports {
		if m.Imports[i].Kind == KindFunc {
			if m.Imports[i].Module == FuelModule {
				v.refuel = n
			}
			n++
		}
	}
	for i := range m.Exports {
		if m.Exports[i].Name == FuelExport {
			v.fuel = m.Exports[i].Index
		}
	}
	v.imported = n
	for i, body := range m.Code {
		if err := v.function(body); err != nil {
			return fmt.Errorf("function %d: %w", n+uint32(i), err)
		}
	}
	return nil
}

type verifier struct {
	m                      *Module
	refuel, fuel, imported uint32

	code  []instr
	next  [][]int
	check []bool // which instructions end a check
}

func (v *verifier) function(body []byte) error {
	r := &reader{data: body}
	v.code = v.code[:0]
	for _, _, r.pos = r.locals(); r.more(); {
		var in instr
		r.instr(&in)
		v.code = append(v.code, in)
	}
	v.flow(body)
	v.check = make([]bool, len(v.code))
	for i := range v.code {
		v.check[i] = v.isCheck(i)
	}
	if err := v.owned(); err != nil {
		return err
	}
	return v.search()
}

// flow finds what can follow each instruction.
func (v *verifier) flow(body []byte) {
	ends := make([]int, len(v.code))  // of each block
	elses := make([]int, len(v.code)) // of each if that has one
	var open []int
	for i := range v.code {
		switch v.code[i].op {
		case opBlock, opLoop, opIf:
			open = append(open, i)
		case opElse:
			elses[open[len(open)-1]] = i
		case opEnd:
			if len(open) > 0 {
				ends[open[len(open)-1]] = i
				open = open[:len(open)-1]
			}
		}
	}
	v.next = make([][]int, len(v.code))
	open = open[:0]
	target := func(label uint32) []int {
		if int(label) >= len(open) {
			return nil // out of the function
		}
		at := open[len(open)-1-int(label)]
		if v.code[at].op == opLoop {
			return []int{at}
		}
		return []int{ends[at]}
	}
	for i := range v.code {
		in := &v.code[i]
		var to []int
		falls := i+1 < len(v.code)
		switch in.op {
		case opBlock, opLoop:
			open = append(open, i)
		case opIf:
			open = append(open, i)
			if at := elses[i]; at > 0 {
				to = append(to, at+1)
			} else {
				to = append(to, ends[i])
			}
		case opElse:
			to, falls = append(to, ends[open[len(open)-1]]), false
		case opEnd:
			if len(open) > 0 {
				open = open[:len(open)-1]
			}
		case opBr:
			to, falls = target(uint32(in.a)), false
		case opBrIf:
			to = target(uint32(in.a))
		case opBrTable:
			falls = false
			for _, t := range in.targets(body) {
				to = append(to, target(t)...)
			}
		case opReturn, opUnreachable:
			falls = false
		}
		if falls {
			to = append(to, i+1)
		}
		v.next[i] = to
	}
}

// isCheck says whether an instruction branches on fuel that has just been taken:
//
//	global.get fuel | local.get c
//	i32.const cost
//	i32.sub
//	local.set c
//	[local.get c, global.set fuel]
//	local.get c
//	i32.const 0
//	i32.lt_s
//	br_if | if
func (v *verifier) isCheck(i int) bool {
	if op := v.code[i].op; op != opBrIf && op != opIf {
		return false
	}
	at := i
	back := func(op byte) (a int64, ok bool) {
		if at--; at < 0 || v.code[at].op != op {
			return 0, false
		}
		return v.code[at].a, true
	}
	if _, ok := back(opI32LtS); !ok {
		return false
	}
	if zero, ok := back(opI32Const); !ok || zero != 0 {
		return false
	}
	count, ok := back(opLocalGet)
	if !ok {
		return false
	}
	if fuel, ok := back(opGlobalSet); ok {
		if c, ok := back(opLocalGet); !ok || c != count || uint32(fuel) != v.fuel {
			return false
		}
	} else {
		at++
	}
	if c, ok := back(opLocalSet); !ok || c != count {
		return false
	}
	if _, ok := back(opI32Sub); !ok {
		return false
	}
	if cost, ok := back(opI32Const); !ok || cost <= 0 {
		return false
	}
	if fuel, ok := back(opGlobalGet); ok {
		return uint32(fuel) == v.fuel
	}
	at++
	c, ok := back(opLocalGet)
	return ok && c == count
}

// owned checks that nothing else writes the fuel.
func (v *verifier) owned() error {
	count := int64(-1)
	for i := range v.code {
		if v.check[i] {
			count = v.code[i-3].a
		}
	}
	for i := range v.code {
		in := &v.code[i]
		switch {
		case in.op == opGlobalSet && uint32(in.a) == v.fuel:
			if before := &v.code[i-1]; before.op != opLocalGet || count >= 0 && before.a != count {
				return fmt.Errorf("instruction %d sets the fuel", i)
			}
		case in.op == opLocalTee && in.a == count:
			return fmt.Errorf("instruction %d sets the count", i)
		case in.op == opLocalSet && in.a == count:
			before := &v.code[i-1]
			if before.op != opI32Sub && !(before.op == opCall && uint32(before.a) == v.refuel) &&
				!(before.op == opGlobalGet && uint32(before.a) == v.fuel) {
				return fmt.Errorf("instruction %d sets the count", i)
			}
		}
	}
	return nil
}

// search goes all ways that lead past no check, from the beginning for a call,
// and from everywhere for a cycle.
func (v *verifier) search() error {
	const (
		unseen = iota
		open
		done
	)
	state := make([]byte, len(v.code))
	type visit struct{ node, edge int }
	for start := range v.code {
		if state[start] != unseen || v.check[start] {
			continue
		}
		state[start] = open
		stack := []visit{{node: start}}
		for len(stack) > 0 {
			top := &stack[len(stack)-1]
			if in := &v.code[top.node]; start == 0 && top.edge == 0 &&
				(in.op == opCallIndirect || in.op == opCall && uint32(in.a) >= v.imported) {
				return fmt.Errorf("instruction %d calls before a check", top.node)
			}
			if top.edge == len(v.next[top.node]) {
				state[top.node] = done
				stack = stack[:len(stack)-1]
				continue
			}
			to := v.next[top.node][top.edge]
			top.edge++
			switch {
			case v.check[to] || state[to] == done:
			case state[to] == open:
				return fmt.Errorf("a cycle without a check through instruction %d", to)
			default:
				state[to] = open
				stack = append(stack, visit{node: to})
			}
		}
	}
	return nil
}

// TicksExport is the global that CountTicks adds.
const TicksExport = "ticks"

// CountTicks makes a module count each instruction.
func CountTicks(wasm []byte) ([]byte, error) {
	m, err := Parse(wasm)
	if err != nil {
		return nil, err
	}
	ticks := m.addGlobal(I64)
	m.Exports = append(m.Exports, Export{Name: TicksExport, Kind: KindGlobal, Index: ticks})
	tick := appendU32([]byte{opGlobalGet}, ticks)
	tick = append(tick, opI64Const, 1, 0x7c) // i64.add
	tick = appendU32(append(tick, opGlobalSet), ticks)
	for i, body := range m.Code {
		r := &reader{data: body}
		_, _, at := r.locals()
		out := append([]byte(nil), body[:at]...)
		var in instr
		for r.more() {
			if r.instr(&in); in.op != opEnd && in.op != opElse {
				out = append(out, tick...)
			}
			out = append(out, body[in.start:in.end]...)
		}
		m.Code[i] = out
	}
	return m.Encode(), nil
}

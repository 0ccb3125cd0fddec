package rewrite

// Limits of what a few bytes can ask for. A compiler makes room for each local.
const (
	maxLocals    = 50_000     // of a function, with its parameters
	maxAllLocals = 10_000_000 // of a module
)

// check refuses a module that speaks of what is not there. The compiler would
// refuse it as well, but it comes too late: passes add types, functions, globals
// and locals behind those of the module, and a number without a meaning would
// get one. A guest could set its own fuel with it.
func (m *Module) check() {
	c := &checker{
		m:       m,
		types:   uint32(len(m.Types)),
		funcs:   m.imported(KindFunc) + uint32(len(m.Funcs)),
		globals: m.imported(KindGlobal) + uint32(len(m.Globals)),
		params:  make([]uint32, len(m.Types)),
	}
	for i, t := range m.Types {
		c.params[i] = (&reader{data: t, pos: 1}).u32()
	}
	c.outside()
	for i, body := range m.Code {
		c.function(body, c.params[m.Funcs[i]])
	}
}

// A checker knows how many there are of what passes add to.
type checker struct {
	m                     *Module
	types, funcs, globals uint32
	fixed                 []bool   // for each global that is imported: it never changes
	params                []uint32 // of each type
	locals                uint64   // so far, of all functions
}

func within(what string, index int64, n uint32) {
	if index < 0 || index >= int64(n) {
		fail("%s %d of %d", what, index, n)
	}
}

// outside checks everything but the code.
func (c *checker) outside() {
	m := c.m
	for i := range m.Imports {
		switch x := &m.Imports[i]; x.Kind {
		case KindFunc:
			within("type", int64((&reader{data: x.Type}).u32()), c.types)
		case KindGlobal:
			c.fixed = append(c.fixed, x.Type[1] == 0)
		}
	}
	for _, typ := range m.Funcs {
		within("type", int64(typ), c.types)
	}
	for i := range m.Exports {
		switch x := &m.Exports[i]; x.Kind {
		case KindFunc:
			within("function", int64(x.Index), c.funcs)
		case KindGlobal:
			within("global", int64(x.Index), c.globals)
		}
	}
	if m.Start != nil {
		within("function", int64(*m.Start), c.funcs)
	}
	for i := range m.Globals {
		c.constant(m.Globals[i].Init)
	}
	for i := range m.Elements {
		e := &m.Elements[i]
		c.constant(e.Offset)
		for _, f := range e.Funcs {
			within("function", int64(f), c.funcs)
		}
		for _, x := range e.Exprs {
			c.constant(x)
		}
	}
	for i := range m.Data {
		c.constant(m.Data[i].Offset)
	}
}

// constant checks a constant expression. A pass may have it computed in code,
// where more is allowed.
func (c *checker) constant(expr []byte) {
	r := &reader{data: expr}
	for in := (instr{}); r.more(); {
		r.instr(&in)
		if in.op == opGlobalGet && (in.a >= int64(len(c.fixed)) || !c.fixed[in.a]) {
			fail("global %d in a constant expression", in.a)
		}
		c.index(&in)
	}
}

// function checks a body, which takes so many parameters: that its blocks end
// where it ends, too.
func (c *checker) function(body []byte, params uint32) {
	r := &reader{data: body}
	_, total, _ := r.locals()
	total += uint64(params)
	c.locals += total
	if total > maxLocals || c.locals > maxAllLocals {
		fail("a function with %d locals, %d so far", total, c.locals)
	}
	var in instr
	for depth := uint32(1); depth > 0; {
		r.instr(&in)
		switch in.op {
		case opBlock, opLoop, opIf:
			if in.a >= 0 {
				within("type", in.a, c.types)
			}
			depth++
		case opEnd:
			depth--
		case opBr, opBrIf:
			within("label", in.a, depth)
		case opBrTable:
			within("label", in.b, depth)
		case opLocalGet, opLocalSet, opLocalTee:
			within("local", in.a, uint32(total))
		default:
			c.index(&in)
		}
	}
	if r.more() {
		fail("a function goes on behind its end")
	}
}

// index checks the number in an instruction that can stand anywhere.
func (c *checker) index(in *instr) {
	switch in.op {
	case opCall, opRefFunc:
		within("function", in.a, c.funcs)
	case opCallIndirect:
		within("type", in.a, c.types)
	case opGlobalGet, opGlobalSet:
		within("global", in.a, c.globals)
	case opMisc:
		if in.sub == miscMemoryInit || in.sub == miscDataDrop {
			if c.m.DataCount == nil {
				fail("data segment %d, and how many there are is not said", in.a)
			}
			within("data segment", in.a, *c.m.DataCount)
		}
	}
}

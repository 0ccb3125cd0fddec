// Package rewrite changes WebAssembly modules before they are compiled: it
// gives a guest a way to be stopped and metered, a way to be started from a
// memory image, and the control flow of Go guests a form that compiles well.
//
// It knows the binary format and nothing of the engine that runs the result.
// What it does not understand it refuses; what it returns is validated by the
// compiler like any other module, so that a mistake here costs a plugin and not
// the host.
package rewrite

import (
	"errors"
	"fmt"
)

// Value types, as they stand in the binary format.
const (
	I32  = 0x7f
	I64  = 0x7e
	f32  = 0x7d
	f64  = 0x7c
	v128 = 0x7b
)

// Kinds of imports and exports.
const (
	KindFunc   = 0
	KindTable  = 1
	KindMemory = 2
	KindGlobal = 3
)

// ErrMalformed is what every error of Parse is.
var ErrMalformed = errors.New("malformed WebAssembly")

// A Module is a module taken apart. What no pass looks into, such as types and
// function bodies, is kept as the bytes it was read from.
type Module struct {
	Types     [][]byte // as encoded, from the form 0x60 on
	Imports   []Import
	Funcs     []uint32 // the types of the functions that are defined here
	Tables    []Table
	Memories  []Limits
	Globals   []Global
	Exports   []Export
	Start     *uint32
	Elements  []Element
	DataCount *uint32
	Code      [][]byte // locals and instructions, one for each of Funcs
	Data      []Data
	Customs   []Custom
}

// An Import is something that a module wants from outside.
type Import struct {
	Module, Name string
	Kind         byte
	Type         []byte // as encoded
}

// Limits are the minimum, and perhaps the maximum, of a table or a memory.
type Limits struct {
	Flags    byte // bit 0: there is a maximum
	Min, Max uint64
}

// A Table is a table that is defined in a module.
type Table struct {
	Type byte
	Limits
}

// A Global is a global variable that is defined in a module.
type Global struct {
	Type    byte
	Mutable bool
	Init    []byte // a constant expression, with its end
}

// An Export is something that a module offers.
type Export struct {
	Name  string
	Kind  byte
	Index uint32
}

// An Element is a segment of a table. Either Funcs or Exprs is used.
type Element struct {
	Flags  byte
	Table  uint32
	Offset []byte // of an active one: a constant expression
	Kind   byte   // element kind, or type, where the form has it
	Funcs  []uint32
	Exprs  [][]byte
}

// Data is a segment of the memory.
type Data struct {
	Passive bool
	Memory  uint32
	Offset  []byte // of an active one: a constant expression
	Bytes   []byte
}

// A Custom is a section that does not change what a module does.
type Custom struct {
	Name  string
	Bytes []byte
}

// Section numbers, in the order in which sections stand.
const (
	secCustom = iota
	secType
	secImport
	secFunction
	secTable
	secMemory
	secGlobal
	secExport
	secStart
	secElement
	secCode
	secData
	secDataCount
)

const header = "\x00asm\x01\x00\x00\x00"

// Parse takes a module apart. The Module keeps parts of wasm.
func Parse(wasm []byte) (m *Module, err error) {
	if len(wasm) < len(header) || string(wasm[:len(header)]) != header {
		return nil, fmt.Errorf("%w: want it to begin with \"\\0asm\" and version 1", ErrMalformed)
	}
	defer catch(&err)
	m = &Module{}
	r := &reader{data: wasm, pos: len(header)}
	last := 0
	for r.more() {
		id := r.byte()
		body := r.sub(r.u32())
		if id != secCustom {
			if order(id) <= last {
				fail("section %d stands out of order, or twice", id)
			}
			last = order(id)
		}
		m.section(id, body)
		if body.more() {
			fail("section %d is longer than what it says", id)
		}
	}
	if len(m.Funcs) != len(m.Code) {
		fail("%d functions have %d bodies", len(m.Funcs), len(m.Code))
	}
	if m.DataCount != nil && int(*m.DataCount) != len(m.Data) {
		fail("%d data segments, %d announced", len(m.Data), *m.DataCount)
	}
	m.check()
	return m, nil
}

// order is the place of a section: the count of data stands before the code.
func order(id byte) int {
	switch {
	case id == secDataCount:
		return 2*secElement + 1
	case id > secDataCount:
		fail("section %d is not known", id)
	}
	return 2 * int(id)
}

func (m *Module) section(id byte, r *reader) {
	defer func() {
		switch r := recover().(type) {
		case nil:
		case malformed:
			fail("section %d: %s", id, string(r))
		default:
			panic(r)
		}
	}()
	switch id {
	case secCustom:
		name := r.name()
		m.Customs = append(m.Customs, Custom{Name: name, Bytes: r.rest()})
	case secType:
		m.Types = list(r, (*reader).funcType)
	case secImport:
		m.Imports = list(r, (*reader).importEntry)
	case secFunction:
		m.Funcs = list(r, (*reader).u32)
	case secTable:
		m.Tables = list(r, func(r *reader) Table { return Table{Type: r.byte(), Limits: r.limits()} })
	case secMemory:
		m.Memories = list(r, (*reader).limits)
	case secGlobal:
		m.Globals = list(r, func(r *reader) Global {
			return Global{Type: r.byte(), Mutable: r.flag(), Init: r.expr()}
		})
	case secExport:
		m.Exports = list(r, func(r *reader) Export {
			return Export{Name: r.name(), Kind: r.byte(), Index: r.u32()}
		})
	case secStart:
		start := r.u32()
		m.Start = &start
	case secElement:
		m.Elements = list(r, (*reader).element)
	case secDataCount:
		count := r.u32()
		m.DataCount = &count
	case secCode:
		m.Code = list(r, func(r *reader) []byte { return r.sub(r.u32()).data })
	case secData:
		m.Data = list(r, (*reader).dataSegment)
	}
}

func (r *reader) funcType() []byte {
	start := r.pos
	if r.byte() != 0x60 {
		fail("a type that is not a function's")
	}
	r.bytes(r.u32())
	r.bytes(r.u32())
	return r.data[start:r.pos]
}

func (r *reader) importEntry() Import {
	i := Import{Module: r.name(), Name: r.name(), Kind: r.byte()}
	start := r.pos
	switch i.Kind {
	case KindFunc:
		r.u32()
	case KindTable:
		r.byte()
		r.limits()
	case KindMemory:
		r.limits()
	case KindGlobal:
		r.bytes(2)
	default:
		fail("an import of kind %d", i.Kind)
	}
	i.Type = r.data[start:r.pos]
	return i
}

func (r *reader) limits() Limits {
	l := Limits{Flags: r.byte()}
	l.Min = uint64(r.u32())
	if l.Flags&1 != 0 {
		l.Max = uint64(r.u32())
	}
	if l.Flags > 3 {
		fail("limits of form %d", l.Flags)
	}
	return l
}

// The bits of an element segment's form.
const (
	elementPassive  = 1 // or declared, with the next
	elementExplicit = 2 // the table, or that it is declared only
	elementExprs    = 4
)

func (e *Element) active() bool { return e.Flags&elementPassive == 0 }

func (r *reader) element() Element {
	form := r.u32()
	if form > 7 {
		fail("an element segment of form %d", form)
	}
	e := Element{Flags: byte(form)}
	if e.active() {
		if e.Flags&elementExplicit != 0 {
			e.Table = r.u32()
		}
		e.Offset = r.expr()
	}
	if e.Flags&(elementPassive|elementExplicit) != 0 {
		e.Kind = r.byte()
	}
	if e.Flags&elementExprs != 0 {
		e.Exprs = list(r, (*reader).expr)
	} else {
		e.Funcs = list(r, (*reader).u32)
	}
	return e
}

func (r *reader) dataSegment() Data {
	var d Data
	switch form := r.u32(); form {
	case 0:
		d.Offset = r.expr()
	case 1:
		d.Passive = true
	case 2:
		d.Memory = r.u32()
		d.Offset = r.expr()
	default:
		fail("a data segment of form %d", form)
	}
	d.Bytes = r.bytes(r.u32())
	return d
}

// Encode puts the module together again.
func (m *Module) Encode() []byte {
	size := len(header) + 4096
	for _, c := range m.Code {
		size += len(c) + 5
	}
	for _, d := range m.Data {
		size += len(d.Bytes) + 16
	}
	for _, c := range m.Customs {
		size += len(c.Bytes) + len(c.Name) + 10
	}
	out := append(make([]byte, 0, size+size/8), header...)
	var w []byte // one section
	flush := func(id byte) {
		out = append(out, id)
		out = appendU32(out, uint32(len(w)))
		out = append(out, w...)
		w = w[:0]
	}
	// vector writes a section that is a list, unless it is empty.
	vector := func(id byte, n int, entry func(i int)) {
		if n == 0 {
			return
		}
		w = appendU32(w, uint32(n))
		for i := range n {
			entry(i)
		}
		flush(id)
	}
	vector(secType, len(m.Types), func(i int) { w = append(w, m.Types[i]...) })
	vector(secImport, len(m.Imports), func(i int) {
		x := &m.Imports[i]
		w = append(append(appendName(appendName(w, x.Module), x.Name), x.Kind), x.Type...)
	})
	vector(secFunction, len(m.Funcs), func(i int) { w = appendU32(w, m.Funcs[i]) })
	vector(secTable, len(m.Tables), func(i int) {
		w = m.Tables[i].Limits.append(append(w, m.Tables[i].Type))
	})
	vector(secMemory, len(m.Memories), func(i int) { w = m.Memories[i].append(w) })
	vector(secGlobal, len(m.Globals), func(i int) {
		g := &m.Globals[i]
		w = append(appendFlag(append(w, g.Type), g.Mutable), g.Init...)
	})
	vector(secExport, len(m.Exports), func(i int) {
		x := &m.Exports[i]
		w = appendU32(append(appendName(w, x.Name), x.Kind), x.Index)
	})
	if m.Start != nil {
		w = appendU32(w, *m.Start)
		flush(secStart)
	}
	vector(secElement, len(m.Elements), func(i int) { w = m.Elements[i].append(w) })
	if m.DataCount != nil {
		w = appendU32(w, uint32(len(m.Data)))
		flush(secDataCount)
	}
	vector(secCode, len(m.Code), func(i int) {
		w = append(appendU32(w, uint32(len(m.Code[i]))), m.Code[i]...)
	})
	vector(secData, len(m.Data), func(i int) { w = m.Data[i].append(w) })
	for _, c := range m.Customs {
		w = append(appendName(w, c.Name), c.Bytes...)
		flush(secCustom)
	}
	return out
}

func (l Limits) append(w []byte) []byte {
	w = appendU32(append(w, l.Flags), uint32(l.Min))
	if l.Flags&1 != 0 {
		w = appendU32(w, uint32(l.Max))
	}
	return w
}

func (e *Element) append(w []byte) []byte {
	w = append(w, e.Flags)
	if e.active() {
		if e.Flags&elementExplicit != 0 {
			w = appendU32(w, e.Table)
		}
		w = append(w, e.Offset...)
	}
	if e.Flags&(elementPassive|elementExplicit) != 0 {
		w = append(w, e.Kind)
	}
	if e.Flags&elementExprs != 0 {
		w = appendU32(w, uint32(len(e.Exprs)))
		for _, x := range e.Exprs {
			w = append(w, x...)
		}
		return w
	}
	w = appendU32(w, uint32(len(e.Funcs)))
	for _, f := range e.Funcs {
		w = appendU32(w, f)
	}
	return w
}

func (d *Data) append(w []byte) []byte {
	switch {
	case d.Passive:
		w = append(w, 1)
	case d.Memory == 0:
		w = append(append(w, 0), d.Offset...)
	default:
		w = append(appendU32(append(w, 2), d.Memory), d.Offset...)
	}
	return append(appendU32(w, uint32(len(d.Bytes))), d.Bytes...)
}

// imported counts the imports of a kind, which come first in its index space.
func (m *Module) imported(kind byte) uint32 {
	var n uint32
	for i := range m.Imports {
		if m.Imports[i].Kind == kind {
			n++
		}
	}
	return n
}

// addType returns the index of a function type, which it adds if need be.
func (m *Module) addType(params, results []byte) uint32 {
	t := append(appendU32([]byte{0x60}, uint32(len(params))), params...)
	t = append(appendU32(t, uint32(len(results))), results...)
	for i, have := range m.Types {
		if string(have) == string(t) {
			return uint32(i)
		}
	}
	m.Types = append(m.Types, t)
	return uint32(len(m.Types) - 1)
}

// addGlobal adds a mutable i32 or i64 with the value 0 and returns its index.
func (m *Module) addGlobal(typ byte) uint32 {
	constant := byte(opI32Const)
	if typ == I64 {
		constant = opI64Const
	}
	m.Globals = append(m.Globals, Global{Type: typ, Mutable: true, Init: []byte{constant, 0, opEnd}})
	return m.imported(KindGlobal) + uint32(len(m.Globals)) - 1
}

// addFunction adds a function, exported under a name, and returns its index.
// code is its locals and instructions.
func (m *Module) addFunction(export string, typ uint32, code []byte) uint32 {
	m.Funcs = append(m.Funcs, typ)
	m.Code = append(m.Code, code)
	index := m.imported(KindFunc) + uint32(len(m.Funcs)) - 1
	m.Exports = append(m.Exports, Export{Name: export, Kind: KindFunc, Index: index})
	return index
}

package rewrite_test

import "slices"

// block writes a block, loop or if.
func (f *function) block(op byte) {
	if len(f.frames) > 10 {
		return
	}
	var params, results []byte
	if f.d.one(3) {
		own := f.own()
		params = slices.Clone(own[len(own)-min(f.d.n(3), len(own)):])
		results = f.g.some(3)
	}
	f.want(params...)
	if op == 0x04 {
		// The condition lies above what the block takes.
		f.value(i32)
		f.pop(1)
	}
	f.c.op(op)
	switch {
	case len(params) > 0 || len(results) > 1:
		f.c.s64(int64(f.g.b.typ(params, results)))
	case len(results) == 1:
		f.c.op(results[0])
	default:
		f.c.op(empty)
	}
	f.pop(len(params))
	base := len(f.stack)
	label := results
	if op == 0x03 {
		label = params
	}
	begin := func() {
		f.frames = append(f.frames, frame{label: label, results: results, base: base})
		f.push(params...)
	}
	end := func() {
		f.settle(results)
		f.stack = f.stack[:base]
		f.frames = f.frames[:len(f.frames)-1]
	}
	begin()
	if op == 0x03 {
		f.spend()
	}
	f.statements(1 + f.d.n(8))
	if op == 0x03 && !f.top().dead && !f.d.one(4) {
		f.branchTo(0, true)
	}
	if op == 0x04 && (f.d.one(2) || !slices.Equal(params, results)) {
		end()
		f.c.op(0x05)
		begin()
		f.statements(f.d.n(6))
	}
	end()
	f.c.op(0x0b)
	f.push(results...)
}

func (f *function) branch() {
	if f.d.one(6) {
		f.want(f.typ.results...)
		f.c.op(0x0f)
		f.die()
		return
	}
	f.branchTo(f.d.n(len(f.frames)), !f.d.one(3))
}

// branchTo branches to a label, perhaps on a condition.
func (f *function) branchTo(label int, perhaps bool) {
	types := f.frames[len(f.frames)-1-label].label
	f.want(types...)
	if !perhaps {
		f.c.with(0x0c, uint32(label))
		f.die()
		return
	}
	f.pop(len(types))
	f.push(types...)
	f.value(i32)
	f.c.with(0x0d, uint32(label))
	f.pop(1)
}

func (f *function) branchTable() {
	types := f.frames[f.d.n(len(f.frames))].label
	var labels []uint32
	for i := range f.frames {
		if slices.Equal(f.frames[i].label, types) {
			labels = append(labels, uint32(len(f.frames)-1-i))
		}
	}
	f.want(types...)
	f.value(i32)
	n := f.d.n(6)
	f.c.with(0x0e, uint32(n))
	for range n + 1 {
		f.c.u32(pick(f.d, labels))
	}
	f.die()
}

func (f *function) call() {
	callee := f.d.n(len(f.g.types))
	t := f.g.types[callee]
	f.want(t.params...)
	f.pop(len(t.params))
	if f.d.one(3) {
		f.push(t.params...)
		f.value(i32)
		if !f.d.one(8) {
			f.c.op(0x41, tableSize-1, 0x71)
		}
		f.c.with(0x11, f.g.b.typ(t.params, t.results))
		f.c.op(0)
		f.pop(1 + len(t.params))
	} else {
		f.c.with(0x10, uint32(callee))
	}
	f.push(t.results...)
}

// assign puts a value into a local or a global.
func (f *function) assign() {
	t := pick(f.d, numbers)
	if own := f.own(); len(own) > 0 && f.d.one(2) {
		t = own[len(own)-1]
	}
	f.want(t)
	switch f.d.n(4) {
	case 0:
		f.c.with(0x24, pick(f.d, f.g.state[t]))
		f.pop(1)
	case 1:
		f.c.with(0x22, f.local(t))
		f.pop(1)
		f.push(t)
	default:
		f.c.with(0x21, f.local(t))
		f.pop(1)
	}
}

func (f *function) operate() {
	o := pick(f.d, operators)
	if o.traps && !f.d.one(8) {
		return
	}
	f.want(o.in...)
	f.c.op(o.op...)
	f.pop(len(o.in))
	f.push(o.out)
	if o.float {
		f.canon(o.out)
	}
}

// canon makes a NaN the one NaN: which one an operation gives is open.
func (f *function) canon(t byte) {
	spare := uint32(slices.Index(numbers, t)*2 + 1 + len(f.typ.params))
	f.c.with(0x22, spare)
	equal := byte(0x5b)
	if t == f32 {
		f.c.op(0x43, 0, 0, 0xc0, 0x7f)
	} else {
		f.c.op(0x44, 0, 0, 0, 0, 0, 0, 0xf8, 0x7f)
		equal = 0x61
	}
	f.c.with(0x20, spare)
	f.c.with(0x20, spare)
	f.c.op(equal, 0x1b)
}

var loads = []struct{ op, typ, size byte }{
	{0x28, i32, 4}, {0x29, i64, 8}, {0x2a, f32, 4}, {0x2b, f64, 8},
	{0x2c, i32, 1}, {0x2d, i32, 1}, {0x2e, i32, 2}, {0x2f, i32, 2},
	{0x30, i64, 1}, {0x31, i64, 1}, {0x32, i64, 2}, {0x33, i64, 2}, {0x34, i64, 4}, {0x35, i64, 4},
}

var stores = []struct{ op, typ, size byte }{
	{0x36, i32, 4}, {0x37, i64, 8}, {0x38, f32, 4}, {0x39, f64, 8},
	{0x3a, i32, 1}, {0x3b, i32, 2}, {0x3c, i64, 1}, {0x3d, i64, 2}, {0x3e, i64, 4},
}

// address pushes one that mostly lies in the memory.
func (f *function) address() {
	f.want(i32)
	if !f.d.one(20) {
		f.c.i32Const(0xffff)
		f.c.op(0x71)
	}
}

func (f *function) offset() uint32 {
	if f.d.one(40) {
		return uint32(pick(f.d, interesting))
	}
	return uint32(f.d.n(64))
}

func (f *function) load() {
	l := pick(f.d, loads)
	f.address()
	f.c.op(l.op, 0)
	f.c.u32(f.offset())
	f.pop(1)
	f.push(l.typ)
}

func (f *function) store() {
	s := pick(f.d, stores)
	f.address()
	f.pop(1)
	f.push(i32)
	f.value(s.typ)
	f.c.op(s.op, 0)
	f.c.u32(f.offset())
	f.pop(2)
}

// record reads and writes around one pointer, like a program with structures.
func (f *function) record() {
	pointer := f.local(i32)
	wrap := f.d.one(2)
	if wrap {
		pointer = f.local(i64)
	}
	move := func() {
		to := pick(f.d, []int32{0, 256, 1 << 16, 1<<16 - 1, 1<<16 - 16, 1<<16 - 80})
		if wrap {
			f.c.i64Const(int64(to))
		} else {
			f.c.i32Const(to)
		}
		f.c.with(0x21, pointer)
	}
	if f.d.one(2) {
		move()
	}
	base := func() {
		f.c.with(0x20, pointer)
		if wrap {
			f.c.op(0xa7)
		}
		f.push(i32)
	}
	for range 2 + f.d.n(4) {
		if f.d.one(6) {
			move()
		}
		if f.d.one(2) {
			l := pick(f.d, loads)
			base()
			f.c.op(l.op, 0)
			f.c.u32(f.offset())
			f.pop(1)
			f.push(l.typ)
			f.c.with(0x21, f.local(l.typ))
			f.pop(1)
			continue
		}
		s := pick(f.d, stores)
		base()
		f.value(s.typ)
		f.c.op(s.op, 0)
		f.c.u32(f.offset())
		f.pop(2)
	}
}

// small pushes a number below 2^bits, mostly.
func (f *function) small(bits int) {
	f.value(i32)
	if !f.d.one(16) {
		f.c.i32Const(1<<bits - 1)
		f.c.op(0x71)
	}
}

func (f *function) bulk() {
	which := f.d.n(6)
	switch which {
	case 0: // data.drop
		f.c.op(0xfc, 9, 2)
		return
	case 1: // memory.grow
		f.small(1)
		f.c.op(0x40, 0)
		f.pop(1)
		f.push(i32)
		return
	case 2: // memory.size
		f.c.op(0x3f, 0)
		f.push(i32)
		return
	}
	f.small(15)
	switch which {
	case 3: // memory.init
		f.small(3)
		f.small(3)
		// Of the first, an active one, wazero forgets that it counts as dropped.
		f.c.op(0xfc, 8, byte(1+f.d.n(2)), 0)
	case 4: // memory.copy
		f.small(15)
		f.small(12)
		f.c.op(0xfc, 10, 0, 0)
	case 5: // memory.fill
		f.small(8)
		f.small(12)
		f.c.op(0xfc, 11, 0)
	}
	f.pop(3)
}

func (f *function) table() {
	switch f.d.n(9) {
	case 0: // table.size
		f.c.op(0xfc, 16, 0)
		f.push(i32)
	case 1: // table.set with ref.func
		f.small(3)
		f.c.with(0xd2, uint32(f.d.n(len(f.g.types))))
		f.c.op(0x26, 0)
		f.pop(1)
	case 2: // table.get and ref.is_null
		f.small(3)
		f.c.op(0x25, 0, 0xd1)
		f.pop(1)
		f.push(i32)
	case 3: // table.grow with ref.null
		f.c.op(0xd0, ref)
		f.small(1)
		f.c.op(0xfc, 15, 0)
		f.pop(1)
		f.push(i32)
	case 4: // table.copy
		f.small(2)
		f.small(2)
		f.small(2)
		f.c.op(0xfc, 14, 0, 0)
		f.pop(3)
	case 5: // table.init
		f.small(2)
		f.small(1)
		f.small(1)
		f.c.op(0xfc, 12, byte(f.d.n(2)), 0)
		f.pop(3)
	case 6: // table.fill
		f.small(2)
		f.c.with(0xd2, uint32(f.d.n(len(f.g.types))))
		f.small(2)
		f.c.op(0xfc, 17, 0)
		f.pop(2)
	case 7: // elem.drop
		f.c.op(0xfc, 13, byte(f.d.n(2)))
	case 8: // a global that holds a function
		f.c.with(0xd2, uint32(f.d.n(len(f.g.types))))
		f.c.with(0x24, f.g.fref)
		f.c.with(0x23, f.g.fref)
		f.c.op(0xd1)
		f.push(i32)
	}
}

func (f *function) rare() {
	switch f.d.n(6) {
	case 0:
		f.c.op(0x01) // nop
	case 1, 2: // select
		t := pick(f.d, numbers)
		f.want(t, t, i32)
		if f.d.one(2) {
			f.c.op(0x1b)
		} else {
			f.c.op(0x1c, 1, t)
		}
		f.pop(3)
		f.push(t)
	case 3, 4:
		if len(f.own()) > 0 {
			f.c.op(0x1a)
			f.pop(1)
		}
	case 5:
		if f.d.one(4) {
			f.c.op(0x00)
			f.die()
		}
	}
}

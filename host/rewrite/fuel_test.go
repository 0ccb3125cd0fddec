package rewrite_test

import (
	"errors"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/edgeset/edgeset/host/rewrite"
)

// work is an instruction that costs, so many times.
func work(n int) (c code) {
	for range n {
		c.i32Const(1)
		c.op(0x67, 0x1a) // clz, drop
	}
	return c
}

// loop goes round as often as the first parameter says, or for ever if that is
// 0; typed ones leave a value on the stack.
func loop(inside code, typed bool) (c code) {
	if typed {
		c.op(0x03, i32)
	} else {
		c.op(0x03, empty)
	}
	c.op(inside...)
	if typed {
		c.i32Const(5)
	}
	c.op(0x20, 0, 0x41, 1, 0x6b, 0x22, 0) // counts down
	c.op(0x0d, 0, 0x0b)
	if typed {
		c.op(0x1a)
	}
	return c
}

// running makes an instance of a module whose function f is the last of bodies,
// which call each other by their numbers. All take an i32.
func running(t *testing.T, w *world, bodies ...code) api.Module {
	t.Helper()
	var b builder
	b.memories = [][]byte{{0, 1}}
	b.tables = [][]byte{{ref, 0, 1}}
	var index uint32
	for _, body := range bodies {
		index = b.fn(b.typ([]byte{i32}, nil), nil, body)
	}
	b.export("f", asFunc, index)
	mod, err := w.instantiate(b.encode(), "")
	if err != nil {
		t.Fatal(err)
	}
	return mod
}

func fueled(t *testing.T, grant int32) *world {
	t.Helper()
	w := newWorld(t, wazero.NewRuntimeConfigCompiler())
	w.rewrite = asPlugin
	w.refuel = func(api.Module) int32 { return grant }
	return w
}

func TestATurnMayCostMoreThanTheHostGrants(t *testing.T) {
	for _, typed := range []bool{false, true} {
		w := fueled(t, 0)
		mod := running(t, w, loop(work(100_000), typed))
		if _, err := mod.ExportedFunction("f").Call(w.ctx, 10); err != nil {
			t.Fatal(err)
		}
		if w.refuels < 10 || w.refuels > 20 {
			t.Errorf("typed %v: %d passes for 10 turns", typed, w.refuels)
		}
	}
}

// TestWhateverRunsOnIsEnded has the host end what does not end by itself.
func TestWhateverRunsOnIsEnded(t *testing.T) {
	call := func(index byte) code { return code{0x20, 0, 0x10, index} }
	fill := code{0x41, 0, 0x41, 0, 0x41, 0x80, 0x80, 0x04, 0xfc, 0x0b, 0}
	grow := code{0xd0, ref, 0x41, 0, 0xfc, 15, 0, 0x1a}
	nested := loop(loop(nil, false), false)
	for name, bodies := range map[string][]code{
		"loop":        {loop(nil, false)},
		"typed loop":  {loop(nil, true)},
		"nested loop": {nested},
		"calls":       {{}, loop(call(0), false)},
		"fills":       {loop(fill, false)},
		"grows":       {loop(grow, false)},
		"recursion":   {append(call(0), call(0)...)},
	} {
		t.Run(name, func(t *testing.T) {
			w := fueled(t, 0)
			end := errors.New("it has run for too long")
			w.refuel = func(api.Module) int32 {
				if w.refuels > 1000 {
					panic(end)
				}
				return 5000
			}
			mod := running(t, w, bodies...)
			if _, err := mod.ExportedFunction("f").Call(w.ctx, 0); !errors.Is(err, end) {
				t.Errorf("the call ended with %v", err)
			}
		})
	}
}

// TestFuelMeasuresWork compares what is charged with what is done.
func TestFuelMeasuresWork(t *testing.T) {
	spent := func(turns uint64, bodies ...code) int64 {
		w := fueled(t, rewrite.FuelSlice)
		mod := running(t, w, bodies...)
		fuel := mod.ExportedGlobal(rewrite.FuelExport)
		before := int64(int32(fuel.Get()))
		w.granted = 0
		if _, err := mod.ExportedFunction("f").Call(w.ctx, turns); err != nil {
			t.Fatal(err)
		}
		return w.granted + before - int64(int32(fuel.Get()))
	}
	leaf := func(n int) []code { return []code{work(n), loop(code{0x20, 0, 0x10, 0}, false)} }
	fill := func(n int32) code {
		c := code{0x41, 0, 0x41, 0}
		c.i32Const(n)
		c.op(0xfc, 0x0b, 0)
		return loop(c, false)
	}
	for _, test := range []struct {
		what       string
		less, more int64
		factor     int64 // how much more it is, at least
	}{
		{"turns", spent(100, loop(nil, false)), spent(10_000, loop(nil, false)), 50},
		{"inner turns", spent(100, loop(work(5), true)), spent(100, loop(work(50), true)), 4},
		{"a long function", spent(1000, leaf(10)...), spent(1000, leaf(10_000)...), 20},
		{"a long fill", spent(100, fill(1000)), spent(100, fill(60_000)), 100},
	} {
		if test.less <= 0 || test.more < test.less*test.factor {
			t.Errorf("%s: it costs %d, and %d", test.what, test.less, test.more)
		}
	}
}

func TestAGuestCannotRefuelItself(t *testing.T) {
	var b builder
	b.importFunc(rewrite.FuelModule, rewrite.FuelImport, []byte{i32}, []byte{i32})
	if _, err := asPlugin(b.encode()); !errors.Is(err, rewrite.ErrReserved) {
		t.Errorf("the error is %v", err)
	}
}

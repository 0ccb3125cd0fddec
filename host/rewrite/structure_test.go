package rewrite_test

import (
	"testing"

	"github.com/edgeset/edgeset/host/rewrite"
)

// structuredOf is how many functions of a module get a structure, after a change.
func structuredOf(t *testing.T, wasm []byte, change func(*rewrite.Module)) int {
	t.Helper()
	m, err := rewrite.Parse(wasm)
	if err != nil {
		t.Fatal(err)
	}
	change(m)
	n, err := rewrite.StructureGo(m)
	if err != nil {
		t.Fatal(err)
	}
	return n
}

func asItIs(*rewrite.Module) {}

func TestWhatIsLeftAlone(t *testing.T) {
	next := func(int) []int { return nil }
	// fan has a segment at the end of a long chain, and the first, lead to all of
	// as many others: from each the way up is as long as the chain.
	fan := func(n int) func(i int) []int {
		return func(i int) (to []int) {
			if i == 0 || i == n/2 {
				for k := n/2 + 1; k < n; k++ {
					to = append(to, k)
				}
			}
			return to
		}
	}
	for name, test := range map[string]struct {
		wasm   []byte
		change func(*rewrite.Module)
		want   int
	}{
		"Go":               {goForm(100, next), asItIs, 1},
		"not Go":           {goForm(100, next), func(m *rewrite.Module) { m.Customs = nil }, 0},
		"many segments":    {goForm(1<<16, next), asItIs, 1},
		"too many":         {goForm(1<<16+1, next), asItIs, 0},
		"a fan":            {goForm(100, fan(100)), asItIs, 1},
		"a fan that large": {goForm(10_000, fan(10_000)), asItIs, 0},
	} {
		if got := structuredOf(t, test.wasm, test.change); got != test.want {
			t.Errorf("%s: %d functions were given a structure, want %d", name, got, test.want)
		}
	}
}

// TestNamesAreAllThatIsKept looks at custom sections: others speak of code that
// is not what it was.
func TestNamesAreAllThatIsKept(t *testing.T) {
	for _, named := range []bool{false, true} {
		var b builder
		b.fn(b.typ(nil, nil), nil, nil)
		b.custom(".debug_info", []byte{1, 2, 3})
		if named {
			b.custom("name", []byte{1, 4, 1, 0, 1, 'f'})
		}
		m, err := rewrite.Plugin(b.encode())
		if err != nil {
			t.Fatal(err)
		}
		if named && (len(m.Customs) != 1 || string(m.Customs[0].Bytes) != "\x01\x04\x01\x01\x01f") || !named && len(m.Customs) > 0 {
			t.Errorf("named %v: there are %q", named, m.Customs)
		}
	}
}

// TestExitsAreNotChargedWithTurns has a loop with and without much behind it.
func TestExitsAreNotChargedWithTurns(t *testing.T) {
	spent := func(turns int32, behind code) int64 {
		var b builder
		b.custom("producers", []byte(goProducers))
		typ := b.typ([]byte{i32}, []byte{i32})
		c := code{0x02, empty, 0x03, empty, 0x02, empty, 0x02, empty, 0x02, empty, 0x20, 0, 0x0e, 2, 0, 1, 2, 0x0b}
		c.i32Const(turns)
		c.op(0x21, 1, 0x0b) // segment 0; 1 goes round and falls out
		c.op(0x20, 1, 0x41, 1, 0x6b, 0x22, 1, 0x04, empty, 0x41, 1, 0x21, 0, 0x0c, 2, 0x0b, 0x0b)
		c.op(behind...)
		c.op(0x41, 0, 0x0f, 0x0b, 0x00, 0x0b, 0x41, 1)
		b.export("f", asFunc, b.fn(typ, []byte{i32}, c))
		wasm := b.encode()
		if structuredOf(t, wasm, asItIs) != 1 {
			t.Fatal("it was given no structure")
		}
		w := fueled(t, rewrite.FuelSlice)
		mod, err := w.instantiate(wasm, "")
		if err != nil {
			t.Fatal(err)
		}
		fuel := mod.ExportedGlobal(rewrite.FuelExport)
		before := int64(int32(fuel.Get()))
		w.granted = 0
		if _, err := mod.ExportedFunction("f").Call(w.ctx, 0); err != nil {
			t.Fatal(err)
		}
		return w.granted + before - int64(int32(fuel.Get()))
	}
	for _, behind := range []code{nil, work(20_000)} {
		few, many := spent(100, behind), spent(1100, behind)
		if turn := (many - few) / 1000; turn < 1 || turn > 20 {
			t.Errorf("a turn costs %d", turn)
		}
	}
}

package engine_test

import (
	"bytes"
	"slices"
	"sync"
	"testing"

	"github.com/edgeset/edgeset/host/engine"
	"github.com/edgeset/edgeset/host/rewrite"
)

// secret is what the guest hides: it makes it only then, so that no image has
// it.
func secret() []byte {
	s := make([]byte, 32)
	for i := range s {
		s[i] = byte(i*7+3) ^ 0x5a
	}
	return s
}

func TestAResetLeavesNothing(t *testing.T) {
	v := loadState(t, engine.Options{})
	s := start(t, v)
	memory, globals := bytes.Clone(s.Memory()), s.Globals()
	reset := 0
	for range 20 {
		invoke(t, s, "hides")
		if !bytes.Contains(s.Memory(), secret()) {
			t.Fatal("the guest hides nothing")
		}
		if !s.Reset() { // it has grown
			s = start(t, v)
			continue
		}
		reset++
		if bytes.Contains(s.Memory(), secret()) {
			t.Fatal("the secret is still there")
		}
		if n := different(s.Memory(), memory); n > 2*304+8 { // the random generators
			t.Fatalf("%d bytes are not what they were", n)
		}
		if !slices.Equal(s.Globals(), globals) {
			t.Fatalf("globals %v, were %v", s.Globals(), globals)
		}
		if code := invoke(t, s, "checks"); code != 0 {
			t.Fatalf("checks: %d", code)
		}
	}
	if reset == 0 {
		t.Error("it was never reset")
	}
}

func different(a, b []byte) (n int) {
	if len(a) != len(b) {
		return len(a) + len(b)
	}
	for i := range a {
		if a[i] != b[i] {
			n++
		}
	}
	return n
}

func TestIsolationPerRequest(t *testing.T) {
	for name, o := range map[string]engine.Options{
		"from a snapshot": {Isolation: engine.PerRequest, Instances: 16},
		"on its own":      {Isolation: engine.PerRequest, Instances: 16, NoSnapshot: true},
	} {
		t.Run(name, func(t *testing.T) {
			v := loadState(t, o)
			var wg sync.WaitGroup
			for range 8 {
				wg.Go(func() {
					for _, export := range []string{"counts", "counts", "hides", "checks", "counts"} {
						code, _, err := v.Invoke(t.Context(), nil, export)
						if want := map[string]int32{"hides": 1100}[export]; err != nil || code != want {
							t.Errorf("%s: %d, %v: want %d", export, code, err, want)
						}
					}
				})
			}
			wg.Wait()
			if s := v.Stats(); s.Calls != 40 || s.Traps != 0 || s.Instances > 16 {
				t.Errorf("stats %+v", s)
			}
		})
	}
}

// TestWhatCannotBeResetIsReplaced calls guests that change what no image has,
// and looks whether the next call sees it.
func TestWhatCannotBeResetIsReplaced(t *testing.T) {
	const refNull, tableSet, tableGet, refIsNull, globalSet, globalGet = 0xd0, 0x26, 0x25, 0xd1, 0x24, 0x23
	m := &rewrite.Module{
		Types:    [][]byte{{0x60, 0, 0}, {0x60, 0, 1, rewrite.I32}},
		Tables:   []rewrite.Table{{Type: funcref, Limits: rewrite.Limits{Min: 2}}},
		Memories: []rewrite.Limits{{Min: 2}},
		Elements: []rewrite.Element{{Offset: i32Const(1), Funcs: []uint32{0}}},
		Data:     []rewrite.Data{{Passive: true, Bytes: []byte("passive")}},
		Globals: []rewrite.Global{
			{Type: rewrite.I32, Mutable: true, Init: append(i32Const(7), opEnd)},
			{Type: funcref, Mutable: true, Init: []byte{refNull, funcref, opEnd}},
		},
	}
	m.Elements[0].Offset = append(m.Elements[0].Offset, opEnd)
	count := uint32(1)
	m.DataCount = &count
	export := func(name string, typ uint32, body ...byte) {
		m.Exports = append(m.Exports, rewrite.Export{Name: name, Index: uint32(len(m.Funcs))})
		m.Funcs, m.Code = append(m.Funcs, typ), append(m.Code, append(append([]byte{0}, body...), opEnd))
	}
	export("number", 0, opI32Const, 9, globalSet, 0)
	export("numbered", 1, globalGet, 0)
	export("table", 0, opI32Const, 1, refNull, funcref, tableSet, 0)
	export("tabled", 1, opI32Const, 1, tableGet, 0, refIsNull)
	export("reference", 0, opI32Const, 1, tableGet, 0, globalSet, 1)
	export("referenced", 1, globalGet, 1, refIsNull)
	export("drop", 0, 0xfc, 9, 0)
	export("dropped", 1, opI32Const, 0, opI32Const, 0, opI32Const, 7, 0xfc, 8, 0, 0, opI32Const, 0, opLoad8, 0, 0)
	export("grow", 0, opI32Const, 1, opMemoryGrow, 0, opDrop)
	export("grown", 1, 0x3f, 0)

	v := loadGuest(t, newEngine(t, engine.Config{}), engine.Options{Isolation: engine.PerRequest, Instances: 1}, m.Encode())
	if !v.Warm() {
		t.Fatal("the image is not warm")
	}
	for change, look := range map[string]string{
		"number": "numbered", "table": "tabled", "reference": "referenced", "drop": "dropped", "grow": "grown",
	} {
		var before [2]int32
		for k := range before {
			code, _, err := v.Invoke(t.Context(), nil, look)
			if err != nil {
				t.Fatalf("%s: %v", look, err)
			}
			before[k] = code
			if _, _, err := v.Invoke(t.Context(), nil, change); err != nil {
				t.Fatalf("%s: %v", change, err)
			}
		}
		if before[0] != before[1] {
			t.Errorf("%s: %d before %s, and %d after it", look, before[0], change, before[1])
		}
	}
	if s := v.Stats(); s.Evictions != 0 || s.Traps != 0 {
		t.Errorf("stats %+v", s)
	}
}

package engine_test

import (
	"bytes"
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/edgeset/edgeset/host/engine"
	native "github.com/edgeset/edgeset/host/extism"
	"github.com/edgeset/edgeset/host/rewrite"
)

// A plain is a module as it is, on wazero alone.
type plain struct{ mod api.Module }

func startPlain(t *testing.T, rt wazero.Runtime, wasm []byte) (plain, error) {
	t.Helper()
	code, err := rt.CompileModule(t.Context(), wasm)
	if err != nil {
		t.Fatal(err)
	}
	mod, err := rt.InstantiateModule(t.Context(), code, wazero.NewModuleConfig().WithName("").
		WithStartFunctions("_initialize", "__wasm_call_ctors"))
	if err != nil {
		return plain{}, err
	}
	if f := mod.ExportedFunction("hs_init"); f != nil {
		if _, err := f.Call(t.Context(), 0, 0); err != nil {
			return plain{}, err
		}
	}
	t.Cleanup(func() { mod.Close(context.Background()) })
	return plain{mod}, nil
}

func (p plain) memory() []byte {
	m := p.mod.Memory()
	b, _ := m.Read(0, m.Size())
	return b
}

// globals are the mutable ones.
func (p plain) globals() (values []uint64) {
	m := p.mod.(experimental.InternalModule)
	for i := range m.NumGlobal() {
		// All look constant from here; what is, is in our list either way.
		values = append(values, m.Global(i).Get())
	}
	return values
}

func newRuntime(t *testing.T) wazero.Runtime {
	t.Helper()
	rt := wazero.NewRuntimeWithConfig(t.Context(), wazero.NewRuntimeConfig().WithMemoryLimitPages(1024))
	t.Cleanup(func() { rt.Close(context.Background()) })
	wasi_snapshot_preview1.MustInstantiate(t.Context(), rt)
	if err := native.Module().Instantiate(t.Context(), rt); err != nil {
		t.Fatal(err)
	}
	return rt
}

// same compares an instance with a module as it is.
func same(t *testing.T, what string, s engine.Single, p plain, mutable []int) {
	t.Helper()
	if got, want := s.Memory(), p.memory(); !bytes.Equal(got, want) {
		at := 0
		for at < len(got) && at < len(want) && got[at] == want[at] {
			at++
		}
		t.Errorf("%s: memory of %d bytes, want %d; it differs at %d", what, len(got), len(want), at)
	}
	all := p.globals()
	var want []uint64
	for _, i := range mutable {
		want = append(want, all[i])
	}
	if got := s.Globals(); !slices.Equal(got, want) {
		t.Errorf("%s: globals %v, want %v", what, got, want)
	}
}

// mutable returns the numbers of the mutable globals.
func mutable(t *testing.T, wasm []byte) (list []int) {
	t.Helper()
	m, err := rewrite.Parse(wasm)
	if err != nil {
		t.Fatal(err)
	}
	for i, g := range m.Globals {
		if g.Mutable {
			list = append(list, i)
		}
	}
	return list
}

// TestOtherToolchains starts what other compilers have made: what Extism tests
// its Go host with, and wazero's examples.
func TestOtherToolchains(t *testing.T) {
	tests := []struct{ module, file, made string }{
		{"github.com/extism/go-sdk", "wasm/alloc.wasm", "C"},
		{"github.com/extism/go-sdk", "wasm/hello.wasm", "C"},
		{"github.com/extism/go-sdk", "wasm/config.wasm", "TinyGo"},
		{"github.com/extism/go-sdk", "wasm/var.wasm", "TinyGo"},
		{"github.com/extism/go-sdk", "wasm/fs.wasm", "TinyGo"},
		{"github.com/extism/go-sdk", "wasm/count_vowels.wasm", "Rust"},
		{"github.com/extism/go-sdk", "wasm/http_headers.wasm", "Rust"},
		{"github.com/extism/go-sdk", "wasm/input_offset.wasm", "C"},
	}
	for _, tt := range tests {
		t.Run(tt.made+"/"+filepath.Base(tt.file), func(t *testing.T) {
			wasm := fromCache(t, tt.module, tt.file)
			p, err := startPlain(t, newRuntime(t), wasm)
			if err != nil {
				t.Fatal(err)
			}
			v := loadGuest(t, goEngine(t), engine.Options{}, wasm, native.Module())
			if !v.Warm() {
				t.Error("it is initialised for each instance")
			}
			for range 2 {
				same(t, "start", start(t, v), p, mutable(t, wasm))
			}
		})
	}
}

// fromCache reads a file of a module that this one depends on.
func fromCache(t *testing.T, module, file string) []byte {
	t.Helper()
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		t.Fatal(err)
	}
	b, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), file))
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// TestTinyGoThatDrawsRandomNumbers starts a plugin of newer versions of TinyGo,
// which seed their generator when they start.
func TestTinyGoThatDrawsRandomNumbers(t *testing.T) {
	wasm := fromCache(t, "github.com/tetratelabs/wazero", "examples/basic/testdata/add.wasm")
	v := loadGuest(t, goEngine(t), engine.Options{}, wasm)
	if v.Warm() {
		t.Fatal("the image is warm")
	}
	if a, b := start(t, v), start(t, v); bytes.Equal(a.Memory(), b.Memory()) {
		t.Error("two instances have the same memory")
	}
}

// TestRandomModules starts modules that do what comes into their minds, with
// and without a snapshot.
func TestRandomModules(t *testing.T) {
	e := newEngine(t, engine.Config{})
	rt := newRuntime(t)
	warm, failed, reset := 0, 0, 0
	const n = 300
	for seed := range uint64(n) {
		t.Run(fmt.Sprint(seed), func(t *testing.T) {
			g := generator{rand.New(rand.NewPCG(seed, 1)), nil}
			wasm := g.module()
			p, plainErr := startPlain(t, rt, wasm)
			v, err := load(e, engine.Options{}, wasm)
			if (err != nil) != (plainErr != nil) {
				t.Fatalf("load: %v; as it is: %v", err, plainErr)
			}
			if err != nil {
				failed++
				return
			}
			defer v.Close(t.Context())
			if v.Warm() {
				warm++
			}
			list := mutable(t, wasm)
			a, b := start(t, v), start(t, v)
			same(t, "start", a, p, list)
			before, globals := bytes.Clone(b.Memory()), b.Globals()
			for k := range 3 {
				_, plainErr := p.mod.ExportedFunction("run").Call(t.Context())
				_, err := a.Invoke(t.Context(), nil, "run")
				if (err != nil) != (plainErr != nil) {
					t.Fatalf("run: %v; as it is: %v", err, plainErr)
				}
				same(t, fmt.Sprintf("call %d", k), a, p, list)
			}
			if !bytes.Equal(b.Memory(), before) || !slices.Equal(b.Globals(), globals) {
				t.Error("one instance has changed another")
			}
			if a.Reset() {
				reset++
				if !bytes.Equal(a.Memory(), before) || !slices.Equal(a.Globals(), globals) {
					t.Error("a reset does not bring back what was")
				}
			}
		})
	}
	// The modules have to be of all kinds, or the test shows nothing.
	for what, count := range map[string]int{"warm": warm, "not warm": n - warm - failed, "failed": failed, "reset": reset} {
		if count < n/50 {
			t.Errorf("%s: %d modules of %d", what, count, n)
		}
	}
}

// A generator writes random modules.
type generator struct {
	*rand.Rand
	m *rewrite.Module
}

const funcref = 0x70

func (g generator) module() []byte {
	m := &rewrite.Module{
		Types:    [][]byte{{0x60, 0, 0}},
		Funcs:    []uint32{0, 0, 0},
		Tables:   []rewrite.Table{{Type: funcref, Limits: rewrite.Limits{Min: 4}}},
		Memories: []rewrite.Limits{{Min: 2}},
		Exports: []rewrite.Export{
			{Name: "memory", Kind: rewrite.KindMemory}, {Name: "_initialize", Index: 1}, {Name: "run", Index: 2},
		},
		Elements: []rewrite.Element{{Offset: i32Const(1), Funcs: []uint32{2, 1}}, {Flags: 1, Funcs: []uint32{0}}},
	}
	m.Elements[0].Offset = append(m.Elements[0].Offset, opEnd)
	for i := range 1 + g.IntN(4) {
		typ, init := byte(rewrite.I64), i64Const(g.Int64())
		if g.IntN(2) == 0 {
			typ, init = rewrite.I32, i32Const(int64(int32(g.Int64())))
		}
		m.Globals = append(m.Globals, rewrite.Global{Type: typ, Mutable: i == 0 || g.IntN(3) > 0, Init: append(init, opEnd)})
	}
	for range 1 + g.IntN(6) {
		d := rewrite.Data{Passive: g.IntN(4) == 0, Bytes: make([]byte, g.IntN(400))}
		for i := range d.Bytes {
			d.Bytes[i] = byte(g.Uint32())
		}
		if !d.Passive {
			d.Offset = append(i32Const(int64(g.place())), opEnd)
		}
		m.Data = append(m.Data, d)
	}
	count := uint32(len(m.Data))
	m.DataCount = &count
	if g.IntN(2) == 0 {
		m.Start = new(uint32)
	}
	g.m = m
	for n := range 3 {
		m.Code = append(m.Code, g.body(n == 2 || g.IntN(2) == 0))
	}
	return m.Encode()
}

// place is an address, mostly in the memory of two pages.
func (g generator) place() uint32 {
	if g.IntN(40) == 0 {
		return 2<<16 - uint32(g.IntN(300))
	}
	return uint32(g.IntN(2<<16 - 500))
}

// body is a function: some instructions of all kinds, or only of those that an
// image can carry over.
func (g generator) body(all bool) []byte {
	b := []byte{0}
	kinds := 4
	if all {
		kinds = 10
	}
	at := func() { b = append(b, i32Const(int64(int32(g.place())))...) }
	size := func() { b = append(b, i32Const(int64(g.IntN(300)))...) }
	for range g.IntN(8) {
		segment := byte(g.IntN(len(g.m.Data)))
		switch g.IntN(kinds) {
		case 0: // i64.store
			at()
			b = append(append(b, i64Const(g.Int64())...), 0x37, 0, 0)
		case 1: // global.set
			i := g.IntN(len(g.m.Globals))
			switch v := g.m.Globals[i]; {
			case !v.Mutable:
			case v.Type == rewrite.I32:
				b = append(append(b, i32Const(int64(int32(g.Int64())))...), 0x24, byte(i))
			default:
				b = append(append(b, i64Const(g.Int64())...), 0x24, byte(i))
			}
		case 2: // memory.fill, memory.copy
			at()
			if g.IntN(2) == 0 {
				at()
				size()
				b = append(b, 0xfc, 11, 0)
			} else {
				at()
				size()
				b = append(b, 0xfc, 10, 0, 0)
			}
		case 3: // memory.grow
			if g.IntN(4) == 0 {
				b = append(append(b, i32Const(int64(g.IntN(3)))...), opMemoryGrow, 0, opDrop)
			}
		case 4, 5: // memory.init
			n := 0 // of an active segment, which counts as dropped
			if d := &g.m.Data[segment]; d.Passive {
				n = g.IntN(1 + len(d.Bytes))
			}
			at()
			b = append(append(b, i32Const(0)...), i32Const(int64(n))...)
			b = append(b, 0xfc, 8, segment, 0)
		case 6: // data.drop
			b = append(b, 0xfc, 9, segment)
		case 7: // table.set
			b = append(append(b, i32Const(int64(g.IntN(4)))...), 0xd2, byte(g.IntN(2)+1), 0x26, 0)
		case 8: // elem.drop
			b = append(b, 0xfc, 13, 1)
		case 9: // a call through the table, of a function that may not be there
			if g.IntN(8) == 0 {
				b = append(append(b, i32Const(3)...), 0x25, 0, 0xd1, opDrop)
			}
		}
	}
	return append(b, opEnd)
}

package rewrite_test

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"strconv"
	"strings"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/edgeset/edgeset/host/rewrite"
)

// snapshot has a module rewritten by Snapshot alone, and instantiates it.
func snapshot(t *testing.T, m *rewrite.Module) api.Module {
	t.Helper()
	if err := rewrite.Snapshot(m); err != nil {
		t.Fatal(err)
	}
	return instantiate(t, m.Encode())
}

func instantiate(t *testing.T, wasm []byte) api.Module {
	t.Helper()
	rt := wazero.NewRuntimeWithConfig(t.Context(), wazero.NewRuntimeConfigInterpreter())
	t.Cleanup(func() { rt.Close(context.Background()) })
	mod, err := rt.Instantiate(t.Context(), wasm)
	if err != nil {
		t.Fatal(err)
	}
	return mod
}

func callExport(t *testing.T, mod api.Module, export string) error {
	t.Helper()
	f := mod.ExportedFunction(export)
	if f == nil {
		t.Fatalf("there is no export %q", export)
	}
	_, err := f.Call(t.Context())
	return err
}

func content(mod api.Module) []byte {
	b, _ := mod.Memory().Read(0, mod.Memory().Size())
	return b
}

// constant is an expression of type i32.
func constant(n int) []byte {
	b := []byte{0x41}
	for ; n > 0x3f; n >>= 7 {
		b = append(b, byte(n)|0x80)
	}
	return append(b, byte(n), 0x0b)
}

func TestSegmentsAreWrittenAsTheyWere(t *testing.T) {
	for seed := range uint64(50) {
		r := rand.New(rand.NewPCG(seed, 0))
		m := &rewrite.Module{Memories: []rewrite.Limits{{Min: 16}}}
		at, n := 0, 2000
		for range n {
			at += r.IntN(40)
			switch r.IntN(200) {
			case 0: // over what is there already
				at = max(0, at-r.IntN(100))
			case 1: // far away
				at = r.IntN(900_000)
			}
			d := rewrite.Data{Passive: r.IntN(200) == 0, Bytes: make([]byte, r.IntN(20))}
			if !d.Passive {
				d.Offset = constant(at)
			}
			for i := range d.Bytes {
				d.Bytes[i] = byte(r.Uint32())
			}
			m.Data = append(m.Data, d)
			at += len(d.Bytes)
		}
		want := content(instantiate(t, m.Encode()))
		mod := snapshot(t, m)
		if len(m.Data) > n/2 {
			t.Errorf("%d segments are left of %d", len(m.Data), n)
		}
		if b := content(mod); !bytes.Equal(b, make([]byte, len(b))) {
			t.Fatal("something is written when it is instantiated")
		}
		for k := 0; k == 0 || mod.ExportedFunction(rewrite.DataExport+strconv.Itoa(k)) != nil; k++ {
			if err := callExport(t, mod, rewrite.DataExport+strconv.Itoa(k)); err != nil {
				t.Fatal(err)
			}
		}
		if !bytes.Equal(content(mod), want) {
			t.Fatalf("seed %d: the memory is not what it was", seed)
		}
	}
}

func TestSegmentsThatDoNotFitTrap(t *testing.T) {
	for _, at := range []int{65535, 65536, 70_000} {
		mod := snapshot(t, &rewrite.Module{
			Memories: []rewrite.Limits{{Min: 1}},
			Data:     []rewrite.Data{{Offset: constant(65530), Bytes: make([]byte, 3)}, {Offset: constant(at), Bytes: make([]byte, 2)}},
		})
		if err := callExport(t, mod, rewrite.DataExport+"0"); err == nil || !strings.Contains(err.Error(), "out of bounds") {
			t.Errorf("at %d: %v", at, err)
		}
	}
}

// TestAnActiveSegmentIsDropped has code that copies from one that it also names:
// the standard says that it is empty by then.
func TestAnActiveSegmentIsDropped(t *testing.T) {
	count := uint32(2)
	init := func(segment, n byte) []byte {
		return []byte{0, 0x41, 0, 0x41, 0, 0x41, n, 0xfc, 8, segment, 0, 0x0b}
	}
	mod := snapshot(t, &rewrite.Module{
		Types: [][]byte{{0x60, 0, 0}}, Funcs: []uint32{0, 0, 0}, Memories: []rewrite.Limits{{Min: 1}},
		Exports:   []rewrite.Export{{Name: "none", Index: 0}, {Name: "one", Index: 1}, {Name: "passive", Index: 2}},
		DataCount: &count,
		Code:      [][]byte{init(0, 0), init(0, 1), init(1, 1)},
		Data:      []rewrite.Data{{Offset: constant(9), Bytes: []byte("active")}, {Passive: true, Bytes: []byte("passive")}},
	})
	for export, want := range map[string]bool{rewrite.DataExport + "0": true, "none": true, "one": false, "passive": true} {
		if err := callExport(t, mod, export); (err == nil) != want {
			t.Errorf("%s: %v", export, err)
		}
	}
	if b := content(mod); string(b[9:15]) != "active" || b[0] != 'p' {
		t.Errorf("memory %q", b[:20])
	}
}

func TestReservedNamesAreRefused(t *testing.T) {
	m := &rewrite.Module{
		Types: [][]byte{{0x60, 0, 0}}, Funcs: []uint32{0}, Code: [][]byte{{0, 0x0b}},
		Exports: []rewrite.Export{{Name: "run"}, {Name: rewrite.GlobalExport + "7"}},
	}
	if err := rewrite.Snapshot(m); !errors.Is(err, rewrite.ErrReserved) {
		t.Errorf("error %v", err)
	}
}

// TestWhatAProgramTakes has functions of many names call each other.
func TestWhatAProgramTakes(t *testing.T) {
	sources := []string{"time.now", "runtime.rand", "runtime.cheaprandn"}
	tests := []struct {
		caller string
		calls  int
		want   uint64
	}{
		{"runtime.gcMarkTermination", 0, 0},
		{"time.Now", 0, rewrite.TakenTime},
		{"main.init", 0, rewrite.TakenTime},
		{"internal_runtime_maps.rand", 1, 0},
		{"main.makesASmallMap", 1, 0},
		{"math_rand.__runtimeSource_.Int63", 1, rewrite.TakenRandom},
		{"math_rand_v2.runtimeSource.Uint64", 1, rewrite.TakenRandom},
		{"hash_maphash.MakeSeed", 1, rewrite.TakenRandom},
		{"runtime.fastrand64", 1, rewrite.TakenRandom},
		{"runtime.selectgo", 2, 0},
		{"example.com_fast.Rand", 2, rewrite.TakenRandom},
	}
	m := &rewrite.Module{Types: [][]byte{{0x60, 0, 0}}}
	var names [][]byte
	add := func(name string, code ...byte) {
		names = append(names, append([]byte{byte(len(m.Funcs)), byte(len(name))}, name...))
		m.Exports = append(m.Exports, rewrite.Export{Name: name, Index: uint32(len(m.Funcs))})
		m.Funcs, m.Code = append(m.Funcs, 0), append(m.Code, append(append([]byte{0}, code...), 0x0b))
	}
	for _, name := range sources {
		add(name)
	}
	for _, tt := range tests {
		add(tt.caller, 0x10, byte(tt.calls))
	}
	list := append([]byte{byte(len(names))}, bytes.Join(names, nil)...)
	size := len(list)
	m.Customs = []rewrite.Custom{{Name: "name", Bytes: append([]byte{1, byte(size) | 0x80, byte(size >> 7)}, list...)}}
	wasm := m.Encode()
	for _, tt := range tests {
		m, err := rewrite.Parse(wasm)
		if err != nil {
			t.Fatal(err)
		}
		mod := snapshot(t, m)
		if err := callExport(t, mod, tt.caller); err != nil {
			t.Fatal(err)
		}
		if got := mod.ExportedGlobal(rewrite.TakenExport).Get(); got != tt.want {
			t.Errorf("%s, which calls %s, takes %d, want %d", tt.caller, sources[tt.calls], got, tt.want)
		}
	}
	m.Customs = nil
	if mod := snapshot(t, m); mod.ExportedGlobal(rewrite.TakenExport) != nil {
		t.Error("it is told without names")
	}
}

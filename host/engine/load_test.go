package engine_test

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tetratelabs/wazero/api"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/engine"
)

func TestLoadSaysWhatIsWrongWithAPlugin(t *testing.T) {
	reply := i64Const(1024 << 32)
	good := fast(reply)
	without := func(name string) guest {
		g := good.with(name, fn{})
		delete(g.exports, name)
		return g
	}
	tests := []struct {
		name string
		wasm []byte
		want string
	}{
		{"nothing at all", nil, "not a WebAssembly module"},
		{"not Wasm", []byte("<!doctype html>"), "not a WebAssembly module"},
		{"a component", []byte("\x00asm\x0d\x00\x01\x00"), "component"},
		{"cut off", good.wasm()[:30], "malformed"},
		{"nonsense behind the header", append([]byte("\x00asm\x01\x00\x00\x00"), 1, 2, 9, 9), "section"},
		{"more memory than allowed", guest{pages: 1000, exports: map[string]fn{"f": {nil, nil, code()}}}.wasm(), "over limit"},
		{"another ABI version", good.with(abi.ExportVersion, fn{nil, types(1, i32), code(opI32Const, abi.Version+1)}).wasm(),
			"plugin was built for ABI version 2, this host has version 1"},
		{"edge_call without edge_alloc", without(abi.ExportAlloc).wasm(), "not edge_alloc"},
		{"edge_call without edge_abi_version", without(abi.ExportVersion).wasm(), "not edge_abi_version"},
		{"edge_call of another type", good.with(abi.ExportCall, fn{nil, nil, code()}).wasm(),
			"export edge_call is () → (): want (i32) → (i64)"},
		{"no memory", func() guest { g := good; g.hidden = true; return g }().wasm(), `not its memory, as "memory"`},
		{"an export of the host's", good.with("edgeset:data0", fn{nil, nil, code()}).wasm(), "which only the host uses"},
		{"imports that are not there", guest{
			imports: []imported{{"env", "b", nil, nil}, {"env", "a", types(1, i32), nil}},
			exports: map[string]fn{"f": {nil, nil, code()}},
		}.wasm(), "imports that this host does not have: env.a, env.b"},
		{"import of another type", guest{
			imports: []imported{{"wasi_snapshot_preview1", "proc_exit", types(1, i64), nil}},
			exports: map[string]fn{"f": {nil, nil, code()}},
		}.wasm(), "wasi_snapshot_preview1.proc_exit as (i64) → () (this host has (i32) → ())"},
		{"_initialize traps", good.with("_initialize", fn{nil, nil, code(opUnreachable)}).wasm(), "_initialize: unreachable"},
		{"_initialize of another type", good.with("_initialize", fn{types(1, i32), nil, code()}).wasm(), "_initialize is (i32) → ()"},
		{"start function traps", guest{start: "s", exports: map[string]fn{"s": {nil, nil, code(opUnreachable)}}}.wasm(), "unreachable"},
		{"recursion without end", func() guest {
			g := guest{start: "s", exports: map[string]fn{"s": {nil, nil, code(opCall, 0)}}}
			return g
		}().wasm(), "stack overflow"},
		{"a table of gigabytes", guest{tables: []byte{1, 0x70, 0, 0xff, 0xff, 0xff, 0x3f}, exports: map[string]fn{"f": {nil, nil, code()}}}.wasm(),
			"table of 134217727 entries"},
		{"a thousand tables", guest{tables: append([]byte{0xe8, 0x07}, slices.Repeat([]byte{0x70, 0, 0}, 1000)...), exports: map[string]fn{"f": {nil, nil, code()}}}.wasm(),
			"1000 tables"},
	}
	e := newEngine(t, engine.Config{})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v, err := load(e, engine.Options{MemoryLimit: 8 << 20}, tt.wasm)
			if err == nil {
				t.Fatalf("loaded: %v", v.Digest())
			}
			var le *engine.LoadError
			if !errors.As(err, &le) || le.Plugin != "guest" {
				t.Errorf("%T, want a LoadError of the plugin", err)
			}
			if !strings.Contains(err.Error(), tt.want) {
				t.Errorf("error %q, want %q in it", err, tt.want)
			}
		})
	}
}

func TestTablesDoNotGrowBeyondTheirLimit(t *testing.T) {
	const opTableGrow0, opTableGrow1 = 0xfc, 0x0f
	const opRefNull, funcref = 0xd0, 0x70
	grow := func(n int64) []byte {
		return append(append([]byte{opRefNull, funcref}, i32Const(n)...), opTableGrow0, opTableGrow1, 0, opEnd)
	}
	v := loadGuest(t, newEngine(t, engine.Config{}), engine.Options{}, guest{
		tables: []byte{1, funcref, 0, 5},
		exports: map[string]fn{
			"little": {nil, types(1, i32), grow(10)},
			"much":   {nil, types(1, i32), grow(1 << 27)},
		},
	}.wasm())
	for export, want := range map[string]int32{"little": 5, "much": -1} {
		if got, _, err := v.Invoke(t.Context(), nil, export); err != nil || got != want {
			t.Errorf("%s: %d, %v: want %d", export, got, err, want)
		}
	}
}

func TestOptionsThatMakeNoSenseAreRefused(t *testing.T) {
	e := newEngine(t, engine.Config{})
	for _, o := range []engine.Options{
		{MemoryLimit: 1}, {MemoryLimit: 4 << 30}, {Instances: -1}, {Waiting: -1}, {MaxWait: -1}, {MaxUses: -1}, {MaxAge: -1},
	} {
		if _, err := load(e, o, fast(i64Const(0)).wasm()); err == nil {
			t.Errorf("%+v: want an error", o)
		}
	}
}

func TestTheCacheMustNotBeWritableByOthers(t *testing.T) {
	dir := filepath.Join(t.TempDir(), "a", "cache")
	newEngine(t, engine.Config{CacheDir: dir})
	info, err := os.Stat(dir)
	if err != nil || info.Mode().Perm() != 0o700 {
		t.Fatalf("made as %v, %v: want mode 0700", info.Mode(), err)
	}
	for _, mode := range []os.FileMode{0o720, 0o702, 0o777} {
		if err := os.Chmod(dir, mode); err != nil {
			t.Fatal(err)
		}
		if _, err := engine.New(engine.Config{CacheDir: dir}); err == nil || !strings.Contains(err.Error(), "chmod 0700") {
			t.Errorf("mode %o: error %v: want it refused", mode, err)
		}
	}
}

func TestConcurrentLoadsOfOnePlugin(t *testing.T) {
	e := newEngine(t, engine.Config{})
	wasm := fast(i64Const(1024 << 32)).wasm()
	var wg sync.WaitGroup
	for range 16 {
		wg.Go(func() {
			v, err := load(e, engine.Options{}, wasm)
			if err != nil {
				t.Error(err)
				return
			}
			if _, _, err := v.Call(t.Context(), nil, []byte("x"), nil); err != nil {
				t.Error(err)
			}
			// Closing one must not take the code from the others.
			if err := v.Close(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
}

func TestWithoutADirectoryTheCacheIsInMemory(t *testing.T) {
	e, err := engine.New(engine.Config{})
	if err != nil {
		t.Fatal(err)
	}
	v := loadGuest(t, e, engine.Options{}, fast(i64Const(1024<<32)).wasm())
	if _, _, err := v.Call(t.Context(), nil, nil, nil); err != nil {
		t.Error(err)
	}
	if err := e.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

func TestAClosedEngineLoadsNothing(t *testing.T) {
	e := newEngine(t, engine.Config{})
	if err := e.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, err := load(e, engine.Options{}, fast(i64Const(0)).wasm()); !errors.Is(err, engine.ErrClosed) {
		t.Fatalf("error %v, want ErrClosed", err)
	}
}

func TestInitHasItsState(t *testing.T) {
	var got []any
	h := host{name: "t", funcs: []hostFunc{{name: "f", fn: func(ctx context.Context, _ api.Module, _ []uint64) {
		got = append(got, engine.State(ctx))
	}}}}
	wasm := guest{
		imports: []imported{{"t", "f", nil, nil}},
		exports: map[string]fn{"_initialize": {nil, nil, code(opCall, 0)}, "run": {nil, nil, code(opCall, 0)}},
	}.wasm()
	v := loadGuest(t, newEngine(t, engine.Config{}), engine.Options{Init: "init"}, wasm, h)
	w := loadGuest(t, newEngine(t, engine.Config{}), engine.Options{Init: func() any { return "made" }}, wasm, h)
	for _, v := range []*engine.Version{v, w} {
		if _, _, err := v.Invoke(t.Context(), "call", "run"); err != nil {
			t.Fatal(err)
		}
	}
	if want := []any{"init", "made", "call", "call"}; !slices.Equal(got, want) {
		t.Fatalf("states %v, want %v", got, want)
	}
}

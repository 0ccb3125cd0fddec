package rewrite_test

import (
	"bytes"
	"errors"
	"runtime"
	"strings"
	"testing"

	"github.com/edgeset/edgeset/host/rewrite"
)

// TestWhatIsNotThereCannotBeNamed uses the number behind the last of everything:
// the one that passes give to what they add.
func TestWhatIsNotThereCannotBeNamed(t *testing.T) {
	in := func(c code) func(*builder) code { return func(*builder) code { return c } }
	// n is the number: 0 is there, 1 is not.
	uses := func(n byte) map[string]func(*builder) code {
		return map[string]func(*builder) code{
			"local.get":       in(code{0x20, n, 0x1a}),
			"local.set":       in(code{0x41, 0, 0x21, n}),
			"local.tee":       in(code{0x41, 0, 0x22, n, 0x1a}),
			"global.get":      in(code{0x23, n, 0x1a}),
			"global.set":      in(code{0x41, 0, 0x24, n}),
			"call":            in(code{0x10, n}),
			"call_indirect":   in(code{0x41, 0, 0x11, n, 0}),
			"br":              in(code{0x0c, n}),
			"br_if":           in(code{0x41, 0, 0x0d, n}),
			"br_table":        in(code{0x41, 0, 0x0e, 1, n, 0}),
			"br_table's last": in(code{0x41, 0, 0x0e, 1, 0, n}),
			"block":           in(code{0x02, n, 0x0b}),
			"loop":            in(code{0x03, n, 0x0b}),
			"if":              in(code{0x41, 0, 0x04, n, 0x0b}),
			"memory.init":     in(code{0x41, 0, 0x41, 0, 0x41, 0, 0xfc, 8, n, 0}),
			"data.drop":       in(code{0xfc, 9, n}),
			"ref.func":        in(code{0xd2, n, 0x1a}),
			"function type":   func(b *builder) code { b.fn(uint32(n), nil, nil); return nil },
			"function export": func(b *builder) code { b.export("f", asFunc, uint32(n)); return nil },
			"global export":   func(b *builder) code { b.export("g", asGlobal, uint32(n)); return nil },
			"start":           func(b *builder) code { b.start = []byte{n}; return nil },
			"element":         func(b *builder) code { b.elements = append(b.elements, []byte{1, 0, 1, n}); return nil },
			"element expression": func(b *builder) code {
				b.elements = append(b.elements, []byte{5, ref, 1, 0xd2, n, 0x0b})
				return nil
			},
		}
	}
	for n := range byte(2) {
		for name, change := range uses(n) {
			var b builder
			b.typ(nil, nil)
			b.global(i32, "")
			b.memories = [][]byte{{0, 1}}
			b.tables = [][]byte{{ref, 0, 1}}
			b.elements = [][]byte{{1, 0, 1, 0}}
			b.data = [][]byte{{1, 0}}
			b.fn(0, []byte{i32}, change(&b))
			_, err := rewrite.Parse(b.encode())
			if n == 0 && err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if n == 1 && !errors.Is(err, rewrite.ErrMalformed) {
				t.Errorf("%s: what is not there is taken: %v", name, err)
			}
		}
	}
}

// TestGlobalsInConstantsAreFixedImports tries those that are something else: a
// pass may compute a constant after they have changed.
func TestGlobalsInConstantsAreFixedImports(t *testing.T) {
	for _, test := range []struct {
		mutable, index byte
		ok             bool
	}{{0, 0, true}, {1, 0, false}, {0, 1, false}} {
		var b builder
		var imported code
		imported.name("env")
		imported.name("base")
		imported.op(asGlobal, i32, test.mutable)
		b.imports = [][]byte{imported}
		b.globals = [][]byte{{i32, 0, 0x41, 0, 0x0b}}
		b.memories = [][]byte{{0, 1}}
		b.data = [][]byte{{0, 0x23, test.index, 0x0b, 1, 'x'}}
		if _, err := rewrite.Parse(b.encode()); (err == nil) != test.ok {
			t.Errorf("%+v: %v", test, err)
		}
	}
}

// TestHalfAModuleIsNone cuts a module off everywhere, and changes each byte.
func TestHalfAModuleIsNone(t *testing.T) {
	wasm, _ := randomModule(&dice{data: randomBytes(7, 1500)})
	for n := range wasm {
		// A section may end there, but never in the midst of the code.
		if m, err := rewrite.Parse(wasm[:n]); err == nil && len(m.Code) > 0 && len(m.Data) > 0 {
			t.Fatalf("%d of %d bytes are a module", n, len(wasm))
		}
	}
	for i := range wasm {
		for _, flip := range []byte{0x01, 0x40, 0x80, 0xff} {
			changed := append([]byte(nil), wasm...)
			changed[i] ^= flip
			// It may be another module, but never one that nobody has thought of.
			if _, err := asPlugin(changed); err != nil && strings.HasPrefix(err.Error(), "rewriting failed") {
				t.Fatalf("byte %d changed by %#x: %v", i, flip, err)
			}
		}
	}
}

// TestHostileCounts has modules say that they have more than they have.
func TestHostileCounts(t *testing.T) {
	const size = 1 << 20
	for id := byte(1); id <= 12; id++ {
		section := make(code, 0, size+20)
		section.u32(size)
		section = append(section, bytes.Repeat([]byte{0xff}, size)...)
		wasm := code("\x00asm\x01\x00\x00\x00")
		wasm.with(id, uint32(len(section)))
		wasm.op(section...)
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		_, err := rewrite.Parse(wasm)
		runtime.ReadMemStats(&after)
		if err == nil {
			t.Errorf("section %d is taken", id)
		}
		if took := after.TotalAlloc - before.TotalAlloc; took > 2*size {
			t.Errorf("section %d of %d bytes took %d bytes to read", id, size, took)
		}
	}
}

// TestLocalsByTheThousand has a few bytes ask for more locals than a compiler
// should make room for.
func TestLocalsByTheThousand(t *testing.T) {
	declare := func(functions, locals int) error {
		var b builder
		typ := b.typ(nil, nil)
		for range functions {
			b.funcs = append(b.funcs, typ)
			body := code{1}
			body.u32(uint32(locals))
			body.op(i32, 0x0b)
			b.bodies = append(b.bodies, body)
		}
		_, err := rewrite.Parse(b.encode())
		return err
	}
	if err := declare(10, 50_000); err != nil {
		t.Error(err)
	}
	if err := declare(1, 50_001); !errors.Is(err, rewrite.ErrMalformed) {
		t.Errorf("50,001 locals: %v", err)
	}
	if err := declare(1000, 50_000); !errors.Is(err, rewrite.ErrMalformed) {
		t.Errorf("1,000 functions with 50,000 locals: %v", err)
	}
}

// TestNumbersNeedNotBeShort has the count of groups of locals in more bytes than
// it takes.
func TestNumbersNeedNotBeShort(t *testing.T) {
	w := fueled(t, 0)
	var b builder
	typ := b.typ([]byte{i32}, []byte{i32})
	b.funcs = []uint32{typ}
	body := code{0x82, 0x80, 0x00, 1, i64, 1, i32}
	body.op(loop(code{0x20, 2, 0x41, 3, 0x6a, 0x21, 2}, false)...)
	body.op(0x20, 2, 0x0b)
	b.bodies = [][]byte{body}
	b.export("f", asFunc, 0)
	mod, err := w.instantiate(b.encode(), "")
	if err != nil {
		t.Fatal(err)
	}
	if got, err := mod.ExportedFunction("f").Call(w.ctx, 5); err != nil || got[0] != 15 {
		t.Errorf("got %v, %v", got, err)
	}
}

// TestNumbersOutOfRange has numbers with more bits than they may have, and a
// type of a block that takes two bytes for no block type at all.
func TestNumbersOutOfRange(t *testing.T) {
	for name, body := range map[string]code{
		"i32.const":  {0x41, 0xff, 0xff, 0xff, 0xff, 0x0f, 0x1a},
		"i64.const":  {0x42, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x01, 0x1a},
		"too long":   {0x41, 0x80, 0x80, 0x80, 0x80, 0x80, 0x00, 0x1a},
		"local.get":  {0x20, 0x80, 0x80, 0x80, 0x80, 0x10, 0x1a},
		"block type": {0x02, 0xc0, 0x7f, 0x0b},
	} {
		var b builder
		b.fn(b.typ(nil, nil), []byte{i32}, body)
		if _, err := rewrite.Parse(b.encode()); !errors.Is(err, rewrite.ErrMalformed) {
			t.Errorf("%s: the error is %v", name, err)
		}
	}
	for name, body := range map[string]code{
		"i32.const": {0x41, 0x80, 0x80, 0x80, 0x80, 0x78, 0x1a},
		"i64.const": {0x42, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x80, 0x7f, 0x1a},
		"local.get": {0x20, 0x80, 0x80, 0x80, 0x80, 0x00, 0x1a},
		"block":     {0x02, 0x40, 0x0b},
	} {
		var b builder
		b.fn(b.typ(nil, nil), []byte{i32}, body)
		if _, err := rewrite.Parse(b.encode()); err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestOpcodesOfVectorsAreShort has an opcode in more bytes than it takes. Of
// such a one, wazero reads the first byte alone: here it would see the loop that
// is said to be a part of a constant.
func TestOpcodesOfVectorsAreShort(t *testing.T) {
	hidden := code{0x0b, 0x03, empty, 0x0c, 0, 0x0b, 0x02, empty, 1, 1, 1, 1, 1, 1, 1, 1}
	body := code{0x02, empty, 0x41, 0, 0x0d, 0, 0xfd, 0x8c, 0x00}
	body.op(hidden...)
	body.op(0x1a, 0x0b)
	var b builder
	b.fn(b.typ(nil, nil), nil, body)
	if _, err := rewrite.Parse(b.encode()); !errors.Is(err, rewrite.ErrMalformed) {
		t.Errorf("the error is %v", err)
	}
}

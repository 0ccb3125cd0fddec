package engine_test

import (
	"bytes"
	"context"
	"encoding/binary"
	"encoding/json"
	"errors"
	"hash/crc32"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/edgeset/edgeset/host/engine"
)

// A cache is a folder of compiled code that engines share, and what they compiled
// into it.
type cache struct {
	t        *testing.T
	dir      string
	compiled atomic.Int32
}

func newCache(t *testing.T) *cache {
	dir := t.TempDir()
	if err := os.Chmod(dir, 0o700); err != nil {
		t.Fatal(err)
	}
	return &cache{t: t, dir: dir}
}

// engine returns a new engine, as the next process would have it. What is not in
// the cache is compiled by another one.
func (c *cache) engine() *engine.Engine {
	return newEngine(c.t, engine.Config{CacheDir: c.dir, Compiler: func(ctx context.Context, dir string, wasm []byte) error {
		c.compiled.Add(1)
		_, err := newEngine(c.t, engine.Config{CacheDir: dir, Workers: 4}).Compile(ctx, "guest", wasm)
		return err
	}})
}

// call loads a guest in a new engine and wants it to answer.
func (c *cache) call(wasm []byte, want string) {
	c.t.Helper()
	v := loadGuest(c.t, c.engine(), engine.Options{}, wasm)
	if got, _, err := v.Call(c.t.Context(), nil, []byte(want), nil); err != nil || string(got) != want {
		c.t.Fatalf("answered %q, %v; want %q", got, err, want)
	}
}

// wantCompiled wants so many to have been compiled since it was last asked.
func (c *cache) wantCompiled(want int32) {
	c.t.Helper()
	if got := c.compiled.Swap(0); got != want {
		c.t.Fatalf("%d were compiled, want %d", got, want)
	}
}

// entry returns the file of the only entry, and code that of its machine code.
func (c *cache) entry() string { return c.only("*", "*.plugin") }
func (c *cache) code() string  { return c.only("*", "wazero-*", "*") }

func (c *cache) only(pattern ...string) string {
	c.t.Helper()
	files, err := filepath.Glob(filepath.Join(append([]string{c.dir}, pattern...)...))
	if err != nil || len(files) != 1 {
		c.t.Fatalf("%v: %q, %v; want one", pattern, files, err)
	}
	return files[0]
}

// echo is a guest that answers what it was sent, of up to 255 bytes. Those with
// another salt are other guests.
func echo(salt byte) []byte {
	const opI64Or, opI64ExtendU = 0x84, 0xad
	g := fast(append(i64Const(1024<<32), opLocalGet, 0, opI64ExtendU, opI64Or))
	return g.with("salt", fn{nil, types(1, i32), code(opI32Const, salt)}).wasm()
}

func TestTheCacheIsUsedByTheNextEngine(t *testing.T) {
	c := newCache(t)
	c.call(echo(1), "one")
	c.wantCompiled(1)
	files := []string{c.entry(), c.code()}
	var before []os.FileInfo
	for _, f := range files {
		info, err := os.Stat(f)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Fatalf("%v, %v; want mode 0600", info.Mode(), err)
		}
		before = append(before, info)
	}
	c.call(echo(1), "one")
	c.wantCompiled(0)
	for i, f := range files {
		if info, err := os.Stat(f); err != nil || !os.SameFile(info, before[i]) {
			t.Errorf("%s is another file: %v", f, err)
		}
	}
	c.call(echo(2), "another")
	c.wantCompiled(1)
}

// A guest whose functions differ from another's in nothing but what they do has
// code of its own.
func TestGuestsThatLookAlikeAreNotMixedUp(t *testing.T) {
	c := newCache(t)
	first := fast(i64Const(1024<<32 | 1)).wasm()
	second := fast(i64Const(1024<<32 | 2)).wasm()
	for range 2 {
		e := c.engine()
		v, w := loadGuest(t, e, engine.Options{}, first), loadGuest(t, e, engine.Options{}, second)
		for v, want := range map[*engine.Version]string{v: "a", w: "ab"} {
			if got, _, err := v.Call(t.Context(), nil, []byte("abc"), nil); err != nil || string(got) != want {
				t.Errorf("answered %q, %v; want %q", got, err, want)
			}
		}
	}
	c.wantCompiled(2)
}

func TestWhatIsDamagedInTheCacheIsCompiledAgain(t *testing.T) {
	flip := func(at func(size int) int) func([]byte) []byte {
		return func(b []byte) []byte { b[at(len(b))] ^= 0x10; return b }
	}
	for name, damage := range map[string]func([]byte) []byte{
		"emptied":            func([]byte) []byte { return nil },
		"cut to a byte":      func(b []byte) []byte { return b[:1] },
		"cut in half":        func(b []byte) []byte { return b[:len(b)/2] },
		"cut by a byte":      func(b []byte) []byte { return b[:len(b)-1] },
		"longer":             func(b []byte) []byte { return append(b, 0) },
		"zeros":              func(b []byte) []byte { clear(b); return b },
		"a bit at the start": flip(func(int) int { return 0 }),
		"a bit at the 30th":  flip(func(int) int { return 30 }), // of the machine code: where functions begin
		"a bit in the midst": flip(func(n int) int { return n / 2 }),
		"a bit at the end":   flip(func(n int) int { return n - 1 }),
	} {
		t.Run(name, func(t *testing.T) {
			c := newCache(t)
			c.call(echo(1), "whole")
			c.wantCompiled(1)
			for _, file := range []string{c.entry(), c.code()} {
				b, err := os.ReadFile(file)
				if err != nil {
					t.Fatal(err)
				}
				if err := os.WriteFile(file, damage(b), 0o600); err != nil {
					t.Fatal(err)
				}
				c.call(echo(1), "healed")
				c.wantCompiled(1)
				c.call(echo(1), "whole")
				c.wantCompiled(0)
			}
		})
	}
}

func TestWhatIsDeletedFromTheCacheIsCompiledAgain(t *testing.T) {
	c := newCache(t)
	c.call(echo(1), "whole")
	c.wantCompiled(1)
	for _, file := range []string{c.entry(), c.code()} {
		if err := os.Remove(file); err != nil {
			t.Fatal(err)
		}
		c.call(echo(1), "healed")
		c.wantCompiled(1)
	}
}

// wazero looks for code of another CPU under another name.
func TestCodeUnderAnotherNameIsNotRun(t *testing.T) {
	c := newCache(t)
	c.call(echo(1), "whole")
	c.wantCompiled(1)
	c.edit(func(e map[string]any) {
		moved := c.code() + "0"
		if err := os.Rename(c.code(), moved); err != nil {
			t.Fatal(err)
		}
		e["code"] = e["code"].(string) + "0"
	})
	c.call(echo(1), "healed")
	c.wantCompiled(1)
	c.call(echo(1), "whole")
	c.wantCompiled(0)
}

func TestAnEntryIsOfOnePluginOnly(t *testing.T) {
	c := newCache(t)
	c.call(echo(1), "one")
	first := c.entry()
	other, err := c.engine().Compile(t.Context(), "guest", echo(2))
	if err != nil {
		t.Fatal(err)
	}
	if err := os.Rename(filepath.Join(filepath.Dir(first), other.Digest+".plugin"), first); err != nil {
		t.Fatal(err)
	}
	c.wantCompiled(2)
	c.call(echo(1), "one")
	c.wantCompiled(1)
}

func TestAnEntryDoesNotPointOutOfTheCache(t *testing.T) {
	c := newCache(t)
	c.call(echo(1), "one")
	c.wantCompiled(1)
	c.edit(func(e map[string]any) {
		e["code"] = "../" + filepath.Base(filepath.Dir(c.entry())) + "/" + e["code"].(string)
	})
	c.call(echo(1), "one")
	c.wantCompiled(1)
}

// edit changes the first line of the entry, and puts the checksum right.
func (c *cache) edit(change func(map[string]any)) {
	c.t.Helper()
	file := c.entry()
	b, err := os.ReadFile(file)
	if err != nil {
		c.t.Fatal(err)
	}
	line, outline, _ := bytes.Cut(b[:len(b)-4], []byte("\n"))
	var e map[string]any
	if err := json.Unmarshal(line, &e); err != nil {
		c.t.Fatal(err)
	}
	change(e)
	if line, err = json.Marshal(e); err != nil {
		c.t.Fatal(err)
	}
	b = append(append(line, '\n'), outline...)
	b = binary.LittleEndian.AppendUint32(b, crc32.Checksum(b, crc32.MakeTable(crc32.Castagnoli)))
	if err := os.WriteFile(file, b, 0o600); err != nil {
		c.t.Fatal(err)
	}
}

func TestCompileFillsTheCache(t *testing.T) {
	c := newCache(t)
	for _, want := range []bool{false, true} {
		got, err := c.engine().Compile(t.Context(), "guest", echo(1))
		if err != nil {
			t.Fatal(err)
		}
		info, err := os.Stat(c.code())
		if err != nil {
			t.Fatal(err)
		}
		if got.Cached != want || got.Size != info.Size() || got.Digest+".plugin" != filepath.Base(c.entry()) {
			t.Errorf("got %+v; want cached %v, size %d, digest %s", got, want, info.Size(), c.entry())
		}
	}
	c.wantCompiled(1)
	c.call(echo(1), "there")
	c.wantCompiled(0)
}

func TestCompileSaysWhatIsWrong(t *testing.T) {
	c := newCache(t)
	for name, f := range map[string]struct {
		engine *engine.Engine
		wasm   []byte
		want   string
	}{
		"no Wasm":    {c.engine(), []byte("text"), `load plugin "it": `},
		"no cache":   {newEngine(t, engine.Config{}), echo(1), "the engine has no cache"},
		"in process": {newEngine(t, engine.Config{CacheDir: c.dir}), []byte("\x00asm\x01\x00\x00\x00\x0a"), "malformed"},
		"a compiler that does nothing": {newEngine(t, engine.Config{CacheDir: c.dir, Compiler: func(context.Context, string, []byte) error {
			return nil
		}}), echo(1), "what was just compiled cannot be read"},
		"a compiler that fails": {newEngine(t, engine.Config{CacheDir: c.dir, Compiler: func(context.Context, string, []byte) error {
			return errors.New("out of paper")
		}}), echo(1), "out of paper"},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := f.engine.Compile(t.Context(), "it", f.wasm)
			var le *engine.LoadError
			if !errors.As(err, &le) || le.Plugin != "it" || !strings.Contains(err.Error(), f.want) {
				t.Errorf("got %v, want a LoadError with %s", err, f.want)
			}
		})
	}
	// Nothing is left of what did not come to its end.
	if files, err := filepath.Glob(filepath.Join(c.dir, "*", "next-*")); err != nil || len(files) > 0 {
		t.Errorf("left behind: %q, %v", files, err)
	}
}

func TestProcessesFillOneCacheAtTheSameTime(t *testing.T) {
	c := newCache(t)
	var wg sync.WaitGroup
	for i := range 12 {
		wg.Go(func() {
			v, err := load(newEngine(t, engine.Config{CacheDir: c.dir, Workers: 1 + i%2}), engine.Options{}, echo(byte(i%3)))
			if err != nil {
				t.Error(err)
				return
			}
			if got, _, err := v.Call(t.Context(), nil, []byte("x"), nil); err != nil || string(got) != "x" {
				t.Errorf("%q, %v", got, err)
			}
		})
	}
	wg.Wait()
}

func TestATrapOfACachedPluginHasItsStack(t *testing.T) {
	var stacks []string
	for range 2 {
		v := loadHello(t, goEngine(t), engine.Options{})
		_, _, err := v.Call(t.Context(), nil, []byte("no frame"), nil)
		var trap *engine.TrapError
		if !errors.As(err, &trap) {
			t.Fatalf("%v: want a trap", err)
		}
		stacks = append(stacks, trap.Stack)
	}
	if stacks[0] != stacks[1] || !strings.Contains(stacks[0], "main.") && !strings.Contains(stacks[0], "runtime.") {
		t.Errorf("stacks %q", stacks)
	}
}

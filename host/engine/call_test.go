package engine_test

import (
	"bytes"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tetratelabs/wazero/api"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/engine"
	native "github.com/edgeset/edgeset/host/extism"
	"github.com/edgeset/edgeset/host/wasmtest"
)

// pack is what edge_call returns.
func pack(ptr, size uint32) []byte { return i64Const(int64(uint64(ptr)<<32 | uint64(size))) }

func TestWhatAHostileGuestReturnsIsAnError(t *testing.T) {
	tests := []struct {
		name  string
		guest guest
		frame []byte
		want  string
	}{
		{"reply behind the memory", fast(pack(2<<16, 1)), nil, "outside of its memory"},
		{"reply that ends behind the memory", fast(pack(2<<16-4, 5)), nil, "outside of its memory"},
		{"pointer and length that overflow", fast(pack(1<<32-1, 1<<20)), nil, "outside of its memory"},
		{"reply that is too large", fast(pack(0, abi.MaxFrameSize+1)), nil, "at most 67108864 are taken"},
		{"trap", fast([]byte{opUnreachable}), nil, "edge_call: unreachable"},
		{"load from outside", fast(slices.Concat(i32Const(-1), []byte{opLoad8, 0, 0, opDrop}, pack(0, 0))), nil, "out of bounds memory access"},
		{"room outside of the memory", fast(pack(0, 0)).with(abi.ExportAlloc, fn{types(1, i32), types(1, i32), append(i32Const(2<<16), opEnd)}), nil,
			"edge_alloc: room at 131072 for 4096 bytes is outside"},
		{"room that reaches outside", fast(pack(0, 0)).with(abi.ExportAlloc, fn{types(1, i32), types(1, i32), append(i32Const(-4), opEnd)}), nil,
			"edge_alloc: room at 4294967292"},
		{"room too small for a large frame", fast(pack(0, 0)), make([]byte, 3<<16), "edge_alloc: room at 1024 for 262144"},
		{"allocation traps", fast(pack(0, 0)).with(abi.ExportAlloc, fn{types(1, i32), types(1, i32), code(opUnreachable)}), nil, "edge_alloc: unreachable"},
		{"recursion without end", fast([]byte{opLocalGet, 0, opCall, 2}), nil, "stack overflow"},
	}
	e := newEngine(t, engine.Config{})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			// Exports are numbered by name: edge_abi_version, edge_alloc, edge_call.
			v := loadGuest(t, e, engine.Options{}, tt.guest.wasm())
			for n := range uint64(2) {
				dst, _, err := v.Call(t.Context(), nil, tt.frame, []byte("dst"))
				var trap *engine.TrapError
				if !errors.As(err, &trap) {
					t.Fatalf("error %v, want a TrapError", err)
				}
				if !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
					t.Fatalf("error %q, want %q in it, on one line", err, tt.want)
				}
				if string(dst) != "dst" {
					t.Fatalf("dst is now %q", dst)
				}
				if s := v.Stats(); s.Traps != n+1 || s.Instances != 0 {
					t.Fatalf("stats %+v: want the instance thrown away", s)
				}
			}
		})
	}
}

func TestMemoryDoesNotGrowBeyondItsLimit(t *testing.T) {
	g := fast(pack(0, 0)).with("grow", fn{nil, types(1, i32), append(i32Const(10), opMemoryGrow, 0, opEnd)})
	v := loadGuest(t, newEngine(t, engine.Config{}), engine.Options{MemoryLimit: 32 << 16}, g.wasm())
	for _, want := range []int32{2, 12, 22, 2} {
		got, _, err := v.Invoke(t.Context(), nil, "grow")
		if err != nil || got != want {
			t.Fatalf("memory.grow: %d, %v: want %d", got, err, want)
		}
	}
	if s := v.Stats(); s.Evictions != 1 {
		t.Fatalf("stats %+v: want the full instance replaced", s)
	}
}

func TestATrapTellsWhere(t *testing.T) {
	v := loadGuest(t, newEngine(t, engine.Config{}), engine.Options{}, fast([]byte{opUnreachable}).wasm())
	_, _, err := v.Call(t.Context(), nil, nil, nil)
	var trap *engine.TrapError
	if !errors.As(err, &trap) || trap.Plugin != "guest" || trap.Export != abi.ExportCall || trap.Cause != "unreachable" {
		t.Fatalf("%+v", err)
	}
	if !strings.Contains(trap.Stack, "(i32) i64") {
		t.Errorf("stack %q, want the function in it", trap.Stack)
	}
}

var errHost = errors.New("the host said no")

func TestAPanicOfAHostFunctionIsAnError(t *testing.T) {
	tests := []struct {
		name string
		fn   api.GoModuleFunc
		want string
	}{
		{"an error", func(context.Context, api.Module, []uint64) { panic(errHost) }, "run: the host said no"},
		{"a text", func(context.Context, api.Module, []uint64) { panic("boom") }, "run: boom"},
		{"a bug", func(_ context.Context, _ api.Module, s []uint64) { _ = s[1<<40] }, "run: runtime error: index out of range"},
		{"memory that is not there", func(_ context.Context, m api.Module, _ []uint64) { m.Memory().Size() }, "nil pointer"},
	}
	e := newEngine(t, engine.Config{})
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			v := loadGuest(t, e, engine.Options{}, guest{
				imports: []imported{{"t", "f", nil, nil}},
				exports: map[string]fn{"run": {nil, nil, code(opCall, 0)}},
			}.wasm(), host{name: "t", funcs: []hostFunc{{name: "f", fn: tt.fn}}})
			_, _, err := v.Invoke(t.Context(), nil, "run")
			if err == nil || !strings.Contains(err.Error(), tt.want) || strings.Contains(err.Error(), "\n") {
				t.Fatalf("error %q, want %q in it, on one line", err, tt.want)
			}
			if tt.name == "an error" && !errors.Is(err, errHost) {
				t.Error("the error is not found by errors.Is")
			}
		})
	}
}

func TestInvokeChecksTheExport(t *testing.T) {
	v := loadGuest(t, newEngine(t, engine.Config{}), engine.Options{}, guest{exports: map[string]fn{
		"nothing":  {nil, nil, code()},
		"number":   {nil, types(1, i32), append(i32Const(-7), opEnd)},
		"wide":     {nil, types(1, i64), append(i64Const(1), opEnd)},
		"argument": {types(1, i32), nil, code()},
	}}.wasm())
	if !v.HasExport("number") || v.HasExport("none") {
		t.Error("HasExport is wrong")
	}
	for export, want := range map[string]int32{"nothing": 0, "number": -7} {
		if got, _, err := v.Invoke(t.Context(), nil, export); err != nil || got != want {
			t.Errorf("%s: %d, %v: want %d", export, got, err, want)
		}
	}
	for _, export := range []string{"none", "wide", "argument"} {
		if _, _, err := v.Invoke(t.Context(), nil, export); !errors.Is(err, engine.ErrNoExport) {
			t.Errorf("%s: %v, want ErrNoExport", export, err)
		}
	}
	if _, _, err := v.Call(t.Context(), nil, nil, nil); !errors.Is(err, engine.ErrNoExport) {
		t.Errorf("Call: %v, want ErrNoExport", err)
	}
	if s := v.Stats(); s.Traps != 0 || s.Instances != 1 {
		t.Errorf("stats %+v: want the instance kept", s)
	}
}

func TestFramesOfEverySizeArriveWhole(t *testing.T) {
	v := loadHello(t, goEngine(t), engine.Options{})
	for _, size := range []int{0, 1, 5000, 1 << 20, 100, 3 << 20} {
		name := strings.Repeat("x", size)
		reply, _, err := v.Call(t.Context(), nil, request(1, name), nil)
		if err != nil {
			t.Fatal(err)
		}
		if !bytes.Contains(reply, []byte("Hello, "+name)) {
			t.Fatalf("a name of %d bytes did not come back", size)
		}
	}
	if _, _, err := v.Call(t.Context(), nil, make([]byte, abi.MaxFrameSize+1), nil); !errors.Is(err, engine.ErrFrame) {
		t.Fatalf("error %v, want ErrFrame", err)
	}
}

func TestWhatAGoGuestDoes(t *testing.T) {
	var mu sync.Mutex
	var lines []string
	v := loadGuest(t, goEngine(t), engine.Options{
		Stderr: func(line string) { mu.Lock(); lines = append(lines, line); mu.Unlock() },
	}, wasmtest.Build(t, "host/engine/testdata/behave"))

	t.Run("a panic is logged and told", func(t *testing.T) {
		_, _, err := v.Invoke(t.Context(), nil, "panics")
		var trap *engine.TrapError
		if !errors.As(err, &trap) || trap.Said != "panic: at the disco" || !strings.HasSuffix(err.Error(), ": panic: at the disco") {
			t.Fatalf("error %v", err)
		}
		mu.Lock()
		defer mu.Unlock()
		if !slices.ContainsFunc(lines, func(l string) bool { return strings.HasPrefix(l, "goroutine ") }) {
			t.Fatalf("the stack is missing: %q", lines)
		}
	})
	t.Run("an exit is told", func(t *testing.T) {
		_, _, err := v.Invoke(t.Context(), nil, "fails")
		var trap *engine.TrapError
		if !errors.As(err, &trap) || trap.ExitCode != 3 || !strings.HasSuffix(err.Error(), "guest exited with code 3") {
			t.Fatalf("error %v", err)
		}
	})
	t.Run("a clean exit is a result, and costs the instance", func(t *testing.T) {
		before := v.Stats()
		if code, _, err := v.Invoke(t.Context(), nil, "exits"); code != 0 || err != nil {
			t.Fatalf("%d, %v", code, err)
		}
		if s := v.Stats(); s.Evictions != before.Evictions+1 || s.Traps != before.Traps {
			t.Fatalf("stats %+v after %+v", s, before)
		}
	})
	t.Run("lines are cut and bounded", func(t *testing.T) {
		lines = nil
		if _, _, err := v.Invoke(t.Context(), nil, "talks"); err != nil {
			t.Fatal(err)
		}
		total := 0
		for _, l := range lines {
			if total += len(l); len(l) > 4096 {
				t.Fatalf("line of %d bytes", len(l))
			}
		}
		if total < 60<<10 || total > 65<<10 || !strings.Contains(lines[len(lines)-1], "dropped") {
			t.Fatalf("%d bytes, at last %q", total, lines[len(lines)-1])
		}
	})
	t.Run("a sleep ends with the call", func(t *testing.T) {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		defer cancel()
		start := time.Now()
		_, _, err := v.Invoke(ctx, nil, "sleeps")
		if !errors.Is(err, context.DeadlineExceeded) || time.Since(start) > 5*time.Second {
			t.Fatalf("error %v after %v", err, time.Since(start))
		}
	})
	t.Run("random numbers and clocks are real", func(t *testing.T) {
		seen := make(map[int32]bool)
		for range 3 {
			code, _, err := v.Invoke(t.Context(), nil, "random")
			if err != nil {
				t.Fatal(err)
			}
			seen[code] = true
			_, _, _ = v.Invoke(t.Context(), nil, "panics") // so that the next is another instance
		}
		if len(seen) != 3 {
			t.Fatalf("random numbers repeat: %v", seen)
		}
		now, _, err := v.Invoke(t.Context(), nil, "now")
		if d := time.Now().Unix() - int64(now); err != nil || d < -5 || d > 5 {
			t.Fatalf("the clock is %d s wrong, %v", d, err)
		}
	})
	t.Run("there are no files, arguments and variables", func(t *testing.T) {
		if code, _, err := v.Invoke(t.Context(), nil, "looks"); code != 0 || err != nil {
			t.Fatalf("%d, %v", code, err)
		}
	})
}

func TestACallAllocatesNothing(t *testing.T) {
	e := goEngine(t)
	v := loadHello(t, e, engine.Options{})
	w := loadGuest(t, e, engine.Options{}, wasmtest.Build(t, pdkEmptyDir), native.Module())
	frame, dst := request(0), make([]byte, 0, 1<<10)
	var state extismState
	input := make([]byte, 100)
	n := testing.AllocsPerRun(500, func() {
		if _, _, err := v.Call(context.Background(), &state, frame, dst); err != nil {
			t.Fatal(err)
		}
	})
	m := testing.AllocsPerRun(500, func() {
		state.Reset(nil, input)
		if _, _, err := w.Invoke(context.Background(), &state, "echo"); err != nil {
			t.Fatal(err)
		}
	})
	if n != 0 || m != 0 {
		t.Fatalf("%v and %v allocations, want 0", n, m)
	}
}

// FuzzReply has a guest return anything as the place of its reply.
func FuzzReply(f *testing.F) {
	f.Add(uint64(0), uint32(0))
	f.Add(uint64(1024<<32|10), uint32(5000))
	f.Add(^uint64(0), uint32(1<<31))
	e := newEngine(f, engine.Config{})
	f.Fuzz(func(t *testing.T, packed uint64, room uint32) {
		g := fast(i64Const(int64(packed))).with(abi.ExportAlloc, fn{types(1, i32), types(1, i32), append(i32Const(int64(int32(room))), opEnd)})
		v := loadGuest(t, e, engine.Options{}, g.wasm())
		defer v.Close(t.Context())
		reply, _, err := v.Call(t.Context(), nil, []byte("frame"), nil)
		ptr, size := packed>>32, packed&(1<<32-1)
		fits := ptr+size <= 2<<16 && uint64(room)+4096 <= 2<<16
		if fits != (err == nil) || err == nil && uint64(len(reply)) != size {
			t.Fatalf("reply of %d bytes, %v", len(reply), err)
		}
	})
}

// FuzzLoad loads anything that is built on a module that works.
func FuzzLoad(f *testing.F) {
	f.Add(fast(i64Const(0)).wasm())
	f.Add(guest{tables: []byte{1, 0x70, 0, 5}, pages: 1, exports: map[string]fn{"f": {nil, nil, code()}}}.wasm())
	e := newEngine(f, engine.Config{})
	f.Fuzz(func(t *testing.T, wasm []byte) {
		if bytes.IndexByte(wasm, opLoop) >= 0 {
			t.Skip("may never end")
		}
		if v, err := load(e, engine.Options{MemoryLimit: 1 << 20}, wasm); err == nil {
			v.Close(t.Context())
		}
	})
}

package rewrite_test

import (
	"context"
	"testing"
	"time"

	"github.com/tetratelabs/wazero"

	"github.com/edgeset/edgeset/host/rewrite"
)

// patience is how long rewriting may take of what was made to take long. It
// takes about a second, and would take hours if it took a time that grows with
// the square of the size.
const patience = 2 * time.Minute

// goForm is a function of Go's form with n segments, each of which does what
// jumps says: the segments that it may jump to, before it falls into the next.
func goForm(n int, jumps func(i int) []int) []byte {
	var b builder
	b.custom("producers", []byte(goProducers))
	typ := b.typ([]byte{i32}, []byte{i32})
	c := code{0x02, empty, 0x03, empty}
	for range n {
		c.op(0x02, empty)
	}
	c.with(0x20, 0)
	c.with(0x0e, uint32(n))
	for i := range n {
		c.u32(uint32(i))
	}
	c.u32(uint32(n - 1))
	c.op(0x0b)
	for i := range n {
		around := uint32(n - 1 - i)
		for _, to := range jumps(i) {
			c.with(0x20, 1)
			c.op(0x04, empty)
			c.i32Const(int32(to))
			c.op(0x21, 0)
			c.with(0x0c, around+1)
			c.op(0x0b)
		}
		c.with(0x20, 1)
		c.with(0x0d, around+1) // unwind
		c.op(0x0b)
	}
	c.op(0x00, 0x0b, 0x41, 1)
	b.export("f", asFunc, b.fn(typ, []byte{i32}, c))
	return b.encode()
}

// shapes are flows of control between n segments that are deep, wide or tangled.
var shapes = map[string]func(n, i int) []int{
	"exits":    func(n, i int) []int { return []int{n - 1} },
	"restarts": func(n, i int) []int { return []int{0} },
	"loops":    func(n, i int) []int { return []int{i} },
	"nested loops": func(n, i int) []int {
		if i > n/2 {
			return []int{n - i}
		}
		return nil
	},
	"skips": func(n, i int) []int { return []int{min(i+2, n-1)} },
	"halves": func(n, i int) []int {
		return []int{min(2*i+1, n-1), min(2*i+2, n-1)}
	},
	"ladder": func(n, i int) []int {
		// Each rung can be reached from both sides, from far away.
		if i < n/2 {
			return []int{n - 1 - i}
		}
		return []int{n - 2 - i + n/2}
	},
	"tangle": func(n, i int) []int { return []int{i * 7919 % n, i * 104729 % n} },
	"back":   func(n, i int) []int { return []int{max(i-1, 0)} },
}

func TestLargeFlowsTakeNotLong(t *testing.T) {
	const most = 1 << 16
	for name, shape := range shapes {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inTime(t, goForm(most, func(i int) []int { return shape(most, i) }))
			const small = 300
			wasm := goForm(small, func(i int) []int { return shape(small, i) })
			valid(t, inTime(t, wasm))
		})
	}
}

// inTime rewrites a module, and returns what comes of it.
func inTime(t *testing.T, wasm []byte) []byte {
	t.Helper()
	type result struct {
		wasm []byte
		err  error
	}
	done := make(chan result, 1)
	go func() {
		wasm, err := asPlugin(wasm)
		done <- result{wasm, err}
	}()
	select {
	case r := <-done:
		if r.err != nil {
			t.Fatal(r.err)
		}
		return r.wasm
	case <-time.After(patience):
		t.Fatalf("%d bytes are not rewritten after %v", len(wasm), patience)
	}
	return nil
}

func valid(t *testing.T, wasm []byte) {
	t.Helper()
	ctx := context.Background()
	rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfigInterpreter())
	defer rt.Close(ctx)
	if _, err := rt.CompileModule(ctx, wasm); err != nil {
		t.Error(err)
	}
	if err := rewrite.Verify(wasm); err != nil {
		t.Error(err)
	}
}

// TestLargeModulesTakeNotLong has one thing of a kind in great numbers.
func TestLargeModulesTakeNotLong(t *testing.T) {
	const many = 100_000
	repeat := func(n int, part ...byte) (c code) {
		for range n {
			c.op(part...)
		}
		return c
	}
	function := func(body code) func() []byte {
		return func() []byte {
			var b builder
			b.memories = [][]byte{{0, 1}}
			b.fn(b.typ(nil, nil), []byte{i32}, body)
			return b.encode()
		}
	}
	table := code{0x03, empty, 0x41, 0, 0x0e}
	table.u32(10 * many)
	table.op(repeat(10*many+1, 0)...)
	table.op(0x0b)
	for name, make := range map[string]func() []byte{
		"nested blocks": function(append(repeat(many, 0x02, empty), repeat(many, 0x0b)...)),
		"nested loops":  function(append(repeat(many, 0x03, empty), repeat(many, 0x0b)...)),
		"nested calls":  function(append(repeat(many, 0x03, empty), repeat(many, 0x10, 0, 0x0b)...)),
		"loops":         function(repeat(many, 0x03, empty, 0x0b)),
		"table":         function(table),
		"loads":         function(repeat(many, 0x20, 0, 0x28, 0, 9, 0x1a)),
		"functions": func() []byte {
			var b builder
			typ := b.typ(nil, nil)
			for range many {
				b.fn(typ, nil, code{0x10, 0})
			}
			return b.encode()
		},
		"types and data": func() []byte {
			var b builder
			for i := range many {
				b.types = append(b.types, []byte{0x60, 3, i32, numbers[i%4], i32, 0})
				at := code{0}
				at.i32Const(int32(i%60_000) + 1)
				at.op(0x0b, 1, 'x')
				b.data = append(b.data, at)
			}
			b.memories = [][]byte{{0, 1}}
			return b.encode()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inTime(t, make())
		})
	}
}

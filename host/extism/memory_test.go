package extism

import (
	"bytes"
	"context"
	"errors"
	"math/rand/v2"
	"net/http"
	"slices"
	"testing"

	"github.com/edgeset/edgeset/abi"
)

func TestSizeClasses(t *testing.T) {
	lastClass, lastSize := uint8(0), 0
	for n := uint64(0); n < 1<<20; n += 1 + n/97 {
		class, size := classOf(n)
		if uint64(size) < n || n > 16 && uint64(size) > n+n/4+1 {
			t.Fatalf("%d bytes get %d", n, size)
		}
		if class < lastClass || size < lastSize || (class == lastClass) != (size == lastSize) && n > 0 {
			t.Fatalf("%d bytes: class %d of %d after class %d of %d", n, class, size, lastClass, lastSize)
		}
		lastClass, lastSize = class, size
	}
	if class, _ := classOf(1<<32 - 1); class >= classes {
		t.Fatalf("class %d of %d", class, classes)
	}
}

func newMemory(limit int) *memory {
	m := &memory{limit: limit}
	m.reset()
	return m
}

func TestBlocksDoNotOverlap(t *testing.T) {
	m := newMemory(1 << 20)
	live := make(map[uint64][]byte)
	for n := range 3_000 {
		if len(live) > 0 && rand.IntN(2) == 0 {
			for at, want := range live {
				if got, ok := m.block(at); !ok || !bytes.Equal(got, want) || m.length(at) != uint64(len(want)) {
					t.Fatalf("block at %d was changed", at)
				}
				m.release(at)
				if m.length(at) != 0 {
					t.Fatal("a freed block has a length")
				}
				delete(live, at)
				break
			}
			continue
		}
		b := bytes.Repeat([]byte{byte(n)}, 1+rand.IntN(2000))
		if at := m.put(b); at != 0 {
			if live[at] != nil {
				t.Fatalf("block at %d was given out twice", at)
			}
			live[at] = b
		}
	}
	if len(m.buf) > m.limit {
		t.Fatalf("%d bytes, limit %d", len(m.buf), m.limit)
	}
}

func TestAllocationsAreBounded(t *testing.T) {
	m := newMemory(10_000)
	for _, n := range []uint64{0, 10_001, 1 << 32, 1 << 63, 1<<64 - 1} {
		if at := m.alloc(n); at != 0 {
			t.Errorf("alloc(%d) = %d, want 0", n, at)
		}
	}
	total := 0
	for m.alloc(100) != 0 {
		total += 100
	}
	if total < 8000 || len(m.buf) > 10_000 {
		t.Errorf("%d bytes given out, %d taken", total, len(m.buf))
	}
	m = newMemory(1 << 30)
	blocks := 0
	for m.alloc(1) != 0 {
		blocks++
	}
	if blocks != maxBlocks {
		t.Errorf("%d blocks", blocks)
	}
}

func TestResetLeavesNothingBehind(t *testing.T) {
	for _, size := range []int{100, 10 << 20} {
		m := newMemory(64 << 20)
		at := m.put(bytes.Repeat([]byte("secret"), size))
		m.store8(at+uint64(size), 's')
		m.reset()
		if m.length(at) != 0 || len(m.blocks) != 0 || cap(m.buf) > keep {
			t.Fatalf("length %d, %d blocks, %d bytes kept", m.length(at), len(m.blocks), cap(m.buf))
		}
		again := m.alloc(uint64(size))
		b, _ := m.block(again)
		if !bytes.Equal(b, make([]byte, size)) {
			t.Fatal("a new call sees what the last one wrote")
		}
	}
}

type nothing struct{}

func (nothing) Config(string) (string, bool)       { return "c", true }
func (nothing) Log(abi.LogLevel, string)           {}
func (nothing) VarGet(string) ([]byte, error)      { return []byte("v"), nil }
func (nothing) VarSet(string, []byte) error        { return nil }
func (nothing) KVGet([]byte) ([]byte, bool, error) { return nil, true, nil }
func (nothing) KVPut(_, _ []byte) error            { return abi.ErrKey }
func (nothing) KVDelete([]byte) error              { return nil }
func (nothing) HTTP(*HTTPRequest) (*HTTPResponse, error) {
	return &HTTPResponse{Status: 200, Header: http.Header{"A": {"b"}}, Body: []byte("body")}, nil
}

func TestWhatMayTakeLongLooksAtTheClock(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, f := range slices.Concat(envBlocks, user) {
		func() {
			defer func() {
				if err, _ := recover().(error); !errors.Is(err, context.Canceled) {
					t.Errorf("%s: %v", f.name, err)
				}
			}()
			f.watched()(ctx, make([]uint64, 2))
		}()
	}
}

// FuzzFunctions calls the functions with any arguments in any order. They may
// refuse with an error, and with nothing else.
func FuzzFunctions(f *testing.F) {
	f.Add([]byte{0, 8, 6, 1, 24, 16}, uint64(16), uint64(100))
	f.Add([]byte{14, 15, 9, 16, 20, 21, 22, 23, 30, 31, 32}, uint64(1<<63), ^uint64(0))
	all := slices.Concat(envWords, envBlocks, user)
	f.Fuzz(func(t *testing.T, calls []byte, a, b uint64) {
		var s State
		s.Limit = 1 << 16
		s.Reset(nothing{}, []byte("the input"))
		last := a
		for n, c := range calls {
			stack := []uint64{last, b}
			if n%2 == 0 {
				stack[0], stack[1] = stack[1], stack[0]
			}
			func() {
				defer func() {
					if r := recover(); r != nil {
						if err, ok := r.(error); !ok || len(err.Error()) < 8 || err.Error()[:8] != "extism: " {
							t.Fatalf("%s%v: %v", all[int(c)%len(all)].name, stack, r)
						}
					}
				}()
				all[int(c)%len(all)].call(&s, stack)
				if stack[0] != 0 {
					last = stack[0]
				}
			}()
			if len(s.mem.buf) > 1<<16 {
				t.Fatalf("%d bytes of memory", len(s.mem.buf))
			}
		}
		_ = s.Output()
		_ = s.Error()
	})
}

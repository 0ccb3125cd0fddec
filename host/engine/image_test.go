package engine_test

import (
	"bytes"
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/edgeset/edgeset/host/engine"
	"github.com/edgeset/edgeset/host/rewrite"
	"github.com/edgeset/edgeset/host/wasmtest"
)

const stateDir = "host/engine/testdata/state"

// loadState loads the guest with something in its memory.
func loadState(t *testing.T, o engine.Options) *engine.Version {
	t.Helper()
	v := loadGuest(t, goEngine(t), o, wasmtest.Build(t, stateDir))
	if v.Warm() == o.NoSnapshot {
		t.Fatalf("the image is warm: %v", v.Warm())
	}
	return v
}

func start(t *testing.T, v *engine.Version) engine.Single {
	t.Helper()
	s, err := v.Start(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	return s
}

func invoke(t *testing.T, s engine.Single, export string) int32 {
	t.Helper()
	code, err := s.Invoke(t.Context(), nil, export)
	if err != nil {
		t.Fatalf("%s: %v", export, err)
	}
	return code
}

func TestAnInstanceHasWhatWasInitialised(t *testing.T) {
	for name, o := range map[string]engine.Options{"from a snapshot": {}, "on its own": {NoSnapshot: true}} {
		t.Run(name, func(t *testing.T) {
			v := loadState(t, o)
			for range 3 {
				s := start(t, v)
				for n := range int32(3) {
					if code := invoke(t, s, "checks"); code != 0 {
						t.Errorf("checks: %d", code)
					}
					if code := invoke(t, s, "counts"); code != n {
						t.Errorf("call %d has the count %d", n, code)
					}
				}
				if invoke(t, s, "waits") == 0 {
					t.Error("time does not pass for a goroutine that was started by init")
				}
			}
		})
	}
}

func TestInstancesDrawDifferentRandomNumbers(t *testing.T) {
	v := loadState(t, engine.Options{Isolation: engine.PerRequest})
	const instances, resets = 4, 3
	for _, export := range []string{"rand1", "rand2", "hash", "crypto", "order", "choice"} {
		seen := make(map[int32]bool)
		for range instances {
			s := start(t, v)
			for range resets {
				seen[invoke(t, s, export)] = true
				if !s.Reset() {
					t.Fatal("it cannot be reset")
				}
			}
		}
		// There are not so many orders that none could come twice.
		if got, all := len(seen), instances*resets; got < all/2 || got < all && export != "order" && export != "choice" {
			t.Errorf("%s: %d different ones of %d", export, got, all)
		}
	}
	// What a program seeds by itself is its own affair.
	a, b := start(t, v), start(t, v)
	for range 40 {
		if x, y := invoke(t, a, "seeded"), invoke(t, b, "seeded"); x != y {
			t.Fatalf("the program's own generator gives %d and %d", x, y)
		}
	}
}

// TestTheGeneratorIsStillOne draws many numbers, so that the state is refilled
// and reseeded.
func TestTheGeneratorIsStillOne(t *testing.T) {
	s := start(t, loadState(t, engine.Options{}))
	seen := make(map[int32]bool)
	const n = 1000
	for range n {
		seen[invoke(t, s, "rand2")] = true
	}
	if len(seen) < n-5 { // of 2³², two may be the same
		t.Errorf("%d different numbers of %d", len(seen), n)
	}
}

func TestWhatMustNotBeSharedIsNot(t *testing.T) {
	tests := []struct{ dir, export, reason string }{
		{"host/engine/testdata/clock", "age", "clock"},
		{"host/engine/testdata/dice", "throw", "random numbers"},
	}
	for _, tt := range tests {
		t.Run(tt.export, func(t *testing.T) {
			var log logBuffer
			e := newEngine(t, engine.Config{CacheDir: wasmtest.CacheDir(t), Logger: slog.New(slog.NewTextHandler(&log, nil))})
			v := loadGuest(t, e, engine.Options{}, wasmtest.Build(t, tt.dir))
			if v.Warm() || !strings.Contains(log.String(), tt.reason) {
				t.Fatalf("warm: %v, log %q", v.Warm(), log.String())
			}
			seen := make(map[int32]bool)
			for range 4 {
				seen[invoke(t, start(t, v), tt.export)] = true
			}
			if len(seen) != 4 {
				t.Errorf("instances give %v", seen)
			}
		})
	}
}

func TestSegmentsThatDoNotFitFailTheLoad(t *testing.T) {
	e := newEngine(t, engine.Config{})
	for at, want := range map[int64]bool{65530: true, 65531: false, 1 << 20: false} {
		m := &rewrite.Module{
			Memories: []rewrite.Limits{{Min: 1}},
			Data:     []rewrite.Data{{Offset: append(i32Const(at), opEnd), Bytes: []byte("active")}},
		}
		if _, err := load(e, engine.Options{}, m.Encode()); (err == nil) != want {
			t.Errorf("at %d: %v", at, err)
		}
	}
}

func TestInitialisingEndsWithItsContext(t *testing.T) {
	e := newEngine(t, engine.Config{})
	for _, g := range []guest{
		{exports: map[string]fn{"_initialize": {nil, nil, code(opLoop, 0x40, 0x0c, 0, opEnd)}}},
		{start: "s", exports: map[string]fn{"s": {nil, nil, code(opLoop, 0x40, 0x0c, 0, opEnd)}}},
	} {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		_, err := e.Load(ctx, g.wasm(), engine.Options{Name: "endless"})
		if cancel(); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("error %v", err)
		}
	}
}

func TestASystemThatCannotShareMemory(t *testing.T) {
	engine.WithoutMappings(t)
	var log logBuffer
	e := newEngine(t, engine.Config{CacheDir: wasmtest.CacheDir(t), Logger: slog.New(slog.NewTextHandler(&log, nil))})
	v := loadGuest(t, e, engine.Options{Isolation: engine.PerRequest}, wasmtest.Build(t, stateDir))
	if !v.Warm() || !strings.Contains(log.String(), "no shared memory") {
		t.Fatalf("warm: %v, log %q", v.Warm(), log.String())
	}
	for range 3 {
		for export, want := range map[string]int32{"checks": 0, "counts": 0} {
			if code, _, err := v.Invoke(t.Context(), nil, export); code != want || err != nil {
				t.Errorf("%s: %d, %v", export, code, err)
			}
		}
	}
	a, b := start(t, v), start(t, v)
	if invoke(t, a, "rand2") == invoke(t, b, "rand2") {
		t.Error("two instances draw the same number")
	}
}

type logBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *logBuffer) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *logBuffer) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

func TestManyInstancesAtOnce(t *testing.T) {
	v := loadState(t, engine.Options{})
	var wg sync.WaitGroup
	for range 100 {
		wg.Go(func() {
			s, err := v.Start(context.Background())
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			for n := range int32(5) {
				if code, err := s.Invoke(context.Background(), nil, "counts"); code != n || err != nil {
					t.Errorf("call %d has the count %d, %v", n, code, err)
				}
			}
		})
	}
	wg.Wait()
}

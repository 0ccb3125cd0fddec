package engine_test

import (
	"context"
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/tetratelabs/wazero/api"

	"github.com/edgeset/edgeset/host/engine"
)

// blocking returns a guest whose export "run" calls a host function that waits
// for what is sent to it.
func blocking() (wasm []byte, module engine.Module, entered, proceed chan struct{}) {
	entered, proceed = make(chan struct{}), make(chan struct{})
	wasm = guest{
		imports: []imported{{"t", "f", nil, nil}},
		exports: map[string]fn{"run": {nil, nil, code(opCall, 0)}},
	}.wasm()
	module = host{name: "t", funcs: []hostFunc{{name: "f", fn: func(context.Context, api.Module, []uint64) {
		entered <- struct{}{}
		<-proceed
	}}}}
	return wasm, module, entered, proceed
}

func TestCloseWaitsForReferences(t *testing.T) {
	wasm, module, entered, proceed := blocking()
	v := loadGuest(t, newEngine(t, engine.Config{}), engine.Options{}, wasm, module)
	if !v.Acquire() {
		t.Fatal("a new version cannot be acquired")
	}
	result := make(chan error)
	go func() {
		_, _, err := v.Invoke(context.Background(), nil, "run")
		result <- err
	}()
	<-entered

	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
	defer cancel()
	err := v.Close(ctx)
	if !errors.Is(err, context.DeadlineExceeded) || !strings.Contains(err.Error(), "1 references are held") {
		t.Fatalf("Close: %v", err)
	}
	if v.Acquire() {
		t.Fatal("acquired after Close")
	}
	proceed <- struct{}{}
	if err := <-result; err != nil {
		t.Fatalf("the call in flight: %v", err)
	}
	// Whoever holds a reference can go on calling.
	go func() { <-entered; proceed <- struct{}{} }()
	if _, _, err := v.Invoke(t.Context(), nil, "run"); err != nil {
		t.Fatalf("a call of a holder: %v", err)
	}
	v.Release()
	if err := v.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if _, _, err := v.Invoke(t.Context(), nil, "run"); !errors.Is(err, engine.ErrClosed) {
		t.Fatalf("after all: %v, want ErrClosed", err)
	}
	if s := v.Stats(); s.Instances != 0 {
		t.Fatalf("stats %+v", s)
	}
}

// A call that forgot to acquire is in the wrong, but not taken down for it.
func TestCloseWaitsForCallsWithoutReference(t *testing.T) {
	wasm, module, entered, proceed := blocking()
	v := loadGuest(t, newEngine(t, engine.Config{}), engine.Options{}, wasm, module)
	result := make(chan error)
	go func() {
		_, _, err := v.Invoke(context.Background(), nil, "run")
		result <- err
	}()
	<-entered
	closed := make(chan error)
	go func() { closed <- v.Close(context.Background()) }()
	select {
	case err := <-closed:
		t.Fatalf("closed under a running call: %v", err)
	case <-time.After(20 * time.Millisecond):
	}
	proceed <- struct{}{}
	if err := <-result; err != nil {
		t.Error(err)
	}
	if err := <-closed; err != nil {
		t.Error(err)
	}
}

func TestAcquireAndReleaseWhileClosing(t *testing.T) {
	e := newEngine(t, engine.Config{})
	for range 20 {
		v := loadGuest(t, e, engine.Options{}, fast(pack(0, 0)).wasm())
		var wg sync.WaitGroup
		for range 4 {
			wg.Go(func() {
				for v.Acquire() {
					if _, _, err := v.Call(t.Context(), nil, nil, nil); err != nil {
						t.Errorf("acquired, but: %v", err)
					}
					v.Release()
				}
			})
		}
		if err := v.Close(t.Context()); err != nil {
			t.Error(err)
		}
		wg.Wait()
	}
}

func TestReleaseWithoutAcquirePanics(t *testing.T) {
	v := loadGuest(t, newEngine(t, engine.Config{}), engine.Options{}, fast(pack(0, 0)).wasm())
	defer func() {
		if recover() == nil {
			t.Error("want a panic")
		}
		v.Acquire() // to undo it
	}()
	v.Release()
}

func TestStateBelongsToItsCall(t *testing.T) {
	var bad sync.Map
	module := host{name: "t", funcs: []hostFunc{{name: "f", results: types(1, i32), fn: func(ctx context.Context, _ api.Module, s []uint64) {
		n, _ := engine.State(ctx).(int)
		wrapped, cancel := context.WithCancel(ctx)
		defer cancel()
		if m, _ := engine.State(wrapped).(int); m != n {
			bad.Store(n, "not found through a wrapped context")
		}
		s[0] = uint64(n)
	}}}}
	v := loadGuest(t, newEngine(t, engine.Config{}), engine.Options{Instances: 3, Waiting: 100}, guest{
		imports: []imported{{"t", "f", nil, types(1, i32)}},
		exports: map[string]fn{"run": {nil, types(1, i32), code(opCall, 0)}},
	}.wasm(), module)
	var wg sync.WaitGroup
	for n := range 16 {
		wg.Go(func() {
			for range 200 {
				if got, _, err := v.Invoke(t.Context(), n, "run"); err != nil || got != int32(n) {
					t.Errorf("call with state %d got %d, %v", n, got, err)
				}
			}
		})
	}
	wg.Wait()
	bad.Range(func(k, why any) bool { t.Error(k, why); return true })
	if engine.State(t.Context()) != nil {
		t.Error("there is a state outside of a call")
	}
	if s := v.Stats(); s.Instances > 3 || s.Calls != 16*200 || s.Idle != s.Instances || s.Waiting != 0 {
		t.Errorf("stats %+v", s)
	}
}

// Traps under concurrency: every caller gets its own error or reply, and the
// pool never runs dry.
func TestTrapsUnderLoad(t *testing.T) {
	v := loadHello(t, goEngine(t), engine.Options{Instances: 2, Waiting: 100})
	var wg sync.WaitGroup
	good, bad := request(0), []byte("no frame")
	for worker := range 8 {
		wg.Go(func() {
			for n := range 12 {
				frame, trap := good, (*engine.TrapError)(nil)
				if (worker+n)%6 == 0 {
					frame = bad
				}
				_, _, err := v.Call(t.Context(), nil, frame, nil)
				if errors.As(err, &trap) != (&frame[0] == &bad[0]) {
					t.Errorf("error %v", err)
				}
			}
		})
	}
	wg.Wait()
	if s := v.Stats(); s.Traps != 16 || s.Calls != 96 || s.Instances > 2 {
		t.Errorf("stats %+v", s)
	}
}

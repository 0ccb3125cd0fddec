package engine_test

import (
	"fmt"
	"os"
	"runtime"
	"runtime/debug"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/edge"
	"github.com/edgeset/edgeset/host/engine"
	native "github.com/edgeset/edgeset/host/extism"
	"github.com/edgeset/edgeset/host/wasmtest"
)

// TestSwapsLeaveNothing swaps between two plugins a thousand times, with calls in
// between. Every now and then the time is over for which a program is kept, so that
// programs are closed and built, too.
func TestSwapsLeaveNothing(t *testing.T) {
	swaps, settled, keeping := 1000, 100, 25
	if testing.Short() {
		swaps = 300
	}
	e := goEngine(t)
	plugins := [][]byte{wasmtest.Build(t, "plugins/sharing"), wasmtest.Build(t, "plugins/status")}
	var w abi.Writer
	(&abi.Request{Kind: abi.CallDescribe}).Append(&w)
	describe := w.Value()
	options := engine.Options{Rehearsal: describe}
	running := loadGuest(t, e, options, plugins[0], edge.Module{}, native.Module())
	var first usage
	for n := 1; n <= swaps; n++ {
		if n%keeping == 0 {
			e.EndKeeping()
		}
		next := loadGuest(t, e, options, plugins[n%2], edge.Module{}, native.Module())
		closeVersion(t, running)
		running = next
		for range 3 {
			if _, _, err := running.Call(t.Context(), new(edge.Call), describe, nil); err != nil {
				t.Fatal(err)
			}
		}
		switch n {
		case settled:
			first = measure(t)
			t.Logf("after %4d swaps: %v", n, first)
		case swaps:
			last := measure(t)
			// Machine code is given back by a finalizer, some time after a collection.
			for end := time.Now().Add(10 * time.Second); last.exceeds(first) && time.Now().Before(end); {
				time.Sleep(100 * time.Millisecond)
				last = measure(t)
			}
			t.Logf("after %4d swaps: %v", n, last)
			if last.exceeds(first) {
				t.Errorf("after %d swaps: %v; after %d: %v", n, last, settled, first)
			}
		}
	}
	if v, err := load(e, options, plugins[0], edge.Module{}, native.Module()); err != nil || v.Stats().Instances != 1 {
		t.Errorf("after all that: %v", err)
	}
}

// A usage is what a process has of what it can run out of.
type usage struct {
	resident, heap              int // bytes
	files, mappings, goroutines int
}

func (u usage) String() string {
	return fmt.Sprintf("%.1f MB resident, Go heap %.1f MB, %d files, %d mappings, %d goroutines",
		float64(u.resident)/(1<<20), float64(u.heap)/(1<<20), u.files, u.mappings, u.goroutines)
}

// exceeds is generous with memory. Of all else one for each ten swaps is too much.
func (u usage) exceeds(before usage) bool {
	return u.resident > before.resident+24<<20 || u.heap > before.heap+4<<20 ||
		u.files > before.files+8 || u.mappings > before.mappings+20 || u.goroutines > before.goroutines+8
}

func measure(t *testing.T) (u usage) {
	t.Helper()
	debug.FreeOSMemory()
	debug.FreeOSMemory() // of what finalizers have let go
	read := func(name string) string {
		b, err := os.ReadFile("/proc/self/" + name)
		if err != nil {
			t.Skip(err)
		}
		return string(b)
	}
	_, rest, _ := strings.Cut(read("smaps_rollup"), "\nPss:")
	if _, err := fmt.Sscan(rest, &u.resident); err != nil {
		t.Skip(err)
	}
	u.resident <<= 10
	u.mappings = strings.Count(read("maps"), "\n")
	list, err := os.ReadDir("/proc/self/fd")
	if err != nil {
		t.Skip(err)
	}
	u.files, u.goroutines = len(list), runtime.NumGoroutine()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	u.heap = int(m.HeapAlloc)
	return u
}

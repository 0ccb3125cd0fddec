package engine_test

import (
	"context"
	"runtime"
	"slices"
	"testing"
	"time"

	"github.com/tetratelabs/wazero/api"

	"github.com/edgeset/edgeset/host/bench"
	"github.com/edgeset/edgeset/host/engine"
	"github.com/edgeset/edgeset/host/rewrite"
	"github.com/edgeset/edgeset/host/wasmtest"
)

const workDir = "host/engine/testdata/work"

// BenchmarkFuel measures what rewriting does to code that computes: against the
// module as its toolchain made it, and, for the price of the metering alone,
// against the same rewriting without it.
func BenchmarkFuel(b *testing.B) {
	ctx := context.Background()
	wasm := wasmtest.Build(b, workDir)
	v, err := goEngine(b).Load(ctx, wasm, engine.Options{Name: "work"})
	if err != nil {
		b.Fatal(err)
	}
	peers := []struct {
		name string
		mod  api.Module
	}{
		{"wazero", instantiate(b, ctx, wasm)},
		{"unmetered", instantiate(b, ctx, unmetered(b, wasm))},
	}
	for _, export := range []string{"json", "strings", "hash", "sort"} {
		for _, peer := range peers {
			b.Run(export+"/"+peer.name, func(b *testing.B) {
				call, stack := peer.mod.ExportedFunction(export), make([]uint64, 1)
				bench.Compare(b, "fuel/"+export, peer.name, "µs", func(n int) {
					for range n {
						if _, _, err := v.Invoke(ctx, nil, export); err != nil {
							b.Fatal(err)
						}
					}
				}, func(n int) {
					for range n {
						if err := call.CallWithStack(ctx, stack); err != nil {
							b.Fatal(err)
						}
					}
				})
			})
		}
	}
}

// unmetered rewrites a module as the engine does, but for the metering.
func unmetered(b *testing.B, wasm []byte) []byte {
	m, err := rewrite.Parse(wasm)
	if err == nil {
		_, err = rewrite.StructureGo(m)
	}
	if err == nil {
		err = rewrite.Addresses(m, true)
	}
	if err != nil {
		b.Fatal(err)
	}
	return m.Encode()
}

// BenchmarkCollection measures how long a collection of garbage takes while a
// guest computes: it has to wait until the guest passes through Go.
func BenchmarkCollection(b *testing.B) {
	ctx := context.Background()
	wasm := wasmtest.Build(b, workDir)
	v, err := goEngine(b).Load(ctx, wasm, engine.Options{Name: "work"})
	if err != nil {
		b.Fatal(err)
	}
	spin := instantiate(b, ctx, wasm).ExportedFunction("spin")
	ours := collection(b, func() error {
		_, _, err := v.Invoke(ctx, nil, "spin")
		return err
	})
	theirs := collection(b, func() error {
		_, err := spin.Call(ctx)
		return err
	})
	bench.Report(b, "fuel/gc_pause", "wazero", "ms", ours, theirs, bench.Smaller)
}

// collection returns the median, in ms, of collections that are asked for while
// spin runs, again and again.
func collection(b *testing.B, spin func() error) float64 {
	const rounds = 5
	var times []float64
	for range rounds {
		done := make(chan error)
		go func() { done <- spin() }()
		time.Sleep(20 * time.Millisecond) // it runs
		start := time.Now()
		runtime.GC()
		times = append(times, float64(time.Since(start))/float64(time.Millisecond))
		if err := <-done; err != nil {
			b.Fatal(err)
		}
	}
	return bench.Median(times)
}

// BenchmarkNeighbour measures what callers of one plugin notice of another that
// computes all the time: the 99th percentile of their calls, beside that of calls
// with nothing else at work. They come at their own pace, one every 500 µs, and
// each is timed from when it was due.
func BenchmarkNeighbour(b *testing.B) {
	ctx := context.Background()
	e := goEngine(b)
	busy, err := e.Load(ctx, wasmtest.Build(b, workDir), engine.Options{Name: "work"})
	if err != nil {
		b.Fatal(err)
	}
	v := loadHello(b, e, engine.Options{})
	frame := request(0)
	calls := func() float64 {
		const n, pace = 400, 500 * time.Microsecond
		var times []float64
		for due := time.Now(); len(times) < n; due = due.Add(pace) {
			time.Sleep(time.Until(due))
			if _, _, err := v.Call(ctx, nil, frame, nil); err != nil {
				b.Fatal(err)
			}
			times = append(times, float64(time.Since(due))/float64(time.Microsecond))
		}
		slices.Sort(times)
		return times[n*99/100]
	}
	const rounds = 15
	var alone, beside []float64
	for range rounds {
		alone = append(alone, calls())
		stop, cancel := context.WithCancel(ctx)
		done := make(chan struct{})
		go func() {
			defer close(done)
			for stop.Err() == nil {
				_, _, _ = busy.Invoke(stop, nil, "spin") // ends with stop
			}
		}()
		time.Sleep(20 * time.Millisecond) // it runs
		beside = append(beside, calls())
		cancel()
		<-done
	}
	bench.Report(b, "fuel/neighbour_p99", "alone", "µs", bench.Median(beside), bench.Median(alone), bench.Smaller)
}

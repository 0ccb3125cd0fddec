//go:build linux

package main_test

import (
	"testing"
	"time"

	"github.com/edgeset/edgeset/host/bench"
)

// A fanOutSize is how much BenchmarkFanOut does.
type fanOutSize struct {
	warm      int // connections that are there before any is counted
	idle      int // connections that are counted
	listeners int
	blocks    int // of rounds, for each side; an odd number
	rounds    int // updates in a block
}

// BenchmarkFanOut measures what it costs to tell many of a status update, and to keep
// them connected while there is nothing to tell. Its peer, socket.io, stores nothing
// and asks nobody who they are. Both sides have as many listeners, by WebSocket, which
// get the same event out of an HTTP request: the next one when all have heard of the
// one before (update), or as many as 16 clients can send (flood).
//
// The processor time of a block of rounds is all that the server takes until its next
// block, so that what it does behind the answer counts.
func BenchmarkFanOut(b *testing.B) {
	needPackage(b, fanOutDir, "socket.io")
	size := fanOutSize{warm: 100, idle: 5000, listeners: 2000, blocks: 11, rounds: 10}
	if testing.Short() {
		size = fanOutSize{warm: 100, idle: 1000, listeners: 500, blocks: 5, rounds: 20}
	}
	sides := [2]*fanOut{newFanOut(b), newPeerFanOut(b)}
	b.Run("idle", func(b *testing.B) {
		var bytes [2]float64
		for i, f := range sides {
			f.b = b
			bytes[i] = f.idle(size)
		}
		bench.Report(b, "fanout/idle", fanOutPeer, "B/connection", bytes[0], bytes[1], bench.Smaller)
	})
	for _, f := range sides {
		f.connect(size.listeners)
		f.block(size.rounds) // until everything is warm
	}
	compare := func(b *testing.B, name string, blocks, updates int, run func(f *fanOut)) {
		for block := range blocks {
			for k := range sides {
				f := sides[(k+block)%2] // each goes first as often as the other
				f.b = b
				f.mark()
				begin := time.Now()
				run(f)
				f.wall = append(f.wall, time.Since(begin))
			}
		}
		var perCPU, perWall [2][]float64
		for i, f := range sides {
			f.mark()
			perCPU[i], perWall[i] = f.rates(float64(updates * size.listeners))
		}
		b.ReportMetric(bench.Spread(perCPU[0]), "%spread-ours")
		b.ReportMetric(bench.Spread(perCPU[1]), "%spread-theirs")
		report := func(name, unit string, rate [2][]float64) {
			bench.Report(b, name, fanOutPeer, unit, bench.Median(rate[0]), bench.Median(rate[1]), bench.Larger)
		}
		report(name+"_wall", "deliveries/s", perWall)
		report(name, "deliveries/cpu-s", perCPU) // the last one's ratio is in the output
	}
	b.Run("update", func(b *testing.B) {
		compare(b, "fanout/update", size.blocks, size.rounds, func(f *fanOut) { f.block(size.rounds) })
	})
	b.Run("flood", func(b *testing.B) {
		const updates, posters = 64, 16
		compare(b, "fanout/flood", size.blocks/2+1, updates, func(f *fanOut) { f.flood(updates, posters) })
	})
}

const fanOutPeer = "socket.io"

// idle returns the memory that a connection takes while there is nothing to tell.
func (f *fanOut) idle(size fanOutSize) float64 {
	f.b.Helper()
	f.connect(size.warm)
	before := f.resident()
	f.connect(size.warm + size.idle)
	return (f.resident() - before) / float64(size.idle)
}

// block shares updates, one after the other.
func (f *fanOut) block(rounds int) {
	f.b.Helper()
	for range rounds {
		f.share()
	}
}

// rates returns the deliveries a second of the processors, and of the clock, in each
// block, and forgets the blocks.
func (f *fanOut) rates(deliveries float64) (perCPU, perWall []float64) {
	for block, wall := range f.wall {
		perCPU = append(perCPU, deliveries/(f.cpu[block+1]-f.cpu[block]).Seconds())
		perWall = append(perWall, deliveries/wall.Seconds())
	}
	f.cpu, f.wall = nil, nil
	return perCPU, perWall
}

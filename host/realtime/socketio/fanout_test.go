package socketio_test

import (
	"io"
	"sync"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/realtime/socketio"
)

// BenchmarkFanOut encodes an event and sends it to websockets, whose clients run in
// the same process.
func BenchmarkFanOut(b *testing.B) {
	const listeners = 500
	var mu sync.Mutex
	var conns []*socketio.Conn
	r := newRig(b, socketio.Config{}, handler{connect: func(c *socketio.Conn) {
		mu.Lock()
		defer mu.Unlock()
		conns = append(conns, c)
	}})
	var done sync.WaitGroup
	for range listeners {
		p := r.dial(4)
		p.send("40")
		p.joins("/")
		if err := p.conn.SetDeadline(time.Time{}); err != nil {
			b.Fatal(err)
		}
		done.Go(func() {
			_, _ = io.Copy(io.Discard, p.conn) // until it is closed
			p.conn.Close()
		})
	}
	update := statusUpdate()
	b.ReportAllocs()
	for b.Loop() {
		e := newEvent(b, "STATUS_UPDATE", update)
		for _, c := range conns {
			c.Emit(e)
		}
	}
	b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/listeners, "ns/delivery")
	r.server.Shutdown()
	done.Wait()
}

func BenchmarkEncode(b *testing.B) {
	update := statusUpdate()
	b.ReportAllocs()
	for b.Loop() {
		newEvent(b, "STATUS_UPDATE", update)
	}
}

// statusUpdate returns the arguments of an event of some 260 bytes.
func statusUpdate() abi.Value {
	var w abi.Writer
	w.FixedArray(1)
	w.Map()
	for _, key := range []string{"identity", "location", "status", "comment", "expires", "sequence"} {
		w.Key(key)
		w.Text("some thirty bytes of text, say.")
	}
	w.End()
	return w.Value()
}

package engineio

import (
	"bytes"
	"fmt"
	"io"
	"testing"
)

// BenchmarkSend sends one event of 256 bytes to many idle websockets. An operation
// is a delivery. Who receives is in the same process.
func BenchmarkSend(b *testing.B) {
	for _, n := range []int{10, 100, 2000} {
		b.Run(fmt.Sprint(n, " websockets"), func(b *testing.B) {
			r := start(b, Config{})
			sessions := make([]*Session, n)
			for i := range sessions {
				c, id := r.open(4)
				sessions[i] = r.session(id)
				go func() {
					_, _ = io.CopyBuffer(struct{ io.Writer }{io.Discard}, struct{ io.Reader }{c.Conn}, make([]byte, 4096))
				}()
			}
			data := bytes.Repeat([]byte("x"), 255)
			b.ReportAllocs()
			b.ResetTimer()
			for i := 0; i < b.N; i += n {
				m := Text(data)
				for _, s := range sessions[:min(n, b.N-i)] {
					s.Send(m)
				}
			}
			b.StopTimer()
		})
	}
}

// BenchmarkEcho takes a message from a client and answers it.
func BenchmarkEcho(b *testing.B) {
	r := start(b, Config{})
	c, _ := r.open(4)
	b.ReportAllocs()
	for b.Loop() {
		c.send("4hello")
		c.expect("4hello")
	}
}

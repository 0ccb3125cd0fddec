package engineio

import (
	"bytes"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// A client that sends and does not read is read from no more, until it has taken what it
// was answered: it cannot fill the server with answers.
func TestAClientThatDoesNotReadIsNotAnsweredWithoutEnd(t *testing.T) {
	const messages, size = 2000, 20 << 10
	var most, handled atomic.Int64
	r := startWith(t, Config{}, func(r *rig) {
		r.onMessage = func(s *Session, data []byte, _ bool) {
			s.mu.Lock()
			waits := s.size
			s.mu.Unlock()
			most.Store(max(most.Load(), int64(waits)))
			handled.Add(1)
			s.Send(Text(data))
		}
	})
	c, _ := r.open(4)
	frame := ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame(append([]byte("4"), bytes.Repeat([]byte("x"), size)...))))
	sent := make(chan error, 1)
	go func() {
		for range messages {
			if _, err := c.Conn.Write(frame); err != nil {
				sent <- err
				return
			}
		}
		sent <- nil
	}()
	// Until nothing moves any more.
	for before, since := int64(-1), time.Now(); time.Since(since) < 300*time.Millisecond; time.Sleep(10 * time.Millisecond) {
		if now := handled.Load(); now != before {
			before, since = now, time.Now()
		}
	}
	if handled.Load() == messages {
		t.Fatal("the client was never held up: send more")
	}
	for range messages {
		if got := c.text(); len(got) != size+1 {
			t.Fatalf("an answer of %d bytes, want %d", len(got), size+1)
		}
	}
	if err := <-sent; err != nil {
		t.Fatal(err)
	}
	if most.Load() > maxOwed+size {
		t.Errorf("%d bytes waited for the client, want at most %d", most.Load(), maxOwed+size)
	}
}

package main_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/edgeset/edgeset/host/wasmtest"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// A sharer shares updates with a listener, one after the other: the n-th has the
// number n in its payload.
type sharer struct {
	*person
	sent atomic.Int64 // that were acknowledged
}

// upload shares the next update.
func (s *sharer) upload() error {
	n := s.sent.Load() + 1
	u := newUpdate("location", "phone")
	u["payload"] = map[string]any{"n": n}
	r, err := s.call("POST", "/v1/status", []update{u})
	if err := unless(err == nil && r.status == 201, r, err, "201"); err != nil {
		return err
	}
	s.sent.Store(n)
	return nil
}

// An ear is an open socket that listens to some sharers.
type ear struct {
	tally *tally
	conn  net.Conn
	in    *bufio.Reader
	again []byte // the packet that has it listen once more, and asks for an answer

	sending sync.Mutex
	closing atomic.Bool

	mu      sync.Mutex
	heard   map[string]int64 // number of the last update, by sharer; who is not in it is not listened to
	answers int64            // to LISTEN
	open    bool
}

// newEar opens a socket of a listener's, and returns when it listens.
func newEar(y *tally, addr string, p *person, to []*sharer) (*ear, error) {
	ctx, cancel := context.WithTimeout(context.Background(), callTime)
	defer cancel()
	conn, in, _, err := ws.Dial(ctx, "ws://"+addr+"/v1/socket/?EIO=4&transport=websocket")
	if err != nil {
		return nil, err
	}
	if in == nil {
		in = bufio.NewReader(conn)
	}
	listen, err := json.Marshal([]any{"LISTEN", map[string]string{"access_token": p.token, "gid_uuid": p.gid, "filters": "*"}})
	if err != nil {
		return nil, err
	}
	e := &ear{tally: y, conn: conn, in: in, again: append([]byte("421"), listen...), heard: map[string]int64{}, open: true}
	for _, s := range to {
		e.heard[s.gid] = s.sent.Load()
	}
	if err := conn.SetDeadline(time.Now().Add(callTime)); err != nil {
		return nil, err
	}
	for _, step := range []struct{ send, want string }{{"", "0{"}, {"40", "40{"}, {"42" + string(listen), `42["LISTENING",`}} {
		if step.send != "" {
			if err := wsutil.WriteClientText(conn, []byte(step.send)); err != nil {
				return nil, err
			}
		}
		if f, err := ws.ReadFrame(in); err != nil {
			return nil, err
		} else if !bytes.HasPrefix(f.Payload, []byte(step.want)) {
			return nil, fmt.Errorf("got packet %q, want %s…", f.Payload, step.want)
		}
	}
	return e, conn.SetDeadline(time.Time{})
}

// hear takes in what comes until the socket is closed.
func (e *ear) hear() {
	for {
		f, err := ws.ReadFrame(e.in)
		if err == nil {
			err = e.take(f)
		}
		if err == nil {
			continue
		}
		e.mu.Lock()
		e.open = false
		e.mu.Unlock()
		if !e.closing.Load() {
			e.tally.note(dropped, 1, fmt.Errorf("a socket: %w", err))
		}
		return
	}
}

func (e *ear) take(f ws.Frame) error {
	switch p := f.Payload; {
	case f.Header.OpCode == ws.OpClose:
		return fmt.Errorf("the server has closed it: %q", p)
	case f.Header.OpCode == ws.OpPing:
		return e.send(ws.NewPongFrame(p))
	case f.Header.OpCode != ws.OpText || !f.Header.Fin:
		return fmt.Errorf("a frame with the opcode %d: want a whole text", f.Header.OpCode)
	case string(p) == "2":
		return e.send(ws.NewTextFrame([]byte("3")))
	case bytes.HasPrefix(p, updatePacket):
		return e.takeUpdate(p[len(updatePacket) : len(p)-1])
	case bytes.HasPrefix(p, []byte(`42["LISTENING",`)):
		return nil
	case bytes.HasPrefix(p, []byte(`431[`)):
		if mark, torn := wasmtest.MarkOf("", p); torn || mark == "" {
			e.tally.note(mixed, 1, fmt.Errorf("a socket: mark %q: %s", mark, p))
		}
		e.mu.Lock()
		defer e.mu.Unlock()
		e.answers++
		return nil
	default:
		return fmt.Errorf("packet %q: want an update or a ping", p)
	}
}

var updatePacket = []byte(`42["STATUS_UPDATE",`)

// takeUpdate wants the next update of one of its sharers.
func (e *ear) takeUpdate(text []byte) error {
	var u struct {
		GID     string `json:"gid_uuid"`
		Payload struct{ N int64 }
	}
	if err := json.Unmarshal(text, &u); err != nil {
		return fmt.Errorf("update %s: %w", text, err)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	last, ok := e.heard[u.GID]
	switch n := u.Payload.N; {
	case !ok:
		e.tally.note(strange, 1, fmt.Errorf("a socket is told of what is not shared with it: %s", text))
	case n <= last:
		e.tally.note(strange, 1, fmt.Errorf("a socket is told of update %d after %d", n, last))
	case n > last+1:
		e.tally.note(missed, int(n-last-1), fmt.Errorf("a socket is told of update %d after %d", n, last))
		fallthrough
	default:
		e.heard[u.GID] = n
	}
	return nil
}

func (e *ear) send(f ws.Frame) error {
	e.sending.Lock()
	defer e.sending.Unlock()
	return ws.WriteFrame(e.conn, ws.MaskFrameInPlace(f))
}

// listen has it listen once more, and waits until it does.
func (e *ear) listen() error {
	e.mu.Lock()
	want := e.answers + 1
	e.mu.Unlock()
	if err := e.send(ws.NewTextFrame(bytes.Clone(e.again))); err != nil {
		return fmt.Errorf("a socket: %w", err)
	}
	return e.await("an answer to LISTEN", func() bool { return e.answers >= want })
}

var errNotHeard = errors.New("it did not come")

// await waits for a condition that holds e.mu.
func (e *ear) await(what string, done func() bool) error {
	for begin := time.Now(); time.Since(begin) < callTime; time.Sleep(2 * time.Millisecond) {
		e.mu.Lock()
		ended, open := done(), e.open
		e.mu.Unlock()
		if ended {
			return nil
		}
		if !open {
			break
		}
	}
	return fmt.Errorf("a socket: %s: %w", what, errNotHeard)
}

// finish waits until all that was shared has come, and hangs up.
func (e *ear) finish(all []*sharer) {
	for _, s := range all {
		e.mu.Lock()
		got, ok := e.heard[s.gid]
		e.mu.Unlock()
		if !ok {
			continue
		}
		want := s.sent.Load()
		if err := e.await("the last update", func() bool { got = e.heard[s.gid]; return got >= want }); err != nil {
			e.tally.note(missed, int(want-got), fmt.Errorf("got up to %d of %d: %w", got, want, err))
		}
	}
	e.closing.Store(true)
	e.conn.Close()
}

// openEars opens sockets, each of which is one of the listeners in turn.
func openEars(t testing.TB, y *tally, s *server, n int, listeners []*person, of map[*person][]*sharer) []*ear {
	t.Helper()
	ears := make([]*ear, n)
	s.inParallel(n, func(i int) {
		p := listeners[i%len(listeners)]
		e, err := newEar(y, s.listen, p, of[p])
		if err != nil {
			t.Errorf("socket %d: %v", i, err)
			return
		}
		ears[i] = e
	})
	if t.Failed() {
		s.fatalf("not all sockets are open")
	}
	return ears
}

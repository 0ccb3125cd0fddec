package engineio

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

// Many clients open, send, upgrade and break off at random, while others send to
// them and close them. All sessions must end, once, and nothing be left.
func TestNothingIsLeftOfManyClients(t *testing.T) {
	r := start(t, Config{PingInterval: 500 * time.Millisecond, PingTimeout: 500 * time.Millisecond, MaxBuffered: 10_000})
	stop := make(chan struct{})
	time.AfterFunc(3*time.Second, func() { close(stop) })
	running := func() bool {
		select {
		case <-stop:
			return false
		default:
			return true
		}
	}
	var wait sync.WaitGroup
	for range 24 {
		wait.Go(func() {
			for running() {
				r.misbehave()
			}
		})
	}
	wait.Go(func() {
		messages := []*Message{
			Text([]byte("hello")), Binary([]byte{1, 2, 3}),
			Sequence(Text([]byte("a")), Binary([]byte("b"))), Text([]byte(strings.Repeat("x", 3000))),
		}
		for running() {
			r.mu.Lock()
			var list []*Session
			for _, s := range r.sessions { // in no order
				if list = append(list, s); len(list) == 50 {
					break
				}
			}
			r.mu.Unlock()
			for _, s := range list {
				switch rand.IntN(40) {
				case 0:
					s.Close("picked out")
				case 1:
					s.Finish("finished")
				default:
					s.Send(messages[rand.IntN(len(messages))])
				}
			}
			time.Sleep(time.Millisecond)
		}
	})
	wait.Wait()
	r.client.CloseIdleConnections()
	until(t, "all sessions have ended", func() bool { return r.server.Len() == 0 })
	r.mu.Lock()
	n, polled := len(r.sessions), 0
	r.mu.Unlock()
	until(t, "the handler has been told of all", func() bool {
		r.mu.Lock()
		defer r.mu.Unlock()
		return len(r.reasons) == n
	})
	reasons := map[string]int{}
	r.mu.Lock()
	for id, s := range r.sessions {
		reasons[r.reasons[id]]++
		if s.socket == nil {
			polled++
		}
	}
	r.mu.Unlock()
	if reasons["closed twice"] > 0 || polled == 0 || polled == n {
		t.Errorf("of %d sessions %d polled to the end; they ended with %v", n, polled, reasons)
	}
}

// misbehave is one client that does something for a while.
func (r *rig) misbehave() {
	version := 3 + rand.IntN(2)
	pick := func(n int) bool { return rand.IntN(n) == 0 }
	var c *wsClient
	if pick(2) {
		var err error
		if c, err = dialSocket(r.addr, fmt.Sprintf("EIO=%d&transport=websocket", version)); err != nil {
			return
		}
		defer c.Close()
	} else {
		query := fmt.Sprintf("EIO=%d&transport=polling", version)
		res, err := r.do("GET", query, "")
		_, id, ok := strings.Cut(res.body, `"sid":"`)
		if err != nil || !ok {
			return
		}
		id = id[:20]
		query += "&sid=" + id
		for !pick(4) {
			switch rand.IntN(4) {
			case 0:
				go func() { _, _ = r.do("GET", query, "") }()
			case 1:
				_, _ = r.do("POST", query, map[int]string{3: "6:4hello", 4: "4hello"}[version])
			case 2:
				_, _ = r.do("GET", query, "")
			case 3:
				_, _ = r.do("POST", query, []string{"1", "1:1", "x", ""}[rand.IntN(4)])
			}
		}
		if pick(2) {
			return
		}
		if c, err = dialSocket(r.addr, fmt.Sprintf("EIO=%d&transport=websocket&sid=%s", version, id)); err != nil {
			return
		}
		defer c.Close()
		for _, text := range []string{"2probe", "5"} {
			if pick(5) || ws.WriteFrame(c, ws.MaskFrame(ws.NewTextFrame([]byte(text)))) != nil {
				return
			}
			_ = c.SetReadDeadline(time.Now().Add(10 * time.Millisecond))
			_, _ = ws.ReadFrame(c.br)
		}
	}
	for !pick(10) {
		f := ws.NewTextFrame([]byte([]string{"4hello", "2", "3", "1", "4" + strings.Repeat("x", 5000)}[rand.IntN(5)]))
		if pick(10) {
			f = ws.NewPingFrame(nil)
		}
		if ws.WriteFrame(c, ws.MaskFrame(f)) != nil {
			return
		}
		if pick(2) {
			_ = c.SetReadDeadline(time.Now().Add(time.Millisecond))
			_, _ = c.br.Discard(1 + rand.IntN(100))
		}
	}
	if pick(2) {
		_ = ws.WriteFrame(c, ws.MaskFrame(ws.NewCloseFrame(nil)))
	}
}

package gateway

import (
	"bufio"
	"io"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/host/deploy"
)

// dial sends the beginning of a conversation.
func (r *rig) dial(text string) *net.TCPConn {
	r.t.Helper()
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { c.Close() })
	if err := c.SetDeadline(time.Now().Add(2 * slow)); err != nil {
		r.t.Fatal(err)
	}
	if _, err := io.WriteString(c, text); err != nil {
		r.t.Fatal(err)
	}
	return c.(*net.TCPConn)
}

func TestARequestEndsWithItsClient(t *testing.T) {
	spec := runaway(time.Hour)
	spec.Plugins[0].MaxWait = deploy.Duration(time.Hour)
	d := load(t, spec)
	for _, c := range []struct {
		name  string
		limit int // of connections an address, for which fasthttp wraps them
		leave func(*net.TCPConn) error
	}{
		{"closed", 0, (*net.TCPConn).Close},
		{"reset", 0, func(c *net.TCPConn) error {
			if err := c.SetLinger(0); err != nil {
				return err
			}
			return c.Close()
		}},
		{"closed for writing", 0, (*net.TCPConn).CloseWrite},
		{"wrapped and closed", 100, (*net.TCPConn).Close},
	} {
		t.Run(c.name, func(t *testing.T) {
			var access syncBuffer
			r := serve(t, Config{MaxConnsIP: c.limit, Access: slog.New(slog.NewTextHandler(&access, nil))}, d)
			// No connection is left idle: fasthttp closes those that it has wrapped
			// without a care for whoever reads from them.
			r.do("GET /r/ok", "", "Connection", "close").wants(200)
			before := r.stats("runaway")
			// Two are asleep, the third waits for an instance.
			var conns []*net.TCPConn
			for range 3 {
				conns = append(conns, r.dial("POST /r/write HTTP/1.1\r\nHost: x\r\nContent-Length: 0\r\n\r\n"))
			}
			eventually(t, "all of them run", func() bool { return r.stats("runaway").Waiting == 1 })
			for _, conn := range conns {
				if err := c.leave(conn); err != nil {
					t.Fatal(err)
				}
			}
			eventually(t, "all of them have ended", func() bool { return strings.Count(access.String(), "status=499") == 3 })
			// The third may have come to its turn before it was given up.
			if s := r.stats("runaway"); s.Waiting != 0 || s.Instances != s.Idle || s.Traps < before.Traps+2 {
				t.Errorf("%+v", s)
			}
			if got := r.metric("edgeset_disconnects_total", "route", "POST /r/write"); got != 3 {
				t.Errorf("%v were counted, want 3", got)
			}
			if got := r.do("GET /r/kept", "", "Connection", "close").wants(200); got.body != "false" {
				t.Error("what a request wrote that was given up was kept")
			}
			if strings.Contains(r.log.String(), "level=ERROR") {
				t.Errorf("an error was logged: %s", r.log)
			}
		})
	}
}

// What a client sends ahead says that it is there.
func TestAClientThatSendsAheadIsThere(t *testing.T) {
	r := start(t, Config{}, runaway(2*slow))
	r.do("GET /r/ok", "").wants(200)
	const nap = "GET /r/nap/350 HTTP/1.1\r\nHost: x\r\n\r\n"
	c := r.dial(nap + nap)
	time.Sleep(50 * time.Millisecond)
	if _, err := io.WriteString(c, nap); err != nil { // when the others are read
		t.Fatal(err)
	}
	answers := bufio.NewReader(c)
	for range 3 {
		resp, err := http.ReadResponse(answers, nil)
		if err != nil {
			t.Fatal(err)
		}
		body, err := io.ReadAll(resp.Body)
		if err != nil || resp.StatusCode != 200 || string(body) != `"slept"` {
			t.Errorf("%d %s %v", resp.StatusCode, body, err)
		}
	}
}

func TestAConnectionThatIsNoSocketIsNeverGone(t *testing.T) {
	ours, theirs := net.Pipe()
	defer ours.Close()
	c := &conn{Conn: ours}
	c.local = localAddr{ours.LocalAddr(), c}
	if err := theirs.Close(); err != nil {
		t.Fatal(err)
	}
	if peerOf(c.LocalAddr()) != c || c.gone() {
		t.Error("it is")
	}
	if peerOf(theirs.LocalAddr()) != nil {
		t.Error("an address that is not ours leads to a connection")
	}
}

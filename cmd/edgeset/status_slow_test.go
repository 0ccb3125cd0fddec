package main_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// Listeners that do not read are cut off one by one, before what waits for them fills
// the server's memory. Nobody else has to wait for them.
func TestStatusSlowListeners(t *testing.T) {
	t.Parallel()
	cs, s := newStatusClients(t), newStatusServer(t)
	people := s.newPersons(2)
	ann, bob := people[0], people[1]
	ann.permits("*", "*", "all")
	quick, stream := cs.listening("quick", bob), bob.stream()
	share := func() string {
		t.Helper()
		list := newUpdates(40, "photo", "phone")
		for _, u := range list {
			u["payload"] = map[string]string{"jpeg": strings.Repeat("x", 25<<10)}
		}
		ann.uploads(list...)
		begin := time.Now()
		quick.hears(idsOf(list)...)
		stream.hears(t, idsOf(list)...)
		if took := time.Since(begin); took > 10*time.Second {
			t.Errorf("others have heard of the updates after %v", took)
		}
		return list[0].id()
	}
	var first string
	for range 20 {
		first = share()
	}
	before := s.usage().rss

	const sockets, streams, pollers = 40, 20, 10
	var slow []*slowListener
	for range sockets {
		slow = append(slow, bob.slowSocket())
	}
	for range streams {
		slow = append(slow, bob.slowStream())
	}
	for range pollers {
		bob.slowPoller()
	}
	if got := s.metric("edgeset_realtime_subscribed"); got != sockets+streams+pollers+2 {
		t.Fatalf("%v connections listen, want %d", got, sockets+streams+pollers+2)
	}
	var highest int64
	for n := 0; n < 16 || s.metric("edgeset_realtime_subscribed") > 2; n++ {
		if n == 60 {
			s.fatalf("%v connections listen after %d MB, want 2", s.metric("edgeset_realtime_subscribed"), n)
		}
		share()
		highest = max(highest, s.usage().rss)
	}
	t.Logf("memory: %.0f MiB before, %.0f MiB at most", mib(before), mib(highest))
	// What waits for all of them is kept once: so many times what may wait for one
	// would be half a gigabyte.
	if highest-before > 150<<20 {
		t.Errorf("the server's memory grew from %.0f MiB to %.0f MiB", mib(before), mib(highest))
	}
	for _, l := range slow {
		if n, err := l.rest(); err != nil || n > 16<<20 {
			t.Errorf("%s: %d bytes came, %v: want it cut off", l.what, n, err)
		}
	}
	// They catch up over HTTP.
	r := bob.want(200, "GET", "/v1/status/shared", nil, "since_uuid", first)
	if list, _ := r.doc.([]any); len(list) != 50 {
		t.Errorf("%d updates since %s, want 50", len(list), first)
	}
}

// metric returns one of the server's metrics, summed up.
func (s *server) metric(name string) (sum float64) {
	s.t.Helper()
	_, text := s.probe("/metrics")
	for line := range strings.Lines(text) {
		if rest, ok := strings.CutPrefix(line, name); ok && (rest[0] == '{' || rest[0] == ' ') {
			var value float64
			if _, err := fmt.Sscan(rest[strings.LastIndexByte(rest, ' ')+1:], &value); err != nil {
				s.t.Fatalf("%q: %v", line, err)
			}
			sum += value
		}
	}
	return sum
}

// A slowListener listens, and reads nothing.
type slowListener struct {
	what string
	conn net.Conn
}

// dial connects with little room for what comes.
func (p *person) dial() net.Conn {
	p.t.Helper()
	conn, err := net.Dial("tcp", p.server.listen)
	if err != nil {
		p.fatalf("%v", err)
	}
	p.t.Cleanup(func() { conn.Close() })
	if err := conn.(*net.TCPConn).SetReadBuffer(64 << 10); err != nil {
		p.t.Fatal(err)
	}
	return conn
}

// rest reads all that still comes, and returns how many bytes that is.
func (l *slowListener) rest() (int64, error) {
	if err := l.conn.SetReadDeadline(time.Now().Add(callTime)); err != nil {
		return 0, err
	}
	n, err := io.Copy(io.Discard, l.conn)
	if late, ok := err.(net.Error); ok && late.Timeout() {
		return n, err
	}
	return n, nil // it was closed, or reset
}

// listenPacket is LISTEN as it is sent.
func (p *person) listenPacket() string {
	text, err := json.Marshal([]any{"LISTEN", map[string]string{"access_token": p.token, "gid_uuid": p.gid, "filters": "*"}})
	if err != nil {
		p.t.Fatal(err)
	}
	return "42" + string(text)
}

func (p *person) slowSocket() *slowListener {
	p.t.Helper()
	conn := p.dial()
	ctx, cancel := context.WithTimeout(p.t.Context(), callTime)
	defer cancel()
	dialer := ws.Dialer{NetDial: func(context.Context, string, string) (net.Conn, error) { return conn, nil }}
	_, buffered, _, err := dialer.Dial(ctx, "ws://"+p.server.listen+"/v1/socket/?EIO=4&transport=websocket")
	if err != nil {
		p.fatalf("%v", err)
	}
	in := io.Reader(conn)
	if buffered != nil {
		in = buffered
	}
	read := struct {
		io.Reader
		io.Writer
	}{in, conn}
	for _, step := range []struct{ send, want string }{{"", "0{"}, {"40", "40{"}, {p.listenPacket(), `42["LISTENING",`}} {
		if step.send != "" {
			if err := wsutil.WriteClientText(conn, []byte(step.send)); err != nil {
				p.fatalf("%v", err)
			}
		}
		if got, _, err := wsutil.ReadServerData(read); err != nil || !bytes.HasPrefix(got, []byte(step.want)) {
			p.fatalf("socket: packet %q, %v, want %s", got, err, step.want)
		}
	}
	return &slowListener{"a socket", conn}
}

func (p *person) slowStream() *slowListener {
	p.t.Helper()
	conn := p.dial()
	fmt.Fprintf(conn, "GET /v1/status/stream HTTP/1.1\r\nHost: %s\r\nAuthorization: Bearer %s\r\n\r\n", p.server.listen, p.token)
	resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
	if err != nil || resp.StatusCode != 200 {
		p.fatalf("stream: %v, %v", resp, err)
	}
	return &slowListener{"a stream", conn}
}

// slowPoller listens by long polling, and polls no more.
func (p *person) slowPoller() {
	p.t.Helper()
	path := "/v1/socket/?EIO=4&transport=polling"
	open := p.want(200, "GET", path, nil)
	var handshake struct{ SID string }
	if err := json.Unmarshal(bytes.TrimPrefix(open.raw, []byte("0")), &handshake); err != nil {
		p.fatalf("%v: %v", open, err)
	}
	path += "&sid=" + handshake.SID
	p.want(200, "POST", path, "40")
	p.want(200, "GET", path, nil)
	p.want(200, "POST", path, p.listenPacket())
	for got := ""; !strings.Contains(got, `42["LISTENING",`); {
		got = string(p.want(200, "GET", path, nil).raw)
	}
}

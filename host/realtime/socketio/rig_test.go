package socketio_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
	"github.com/valyala/fasthttp"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/realtime/socketio"
)

// patience is how long a test waits for what must happen.
const patience = 30 * time.Second

// A rig is a server on loopback.
type rig struct {
	t      testing.TB
	server *socketio.Server
	addr   string
}

// newRig starts a server with the namespaces "/" and "/custom". Whoever it serves is
// gone when the test ends.
func newRig(t testing.TB, c socketio.Config, h socketio.Handler) *rig {
	t.Helper()
	if c.Namespaces == nil {
		c.Namespaces = []string{"/", "/custom"}
	}
	r := &rig{t: t, server: socketio.New(c, h)}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.addr = listener.Addr().String()
	front := &fasthttp.Server{
		Handler:           func(ctx *fasthttp.RequestCtx) { r.server.Serve(ctx, nil) },
		KeepHijackedConns: true,
		CloseOnShutdown:   true,
		Logger:            silent{},
	}
	served := make(chan error, 1)
	go func() { served <- front.Serve(listener) }()
	t.Cleanup(func() {
		r.server.Shutdown()
		ctx, cancel := context.WithTimeout(context.Background(), patience)
		defer cancel()
		if err := front.ShutdownWithContext(ctx); err != nil {
			t.Errorf("shut down: %v", err)
		}
		if err := <-served; err != nil {
			t.Errorf("serve: %v", err)
		}
		if n := r.server.Len(); n > 0 {
			t.Errorf("%d connections are left", n)
		}
	})
	return r
}

type silent struct{}

func (silent) Printf(string, ...any) {}

// eventually waits for a condition.
func (r *rig) eventually(what string, done func() bool) {
	r.t.Helper()
	for deadline := time.Now().Add(patience); !done(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			r.t.Fatalf("%s: not in %v", what, patience)
		}
	}
}

// empty waits until no connection is left.
func (r *rig) empty() {
	r.t.Helper()
	r.eventually("no connection is left", func() bool { return r.server.Len() == 0 })
}

// A peer is a client with a websocket that speaks the protocol by hand.
type peer struct {
	t    testing.TB
	eio  int
	conn net.Conn
	from io.Reader
}

// dial opens a websocket and takes the greeting of the engine.
func (r *rig) dial(eio int) *peer {
	r.t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), patience)
	defer cancel()
	conn, ahead, _, err := ws.Dial(ctx, fmt.Sprintf("ws://%s/socket.io/?EIO=%d&transport=websocket", r.addr, eio))
	if err != nil {
		r.t.Fatal(err)
	}
	p := &peer{t: r.t, eio: eio, conn: conn, from: conn}
	if ahead != nil {
		p.from = io.MultiReader(io.LimitReader(ahead, int64(ahead.Buffered())), conn)
	}
	r.t.Cleanup(func() { conn.Close() })
	if err := conn.SetDeadline(time.Now().Add(patience)); err != nil {
		r.t.Fatal(err)
	}
	if m := p.raw(); !strings.HasPrefix(m, "0{") {
		r.t.Fatalf("greeted with %q", m)
	}
	return p
}

// send sends what a client does: text, and byte strings.
func (p *peer) send(messages ...any) {
	p.t.Helper()
	for _, m := range messages {
		if err := p.write(m); err != nil {
			p.t.Fatalf("send %.100q: %v", m, err)
		}
	}
}

func (p *peer) write(message any) error {
	if data, ok := message.([]byte); ok {
		if p.eio == 3 {
			data = append([]byte{4}, data...)
		}
		return wsutil.WriteClientBinary(p.conn, data)
	}
	return wsutil.WriteClientText(p.conn, []byte(message.(string)))
}

// read reads a message of the websocket, byte strings as "bytes:…".
func (p *peer) read() (string, error) {
	rw := struct {
		io.Reader
		io.Writer
	}{p.from, p.conn}
	data, op, err := wsutil.ReadServerData(rw)
	if err != nil {
		return "", err
	}
	if op == ws.OpBinary {
		if p.eio == 3 {
			data = data[1:]
		}
		return "bytes:" + string(data), nil
	}
	return string(data), nil
}

func (p *peer) raw() string {
	p.t.Helper()
	m, err := p.read()
	if err != nil {
		p.t.Fatalf("read: %v", err)
	}
	return m
}

// next returns the next message that is no heartbeat.
func (p *peer) next() string {
	p.t.Helper()
	for {
		switch m := p.raw(); m {
		case "2":
			p.send("3")
		case "3":
		default:
			return m
		}
	}
}

// wants wants the next messages to be these.
func (p *peer) wants(messages ...string) {
	p.t.Helper()
	for _, want := range messages {
		if got := p.next(); got != want {
			p.t.Fatalf("got %.200q, want %.200q", got, want)
		}
	}
}

// joins wants the answer to a packet that joins a namespace, and returns the socket's id.
func (p *peer) joins(namespace string) string {
	p.t.Helper()
	head := "40"
	if namespace != "/" {
		head += namespace + ","
	}
	got := p.next()
	var body struct{ SID string }
	rest, ok := strings.CutPrefix(got, head)
	if !ok || json.Unmarshal([]byte(rest), &body) != nil || len(body.SID) != 20 || rest != `{"sid":"`+body.SID+`"}` {
		p.t.Fatalf("got %q, want %q and an id of 20 characters", got, head)
	}
	return body.SID
}

// isClosed wants the server to close the connection, and nothing more to come.
func (p *peer) isClosed() {
	p.t.Helper()
	for {
		switch m, err := p.read(); {
		case err == nil && (m == "2" || m == "1"): // a ping, or the packet that closes
		case err == nil:
			p.t.Fatalf("got %q, want the connection to be closed", m)
		default:
			if timeout, ok := err.(net.Error); ok && timeout.Timeout() {
				p.t.Fatalf("the connection is not closed: %v", err)
			}
			return
		}
	}
}

// A poller is a client that polls.
type poller struct {
	t      testing.TB
	url    string
	http   http.Client
	queued []string
}

// poll opens a session of revision 4 of the engine by polling.
func (r *rig) poll() *poller {
	r.t.Helper()
	p := &poller{t: r.t, url: "http://" + r.addr + "/socket.io/?EIO=4&transport=polling", http: http.Client{Timeout: patience}}
	r.t.Cleanup(p.http.CloseIdleConnections)
	status, body := p.request("GET", "")
	var greeting struct{ SID string }
	if status != 200 || json.Unmarshal([]byte(strings.TrimPrefix(body, "0")), &greeting) != nil {
		r.t.Fatalf("%d %s", status, body)
	}
	p.url += "&sid=" + greeting.SID
	return p
}

func (p *poller) request(method, body string) (int, string) {
	p.t.Helper()
	req, err := http.NewRequest(method, p.url, strings.NewReader(body))
	if err != nil {
		p.t.Fatal(err)
	}
	resp, err := p.http.Do(req)
	if err != nil {
		p.t.Fatal(err)
	}
	defer resp.Body.Close()
	answer, err := io.ReadAll(bufio.NewReader(resp.Body))
	if err != nil {
		p.t.Fatal(err)
	}
	return resp.StatusCode, string(answer)
}

// send posts packets.
func (p *poller) send(packets ...string) {
	p.t.Helper()
	if status, body := p.request("POST", strings.Join(packets, "\x1e")); status != 200 {
		p.t.Fatalf("%d %s", status, body)
	}
}

// next returns the next packet that is no heartbeat.
func (p *poller) next() string {
	p.t.Helper()
	for {
		for len(p.queued) == 0 {
			status, body := p.request("GET", "")
			if status != 200 {
				p.t.Fatalf("%d %s", status, body)
			}
			p.queued = strings.Split(body, "\x1e")
		}
		m := p.queued[0]
		p.queued = p.queued[1:]
		if m != "2" {
			return m
		}
		p.send("3")
	}
}

// echo does what the official tests of the protocol want of a server, and more.
type echo struct {
	t testing.TB

	mu    sync.Mutex
	conns []*socketio.Conn
	ends  []string // namespace and reason
}

func newEvent(t testing.TB, name string, args abi.Value) *socketio.Event {
	e, err := socketio.NewEvent(name, args)
	if err != nil {
		t.Errorf("%s: %v", name, err)
	}
	return e
}

// array returns an array of values.
func array(values ...abi.Value) abi.Value {
	var w abi.Writer
	w.FixedArray(len(values))
	for _, v := range values {
		w.Raw(v)
	}
	return w.Value()
}

func number(n int64) abi.Value {
	var w abi.Writer
	w.Int(n)
	return w.Value()
}

func (h *echo) Connect(c *socketio.Conn, auth abi.Value) {
	h.mu.Lock()
	h.conns = append(h.conns, c)
	h.mu.Unlock()
	if auth == nil {
		auth = abi.Value{0x80}
	}
	c.Emit(newEvent(h.t, "auth", array(auth)))
}

func (h *echo) Event(c *socketio.Conn, name string, args abi.Value, ack *socketio.Ack) {
	switch name {
	case "message":
		c.Emit(newEvent(h.t, "message-back", args))
	case "message-with-ack":
		if err := ack.Send(args); err != nil {
			h.t.Errorf("acknowledge: %v", err)
		}
	case "count":
		items := args.Items()
		items.Next()
		n, _ := items.Value().Int()
		for i := range min(n, 1000) {
			c.Emit(newEvent(h.t, "number", array(number(i))))
		}
	case "expel":
		c.Disconnect("expelled")
		c.Emit(newEvent(h.t, "late", array()))
	case "cut":
		c.Close("cut")
	}
}

func (h *echo) Disconnect(c *socketio.Conn, reason string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	h.ends = append(h.ends, c.Namespace()+" "+reason)
}

// conn returns the i-th connection that was made.
func (h *echo) conn(i int) *socketio.Conn {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.conns[i]
}

// ended returns how connections have ended.
func (h *echo) ended() []string {
	h.mu.Lock()
	defer h.mu.Unlock()
	return append([]string{}, h.ends...)
}

// left returns how many connections have not ended.
func (h *echo) left() int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return len(h.conns) - len(h.ends)
}

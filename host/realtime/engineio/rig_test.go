package engineio

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"runtime"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/gobwas/ws"
	"github.com/valyala/fasthttp"
)

// patience is how long a test waits for what must happen.
const patience = 10 * time.Second

// A recorder echoes messages, and keeps what it was told.
type recorder struct {
	onOpen    func(*Session)
	onMessage func(s *Session, data []byte, binary bool) // instead of the echo

	mu       sync.Mutex
	sessions map[string]*Session
	reasons  map[string]string
	messages map[string][]string
}

func newRecorder() *recorder {
	return &recorder{sessions: map[string]*Session{}, reasons: map[string]string{}, messages: map[string][]string{}}
}

func (r *recorder) Open(s *Session) {
	r.mu.Lock()
	r.sessions[s.ID()] = s
	r.mu.Unlock()
	if r.onOpen != nil {
		r.onOpen(s)
	}
}

func (r *recorder) Message(s *Session, data []byte, binary bool) {
	r.mu.Lock()
	r.messages[s.ID()] = append(r.messages[s.ID()], string(data))
	r.mu.Unlock()
	switch data = append([]byte(nil), data...); {
	case r.onMessage != nil:
		r.onMessage(s, data, binary)
	case binary:
		s.Send(Binary(data))
	default:
		s.Send(Text(data))
	}
}

func (r *recorder) Close(s *Session, reason string) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, twice := r.reasons[s.ID()]; twice {
		reason = "closed twice"
	}
	r.reasons[s.ID()] = reason
}

func (r *recorder) session(id string) *Session {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.sessions[id]
}

func (r *recorder) reason(id string) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.reasons[id]
}

func (r *recorder) heard(id string) []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string(nil), r.messages[id]...)
}

// wrapped is a connection in which the socket can only be found by NetConn.
type wrapped struct{ net.Conn }

func (w wrapped) NetConn() net.Conn { return w.Conn }

// opaque is a connection in which no socket can be found.
type opaque struct{ net.Conn }

type wrapping struct {
	net.Listener
	wrap func(net.Conn) net.Conn
}

func (w wrapping) Accept() (net.Conn, error) {
	c, err := w.Listener.Accept()
	if err != nil {
		return nil, err
	}
	return w.wrap(c), nil
}

// A rig is a server on a loopback address.
type rig struct {
	*recorder
	t      testing.TB
	server *Server
	addr   string
	gone   func() bool // for all polls
	client *http.Client
}

func start(t testing.TB, c Config) *rig { return startWith(t, c, nil) }

func startWith(t testing.TB, c Config, prepare func(*rig)) *rig {
	t.Helper()
	return startOn(t, c, func(c net.Conn) net.Conn { return wrapped{c} }, prepare)
}

func startOn(t testing.TB, c Config, wrap func(net.Conn) net.Conn, prepare func(*rig)) *rig {
	t.Helper()
	r := &rig{recorder: newRecorder(), t: t}
	if prepare != nil {
		prepare(r)
	}
	r.server = New(c, r)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	r.addr = l.Addr().String()
	transport := &http.Transport{MaxIdleConnsPerHost: 100}
	r.client = &http.Client{Transport: transport, Timeout: 2 * patience}
	host := &fasthttp.Server{
		Handler:           func(ctx *fasthttp.RequestCtx) { r.server.Serve(ctx, r.gone) },
		KeepHijackedConns: true,
		CloseOnShutdown:   true,
	}
	served := make(chan error, 1)
	go func() { served <- host.Serve(wrapping{l, wrap}) }()
	t.Cleanup(func() {
		r.server.Shutdown()
		transport.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), time.Second)
		defer cancel()
		_ = host.ShutdownWithContext(ctx) // connections that clients keep are none of ours
		if err := <-served; err != nil {
			t.Error(err)
		}
		r.nothingLeft()
	})
	return r
}

// nothingLeft waits until no goroutine of a session, or of a server, is left.
func (r *rig) nothingLeft() {
	r.t.Helper()
	stacks := func() string {
		b := make([]byte, 4<<20)
		return string(b[:runtime.Stack(b, true)])
	}
	ours := func() bool {
		s := stacks()
		for _, of := range []string{"engineio.(*Session)", "engineio.(*Server)", "engineio.(*socket)", "engineio.(*wheel)"} {
			if strings.Contains(s, of) {
				return true
			}
		}
		return false
	}
	for end := time.Now().Add(patience); ours(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(end) {
			r.t.Fatalf("goroutines are left:\n%s", stacks())
		}
	}
	if n := r.server.Len(); n != 0 {
		r.t.Fatalf("%d sessions are left", n)
	}
}

// until waits for a condition.
func until(t testing.TB, what string, ok func() bool) {
	t.Helper()
	for end := time.Now().Add(patience); !ok(); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("in vain waited until %s", what)
		}
	}
}

// ended waits for the end of a session.
func (r *rig) ended(id, reason string) {
	r.t.Helper()
	until(r.t, "the session has ended: "+reason, func() bool { return r.reason(id) != "" })
	if got := r.reason(id); got != reason {
		r.t.Fatalf("the session ended with %q, want %q", got, reason)
	}
}

// A response is what a request was answered with.
type response struct {
	status int
	body   string
	header http.Header
}

// do makes a request. The query starts behind "/engine.io/?".
func (r *rig) do(method, query, body string, header ...string) (response, error) {
	req, err := http.NewRequest(method, "http://"+r.addr+"/engine.io/?"+query, strings.NewReader(body))
	if err != nil {
		return response{}, err
	}
	for i := 0; i < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	res, err := r.client.Do(req)
	if err != nil {
		return response{}, err
	}
	defer res.Body.Close()
	b, err := io.ReadAll(res.Body)
	return response{res.StatusCode, string(b), res.Header}, err
}

func (r *rig) request(method, query, body string, header ...string) response {
	r.t.Helper()
	res, err := r.do(method, query, body, header...)
	if err != nil {
		r.t.Fatal(err)
	}
	return res
}

// expect checks a response.
func (r *rig) expect(res response, status int, body string) {
	r.t.Helper()
	if res.status != status || res.body != body {
		r.t.Fatalf("answered with %d %q, want %d %q", res.status, res.body, status, body)
	}
}

// A hello is what an open packet says.
type hello struct {
	ID           string   `json:"sid"`
	Upgrades     []string `json:"upgrades"`
	PingInterval int      `json:"pingInterval"`
	PingTimeout  int      `json:"pingTimeout"`
	MaxPayload   int      `json:"maxPayload"`
}

func parseHello(t testing.TB, packet string) hello {
	t.Helper()
	var h hello
	if !strings.HasPrefix(packet, "0") {
		t.Fatalf("got %q, want an open packet", packet)
	}
	if err := json.Unmarshal([]byte(packet[1:]), &h); err != nil {
		t.Fatalf("parse the open packet %q: %v", packet, err)
	}
	return h
}

// poll opens a session that polls, and returns the query of its requests and its id.
func (r *rig) poll(version int, extra ...string) (query, id string) {
	r.t.Helper()
	query = fmt.Sprintf("EIO=%d&transport=polling", version) + strings.Join(extra, "")
	res := r.request("GET", query, "")
	if res.status != 200 {
		r.t.Fatalf("opening a session was answered with %d %q", res.status, res.body)
	}
	body := res.body
	if version == 3 {
		_, body, _ = strings.Cut(body, ":")
	}
	id = parseHello(r.t, body).ID
	return query + "&sid=" + id, id
}

// background makes a request and returns where its answer will come.
func (r *rig) background(method, query, body string) <-chan response {
	c := make(chan response, 1)
	go func() {
		res, err := r.do(method, query, body)
		if err != nil {
			res.body = err.Error()
		}
		c <- res
	}()
	return c
}

// pending makes a poll and waits until it is pending.
func (r *rig) pending(query, id string) <-chan response {
	r.t.Helper()
	c := r.background("GET", query, "")
	s := r.session(id)
	until(r.t, "the poll is pending", func() bool {
		s.mu.Lock()
		defer s.mu.Unlock()
		return s.polled != nil
	})
	return c
}

// A wsClient is the client's side of a websocket.
type wsClient struct {
	net.Conn
	t  testing.TB
	br *bufio.Reader
}

// dial opens a websocket.
func (r *rig) dial(query string) *wsClient {
	r.t.Helper()
	c, err := dialSocket(r.addr, query)
	if err != nil {
		r.t.Fatalf("dial %s: %v", query, err)
	}
	c.t = r.t
	r.t.Cleanup(func() { c.Close() })
	return c
}

func dialSocket(addr, query string) (*wsClient, error) {
	d := ws.Dialer{Timeout: patience}
	conn, br, _, err := d.Dial(context.Background(), "ws://"+addr+"/engine.io/?"+query)
	if err != nil {
		return nil, err
	}
	if br == nil {
		br = bufio.NewReader(conn)
	}
	return &wsClient{Conn: conn, br: br}, nil
}

// open opens a session on a websocket.
func (r *rig) open(version int, extra ...string) (*wsClient, string) {
	r.t.Helper()
	c := r.dial(fmt.Sprintf("EIO=%d&transport=websocket", version) + strings.Join(extra, ""))
	id := parseHello(r.t, c.text()).ID
	until(r.t, "the session is open", func() bool { return r.session(id) != nil })
	return c, id
}

func (c *wsClient) frame(f ws.Frame) {
	c.t.Helper()
	if err := ws.WriteFrame(c.Conn, ws.MaskFrame(f)); err != nil {
		c.t.Fatalf("write a frame: %v", err)
	}
}

func (c *wsClient) send(text string)       { c.t.Helper(); c.frame(ws.NewTextFrame([]byte(text))) }
func (c *wsClient) sendBinary(data string) { c.t.Helper(); c.frame(ws.NewBinaryFrame([]byte(data))) }

func (c *wsClient) next() (ws.Frame, error) {
	if err := c.SetReadDeadline(time.Now().Add(patience)); err != nil {
		return ws.Frame{}, err
	}
	return ws.ReadFrame(c.br)
}

// read returns the payload of the next frame, which must be of this kind.
func (c *wsClient) read(op ws.OpCode) string {
	c.t.Helper()
	f, err := c.next()
	if err != nil {
		c.t.Fatalf("read a frame: %v", err)
	}
	if f.Header.OpCode != op {
		c.t.Fatalf("got a frame of kind %x with %q, want kind %x", f.Header.OpCode, f.Payload, op)
	}
	return string(f.Payload)
}

func (c *wsClient) text() string { c.t.Helper(); return c.read(ws.OpText) }

func (c *wsClient) expect(text string) {
	c.t.Helper()
	if got := c.text(); got != text {
		c.t.Fatalf("got %q, want %q", got, text)
	}
}

// closed expects a close frame and then the end of the connection.
func (c *wsClient) closed(code ws.StatusCode) {
	c.t.Helper()
	for {
		f, err := c.next()
		if err != nil {
			c.t.Fatalf("read a close frame: %v", err)
		}
		if f.Header.OpCode != ws.OpClose {
			continue // what was sent before
		}
		if got, reason := ws.ParseCloseFrameData(f.Payload); got != code {
			c.t.Fatalf("closed with %d %q, want %d", got, reason, code)
		}
		_ = ws.WriteFrame(c.Conn, ws.MaskFrame(f)) // as it should; it may be closed already
		break
	}
	// A server that has closed already resets what it is sent.
	if _, err := c.next(); !errors.Is(err, io.EOF) && !errors.Is(err, syscall.ECONNRESET) {
		c.t.Fatalf("got %v behind the close frame, want the end", err)
	}
}

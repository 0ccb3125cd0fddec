package engineio

import (
	"bufio"
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"errors"
	"fmt"
	"math/big"
	"net"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/gobwas/ws"
)

func TestAWebsocketHandshakeGreets(t *testing.T) {
	r := start(t, Config{})
	c := r.dial("EIO=4&transport=websocket")
	packet := c.text()
	h := parseHello(t, packet)
	if len(h.ID) != 20 || !strings.Contains(packet, `"upgrades":[]`) || h.PingInterval != 25000 || h.PingTimeout != 20000 {
		t.Fatalf("greeted with %s", packet)
	}
	if res := r.request("GET", "EIO=4&transport=polling&sid="+h.ID, ""); res.status != 400 {
		t.Errorf("polling a session on a websocket was answered with %d", res.status)
	}
	if _, err := dialSocket(r.addr, "EIO=4&transport=websocket&sid=nobody"); err == nil {
		t.Error("a websocket was opened for a session that does not exist")
	}
}

func TestPacketsGoBothWaysByWebsocket(t *testing.T) {
	for _, kind := range []struct {
		name string
		wrap func(net.Conn) net.Conn
	}{
		{"written by who sends", func(c net.Conn) net.Conn { return wrapped{c} }},
		{"written by a goroutine", func(c net.Conn) net.Conn { return opaque{c} }},
	} {
		t.Run(kind.name, func(t *testing.T) {
			r := startOn(t, Config{}, kind.wrap, nil)
			large := strings.Repeat("x", 300_000)
			c, _ := r.open(4)
			for _, text := range []string{"4hello", "4", "4€", "4" + large} {
				c.send(text)
				c.expect(text)
			}
			c.sendBinary("\x01\x02\x03")
			if got := c.read(ws.OpBinary); got != "\x01\x02\x03" {
				t.Errorf("got %q", got)
			}
			c.send("bAQID")
			if got := c.read(ws.OpBinary); got != "\x01\x02\x03" {
				t.Errorf("got %q for base64", got)
			}

			c, _ = r.open(3)
			c.sendBinary("\x04\x01\x02")
			if got := c.read(ws.OpBinary); got != "\x04\x01\x02" {
				t.Errorf("got %q in revision 3", got)
			}
			c.send("2abc")
			c.expect("3abc")

			c, _ = r.open(4, "&b64=1")
			c.sendBinary("\x01\x02\x03\x04")
			c.expect("bAQIDBA==")
			c, _ = r.open(3, "&b64=1")
			c.send("b4AQIDBA==")
			c.expect("b4AQIDBA==")
		})
	}
}

func TestNothingComesInBetweenASequence(t *testing.T) {
	r := start(t, Config{})
	c, id := r.open(4)
	s := r.session(id)
	done := make(chan bool)
	for range 2 {
		go func() {
			defer func() { done <- true }()
			for range 100 {
				s.Send(Sequence(Text([]byte("a")), Binary([]byte("b"))))
			}
		}()
	}
	for range 200 {
		c.expect("4a")
		if got := c.read(ws.OpBinary); got != "b" {
			t.Fatalf("got %q", got)
		}
	}
	<-done
	<-done
}

func TestAMessageMayComeInFragments(t *testing.T) {
	r := start(t, Config{MaxPayload: 10})
	c, _ := r.open(4)
	c.frame(ws.NewFrame(ws.OpText, false, []byte("4he")))
	c.frame(ws.NewPingFrame([]byte("between")))
	c.frame(ws.NewFrame(ws.OpContinuation, false, nil))
	c.frame(ws.NewFrame(ws.OpContinuation, true, []byte("llo €")[:2]))
	if got := c.read(ws.OpPong); got != "between" {
		t.Fatalf("the ping was answered with %q", got)
	}
	c.expect("4hell")
	c.frame(ws.NewFrame(ws.OpText, false, []byte("4234567")))
	c.frame(ws.NewFrame(ws.OpContinuation, true, []byte("8901")))
	c.closed(ws.StatusMessageTooBig)
}

func TestABadFrameClosesTheWebsocket(t *testing.T) {
	masked := func(f ws.Frame) []byte { return ws.MustCompileFrame(ws.MaskFrame(f)) }
	for name, c := range map[string]struct {
		bytes []byte
		code  ws.StatusCode
	}{
		"a bad packet":              {masked(ws.NewTextFrame([]byte("abc"))), ws.StatusProtocolError},
		"an empty packet":           {masked(ws.NewTextFrame(nil)), ws.StatusProtocolError},
		"a ping of the client":      {masked(ws.NewTextFrame([]byte("2"))), ws.StatusProtocolError},
		"no mask":                   {ws.MustCompileFrame(ws.NewTextFrame([]byte("4a"))), ws.StatusProtocolError},
		"a reserved bit":            {[]byte{0xc1, 0x80, 0, 0, 0, 0}, ws.StatusProtocolError},
		"a reserved operation":      {[]byte{0x83, 0x80, 0, 0, 0, 0}, ws.StatusProtocolError},
		"a continuation of nothing": {[]byte{0x80, 0x80, 0, 0, 0, 0}, ws.StatusProtocolError},
		"a control frame in parts":  {[]byte{0x09, 0x80, 0, 0, 0, 0}, ws.StatusProtocolError},
		"a long control frame":      {[]byte{0x89, 0xfe, 0, 200, 0, 0, 0, 0}, ws.StatusProtocolError},
		"a length in a long form":   {[]byte{0x81, 0xfe, 0, 5, 0, 0, 0, 0}, ws.StatusProtocolError},
		"a negative length":         {[]byte{0x81, 0xff, 0xff, 0, 0, 0, 0, 0, 0, 5, 0, 0, 0, 0}, ws.StatusProtocolError},
		"a huge length":             {[]byte{0x81, 0xff, 0, 0, 0, 1, 0, 0, 0, 0, 0, 0, 0, 0}, ws.StatusMessageTooBig},
		"text that is not UTF-8":    {masked(ws.NewTextFrame([]byte("4\xff"))), ws.StatusInvalidFramePayloadData},
		"a bad close code":          {masked(ws.NewCloseFrame(ws.NewCloseFrameBody(1005, ""))), ws.StatusProtocolError},
	} {
		t.Run(name, func(t *testing.T) {
			r := start(t, Config{})
			conn, id := r.open(4)
			if _, err := conn.Write(c.bytes); err != nil {
				t.Fatal(err)
			}
			conn.closed(c.code)
			conn.Close()
			r.ended(id, TransportError)
		})
	}
}

func TestAClientClosesItsWebsocket(t *testing.T) {
	r := start(t, Config{})
	c, id := r.open(4)
	c.frame(ws.NewCloseFrame(ws.NewCloseFrameBody(4001, "bye")))
	c.closed(4001)
	r.ended(id, TransportClose)

	c, id = r.open(4)
	c.frame(ws.NewCloseFrame(nil))
	c.closed(1000)
	r.ended(id, TransportClose)

	c, id = r.open(4)
	c.send("1")
	c.closed(1000)
	r.ended(id, TransportClose)

	c, id = r.open(4)
	c.Close()
	r.ended(id, TransportClose)

	c, id = r.open(4)
	if err := c.Conn.(*net.TCPConn).SetLinger(0); err != nil {
		t.Fatal(err)
	}
	c.Close() // resets it
	r.ended(id, TransportClose)
}

func TestTheServerClosesAWebsocket(t *testing.T) {
	r := start(t, Config{})
	c, id := r.open(4)
	r.session(id).Close("banned")
	r.ended(id, "banned")
	f, err := c.next()
	if code, reason := ws.ParseCloseFrameData(f.Payload); err != nil || code != 1000 || reason != "banned" {
		t.Errorf("closed with %d %q, %v", code, reason, err)
	}
	r.session(id).Send(Text([]byte("late")))
	r.session(id).Close("again")

	c, id = r.open(4)
	r.session(id).Send(Text([]byte("kept")))
	r.session(id).Finish("done")
	c.expect("4kept")
	c.closed(1000)
	r.ended(id, "done")
}

func TestAHandlerMayCloseTheSessionItIsToldOf(t *testing.T) {
	r := startWith(t, Config{}, func(r *rig) {
		r.onMessage = func(s *Session, _ []byte, _ bool) { s.Close("enough") }
	})
	c, id := r.open(4)
	c.send("4a")
	c.send("4b")
	c.closed(1000)
	r.ended(id, "enough")
	if n := len(r.heard(id)); n != 1 {
		t.Errorf("%d messages came", n)
	}
	query, id := r.poll(4)
	r.expect(r.request("POST", query, "4a\x1e4b"), 200, "ok")
	r.ended(id, "enough")
	if n := len(r.heard(id)); n != 1 {
		t.Errorf("%d messages came by polling", n)
	}
}

// narrow makes the kernel keep little of what is written.
func narrow(c net.Conn) net.Conn {
	_ = c.(*net.TCPConn).SetWriteBuffer(4 << 10)
	return wrapped{c}
}

func TestWhatTheKernelDoesNotTakeWaitsInOrder(t *testing.T) {
	for name, wrap := range map[string]func(net.Conn) net.Conn{
		"a socket": narrow, "no socket": func(c net.Conn) net.Conn { return opaque{c} },
	} {
		t.Run(name, func(t *testing.T) {
			r := startOn(t, Config{MaxBuffered: 64 << 20}, wrap, nil)
			c, id := r.open(4)
			s := r.session(id)
			const n = 400
			filler := strings.Repeat("x", 20_000)
			for i := range n {
				s.Send(Text(fmt.Appendf(nil, "%d %s", i, filler)))
			}
			s.Finish("done")
			for i := range n {
				if got, want := c.text(), fmt.Sprintf("4%d x", i); !strings.HasPrefix(got, want) || len(got) < len(filler) {
					t.Fatalf("got %.20q, want %q", got, want)
				}
			}
			c.closed(1000)
			r.ended(id, "done")
		})
	}
}

func TestAClientThatDoesNotReadIsTooSlow(t *testing.T) {
	r := startOn(t, Config{MaxBuffered: 100_000}, narrow, nil)
	c, id := r.open(4)
	s := r.session(id)
	m := Text(bytes.Repeat([]byte("x"), 10_000))
	until(t, "it is too slow", func() bool {
		s.Send(m)
		return r.reason(id) != ""
	})
	r.ended(id, TooSlow)
	c.closed(ws.StatusPolicyViolation) // it reads after all
}

func TestAWebsocketSendsWithoutAllocating(t *testing.T) {
	r := start(t, Config{})
	c, id := r.open(4)
	go func() {
		b := make([]byte, 64<<10)
		for {
			if _, err := c.Conn.Read(b); err != nil {
				return
			}
		}
	}()
	s, m := r.session(id), Text([]byte("hello"))
	s.Send(m)
	if n := testing.AllocsPerRun(100, func() { s.Send(m) }); n > 0 {
		t.Errorf("a message takes %v allocations", n)
	}
}

func TestShutdownClosesAllSessions(t *testing.T) {
	r := start(t, Config{})
	c, socketID := r.open(4)
	query, pollID := r.poll(4)
	poll := r.pending(query, pollID)
	_, idleID := r.poll(3)
	closed := make(chan bool)
	go func() {
		defer close(closed)
		c.closed(ws.StatusGoingAway)
		c.Close()
	}()
	r.server.Shutdown()
	for _, id := range []string{socketID, pollID, idleID} {
		if got := r.reason(id); got != ShuttingDown {
			t.Errorf("a session ended with %q", got)
		}
	}
	r.expect(<-poll, 200, "1")
	<-closed
	if res := r.request("GET", "EIO=4&transport=polling", ""); res.status != 503 {
		t.Errorf("a handshake was answered with %d", res.status)
	}
	if _, err := dialSocket(r.addr, "EIO=4&transport=websocket"); err == nil {
		t.Error("a websocket was opened")
	}
	r.server.Shutdown() // once more does nothing
}

func TestBytesAreNeverWrittenBelowTLS(t *testing.T) {
	a, b := net.Pipe()
	defer a.Close()
	defer b.Close()
	secure := tls.Server(a, &tls.Config{})
	for _, c := range []net.Conn{secure, wrapped{secure}} {
		if rawConn(c) != nil {
			t.Errorf("%T: a socket was found", c)
		}
	}
	if halfCloser(wrapped{secure}) != any(secure) {
		t.Error("TLS is not closed by itself")
	}
}

func TestAWebsocketWorksOverTLS(t *testing.T) {
	config := &tls.Config{Certificates: []tls.Certificate{certificate(t)}}
	r := startOn(t, Config{}, func(c net.Conn) net.Conn { return tls.Server(c, config) }, nil)
	d := ws.Dialer{Timeout: patience, TLSConfig: &tls.Config{InsecureSkipVerify: true}}
	conn, br, _, err := d.Dial(context.Background(), "wss://"+r.addr+"/engine.io/?EIO=4&transport=websocket")
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	c := &wsClient{conn, t, br}
	if br == nil {
		c.br = bufio.NewReader(conn)
	}
	id := parseHello(t, c.text()).ID
	for _, text := range []string{"4a", "4" + strings.Repeat("x", 100_000), "4b"} {
		c.send(text)
		c.expect(text)
	}
	r.session(id).Close("")
	c.closed(1000)
	r.ended(id, ForcedClose)
}

// certificate makes a certificate that nobody trusts.
func certificate(t *testing.T) tls.Certificate {
	t.Helper()
	key, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		t.Fatal(err)
	}
	template := &x509.Certificate{SerialNumber: big.NewInt(1), NotAfter: time.Now().Add(time.Hour)}
	der, err := x509.CreateCertificate(rand.Reader, template, template, &key.PublicKey, key)
	if err != nil {
		t.Fatal(err)
	}
	return tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}
}

func TestFramesSentWithTheHandshakeAreRead(t *testing.T) {
	r := start(t, Config{})
	conn, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	request := "GET /engine.io/?EIO=4&transport=websocket HTTP/1.1\r\nHost: a\r\nConnection: keep-alive, Upgrade\r\n" +
		"Upgrade: WebSocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\r\n"
	early := ws.MustCompileFrame(ws.MaskFrame(ws.NewTextFrame([]byte("4" + strings.Repeat("early", 300)))))
	if _, err := conn.Write(append([]byte(request), early[:len(early)-1]...)); err != nil {
		t.Fatal(err)
	}
	var got []byte
	b := make([]byte, 4096)
	read := func(what string) {
		t.Helper()
		for !bytes.Contains(got, []byte(what)) {
			_ = conn.SetReadDeadline(time.Now().Add(patience))
			n, err := conn.Read(b)
			if err != nil {
				t.Fatalf("got %q and then %v", got, err)
			}
			got = append(got, b[:n]...)
		}
	}
	read("maxPayload")
	// The example of RFC 6455.
	if !bytes.Contains(got, []byte("Sec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n")) {
		t.Errorf("answered with %q", got)
	}
	if _, err := conn.Write(early[len(early)-1:]); err != nil {
		t.Fatal(err)
	}
	read(strings.Repeat("early", 300))
}

func TestAFrameThatIsAnnouncedTakesNoMemory(t *testing.T) {
	c := &socket{server: New(Config{}, newRecorder())}
	defer c.server.Shutdown()
	c.conn = deadConn{bytes: []byte{0x81, 0xff, 0, 0, 0, 0, 0, 15, 0, 0, 1, 2, 3, 4}}
	if _, _, err := c.frame(); !errors.Is(err, syscall.ECONNRESET) {
		t.Fatalf("got %v", err)
	}
	if len(c.buf) > readBuffer {
		t.Errorf("%d bytes were allocated for a header", len(c.buf))
	}
}

// A deadConn gives some bytes and then nothing more.
type deadConn struct {
	net.Conn
	bytes []byte
}

func (d deadConn) Read(b []byte) (int, error) {
	if len(b) == 16 {
		return copy(b, d.bytes), nil
	}
	return 0, syscall.ECONNRESET
}

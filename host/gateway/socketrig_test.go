package gateway

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/host/deploy"
	"github.com/gobwas/ws"
	"github.com/gobwas/ws/wsutil"
)

// chat is a deployment of the plugin whose clients keep connections open.
func chat() deploy.Spec {
	return deploy.Spec{Name: "test", Hosts: []string{"*"}, Plugins: []deploy.PluginSpec{
		{Name: "guard", Source: "embedded:guard", Grants: []string{"kv"}},
		{Name: "chat", Source: "embedded:chat", Grants: []string{"kv", "events"}},
	}}
}

// A talk is a client of socket.io, connected by WebSocket.
type talk struct {
	t    testing.TB
	conn io.ReadWriteCloser
	id   string
	acks int
}

// heard is an event, or an acknowledgement, whose name is "ack".
type heard struct {
	name string
	args string // JSON
}

const patience5s = 5 * time.Second

// connect opens a socket at a path.
func (r *rig) connect(path string, headers ...string) *talk {
	r.t.Helper()
	header := http.Header{}
	for i := 0; i < len(headers); i += 2 {
		header.Set(headers[i], headers[i+1])
	}
	ctx, cancel := context.WithTimeout(r.t.Context(), patience5s)
	defer cancel()
	dialer := ws.Dialer{Header: ws.HandshakeHeaderHTTP(header)}
	conn, buffered, _, err := dialer.Dial(ctx, "ws://"+r.addr+path+"?EIO=4&transport=websocket")
	if err != nil {
		r.t.Fatal(err)
	}
	c := &talk{t: r.t, conn: conn}
	if buffered != nil {
		c.conn = struct {
			io.Reader
			io.WriteCloser
		}{io.MultiReader(io.LimitReader(buffered, int64(buffered.Buffered())), conn), conn}
	}
	r.t.Cleanup(func() { _ = conn.Close() }) // it may be closed already
	if open := c.packet(); !strings.HasPrefix(open, "0{") {
		r.t.Fatalf("the handshake is %q", open)
	}
	c.send("40")
	var joined struct{ Sid string }
	answer := c.packet()
	if err := json.Unmarshal([]byte(strings.TrimPrefix(answer, "40")), &joined); err != nil || joined.Sid == "" {
		r.t.Fatalf("CONNECT is answered with %q", answer)
	}
	c.id = joined.Sid
	return c
}

func (c *talk) send(packet string) {
	c.t.Helper()
	if err := wsutil.WriteClientText(c.conn, []byte(packet)); err != nil {
		c.t.Fatal(err)
	}
}

// packet returns the next packet; "" at the end of the connection.
func (c *talk) packet() string {
	c.t.Helper()
	if d, ok := c.conn.(interface{ SetReadDeadline(time.Time) error }); ok {
		if err := d.SetReadDeadline(time.Now().Add(patience5s)); err != nil {
			c.t.Fatal(err)
		}
	}
	b, _, err := wsutil.ReadServerData(c.conn)
	if err != nil {
		return ""
	}
	return string(b)
}

// next returns the next event or acknowledgement.
func (c *talk) next() heard {
	c.t.Helper()
	for {
		switch p := c.packet(); {
		case p == "2": // ping
			c.send("3")
		case strings.HasPrefix(p, "42"):
			var args []json.RawMessage
			var name string
			if err := json.Unmarshal([]byte(p[2:]), &args); err != nil || json.Unmarshal(args[0], &name) != nil {
				c.t.Fatalf("packet %q", p)
			}
			var list []string
			for _, a := range args[1:] {
				list = append(list, string(a))
			}
			return heard{name, strings.Join(list, ",")}
		case strings.HasPrefix(p, "43"):
			return heard{"ack", strings.TrimLeft(p[2:], "0123456789")}
		default:
			return heard{name: "end: " + p}
		}
	}
}

// wants waits for something that the client hears, and fails on anything else.
func (c *talk) wants(name, args string) {
	c.t.Helper()
	if got := c.next(); got.name != name || got.args != args {
		c.t.Fatalf("heard %s %s, want %s %s", got.name, got.args, name, args)
	}
}

// silent checks that nothing was sent before what answers a greeting.
func (c *talk) silent() {
	c.t.Helper()
	c.emit("greet", `"you"`)
	c.wants("note", `"greeted you"`)
}

// emit sends an event.
func (c *talk) emit(name, args string) { c.t.Helper(); c.send(fmt.Sprintf("42[%q,%s]", name, args)) }

// ask sends an event that is to be acknowledged.
func (c *talk) ask(name, args string) {
	c.t.Helper()
	c.acks++
	c.send(fmt.Sprintf("42%d[%q,%s]", c.acks, name, args))
}

// A tail is a client of Server-Sent Events.
type tail struct {
	t      testing.TB
	header http.Header
	body   io.ReadCloser
	lines  *bufio.Reader
}

// tail opens a stream.
func (r *rig) tail(path string, headers ...string) *tail {
	r.t.Helper()
	req, err := http.NewRequestWithContext(r.t.Context(), "GET", "http://"+r.addr+path, nil)
	if err != nil {
		r.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultTransport.RoundTrip(req)
	if err != nil {
		r.t.Fatal(err)
	}
	r.t.Cleanup(func() { resp.Body.Close() })
	if resp.StatusCode != 200 || resp.Header.Get("Content-Type") != "text/event-stream" {
		b, _ := io.ReadAll(resp.Body)
		r.t.Fatalf("%d %v %s", resp.StatusCode, resp.Header, b)
	}
	return &tail{r.t, resp.Header, resp.Body, bufio.NewReader(resp.Body)}
}

// next returns the next event, as "name id data"; "end" at the end.
func (s *tail) next() string {
	s.t.Helper()
	late := time.AfterFunc(patience5s, func() { s.body.Close() })
	defer func() {
		if !late.Stop() {
			s.t.Error("nothing came for too long")
		}
	}()
	var name, id, data string
	for {
		line, err := s.lines.ReadString('\n')
		if err != nil {
			return "end"
		}
		field, value, _ := strings.Cut(strings.TrimSuffix(line, "\n"), ": ")
		switch field {
		case "event":
			name = value
		case "id":
			id = value
		case "data":
			data = value
		case "":
			if name != "" {
				return name + " " + id + " " + data
			}
		}
	}
}

func (s *tail) wants(event string) {
	s.t.Helper()
	if got := s.next(); got != event {
		s.t.Fatalf("got %s, want %s", got, event)
	}
}

package guesttest

import (
	"fmt"
	"slices"

	"github.com/edgeset/edgeset/abi"
)

// A Connection is a socket or a stream of a client, as a plugin reaches it.
type Connection struct {
	ID string
	// Received is what it was sent, in order. A test may empty it.
	Received []Event
	// Closed says why it was ended, "" while it is open.
	Closed string

	c          *Client
	path       string
	rooms      []string
	subscribed bool
	filters    [][]string
}

// An Event is one that a connection was sent.
type Event struct {
	Name string
	ID   string
	Args []any // as encoding/json decodes them
}

// Connect opens a socket at a path that the plugin has declared.
func (c *Client) Connect(path string) *Connection {
	c.t.Helper()
	for _, s := range c.plugin.Description().Sockets {
		if s.Path == path {
			return c.Host.open(c, path)
		}
	}
	c.t.Fatalf("guesttest: the plugin has no socket at %q", path)
	return nil
}

func (h *Host) open(c *Client, path string) *Connection {
	h.opened++
	conn := &Connection{ID: fmt.Sprintf("connection-%d", h.opened), c: c, path: path}
	h.connections = append(h.connections, conn)
	return conn
}

// Close ends the connection, as its client would.
func (conn *Connection) Close() {
	h := conn.c.Host
	h.connections = slices.DeleteFunc(h.connections, func(other *Connection) bool { return other == conn })
	conn.Closed = "client"
}

// Emit sends an event with its arguments, a JSON array, on behalf of caller, or, if
// that is nil, of the client's Caller. The response is the acknowledgement, or the
// error: a caller that the event does not take is refused as by the host.
func (conn *Connection) Emit(name, args string, caller *abi.Caller) *Response {
	c := conn.c
	c.t.Helper()
	if caller == nil {
		caller = &c.Caller
	}
	number := 0
	for _, s := range c.plugin.Description().Sockets {
		for _, e := range s.Events {
			if s.Path != conn.path || e.Name != name {
				number++
				continue
			}
			if len(e.Auth) > 0 && !slices.Contains(e.Auth, caller.Proof) {
				return c.failure(&abi.Error{Status: 401, Code: "unauthenticated", Message: "no credential"}, s.Family)
			}
			body, err := parseJSON(args)
			if err != nil {
				c.t.Fatalf("guesttest: arguments %q: %v", args, err)
			}
			f := abi.Request{
				Kind: abi.CallEvent, Route: number, BodyKind: abi.BodyValue, Body: body, Connection: conn.ID,
				Time: c.Host.Now.UnixMicro(), Remote: "127.0.0.1", ID: "test", BaseURL: "http://edge.test",
			}
			if len(e.Auth) > 0 {
				f.Caller = *caller
			}
			return c.do(&f, false, s.Family)
		}
	}
	c.t.Fatalf("guesttest: the plugin takes no event %q at %q", name, conn.path)
	return nil
}

// Publish implements abi.Host.
func (x *txn) Publish(message abi.Value) error {
	if x.readOnly {
		return abi.ErrReadOnly
	}
	x.said += len(message)
	if len(x.messages) == abi.MaxMessages || x.said > abi.MaxMessageSize {
		return abi.ErrTooLarge
	}
	m, err := abi.ReadMessage(slices.Clone(message))
	if err != nil {
		x.t.Logf("guesttest: publish: %v", err)
		return abi.ErrArgument
	}
	if m.Op == abi.OpSubscribe {
		if x.subscribed {
			return abi.ErrArgument
		}
		x.subscribed = true
	}
	x.messages = append(x.messages, m)
	return nil
}

// apply has a message take effect.
func (h *Host) apply(m *abi.Message) {
	for _, conn := range slices.Clone(h.connections) {
		if !conn.in(m.To) {
			continue
		}
		switch m.Op {
		case abi.OpEmit:
			if conn.in(m.Except) {
				continue
			}
			for _, e := range m.Events {
				if conn.wants(e.Labels) {
					args, _ := decode(e.Args).([]any)
					conn.Received = append(conn.Received, Event{e.Name, e.ID, args})
				}
			}
		case abi.OpJoin:
			conn.rooms = append(conn.rooms, m.Rooms...)
		case abi.OpLeave:
			conn.rooms = slices.DeleteFunc(conn.rooms, func(r string) bool { return slices.Contains(m.Rooms, r) })
		case abi.OpDisconnect:
			conn.Close()
			conn.Closed = m.Reason
		case abi.OpSubscribe:
			conn.subscribed = true
			conn.rooms, conn.filters = slices.Clone(m.Rooms), m.Filters
		}
	}
}

func (conn *Connection) in(rooms []string) bool {
	return slices.ContainsFunc(rooms, func(r string) bool { return r == conn.ID || slices.Contains(conn.rooms, r) })
}

func (conn *Connection) wants(labels []string) bool {
	return conn.filters == nil || len(labels) == 0 || slices.ContainsFunc(conn.filters, func(f []string) bool {
		return slices.EqualFunc(f, labels, func(want, is string) bool { return want == "*" || want == is })
	})
}

package socketio

import (
	"crypto/rand"
	"encoding/base64"
	"sync/atomic"

	"github.com/edgeset/edgeset/host/realtime/engineio"
)

// A Conn is a client in a namespace. Its methods may be called by any goroutine.
type Conn struct {
	client    *client
	namespace *namespace
	id        string
	left      atomic.Bool // changes under client.mu

	// All under client.mu.
	busy   bool   // a call of the Handler runs for it
	reason string // why it has left
	value  any
}

// newID returns 20 random characters.
func newID() string {
	var random [15]byte
	_, _ = rand.Read(random[:]) // never fails: crypto/rand ends the process instead
	return base64.RawURLEncoding.EncodeToString(random[:])
}

// ID returns the socket's id, which the client is told in revision 5. It is another
// one in each namespace.
func (c *Conn) ID() string { return c.id }

// Namespace returns the name of the namespace.
func (c *Conn) Namespace() string { return c.namespace.name }

// Peer returns what is known of the request that has opened the connection: see
// engineio.Config.
func (c *Conn) Peer() any { return c.client.session.Peer() }

// Value returns what SetValue has attached.
func (c *Conn) Value() any {
	c.client.mu.Lock()
	defer c.client.mu.Unlock()
	return c.value
}

// SetValue attaches what the Handler keeps of the connection.
func (c *Conn) SetValue(v any) {
	c.client.mu.Lock()
	defer c.client.mu.Unlock()
	c.value = v
}

// Emit sends an event. It never blocks, and does nothing after the client has left.
func (c *Conn) Emit(e *Event) {
	if !c.left.Load() {
		c.client.session.Send(e.in(c.namespace.name))
	}
}

// send sends a packet, unless the client has left.
func (c *Conn) send(m *engineio.Message) {
	if !c.left.Load() {
		c.client.session.Send(m)
	}
}

// Disconnect makes the client leave the namespace, and closes the connection if it
// was the client's last one. Clients do not come back from that by themselves.
func (c *Conn) Disconnect(reason string) { c.client.expel(c, reason) }

// Close closes the connection at once, with all namespaces on it. Clients connect
// again after that.
func (c *Conn) Close(reason string) { c.client.session.Close(reason) }

// leave marks c as left, and tells whether its caller is to tell the Handler. It is
// not if the Handler was told before, or if a call of it runs: the goroutine of that
// call does it then. Its caller holds client.mu.
func (c *Conn) leave(reason string) (tell bool) {
	if c.left.Load() {
		return false
	}
	c.left.Store(true)
	c.reason = reason
	return !c.busy
}

// begin announces a call of the Handler. There is none after the client has left.
func (c *Conn) begin() bool {
	c.client.mu.Lock()
	defer c.client.mu.Unlock()
	c.busy = !c.left.Load()
	return c.busy
}

// end ends a call of the Handler.
func (c *Conn) end() {
	c.client.mu.Lock()
	c.busy = false
	left, reason := c.left.Load(), c.reason
	c.client.mu.Unlock()
	if left {
		c.client.server.handler.Disconnect(c, reason)
	}
}

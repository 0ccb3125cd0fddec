package socketio

import (
	"fmt"
	"sync"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/realtime/engineio"
	"github.com/edgeset/edgeset/host/text"
)

// maxRoom is how large a buffer for the values of packets is kept.
const maxRoom = 64 << 10

// A client is a session of the engine with the namespaces that it has joined.
//
// No lock is held while the Handler or the session is called.
type client struct {
	server  *Server
	session *engineio.Session

	pending *pending // belongs to who handles the session; nil: no attachment is due

	mu    sync.Mutex
	conns []*Conn // also those that the server has ended, until the client joins again
	timer *time.Timer
	ended bool
}

// A pending packet waits for its attachments.
type pending struct {
	packet packet
	value  abi.Value
	parts  [][]byte
	size   int
}

// revision returns the revision of the protocol that the client speaks.
func (cl *client) revision() revision {
	if cl.session.Version() == 3 {
		return revision4
	}
	return revision5
}

// open begins. A client of revision 4 is in "/" without asking.
func (cl *client) open() {
	if cl.revision() == revision4 {
		if n := cl.server.namespace("/"); n != nil {
			cl.join(n, nil)
			return
		}
	}
	cl.mu.Lock()
	cl.wait()
	cl.mu.Unlock()
}

// wait gives the client time to join a namespace. Its caller holds mu.
func (cl *client) wait() {
	if !cl.ended && cl.timer == nil {
		cl.timer = time.AfterFunc(cl.server.connectTimeout, cl.expire)
	}
}

// expire closes a client that is still in no namespace.
func (cl *client) expire() {
	cl.mu.Lock()
	waits := cl.timer != nil
	cl.mu.Unlock()
	if waits {
		cl.session.Close(engineio.ForcedClose)
	}
}

// receive takes a message of the engine. One that is no packet, or no packet that a
// client may send now, closes the session.
func (cl *client) receive(data []byte, binary bool) {
	var err error
	if binary {
		err = cl.receiveAttachment(data)
	} else {
		err = cl.receivePacket(data)
	}
	if err != nil {
		cl.server.log.Debug("bad socket.io packet", "peer", cl.session.Peer(), "error", err)
		cl.session.Close(BrokenPacket)
	}
}

func (cl *client) receivePacket(data []byte) error {
	if cl.pending != nil {
		return fmt.Errorf("packet while attachments are due: want %d more", cl.pending.packet.attachments-len(cl.pending.parts))
	}
	p, err := parsePacket(data, cl.revision(), cl.server.maxAttachments)
	if err != nil {
		return err
	}
	if p.attachments > 0 {
		v, err := p.value(nil)
		if err != nil {
			return err
		}
		p.query, p.payload = nil, nil // they end with the call
		cl.pending = &pending{packet: p, value: v, size: len(data)}
		return nil
	}
	room := cl.server.rooms.Get().(*[]byte)
	v, err := p.value((*room)[:0])
	if err == nil {
		err = cl.handle(&p, v)
	}
	if cap(v) > cap(*room) {
		*room = v[:0]
	}
	// A rare large packet shall not make a buffer large for good.
	if cap(*room) <= maxRoom {
		cl.server.rooms.Put(room)
	}
	return err
}

func (cl *client) receiveAttachment(data []byte) error {
	w := cl.pending
	if w == nil {
		return fmt.Errorf("attachment of %d bytes: want a packet that announces it", len(data))
	}
	if w.size += len(data); w.size > cl.server.maxPayload {
		return fmt.Errorf("packet of %d bytes with its attachments: want %d at most", w.size, cl.server.maxPayload)
	}
	w.parts = append(w.parts, append([]byte{}, data...))
	if len(w.parts) < w.packet.attachments {
		return nil
	}
	cl.pending = nil
	v, err := attach(w.value, w.parts)
	if err != nil {
		return err
	}
	return cl.handle(&w.packet, v)
}

// handle does what a packet asks for.
func (cl *client) handle(p *packet, v abi.Value) error {
	if p.kind == kindConnect {
		return cl.connect(p, v)
	}
	c := cl.conn(p.namespace)
	if c == nil {
		return fmt.Errorf("packet of type %d for the namespace %q: want the client to join it first", p.kind, p.namespace)
	}
	switch p.kind {
	case kindDisconnect:
		cl.leave(c)
	case kindEvent, kindBinaryEvent:
		if !c.begin() {
			return nil // the server has just ended it, which the client cannot know yet
		}
		name, args := splitEvent(v)
		var ack *Ack
		if p.id != noID {
			ack = &Ack{conn: c, id: p.id}
		}
		cl.server.handler.Event(c, name, args, ack)
		c.end()
	case kindAck, kindBinaryAck: // of nothing, as the server asks for none
	}
	return nil
}

// conn returns the client's Conn of a namespace, nil if it has none.
func (cl *client) conn(namespace string) *Conn {
	cl.mu.Lock()
	defer cl.mu.Unlock()
	for _, c := range cl.conns {
		if c.namespace.name == namespace {
			return c
		}
	}
	return nil
}

// connect answers a client that wants to join a namespace.
func (cl *client) connect(p *packet, auth abi.Value) error {
	if cl.revision() == revision4 {
		var err error
		if auth, err = queryValue(p.query); err != nil {
			return err
		}
	}
	if c := cl.conn(p.namespace); c != nil && !c.left.Load() {
		return nil // libraries ask twice if they are told to connect while they do
	}
	n := cl.server.namespace(p.namespace)
	if n == nil {
		cl.refuse(p.namespace, "Invalid namespace")
		return nil
	}
	cl.join(n, auth)
	return nil
}

// queryValue returns the object of a query, no value if it is empty.
func queryValue(query []byte) (abi.Value, error) {
	if len(query) == 0 {
		return nil, nil
	}
	var pairs, w abi.Writer
	if err := text.AppendQuery(&pairs, query); err != nil {
		return nil, fmt.Errorf("query of a namespace: %w", err)
	}
	w.Map()
	abi.Pairs(pairs.Value()).Each(func(name, value []byte) bool {
		w.KeyBytes(name)
		w.TextBytes(value)
		return true
	})
	w.End()
	return w.Value(), nil
}

// refuse tells the client that it may not join a namespace, and why.
func (cl *client) refuse(namespace, why string) {
	packet := appendHead(nil, kindError, 0, namespace, noID)
	if cl.revision() == revision4 {
		packet = text.AppendString(packet, []byte(why))
	} else {
		packet = append(text.AppendString(append(packet, `{"message":`...), []byte(why)), '}')
	}
	cl.session.Send(engineio.Text(packet))
}

// join lets the client into a namespace.
func (cl *client) join(n *namespace, auth abi.Value) {
	c := &Conn{client: cl, namespace: n, id: newID(), busy: true}
	cl.mu.Lock()
	if cl.ended {
		cl.mu.Unlock()
		return
	}
	cl.remove(n)
	cl.conns = append(cl.conns, c)
	if cl.timer != nil {
		cl.timer.Stop()
		cl.timer = nil
	}
	cl.mu.Unlock()
	joined := n.joined
	if cl.revision() == revision5 {
		packet := appendHead(make([]byte, 0, 64), kindConnect, 0, n.name, noID)
		joined = engineio.Text(append(append(append(packet, `{"sid":"`...), c.id...), `"}`...))
	}
	cl.session.Send(joined)
	cl.server.handler.Connect(c, auth)
	c.end()
}

// remove forgets the Conn of a namespace. Its caller holds mu.
func (cl *client) remove(n *namespace) {
	for i, c := range cl.conns {
		if c.namespace == n {
			cl.conns = append(cl.conns[:i], cl.conns[i+1:]...)
			return
		}
	}
}

// leave ends a Conn that its client wants to end. The session stays: the client
// closes it, or joins another namespace, or is closed after a while.
func (cl *client) leave(c *Conn) {
	cl.mu.Lock()
	cl.remove(c.namespace)
	tell := c.leave(ClientLeft)
	if !cl.present() {
		cl.wait()
	}
	cl.mu.Unlock()
	if tell {
		cl.server.handler.Disconnect(c, ClientLeft)
	}
}

// expel ends a Conn for the server. The Handler is told by another goroutine: the
// caller may hold locks that the Handler takes.
func (cl *client) expel(c *Conn, reason string) {
	if reason == "" {
		reason = ServerLeft
	}
	cl.mu.Lock()
	if c.left.Load() {
		cl.mu.Unlock()
		return
	}
	tell := c.leave(reason)
	last := !cl.present()
	if tell {
		cl.server.telling.Add(1) // before the session can end, so that Shutdown waits
	}
	cl.mu.Unlock()
	cl.session.Send(c.namespace.left)
	if last {
		cl.session.Finish(reason)
	}
	if tell {
		go func() {
			defer cl.server.telling.Done()
			cl.server.handler.Disconnect(c, reason)
		}()
	}
}

// present tells whether the client is in any namespace. Its caller holds mu.
func (cl *client) present() bool {
	for _, c := range cl.conns {
		if !c.left.Load() {
			return true
		}
	}
	return false
}

// closed ends all that is left of a client whose session is closed.
func (cl *client) closed(reason string) {
	cl.mu.Lock()
	cl.ended = true
	if cl.timer != nil {
		cl.timer.Stop()
		cl.timer = nil
	}
	conns := cl.conns
	cl.conns = nil
	tell := conns[:0]
	for _, c := range conns {
		if c.leave(reason) {
			tell = append(tell, c)
		}
	}
	cl.mu.Unlock()
	for _, c := range tell {
		cl.server.handler.Disconnect(c, reason)
	}
}

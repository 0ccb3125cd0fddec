// Package socketio speaks the Socket.IO protocol on top of Engine.IO: revision 5
// to clients 3.x and 4.x, and revision 4 to clients 2.x. Values are the MessagePack
// of package abi; on the wire they are JSON and binary attachments.
package socketio

import (
	"log/slog"
	"sync"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/realtime/engineio"
)

// Defaults of Config.
const (
	defaultConnectTimeout = 45 * time.Second
	defaultMaxAttachments = 10
	defaultMaxPayload     = 1e6
)

// Config says how a server treats its clients.
type Config struct {
	// Engine.MaxPayload bounds a packet together with its attachments.
	Engine         engineio.Config
	ConnectTimeout time.Duration // a client that is in no namespace for so long is closed; default 45 s
	Namespaces     []string      // begin with a slash and hold no comma; default "/"
	MaxAttachments int           // binary attachments of one packet; default 10
}

// The reasons for which clients leave, besides those of package engineio. They are
// those of socket.io.
const (
	ClientLeft   = "client namespace disconnect"
	ServerLeft   = "server namespace disconnect" // Conn.Disconnect was given no other
	BrokenPacket = "parse error"                 // the client has sent what it may not send
)

// A Handler is told what clients do. Calls for one Conn come one at a time, in
// order: Connect first, Disconnect last and once. It may call any method of a Conn
// at any time.
type Handler interface {
	// Connect says that a client has joined a namespace. auth is what it sent with
	// that: an object, in revision 4 that of the namespace's query, or no value. It
	// is valid during the call.
	Connect(c *Conn, auth abi.Value)
	// Event is an event that the client emits. args is the MessagePack array of the
	// arguments behind the name, valid during the call. ack is nil if the client
	// wants no acknowledgement.
	Event(c *Conn, name string, args abi.Value, ack *Ack)
	Disconnect(c *Conn, reason string)
}

// A Server is an endpoint that clients connect to.
type Server struct {
	handler        Handler
	engine         *engineio.Server
	log            *slog.Logger
	namespaces     []*namespace
	connectTimeout time.Duration
	maxAttachments int
	maxPayload     int
	rooms          sync.Pool      // of *[]byte: for the values of packets
	telling        sync.WaitGroup // goroutines that tell the handler of an end
}

// A namespace is one that clients can join, with the packets that all get alike.
type namespace struct {
	name   string
	joined *engineio.Message // revision 4 says no more than that
	left   *engineio.Message
}

// New returns a server that tells h what clients do.
func New(c Config, h Handler) *Server {
	if c.Engine.MaxPayload <= 0 {
		c.Engine.MaxPayload = defaultMaxPayload
	}
	if c.Engine.Log == nil {
		c.Engine.Log = slog.New(slog.DiscardHandler)
	}
	if c.ConnectTimeout <= 0 {
		c.ConnectTimeout = defaultConnectTimeout
	}
	if c.MaxAttachments <= 0 {
		c.MaxAttachments = defaultMaxAttachments
	}
	if len(c.Namespaces) == 0 {
		c.Namespaces = []string{"/"}
	}
	s := &Server{
		handler: h, log: c.Engine.Log, connectTimeout: c.ConnectTimeout,
		maxAttachments: c.MaxAttachments, maxPayload: c.Engine.MaxPayload,
	}
	s.rooms.New = func() any { return new([]byte) }
	for _, name := range c.Namespaces {
		s.namespaces = append(s.namespaces, &namespace{
			name:   name,
			joined: engineio.Text(appendHead(nil, kindConnect, 0, name, noID)),
			left:   engineio.Text(appendHead(nil, kindDisconnect, 0, name, noID)),
		})
	}
	s.engine = engineio.New(c.Engine, sessions{s})
	return s
}

// namespace returns the namespace of that name, nil if there is none.
func (s *Server) namespace(name string) *namespace {
	for _, n := range s.namespaces {
		if n.name == name {
			return n
		}
	}
	return nil
}

// Serve answers one request to the endpoint, as engineio.Server.Serve does.
func (s *Server) Serve(ctx *fasthttp.RequestCtx, gone func() bool) { s.engine.Serve(ctx, gone) }

// Shutdown closes all connections, refuses new ones, and returns when the Handler has
// been told of all. A Handler must not call it. Clients are not told to leave their
// namespaces: they would not come back by themselves then.
func (s *Server) Shutdown() {
	s.engine.Shutdown()
	s.telling.Wait()
}

// Len returns the number of connections, however many namespaces each has joined.
func (s *Server) Len() int { return s.engine.Len() }

// sessions is the server as the engine sees it.
type sessions struct{ server *Server }

// Open is part of engineio.Handler.
func (h sessions) Open(s *engineio.Session) {
	cl := &client{server: h.server, session: s}
	s.SetValue(cl)
	cl.open()
}

// Message is part of engineio.Handler.
func (h sessions) Message(s *engineio.Session, data []byte, binary bool) {
	s.Value().(*client).receive(data, binary)
}

// Close is part of engineio.Handler.
func (h sessions) Close(s *engineio.Session, reason string) {
	s.Value().(*client).closed(reason)
}

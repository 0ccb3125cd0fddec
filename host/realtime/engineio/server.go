// Package engineio serves the Engine.IO protocol, revisions 3 and 4, over fasthttp:
// sessions that clients open by long polling or by WebSocket, and that they
// upgrade from the one to the other.
package engineio

import (
	"cmp"
	"crypto/rand"
	"encoding/base64"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/gobwas/ws"
	"github.com/valyala/fasthttp"
)

// A Config says how a Server behaves. What is zero is set to its default.
type Config struct {
	PingInterval   time.Duration // default 25 s
	PingTimeout    time.Duration // default 20 s
	UpgradeTimeout time.Duration // default 10 s
	MaxPayload     int           // bytes of one message, and of a polling body, from a client; default 1e6
	MaxBuffered    int           // bytes that wait for one client before it is closed as too slow; default 1 MiB
	MaxSessions    int           // at a time; default 65,536
	Log            *slog.Logger  // default: nothing is logged

	// Peer returns what a session is to know of the request that opens it. It must
	// not share memory with the request. Default: the address of the client.
	Peer func(*fasthttp.RequestCtx) any
}

// A Handler is told of sessions. Its methods are called one at a time and in order
// for one session, by the goroutine that reads the session's transport.
type Handler interface {
	Open(s *Session)                              // before anything can be received
	Message(s *Session, data []byte, binary bool) // data is valid during the call
	Close(s *Session, reason string)              // once, last
}

var (
	errFull = errors.New("too many sessions are open: try again later")
	errDown = errors.New("the server is shutting down: try again later")
)

// A Server keeps the sessions of an endpoint.
type Server struct {
	config  Config
	handler Handler
	start   time.Time
	wheel   *wheel
	stop    chan struct{} // closed by Shutdown

	// The packets that all sessions share.
	ping, pong, noop, closing *Message

	readBuffers, writeBuffers sync.Pool

	running sync.WaitGroup // sessions, and the goroutines that read and write websockets

	mu       sync.Mutex
	sessions map[string]*Session
	down     bool
}

// New makes a server. It keeps a goroutine until Shutdown.
func New(c Config, h Handler) *Server {
	c.PingInterval = cmp.Or(c.PingInterval, 25*time.Second)
	c.PingTimeout = cmp.Or(c.PingTimeout, 20*time.Second)
	c.UpgradeTimeout = cmp.Or(c.UpgradeTimeout, 10*time.Second)
	c.MaxPayload = cmp.Or(c.MaxPayload, 1e6)
	c.MaxBuffered = cmp.Or(c.MaxBuffered, 1<<20)
	c.MaxSessions = cmp.Or(c.MaxSessions, 1<<16)
	c.Log = cmp.Or(c.Log, slog.New(slog.DiscardHandler))
	if c.Peer == nil {
		c.Peer = func(ctx *fasthttp.RequestCtx) any { return ctx.RemoteIP().String() }
	}
	tick := min(c.PingInterval, c.PingTimeout) / 64
	s := &Server{
		config: c, handler: h, start: time.Now(),
		wheel:    newWheel(min(max(tick, time.Millisecond), 250*time.Millisecond)),
		stop:     make(chan struct{}),
		ping:     newMessage(packet{kind: kindPing}),
		pong:     newMessage(packet{kind: kindPong}),
		noop:     newMessage(packet{kind: kindNoop}),
		closing:  newMessage(packet{kind: kindClose}),
		sessions: make(map[string]*Session),
	}
	s.readBuffers.New = func() any { return new([readBuffer]byte) }
	s.writeBuffers.New = func() any { return new([writeBuffer]byte) }
	s.running.Go(func() { s.wheel.run(s.clock, s.stop) })
	return s
}

// clock returns the time since the server was made.
func (s *Server) clock() time.Duration { return time.Since(s.start) }

// Len returns the number of sessions.
func (s *Server) Len() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.sessions)
}

// Shutdown closes all sessions and refuses new ones. It returns when the Handler
// has been told of all, and all goroutines have ended: a few seconds if clients do
// not take the end of their sessions. A Handler must not call it.
func (s *Server) Shutdown() {
	s.mu.Lock()
	if !s.down {
		s.down = true
		close(s.stop)
	}
	list := make([]*Session, 0, len(s.sessions))
	for _, session := range s.sessions {
		list = append(list, session)
	}
	s.mu.Unlock()
	for _, session := range list {
		session.mu.Lock()
		session.end(ShuttingDown, ending{code: ws.StatusGoingAway})
		session.mu.Unlock()
		s.forget(session) // also what was kept for a poll that has not come
	}
	s.running.Wait()
}

// open makes a session and counts it. c is its websocket, nil if it polls. The
// caller handles it, and must have its end told.
func (s *Server) open(g greeting, c *socket) (*Session, error) {
	session := &Session{server: s, peer: g.peer, version: g.version, base64: g.base64, handled: true, socket: c}
	if c != nil {
		c.session = session
	}
	var random [15]byte
	_, _ = rand.Read(random[:]) // never fails
	session.id = base64.RawURLEncoding.EncodeToString(random[:])
	session.pingAt = s.clock() + s.config.PingInterval
	session.expires = session.pingAt + s.config.PingTimeout
	if g.version == 3 {
		session.pingAt = 0 // the client pings
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if err := s.full(); err != nil {
		return nil, err
	}
	s.sessions[session.id] = session
	s.running.Add(1)
	return session, nil
}

// full tells whether a session more is refused. The server is locked.
func (s *Server) full() error {
	switch {
	case s.down:
		return errDown
	case len(s.sessions) >= s.config.MaxSessions:
		return errFull
	}
	return nil
}

// watch has the heartbeat of a session begin.
func (s *Server) watch(session *Session) {
	session.mu.Lock()
	defer session.mu.Unlock()
	if session.reason == "" {
		due := session.expires
		if session.pingAt != 0 {
			due = min(due, session.pingAt)
		}
		s.wheel.set(session, due)
	}
}

// forget removes a session.
func (s *Server) forget(session *Session) {
	s.wheel.remove(session)
	s.mu.Lock()
	delete(s.sessions, session.id)
	s.mu.Unlock()
}

// session returns the session with an id, nil if there is none.
func (s *Server) session(id []byte) *Session {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.sessions[string(id)]
}

// openPacket returns the packet that greets a client.
func (s *Server) openPacket(id string, upgrades ...string) *Message {
	if upgrades == nil {
		upgrades = []string{} // [] in JSON, not null
	}
	data, err := json.Marshal(struct {
		ID           string   `json:"sid"`
		Upgrades     []string `json:"upgrades"`
		PingInterval int64    `json:"pingInterval"`
		PingTimeout  int64    `json:"pingTimeout"`
		MaxPayload   int      `json:"maxPayload"`
	}{id, upgrades, s.config.PingInterval.Milliseconds(), s.config.PingTimeout.Milliseconds(), s.config.MaxPayload})
	if err != nil {
		panic(fmt.Sprintf("engineio: marshal the open packet: %v", err)) // cannot be
	}
	return newMessage(packet{kind: kindOpen, data: data})
}

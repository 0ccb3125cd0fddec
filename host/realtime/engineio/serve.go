package engineio

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"errors"

	"github.com/gobwas/ws"
	"github.com/valyala/fasthttp"
)

// A refusal is an error that a request is answered with. The numbers and texts of
// the protocol are kept, as clients show them.
type refusal struct {
	Code    int    `json:"code"`
	Message string `json:"message"`
}

var (
	unknownTransport   = refusal{0, "Transport unknown"}
	unknownSession     = refusal{1, "Session ID unknown"}
	badHandshakeMethod = refusal{2, "Bad handshake method"}
	badRequest         = refusal{3, "Bad request"}
	unsupportedVersion = refusal{5, "Unsupported protocol version"}

	noJSONP     = refusal{3, "Bad request: JSONP polling is not offered, use polling or websocket"}
	noHandshake = refusal{3, "Bad request: a websocket handshake was expected"}
	noPayload   = refusal{3, "Bad request: the payload cannot be read"}
	tooLarge    = refusal{3, "Bad request: the payload is larger than the maxPayload of the handshake"}
)

// forbidden is the number of all other refusals.
const forbidden = 4

// refuse answers a request with an error.
func refuse(ctx *fasthttp.RequestCtx, status int, r refusal) {
	body, _ := json.Marshal(r) // a number and a text: cannot fail
	ctx.SetStatusCode(status)
	ctx.SetContentType("application/json")
	ctx.Response.Header.Set("Cache-Control", "no-store")
	ctx.SetBody(body)
}

// unavailable answers a request when no session can be opened.
func unavailable(ctx *fasthttp.RequestCtx, err error) {
	ctx.Response.Header.Set("Retry-After", "5")
	refuse(ctx, fasthttp.StatusServiceUnavailable, refusal{forbidden, err.Error()})
}

// A greeting is what a session keeps of the request that opens it.
type greeting struct {
	version int
	base64  bool
	peer    any
}

// Serve answers one request to the endpoint. gone tells whether its client has
// left (it may be called at any time by the goroutine of the request; nil: cannot
// be known). It blocks for a long poll. It may hijack the connection, which
// then has to outlive fasthttp's handler: by a method Keep() of its own, which is
// called within the handler, or by KeepHijackedConns of the fasthttp server.
func (s *Server) Serve(ctx *fasthttp.RequestCtx, gone func() bool) {
	args := ctx.QueryArgs()
	version := 0
	switch string(args.Peek("EIO")) {
	case "3":
		version = 3
	case "4":
		version = 4
	}
	transport, id := args.Peek("transport"), args.Peek("sid")
	socket := string(transport) == "websocket"
	switch {
	case !socket && string(transport) != "polling":
		refuse(ctx, fasthttp.StatusBadRequest, unknownTransport)
		return
	case version == 0:
		refuse(ctx, fasthttp.StatusBadRequest, unsupportedVersion)
		return
	case args.Has("j"):
		// A client of revision 3 only asks for it by choice, for browsers that
		// know no XMLHttpRequest across origins.
		refuse(ctx, fasthttp.StatusBadRequest, noJSONP)
		return
	}
	session := (*Session)(nil)
	if len(id) > 0 {
		if session = s.session(id); session == nil {
			refuse(ctx, fasthttp.StatusBadRequest, unknownSession)
			return
		}
		if session.version != version {
			refuse(ctx, fasthttp.StatusBadRequest, badRequest)
			return
		}
	}
	switch {
	case session == nil && !ctx.IsGet():
		refuse(ctx, fasthttp.StatusBadRequest, badHandshakeMethod)
	case socket:
		s.serveSocket(ctx, session, version)
	case session == nil:
		s.openPolling(ctx, greeting{version, args.GetBool("b64"), s.config.Peer(ctx)})
	case ctx.IsGet():
		session.poll(ctx, gone)
	case ctx.IsPost():
		session.post(ctx)
	default:
		refuse(ctx, fasthttp.StatusBadRequest, badHandshakeMethod)
	}
}

// serveSocket answers the handshake of a websocket: of a new session, or, to be
// probed, of one that polls.
func (s *Server) serveSocket(ctx *fasthttp.RequestCtx, session *Session, version int) {
	header := &ctx.Request.Header
	key := header.Peek("Sec-WebSocket-Key")
	var nonce [18]byte
	n, err := base64.StdEncoding.Decode(nonce[:], key[:min(len(key), 24)])
	switch {
	case !ctx.IsGet(), !header.IsHTTP11(), !header.ConnectionUpgrade(),
		!bytes.EqualFold(header.Peek("Upgrade"), []byte("websocket")),
		len(key) != 24, err != nil, n != 16:
		refuse(ctx, fasthttp.StatusBadRequest, noHandshake)
		return
	case string(header.Peek("Sec-WebSocket-Version")) != "13":
		ctx.Response.Header.Set("Sec-WebSocket-Version", "13")
		refuse(ctx, fasthttp.StatusUpgradeRequired, noHandshake)
		return
	}
	begin := (*Session).startProbe
	if session == nil {
		s.mu.Lock()
		err := s.full()
		s.mu.Unlock()
		if err != nil {
			unavailable(ctx, err)
			return
		}
		g := greeting{version, ctx.QueryArgs().GetBool("b64"), s.config.Peer(ctx)}
		begin = func(_ *Session, c *socket, hello []byte) { go s.openSocket(c, hello, g) }
	}
	hello := appendSwitching(nil, key)
	ctx.HijackSetNoResponse(true)
	ctx.Hijack(s.hijacked(func(c *socket) { begin(session, c, hello) }))
}

// openPolling opens a session that polls. The answer has the open packet, and
// what the Handler has sent already.
func (s *Server) openPolling(ctx *fasthttp.RequestCtx, g greeting) {
	session, err := s.open(g, nil)
	if err != nil {
		unavailable(ctx, err)
		return
	}
	s.handler.Open(session)
	session.mu.Lock()
	session.expires = min(session.expires, s.clock()+claimTime)
	a, _ := session.answer(false)
	session.mu.Unlock()
	s.watch(session)
	session.release()
	a.messages = append([]*Message{s.openPacket(session.id, "websocket")}, a.messages...)
	session.reply(ctx, a)
}

// post takes the packets that a client that polls sends.
func (s *Session) post(ctx *fasthttp.RequestCtx) {
	body, ok := s.body(ctx)
	if !ok {
		refuse(ctx, fasthttp.StatusRequestEntityTooLarge, tooLarge)
		return
	}
	s.mu.Lock()
	switch {
	case !s.alive():
		s.mu.Unlock()
		refuse(ctx, fasthttp.StatusBadRequest, unknownSession)
		return
	case s.socket != nil:
		s.mu.Unlock()
		refuse(ctx, fasthttp.StatusBadRequest, badRequest)
		return
	case s.handled: // a second one at the same time: the order would be lost
		s.end(TransportError, ending{})
		s.mu.Unlock()
		refuse(ctx, fasthttp.StatusBadRequest, badRequest)
		return
	}
	s.handled = true
	s.claim()
	s.mu.Unlock()
	binary := bytes.HasPrefix(ctx.Request.Header.ContentType(), []byte("application/octet-stream"))
	err := decodePayload(s.version, body, binary, s.receive)
	if err != nil && !errors.Is(err, errEnded) {
		s.broken(err)
		s.release()
		refuse(ctx, fasthttp.StatusBadRequest, noPayload)
		return
	}
	s.release()
	ctx.SetContentType("text/plain; charset=UTF-8")
	ctx.Response.Header.Set("Cache-Control", "no-store")
	ctx.SetBodyString("ok")
}

// broken ends a session whose client has broken the protocol.
func (s *Session) broken(err error) {
	s.server.config.Log.Debug("engineio: a client broke the protocol", "peer", s.peer, "error", err)
	s.mu.Lock()
	defer s.mu.Unlock()
	e := ending{code: ws.StatusProtocolError}
	if v := (*violation)(nil); errors.As(err, &v) {
		e.code = v.code
	}
	s.end(TransportError, e)
}

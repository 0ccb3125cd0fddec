package gateway

import (
	"fmt"
	"net"
	"runtime/debug"
	"strings"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/deploy"
	"github.com/edgeset/edgeset/host/realtime"
	"github.com/edgeset/edgeset/host/realtime/engineio"
	"github.com/edgeset/edgeset/host/realtime/socketio"
	"github.com/edgeset/edgeset/host/text"
	"github.com/valyala/fasthttp"
)

// A socket is an endpoint for clients of socket.io, as a version of a deployment
// describes it.
type socket struct {
	plugin *deploy.Plugin
	family *family
	// transport stands for the requests that carry the connections: it is what logs
	// and metrics call them.
	transport *route
	events    map[string]*route
	endpoint  *endpoint
}

// An endpoint is what of a socket outlives the versions: its clients.
type endpoint struct {
	live   *live
	path   string
	plugin string
	server *socketio.Server
}

// maxUnsent is how many bytes may wait for a client before it is cut off as too
// slow. Events that many clients wait for are kept once, so the bound is generous:
// the largest batch that a request can publish fits twice.
const maxUnsent = 8 << 20

// What stands in logs and metrics where requests have their method: of an event, and of
// the requests that carry a socket's connections.
const (
	eventMethod     = "EVENT"
	transportMethod = "SOCKET"
)

// isTransport tells whether a route stands for a socket's connections.
func (r *route) isTransport() bool { return r.Method == transportMethod }

// addSockets adds the sockets that a plugin describes.
func (s *site) addSockets(g *Gateway, p *deploy.Plugin, families []*family) error {
	if n := countEvents(p.Desc.Sockets); n > maxEvents {
		return fmt.Errorf("it describes %d sockets and events of sockets: want at most %d", n, maxEvents)
	}
	number := 0
	for i := range p.Desc.Sockets {
		d := &p.Desc.Sockets[i]
		if err := checkPattern(d.Path); err != nil {
			return fmt.Errorf("socket %q: %w", d.Path, err)
		}
		path := mounted(p, d.Path)
		if s.sockets[path] != nil {
			return fmt.Errorf("socket %q: plugin %q has it already", path, s.sockets[path].plugin.Spec.Name)
		}
		pseudo := func(method, pattern string) *route {
			return &route{
				Route: &abi.Route{Method: method, Pattern: pattern, Family: d.Family, Write: true}, plugin: p, family: families[d.Family],
				deadline: p.Deadline(&abi.Route{}), metrics: g.metrics.route(s.deployment.Spec.Name, p.Spec.Name, method, pattern),
			}
		}
		sock := &socket{plugin: p, family: families[d.Family], transport: pseudo(transportMethod, path), events: map[string]*route{}}
		for _, e := range d.Events {
			if err := checkName("event", e.Name); err != nil {
				return fmt.Errorf("socket %q: %w", d.Path, err)
			}
			r := pseudo(eventMethod, path+" "+e.Name)
			r.index, r.Auth, r.field = number, e.Auth, e.Field
			sock.events[e.Name] = r
			number++
		}
		sock.endpoint = s.live.endpoint(path, p.Spec.Name)
		if s.sockets == nil {
			s.sockets = map[string]*socket{}
		}
		s.sockets[path] = sock
	}
	return nil
}

// maxEvents bounds the sockets of a plugin together with their events: each socket has
// a goroutine, and each event metrics of its own.
const maxEvents = 1000

func countEvents(list []abi.Socket) int {
	n := len(list)
	for i := range list {
		n += len(list[i].Events)
	}
	return n
}

// endpoint returns what a path's clients are connected to, and makes it if the plugin
// has none there.
func (l *live) endpoint(path, plugin string) *endpoint {
	l.mu.Lock()
	defer l.mu.Unlock()
	at := place{path, plugin}
	if e := l.endpoints[at]; e != nil {
		return e
	}
	e := &endpoint{live: l, path: path, plugin: plugin}
	e.server = socketio.New(socketio.Config{Engine: engineio.Config{
		MaxBuffered: maxUnsent, MaxSessions: l.gateway.config.MaxConns, Peer: l.gateway.peer, Log: l.gateway.log,
	}}, e)
	l.endpoints[at] = e
	return e
}

// socket returns the endpoint at a path, with or without the slash at its end.
func (s *site) socket(path []byte) *socket {
	if len(s.sockets) == 0 {
		return nil
	}
	if sock := s.sockets[string(path)]; sock != nil {
		return sock
	}
	return s.sockets[string(path)+"/"]
}

// serveSocket answers a request that carries a connection: one of many for clients
// that poll, the first and last for those that use a WebSocket.
func (x *exchange) serveSocket(s *socket) {
	x.route = s.transport
	x.allowCredentials()
	if string(x.ctx.Method()) == "OPTIONS" {
		x.preflight(socketMethods)
		return
	}
	client := x.life.peer
	x.quit() // a poll waits for as long as nothing happens, and no plugin does anything for it
	s.endpoint.server.Serve(x.ctx, func() bool { return client != nil && client.gone() })
	if x.ctx.Hijacked() {
		x.ctx.SetStatusCode(fasthttp.StatusSwitchingProtocols) // for the log: the answer is on its way
	}
}

// socketMethods are those of an endpoint, for browsers that ask.
var socketMethods = &node{routes: []*route{{Route: &abi.Route{Method: "GET", Write: true}}, {Route: &abi.Route{Method: "POST"}}}}

// A peer is what is known of a client from the request that opened its connection.
type peer struct{ remote, scheme, host, origin string }

// peer is what the engine keeps of that request.
func (g *Gateway) peer(ctx *fasthttp.RequestCtx) any {
	return &peer{string(g.remote(nil, ctx)), g.scheme(ctx), string(ctx.Host()), originOf(&ctx.Request.Header)}
}

// newEventCtx makes what stands for the request of an event, which has none. So an
// event goes the way of a request, with all its errors, limits, counters and logs.
func newEventCtx(p peer) *fasthttp.RequestCtx {
	ctx := new(fasthttp.RequestCtx)
	ctx.Init(new(fasthttp.Request), &net.TCPAddr{IP: net.ParseIP(p.remote)}, nil)
	h := &ctx.Request.Header
	h.SetMethod(eventMethod)
	h.SetHost(p.host)
	if p.origin != "" {
		h.Set("Origin", p.origin) // as webOrigin has written it
	}
	return ctx
}

// Connect implements socketio.Handler.
func (e *endpoint) Connect(c *socketio.Conn, _ abi.Value) {
	c.SetValue(e.live.hub.JoinAs(e.plugin, c.ID(), &socketSink{c, e}))
}

// Disconnect implements socketio.Handler.
func (e *endpoint) Disconnect(c *socketio.Conn, _ string) {
	if m, ok := c.Value().(*realtime.Member); ok {
		m.Leave()
	}
}

// Event implements socketio.Handler. The events of a client are answered one after
// the other, by a goroutine of their own: that which reads from the client, and
// waits for as long as the client is connected, keeps its small stack.
func (e *endpoint) Event(c *socketio.Conn, name string, args abi.Value, ack *socketio.Ack) {
	done := make(chan struct{})
	go func() {
		defer close(done)
		defer func() { // beside the guard of the request: a mistake costs this client
			if r := recover(); r != nil {
				e.live.gateway.log.Error("an event failed inside the host", "event", name, "panic", r, "stack", string(debug.Stack()))
				c.Close(engineio.TransportError)
			}
		}()
		e.answer(c, name, args, ack)
	}()
	<-done
}

// answer has the plugin answer an event.
func (e *endpoint) answer(c *socketio.Conn, name string, args abi.Value, ack *socketio.Ack) {
	g := e.live.gateway
	client, _ := c.Peer().(*peer)
	ctx := newEventCtx(*client)
	ctx.Request.SetRequestURI(e.path)
	x := g.begin(ctx)
	var result abi.Value
	g.guard(x, func() { result = x.serveEvent(e, c.ID(), client, name, args) })
	if ctx.Response.StatusCode() >= 400 {
		result = refusalOf(ctx.Response.Body())
		emitError(c, result)
	}
	if ack == nil {
		return
	}
	answer := noArguments
	if len(result) > 0 {
		answer = argument(result)
	}
	if err := ack.Send(answer); err != nil {
		g.log.Warn("an acknowledgement could not be sent", "event", name, "err", err)
		_ = ack.Send(noArguments) // the client should not wait for it
	}
}

// argument makes the arguments of an event of one value.
func argument(v abi.Value) abi.Value {
	var w abi.Writer
	w.FixedArray(1)
	w.Raw(v)
	return w.Value()
}

var noArguments = abi.Value{0x90}

// refusalOf returns an error, which was rendered in its family's form, as a value that
// can be the argument of an event: what a plugin has put into it may be nested deeper.
func refusalOf(body []byte) abi.Value {
	v, err := text.ParseJSON(nil, body, abi.MaxDepth-1)
	if err == nil {
		return v
	}
	var w abi.Writer
	w.Map()
	w.Key("error")
	w.Map()
	w.Key("code")
	w.Text(abi.HostInternal)
	w.Key("message")
	w.Text("The event was refused; what there is to be said about it is nested too deep to be told.")
	w.EndAll()
	return w.Value()
}

// emitError tells a client what is wrong.
func emitError(c *socketio.Conn, refusal abi.Value) {
	if e, err := socketio.NewEvent("error", argument(refusal)); err == nil {
		c.Emit(e)
	}
}

// serveEvent is serve for an event. It returns what acknowledges it.
func (x *exchange) serveEvent(e *endpoint, connection string, client *peer, name string, args abi.Value) abi.Value {
	refuse := func(status int, code, message string) abi.Value {
		x.refuse(noFamily, &abi.Error{Status: status, Code: code, Message: message})
		return nil
	}
	unknown := func() abi.Value {
		if x.route == nil {
			return refuse(404, abi.HostNotFound, "Nothing serves this socket any more.")
		}
		f := x.route.family
		x.refuse(f, &abi.Error{Status: 404, Code: f.Code(abi.HostNotFound), Message: fmt.Sprintf("No event %q is taken here.", name)})
		return nil
	}
	if !x.enter(func(t *table) *service { return t.byName(e.live.deployment) }) {
		return unknown()
	}
	if !x.findEvent(e, name) && !(x.tryCanary() && x.findEvent(e, name)) { // which only the canary may have
		return unknown()
	}
	x.life.deadline = x.start.Add(x.route.deadline)
	if wait := x.site.quota.wait(x.start); wait > 0 {
		x.fail(&quotaError{x.site.deployment.Spec.Name, wait})
		return nil
	}
	defer x.release()
	err := x.admitEvent(args)
	if err == nil && x.tryCanary() {
		if !x.findEvent(e, name) {
			return unknown()
		}
		err = x.admitEvent(args)
	}
	if err == nil {
		err = x.countCaller(&x.caller)
	}
	if err != nil {
		x.fail(err)
		return nil
	}
	q := &x.ask
	q.Kind, q.Route, q.Method, q.Path = abi.CallEvent, x.route.index, eventMethod, e.path[len(x.route.plugin.Spec.Mount):]
	q.Time, q.Remote, q.ID = x.at.UnixMicro(), unsafeString(x.remote), unsafeString(x.id)
	q.BodyKind, q.Body, q.Connection = abi.BodyValue, args, connection
	if q.BaseURL = x.site.deployment.Spec.BaseURL; q.BaseURL == "" {
		q.BaseURL = client.scheme + "://" + client.host
	}
	q.BaseURL += x.route.plugin.Spec.Mount
	x.writeFrame()

	x.stream = &openStream{id: connection, offer: x.offer()}
	subscribed := false
	defer func() {
		if !subscribed {
			x.site.live.hub.Withdraw(x.stream.offer)
		}
	}()
	err = x.commit()
	subscribed = err == nil && x.call.Subscribed && x.answer.BodyKind != abi.BodyError
	if err != nil {
		x.fail(err)
		return nil
	}
	switch x.answer.BodyKind {
	case abi.BodyError, abi.BodyRefusal:
		x.render()
	case abi.BodyValue:
		return append(abi.Value(nil), x.answer.Body...)
	}
	return nil
}

// findEvent finds the route of an event in the request's site. If there is none, that
// which stands for the connection is its route; none, if the site has not the socket.
func (x *exchange) findEvent(e *endpoint, name string) bool {
	x.route = nil
	sock := x.site.sockets[e.path]
	if sock == nil {
		return false
	}
	if x.route = sock.events[name]; x.route == nil {
		x.route = sock.transport
		return false
	}
	return true
}

// admitEvent is admit for an event.
func (x *exchange) admitEvent(args abi.Value) error {
	if err := x.lease(false); err != nil {
		return err
	}
	return x.identifyEvent(args)
}

// identifyEvent finds out on whose behalf an event is sent.
func (x *exchange) identifyEvent(args abi.Value) error {
	r := x.route
	if len(r.Auth) == 0 {
		return nil
	}
	var shown string
	for it := args.Items(); it.Next(); {
		shown, _ = it.Value().Get(r.field).Text()
		break
	}
	unauthenticated := func(format string, args ...any) error {
		return &abi.Error{Status: 401, Code: r.family.Code(abi.HostUnauthenticated), Message: fmt.Sprintf(format, args...)}
	}
	switch {
	case shown == "":
		return unauthenticated("This event needs a %s in the field %q of its first argument.", strings.Join(r.Auth, " or "), r.field)
	case len(shown) > maxCredential:
		return unauthenticated("The credential has more than %d bytes.", maxCredential)
	}
	cred := abi.Credential{Family: r.family.Prefix, Origin: x.origin(), Value: shown}
	var err error
	for _, cred.Kind = range r.Auth {
		if x.caller, err = x.site.authenticator.identify(x, cred); err == nil {
			return nil
		}
	}
	return err
}

// A socketSink takes what the hub delivers to a socket.
type socketSink struct {
	conn     *socketio.Conn
	endpoint *endpoint
}

// Deliver implements realtime.Sink.
func (s *socketSink) Deliver(b *realtime.Bundle) {
	if packets, ok := b.Socket(encodeEvents).(*socketio.Event); ok {
		s.conn.Emit(packets)
	}
}

// encodeEvents makes what sockets are sent of events, once for all of them.
func encodeEvents(list []*realtime.Event) any {
	packets := make([]*socketio.Event, 0, len(list))
	for _, e := range list {
		p, err := socketio.NewEvent(e.Name, e.Args)
		if err == nil { // else it has more byte strings than a client takes
			packets = append(packets, p)
		}
	}
	return socketio.Series(packets...)
}

// Refuse implements realtime.Sink: the client may listen again, with another
// credential.
func (s *socketSink) Refuse(err *abi.Error) {
	form, g := noFamily.Errors, s.endpoint.live.gateway
	if site := g.table.Load().byName(s.endpoint.live.deployment); site != nil && site.sockets[s.endpoint.path] != nil {
		form = site.sockets[s.endpoint.path].family.Errors
	}
	body, _ := text.AppendErrorForm(nil, form, err, g.now().UnixMilli(), "")
	emitError(s.conn, refusalOf(body))
}

// Close implements realtime.Sink. The connection is cut and not taken leave of: a
// client of socket.io comes back by itself then.
func (s *socketSink) Close(reason string) { s.conn.Close(reason) }

// Dismiss implements realtime.Sink: a client that is taken leave of stays away.
func (s *socketSink) Dismiss(reason string) { s.conn.Disconnect(reason) }

var (
	_ socketio.Handler = (*endpoint)(nil)
	_ realtime.Sink    = (*socketSink)(nil)
)

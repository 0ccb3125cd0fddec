package gateway

import (
	"net"
	"strconv"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/realtime"
)

// A stream is an answer that goes on, as Server-Sent Events. Its connection joins
// the hub before the call that subscribes it, which so misses nothing that is
// committed behind it; what is delivered until the answer is on its way waits.

// An openStream is a connection that a call may subscribe: that of the request, as
// a stream, or the socket that an event came over.
type openStream struct {
	id     string
	offer  string
	sink   *realtime.Stream // of a stream
	member *realtime.Member
	kept   bool // it goes on when the request has been answered
}

// beginStream has the request's connection join the hub. Streams are bounded here: their
// connections are none of the server's any more.
func (x *exchange) beginStream() error {
	s := &openStream{}
	hub := x.site.live.hub
	if hub.Len() >= 2*x.gateway.config.MaxConns { // sockets among them have a bound of their own
		x.retryAfter(time.Second)
		return &abi.Error{Status: 503, Code: x.route.family.Code(abi.HostBusy), Message: "Too many connections are open; try again later."}
	}
	s.sink = hub.NewStream(nil)
	s.member = hub.Join(x.route.plugin.Spec.Name, s.sink)
	s.id, s.offer = s.member.ID(), x.offer()
	x.stream, x.ask.Connection = s, s.id
	return nil
}

// endStream has it leave if the answer does not go on.
func (x *exchange) endStream() {
	if s := x.stream; s != nil && !s.kept {
		x.site.live.hub.Withdraw(s.offer)
		s.member.Leave()
	}
}

// What clients are told of how long they should wait until they come back, in
// milliseconds: when a connection has failed, and when they have not been sent all
// that they have missed.
const (
	retryLater  = 2000
	retryAtOnce = 20
)

// startStream answers with the events of a plugin, and goes on if the plugin has
// subscribed the connection.
func (x *exchange) startStream() {
	s, h := x.stream, &x.ctx.Response.Header
	h.SetContentType("text/event-stream")
	h.Set("Cache-Control", "no-store")
	h.Set("X-Accel-Buffering", "no") // what keeps nginx from collecting a response
	retry := retryAtOnce
	if x.call.Subscribed {
		retry = retryLater
	}
	x.out = append(strconv.AppendInt(append(x.out[:0], "retry: "...), int64(retry), 10), "\n\n"...)
	for it := x.answer.Body.Items(); it.Next(); {
		r := it.Value().Read()
		r.Array()
		name, id := r.TextShared(), r.TextShared()
		e := realtime.NewEvent(&abi.Event{Name: name, ID: id, Args: argument(r.Value())})
		x.out = e.AppendStream(x.out)
	}
	x.ctx.Response.SetStatusCode(x.answer.Status)
	if !x.call.Subscribed {
		x.ctx.Response.SetBody(x.out)
		return
	}
	h.SetContentLength(-2) // to the end of the connection
	h.SetConnectionClose()
	head := append(h.AppendBytes(nil), x.out...)
	s.kept = true
	s.sink.Expect() // behind what was answered before on the connection, which may fail
	x.ctx.HijackSetNoResponse(true)
	x.ctx.Hijack(func(c net.Conn) { s.sink.Start(c, head) })
}

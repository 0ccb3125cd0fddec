package guest

import (
	"slices"

	"github.com/edgeset/edgeset/abi"
)

// A Socket is an endpoint for clients of socket.io.
type Socket struct {
	p     *Plugin
	index int
}

// Socket declares an endpoint at a path, such as "/chat/". What is wrong with an
// event is told in the form of the family, as an event named "error" and, if the
// client has asked for an acknowledgement, as its only argument. A plugin with
// sockets or streams asks for the grant "events".
func (f *Family) Socket(path string) *Socket {
	d := &f.p.desc
	f.p.needGrant(abi.GrantEvents)
	d.Sockets = append(d.Sockets, abi.Socket{Path: path, Family: f.index})
	f.p.events = append(f.p.events, nil)
	return &Socket{f.p, len(d.Sockets) - 1}
}

// needGrant asks for a grant, once, unless the plugin has said that it can do without.
func (p *Plugin) needGrant(grant string) {
	if !slices.Contains(p.desc.Grants, grant) && !slices.Contains(p.desc.Wants, grant) {
		p.Need(grant)
	}
}

// handler returns what handles a call: a request to a route, or an event, which is
// counted through all sockets; nil if there is no such one.
func (p *Plugin) handler(kind abi.CallKind, index int) Handler {
	handlers := p.handlers
	if kind == abi.CallEvent {
		handlers = nil
		for _, events := range p.events {
			if index < len(events) {
				handlers = events
				break
			}
			index -= len(events)
		}
	}
	if index < 0 || index >= len(handlers) {
		return nil
	}
	return handlers[index]
}

// On has an event of clients handled. The handler finds the event's arguments in
// Request.Args; what it answers with Response.Value, if anything, is the
// acknowledgement of a client that asks for one. If there are kinds of credentials,
// one of them must stand in that field of the event's first argument, which is an
// object, and Request.Caller is whose it is; without any, the event is taken from
// anybody.
func (s *Socket) On(name string, h Handler, field string, kinds ...string) *Socket {
	sock := &s.p.desc.Sockets[s.index]
	sock.Events = append(sock.Events, abi.SocketEvent{Name: name, Auth: kinds, Field: field})
	s.p.events[s.index] = append(s.p.events[s.index], h)
	return s
}

// Args returns the arguments of a socket's event, an array.
func (r *Request) Args() abi.Value {
	if r.raw.Kind != abi.CallEvent {
		return nil
	}
	return r.raw.Body
}

// Arg returns an argument of a socket's event; no value if there is none.
func (r *Request) Arg(index int) abi.Value {
	for it := r.Args().Items(); it.Next(); index-- {
		if index == 0 {
			return it.Value()
		}
	}
	return nil
}

// Connection returns the id of the client's connection: of the socket that an event
// came over, or of the stream that the request is about to open. It is also the name
// of a room that nobody else is in.
func (r *Request) Connection() string { return string(r.raw.Connection) }

// Publish tells connections of clients what a message says, once the transaction
// of this request is committed.
func (r *Request) Publish(m *abi.Message) error {
	r.out.Reset(r.out.Value())
	m.Append(&r.out)
	return r.host.Publish(r.out.Value())
}

// Subscribe has the connection of this request be in the rooms, and in no others,
// on behalf of the request's caller, and, if filters is not nil, get of the events
// that have labels only those of which a filter matches them. A request does so once.
//
// What the handler has read to decide so still holds when the subscription begins:
// they are one transaction. So a handler that reads what a client has missed, answers
// with it and subscribes leaves neither a gap nor a repetition.
func (r *Request) Subscribe(rooms []string, filters [][]string) error {
	return r.Publish(&abi.Message{Op: abi.OpSubscribe, To: []string{r.Connection()}, Rooms: rooms, Filters: filters})
}

// Emit sends an event with one argument to all who are in one of the rooms.
func (r *Request) Emit(name string, argument abi.Value, rooms ...string) error {
	var w abi.Writer
	w.FixedArray(1)
	w.Raw(argument)
	return r.Publish(&abi.Message{Op: abi.OpEmit, To: rooms, Events: []abi.Event{{Name: name, Args: w.Value()}}})
}

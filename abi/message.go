package abi

import "fmt"

// A Message is what a plugin tells the connections of clients that it serves,
// sockets and streams alike. It is published within a call's transaction, takes
// effect once that is committed, and in the order of the commits.
//
// Connections are reached through rooms, which a plugin names as it likes and
// which exist as long as somebody is in them. Each connection is in a room of
// its own from the start, named like its id. Rooms of different plugins and of
// different deployments have nothing to do with each other.
type Message struct {
	Op     Op
	To     []string // the rooms whose connections are concerned
	Except []string // of OpEmit: rooms whose connections are left out
	Events []Event  // of OpEmit: in this order
	Rooms  []string // of OpJoin, OpLeave and OpSubscribe
	// Filters of OpSubscribe: the connection gets the events of which one of
	// them matches the labels, and those without labels; nil: all events. A filter
	// matches labels of the same number, each equal to its own or met by "*".
	Filters [][]string
	Reason  string // of OpDisconnect, for people
}

// An Op is what a Message does.
type Op uint8

const (
	// OpEmit sends events to all who are in one of the rooms To and in none of
	// Except, once to each.
	OpEmit Op = iota
	// OpJoin has all who are in one of the rooms To enter Rooms, too.
	OpJoin
	// OpLeave has all who are in one of the rooms To leave Rooms.
	OpLeave
	// OpDisconnect ends the connections of all who are in one of the rooms To.
	// Clients of socket.io do not come back from that by themselves.
	OpDisconnect
	// OpSubscribe has the connection that the call came from, which is To, be in
	// Rooms and no others, with these Filters, on behalf of the call's caller: it
	// ends when the caller's credential does. A call does so once.
	OpSubscribe
)

// An Event is what a connection is sent.
type Event struct {
	Name   string
	ID     string   // which a stream's client shows when it comes back; may be empty
	Labels []string // what filters look at
	Args   Value    // of a socket's event, an array; a stream sends the first
}

// Limits of messages.
const (
	MaxMessages      = 1024    // of one call
	MaxMessageSize   = 4 << 20 // bytes of all messages of a call
	MaxRoom          = 128     // bytes of a room's name
	MaxMessageRooms  = 8192    // in To, Except and Rooms each
	MaxMessageEvents = 4096    // of one message
	MaxEventName     = 128     // bytes
	MaxEventID       = 128     // bytes
	MaxLabels        = 8       // of an event
	MaxFilters       = 128     // of a subscription
)

const (
	messageFields = 7
	eventFields   = 4
)

// Append writes the message.
func (m *Message) Append(w *Writer) {
	w.FixedArray(messageFields)
	w.Int(int64(m.Op))
	appendRooms(w, m.To)
	appendRooms(w, m.Except)
	w.FixedArray(len(m.Events))
	for i := range m.Events {
		e := &m.Events[i]
		w.FixedArray(eventFields)
		w.Text(e.Name)
		w.Text(e.ID)
		appendLabels(w, e.Labels)
		w.Raw(e.Args)
	}
	appendRooms(w, m.Rooms)
	if m.Filters == nil {
		w.Nil()
	} else {
		w.FixedArray(len(m.Filters))
		for _, f := range m.Filters {
			appendLabels(w, f)
		}
	}
	w.Text(m.Reason)
}

// Names of rooms are byte strings: they need not be UTF-8.
func appendRooms(w *Writer, rooms []string) {
	w.FixedArray(len(rooms))
	for _, room := range rooms {
		w.Bytes(shared(room))
	}
}

func appendLabels(w *Writer, labels []string) {
	w.FixedArray(len(labels))
	for _, l := range labels {
		w.Text(l)
	}
}

// ReadMessage reads a message of an untrusted guest and checks it. Its texts
// share the memory of v.
func ReadMessage(v Value) (*Message, error) {
	if !v.Valid() {
		return nil, fmt.Errorf("message: %w", ErrFrame)
	}
	r := v.Read()
	n := r.Array()
	if n < messageFields {
		return nil, fmt.Errorf("message: %w", ErrFrame)
	}
	m := &Message{Op: Op(r.byte())}
	m.To, m.Except = readRooms(&r), readRooms(&r)
	events := r.Array()
	if events > MaxMessageEvents {
		return nil, fmt.Errorf("message: %d events: want at most %d", events, MaxMessageEvents)
	}
	m.Events = make([]Event, 0, events)
	for range events {
		e, err := readEvent(&r)
		if err != nil {
			return nil, err
		}
		m.Events = append(m.Events, e)
	}
	m.Rooms = readRooms(&r)
	if !r.Nil() {
		filters := r.Array()
		if filters > MaxFilters {
			return nil, fmt.Errorf("message: %d filters: want at most %d", filters, MaxFilters)
		}
		m.Filters = make([][]string, 0, filters)
		for range filters {
			m.Filters = append(m.Filters, readLabels(&r))
		}
	}
	m.Reason = r.TextShared()
	r.Skip(n - messageFields)
	if !r.Done() || m.Op > OpSubscribe || len(m.To) == 0 {
		return nil, fmt.Errorf("message: %w", ErrFrame)
	}
	return m, nil
}

func readRooms(r *Reader) []string {
	n := r.Array()
	if n > MaxMessageRooms {
		r.fail()
		return nil
	}
	if n == 0 {
		return nil
	}
	rooms := make([]string, 0, n)
	for range n {
		room := r.bytesShared()
		if len(room) == 0 || len(room) > MaxRoom {
			r.fail()
			return nil
		}
		rooms = append(rooms, room)
	}
	return rooms
}

func readLabels(r *Reader) []string {
	n := r.Array()
	if n > MaxLabels {
		r.fail()
		return nil
	}
	labels := make([]string, 0, n)
	for range n {
		labels = append(labels, r.TextShared())
	}
	return labels
}

func readEvent(r *Reader) (e Event, err error) {
	n := r.Array()
	if n < eventFields {
		return e, fmt.Errorf("message: event: %w", ErrFrame)
	}
	e.Name, e.ID, e.Labels, e.Args = r.TextShared(), r.TextShared(), readLabels(r), r.Value()
	r.Skip(n - eventFields)
	switch {
	case r.failed || e.Args.Kind() != Array:
		return e, fmt.Errorf("message: event: %w", ErrFrame)
	case !ValidEventName(e.Name):
		return e, fmt.Errorf("message: event %q: want a name of 1 to %d bytes that socket.io has not reserved", e.Name, MaxEventName)
	case !validEventID(e.ID):
		return e, fmt.Errorf("message: event %s: id: want at most %d bytes, without line breaks", e.Name, MaxEventID)
	}
	return e, nil
}

// ValidEventName tells whether an event may have this name: a stream's events are
// lines.
func ValidEventName(name string) bool {
	return name != "" && len(name) <= MaxEventName && !ReservedEvent(name) && oneLine(name)
}

// ReservedEvent tells whether socket.io keeps a name for its own events.
func ReservedEvent(name string) bool {
	switch name {
	case "connect", "connect_error", "disconnect", "disconnecting", "newListener", "removeListener":
		return true
	}
	return false
}

func validEventID(id string) bool { return len(id) <= MaxEventID && oneLine(id) }

func oneLine(s string) bool {
	for i := range len(s) {
		if s[i] == '\n' || s[i] == '\r' || s[i] == 0 {
			return false
		}
	}
	return true
}

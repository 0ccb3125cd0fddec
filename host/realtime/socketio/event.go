package socketio

import (
	"fmt"
	"sync/atomic"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/realtime/engineio"
	"github.com/edgeset/edgeset/host/text"
)

// An Event is encoded once for all connections that it goes to. It is immutable
// and safe for concurrent use.
type Event struct {
	kind    kind
	payload []byte // JSON
	parts   []*engineio.Message
	root    *engineio.Message    // as it is sent in the namespace "/"
	others  atomic.Pointer[form] // and in others
	series  []*Event             // it stands for these
}

// A form is how an event is sent in a namespace. Forms are a list because there are
// few, and because nobody has to wait to read it.
type form struct {
	namespace string
	message   *engineio.Message
	next      *form
}

// NewEvent returns the event of that name. args is a MessagePack array; up to 10
// byte strings in it become binary attachments.
func NewEvent(name string, args abi.Value) (*Event, error) {
	if err := checkName([]byte(name)); err != nil {
		return nil, fmt.Errorf("socketio: encode: %w", err)
	}
	e := &Event{kind: kindEvent}
	rest, parts, err := separate(args)
	if err != nil {
		return nil, fmt.Errorf("socketio: encode the event %q: %w", name, err)
	}
	if len(parts) > 0 {
		e.kind = kindBinaryEvent
	}
	// The name becomes the first element of the array.
	dst := make([]byte, 0, len(name)+len(rest)+len(rest)/2+16)
	dst = appendHead(dst, e.kind, len(parts), "/", noID)
	head := len(dst)
	dst = text.AppendString(append(dst, '['), []byte(name))
	at := len(dst)
	if dst, err = text.AppendJSON(dst, rest); err != nil {
		return nil, fmt.Errorf("socketio: encode the event %q: %w", name, err)
	}
	if rest.Len() > 0 {
		dst[at] = ','
	} else {
		dst = append(dst[:at], ']')
	}
	e.payload, e.parts = dst[head:], binaries(parts)
	e.root = message(dst, e.parts)
	return e, nil
}

// Series returns what is sent for several events, one behind the other.
func Series(list ...*Event) *Event {
	if len(list) == 1 {
		return list[0]
	}
	e := &Event{series: list}
	e.root = e.seriesIn("/")
	return e
}

func (e *Event) seriesIn(namespace string) *engineio.Message {
	messages := make([]*engineio.Message, len(e.series))
	for i, one := range e.series {
		messages[i] = one.in(namespace)
	}
	return engineio.Sequence(messages...)
}

// separate checks the arguments of an event or an acknowledgement, and takes byte
// strings out of them.
func separate(args abi.Value) (abi.Value, [][]byte, error) {
	if args.Kind() != abi.Array || !args.Valid() {
		return nil, nil, fmt.Errorf("arguments are %s: want a well-formed array", args.Kind())
	}
	if r := args.Read(); !hasBytes(&r) {
		return args, nil, nil
	}
	return detach(args)
}

func binaries(parts [][]byte) []*engineio.Message {
	list := make([]*engineio.Message, len(parts))
	for i, part := range parts {
		list[i] = engineio.Binary(part)
	}
	return list
}

// message makes one message of the text of a packet and its attachments.
func message(text []byte, parts []*engineio.Message) *engineio.Message {
	if len(parts) == 0 {
		return engineio.Text(text)
	}
	return engineio.Sequence(append([]*engineio.Message{engineio.Text(text)}, parts...)...)
}

// in returns the event as it is sent in a namespace.
func (e *Event) in(namespace string) *engineio.Message {
	if namespace == "/" {
		return e.root
	}
	if len(e.series) > 0 {
		return e.seriesIn(namespace)
	}
	for {
		first := e.others.Load()
		for f := first; f != nil; f = f.next {
			if f.namespace == namespace {
				return f.message
			}
		}
		dst := make([]byte, 0, len(namespace)+len(e.payload)+8)
		dst = append(appendHead(dst, e.kind, len(e.parts), namespace, noID), e.payload...)
		f := &form{namespace, message(dst, e.parts), first}
		if e.others.CompareAndSwap(first, f) {
			return f.message
		}
	}
}

// An Ack answers an event.
type Ack struct {
	conn *Conn
	id   int64
	sent atomic.Bool
}

// Send answers with a MessagePack array of arguments, in which byte strings become
// binary attachments. Only the first answer is sent, and none after the client has
// left. It may be called by any goroutine.
func (a *Ack) Send(args abi.Value) error {
	rest, parts, err := separate(args)
	if err != nil {
		return fmt.Errorf("socketio: acknowledge an event: %w", err)
	}
	k := kindAck
	if len(parts) > 0 {
		k = kindBinaryAck
	}
	dst := make([]byte, 0, len(rest)+len(rest)/2+32)
	dst, err = text.AppendJSON(appendHead(dst, k, len(parts), a.conn.Namespace(), a.id), rest)
	if err != nil {
		return fmt.Errorf("socketio: acknowledge an event: %w", err)
	}
	if !a.sent.Swap(true) {
		a.conn.send(message(dst, binaries(parts)))
	}
	return nil
}

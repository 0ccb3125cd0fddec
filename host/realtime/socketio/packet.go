package socketio

import (
	"bytes"
	"errors"
	"fmt"
	"strconv"
	"unicode"
	"unicode/utf8"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/text"
)

// A revision of the protocol, which comes with a version of Engine.IO.
type revision uint8

const (
	revision4 revision = 4 // of clients 2.x
	revision5 revision = 5 // of clients 3.x and 4.x
)

// A kind is the type of a packet.
type kind byte

const (
	kindConnect kind = iota
	kindDisconnect
	kindEvent
	kindAck
	kindError // CONNECT_ERROR, which revision 4 calls ERROR
	kindBinaryEvent
	kindBinaryAck
)

// Limits of a packet's head.
const (
	maxNamespace = 256       // bytes of a name
	maxQuery     = 8 << 10   // bytes of the query behind it, in revision 4
	maxID        = 1<<53 - 1 // the largest whole number that every client counts to
	maxIDDigits  = 16        // of maxID
)

// noID is the id of a packet that has none.
const noID = -1

// A packet is one that a client has sent, taken apart where it stands.
type packet struct {
	kind        kind
	attachments int    // binary messages that follow
	namespace   string // begins with a slash
	query       []byte // what stands behind a question mark in the namespace, in revision 4
	id          int64
	payload     []byte // JSON; empty: none
}

// parsePacket takes the text of a packet apart, without its payload:
//
//	<type>[<attachments>-][<namespace>,][<id>][<payload>]
func parsePacket(data []byte, r revision, maxAttachments int) (p packet, err error) {
	if len(data) == 0 || data[0] < '0' || data[0] > '0'+byte(kindBinaryAck) {
		return p, fmt.Errorf("packet begins with %s: want a type from 0 to %d", first(data), kindBinaryAck)
	}
	p.kind, data = kind(data[0]-'0'), data[1:]
	if p.kind == kindError {
		return p, errors.New("packet refuses a connection: only servers send packets of type 4")
	}
	if p.kind == kindBinaryEvent || p.kind == kindBinaryAck {
		n := countDigits(data)
		if n == 0 || n > 9 || n == len(data) || data[n] != '-' {
			return p, fmt.Errorf("packet of type %d: want the number of its attachments and '-' behind the type", p.kind)
		}
		p.attachments = int(number(data[:n]))
		if p.attachments > maxAttachments {
			return p, fmt.Errorf("packet with %d attachments: want %d at most", p.attachments, maxAttachments)
		}
		data = data[n+1:]
	}
	if data, err = p.parseNamespace(data, r); err != nil {
		return p, err
	}
	p.id = noID
	if n := countDigits(data); n > 0 {
		if n > maxIDDigits || number(data[:n]) > maxID {
			return p, fmt.Errorf("packet with an id of %d digits: want %d at most", n, maxID)
		}
		if p.kind == kindConnect || p.kind == kindDisconnect {
			return p, fmt.Errorf("packet of type %d has an id: want it without", p.kind)
		}
		p.id, data = number(data[:n]), data[n:]
	} else if p.kind == kindAck || p.kind == kindBinaryAck {
		return p, errors.New("acknowledgement without an id: want that of the event")
	}
	p.payload = data
	return p, nil
}

// parseNamespace takes the namespace off data, which ends with a comma or with the
// packet.
func (p *packet) parseNamespace(data []byte, r revision) (rest []byte, err error) {
	if len(data) == 0 || data[0] != '/' {
		p.namespace = "/"
		return data, nil
	}
	name, rest, _ := bytes.Cut(data, []byte{','})
	if i := bytes.IndexByte(name, '?'); i >= 0 && r == revision4 {
		name, p.query = name[:i], name[i+1:]
	}
	if len(name) > maxNamespace || len(p.query) > maxQuery {
		return nil, fmt.Errorf("namespace of %d bytes with a query of %d: want %d and %d at most", len(name), len(p.query), maxNamespace, maxQuery)
	}
	// An unknown one goes back to the client, among other packets.
	if !utf8.Valid(name) || bytes.ContainsFunc(name, unicode.IsControl) {
		return nil, fmt.Errorf("namespace %q: want UTF-8 without control characters", name)
	}
	p.namespace = string(name)
	return rest, nil
}

// first describes the first byte of data.
func first(data []byte) string {
	if len(data) == 0 {
		return "nothing"
	}
	return strconv.QuoteRuneToASCII(rune(data[0]))
}

// countDigits returns how many digits data begins with.
func countDigits(data []byte) (n int) {
	for n < len(data) && data[n]-'0' <= 9 {
		n++
	}
	return n
}

// number returns the value of at most 18 digits.
func number(digits []byte) (n int64) {
	for _, d := range digits {
		n = n*10 + int64(d-'0')
	}
	return n
}

// value appends the payload to dst as MessagePack, and checks that it is of the
// shape that packets of this kind have.
func (p *packet) value(dst []byte) (abi.Value, error) {
	if len(p.payload) == 0 {
		if p.kind == kindConnect || p.kind == kindDisconnect {
			return nil, nil
		}
		return nil, fmt.Errorf("packet of type %d without a payload: want an array", p.kind)
	}
	if p.kind == kindDisconnect {
		return nil, fmt.Errorf("packet that disconnects has a payload of %d bytes: want none", len(p.payload))
	}
	parsed, err := text.ParseJSON(dst, p.payload, abi.MaxDepth)
	if err != nil {
		return nil, fmt.Errorf("payload of a packet of type %d: %w", p.kind, err)
	}
	v := abi.Value(parsed[len(dst):])
	want := abi.Array
	if p.kind == kindConnect {
		want = abi.Map
	}
	if v.Kind() != want {
		return nil, fmt.Errorf("payload of a packet of type %d is %s: want %s", p.kind, v.Kind(), want)
	}
	if p.kind == kindEvent || p.kind == kindBinaryEvent {
		items := v.Items()
		items.Next()
		name, ok := items.Value().TextBytes()
		if !ok {
			return nil, errors.New("event without a name: want a string as the first element of the payload")
		}
		if err := checkName(name); err != nil {
			return nil, err
		}
	}
	return v, nil
}

// checkName refuses names that libraries of clients and servers use for events of
// their own: who sends one could pretend to be the library. And long ones, as a name
// comes back in what a client is told of it.
func checkName(name []byte) error {
	if len(name) > abi.MaxEventName {
		return fmt.Errorf("event: the name has %d bytes, want at most %d", len(name), abi.MaxEventName)
	}
	if abi.ReservedEvent(string(name)) {
		return fmt.Errorf("event %q: the name is reserved, want another", name)
	}
	return nil
}

// splitEvent makes of the payload of an event its name and the array of its
// arguments, which stands in the memory of v.
func splitEvent(v abi.Value) (name string, args abi.Value) {
	items := v.Items()
	items.Next()
	n := v.Len() - 1
	name, _ = items.Value().Text()
	// The arguments stand behind the name. Their head takes the place of what
	// stands before them: of the name's last byte or, if it has five bytes, of the
	// payload's own head, which then has as many, and of the name's.
	begin := headSize(v) + len(items.Value())
	if n <= 15 {
		v[begin-1] = 0x90 | byte(n)
		return name, v[begin-1:]
	}
	v[begin-5] = 0xdd
	v[begin-4], v[begin-3], v[begin-2], v[begin-1] = byte(n>>24), byte(n>>16), byte(n>>8), byte(n)
	return name, v[begin-5:]
}

// headSize returns how many bytes stand before the elements of an array.
func headSize(v abi.Value) int {
	switch v[0] {
	case 0xdc:
		return 3
	case 0xdd:
		return 5
	}
	return 1
}

// appendHead appends what stands before the payload of a packet.
func appendHead(dst []byte, k kind, attachments int, namespace string, id int64) []byte {
	dst = append(dst, '0'+byte(k))
	if k == kindBinaryEvent || k == kindBinaryAck {
		dst = append(strconv.AppendInt(dst, int64(attachments), 10), '-')
	}
	if namespace != "/" {
		dst = append(append(dst, namespace...), ',')
	}
	if id != noID {
		dst = strconv.AppendInt(dst, id, 10)
	}
	return dst
}

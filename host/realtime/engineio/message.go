package engineio

import (
	"encoding/base64"
	"encoding/binary"
	"sync/atomic"

	"github.com/gobwas/ws"
)

// The types of packets.
const (
	kindOpen    = '0'
	kindClose   = '1'
	kindPing    = '2'
	kindPong    = '3'
	kindMessage = '4'
	kindUpgrade = '5'
	kindNoop    = '6'
)

// A packet is what travels in one WebSocket message, or in a part of a polling payload.
type packet struct {
	kind   byte
	binary bool
	data   []byte
}

// An encoding is a way to write packets into WebSocket messages. It depends on the
// revision of the protocol, and on whether the client takes binary data.
type encoding uint8

const (
	binary4   encoding = iota // revision 4: the data alone
	binary3                   // revision 3: the type in front, as a byte
	base64of4                 // "b" and base64
	base64of3                 // "b4" and base64
	encodings
)

// packetOverhead is what a packet that waits costs besides its data.
const packetOverhead = 32

// A Message is one or more engine.io messages encoded once for all sessions they
// go to. It is immutable and safe for concurrent use.
type Message struct {
	packets []packet
	size    int  // in bytes, about, while it waits
	binary  bool // one of them is

	// The WebSocket frames, made when they are first needed. Two goroutines may
	// make the same ones at the same time: that is harmless, and rare.
	frames [encodings]atomic.Pointer[[]byte]
}

// Text makes a message of text, which must be UTF-8, and for clients that poll
// must not contain the byte 0x1e, which separates packets there. It keeps data.
func Text(data []byte) *Message {
	return newMessage(packet{kind: kindMessage, data: data})
}

// Binary makes a binary message. It keeps data.
func Binary(data []byte) *Message {
	return newMessage(packet{kind: kindMessage, binary: true, data: data})
}

// Sequence makes one Message of several: nothing comes in between them.
func Sequence(list ...*Message) *Message {
	var packets []packet
	for _, m := range list {
		packets = append(packets, m.packets...)
	}
	return newMessage(packets...)
}

func newMessage(packets ...packet) *Message {
	m := &Message{packets: packets}
	for _, p := range packets {
		m.size += len(p.data) + packetOverhead
		m.binary = m.binary || p.binary
	}
	return m
}

// frame returns the message as WebSocket frames, one behind the other.
func (m *Message) frame(e encoding) []byte {
	if !m.binary {
		e = binary4 // text is the same in all
	}
	if f := m.frames[e].Load(); f != nil {
		return *f
	}
	f := make([]byte, 0, m.size)
	for _, p := range m.packets {
		f = appendFrames(f, p, e)
	}
	m.frames[e].Store(&f)
	return f
}

// appendFrames appends the frame of a packet.
func appendFrames(dst []byte, p packet, e encoding) []byte {
	switch {
	case !p.binary:
		dst = appendHeader(dst, ws.OpText, 1+len(p.data))
		dst = append(dst, p.kind)
	case e == binary4:
		dst = appendHeader(dst, ws.OpBinary, len(p.data))
	case e == binary3:
		dst = appendHeader(dst, ws.OpBinary, 1+len(p.data))
		dst = append(dst, p.kind-'0')
	case e == base64of4:
		dst = appendHeader(dst, ws.OpText, 1+base64.StdEncoding.EncodedLen(len(p.data)))
		dst = append(dst, 'b')
		return base64.StdEncoding.AppendEncode(dst, p.data)
	default:
		dst = appendHeader(dst, ws.OpText, 2+base64.StdEncoding.EncodedLen(len(p.data)))
		dst = append(dst, 'b', p.kind)
		return base64.StdEncoding.AppendEncode(dst, p.data)
	}
	return append(dst, p.data...)
}

// appendHeader appends the header of a frame that holds a whole message. What a
// server sends is not masked.
func appendHeader(dst []byte, op ws.OpCode, length int) []byte {
	dst = append(dst, 0x80|byte(op))
	switch {
	case length <= 125:
		return append(dst, byte(length))
	case length <= 0xffff:
		dst = append(dst, 126)
		return binary.BigEndian.AppendUint16(dst, uint16(length))
	default:
		dst = append(dst, 127)
		return binary.BigEndian.AppendUint64(dst, uint64(length))
	}
}

// controlFrame makes a control frame. Its payload is cut to what such a frame holds.
func controlFrame(op ws.OpCode, payload []byte) []byte {
	payload = payload[:min(len(payload), ws.MaxControlFramePayloadSize)]
	return append(appendHeader(nil, op, len(payload)), payload...)
}

// closeFrame makes the frame that closes a WebSocket.
func closeFrame(code ws.StatusCode, reason string) []byte {
	return controlFrame(ws.OpClose, ws.NewCloseFrameBody(code, reason))
}

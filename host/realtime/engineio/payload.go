package engineio

import (
	"bytes"
	"encoding/base64"
	"errors"
	"fmt"
	"strconv"
	"unicode/utf8"
)

// A payload is what a polling request or its response carries: several packets,
// one behind the other. Revision 4 separates them by the byte 0x1e and writes
// binary data in base64. Revision 3 puts their lengths in front: in UTF-16 units
// if the payload is text, in bytes if it is binary.

const separator = 0x1e

// maxLengthDigits bounds the length that stands before a packet of revision 3.
const maxLengthDigits = 9

var (
	errNoPacket  = errors.New("the payload holds no packet: at least one was expected")
	errUTF8      = errors.New("the text is not UTF-8: only UTF-8 is accepted")
	errCutPacket = errors.New("the payload ends inside a packet: its length goes beyond")
)

// parsePacket reads a packet from a WebSocket message, or from a part of a payload.
func parsePacket(version int, data []byte, binary bool) (packet, error) {
	switch {
	case binary && version == 4:
		return packet{kindMessage, true, data}, nil
	case len(data) == 0:
		return packet{}, errors.New("the packet is empty: a type was expected")
	case binary:
		if data[0] != kindMessage-'0' {
			return packet{}, fmt.Errorf("a binary packet has the type %d: only 4, a message, can be binary", data[0])
		}
		return packet{kindMessage, true, data[1:]}, nil
	case data[0] == 'b':
		return parseBase64(version, data[1:])
	case data[0] < kindOpen || data[0] > kindNoop:
		return packet{}, fmt.Errorf("the packet starts with %q: a type from 0 to 6, or b, was expected", data[0])
	}
	return packet{data[0], false, data[1:]}, nil
}

// parseBase64 reads a binary packet from what follows its "b".
func parseBase64(version int, text []byte) (packet, error) {
	if version == 3 {
		if len(text) == 0 || text[0] != kindMessage {
			return packet{}, errors.New("a packet in base64 is not a message: b4 was expected")
		}
		text = text[1:]
	}
	data, err := base64.StdEncoding.AppendDecode(nil, text)
	if err != nil {
		return packet{}, fmt.Errorf("decode a binary packet of %d characters: %w", len(text), err)
	}
	return packet{kindMessage, true, data}, nil
}

// decodePayload hands the packets of a payload to receive, until it returns an error.
func decodePayload(version int, body []byte, binary bool, receive func(packet) error) error {
	switch {
	case len(body) == 0:
		return errNoPacket
	case version == 3 && binary:
		return decodeBinary3(body, receive)
	case !utf8.Valid(body):
		return errUTF8
	case version == 3:
		return decodeText3(body, receive)
	}
	return decodeText4(body, receive)
}

func decodeText4(body []byte, receive func(packet) error) error {
	for part := range bytes.SplitSeq(body, []byte{separator}) {
		p, err := parsePacket(4, part, false)
		if err != nil {
			return err
		}
		if err := receive(p); err != nil {
			return err
		}
	}
	return nil
}

func decodeText3(body []byte, receive func(packet) error) error {
	for len(body) > 0 {
		digits := bytes.IndexByte(body[:min(len(body), maxLengthDigits+1)], ':')
		if digits <= 0 {
			return errors.New("a packet has no length in front: digits and a colon were expected")
		}
		units := 0
		for _, c := range body[:digits] {
			if c < '0' || c > '9' {
				return fmt.Errorf("the length of a packet contains %q: digits were expected", c)
			}
			units = units*10 + int(c-'0')
		}
		body = body[digits+1:]
		n, err := skipUnits(body, units)
		if err != nil {
			return err
		}
		p, err := parsePacket(3, body[:n], false)
		if err != nil {
			return err
		}
		if err := receive(p); err != nil {
			return err
		}
		body = body[n:]
	}
	return nil
}

// skipUnits returns how many bytes of valid UTF-8 make up that many UTF-16 units.
func skipUnits(text []byte, units int) (n int, err error) {
	for units > 0 {
		if n == len(text) {
			return 0, errCutPacket
		}
		if text[n] < utf8.RuneSelf {
			n, units = n+1, units-1
			continue
		}
		_, size := utf8.DecodeRune(text[n:])
		n, units = n+size, units-1
		if size == utf8.UTFMax {
			units--
		}
	}
	if units < 0 {
		return 0, errors.New("a packet ends inside a character: its length must count UTF-16 units")
	}
	return n, nil
}

// countUnits returns the length of a text in UTF-16 units.
func countUnits(text []byte) int {
	n := 0
	for _, b := range text {
		// Each character has one byte that does not continue another; those of
		// four bytes are two units.
		if b&0xc0 != 0x80 {
			n++
		}
		if b >= 0xf0 {
			n++
		}
	}
	return n
}

func decodeBinary3(body []byte, receive func(packet) error) error {
	for len(body) > 0 {
		text := body[0] == 0
		if body[0] > 1 {
			return fmt.Errorf("a packet starts with the byte %d: 0 for text or 1 for binary was expected", body[0])
		}
		body = body[1:]
		digits := bytes.IndexByte(body[:min(len(body), maxLengthDigits+1)], 0xff)
		if digits <= 0 {
			return errors.New("a packet has no length in front: digits and the byte 255 were expected")
		}
		n := 0
		for _, d := range body[:digits] {
			if d > 9 {
				return fmt.Errorf("the length of a packet contains the byte %d: 0 to 9 were expected", d)
			}
			n = n*10 + int(d)
		}
		body = body[digits+1:]
		if n > len(body) {
			return errCutPacket
		}
		if text && !utf8.Valid(body[:n]) {
			return errUTF8
		}
		p, err := parsePacket(3, body[:n], !text)
		if err != nil {
			return err
		}
		if err := receive(p); err != nil {
			return err
		}
		body = body[n:]
	}
	return nil
}

// appendPayload appends messages as a payload, and tells whether it is binary.
func appendPayload(dst []byte, version int, base64Only bool, list []*Message) (payload []byte, binary bool) {
	if version == 3 && !base64Only {
		for _, m := range list {
			binary = binary || m.binary
		}
	}
	for _, m := range list {
		for _, p := range m.packets {
			switch {
			case version == 4:
				dst = appendText4(dst, p)
			case binary:
				dst = appendBinary3(dst, p)
			default:
				dst = appendText3(dst, p)
			}
		}
	}
	return dst, binary
}

func appendText4(dst []byte, p packet) []byte {
	if len(dst) > 0 {
		dst = append(dst, separator)
	}
	if p.binary {
		return base64.StdEncoding.AppendEncode(append(dst, 'b'), p.data)
	}
	return append(append(dst, p.kind), p.data...)
}

func appendText3(dst []byte, p packet) []byte {
	if p.binary {
		dst = strconv.AppendInt(dst, int64(2+base64.StdEncoding.EncodedLen(len(p.data))), 10)
		dst = append(dst, ':', 'b', p.kind)
		return base64.StdEncoding.AppendEncode(dst, p.data)
	}
	dst = strconv.AppendInt(dst, int64(1+countUnits(p.data)), 10)
	dst = append(dst, ':', p.kind)
	return append(dst, p.data...)
}

func appendBinary3(dst []byte, p packet) []byte {
	mark, kind := byte(0), p.kind
	if p.binary {
		mark, kind = 1, p.kind-'0'
	}
	dst = append(dst, mark)
	start := len(dst)
	dst = strconv.AppendInt(dst, int64(1+len(p.data)), 10)
	for i := start; i < len(dst); i++ {
		dst[i] -= '0' // a digit is a byte from 0 to 9 here
	}
	dst = append(dst, 0xff, kind)
	return append(dst, p.data...)
}

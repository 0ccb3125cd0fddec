package text

import (
	"bytes"
	"encoding/binary"
	"math"
	"math/bits"
	"unicode/utf8"

	"github.com/edgeset/edgeset/abi"
)

// MaxAttributes is how many attributes an element may have.
const MaxAttributes = 64

const xmlHead = `<?xml version="1.0" encoding="UTF-8"?>` + "\n"

// AppendXML appends the element v to dst as an XML document. An element is the
// array [name, attributes, child, …]; attributes are null or the array
// [name, value, …] of strings; a child is a string, a number, a boolean, an
// element, or null for nothing. Anything else makes AppendXML return dst as it
// was and ErrValue, and so does a name that is not one of ASCII with at most
// one prefix, an attribute that comes twice, or more than MaxAttributes.
// Whether a prefix was declared is not checked.
//
// The document has at most 5 bytes for each byte of v, and a head of 39.
// Characters that XML cannot express, and bytes that are not UTF-8, become
// U+FFFD.
func AppendXML(dst []byte, v abi.Value) ([]byte, error) {
	x := xmlRenderer{src: v.Read(), dst: append(dst, xmlHead...)}
	if !x.element(abi.MaxDepth) || !x.src.Done() {
		return dst, ErrValue
	}
	return x.dst, nil
}

// xmlRenderer is one run of AppendXML. Its methods tell whether they could make
// sense of what they read.
type xmlRenderer struct {
	src abi.Reader
	dst []byte
}

// element renders an element, in which depth arrays may stand in each other.
func (x *xmlRenderer) element(depth int) bool {
	n := x.src.Array()
	if depth == 0 || n < 2 {
		return false
	}
	name := x.src.TextBytes()
	if !isXMLName(name) {
		return false
	}
	x.dst = append(x.dst, '<')
	x.dst = append(x.dst, name...)
	if !x.src.Nil() && !x.attributes(depth-1) {
		return false
	}
	x.dst = append(x.dst, '>')
	start := len(x.dst)
	for n -= 2; n > 0; n-- {
		if !x.child(depth - 1) {
			return false
		}
	}
	x.dst = appendEndTag(x.dst, start, name)
	return true
}

// child renders what stands in an element.
func (x *xmlRenderer) child(depth int) bool {
	switch kind := x.src.Kind(); kind {
	case abi.Nil:
		return x.src.Nil()
	case abi.String:
		x.dst = appendXMLText(x.dst, x.src.TextBytes(), false)
	case abi.Array:
		return x.element(depth)
	case abi.Float, abi.Int, abi.Number, abi.Bool:
		v := x.src.Value()
		if kind == abi.Float {
			switch f, _ := v.Float(); { // as XML Schema writes them
			case f != f:
				x.dst = append(x.dst, "NaN"...)
				return true
			case f > math.MaxFloat64:
				x.dst = append(x.dst, "INF"...)
				return true
			case f < -math.MaxFloat64:
				x.dst = append(x.dst, "-INF"...)
				return true
			}
		}
		var err error
		x.dst, err = AppendJSON(x.dst, v)
		return err == nil
	default:
		return false
	}
	return !x.src.Failed()
}

// attributes renders the attributes of an element.
func (x *xmlRenderer) attributes(depth int) bool {
	n := x.src.Array()
	if depth == 0 || n%2 != 0 || n > 2*MaxAttributes {
		return false
	}
	first := x.src
	for k := range n / 2 {
		name := x.src.TextBytes()
		if !isXMLName(name) {
			return false
		}
		for earlier, left := first, k; left > 0; left-- {
			if bytes.Equal(earlier.TextBytes(), name) {
				return false
			}
			earlier.TextBytes()
		}
		x.dst = append(x.dst, ' ')
		x.dst = append(x.dst, name...)
		x.dst = append(x.dst, `="`...)
		x.dst = appendXMLText(x.dst, x.src.TextBytes(), true)
		x.dst = append(x.dst, '"')
	}
	return !x.src.Failed()
}

// isXMLName tells whether name is a name of ASCII characters, with or without
// a prefix.
func isXMLName(name []byte) bool {
	first, colons := true, 0 // first: here a part begins
	for _, c := range name {
		switch {
		case 'a' <= c|0x20 && c|0x20 <= 'z' || c == '_':
			first = false
		case first:
			return false
		case c == ':':
			first = true
			colons++
		case c-'0' > 9 && c != '-' && c != '.':
			return false
		}
	}
	return !first && colons <= 1
}

// appendEndTag closes an element whose content begins at start, or makes its
// tag that of an empty element.
func appendEndTag(dst []byte, start int, name []byte) []byte {
	if len(dst) == start {
		return append(dst[:start-1], "/>"...)
	}
	dst = append(dst, "</"...)
	dst = append(dst, name...)
	return append(dst, '>')
}

// appendXMLText appends s as the text of an element or the value of an
// attribute. A reader would turn "\r", and in an attribute each white space,
// into something else if it stood as it is.
func appendXMLText(dst, s []byte, attribute bool) []byte {
	from, i := 0, 0
	for i < len(s) {
		if len(s)-i >= 8 {
			x := binary.LittleEndian.Uint64(s[i:])
			m := marks(x) | x&highs
			if m == 0 {
				i += 8
				continue
			}
			i += bits.TrailingZeros64(m) / 8
		}
		c, size := s[i], 1
		var instead string
		switch {
		case '>' < c && c < utf8.RuneSelf, '&' < c && c < '<', c == ' ':
			i++
			continue
		case c >= utf8.RuneSelf:
			if n := common(s[i:]); n > 0 {
				i += n
				continue
			}
			var r rune
			r, size = utf8.DecodeRune(s[i:])
			if r == utf8.RuneError && size == 1 || r == 0xfffe || r == 0xffff {
				instead = "\uFFFD"
			}
		case c == '&':
			instead = "&amp;"
		case c == '<':
			instead = "&lt;"
		case c == '>':
			instead = "&gt;"
		case c == '\r':
			instead = "&#13;"
		case c == '"' && attribute:
			instead = "&#34;"
		case c == '\t' && attribute:
			instead = "&#9;"
		case c == '\n' && attribute:
			instead = "&#10;"
		case c < ' ' && c != '\t' && c != '\n':
			instead = "\uFFFD"
		}
		if instead != "" {
			dst = append(dst, s[from:i]...)
			dst = append(dst, instead...)
			from = i + size
		}
		i += size
	}
	return append(dst, s[from:]...)
}

// marks marks, of eight bytes, those that mean something in XML, '&', '"', '<'
// and '>', and control characters. Marks above the lowest may be wrong.
func marks(x uint64) uint64 {
	// '&' and '"' differ in one bit, and so do '<' and '>'.
	quote, angle := (x|ones*('&'^'"'))^ones*'&', (x|ones*('<'^'>'))^ones*'>'
	return ((x-ones*0x20)&^x | (quote-ones)&^quote | (angle-ones)&^angle) & highs
}

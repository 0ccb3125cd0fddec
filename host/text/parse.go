package text

import (
	"encoding/binary"
	"math/bits"
	"strconv"
	"unicode/utf16"
	"unicode/utf8"

	"github.com/edgeset/edgeset/abi"
)

// ParseJSON appends the MessagePack of one JSON document to dst: RFC 8259 to
// the letter, UTF-8 without a byte order mark, nested at most maxDepth deep (at
// most abi.MaxDepth). Numbers keep the decimal that was written; entries that
// repeat a key are all passed on. If it fails it returns dst as it was and a
// *SyntaxError.
//
// It allocates only to grow dst.
func ParseJSON(dst, src []byte, maxDepth int) ([]byte, error) {
	p := parser{src: src, dst: dst}
	if len(src) > abi.MaxFrameSize {
		return dst, &SyntaxError{abi.MaxFrameSize, "document is longer than " + strconv.Itoa(abi.MaxFrameSize) + " bytes"}
	}
	p.depth = min(maxDepth, abi.MaxDepth)
	i := p.value(space(src, 0), p.depth)
	if i >= 0 {
		if i = space(src, i); i == len(src) {
			return p.dst, nil
		}
		p.fail(i, "want the end of the document, got "+name(src, i))
	}
	return dst, &SyntaxError{p.at, p.msg}
}

// parser is one run of ParseJSON. Its methods take the index of what they read
// and return the index behind it, or -1 after a failure.
type parser struct {
	src   []byte
	dst   []byte
	depth int // the limit

	at  int // of the failure
	msg string
}

func (p *parser) fail(at int, msg string) int {
	p.at, p.msg = at, msg
	return -1
}

// name describes what stands at i, for a message.
func name(src []byte, i int) string {
	if i >= len(src) {
		return "the end"
	}
	if r, size := utf8.DecodeRune(src[i:]); r != utf8.RuneError || size > 1 {
		return strconv.QuoteRune(r)
	}
	return "a byte that is not UTF-8"
}

// space returns the index of the first byte from i on that is not white space.
func space(src []byte, i int) int {
	for i < len(src) && src[i] <= ' ' && (src[i] == ' ' || src[i] == '\n' || src[i] == '\t' || src[i] == '\r') {
		i++
	}
	return i
}

// value parses the value that begins at i. It may open depth more containers.
func (p *parser) value(i, depth int) int {
	src := p.src
	if i >= len(src) {
		return p.fail(i, "want a value, got the end")
	}
	switch c := src[i]; c {
	case '"':
		return p.text(i + 1)
	case '-', '0', '1', '2', '3', '4', '5', '6', '7', '8', '9':
		return p.number(i)
	case '[':
		return p.array(i, depth)
	case '{':
		return p.object(i, depth)
	case 't':
		return p.word(i, "true", 0xc3)
	case 'f':
		return p.word(i, "false", 0xc2)
	case 'n':
		return p.word(i, "null", 0xc0)
	case 0xef:
		if i == 0 && len(src) >= 3 && src[1] == 0xbb && src[2] == 0xbf {
			return p.fail(0, "document begins with a byte order mark; send it without")
		}
	}
	return p.fail(i, "want a value, got "+name(src, i))
}

func (p *parser) word(i int, word string, tag byte) int {
	if len(p.src)-i < len(word) || string(p.src[i:i+len(word)]) != word {
		return p.fail(i, "want a value: is it "+word+"?")
	}
	p.dst = append(p.dst, tag)
	return i + len(word)
}

// Tags of MessagePack. A container is begun with the one-byte head that counts
// to 15 and widened, with what already stands in it, if there come more.
const (
	fixMap   = 0x80
	fixArray = 0x90
	fixMax   = 15
	array32  = 0xdd
	map32    = 0xdf
)

// widen turns the one-byte head at head into a 32-bit one.
func (p *parser) widen(head int, tag byte) {
	p.dst = append(p.dst, 0, 0, 0, 0)
	copy(p.dst[head+5:], p.dst[head+1:])
	p.dst[head] = tag
}

// finish fills the count into the head of a container.
func (p *parser) finish(head, n int) {
	if n <= fixMax {
		p.dst[head] |= byte(n)
	} else {
		binary.BigEndian.PutUint32(p.dst[head+1:], uint32(n))
	}
}

func (p *parser) tooDeep(i int) int {
	return p.fail(i, "nested deeper than "+strconv.Itoa(max(p.depth, 0)))
}

func (p *parser) array(i, depth int) int {
	if depth <= 0 {
		return p.tooDeep(i)
	}
	src := p.src
	head := len(p.dst)
	p.dst = append(p.dst, fixArray)
	i = space(src, i+1)
	if i < len(src) && src[i] == ']' {
		return i + 1
	}
	for n := 1; ; n++ {
		if n == fixMax+1 {
			p.widen(head, array32)
		}
		if i = p.value(i, depth-1); i < 0 {
			return -1
		}
		if i < len(src) && src[i] <= ' ' {
			i = space(src, i)
		}
		switch {
		case i < len(src) && src[i] == ',':
			if i++; i < len(src) && src[i] <= ' ' {
				i = space(src, i)
			}
		case i < len(src) && src[i] == ']':
			p.finish(head, n)
			return i + 1
		default:
			return p.fail(i, "want ',' or ']' in an array, got "+name(src, i))
		}
	}
}

func (p *parser) object(i, depth int) int {
	if depth <= 0 {
		return p.tooDeep(i)
	}
	src := p.src
	head := len(p.dst)
	p.dst = append(p.dst, fixMap)
	i = space(src, i+1)
	if i < len(src) && src[i] == '}' {
		return i + 1
	}
	for n := 1; ; n++ {
		if n == fixMax+1 {
			p.widen(head, map32)
		}
		if i >= len(src) || src[i] != '"' {
			return p.fail(i, "want a string as the key of an object, got "+name(src, i))
		}
		if i = p.text(i + 1); i < 0 {
			return -1
		}
		if i = space(src, i); i >= len(src) || src[i] != ':' {
			return p.fail(i, "want ':' behind a key, got "+name(src, i))
		}
		if i = p.value(space(src, i+1), depth-1); i < 0 {
			return -1
		}
		i = space(src, i)
		switch {
		case i < len(src) && src[i] == ',':
			i = space(src, i+1)
		case i < len(src) && src[i] == '}':
			p.finish(head, n)
			return i + 1
		default:
			return p.fail(i, "want ',' or '}' in an object, got "+name(src, i))
		}
	}
}

// Masks for looking at eight bytes at once: a byte each, and its high bit.
const (
	ones  = 0x0101010101010101
	highs = 0x8080808080808080
)

// stops marks, of eight bytes, those that end a plain stretch of a string: a
// quote, a backslash, a control character. Marks above the lowest may be wrong.
func stops(x uint64) uint64 {
	quote, back := x^ones*'"', x^ones*'\\'
	return ((x-ones*0x20)&^x | (quote-ones)&^quote | (back-ones)&^back) & highs
}

// plain returns the index of the first byte from i on that stops a string, or
// len(src), and whether bytes beyond ASCII stand before it.
func plain(src []byte, i int) (int, bool) {
	var seen uint64
	for len(src)-i >= 8 {
		x := binary.LittleEndian.Uint64(src[i:])
		if m := stops(x); m != 0 {
			n := bits.TrailingZeros64(m) &^ 7
			seen |= x & (1<<n - 1)
			return i + n/8, seen&highs != 0
		}
		seen |= x
		i += 8
	}
	for ; i < len(src); i++ {
		c := src[i]
		if c == '"' || c == '\\' || c < 0x20 {
			break
		}
		seen |= uint64(c)
	}
	return i, seen&highs != 0
}

// text parses a string whose opening quote stands before i.
func (p *parser) text(i int) int {
	end, wide := plain(p.src, i)
	if wide && !utf8.Valid(p.src[i:end]) {
		return p.notUTF8(i)
	}
	if end < len(p.src) && p.src[end] == '"' {
		span := p.src[i:end]
		if n := len(span); n < 32 {
			p.dst = append(p.dst, 0xa0|byte(n))
		} else {
			p.dst = appendTextHead(p.dst, n)
		}
		p.dst = append(p.dst, span...)
		return end + 1
	}
	return p.escaped(i, end)
}

func appendTextHead(dst []byte, n int) []byte {
	switch {
	case n < 32:
		return append(dst, 0xa0|byte(n))
	case n < 1<<8:
		return append(dst, 0xd9, byte(n))
	case n < 1<<16:
		return append(dst, 0xda, byte(n>>8), byte(n))
	}
	return binary.BigEndian.AppendUint32(append(dst, 0xdb), uint32(n))
}

func (p *parser) notUTF8(i int) int {
	for {
		r, size := utf8.DecodeRune(p.src[i:])
		if r == utf8.RuneError && size <= 1 {
			return p.fail(i, "string is not UTF-8")
		}
		i += size
	}
}

// escaped goes on with a string at its first stop that is no quote.
func (p *parser) escaped(start, i int) int {
	src := p.src
	// The head goes in when the length is known. Its largest form takes 5 bytes.
	head := len(p.dst)
	p.dst = append(p.dst, 0, 0, 0, 0, 0)
	for {
		p.dst = append(p.dst, src[start:i]...)
		switch {
		case i >= len(src):
			return p.fail(i, "string is not closed")
		case src[i] == '"':
			n := len(p.dst) - head - 5
			h := len(appendTextHead(p.dst[:head], n)) - head
			p.dst = p.dst[:head+h+copy(p.dst[head+h:], p.dst[head+5:])]
			return i + 1
		case src[i] != '\\':
			return p.fail(i, "control character "+strconv.QuoteRune(rune(src[i]))+" in a string; write it as an escape")
		}
		if i = p.escape(i); i < 0 {
			return -1
		}
		start = i
		var wide bool
		if i, wide = plain(src, i); wide && !utf8.Valid(src[start:i]) {
			return p.notUTF8(start)
		}
	}
}

// escape appends what the escape at i stands for.
func (p *parser) escape(i int) int {
	src := p.src
	if i+1 >= len(src) {
		return p.fail(i, "string is not closed")
	}
	c := src[i+1]
	switch c {
	case '"', '\\', '/':
	case 'b':
		c = '\b'
	case 'f':
		c = '\f'
	case 'n':
		c = '\n'
	case 'r':
		c = '\r'
	case 't':
		c = '\t'
	case 'u':
		r := unit(src, i)
		if r < 0 {
			return p.fail(i, `want four hexadecimal digits behind \u`)
		}
		i += 6
		if utf16.IsSurrogate(r) {
			// Half a pair stands for no character. As in encoding/json it reads
			// as U+FFFD: see RATIONALE.md.
			if pair := utf16.DecodeRune(r, unit(src, i)); pair != utf8.RuneError {
				r, i = pair, i+6
			} else {
				r = utf8.RuneError
			}
		}
		p.dst = utf8.AppendRune(p.dst, r)
		return i
	default:
		return p.fail(i, `unknown escape: want one of \" \\ \/ \b \f \n \r \t \u`)
	}
	p.dst = append(p.dst, c)
	return i + 2
}

// unit returns the UTF-16 unit of the \u escape at i, or -1 if there is none.
func unit(src []byte, i int) rune {
	if len(src)-i < 6 || src[i] != '\\' || src[i+1] != 'u' {
		return -1
	}
	var r rune
	for _, c := range src[i+2 : i+6] {
		d := unhex(c)
		if d < 0 {
			return -1
		}
		r = r<<4 | rune(d)
	}
	return r
}

// unhex returns the value of a hexadecimal digit, or -1.
func unhex(c byte) int {
	switch {
	case '0' <= c && c <= '9':
		return int(c - '0')
	case 'a' <= c|0x20 && c|0x20 <= 'f':
		return int(c|0x20-'a') + 10
	}
	return -1
}

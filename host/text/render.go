package text

import (
	"encoding/base64"
	"encoding/binary"
	"errors"
	"math"
	"math/bits"
	"strconv"
	"unicode/utf8"

	"github.com/edgeset/edgeset/abi"
)

// ErrValue is returned for a value that is not what abi.Value.Valid accepts.
var ErrValue = errors.New("text: malformed value")

// AppendJSON appends v to dst as compact JSON. v should be known to be Valid;
// if it is not, AppendJSON returns dst as it was and ErrValue, or renders what
// it can make sense of, but never anything that is not JSON.
//
// Floats take their shortest form, as in encoding/json, and become null where
// JSON has no number for them; byte strings become base64; bytes of a string
// that are not UTF-8 become U+FFFD. U+2028 and U+2029 are escaped, '<' is not.
func AppendJSON(dst []byte, v abi.Value) ([]byte, error) {
	r := renderer{src: v, dst: dst}
	if r.value(0, abi.MaxDepth) != len(v) {
		return dst, ErrValue
	}
	return r.dst, nil
}

// renderer is one run of AppendJSON or AppendErrorForm. Its methods take the
// index of what they read and return the index behind it, or -1 if it is not
// well-formed.
type renderer struct {
	src  []byte
	dst  []byte
	form *filling // nil: placeholders are strings like others
}

// value renders the value at i, which may open depth more containers.
func (r *renderer) value(i, depth int) int {
	src := r.src
	if uint(i) >= uint(len(src)) {
		return -1
	}
	tag := src[i]
	i++
	switch {
	case tag < 0x80:
		r.dst = strconv.AppendInt(r.dst, int64(tag), 10)
		return i
	case tag >= 0xe0:
		r.dst = strconv.AppendInt(r.dst, int64(int8(tag)), 10)
		return i
	case tag < 0x90:
		return r.object(i, int(tag&0x0f), depth)
	case tag < 0xa0:
		return r.array(i, int(tag&0x0f), depth)
	case tag < 0xc0:
		return r.text(i, int(tag&0x1f))
	}
	// What is left has a head of 1, 2, 4 or 8 bytes behind its tag: a number
	// or a size.
	size := int(heads[tag-0xc0])
	if len(src)-i < size {
		return -1
	}
	var n uint64
	switch size {
	case 1:
		n = uint64(src[i])
	case 2:
		n = uint64(binary.BigEndian.Uint16(src[i:]))
	case 4:
		n = uint64(binary.BigEndian.Uint32(src[i:]))
	case 8:
		n = binary.BigEndian.Uint64(src[i:])
	}
	i += size
	switch tag {
	case 0xc0:
		r.dst = append(r.dst, "null"...)
	case 0xc2:
		r.dst = append(r.dst, "false"...)
	case 0xc3:
		r.dst = append(r.dst, "true"...)
	case 0xcc, 0xcd, 0xce, 0xcf:
		r.dst = strconv.AppendUint(r.dst, n, 10)
	case 0xd0:
		r.dst = strconv.AppendInt(r.dst, int64(int8(n)), 10)
	case 0xd1:
		r.dst = strconv.AppendInt(r.dst, int64(int16(n)), 10)
	case 0xd2:
		r.dst = strconv.AppendInt(r.dst, int64(int32(n)), 10)
	case 0xd3:
		r.dst = strconv.AppendInt(r.dst, int64(n), 10)
	case 0xca:
		r.float(float64(math.Float32frombits(uint32(n))), 32)
	case 0xcb:
		r.float(math.Float64frombits(n), 64)
	case 0xd9, 0xda, 0xdb:
		return r.text(i, int(n))
	case 0xdc, 0xdd:
		return r.array(i, int(n), depth)
	case 0xde, 0xdf:
		return r.object(i, int(n), depth)
	case 0xc4, 0xc5, 0xc6:
		if uint64(len(src)-i) < n {
			return -1
		}
		r.dst = append(r.dst, '"')
		r.dst = base64.StdEncoding.AppendEncode(r.dst, src[i:i+int(n)])
		r.dst = append(r.dst, '"')
		return i + int(n)
	case 0xd4, 0xd5, 0xd6, 0xd7, 0xd8:
		return r.extension(i, i-1, 1<<(tag-0xd4))
	case 0xc7, 0xc8, 0xc9:
		return r.extension(i, i-1-size, n)
	default: // 0xc1
		return -1
	}
	return i
}

// heads holds the size of the number behind each tag from 0xc0 to 0xdf.
var heads = [...]uint8{
	0, 0, 0, 0, 1, 2, 4, 1, 2, 4, 4, 8, 1, 2, 4, 8,
	1, 2, 4, 8, 0, 0, 0, 0, 0, 1, 2, 4, 2, 4, 2, 4,
}

// extension renders an extension whose tag stands at tag and whose type stands
// at i, n bytes of data behind it: a number as its text, others as null.
func (r *renderer) extension(i, tag int, n uint64) int {
	i++
	if i > len(r.src) || uint64(len(r.src)-i) < n {
		return -1
	}
	end := i + int(n)
	if abi.Value(r.src[tag:end]).Kind() == abi.Number {
		r.dst = append(r.dst, r.src[i:end]...)
	} else {
		r.dst = append(r.dst, "null"...)
	}
	return end
}

func (r *renderer) array(i, n, depth int) int {
	if depth == 0 {
		return -1
	}
	r.dst = append(r.dst, '[')
	for k := 0; k < n; k++ {
		if k > 0 {
			r.dst = append(r.dst, ',')
		}
		if i = r.value(i, depth-1); i < 0 {
			return -1
		}
	}
	r.dst = append(r.dst, ']')
	return i
}

func (r *renderer) object(i, n, depth int) int {
	if depth == 0 {
		return -1
	}
	r.dst = append(r.dst, '{')
	first := true
	for ; n > 0; n-- {
		key, size := r.textHead(i)
		if key < 0 {
			return -1
		}
		i = key + size
		if r.form != nil && r.form.omits(r.src[i:]) {
			i += 1 + len(detail)
			continue
		}
		if !first {
			r.dst = append(r.dst, ',')
		}
		first = false
		r.dst = AppendString(r.dst, r.src[key:key+size])
		r.dst = append(r.dst, ':')
		if i = r.value(i, depth-1); i < 0 {
			return -1
		}
	}
	r.dst = append(r.dst, '}')
	return i
}

// textHead reads the head of the string at i and returns where its bytes stand,
// or -1 if there is none.
func (r *renderer) textHead(i int) (start, n int) {
	rest := r.src[i:]
	switch {
	case len(rest) > 0 && rest[0]&0xe0 == 0xa0:
		start, n = i+1, int(rest[0]&0x1f)
	case len(rest) > 1 && rest[0] == 0xd9:
		start, n = i+2, int(rest[1])
	case len(rest) > 2 && rest[0] == 0xda:
		start, n = i+3, int(binary.BigEndian.Uint16(rest[1:]))
	case len(rest) > 4 && rest[0] == 0xdb:
		start, n = i+5, int(binary.BigEndian.Uint32(rest[1:]))
	default:
		return -1, 0
	}
	if len(r.src)-start < n {
		return -1, 0
	}
	return start, n
}

// text renders the n bytes at i as a string.
func (r *renderer) text(i, n int) int {
	if len(r.src)-i < n {
		return -1
	}
	s := r.src[i : i+n]
	if r.form == nil || !r.fill(s) {
		r.dst = AppendString(r.dst, s)
	}
	return i + n
}

// AppendString appends s as a JSON string.
func AppendString(dst, s []byte) []byte {
	dst = append(dst, '"')
	from, i := 0, 0
	for i < len(s) {
		if len(s)-i >= 8 {
			x := binary.LittleEndian.Uint64(s[i:])
			m := stops(x) | x&highs
			if m == 0 {
				i += 8
				continue
			}
			i += bits.TrailingZeros64(m) / 8
		}
		c := s[i]
		if c >= utf8.RuneSelf {
			if n := common(s[i:]); n > 0 {
				i += n
				continue
			}
			r, size := utf8.DecodeRune(s[i:])
			if r != utf8.RuneError && r != '\u2028' && r != '\u2029' || r == utf8.RuneError && size > 1 {
				i += size
				continue
			}
			dst = append(dst, s[from:i]...)
			switch r {
			case '\u2028':
				dst = append(dst, `\u2028`...)
			case '\u2029':
				dst = append(dst, `\u2029`...)
			default:
				dst = append(dst, "\uFFFD"...)
			}
			i += size
			from = i
			continue
		}
		if c >= ' ' && c != '"' && c != '\\' {
			i++
			continue
		}
		dst = append(dst, s[from:i]...)
		switch c {
		case '"', '\\':
			dst = append(dst, '\\', c)
		case '\b':
			dst = append(dst, '\\', 'b')
		case '\f':
			dst = append(dst, '\\', 'f')
		case '\n':
			dst = append(dst, '\\', 'n')
		case '\r':
			dst = append(dst, '\\', 'r')
		case '\t':
			dst = append(dst, '\\', 't')
		default:
			const hex = "0123456789abcdef"
			dst = append(dst, '\\', 'u', '0', '0', hex[c>>4], hex[c&0xf])
		}
		i++
		from = i
	}
	dst = append(dst, s[from:]...)
	return append(dst, '"')
}

// common returns the length of the characters beyond ASCII that s begins with
// and that stand for themselves; of the rarer ones it knows nothing.
func common(s []byte) (n int) {
	for len(s)-n >= 3 {
		c, next := s[n], s[n+1]
		switch {
		case 0xc2 <= c && c < 0xe0 && next&0xc0 == 0x80:
			n += 2
		case 0xe1 <= c && c < 0xed && next&0xc0 == 0x80 && s[n+2]&0xc0 == 0x80 && !(c == 0xe2 && next == 0x80):
			n += 3
		default:
			return n
		}
	}
	return n
}

// float renders a float of 32 or 64 bits.
func (r *renderer) float(f float64, size int) {
	abs := math.Abs(f)
	switch {
	case f != f || math.IsInf(f, 0):
		r.dst = append(r.dst, "null"...)
		return
	case abs < 1<<53 && f == math.Trunc(f) && f != 0 && size == 64:
		r.dst = strconv.AppendInt(r.dst, int64(f), 10)
		return
	}
	format := byte('f')
	if size == 64 && abs != 0 && (abs < 1e-6 || abs >= 1e21) ||
		size == 32 && abs != 0 && (float32(abs) < 1e-6 || float32(abs) >= 1e21) {
		format = 'e'
	}
	r.dst = strconv.AppendFloat(r.dst, f, format, -1, size)
	// As in encoding/json and JavaScript: 1e-9, not 1e-09.
	if n := len(r.dst); format == 'e' && n >= 4 && r.dst[n-4] == 'e' && r.dst[n-3] == '-' && r.dst[n-2] == '0' {
		r.dst[n-2] = r.dst[n-1]
		r.dst = r.dst[:n-1]
	}
}

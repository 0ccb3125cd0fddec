package text

import (
	"encoding/binary"
	"math"
	"strconv"
	"unsafe"

	"github.com/edgeset/edgeset/abi"
)

// number parses the number that begins at i, with a digit or a minus.
func (p *parser) number(i int) int {
	src, start := p.src, i
	neg := src[i] == '-'
	if neg {
		i++
	}
	first := i
	var m uint64 // the digits' value, wrapped beyond 19 of them
	for i < len(src) && src[i]-'0' <= 9 {
		m = m*10 + uint64(src[i]-'0')
		i++
	}
	n := i - first
	if n == 0 {
		return p.fail(i, "want a digit behind '-', got "+name(src, i))
	}
	if n > 1 && src[first] == '0' {
		return p.fail(first, "number begins with a needless zero")
	}
	if i < len(src) && (src[i] == '.' || src[i]|0x20 == 'e') {
		return p.decimal(start, i, n, m)
	}
	switch {
	case n > 19 && !(n == 20 && src[first] == '1' && m >= 1e19): // more than a uint64
	case !neg && m <= math.MaxInt64:
		p.dst = appendInt(p.dst, int64(m))
		return i
	case !neg:
		p.dst = binary.BigEndian.AppendUint64(append(p.dst, 0xcf), m)
		return i
	case m == 0:
		p.dst = appendFloat(p.dst, math.Copysign(0, -1))
		return i
	case m <= 1<<63:
		p.dst = appendInt(p.dst, -int64(m))
		return i
	}
	return p.inexact(start, i)
}

// decimal goes on with a number at its point or exponent. n digits of value m
// stand before it.
func (p *parser) decimal(start, i, n int, m uint64) int {
	src, exp := p.src, 0
	if src[i] == '.' {
		i++
		from := i
		for i < len(src) && src[i]-'0' <= 9 {
			m = m*10 + uint64(src[i]-'0')
			i++
		}
		if i == from {
			return p.fail(i, "want a digit behind the point, got "+name(src, i))
		}
		exp = from - i
		n += i - from
	}
	if i < len(src) && src[i]|0x20 == 'e' {
		i++
		minus := i < len(src) && src[i] == '-'
		if minus || i < len(src) && src[i] == '+' {
			i++
		}
		from, e := i, 0
		for i < len(src) && src[i]-'0' <= 9 {
			if e < farOut {
				e = e*10 + int(src[i]-'0')
			}
			i++
		}
		if i == from {
			return p.fail(i, "want a digit in the exponent, got "+name(src, i))
		}
		if minus {
			e = -e
		}
		exp += e
	}
	// Up to 15 digits and with a power of ten that is itself exact, one rounded
	// operation gives the nearest float, and its shortest form is the number.
	if n <= 19 && m < 1e15 && -22 <= exp && exp <= 22 && i-start <= abi.MaxNumber {
		f := float64(m)
		if exp < 0 {
			f /= powers[-exp]
		} else {
			f *= powers[exp]
		}
		if src[start] == '-' {
			f = -f
		}
		p.dst = appendFloat(p.dst, f)
		return i
	}
	return p.inexact(start, i)
}

var powers = [...]float64{1e0, 1e1, 1e2, 1e3, 1e4, 1e5, 1e6, 1e7, 1e8, 1e9, 1e10,
	1e11, 1e12, 1e13, 1e14, 1e15, 1e16, 1e17, 1e18, 1e19, 1e20, 1e21, 1e22}

// farOut is an exponent beyond every float, however many digits stand before it.
const farOut = 1 << 20

// inexact keeps the number in [start, end) as a float if the float's shortest
// form denotes the same decimal, and as its text if not.
func (p *parser) inexact(start, end int) int {
	text := p.src[start:end]
	if len(text) > abi.MaxNumber {
		return p.fail(start, "number is longer than "+strconv.Itoa(abi.MaxNumber)+" characters")
	}
	if f, ok := exactFloat(text); ok {
		p.dst = appendFloat(p.dst, f)
		return end
	}
	if n := len(text); n < 1<<8 {
		p.dst = append(p.dst, 0xc7, byte(n), abi.ExtNumber)
	} else {
		p.dst = append(p.dst, 0xc8, byte(n>>8), byte(n), abi.ExtNumber)
	}
	p.dst = append(p.dst, text...)
	return end
}

// shortestMax is how many digits the shortest form of a float has at most.
const shortestMax = 17

// maxDigits are the digits of the largest float, which is some 1.8e308.
const maxDigits = "17976931348623157"

// exactFloat returns the float whose shortest form is the number, if there is
// one. Zero is one whatever its exponent.
func exactFloat(text []byte) (float64, bool) {
	var want, got [shortestMax]byte
	n, exp, ok := significant(&want, text)
	// Beyond the floats ParseFloat would allocate an error.
	if !ok || n > 0 && (exp < -324 || exp > 308 || exp == 308 && string(want[:]) > maxDigits) {
		return 0, false
	}
	if n == 0 {
		if text[0] == '-' {
			return math.Copysign(0, -1), true
		}
		return 0, true
	}
	// ParseFloat keeps nothing of its argument.
	f, err := strconv.ParseFloat(unsafe.String(unsafe.SliceData(text), len(text)), 64)
	if err != nil {
		return 0, false
	}
	var buf [32]byte
	m, exp2, ok := significant(&got, strconv.AppendFloat(buf[:0], f, 'e', -1, 64))
	return f, ok && m == n && exp2 == exp && want == got
}

// significant takes the digits of a well-formed number without its leading and
// trailing zeros, and the power of ten of the first of them. It fails if there
// are more than fit.
func significant(digits *[shortestMax]byte, text []byte) (n, exp int, ok bool) {
	zeros := 0 // not yet known to be inside
	point, seen := 0, false
	i := 0
	if text[0] == '-' {
		i++
	}
scan:
	for ; i < len(text); i++ {
		switch c := text[i]; c {
		case '.':
			seen = true
			continue
		case 'e', 'E':
			break scan
		case '0':
			if n > 0 {
				zeros++
			} else if seen {
				point--
			}
		default:
			if n+zeros >= shortestMax {
				return 0, 0, false
			}
			for ; zeros > 0; zeros-- {
				digits[n] = '0'
				n++
			}
			digits[n] = c
			n++
		}
		if !seen && (n > 0) {
			point++
		}
	}
	e := 0
	if i < len(text) {
		i++
		minus := text[i] == '-'
		if minus || text[i] == '+' {
			i++
		}
		for ; i < len(text); i++ {
			if e < farOut {
				e = e*10 + int(text[i]-'0')
			}
		}
		if minus {
			e = -e
		}
	}
	return n, point - 1 + e, true
}

// appendInt writes a whole number as abi.Writer does, so that the same number
// always has the same bytes.
func appendInt(dst []byte, n int64) []byte {
	switch {
	case -32 <= n && n <= math.MaxInt8:
		return append(dst, byte(n))
	case math.MinInt8 <= n && n < 0:
		return append(dst, 0xd0, byte(n))
	case math.MinInt16 <= n && n <= math.MaxInt16:
		return append(dst, 0xd1, byte(n>>8), byte(n))
	case math.MinInt32 <= n && n <= math.MaxInt32:
		return append(dst, 0xd2, byte(n>>24), byte(n>>16), byte(n>>8), byte(n))
	}
	return binary.BigEndian.AppendUint64(append(dst, 0xd3), uint64(n))
}

func appendFloat(dst []byte, f float64) []byte {
	return binary.BigEndian.AppendUint64(append(dst, 0xcb), math.Float64bits(f))
}

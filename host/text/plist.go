package text

import (
	"encoding/base64"
	"math"
	"strconv"

	"github.com/edgeset/edgeset/abi"
)

const (
	plistHead = xmlHead +
		`<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">` + "\n" +
		`<plist version="1.0">`
	plistEnd = "</plist>\n"
)

// AppendPlist appends v to dst as an XML property list. If v is not Valid it
// returns dst as it was and ErrValue.
//
// A property list has no null: a dict leaves it out, elsewhere it is an empty
// string. Its integers have 64 bits and its reals are floats: a Number that is
// neither is rounded to the nearest float. Characters that XML cannot express,
// and bytes that are not UTF-8, become U+FFFD.
//
// The list has at most 22 bytes for each byte of v, and 172 around it.
func AppendPlist(dst []byte, v abi.Value) ([]byte, error) {
	p := plistRenderer{src: v.Read(), dst: append(dst, plistHead...)}
	if !p.value(abi.MaxDepth) || !p.src.Done() {
		return dst, ErrValue
	}
	return append(p.dst, plistEnd...), nil
}

// plistRenderer is one run of AppendPlist. Its methods tell whether they could
// make sense of what they read.
type plistRenderer struct {
	src abi.Reader
	dst []byte
}

// value renders a value, which may open depth arrays and maps.
func (p *plistRenderer) value(depth int) bool {
	switch p.src.Kind() {
	case abi.Nil:
		p.src.Nil()
		p.dst = append(p.dst, "<string></string>"...)
	case abi.Bool:
		if p.src.Bool() {
			p.dst = append(p.dst, "<true/>"...)
		} else {
			p.dst = append(p.dst, "<false/>"...)
		}
	case abi.Int:
		return p.integer(p.src.Value())
	case abi.Float:
		v := p.src.Value()
		f, ok := v.Float()
		if !ok {
			return false
		}
		size := 64
		if v[0] == 0xca {
			size = 32
		}
		p.real(f, size)
	case abi.Number:
		return p.number(p.src.Value())
	case abi.String:
		p.dst = append(p.dst, "<string>"...)
		p.dst = appendXMLText(p.dst, p.src.TextBytes(), false)
		p.dst = append(p.dst, "</string>"...)
	case abi.Bytes:
		p.dst = append(p.dst, "<data>"...)
		p.dst = base64.StdEncoding.AppendEncode(p.dst, p.src.Bytes())
		p.dst = append(p.dst, "</data>"...)
	case abi.Array:
		return p.array(depth)
	case abi.Map:
		return p.dict(depth)
	default:
		return false
	}
	return !p.src.Failed()
}

func (p *plistRenderer) array(depth int) bool {
	n := p.src.Array()
	if depth == 0 {
		return false
	}
	p.dst = append(p.dst, "<array>"...)
	start := len(p.dst)
	for ; n > 0; n-- {
		if !p.value(depth - 1) {
			return false
		}
	}
	p.dst = appendEndTag(p.dst, start, []byte("array"))
	return !p.src.Failed()
}

func (p *plistRenderer) dict(depth int) bool {
	n := p.src.Map()
	if depth == 0 {
		return false
	}
	p.dst = append(p.dst, "<dict>"...)
	start := len(p.dst)
	for ; n > 0; n-- {
		key := p.src.TextBytes()
		if p.src.Nil() {
			continue
		}
		p.dst = append(p.dst, "<key>"...)
		p.dst = appendXMLText(p.dst, key, false)
		p.dst = append(p.dst, "</key>"...)
		if !p.value(depth - 1) {
			return false
		}
	}
	p.dst = appendEndTag(p.dst, start, []byte("dict"))
	return !p.src.Failed()
}

func (p *plistRenderer) integer(v abi.Value) (ok bool) {
	p.dst = append(p.dst, "<integer>"...)
	var err error
	p.dst, err = AppendJSON(p.dst, v)
	p.dst = append(p.dst, "</integer>"...)
	return err == nil
}

// real renders a float of 32 or 64 bits.
func (p *plistRenderer) real(f float64, size int) {
	p.dst = append(p.dst, "<real>"...)
	switch {
	case f != f:
		p.dst = append(p.dst, "nan"...)
	case f > math.MaxFloat64:
		p.dst = append(p.dst, "+infinity"...)
	case f < -math.MaxFloat64:
		p.dst = append(p.dst, "-infinity"...)
	default:
		r := renderer{dst: p.dst}
		r.float(f, size)
		p.dst = r.dst
	}
	p.dst = append(p.dst, "</real>"...)
}

// number renders a Number: as an integer if it is written as one and fits.
func (p *plistRenderer) number(v abi.Value) bool {
	before := len(p.dst)
	if !p.integer(v) {
		return false
	}
	text := p.dst[before+len("<integer>") : len(p.dst)-len("</integer>")]
	if len(text) <= len("-9223372036854775808") {
		_, err := strconv.ParseInt(string(text), 10, 64)
		if err != nil {
			_, err = strconv.ParseUint(string(text), 10, 64)
		}
		if err == nil {
			return true
		}
	}
	f, ok := v.Float()
	if !ok { // beyond every float
		f = math.Inf(1)
		if text[0] == '-' {
			f = math.Inf(-1)
		}
	}
	p.dst = p.dst[:before]
	p.real(f, 64)
	return true
}

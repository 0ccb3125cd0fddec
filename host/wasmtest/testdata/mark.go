package guest

import (
	"bytes"
	"encoding/binary"

	"github.com/edgeset/edgeset/abi"
)

// buildMark names this build. It is replaced.
const buildMark = "MARK"

const (
	markFirst   = "build=" + buildMark + "/first"
	markLast    = "build=" + buildMark + "/last"
	markMessage = " (build=" + buildMark + "/message)"
)

// mark has an answer say which build made it: in a header, and at the beginning
// and the end of its body.
func (c *Call) mark() {
	c.resp.Header("X-Build", buildMark)
	body := c.body.Value()
	switch c.resp.kind {
	case abi.BodyValue, abi.BodyPlist:
		body = markedValue(body)
	case abi.BodyXML:
		body = markedElement(body)
	case abi.BodyError, abi.BodyRefusal:
		body = markedError(body)
	case abi.BodyRaw:
		body = markedPage(body)
	default:
		return
	}
	c.body.Reset(nil)
	c.body.Raw(body)
}

// markedValue adds an entry before the first and one behind the last: to a map the
// keys build and build_last, to an array maps that have the key build.
func markedValue(v abi.Value) abi.Value {
	var first, last abi.Writer
	switch v.Kind() {
	case abi.Map:
		first.Key("build")
		last.Key("build_last")
	case abi.Array:
		first.Splice("\x81\xa5build")
		last.Splice("\x81\xa5build")
	default:
		return v
	}
	first.Text(markFirst)
	last.Text(markLast)
	n, content := opened(v)
	tag := byte(0xdd)
	if v.Kind() == abi.Map {
		tag = 0xdf
	}
	return joined(tag, n+2, first.Value(), content, last.Value())
}

// markedElement adds an attribute, the first, and an element, the last.
func markedElement(v abi.Value) abi.Value {
	r := v.Read()
	n := r.Array()
	name := r.Text()
	attributes := r.Value()
	var first, last abi.Writer
	first.Text(name)
	first.FixedArray(2 + attributes.Len())
	first.Text("build")
	first.Text(markFirst)
	for it := attributes.Items(); it.Next(); {
		first.Raw(it.Value())
	}
	last.Element("build")
	last.Text(markLast)
	last.End()
	parts := []abi.Value{first.Value()}
	for range n - 2 {
		parts = append(parts, r.Value())
	}
	return joined(0xdd, n+1, append(parts, last.Value())...)
}

func markedError(v abi.Value) abi.Value {
	e, err := abi.ReadError(0, v)
	if err != nil {
		return v
	}
	e.Message += markMessage
	var w abi.Writer
	e.Append(&w)
	return w.Value()
}

// markedPage adds comments to HTML; other bytes stay as they are.
func markedPage(v abi.Value) abi.Value {
	page, _ := v.Bytes()
	if !bytes.HasPrefix(page, []byte("<!")) {
		return v
	}
	// Behind the DOCTYPE, as a page begins with that.
	head := bytes.IndexByte(page, '>') + 1
	page = bytes.Join([][]byte{page[:head], []byte("<!-- " + markFirst + " -->"), page[head:], []byte("<!-- " + markLast + " -->")}, nil)
	var w abi.Writer
	w.Bytes(page)
	return w.Value()
}

// opened returns how many entries an array or map has, and what stands behind its head.
func opened(v abi.Value) (n int, content abi.Value) {
	switch v[0] {
	case 0xdd, 0xdf:
		return int(binary.BigEndian.Uint32(v[1:])), v[5:]
	case 0xdc, 0xde:
		return int(binary.BigEndian.Uint16(v[1:])), v[3:]
	}
	return int(v[0] & 0x0f), v[1:]
}

// joined is an array or map of n entries, made of parts that have them.
func joined(tag byte, n int, parts ...abi.Value) abi.Value {
	out := binary.BigEndian.AppendUint32([]byte{tag}, uint32(n))
	for _, p := range parts {
		out = append(out, p...)
	}
	return out
}

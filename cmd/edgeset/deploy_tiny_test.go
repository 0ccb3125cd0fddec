package main_test

import (
	"cmp"
	bytecode "encoding/binary"
	"slices"

	"github.com/edgeset/edgeset/abi"
)

// A tiny plugin is made by hand, of a few hundred bytes, so that it is compiled in no
// time. Its path answers GET with {"plugin": its name, "mark": …}. Where the fields say
// so it goes wrong.
type tiny struct {
	name, mark string
	path       string   // "": "/NAME"
	status     int      // of its answers; 0: 200
	grants     []string // that it asks for
	version    byte     // of the contract; 0: that of the host
	pages      uint64   // of memory; 0: two
	call       []byte   // instructions before it answers a request
	describe   []byte   // instructions before it describes itself
	without    string   // an export that it has not
	filler     int      // bytes that it is larger
}

// Instructions for a tiny plugin.
func trap() []byte { return []byte{0x00} }
func loop() []byte { return []byte{0x03, 0x40, 0x0c, 0x00, 0x0b} }

const (
	tinyFrame = 1024    // where the host puts its frames
	tinyKind  = 3       // where in a frame its kind stands, behind the head of an array
	tinyData  = 1 << 16 // where the replies stand
)

// wasm is the plugin's module.
func (p tiny) wasm() []byte {
	describe, answer := p.replies()
	at := func(offset, size int) []byte { // i64.const: pointer and length
		return append([]byte{0x42}, signed(int64(offset)<<32|int64(size))...)
	}
	constant := func(n int64) []byte { return append([]byte{0x41}, signed(n)...) }
	version := cmp.Or(p.version, abi.Version)
	call := slices.Concat(constant(tinyFrame+tinyKind), []byte{0x2d, 0, 0, 0x04, 0x7e}, // if the byte is not 0
		p.call, at(tinyData+len(describe), len(answer)), []byte{0x05},
		p.describe, at(tinyData, len(describe)), []byte{0x0b})
	var exports, bodies [][]byte
	for i, f := range []struct {
		name string
		body []byte
	}{{abi.ExportVersion, constant(int64(version))}, {abi.ExportAlloc, constant(tinyFrame)}, {abi.ExportCall, call}} {
		if f.name != p.without {
			exports = append(exports, append(counted(f.name), 0, byte(i)))
		}
		bodies = append(bodies, counted("\x00"+string(f.body)+"\x0b"))
	}
	exports = append(exports, append(counted("memory"), 2, 0))
	out := []byte("\x00asm\x01\x00\x00\x00")
	section := func(id byte, body []byte) { out = append(append(out, id), counted(string(body))...) }
	section(1, []byte("\x03\x60\x00\x01\x7f\x60\x01\x7f\x01\x7f\x60\x01\x7f\x01\x7e")) // () → i32, (i32) → i32, (i32) → i64
	section(3, []byte{3, 0, 1, 2})
	section(5, append([]byte{1, 0}, bytecode.AppendUvarint(nil, cmp.Or(p.pages, 2))...))
	section(7, items(exports))
	section(10, items(bodies))
	section(11, slices.Concat([]byte{1, 0}, constant(tinyData), []byte{0x0b}, counted(describe+answer)))
	if p.filler > 0 {
		section(0, append(counted("filler"), make([]byte, p.filler)...))
	}
	return out
}

// replies are the frames that the plugin answers with.
func (p tiny) replies() (describe, answer string) {
	path := cmp.Or(p.path, "/"+p.name)
	d := abi.Description{ABI: abi.Version, Name: p.name, Version: p.mark, Grants: p.grants,
		Families: []abi.Family{{Prefix: path, Errors: abi.DefaultErrors()}}, Routes: []abi.Route{{Method: "GET", Pattern: path}}}
	var body abi.Writer
	d.Append(&body)
	reply := abi.Reply{Status: 200, BodyKind: abi.BodyValue, Body: body.Value()}
	var w abi.Writer
	reply.Append(&w)
	describe = string(w.Value())

	body, w = abi.Writer{}, abi.Writer{}
	body.Map()
	body.Key("plugin")
	body.Text(p.name)
	body.Key("mark")
	body.Text(p.mark)
	body.End()
	reply.Body = body.Value()
	reply.Status = cmp.Or(p.status, 200)
	reply.Append(&w)
	return describe, string(w.Value())
}

// leb is a number as instructions have it.
func signed(n int64) (b []byte) {
	for {
		low := byte(n & 0x7f)
		if n >>= 7; n == 0 && low&0x40 == 0 || n == -1 && low&0x40 != 0 {
			return append(b, low)
		}
		b = append(b, low|0x80)
	}
}

// counted is a text behind its length, items are behind their number.
func counted(s string) []byte { return append(bytecode.AppendUvarint(nil, uint64(len(s))), s...) }

func items(list [][]byte) []byte {
	return append(bytecode.AppendUvarint(nil, uint64(len(list))), slices.Concat(list...)...)
}

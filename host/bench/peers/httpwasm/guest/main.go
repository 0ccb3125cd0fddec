//go:build wasip1

// The guest of the http-wasm peer.
package main

import (
	"bytes"
	"strconv"
	"time"
	"unsafe"

	"github.com/edgeset/edgeset/host/bench/peers/app"
)

const (
	request  = 0
	response = 1
)

func main() {}

// The room of a call. An instance answers one at a time.
var (
	room   app.Room
	uri    [1024]byte
	header [1024]byte
	body   [64 << 10]byte
	out    []byte
)

var (
	contentType = []byte("Content-Type")
	json        = []byte("application/json")
	account     = []byte("X-Account") // of the caller, and
	viewer      = []byte("X-Viewer")  // who is looking, as the host found out
)

func answer(status int, reply []byte) uint64 {
	if status != 200 {
		setStatus(uint32(status))
		return 0
	}
	k, kn := ptr(contentType)
	v, vn := ptr(json)
	setHeader(response, k, kn, v, vn)
	b, n := ptr(reply)
	writeBody(response, b, n)
	return 0 // there is no next handler
}

// headerOf reads a header that has one value: it ends with a NUL.
func headerOf(name []byte) string {
	k, kn := ptr(name)
	n := uint32(getHeader(request, k, kn, unsafe.Pointer(&header), uint32(len(header))))
	if n == 0 || n > uint32(len(header)) {
		return ""
	}
	return string(header[:n-1])
}

//go:wasmexport handle_request
func handleRequest() uint64 {
	n := getURI(unsafe.Pointer(&uri), uint32(len(uri)))
	if n > uint32(len(uri)) {
		return answer(414, nil)
	}
	path, query, _ := bytes.Cut(uri[:n], []byte("?"))
	now := time.Now().UnixMilli()
	status := 200
	if rest, is := bytes.CutPrefix(path, []byte("/v2/tickets/")); is {
		id, _ := bytes.CutSuffix(rest, []byte("/append_location"))
		text, ok := readAll()
		if !ok {
			return answer(413, nil)
		}
		status, out = room.Upload(kv{}, out[:0], headerOf(account), string(id), text, now)
		return answer(status, out)
	}
	if code, is := bytes.CutPrefix(path, []byte("/v2/invites/")); is {
		next, err := strconv.ParseInt(parameter(query, "next"), 10, 64)
		if err != nil {
			return answer(400, nil)
		}
		status, out = room.View(kv{}, out[:0], string(code), headerOf(viewer), next, now)
		return answer(status, out)
	}
	out = append(out[:0], app.Empty...)
	return answer(200, out)
}

//go:wasmexport handle_response
func handleResponse(uint32, uint32) {}

func readAll() (text []byte, ok bool) {
	for n := 0; n < len(body); {
		r := readBody(request, unsafe.Pointer(&body[n]), uint32(len(body)-n))
		n += int(uint32(r))
		if r>>32 == 1 {
			return body[:n], true
		}
	}
	return nil, false
}

// parameter finds one of a query that needs no unescaping.
func parameter(query []byte, name string) string {
	for len(query) > 0 {
		var part []byte
		part, query, _ = bytes.Cut(query, []byte("&"))
		if k, v, _ := bytes.Cut(part, []byte("=")); string(k) == name {
			return string(v)
		}
	}
	return ""
}

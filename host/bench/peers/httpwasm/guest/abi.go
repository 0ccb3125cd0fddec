//go:build wasip1

package main

import (
	"unsafe"

	"github.com/edgeset/edgeset/host/bench/peers/app"
)

// The guest library of http-wasm exports its functions for TinyGo alone, so the
// ABI is declared here: https://http-wasm.io/http-handler-abi/

//go:wasmimport http_handler get_uri
func getURI(ptr unsafe.Pointer, limit uint32) uint32

//go:wasmimport http_handler get_header_values
func getHeader(kind uint32, name unsafe.Pointer, nameLen uint32, ptr unsafe.Pointer, limit uint32) uint64

//go:wasmimport http_handler read_body
func readBody(kind uint32, ptr unsafe.Pointer, limit uint32) uint64

//go:wasmimport http_handler set_header_value
func setHeader(kind uint32, name unsafe.Pointer, nameLen uint32, value unsafe.Pointer, valueLen uint32)

//go:wasmimport http_handler set_status_code
func setStatus(code uint32)

//go:wasmimport http_handler write_body
func writeBody(kind uint32, ptr unsafe.Pointer, n uint32)

// http-wasm has no state: this is the host's own.

//go:wasmimport kv get
func kvGet(key unsafe.Pointer, keyLen uint32, ptr unsafe.Pointer, limit uint32) int32

//go:wasmimport kv put
func kvPut(key unsafe.Pointer, keyLen uint32, value unsafe.Pointer, valueLen uint32)

//go:wasmimport kv put_stamped
func kvPutStamped(prefix unsafe.Pointer, prefixLen uint32, value unsafe.Pointer, valueLen uint32)

//go:wasmimport kv scan
func kvScan(start unsafe.Pointer, startLen uint32, end unsafe.Pointer, endLen, limit uint32, ptr unsafe.Pointer, room uint32) int32

func ptr(b []byte) (unsafe.Pointer, uint32) {
	return unsafe.Pointer(unsafe.SliceData(b)), uint32(len(b))
}

// kv is the state as the host has it.
type kv struct{}

var (
	value   [64 << 10]byte
	entries [512 << 10]byte
)

func (kv) Get(key []byte) ([]byte, bool) {
	k, n := ptr(key)
	got := kvGet(k, n, unsafe.Pointer(&value), uint32(len(value)))
	if got < 0 {
		return nil, false
	}
	return value[:got], true
}

func (kv) Put(key, value []byte) {
	k, kn := ptr(key)
	v, vn := ptr(value)
	kvPut(k, kn, v, vn)
}

func (kv) PutStamped(prefix, value []byte) {
	p, pn := ptr(prefix)
	v, vn := ptr(value)
	kvPutStamped(p, pn, v, vn)
}

func (kv) Scan(start, end []byte, limit int, yield func(key, value []byte) bool) {
	s, sn := ptr(start)
	e, en := ptr(end)
	n := kvScan(s, sn, e, en, uint32(limit), unsafe.Pointer(&entries), uint32(len(entries)))
	app.EachEntry(entries[:n], yield)
}

// Command kvpdk does one operation of the key space per call, through
// extism:host/user and Extism's Go PDK: what benchmarks measure, on this host and
// on Extism's own.
package main

import pdk "github.com/extism/go-pdk"

//go:wasmimport extism:host/user kv_get
func kvGet(key uint64) uint64

//go:wasmimport extism:host/user kv_put
func kvPut(key, value uint64) int64

var (
	key   = []byte("document/00")
	value = make([]byte, 100)
	calls int
)

// nextKey goes through a hundred keys.
func nextKey() uint64 {
	n := calls % 100
	calls++
	key[len(key)-2], key[len(key)-1] = byte('0'+n/10), byte('0'+n%10)
	m := pdk.AllocateBytes(key)
	return m.Offset()
}

// get returns the size of the value.
//
//go:wasmexport get
func get() int32 {
	found := pdk.FindMemory(kvGet(nextKey()))
	return int32(len(found.ReadBytes()))
}

//go:wasmexport put
func put() int32 {
	m := pdk.AllocateBytes(value)
	return int32(kvPut(nextKey(), m.Offset()))
}

func main() {}

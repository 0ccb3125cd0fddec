// Command kv does one operation of the key space per call, through the import
// module "edge": what benchmarks measure.
package main

import "unsafe"

//go:wasmimport edge kv_get
func kvGet(key unsafe.Pointer, keyLen uint32, buf unsafe.Pointer, size uint32) int64

//go:wasmimport edge kv_put
func kvPut(key unsafe.Pointer, keyLen uint32, value unsafe.Pointer, valueLen uint32, ttl uint32) int64

var (
	key   = []byte("document/00")
	value = make([]byte, 100)
	calls int
)

// nextKey goes through a hundred keys.
func nextKey() (unsafe.Pointer, uint32) {
	n := calls % 100
	calls++
	key[len(key)-2], key[len(key)-1] = byte('0'+n/10), byte('0'+n%10)
	return unsafe.Pointer(&key[0]), uint32(len(key))
}

// get returns the size of the value.
//
//go:wasmexport get
func get() int32 {
	k, n := nextKey()
	return int32(kvGet(k, n, unsafe.Pointer(&value[0]), uint32(len(value))))
}

//go:wasmexport put
func put() int32 {
	k, n := nextKey()
	return int32(kvPut(k, n, unsafe.Pointer(&value[0]), uint32(len(value)), 0))
}

func main() {}

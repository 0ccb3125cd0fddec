// Command liar is a plugin that passes pointers that are none.
package main

import "unsafe"

//go:wasmimport edge kv_get
func kvGet(key, keyLen, buf, size uint32) int64

//go:wasmimport edge kv_get_many
func kvGetMany(keys, keysLen, buf, size uint32) int64

//go:wasmimport edge kv_put
func kvPut(key, keyLen, value, valueLen, ttl uint32) int64

//go:wasmimport edge kv_put_stamped
func kvPutStamped(prefix, prefixLen, suffix, suffixLen, value, valueLen, ttl uint32) int64

//go:wasmimport edge kv_delete
func kvDelete(key, keyLen uint32) int64

//go:wasmimport edge kv_scan
func kvScan(start, startLen, end, endLen, limit, reverse, buf, size uint32) int64

//go:wasmimport edge kv_get_shared
func kvGetShared(plugin, pluginLen, key, keyLen, buf, size uint32) int64

//go:wasmimport edge kv_scan_shared
func kvScanShared(plugin, pluginLen, start, startLen, end, endLen, limit, flags, buf, size uint32) int64

//go:wasmimport edge password_hash
func passwordHash(password, passwordLen, buf, size uint32) int64

//go:wasmimport edge password_verify
func passwordVerify(hash, hashLen, password, passwordLen uint32) int64

//go:wasmimport edge dispatch
func dispatch(record, recordLen uint32) int64

//go:wasmimport edge take
func take(buf uint32)

var (
	key  = []byte("key")
	room = make([]byte, 8)
)

func at(b []byte) uint32 { return uint32(uintptr(unsafe.Pointer(unsafe.SliceData(b)))) }

const (
	far  = 0xffff_fff0
	long = 0x7fff_ffff
)

// lie returns 0, or the number of the first call that was not refused.
//
//go:wasmexport lie
func lie() int32 {
	k := at(key)
	kvPut(k, 3, k, 3, 0)
	many := []byte{0x91, 0xc4, 3, 'k', 'e', 'y'}
	lengthy := make([]byte, 65)
	lies := []byte{0xdd, 0xff, 0xff, 0xff, 0xff}
	for i, got := range []int64{
		kvGet(far, 8, at(room), 8),
		kvGet(k, long, at(room), 8),
		kvGet(k, 3, far, 100),
		kvGetMany(far, 100, at(room), 8),
		kvGetMany(at(many), 6, far, 100),
		kvGetMany(at(many), 5, at(room), 8),
		kvGetMany(at(lies), 5, at(room), 8),
		kvGetMany(k, 3, at(room), 8),
		kvPut(far, 8, k, 3, 0),
		kvPut(k, 3, far, 8, 0),
		kvPutStamped(far, 8, k, 3, k, 3, 0),
		kvPutStamped(k, 3, far, 8, k, 3, 0),
		kvPutStamped(k, 3, k, 3, far, 8, 0),
		kvDelete(far, 8),
		kvScan(far, 8, 0, 0, 0, 0, at(room), 8),
		kvScan(0, 0, far, 8, 0, 0, at(room), 8),
		kvScan(0, 0, 0, 0, 0, 0, far, 1000),
		kvGetShared(far, 8, k, 3, at(room), 8),
		kvGetShared(at(lengthy), 65, k, 3, at(room), 8),
		kvGetShared(k, 3, far, 8, at(room), 8),
		kvScanShared(far, 8, 0, 0, 0, 0, 0, 0, at(room), 8),
		kvScanShared(k, 3, far, 8, 0, 0, 0, 0, at(room), 8),
		kvScanShared(k, 3, 0, 0, far, 8, 0, 0, at(room), 8),
		kvScanShared(k, 3, 0, 0, 0, 0, 0, 0, far, 1000),
		passwordHash(far, 8, at(room), 8),
		passwordVerify(far, 8, k, 3),
		passwordVerify(k, 3, far, 8),
		dispatch(far, 8),
		dispatch(k, long),
	} {
		if got != -7 {
			return int32(i + 1)
		}
	}
	return 0
}

// dispatches has the host deliver a mail, and returns what it says to that.
//
//go:wasmexport dispatches
func dispatches() int32 {
	record := []byte("\x9a\xa1k\xa4mail\xa1b\x00\xa0\xa0\xa4text\xa0\xa0\xc0")
	return int32(dispatch(at(record), uint32(len(record))))
}

// takes has a result that does not fit taken: it returns how long it is, and
// checks that it arrived whole.
//
//go:wasmexport takes
func takes() int32 {
	value := make([]byte, 1000)
	for i := range value {
		value[i] = byte(i)
	}
	kvPut(at(key), 3, at(value), 1000, 0)
	n := kvGet(at(key), 3, at(room), 8)
	got := make([]byte, n)
	take(at(got))
	for i := range got {
		if got[i] != byte(i) {
			return -1
		}
	}
	take(at(room)) // nothing is left
	return int32(n)
}

//go:wasmexport steals
func steals() int32 {
	kvGet(at(key), 3, at(room), 0)
	take(far)
	return 0
}

// persists asks as often as it takes until somebody looks at the clock, whatever
// it is told.
//
//go:wasmexport persists
func persists() int32 {
	for range 16 {
		kvGet(at(key), 3, at(room), 0)
	}
	return 0
}

func main() {}

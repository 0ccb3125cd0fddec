//go:build wasip1

// The guest of the extism/go-sdk peer, on the PDK for Go. Its input is the id,
// the account or viewer, and the cursor, each behind a NUL but the first, and
// then the body.
package main

import (
	"bytes"
	"strconv"
	"time"

	"github.com/extism/go-pdk"

	"github.com/edgeset/edgeset/host/bench/peers/app"
)

// The SDK has no state: this is the host's own. All are offsets of Extism's
// memory, 0 for nothing.

//go:wasmimport extism:host/user kv_get
func kvGet(key uint64) uint64

//go:wasmimport extism:host/user kv_put
func kvPut(key, value uint64)

//go:wasmimport extism:host/user kv_put_stamped
func kvPutStamped(prefix, value uint64)

//go:wasmimport extism:host/user kv_scan
func kvScan(start, end uint64, limit uint32) uint64

// kv is the state as the host has it.
type kv struct{}

// with calls f with two blocks of Extism's memory.
func with(a, b []byte, f func(a, b uint64)) {
	x, y := pdk.AllocateBytes(a), pdk.AllocateBytes(b)
	f(x.Offset(), y.Offset())
	x.Free()
	y.Free()
}

// take reads a block and frees it.
func take(at uint64) []byte {
	if at == 0 {
		return nil
	}
	block := pdk.FindMemory(at)
	b := block.ReadBytes()
	block.Free()
	return b
}

func (kv) Get(key []byte) ([]byte, bool) {
	k := pdk.AllocateBytes(key)
	at := kvGet(k.Offset())
	k.Free()
	return take(at), at != 0
}

func (kv) Put(key, value []byte)           { with(key, value, kvPut) }
func (kv) PutStamped(prefix, value []byte) { with(prefix, value, kvPutStamped) }

func (kv) Scan(start, end []byte, limit int, yield func(key, value []byte) bool) {
	var at uint64
	with(start, end, func(s, e uint64) { at = kvScan(s, e, uint32(limit)) })
	app.EachEntry(take(at), yield)
}

func main() {}

// The room of a call. An instance answers one at a time.
var (
	room app.Room
	out  []byte
)

func answer(status int, reply []byte) int32 {
	if status != 200 {
		return int32(status)
	}
	pdk.Output(reply)
	return 0
}

func input() (id, who, next string, body []byte) {
	b := pdk.Input()
	for _, s := range []*string{&id, &who, &next} {
		var part []byte
		part, b, _ = bytes.Cut(b, []byte{0})
		*s = string(part)
	}
	return id, who, next, b
}

//go:wasmexport empty
func empty() int32 {
	out = append(out[:0], app.Empty...)
	return answer(200, out)
}

//go:wasmexport append
func upload() int32 {
	id, account, _, body := input()
	status := 200
	status, out = room.Upload(kv{}, out[:0], account, id, body, time.Now().UnixMilli())
	return answer(status, out)
}

//go:wasmexport view
func view() int32 {
	code, viewer, cursor, _ := input()
	next, err := strconv.ParseInt(cursor, 10, 64)
	if err != nil {
		return 400
	}
	status := 200
	status, out = room.View(kv{}, out[:0], code, viewer, next, time.Now().UnixMilli())
	return answer(status, out)
}

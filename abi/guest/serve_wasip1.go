//go:build wasip1

package guest

import (
	"runtime/debug"
	"strings"
	"time"
	"unsafe"

	"github.com/edgeset/edgeset/abi"
	pdk "github.com/extism/go-pdk"
)

// served is the plugin of this module: a Wasm module is one plugin, and its
// instance answers one call at a time.
var served struct {
	call *Call
	host imports
	in   []byte
}

// Serve makes p the plugin of this module. Call it once, from init.
func Serve(p *Plugin) {
	served.call = p.NewCall()
	debug.SetMemoryLimit(softLimit)
}

// softLimit is the size of the heap, in bytes, from which on garbage is collected before
// the heap may grow: well below what an instance has by default. Memory that was grown
// once is never given back. A plugin that keeps more than that in its memory, and is
// granted it, sets a limit of its own behind Serve.
const softLimit = 32 << 20

//go:wasmexport edge_abi_version
func exportVersion() int32 { return abi.Version }

//go:wasmexport edge_alloc
func exportAlloc(size uint32) unsafe.Pointer {
	if int(size) > cap(served.in) {
		served.in = make([]byte, size)
	}
	return unsafe.Pointer(unsafe.SliceData(served.in))
}

//go:wasmexport edge_call
func exportCall(size uint32) uint64 {
	served.host.reset()
	reply, err := served.call.Do(&served.host, served.in[:size])
	if err != nil {
		panic(err)
	}
	return uint64(uintptr(unsafe.Pointer(unsafe.SliceData(reply))))<<32 | uint64(len(reply))
}

//go:wasmimport edge kv_get
func kvGet(key unsafe.Pointer, keyLen uint32, buf unsafe.Pointer, size uint32) int64

//go:wasmimport edge kv_get_many
func kvGetMany(keys unsafe.Pointer, keysLen uint32, buf unsafe.Pointer, size uint32) int64

//go:wasmimport edge kv_put
func kvPut(key unsafe.Pointer, keyLen uint32, value unsafe.Pointer, valueLen uint32, ttl uint32) int64

//go:wasmimport edge kv_put_stamped
func kvPutStamped(prefix unsafe.Pointer, prefixLen uint32, suffix unsafe.Pointer, suffixLen uint32,
	value unsafe.Pointer, valueLen uint32, ttl uint32) int64

//go:wasmimport edge kv_delete
func kvDelete(key unsafe.Pointer, keyLen uint32) int64

//go:wasmimport edge kv_scan
func kvScan(start unsafe.Pointer, startLen uint32, end unsafe.Pointer, endLen uint32,
	limit uint32, flags uint32, buf unsafe.Pointer, size uint32) int64

//go:wasmimport edge kv_get_shared
func kvGetShared(plugin unsafe.Pointer, pluginLen uint32, key unsafe.Pointer, keyLen uint32, buf unsafe.Pointer, size uint32) int64

//go:wasmimport edge kv_scan_shared
func kvScanShared(plugin unsafe.Pointer, pluginLen uint32, start unsafe.Pointer, startLen uint32, end unsafe.Pointer, endLen uint32,
	limit uint32, flags uint32, buf unsafe.Pointer, size uint32) int64

//go:wasmimport edge password_hash
func passwordHash(password unsafe.Pointer, passwordLen uint32, buf unsafe.Pointer, size uint32) int64

//go:wasmimport edge password_verify
func passwordVerify(hash unsafe.Pointer, hashLen uint32, password unsafe.Pointer, passwordLen uint32) int64

//go:wasmimport edge body_digest
func bodyDigest(algorithm unsafe.Pointer, algorithmLen uint32, buf unsafe.Pointer, size uint32) int64

//go:wasmimport edge hmac_sha256
func hmacSHA256(key unsafe.Pointer, keyLen uint32, message unsafe.Pointer, messageLen uint32, buf unsafe.Pointer, size uint32) int64

//go:wasmimport edge ed25519_verify
func ed25519Verify(key unsafe.Pointer, keyLen uint32, message unsafe.Pointer, messageLen uint32,
	signature unsafe.Pointer, signatureLen uint32) int64

//go:wasmimport edge fetch
func fetch(request unsafe.Pointer, requestLen uint32, buf unsafe.Pointer, size uint32) int64

//go:wasmimport edge publish
func publish(message unsafe.Pointer, messageLen uint32) int64

//go:wasmimport edge dispatch
func dispatch(record unsafe.Pointer, recordLen uint32) int64

//go:wasmimport edge image
func image(query unsafe.Pointer, queryLen uint32, buf unsafe.Pointer, size uint32) int64

//go:wasmimport edge blob_file
func blobFile(index uint32, buf unsafe.Pointer, size uint32) int64

//go:wasmimport edge blob_link
func blobLink(id unsafe.Pointer, name unsafe.Pointer, nameLen uint32) int64

//go:wasmimport edge blob_unlink
func blobUnlink(id unsafe.Pointer, name unsafe.Pointer, nameLen uint32) int64

//go:wasmimport edge blob_size
func blobSize(id unsafe.Pointer) int64

// take copies the result that did not fit the last call's buffer.
//
//go:wasmimport edge take
func take(buf unsafe.Pointer)

// chunk is how much room for results is made at a time.
const chunk = 64 << 10

// imports is the abi.Host behind the import module. What the host returns is
// written into a room that is used from the start again with every call.
type imports struct {
	first []byte // kept from call to call
	room  []byte // what is left
	keys  abi.Writer
	keysB []byte

	settings []setting
}

func (h *imports) reset() {
	if h.first == nil {
		h.first = make([]byte, chunk)
	}
	h.room = h.first
}

func ptr(b []byte) (unsafe.Pointer, uint32) {
	return unsafe.Pointer(unsafe.SliceData(b)), uint32(len(b))
}

func textPtr(s string) (unsafe.Pointer, uint32) {
	return unsafe.Pointer(unsafe.StringData(s)), uint32(len(s))
}

// result returns the n bytes that a host function wrote into the room, or has
// them written into a larger one.
func (h *imports) result(n int64) ([]byte, error) {
	if n < 0 {
		return nil, abi.ErrorOf(n)
	}
	if int(n) > len(h.room) {
		h.room = make([]byte, max(int(n), chunk))
		take(unsafe.Pointer(unsafe.SliceData(h.room)))
	}
	b := h.room[:n:n]
	h.room = h.room[n:]
	return b, nil
}

func (h *imports) Get(key []byte) ([]byte, bool, error) {
	k, kn := ptr(key)
	b, bn := ptr(h.room)
	return h.found(kvGet(k, kn, b, bn))
}

// found is result, of what may not be there.
func (h *imports) found(n int64) ([]byte, bool, error) {
	if n == abi.CodeNotFound {
		return nil, false, nil
	}
	value, err := h.result(n)
	return value, err == nil, err
}

func (h *imports) GetShared(plugin string, key []byte) ([]byte, bool, error) {
	p, pn := textPtr(plugin)
	k, kn := ptr(key)
	b, bn := ptr(h.room)
	return h.found(kvGetShared(p, pn, k, kn, b, bn))
}

func (h *imports) GetMany(keys [][]byte) ([][]byte, error) {
	h.keys.Reset(h.keysB)
	h.keys.FixedArray(len(keys))
	for _, key := range keys {
		h.keys.Bytes(key)
	}
	h.keysB = h.keys.Value()
	k, kn := ptr(h.keysB)
	b, bn := ptr(h.room)
	list, err := h.result(kvGetMany(k, kn, b, bn))
	if err != nil {
		return nil, err
	}
	values := make([][]byte, len(keys))
	r := abi.Value(list).Read()
	r.Array()
	for i := range values {
		values[i] = r.Bytes()
	}
	return values, nil
}

func seconds(ttl time.Duration) uint32 {
	return uint32((ttl + time.Second - 1) / time.Second)
}

func check(n int64) error {
	if n < 0 {
		return abi.ErrorOf(n)
	}
	return nil
}

func (h *imports) Put(key, value []byte, ttl time.Duration) error {
	k, kn := ptr(key)
	v, vn := ptr(value)
	return check(kvPut(k, kn, v, vn, seconds(ttl)))
}

func (h *imports) PutStamped(prefix, suffix, value []byte, ttl time.Duration) error {
	p, pn := ptr(prefix)
	s, sn := ptr(suffix)
	v, vn := ptr(value)
	return check(kvPutStamped(p, pn, s, sn, v, vn, seconds(ttl)))
}

func (h *imports) Delete(key []byte) error {
	k, kn := ptr(key)
	return check(kvDelete(k, kn))
}

func (h *imports) Scan(r abi.Range) (abi.Page, error) {
	s, sn := ptr(r.Start)
	e, en := ptr(r.End)
	b, bn := ptr(h.room)
	return h.page(kvScan(s, sn, e, en, uint32(r.Limit), flags(&r), b, bn))
}

func (h *imports) ScanShared(plugin string, r abi.Range) (abi.Page, error) {
	p, pn := textPtr(plugin)
	s, sn := ptr(r.Start)
	e, en := ptr(r.End)
	b, bn := ptr(h.room)
	return h.page(kvScanShared(p, pn, s, sn, e, en, uint32(r.Limit), flags(&r), b, bn))
}

func flags(r *abi.Range) (n uint32) {
	if r.Reverse {
		n |= abi.ScanReverse
	}
	if r.KeysOnly {
		n |= abi.ScanKeysOnly
	}
	return n
}

// page is result, of a scan.
func (h *imports) page(n int64) (abi.Page, error) {
	list, err := h.result(n)
	if err != nil {
		return abi.Page{}, err
	}
	return abi.ReadPage(list)
}

func (h *imports) Publish(message abi.Value) error {
	m, mn := ptr(message)
	return check(publish(m, mn))
}

func (h *imports) Dispatch(record abi.Value) error {
	d, dn := ptr(record)
	return check(dispatch(d, dn))
}

func (h *imports) Image(query *abi.ImageQuery) (*abi.Image, error) {
	var w abi.Writer
	query.Append(&w)
	q, qn := ptr(w.Value())
	b, bn := ptr(h.room)
	record, err := h.result(image(q, qn, b, bn))
	if err != nil {
		return nil, err
	}
	return abi.ReadImage(record)
}

func (h *imports) KeepFile(index int) (abi.Blob, error) {
	b, bn := ptr(h.room)
	record, err := h.result(blobFile(uint32(index), b, bn))
	if err != nil {
		return abi.Blob{}, err
	}
	return abi.ReadBlob(record)
}

func (h *imports) LinkBlob(id abi.BlobID, name []byte) error {
	n, nn := ptr(name)
	return check(blobLink(unsafe.Pointer(&id), n, nn))
}

func (h *imports) UnlinkBlob(id abi.BlobID, name []byte) error {
	n, nn := ptr(name)
	return check(blobUnlink(unsafe.Pointer(&id), n, nn))
}

func (h *imports) FindBlob(id abi.BlobID) (int64, bool, error) {
	n := blobSize(unsafe.Pointer(&id))
	if n == abi.CodeNotFound {
		return 0, false, nil
	}
	return n, n >= 0, check(n)
}

func (h *imports) HashPassword(password []byte) ([]byte, error) {
	p, pn := ptr(password)
	b, bn := ptr(h.room)
	return h.result(passwordHash(p, pn, b, bn))
}

func (h *imports) VerifyPassword(hash, password []byte) (bool, error) {
	s, sn := ptr(hash)
	p, pn := ptr(password)
	n := passwordVerify(s, sn, p, pn)
	return n == 1, check(n)
}

func (h *imports) BodyDigest(algorithm string) ([]byte, error) {
	a, an := ptr([]byte(algorithm))
	b, bn := ptr(h.room)
	return h.result(bodyDigest(a, an, b, bn))
}

func (h *imports) HMACSHA256(key, message []byte) ([]byte, error) {
	k, kn := ptr(key)
	m, mn := ptr(message)
	b, bn := ptr(h.room)
	return h.result(hmacSHA256(k, kn, m, mn, b, bn))
}

func (h *imports) VerifyEd25519(key, message, signature []byte) (bool, error) {
	k, kn := ptr(key)
	m, mn := ptr(message)
	s, sn := ptr(signature)
	n := ed25519Verify(k, kn, m, mn, s, sn)
	return n == 1, check(n)
}

func (h *imports) Fetch(f *abi.Fetch) (*abi.FetchReply, error) {
	var w abi.Writer
	f.Append(&w)
	q, qn := ptr(w.Value())
	b, bn := ptr(h.room)
	record, err := h.result(fetch(q, qn, b, bn))
	if err != nil {
		return nil, err
	}
	return abi.ReadFetchReply(record)
}

// Config asks the host once for each setting, which stays the same for as long
// as the version of the plugin lives.
func (h *imports) Config(key string) (string, bool) {
	for i := range h.settings {
		if s := &h.settings[i]; s.key == key {
			return s.value, s.found
		}
	}
	s := setting{key: strings.Clone(key)}
	s.value, s.found = pdk.GetConfig(key)
	if len(h.settings) < maxSettings {
		h.settings = append(h.settings, s)
	}
	return s.value, s.found
}

// A setting is what the operator's manifest says under a key.
type setting struct {
	key, value string
	found      bool
}

// maxSettings bounds those that are remembered: a plugin may ask for keys that
// clients make up. They are few enough to be looked through, which takes less
// than a map.
const maxSettings = 32

func (h *imports) Log(level abi.LogLevel, message string) {
	levels := [...]pdk.LogLevel{pdk.LogDebug, pdk.LogInfo, pdk.LogWarn, pdk.LogError}
	pdk.Log(levels[level], message)
}

var _ abi.Host = (*imports)(nil)

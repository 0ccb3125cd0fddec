package edge

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/engine"
	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// Module is the import module "edge" of a runtime. The functions work on the
// stack that wazero gives them, without reflection; what they do stands in Call.
type Module struct{}

// Instantiate implements engine.Module.
func (Module) Instantiate(ctx context.Context, rt wazero.Runtime) error {
	b := rt.NewHostModuleBuilder(abi.Module)
	for _, f := range functions {
		b = b.NewFunctionBuilder().
			WithGoModuleFunction(f.fn, i32(f.params), f.results).
			Export(f.name)
	}
	_, err := b.Instantiate(ctx)
	return err
}

func i32(n int) []api.ValueType {
	types := make([]api.ValueType, n)
	for i := range types {
		types[i] = api.ValueTypeI32
	}
	return types
}

var i64 = []api.ValueType{api.ValueTypeI64}

// functions are all of the module. Parameters are i32: pointers, sizes and
// small numbers. A result is i64: how many bytes the answer has, or an error's
// code.
var functions = []struct {
	name    string
	params  int
	results []api.ValueType
	fn      api.GoModuleFunc
}{
	{"kv_get", 4, i64, func(ctx context.Context, m api.Module, s []uint64) {
		c, mem := current(ctx), m.Memory()
		key, ok := mem.Read(uint32(s[0]), uint32(s[1]))
		if !ok {
			s[0] = code(abi.CodeArgument)
			return
		}
		value, found, err := c.Get(key)
		s[0] = c.answerFound(mem, s[2], s[3], value, found, err)
	}},
	{"kv_get_shared", 6, i64, func(ctx context.Context, m api.Module, s []uint64) {
		c, mem := current(ctx), m.Memory()
		plugin, ok1 := pluginName(mem, s[0], s[1])
		key, ok2 := mem.Read(uint32(s[2]), uint32(s[3]))
		if !ok1 || !ok2 {
			s[0] = code(abi.CodeArgument)
			return
		}
		value, found, err := c.GetShared(plugin, key)
		s[0] = c.answerFound(mem, s[4], s[5], value, found, err)
	}},
	{"kv_get_many", 4, i64, func(ctx context.Context, m api.Module, s []uint64) {
		c, mem := current(ctx), m.Memory()
		list, ok := mem.Read(uint32(s[0]), uint32(s[1]))
		if !ok {
			s[0] = code(abi.CodeArgument)
			return
		}
		r := abi.Value(list).Read()
		n := r.Array()
		if n > maxMany {
			s[0] = code(abi.CodeArgument)
			return
		}
		c.list.Reset(c.listB)
		c.list.FixedArray(n)
		for ; n > 0; n-- {
			key := r.Bytes()
			if r.Failed() {
				s[0] = code(abi.CodeArgument)
				return
			}
			value, found, err := c.Get(key)
			switch {
			case err != nil:
				s[0] = code(abi.CodeOf(err))
				return
			case c.list.Len()+len(value) > maxManyBytes:
				s[0] = code(abi.CodeTooLarge)
				return
			case found:
				c.list.Bytes(value)
			default:
				c.list.Nil()
			}
		}
		if !r.Done() {
			s[0] = code(abi.CodeArgument)
			return
		}
		c.listB = c.list.Value()
		s[0] = c.answer(mem, s[2], s[3], c.listB)
	}},
	{"kv_put", 5, i64, func(ctx context.Context, m api.Module, s []uint64) {
		mem := m.Memory()
		key, ok1 := mem.Read(uint32(s[0]), uint32(s[1]))
		value, ok2 := mem.Read(uint32(s[2]), uint32(s[3]))
		if !ok1 || !ok2 {
			s[0] = code(abi.CodeArgument)
			return
		}
		s[0] = result(current(ctx).Put(key, value, ttl(s[4])))
	}},
	{"kv_put_stamped", 7, i64, func(ctx context.Context, m api.Module, s []uint64) {
		mem := m.Memory()
		prefix, ok1 := mem.Read(uint32(s[0]), uint32(s[1]))
		suffix, ok2 := mem.Read(uint32(s[2]), uint32(s[3]))
		value, ok3 := mem.Read(uint32(s[4]), uint32(s[5]))
		if !ok1 || !ok2 || !ok3 {
			s[0] = code(abi.CodeArgument)
			return
		}
		s[0] = result(current(ctx).PutStamped(prefix, suffix, value, ttl(s[6])))
	}},
	{"kv_delete", 2, i64, func(ctx context.Context, m api.Module, s []uint64) {
		key, ok := m.Memory().Read(uint32(s[0]), uint32(s[1]))
		if !ok {
			s[0] = code(abi.CodeArgument)
			return
		}
		s[0] = result(current(ctx).Delete(key))
	}},
	{"kv_scan", 8, i64, func(ctx context.Context, m api.Module, s []uint64) {
		c, mem := current(ctx), m.Memory()
		start, ok1 := mem.Read(uint32(s[0]), uint32(s[1]))
		end, ok2 := mem.Read(uint32(s[2]), uint32(s[3]))
		if !ok1 || !ok2 {
			s[0] = code(abi.CodeArgument)
			return
		}
		page, err := c.Scan(scanRange(start, end, s[4], s[5]))
		s[0] = c.answerPage(mem, s[6], s[7], &page, err)
	}},
	{"kv_scan_shared", 10, i64, func(ctx context.Context, m api.Module, s []uint64) {
		c, mem := current(ctx), m.Memory()
		plugin, ok1 := pluginName(mem, s[0], s[1])
		start, ok2 := mem.Read(uint32(s[2]), uint32(s[3]))
		end, ok3 := mem.Read(uint32(s[4]), uint32(s[5]))
		if !ok1 || !ok2 || !ok3 {
			s[0] = code(abi.CodeArgument)
			return
		}
		page, err := c.ScanShared(plugin, scanRange(start, end, s[6], s[7]))
		s[0] = c.answerPage(mem, s[8], s[9], &page, err)
	}},
	{"publish", 2, i64, func(ctx context.Context, m api.Module, s []uint64) {
		message, ok := m.Memory().Read(uint32(s[0]), uint32(s[1]))
		if !ok {
			s[0] = code(abi.CodeArgument)
			return
		}
		s[0] = result(current(ctx).Publish(message))
	}},
	{"dispatch", 2, i64, func(ctx context.Context, m api.Module, s []uint64) {
		record, ok := m.Memory().Read(uint32(s[0]), uint32(s[1]))
		if !ok {
			s[0] = code(abi.CodeArgument)
			return
		}
		s[0] = result(current(ctx).Dispatch(record))
	}},
	{"password_hash", 4, i64, func(ctx context.Context, m api.Module, s []uint64) {
		c, mem := current(ctx), m.Memory()
		password, ok := mem.Read(uint32(s[0]), uint32(s[1]))
		if !ok {
			s[0] = code(abi.CodeArgument)
			return
		}
		hash, err := c.HashPassword(password)
		if err != nil {
			s[0] = code(abi.CodeOf(err))
			return
		}
		s[0] = c.answer(mem, s[2], s[3], hash)
	}},
	{"password_verify", 4, i64, func(ctx context.Context, m api.Module, s []uint64) {
		mem := m.Memory()
		hash, ok1 := mem.Read(uint32(s[0]), uint32(s[1]))
		password, ok2 := mem.Read(uint32(s[2]), uint32(s[3]))
		if !ok1 || !ok2 {
			s[0] = code(abi.CodeArgument)
			return
		}
		match, err := current(ctx).VerifyPassword(hash, password)
		s[0] = truth(match, err)
	}},
	{"body_digest", 4, i64, func(ctx context.Context, m api.Module, s []uint64) {
		c, mem := current(ctx), m.Memory()
		algorithm, ok := mem.Read(uint32(s[0]), uint32(s[1]))
		if !ok {
			s[0] = code(abi.CodeArgument)
			return
		}
		digest, err := c.BodyDigest(string(algorithm))
		if err != nil {
			s[0] = code(abi.CodeOf(err))
			return
		}
		s[0] = c.answer(mem, s[2], s[3], digest)
	}},
	{"hmac_sha256", 6, i64, func(ctx context.Context, m api.Module, s []uint64) {
		c, mem := current(ctx), m.Memory()
		key, ok1 := mem.Read(uint32(s[0]), uint32(s[1]))
		message, ok2 := mem.Read(uint32(s[2]), uint32(s[3]))
		if !ok1 || !ok2 {
			s[0] = code(abi.CodeArgument)
			return
		}
		sum, err := c.HMACSHA256(key, message)
		if err != nil {
			s[0] = code(abi.CodeOf(err))
			return
		}
		s[0] = c.answer(mem, s[4], s[5], sum)
	}},
	{"ed25519_verify", 6, i64, func(ctx context.Context, m api.Module, s []uint64) {
		mem := m.Memory()
		key, ok1 := mem.Read(uint32(s[0]), uint32(s[1]))
		message, ok2 := mem.Read(uint32(s[2]), uint32(s[3]))
		signature, ok3 := mem.Read(uint32(s[4]), uint32(s[5]))
		if !ok1 || !ok2 || !ok3 {
			s[0] = code(abi.CodeArgument)
			return
		}
		match, err := current(ctx).VerifyEd25519(key, message, signature)
		s[0] = truth(match, err)
	}},
	{"fetch", 4, i64, func(ctx context.Context, m api.Module, s []uint64) {
		c, mem := current(ctx), m.Memory()
		record, ok := mem.Read(uint32(s[0]), uint32(s[1]))
		if !ok {
			s[0] = code(abi.CodeArgument)
			return
		}
		// A copy: the connection may still send it when the guest goes on.
		q, err := abi.ReadFetch(bytes.Clone(record))
		if err != nil {
			s[0] = code(abi.CodeArgument)
			return
		}
		reply, err := c.Fetch(q)
		if err != nil {
			s[0] = code(abi.CodeOf(err))
			return
		}
		c.list.Reset(c.listB)
		reply.Append(&c.list)
		c.listB = c.list.Value()
		s[0] = c.answer(mem, s[2], s[3], c.listB)
	}},
	{"image", 4, i64, func(ctx context.Context, m api.Module, s []uint64) {
		c, mem := current(ctx), m.Memory()
		record, ok := mem.Read(uint32(s[0]), uint32(s[1]))
		if !ok {
			s[0] = code(abi.CodeArgument)
			return
		}
		q, err := abi.ReadImageQuery(record)
		if err != nil {
			s[0] = code(abi.CodeArgument)
			return
		}
		made, err := c.Image(q)
		if err != nil {
			s[0] = code(abi.CodeOf(err))
			return
		}
		c.list.Reset(c.listB)
		made.Append(&c.list)
		c.listB = c.list.Value()
		s[0] = c.answer(mem, s[2], s[3], c.listB)
	}},
	{"blob_file", 3, i64, func(ctx context.Context, m api.Module, s []uint64) {
		c := current(ctx)
		b, err := c.KeepFile(int(int32(s[0])))
		if err != nil {
			s[0] = code(abi.CodeOf(err))
			return
		}
		c.list.Reset(c.listB)
		b.Append(&c.list)
		c.listB = c.list.Value()
		s[0] = c.answer(m.Memory(), s[1], s[2], c.listB)
	}},
	{"blob_link", 3, i64, func(ctx context.Context, m api.Module, s []uint64) {
		id, ok1 := blobID(m.Memory(), s[0])
		name, ok2 := m.Memory().Read(uint32(s[1]), uint32(s[2]))
		if !ok1 || !ok2 {
			s[0] = code(abi.CodeArgument)
			return
		}
		s[0] = result(current(ctx).LinkBlob(id, name))
	}},
	{"blob_unlink", 3, i64, func(ctx context.Context, m api.Module, s []uint64) {
		id, ok1 := blobID(m.Memory(), s[0])
		name, ok2 := m.Memory().Read(uint32(s[1]), uint32(s[2]))
		if !ok1 || !ok2 {
			s[0] = code(abi.CodeArgument)
			return
		}
		s[0] = result(current(ctx).UnlinkBlob(id, name))
	}},
	{"blob_size", 1, i64, func(ctx context.Context, m api.Module, s []uint64) {
		id, ok := blobID(m.Memory(), s[0])
		if !ok {
			s[0] = code(abi.CodeArgument)
			return
		}
		size, found, err := current(ctx).FindBlob(id)
		switch {
		case err != nil:
			s[0] = code(abi.CodeOf(err))
		case !found:
			s[0] = code(abi.CodeNotFound)
		default:
			s[0] = uint64(size)
		}
	}},
	{"take", 1, nil, func(ctx context.Context, m api.Module, s []uint64) {
		c := current(ctx)
		if !m.Memory().Write(uint32(s[0]), c.pending) {
			// Only a guest that lies about its room gets here; it is stopped
			// rather than left to read what it takes for an answer.
			panic("edge: take: buffer is outside of the memory")
		}
		c.pending = nil
	}},
}

// current returns the call that runs. A host that starts a plugin without one
// has made a mistake; the guest is stopped. So is one that is through with its
// time: its own work is measured, but not what the host does for it.
func current(ctx context.Context) *Call {
	c, ok := engine.State(ctx).(*Call)
	if !ok {
		panic("edge: a host function was called outside of a call")
	}
	if c.asked++; c.asked%lookInterval == 0 && ctx.Err() != nil {
		panic(fmt.Errorf("edge: the call is over: %w", context.Cause(ctx)))
	}
	return c
}

// lookInterval is how many host functions a guest calls until the clock is looked
// at, which takes a tenth of the time of a short one.
const lookInterval = 16

// answer writes a result into the guest's buffer, or keeps it for take.
func (c *Call) answer(mem api.Memory, buf, size uint64, b []byte) uint64 {
	if len(b) > int(uint32(size)) {
		c.pending = b
	} else if !mem.Write(uint32(buf), b) {
		return code(abi.CodeArgument)
	}
	return uint64(len(b))
}

// answerFound writes what a key has, or that it has nothing.
func (c *Call) answerFound(mem api.Memory, buf, size uint64, value []byte, found bool, err error) uint64 {
	switch {
	case err != nil:
		return code(abi.CodeOf(err))
	case !found:
		return code(abi.CodeNotFound)
	}
	return c.answer(mem, buf, size, value)
}

// answerPage writes what a scan has found.
func (c *Call) answerPage(mem api.Memory, buf, size uint64, page *abi.Page, err error) uint64 {
	if err != nil {
		return code(abi.CodeOf(err))
	}
	c.list.Reset(c.listB)
	page.Append(&c.list)
	c.listB = c.list.Value()
	return c.answer(mem, buf, size, c.listB)
}

// scanRange is the range of a scan. Its keys are in the guest's memory.
func scanRange(start, end []byte, limit, flags uint64) abi.Range {
	return abi.Range{Start: start, End: end, Limit: int(int32(limit)),
		Reverse: uint32(flags)&abi.ScanReverse != 0, KeysOnly: uint32(flags)&abi.ScanKeysOnly != 0}
}

// pluginName reads the name of a plugin. What is longer than names are is none.
func pluginName(mem api.Memory, at, size uint64) (string, bool) {
	const longest = 64
	b, ok := mem.Read(uint32(at), uint32(size))
	if !ok || len(b) > longest {
		return "", false
	}
	return string(b), true
}

// blobID reads the id of a blob.
func blobID(mem api.Memory, at uint64) (id abi.BlobID, ok bool) {
	b, ok := mem.Read(uint32(at), uint32(len(id)))
	copy(id[:], b)
	return id, ok
}

func code(n int64) uint64 { return uint64(n) }

func result(err error) uint64 {
	if err != nil {
		return uint64(abi.CodeOf(err))
	}
	return 0
}

// truth is the result of a question that is answered with yes or no.
func truth(yes bool, err error) uint64 {
	switch {
	case err != nil:
		return code(abi.CodeOf(err))
	case yes:
		return 1
	}
	return 0
}

func ttl(seconds uint64) time.Duration { return time.Duration(uint32(seconds)) * time.Second }

var _ engine.Module = Module{}

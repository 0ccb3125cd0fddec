package engine

import (
	"context"
	"errors"
	"fmt"
	"math/bits"
	"strings"
	"time"

	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/sys"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/rewrite"
)

// memoryExport is the name under which toolchains export the memory.
const memoryExport = "memory"

// minRoom is the smallest room that is asked for a frame: most frames fit, and
// the first call is the only one that has to ask.
const minRoom = 4 << 10

// An instance is one guest. Whoever took it from the pool has it alone.
type instance struct {
	plugin string
	ctx    callContext
	out    output
	linear linear
	mod    api.Module
	mem    api.Memory // nil if the guest exports none
	call   api.Function
	alloc  api.Function
	others map[string]api.Function // exports called by Invoke

	globals []api.MutableGlobal // that the image has values for
	changed api.Global          // rewrite.ChangedExport; nil if there is none

	// stack carries parameters and results. It is part of the instance because
	// one on the Go stack would escape through the interface.
	stack [2]uint64

	room     uint32 // where in the guest's memory frames are written
	roomSize uint32

	meter    meter
	fuel     uint64 // spent by the last call
	pool     *pool
	calls    uint64 // since it was taken from the pool
	uses     int
	born     uint64 // the sweep of the pool in which it was started
	startMem uint32 // bytes of memory after it was started
	broken   bool   // its state is not to be trusted any more
	spent    bool   // it has exited of its own will
}

// begin is for before a call, and end for after it.
func (i *instance) begin(ctx context.Context, state any) {
	i.ctx.begin(ctx, state)
	i.ctx.tenant.calls.Add(1)
	i.meter.begin()
	i.broken = true // unless it comes to a good end
}

func (i *instance) end() {
	i.fuel = i.meter.end(i.ctx.spent)
	i.out.end()
	i.ctx.end()
}

// frame hands a frame to the guest and appends its reply to dst.
func (i *instance) frame(ctx context.Context, state any, frame, dst []byte) ([]byte, error) {
	i.begin(ctx, state)
	dst, err := i.exchange(frame, dst)
	i.broken = err != nil
	i.end()
	return dst, err
}

func (i *instance) exchange(frame, dst []byte) ([]byte, error) {
	if uint32(len(frame)) > i.roomSize || i.roomSize == 0 {
		if err := i.makeRoom(len(frame)); err != nil {
			return dst, err
		}
	}
	// The memory never shrinks, so the room, once checked, is there.
	if !i.mem.Write(i.room, frame) {
		return dst, i.fault(abi.ExportAlloc, "room at %d for %d bytes is outside of its memory of %d", i.room, len(frame), i.mem.Size())
	}
	i.stack[0] = uint64(len(frame))
	if err := i.call.CallWithStack(&i.ctx, i.stack[:]); err != nil {
		return dst, i.trap(abi.ExportCall, err)
	}
	ptr, size := uint32(i.stack[0]>>32), uint32(i.stack[0])
	if size > abi.MaxFrameSize {
		return dst, i.fault(abi.ExportCall, "reply of %d bytes: at most %d are taken", size, abi.MaxFrameSize)
	}
	reply, ok := i.mem.Read(ptr, size)
	if !ok {
		return dst, i.fault(abi.ExportCall, "reply of %d bytes at %d is outside of its memory of %d", size, ptr, i.mem.Size())
	}
	return append(dst, reply...), nil
}

// makeRoom asks the guest for room for a frame of n bytes, and for some more,
// so that frames that grow little by little do not ask each time.
func (i *instance) makeRoom(n int) error {
	size := uint32(minRoom)
	if n > minRoom {
		size = min(1<<bits.Len32(uint32(n-1)), uint32(abi.MaxFrameSize))
	}
	i.roomSize = 0 // the old room is the guest's again
	i.stack[0] = uint64(size)
	if err := i.alloc.CallWithStack(&i.ctx, i.stack[:]); err != nil {
		return i.trap(abi.ExportAlloc, err)
	}
	ptr := uint32(i.stack[0])
	if uint64(ptr)+uint64(size) > uint64(i.mem.Size()) {
		return i.fault(abi.ExportAlloc, "room at %d for %d bytes is outside of its memory of %d", ptr, size, i.mem.Size())
	}
	i.room, i.roomSize = ptr, size
	return nil
}

// invoke calls an export without parameters that returns a code or nothing.
func (i *instance) invoke(ctx context.Context, state any, export string) (int32, error) {
	fn, err := i.export(export)
	if err != nil {
		return 0, err
	}
	i.begin(ctx, state)
	i.stack[0] = 0
	switch err = fn.CallWithStack(&i.ctx, i.stack[:]); {
	case err == nil:
		i.broken = false
	case exitedWell(err):
		// A command has run to its end, and its instance with it.
		i.broken, i.spent = false, true
		i.stack[0], err = 0, nil
	default:
		err = i.trap(export, err)
	}
	i.end()
	return int32(i.stack[0]), err
}

func (i *instance) export(name string) (api.Function, error) {
	if fn, ok := i.others[name]; ok {
		return fn, nil
	}
	fn := i.mod.ExportedFunction(name)
	if fn == nil || strings.HasPrefix(name, rewrite.Reserved) {
		return nil, fmt.Errorf("engine: plugin %q: export %q: %w", i.plugin, name, ErrNoExport)
	}
	if got := signature(fn.Definition()); got != signatureCode && got != signatureNone {
		return nil, fmt.Errorf("engine: plugin %q: export %q is %s, want %s: %w", i.plugin, name, got, signatureCode, ErrNoExport)
	}
	i.others[name] = fn
	return fn, nil
}

// trap makes the error of a call that went wrong. The instance is not used
// again: a trap does not close a module of wazero's, and nobody knows what state
// it left.
func (i *instance) trap(export string, err error) error {
	i.out.flush()
	return newTrapError(i.plugin, export, err, i.out.said)
}

// fault is trap for a guest that ran, and answered what makes no sense.
func (i *instance) fault(export, format string, args ...any) error {
	return i.trap(export, fmt.Errorf(format, args...))
}

// sleep is the guest's clock_nanosleep. It ends with the call: the guest has no
// part in that decision, and a Go guest whose sleep merely ended early would
// sleep again at once.
func (i *instance) sleep(ns int64) {
	if ns <= 0 {
		return
	}
	t := time.NewTimer(time.Duration(ns))
	defer t.Stop()
	select {
	case <-t.C:
	case <-i.ctx.Done():
		panic(fmt.Errorf("the call ended while the guest slept: %w", context.Cause(i.ctx.parent)))
	}
}

// close frees the guest's memory.
func (i *instance) close() {
	if i.mod != nil {
		// Fails only for files that fail to close; a guest has none.
		_ = i.mod.Close(context.Background())
	}
	i.linear.close()
}

func exitedWell(err error) bool {
	var exit *sys.ExitError
	return errors.As(err, &exit) && exit.ExitCode() == 0
}

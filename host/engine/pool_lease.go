package engine

import (
	"context"
	"fmt"

	"github.com/edgeset/edgeset/abi"
)

// A Lease is an instance that a caller has for itself, for one call.
type Lease interface {
	// Call is Version.Call, and Invoke is Version.Invoke, without the wait.
	Call(ctx context.Context, state any, frame, dst []byte) (reply []byte, fuel uint64, err error)
	Invoke(ctx context.Context, state any, export string) (code int32, fuel uint64, err error)
	// Release gives the instance back, whether it was called or not. Others wait
	// for it, so it is done before anything else is waited for.
	Release()
}

// Lease waits for an instance. A caller that has more to do than the call gets
// its lease first: if it is to be refused, nothing was done in vain.
//
// One that comes ahead, because much has been done for it already, is served
// before those who do not, and is not refused for the length of the line. The error
// is a *BusyError if no instance comes free in time, or the cause of ctx's end if
// it ends while the caller waits.
func (v *Version) Lease(ctx context.Context, ahead bool) (Lease, error) {
	i, err := v.pool.take(ctx, ahead)
	if err != nil {
		return nil, err
	}
	return i, nil
}

// Call is part of Lease.
func (i *instance) Call(ctx context.Context, state any, frame, dst []byte) (reply []byte, fuel uint64, err error) {
	if i.call == nil {
		return dst, 0, fmt.Errorf("engine: plugin %q: export %q: %w", i.plugin, abi.ExportCall, ErrNoExport)
	}
	if len(frame) > abi.MaxFrameSize {
		return dst, 0, fmt.Errorf("engine: plugin %q: frame of %d bytes: %w", i.plugin, len(frame), ErrFrame)
	}
	i.calls++
	i.uses++
	reply, err = i.frame(ctx, state, frame, dst)
	return reply, i.fuel, err
}

// Invoke is part of Lease.
func (i *instance) Invoke(ctx context.Context, state any, export string) (code int32, fuel uint64, err error) {
	i.calls++
	i.uses++
	code, err = i.invoke(ctx, state, export)
	return code, i.fuel, err
}

// Release is part of Lease.
func (i *instance) Release() { i.pool.put(i) }

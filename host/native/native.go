// Package native runs a plugin that is compiled into the process instead of
// into Wasm, behind the same host: what Wasm is compared with in benchmarks, and
// a way to step through a plugin with a debugger.
//
// A native plugin is trusted: nothing bounds its memory or its time.
package native

import (
	"context"
	"errors"
	"sync"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
	"github.com/edgeset/edgeset/host/deploy"
	"github.com/edgeset/edgeset/host/engine"
)

// A Runner answers calls with a plugin's handlers.
type Runner struct{ calls sync.Pool }

// New returns a runner of p.
func New(p *guest.Plugin) *Runner {
	return &Runner{calls: sync.Pool{New: func() any { return p.NewCall() }}}
}

// Lease implements deploy.Runner. There is room for everybody.
func (r *Runner) Lease(context.Context, bool) (engine.Lease, error) { return r, nil }

// Release implements engine.Lease.
func (r *Runner) Release() {}

// Call implements engine.Lease. The state is the call's abi.Host.
func (r *Runner) Call(_ context.Context, state any, frame, dst []byte) ([]byte, uint64, error) {
	host, ok := state.(abi.Host)
	if !ok {
		return nil, 0, errors.New("native: the state of the call is no abi.Host")
	}
	call := r.calls.Get().(*guest.Call)
	defer r.calls.Put(call)
	reply, err := call.Do(host, frame)
	if err != nil {
		return nil, 0, err
	}
	return append(dst, reply...), 0, nil
}

// Invoke implements engine.Lease: a native plugin has no exports.
func (r *Runner) Invoke(context.Context, any, string) (int32, uint64, error) {
	return 0, 0, errors.New("native: a plugin that is not Wasm has no exports")
}

// Close implements deploy.Runner.
func (r *Runner) Close(context.Context) error { return nil }

var _ deploy.Runner = (*Runner)(nil)

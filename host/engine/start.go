package engine

import (
	"context"
	"fmt"
	"log/slog"
	"strconv"
	"strings"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/experimental"
	"github.com/tetratelabs/wazero/sys"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/rewrite"
)

// A starter makes the instances of a version.
type starter struct {
	plugin  string
	program *program
	fast    bool
	warm    bool // the image may have been initialised
	init    any  // Options.Init
	emit    func(line string)
	log     *slog.Logger

	rehearsal []byte // Options.Rehearsal
	tenant    *Tenant

	image *image // nil until it has been taken
}

// start makes an instance, from the image.
func (s *starter) start(ctx context.Context) (*instance, error) {
	i, err := s.begin(ctx, nil)
	if err != nil {
		return nil, err
	}
	i.adopt(s.image)
	if !s.image.warm {
		if err := i.initialise(ctx, s.init); err != nil {
			i.close()
			return nil, err
		}
	}
	if i.mem != nil {
		i.startMem = i.mem.Size()
	}
	return i, nil
}

// begin makes an instance that has the memory of the image, or what its data
// segments say, and has not run. A witness, if there is one, sees what it takes
// from now on.
func (s *starter) begin(ctx context.Context, w *witness) (i *instance, err error) {
	i = &instance{plugin: s.plugin, others: make(map[string]api.Function)}
	i.out = output{emit: s.emit, dropped: func() { i.ctx.check(time.Now()) }}
	i.linear.from = blank
	if s.image != nil && s.image.content != nil {
		i.linear.from = s.image.content
	}
	i.ctx.tenant = s.tenant
	i.ctx.begin(ctx, nil)
	defer func() {
		if r := recover(); r != nil {
			err = fmt.Errorf("engine: plugin %q: starting an instance failed inside the host: %v", s.plugin, r)
		}
		i.out.end()
		i.ctx.end()
		if err != nil {
			i.close()
			i = nil
		}
	}()
	// Without these settings wazero gives every guest the same random numbers
	// and a clock that stands still. Start functions are called by initialise,
	// under the engine's own rules.
	config := wazero.NewModuleConfig().WithName("").WithStartFunctions().
		WithSysNanotime().WithNanosleep(i.sleep).
		WithStdout(&i.out).WithStderr(&i.out)
	if w == nil {
		config = config.WithRandSource(entropy{&i.ctx}).WithSysWalltime()
	} else {
		w.ctx = &i.ctx
		config = config.WithRandSource(w).WithWalltime(w.walltime, sys.ClockResolution(time.Microsecond))
	}
	i.mod, err = s.program.rt.InstantiateModule(experimental.WithMemoryAllocator(&i.ctx, &i.linear), s.program.code, config)
	if err != nil {
		return i, i.trap("instantiate", err)
	}
	i.bind(s)
	if s.image == nil {
		err = i.writeData()
	}
	return i, err
}

// greet asks a guest of the fast lane which contract it was built for.
func (s *starter) greet(ctx context.Context, i *instance) error {
	if !s.fast {
		return nil
	}
	version, err := i.invoke(ctx, initState(s.init), abi.ExportVersion)
	if err != nil {
		return err
	}
	return checkVersion(version)
}

// bind looks up what the engine uses of the module.
func (i *instance) bind(s *starter) {
	i.mem = i.mod.ExportedMemory(memoryExport)
	if s.fast {
		i.call, i.alloc = i.mod.ExportedFunction(abi.ExportCall), i.mod.ExportedFunction(abi.ExportAlloc)
	}
	i.meter = newMeter(i.mod)
	i.changed = i.mod.ExportedGlobal(rewrite.ChangedExport)
	var names []string
	if s.image != nil {
		names = s.image.names
	} else {
		names = globalNames(i.mod)
	}
	i.globals = make([]api.MutableGlobal, len(names))
	for k, name := range names {
		i.globals[k] = i.mod.ExportedGlobal(name).(api.MutableGlobal)
	}
}

// writeData has the guest write its data segments.
func (i *instance) writeData() error {
	for n := 0; ; n++ {
		fn := i.mod.ExportedFunction(rewrite.DataExport + strconv.Itoa(n))
		if fn == nil {
			return nil
		}
		if err := fn.CallWithStack(&i.ctx, i.stack[:]); err != nil {
			return i.trap("data segments", err)
		}
	}
}

// initialise has the guest set up its own runtime, in the way that its
// toolchain wants it: as a WASI reactor, by constructors alone, or as GHC's.
// Before that comes its start function, if it has one.
func (i *instance) initialise(ctx context.Context, init any) error {
	i.ctx.begin(ctx, initState(init))
	defer func() {
		i.out.end()
		i.ctx.end()
	}()
	if err := i.run(rewrite.StartExport, signatureNone); err != nil {
		return err
	}
	for _, name := range []string{"_initialize", "__wasm_call_ctors"} {
		if i.mod.ExportedFunction(name) != nil {
			if err := i.run(name, signatureNone); err != nil {
				return err
			}
			break
		}
	}
	return i.run("hs_init", signatureMain)
}

// run calls an export of a given type, if there is one. Its parameters are
// zeros.
func (i *instance) run(export, want string) error {
	fn := i.mod.ExportedFunction(export)
	if fn == nil {
		return nil
	}
	if got := signature(fn.Definition()); got != want {
		return fmt.Errorf("export %s is %s: want %s", export, got, want)
	}
	i.stack = [2]uint64{}
	if err := fn.CallWithStack(&i.ctx, i.stack[:]); err != nil {
		return i.trap(strings.TrimPrefix(export, rewrite.Reserved), err)
	}
	return nil
}

func initState(init any) any {
	if f, ok := init.(func() any); ok {
		return f()
	}
	return init
}

// adopt makes the instance what the image says, but for the content of its
// memory.
func (i *instance) adopt(m *image) {
	for k, g := range i.globals {
		g.Set(m.globals[k])
	}
	i.room, i.roomSize = m.room, m.roomSize
	if m.random != nil {
		m.random.renew(i.linear.mem.bytes())
	}
}

// reset brings an instance back to what it was when it was started. It fails if
// that takes a new instance: then this one is not to be used any more.
func (s *starter) reset(i *instance) bool {
	if !s.image.warm || i.hasChanged() || i.linear.mem != nil && !i.linear.mem.reset() {
		return false
	}
	i.adopt(s.image)
	return true
}

// hasChanged tells whether the guest has changed what an image does not have.
func (i *instance) hasChanged() bool { return i.changed != nil && i.changed.Get() != 0 }

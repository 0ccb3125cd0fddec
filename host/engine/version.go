package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"
	"sync/atomic"
	"time"

	"github.com/tetratelabs/wazero"
)

// Options are the limits of one plugin, and what it can import.
type Options struct {
	Name    string   // in errors and logs
	Modules []Module // what it can import besides WASI

	// Digest is the SHA-256 of the plugin's Wasm in hexadecimal, from one who knows
	// it: to compute it takes longer than to load a plugin that is loaded already.
	// Empty: it is computed.
	Digest string
	// Read returns the plugin's Wasm, for who calls Load without: it is read only if it is
	// not known by its Digest, which has to be there then.
	Read func() ([]byte, error)

	// MemoryLimit is how much memory an instance can have, in bytes, rounded
	// down to 64 KiB. A Go plugin needs about 4 MiB to start and 16 to work.
	// 0: 64 MiB.
	MemoryLimit int64
	// Instances is how many calls can run at the same time. 0: 4 × GOMAXPROCS.
	Instances int
	// MaxWait is how long a caller waits for an instance at most. It is refused at
	// once if, at the pace at which others are served, it would have to wait for
	// more than a quarter of that, or, where there have been callers waiting for
	// so long already, a tenth. 0: 1 s.
	MaxWait time.Duration
	// Waiting is how many callers can wait, however fast they are served. A caller
	// that waits costs little: the number only keeps a flood from piling up.
	// 0: 256 × Instances.
	Waiting int
	// MaxUses is how many calls an instance serves before it is replaced, and
	// MaxAge how long, give or take an eighth. 0: no limit.
	MaxUses int
	MaxAge  time.Duration

	// Tenant is whoever answers for what the plugin uses, with other plugins. Nil:
	// one of its own, without limits.
	Tenant *Tenant

	// Isolation says what a call can leave behind for the next. The default is
	// PerInstance.
	Isolation Isolation
	// NoSnapshot has each instance initialised on its own, instead of once for all
	// of them: for a plugin that does then what must not be shared, and that the
	// engine does not notice.
	NoSnapshot bool

	// Rehearsal is a frame that a plugin of the fast lane is given before its
	// snapshot is taken, so that what a first call sets up is in there. The reply
	// is thrown away, so it has to be a call without consequences. Nil: none.
	Rehearsal []byte

	// Init is the state, for host functions, while an instance is initialised.
	// Instances may be initialised at the same time: a func() any is called for
	// each of them, and what it returns is that one's state.
	// A version may start from the image of another, see Module: then none is.
	Init any
	// Stderr gets each line that the plugin writes to stdout or stderr, from
	// several goroutines. Nil: the Engine's logger, as a warning.
	Stderr func(line string)
}

// Isolation says what a call can leave behind for the next.
type Isolation int

const (
	// PerInstance: the guest keeps its memory, for later calls on its instance.
	PerInstance Isolation = iota
	// PerRequest: nothing. After each call, the instance is brought back to what
	// it was when it was started.
	PerRequest
)

// A Module is a host module that plugins import. It is instantiated once for all the
// versions of a plugin that are given an equal one, so what its functions tell one
// version and not another they have from State, and from nowhere else.
type Module interface {
	Instantiate(ctx context.Context, rt wazero.Runtime) error
}

// idleTime is how long an instance that is not needed is kept.
const idleTime = time.Minute

// complete fills in the defaults.
func (o *Options) complete() error {
	if o.MemoryLimit == 0 {
		o.MemoryLimit = 64 << 20
	}
	if o.Instances == 0 {
		o.Instances = DefaultInstances()
	}
	if o.Waiting == 0 {
		o.Waiting = 256 * o.Instances
	}
	if o.MaxWait == 0 {
		o.MaxWait = time.Second
	}
	if o.Tenant == nil {
		o.Tenant = NewTenant(TenantLimits{})
	}
	// Of a memory of 4 GiB wazero says that its size is 0: it is one page too many.
	if o.MemoryLimit < pageSize || o.MemoryLimit > 4<<30-pageSize {
		return fmt.Errorf("memory limit of %d bytes: want 64 KiB to 4 GiB less 64 KiB", o.MemoryLimit)
	}
	if o.Digest != "" {
		if err := checkDigest(o.Digest); err != nil {
			return err
		}
	}
	if o.Isolation != PerInstance && o.Isolation != PerRequest {
		return fmt.Errorf("isolation %d: want PerInstance or PerRequest", o.Isolation)
	}
	if o.Instances < 0 || o.Waiting < 0 || o.MaxWait < 0 || o.MaxUses < 0 || o.MaxAge < 0 {
		return errors.New("a limit is negative")
	}
	return nil
}

// A Version is one plugin, loaded. Its methods may be called concurrently.
//
// It is counted by reference. Whoever hands requests to it calls Acquire before
// the first call of a request and Release after the last; Close lets no more
// requests in, waits for those inside, and then frees everything. Nothing is
// freed while it is referenced, however long that takes.
type Version struct {
	engine  *Engine
	name    string
	program *program
	starter starter
	pool    pool
	sweeper *time.Timer

	refs    atomic.Int64 // references, and the bit retired
	drained chan struct{}
	drain   sync.Once
	finish  sync.Once
	closed  chan struct{}
}

// retired is the bit of refs that says that no more references are given out.
const retired = 1 << 62

// newVersion makes a version of p, whose reference becomes its own.
func newVersion(e *Engine, p *program, o Options) *Version {
	log := e.log.With(slog.String("plugin", o.Name), slog.String("digest", p.key.digest[:12]))
	emit := o.Stderr
	if emit == nil {
		emit = func(line string) { log.Warn("plugin output", slog.String("line", line)) }
	}
	v := &Version{
		engine: e, name: o.Name, program: p,
		drained: make(chan struct{}), closed: make(chan struct{}),
		starter: starter{
			plugin: o.Name, program: p, fast: p.exports.fast, warm: !o.NoSnapshot, init: o.Init, emit: emit, log: log,
			rehearsal: o.Rehearsal, tenant: o.Tenant,
		},
		pool: pool{
			plugin: o.Name, admission: newAdmission(&o), max: o.Instances,
			maxUses: o.MaxUses, memorySoft: uint32(o.MemoryLimit / 8 * 7), tenant: o.Tenant, empty: make(chan struct{}),
		},
	}
	e.turns.join(o.Tenant)
	v.pool.start = v.starter.start
	if o.Isolation == PerRequest {
		v.pool.reset = v.starter.reset
	}
	interval := idleTime
	if o.MaxAge > 0 {
		interval = min(interval, max(o.MaxAge/8, time.Millisecond))
		v.pool.maxAge = uint64(max(1, o.MaxAge/interval))
	}
	// A goroutine that waits would take more memory than a version that does.
	v.sweeper = time.AfterFunc(startTime, func() {
		select {
		case <-v.closed:
		default:
			v.pool.sweep()
			v.sweeper.Reset(interval)
		}
	})
	v.sweeper.Reset(interval) // by now it can be found
	return v
}

// startTime is how long a plugin may take to be initialised, and whatever else
// has to be done before it can be called.
const startTime = time.Minute

// warm takes the image and starts the first instance, which shows whether there
// can be any.
func (v *Version) warm(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTime)
	defer cancel()
	if err := v.starter.takeImage(ctx); err != nil {
		return err
	}
	v.pool.mu.Lock()
	v.pool.quick = v.starter.image.warm
	v.pool.mu.Unlock()
	i, err := v.pool.take(ctx, true)
	if err != nil {
		return err
	}
	defer v.pool.put(i)
	if v.starter.image.warm {
		return nil // the guest has been asked
	}
	return v.starter.greet(ctx, i)
}

// Digest returns the SHA-256 of the plugin's Wasm, in hexadecimal.
func (v *Version) Digest() string { return v.program.key.digest }

// HasExport tells whether the plugin exports a function of that name.
func (v *Version) HasExport(name string) bool {
	_, ok := v.program.exports.functions[name]
	return ok
}

// Stats is what a Version is doing, and has done.
type Stats struct {
	Instances int // that live or are being started
	Idle      int // of these
	Waiting   int // callers in line

	// Callers that were refused: because Options.Waiting stood in line already,
	// because the line was too slow for one more, or because Options.MaxWait was
	// over.
	RefusedFull, RefusedSlow, RefusedLate uint64

	Waits  uint64        // callers that stood in line
	Waited time.Duration // all of them together

	Calls     uint64
	Traps     uint64 // calls that ended in a *TrapError
	Evictions uint64 // instances closed for any other reason
}

// Stats returns what the Version is doing.
func (v *Version) Stats() Stats {
	p, a := &v.pool, &v.pool.admission
	p.mu.Lock()
	defer p.mu.Unlock()
	return Stats{
		Instances: p.total, Idle: len(p.idle), Waiting: p.line.n,
		RefusedFull: a.refused[lineFull], RefusedSlow: a.refused[lineSlow], RefusedLate: a.refused[waitOver],
		Waits: a.waits, Waited: a.waited,
		Calls: p.calls, Traps: p.traps, Evictions: p.evictions,
	}
}

// Call hands a frame to the plugin's edge_call and appends its reply to dst.
// State returns state to the host functions that the plugin calls meanwhile.
// fuel is what the call spent, well ended or not; a unit of it is about one
// WebAssembly instruction.
//
// The error is a *BusyError if no instance came free, a *TrapError if the plugin
// failed, or the cause of ctx's end if it ended while the caller waited. A call
// that ctx's end cut short is a *TrapError that wraps that cause.
func (v *Version) Call(ctx context.Context, state any, frame, dst []byte) (reply []byte, fuel uint64, err error) {
	i, err := v.pool.take(ctx, false)
	if err != nil {
		return dst, 0, err
	}
	defer i.Release()
	return i.Call(ctx, state, frame, dst)
}

// Invoke calls an export that takes nothing and returns an i32, or nothing,
// which is taken as 0. It is how Extism plugins are called; their input and
// output go through state. Errors are those of Call.
func (v *Version) Invoke(ctx context.Context, state any, export string) (code int32, fuel uint64, err error) {
	i, err := v.pool.take(ctx, false)
	if err != nil {
		return 0, 0, err
	}
	defer i.Release()
	return i.Invoke(ctx, state, export)
}

// Acquire takes a reference, which keeps the Version callable until Release. It
// fails once Close has been called.
func (v *Version) Acquire() bool {
	if v.refs.Add(1)&retired != 0 {
		v.Release()
		return false
	}
	return true
}

// Release gives a reference back.
func (v *Version) Release() {
	switch n := v.refs.Add(-1); {
	case n == retired:
		v.drain.Do(func() { close(v.drained) })
	case n == -1 || n == retired-1:
		panic("engine: Version.Release without Acquire")
	}
}

// retire lets no more references out and arranges for the end.
func (v *Version) retire() {
	if v.refs.Or(retired) == 0 {
		v.drain.Do(func() { close(v.drained) })
	}
	v.finish.Do(func() {
		go func() {
			<-v.drained
			v.stop()
			v.engine.remove(v)
		}()
	})
}

// stop frees everything.
func (v *Version) stop() {
	v.sweeper.Stop()
	v.pool.close()
	v.starter.close()
	v.engine.turns.leave(v.pool.tenant)
	v.engine.programs.release(v.program)
	close(v.closed)
}

// Close retires the Version: Acquire fails from now on. It waits until the last
// reference is released and everything is freed, or until ctx ends; then it
// returns an error, and freeing happens with the last Release.
func (v *Version) Close(ctx context.Context) error {
	v.retire()
	select {
	case <-v.closed:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("engine: plugin %q: close: %d references are held: %w", v.name, v.refs.Load()&^retired, context.Cause(ctx))
	}
}

// DefaultInstances is how many calls of a version can run at the same time if
// its Options do not say.
func DefaultInstances() int { return 4 * runtime.GOMAXPROCS(0) }

// Package engine runs WebAssembly plugins. It knows bytes and calls, not HTTP:
// what stands in a frame is the business of package abi and of those above.
//
//	Engine    one per process: the compilation cache, and the versions loaded
//	program   one plugin binary, compiled, in a wazero runtime of its own
//	Version   a program with the limits and the instances of one deployment
//	pool      the instances of a version: bounded, warm ones first
//	instance  one guest with its memory; serves one call at a time
//
// A call goes from Version.Call through the pool into an instance, and back. In
// the steady state it allocates nothing and takes no clock.
//
// Before a plugin is compiled its code is rewritten, in prepare, so that it counts
// fuel and can be started from a memory image. Instances are made by starter.start
// alone. A Version is counted by reference and knows nothing of its successor, so
// that swapping is a matter of whoever holds the two.
package engine

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime"
	"sync"

	"github.com/tetratelabs/wazero"
)

// Config is what all plugins of an Engine share.
type Config struct {
	// CacheDir keeps compiled code between runs. What stands in it is executed:
	// it is made with mode 0700, and refused if others can write to it. Empty:
	// compiled code is kept in memory only.
	CacheDir string

	// Compiler compiles what is not in the cache. It has another process call
	// Engine.Compile with the same CacheDir, so that a module that is made to break
	// the compiler, or to keep it busy for ever, breaks nothing else. It is called
	// for one plugin at a time, for which it may use all cores. Nil: this process
	// compiles.
	Compiler func(ctx context.Context, cacheDir string, wasm []byte) error

	// Workers is how many cores this process uses to compile one plugin. If it is
	// more than 1, a panic of the compiler ends the process. 0: 1.
	Workers int

	// Logger gets what plugins write to stdout and stderr. Nil: slog.Default.
	Logger *slog.Logger
}

// An Engine loads plugins. Its methods may be called concurrently.
type Engine struct {
	config Config
	log    *slog.Logger
	cache  wazero.CompilationCache
	files  *codeCache // nil: in memory only

	programs  programs
	turns     *turns
	compiler  chan struct{} // is full while Config.Compiler runs
	mu        sync.Mutex
	compiling map[string]chan struct{} // by digest; closed when done
	versions  map[*Version]struct{}
	closed    bool
}

// New returns an Engine.
func New(c Config) (*Engine, error) {
	var files *codeCache
	cache := wazero.NewCompilationCache()
	if c.CacheDir != "" {
		var err error
		if files, err = openCodeCache(c.CacheDir); err != nil {
			return nil, err
		}
		if cache, err = wazero.NewCompilationCacheWithDir(files.dir); err != nil {
			return nil, fmt.Errorf("engine: compilation cache %s: %w", c.CacheDir, err)
		}
	}
	if c.Logger == nil {
		c.Logger = slog.Default()
	}
	return &Engine{
		config:    c,
		log:       c.Logger,
		cache:     cache,
		files:     files,
		programs:  programs{known: make(map[programKey]*program)},
		turns:     newTurns(runtime.GOMAXPROCS(0)),
		compiler:  make(chan struct{}, 1),
		compiling: make(map[string]chan struct{}),
		versions:  make(map[*Version]struct{}),
	}, nil
}

// Close closes all versions, as Version.Close does, and then the cache. If a
// version is still referenced when ctx ends, Close says so and leaves the cache
// open: compiled code is never taken from under a running call.
func (e *Engine) Close(ctx context.Context) error {
	e.mu.Lock()
	e.closed = true
	versions := make([]*Version, 0, len(e.versions))
	for v := range e.versions {
		v.retire()
		versions = append(versions, v)
	}
	e.mu.Unlock()

	var errs []error
	for _, v := range versions {
		errs = append(errs, v.Close(ctx))
	}
	e.programs.close()
	if err := errors.Join(errs...); err != nil {
		return err
	}
	return e.cache.Close(ctx)
}

// Load compiles a plugin, starts a first instance of it, and checks that it can
// be called. All that is wrong with a plugin by itself comes out here. A plugin that
// is loaded already, or was a while ago, takes no more than that instance.
func (e *Engine) Load(ctx context.Context, wasm []byte, o Options) (*Version, error) {
	if err := o.complete(); err != nil {
		return nil, fmt.Errorf("engine: plugin %q: %w", o.Name, err)
	}
	v, err := e.load(ctx, wasm, o)
	if err != nil { // v has been freed
		return nil, &LoadError{Plugin: o.Name, Err: err}
	}
	return v, nil
}

func (e *Engine) load(ctx context.Context, wasm []byte, o Options) (v *Version, err error) {
	defer func() {
		if err != nil && v != nil {
			v.stop()
			v = nil
		}
	}()
	defer recovered(&err)
	p, err := e.program(ctx, wasm, &o)
	if err != nil {
		return nil, err
	}
	v = newVersion(e, p, o)
	if err = v.warm(ctx); err != nil {
		return v, err
	}
	if !e.add(v) {
		return v, ErrClosed
	}
	return v, nil
}

// add keeps v for Close; it fails if the Engine was closed meanwhile.
func (e *Engine) add(v *Version) bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	if !e.closed {
		e.versions[v] = struct{}{}
	}
	return !e.closed
}

func (e *Engine) remove(v *Version) {
	e.mu.Lock()
	defer e.mu.Unlock()
	delete(e.versions, v)
}

// release gives back what was compiled. Closing the runtime alone would leave
// the code in the shared cache for good.
func release(rt wazero.Runtime, code wazero.CompiledModule) {
	// Both only fail for modules that fail to close, and ours have nothing open.
	_ = rt.Close(context.Background())
	if code != nil {
		_ = code.Close(context.Background())
	}
}

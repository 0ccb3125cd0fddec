package engine

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"time"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/experimental"
)

// Compiled is a plugin in the cache.
type Compiled struct {
	Digest string // SHA-256 of the plugin's Wasm, in hexadecimal
	Size   int64  // of the machine code, in bytes
	Cached bool   // it was there already
}

// Compile puts a plugin into the cache, so that Load finds it there. The error is
// a *LoadError.
func (e *Engine) Compile(ctx context.Context, name string, wasm []byte) (c Compiled, err error) {
	defer func() {
		if err != nil {
			err = &LoadError{Plugin: name, Err: err}
		}
	}()
	defer recovered(&err)
	if e.files == nil {
		return c, errors.New("compile: the engine has no cache")
	}
	digest := digestOf(wasm)
	done, err := e.reserve(ctx, digest)
	if err != nil {
		return c, err
	}
	defer done()
	rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCompilationCache(e.cache))
	code, c, err := e.compile(ctx, rt, digest, wasm)
	release(rt, code)
	return c, err
}

// errNotCached is what wazero stops with in place of compiling.
var errNotCached = errors.New("wazero has not found the code of an outline")

// onlyCached is a context in which wazero does not compile: it takes code from its
// cache before it looks whether the context has ended.
var onlyCached = func() context.Context {
	ctx, cancel := context.WithCancelCause(context.Background())
	cancel(errNotCached)
	return experimental.WithCompilationWorkers(ctx, 2) // a single one does not look
}()

// compile gets a plugin's machine code into rt. The caller has reserved the digest.
func (e *Engine) compile(ctx context.Context, rt wazero.Runtime, digest string, wasm []byte) (code wazero.CompiledModule, c Compiled, err error) {
	c = Compiled{Digest: digest, Cached: e.files != nil}
	if e.files == nil {
		if err := verify(digest, wasm); err != nil {
			return nil, c, err
		}
		m, err := prepare(wasm)
		if err != nil {
			return nil, c, err
		}
		code, err = rt.CompileModule(ctx, m.Encode())
		return code, c, err
	}
	for {
		outline, found, err := e.files.read(digest)
		if err == nil {
			c.Size = found.Size
			if code, err = rt.CompileModule(onlyCached, outline); !errors.Is(err, errNotCached) {
				return code, c, err
			}
		}
		if !c.Cached {
			return nil, c, fmt.Errorf("compilation cache: what was just compiled cannot be read: %w", err)
		}
		c.Cached = false
		if err := e.fill(ctx, digest, wasm, err); err != nil {
			return nil, c, err
		}
	}
}

// fill has a plugin compiled into the cache, in which reading it failed.
func (e *Engine) fill(ctx context.Context, digest string, wasm []byte, missing error) error {
	if err := verify(digest, wasm); err != nil {
		return err
	}
	if !errors.Is(missing, fs.ErrNotExist) && !errors.Is(missing, errNotCached) {
		e.log.Warn("compiling a plugin again", slog.String("digest", digest[:12]), slog.Any("reason", missing))
	}
	if e.config.Compiler == nil {
		return e.files.fill(ctx, digest, wasm, max(1, e.config.Workers))
	}
	select {
	case e.compiler <- struct{}{}:
		defer func() { <-e.compiler }()
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	begin := time.Now()
	err := e.config.Compiler(ctx, e.config.CacheDir, wasm)
	if err == nil {
		e.log.Info("compiled a plugin", slog.String("digest", digest[:12]), slog.Duration("took", time.Since(begin)))
	}
	return err
}

// reserve has callers with the same plugin take turns: one compiles, and the
// others find it cached. wazero looks into its cache before it compiles and not
// again after.
func (e *Engine) reserve(ctx context.Context, digest string) (release func(), err error) {
	for {
		e.mu.Lock()
		other, busy := e.compiling[digest]
		if !busy {
			done := make(chan struct{})
			e.compiling[digest] = done
			e.mu.Unlock()
			return func() {
				e.mu.Lock()
				delete(e.compiling, digest)
				e.mu.Unlock()
				close(done)
			}, nil
		}
		e.mu.Unlock()
		select {
		case <-other:
		case <-ctx.Done():
			return nil, context.Cause(ctx)
		}
	}
}

// recovered makes an error of a panic. Neither rewriting nor wazero's compiler is
// supposed to panic, whatever it is given; if one does, this plugin is refused and
// the others go on.
func recovered(err *error) {
	if r := recover(); r != nil {
		*err = fmt.Errorf("loading failed inside the host: %v", r)
	}
}

// verify is for before something is compiled under a digest that the engine was told.
func verify(digest string, wasm []byte) error {
	if got := digestOf(wasm); got != digest {
		return fmt.Errorf("the plugin's SHA-256 is %s, and was said to be %s", got, digest)
	}
	return nil
}

func digestOf(wasm []byte) string {
	sum := sha256.Sum256(wasm)
	return hex.EncodeToString(sum[:])
}

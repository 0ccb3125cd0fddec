package engine

import (
	"context"
	"encoding/hex"
	"fmt"
	"reflect"
	"sync"
	"time"

	"github.com/tetratelabs/wazero"
)

// A program is a plugin's code in a wazero runtime, beside all that it imports. The
// versions of one plugin share it, of however many deployments: compiled code,
// what wazero knows of the module, which is as large again, and the images that
// do not depend on the version. What a version has for itself are its instances.
type program struct {
	key     programKey
	rt      wazero.Runtime
	code    wazero.CompiledModule
	exports exports
	size    int64 // of the machine code; of the plugin if that is not known

	mu     sync.Mutex
	images map[imageKey]*image // of all versions

	// These are guarded by programs.mu.
	refs   int
	shared bool        // it stands in programs.known
	expiry *time.Timer // while refs is 0
}

// A programKey tells programs apart. The runtime limits the memory of its modules.
type programKey struct {
	digest  string
	memory  int64
	modules [maxShared]Module
}

// maxShared is how many host modules a program can import that is shared: those of
// edgeset and Extism, and room for more.
const maxShared = 4

// programKeyOf fails for a program that only one version can use: it is not known
// whether the next would have the same modules.
func programKeyOf(digest string, o *Options) (key programKey, ok bool) {
	key = programKey{digest: digest, memory: o.MemoryLimit / pageSize}
	if len(o.Modules) > maxShared {
		return key, false
	}
	for i, m := range o.Modules {
		if !reflect.ValueOf(m).Comparable() {
			return programKey{digest: digest}, false
		}
		key.modules[i] = m
	}
	return key, true
}

// What is kept of programs that no version uses, so that a swap back to what ran a
// while ago costs as little as one to what runs. A Go plugin has some 25 MB of
// machine code.
const (
	keptPrograms = 8
	keptSize     = 256 << 20 // bytes of machine code
	keptTime     = 5 * time.Minute
)

// programs are those of an engine.
type programs struct {
	mu     sync.Mutex
	known  map[programKey]*program
	idle   []*program // without references, the one released last at the end
	closed bool
}

// take returns a program that is there, with a reference.
func (s *programs) take(key programKey) *program {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.known[key]
	if p == nil {
		return nil
	}
	if p.refs == 0 {
		s.forget(p)
	}
	p.refs++
	return p
}

// add makes a program known that has been built for its first version. Nobody
// builds the same at the same time.
func (s *programs) add(p *program) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p.shared = true
	s.known[p.key] = p
}

// release gives a reference back.
func (s *programs) release(p *program) {
	s.mu.Lock()
	var out []*program
	if p.refs--; p.refs == 0 {
		if !p.shared || s.closed {
			delete(s.known, p.key)
			out = []*program{p}
		} else {
			s.idle = append(s.idle, p)
			p.expiry = time.AfterFunc(keptTime, func() { s.expire(p) })
			out = s.surplus()
		}
	}
	s.mu.Unlock()
	for _, p := range out {
		p.close()
	}
}

// surplus takes out what is too much to be kept, what was released first before
// the rest.
func (s *programs) surplus() (out []*program) {
	var size int64
	for _, p := range s.idle {
		size += p.size
	}
	for len(s.idle) > keptPrograms || size > keptSize && len(s.idle) > 0 {
		p := s.idle[0]
		size -= p.size
		s.forget(p)
		delete(s.known, p.key)
		out = append(out, p)
	}
	return out
}

// forget has a program not be idle any more.
func (s *programs) forget(p *program) {
	for i, other := range s.idle {
		if other == p {
			s.idle = append(s.idle[:i], s.idle[i+1:]...)
			p.expiry.Stop()
			return
		}
	}
}

// expire closes a program that has been idle for long.
func (s *programs) expire(p *program) {
	s.mu.Lock()
	idle := p.refs == 0 && s.known[p.key] == p
	if idle {
		s.forget(p)
		delete(s.known, p.key)
	}
	s.mu.Unlock()
	if idle {
		p.close()
	}
}

// close closes what is idle, and has what is still in use closed with its last
// reference.
func (s *programs) close() {
	s.mu.Lock()
	s.closed = true
	idle := s.idle
	for _, p := range idle {
		p.expiry.Stop()
		delete(s.known, p.key)
	}
	s.idle = nil
	s.mu.Unlock()
	for _, p := range idle {
		p.close()
	}
}

// program returns the program of a plugin with a reference. It is built once,
// however many ask at the same time.
func (e *Engine) program(ctx context.Context, wasm []byte, o *Options) (*program, error) {
	digest := o.Digest
	if digest == "" {
		digest = digestOf(wasm)
	}
	key, shared := programKeyOf(digest, o)
	release, err := e.reserve(ctx, digest)
	if err != nil {
		return nil, err
	}
	defer release()
	if shared {
		if p := e.programs.take(key); p != nil {
			return p, nil
		}
	}
	if wasm == nil && o.Read != nil {
		if wasm, err = o.Read(); err != nil {
			return nil, err
		}
	}
	p := &program{key: key, refs: 1, images: make(map[imageKey]*image)}
	p.rt = wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().
		WithCompilationCache(e.cache).
		WithMemoryLimitPages(uint32(o.MemoryLimit/pageSize)))
	built := false
	defer func() {
		if !built {
			p.close()
		}
	}()
	if err := p.build(ctx, e, wasm, o.Modules); err != nil {
		return nil, err
	}
	built = true
	if shared {
		e.programs.add(p)
	}
	return p, nil
}

// build compiles the plugin and checks that it can run here.
func (p *program) build(ctx context.Context, e *Engine, wasm []byte, modules []Module) error {
	code, compiled, err := e.compile(ctx, p.rt, p.key.digest, wasm)
	if err != nil {
		return err
	}
	p.code = code
	if p.size = compiled.Size; p.size == 0 {
		p.size = int64(len(wasm))
	}
	if err := instantiateHost(ctx, p.rt, modules); err != nil {
		return err
	}
	if err := checkImports(p.rt, p.code); err != nil {
		return err
	}
	p.exports, err = inspect(p.code)
	return err
}

// close frees everything.
func (p *program) close() {
	for _, img := range p.images {
		img.close()
	}
	release(p.rt, p.code)
}

// image returns an image that a version has left for the others.
func (p *program) image(key imageKey) *image {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.images[key]
}

// keep leaves an image for other versions, unless one of them was faster: then it
// is that one which is to be used. The program closes it.
func (p *program) keep(key imageKey, img *image) *image {
	p.mu.Lock()
	defer p.mu.Unlock()
	if other := p.images[key]; other != nil {
		img.close()
		return other
	}
	p.images[key] = img
	img.common = true
	return img
}

// checkDigest refuses a digest that is not one.
func checkDigest(digest string) error {
	if b, err := hex.DecodeString(digest); err != nil || len(b) != 32 || hex.EncodeToString(b) != digest {
		return fmt.Errorf("digest %q: want the SHA-256 of the plugin as 64 small hexadecimal digits", digest)
	}
	return nil
}

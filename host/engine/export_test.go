package engine

import (
	"context"
	"errors"
	"testing"
)

// WithoutMappings has images copied, as on systems that cannot share memory.
func WithoutMappings(t *testing.T) {
	freeze = func([]byte) (content, error) { return nil, errors.New("no shared memory") }
	t.Cleanup(func() { freeze = newContent })
}

// A Single is an instance outside of the pool, for tests and benchmarks.
type Single struct {
	i *instance
	s *starter
}

// Start starts an instance.
func (v *Version) Start(ctx context.Context) (Single, error) {
	i, err := v.starter.start(ctx)
	return Single{i, &v.starter}, err
}

// Reset brings it back to the image, and tells whether that could be done.
func (s Single) Reset() bool { return s.s.reset(s.i) }

// Close closes it.
func (s Single) Close() { s.i.close() }

// Call is Version.Call.
func (s Single) Call(ctx context.Context, frame, dst []byte) ([]byte, error) {
	return s.i.frame(ctx, nil, frame, dst)
}

// Invoke is Version.Invoke.
func (s Single) Invoke(ctx context.Context, state any, export string) (int32, error) {
	return s.i.invoke(ctx, state, export)
}

// Memory returns its memory, in place.
func (s Single) Memory() []byte { return s.i.linear.mem.bytes() }

// Globals returns the values of its mutable globals.
func (s Single) Globals() (values []uint64) {
	for _, g := range s.i.globals {
		values = append(values, g.Get())
	}
	return values
}

// Warm tells whether instances start from an image that has been initialised.
func (v *Version) Warm() bool { return v.starter.image.warm }

// Region returns the addresses that its memory has, now and when it grows.
func (s Single) Region() (start, end uintptr) {
	return s.i.linear.mem.(interface{ region() (start, end uintptr) }).region()
}

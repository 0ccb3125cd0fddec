package engine

import (
	"errors"
	"fmt"
	"strings"
	"time"

	"github.com/tetratelabs/wazero/sys"
)

// Errors of an Engine and its Versions.
var (
	// ErrBusy is what every *BusyError is.
	ErrBusy = errors.New("all instances are busy")
	// ErrClosed is returned for calls of a Version that is closed.
	ErrClosed = errors.New("closed")
	// ErrNoExport is returned for an export that a plugin does not have, or that
	// cannot be called the way it was asked for.
	ErrNoExport = errors.New("no such export")
	// ErrFrame is returned for a frame larger than the contract or the plugin
	// allows.
	ErrFrame = errors.New("frame too large")
)

// A LoadError says why a plugin cannot be loaded.
type LoadError struct {
	Plugin string
	Err    error
}

func (e *LoadError) Error() string { return fmt.Sprintf("engine: load plugin %q: %v", e.Plugin, e.Err) }
func (e *LoadError) Unwrap() error { return e.Err }

// A BusyError is returned to callers that would have to wait too long for an
// instance.
type BusyError struct {
	Plugin string
	// RetryAfter is when those who wait now will have been served, or refused.
	RetryAfter time.Duration
	reason     string
}

func (e *BusyError) Error() string {
	return fmt.Sprintf("engine: plugin %q: %v: %s", e.Plugin, ErrBusy, e.reason)
}

// Is makes errors.Is(err, ErrBusy) true.
func (e *BusyError) Is(target error) bool { return target == ErrBusy }

// A TrapError says how a guest ended within a call: by a trap of WebAssembly,
// by exiting, by a panic of a host function that it called, or by an answer
// against the contract. The instance is gone; others serve on.
type TrapError struct {
	Plugin   string
	Export   string // what was called
	Cause    string // one line
	Said     string // the line on stderr that tells of a panic, if there was one
	Stack    string // the guest's stack, innermost first; none after an exit
	ExitCode uint32 // of a guest that exited
	err      error
}

func (e *TrapError) Error() string {
	s := fmt.Sprintf("engine: plugin %q: %s: %s", e.Plugin, e.Export, e.Cause)
	if e.Said != "" {
		s += ": " + e.Said
	}
	return s
}

// Unwrap returns the error that a host function panicked with, so that
// errors.Is finds a deadline that ended a sleep.
func (e *TrapError) Unwrap() error { return e.err }

// Parts of wazero's message, which is all that it gives of a stack.
const (
	wazeroStack     = "\nwasm stack trace:\n"
	wazeroGoStack   = "\n\nGo runtime stack trace:"
	wazeroPrefix    = "wasm error: "
	wazeroRecovered = " (recovered by wazero)"
)

func newTrapError(plugin, export string, err error, said string) *TrapError {
	e := &TrapError{Plugin: plugin, Export: export, Said: said, err: err}
	var exit *sys.ExitError
	if errors.As(err, &exit) {
		e.ExitCode = exit.ExitCode()
		e.Cause = fmt.Sprintf("guest exited with code %d", e.ExitCode)
		return e
	}
	cause, stack, _ := strings.Cut(err.Error(), wazeroStack)
	e.Cause = strings.TrimSuffix(strings.TrimPrefix(cause, wazeroPrefix), wazeroRecovered)
	if guest, host, ok := strings.Cut(stack, wazeroGoStack); ok {
		// A bug in a host function: whoever looks for it needs the host's stack.
		stack = guest + "\nhost stack:" + host
	}
	e.Stack = stack
	return e
}

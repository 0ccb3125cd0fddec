package rollout

import "errors"

// The errors of a Controller, to be told apart with errors.Is and errors.As.
var (
	// ErrNotFound: there is no deployment, version or canary of that name.
	ErrNotFound = errors.New("not found")
	// ErrStale: somebody else has changed it meanwhile.
	ErrStale = errors.New("changed meanwhile")
	// ErrRefused: the change cannot be made as things stand, or cannot be undone, and
	// nobody insists.
	ErrRefused = errors.New("refused")
)

// An InvalidError says what is wrong with a manifest, or with a plugin that it names.
// Its text may have several lines.
type InvalidError struct{ Err error }

func (e *InvalidError) Error() string { return e.Err.Error() }
func (e *InvalidError) Unwrap() error { return e.Err }

//go:build !linux

package engine

import "errors"

// newContent fails: this system has no copy-on-write files in memory that this
// package knows of.
func newContent([]byte) (content, error) {
	return nil, errors.ErrUnsupported
}

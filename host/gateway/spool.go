package gateway

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync/atomic"
)

// A spoolDir has room for what is being uploaded: in memory while it is little, and
// beyond that in files that have no name, so that nothing is left of them when the
// request ends, however it does.
type spoolDir struct {
	dir   string // "": the system's
	limit int64  // bytes of all uploads together
	used  atomic.Int64
}

// errSpoolFull is the failure of an upload beside too many others.
var errSpoolFull = errors.New("gateway: uploads take all the room that they may")

// spoolMemory is how much of an upload is kept in memory.
const spoolMemory = 256 << 10

// A spool holds the files of one request, one behind the other.
type spool struct {
	in     *spoolDir
	memory []byte
	file   *os.File
	size   int64
}

// Write appends to the spool.
func (s *spool) Write(p []byte) (int, error) {
	if s.in.used.Add(int64(len(p))) > s.in.limit {
		s.in.used.Add(-int64(len(p)))
		return 0, errSpoolFull
	}
	s.size += int64(len(p))
	if s.file == nil && len(s.memory)+len(p) <= spoolMemory {
		s.memory = append(s.memory, p...)
		return len(p), nil
	}
	if s.file == nil {
		if err := s.open(); err != nil {
			return 0, err
		}
	}
	return s.file.Write(p)
}

// open moves what is in memory to a file.
func (s *spool) open() (err error) {
	if s.file, err = os.CreateTemp(s.in.dir, "upload-*"); err != nil {
		return fmt.Errorf("gateway: make room for an upload: %w", err)
	}
	if err = os.Remove(s.file.Name()); err != nil {
		return fmt.Errorf("gateway: make room for an upload: %w", err)
	}
	_, err = s.file.Write(s.memory)
	s.memory = nil
	return err
}

// ReadAt reads what was written.
func (s *spool) ReadAt(p []byte, at int64) (int, error) {
	if s.file != nil {
		return s.file.ReadAt(p, at)
	}
	if at >= int64(len(s.memory)) {
		return 0, io.EOF
	}
	n := copy(p, s.memory[at:])
	if n < len(p) {
		return n, io.EOF
	}
	return n, nil
}

// close gives the room back.
func (s *spool) close() {
	if s.in != nil {
		s.in.used.Add(-s.size)
	}
	if s.file != nil {
		_ = s.file.Close() // it was deleted when it was made
	}
	*s = spool{in: s.in}
}

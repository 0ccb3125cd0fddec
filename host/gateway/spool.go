package gateway

import (
	"errors"
	"fmt"
	"io"
	"os"
	"sync"
)

// A spoolDir has room for what is being uploaded: in memory while it is little, and
// beyond that in files that have no name, so that nothing is left of them when the
// request ends, however it does.
type spoolDir struct {
	dir   string // "": the system's
	limit int64  // bytes of all uploads together

	mu   sync.Mutex
	used int64
	from map[string]int64 // by the client's address
}

// errSpoolFull is the failure of an upload beside too many others.
var errSpoolFull = errors.New("gateway: uploads take all the room that they may")

const (
	// spoolMemory is how much of an upload is kept in memory.
	spoolMemory = 256 << 10
	// spoolShare is the part of the room that one client may take: one over this.
	spoolShare = 4
)

// reserve takes room for a client.
func (d *spoolDir) reserve(client string, n int64) error {
	d.mu.Lock()
	defer d.mu.Unlock()
	if d.used+n > d.limit || d.from[client]+n > d.limit/spoolShare {
		return errSpoolFull
	}
	if d.from == nil {
		d.from = map[string]int64{}
	}
	d.used += n
	d.from[client] += n
	return nil
}

// release gives it back.
func (d *spoolDir) release(client string, n int64) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.used -= n
	if d.from[client] -= n; d.from[client] == 0 {
		delete(d.from, client)
	}
}

// taken is how much room is taken.
func (d *spoolDir) taken() int64 {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.used
}

// A spool holds the files of one request, one behind the other.
type spool struct {
	in     *spoolDir
	of     string // the client's address
	memory []byte
	file   *os.File
	size   int64
}

// Write appends to the spool.
func (s *spool) Write(p []byte) (int, error) {
	if err := s.in.reserve(s.of, int64(len(p))); err != nil {
		return 0, err
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
	if s.size > 0 {
		s.in.release(s.of, s.size)
	}
	if s.file != nil {
		_ = s.file.Close() // it was deleted when it was made
	}
	*s = spool{}
}

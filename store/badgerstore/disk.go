package badgerstore

import (
	"fmt"

	"github.com/edgeset/edgeset/store"
)

// A disk refuses writes while there is still room. Badger writes its logs through
// a memory map of a sparse file: when the disk is full, the kernel answers the
// store to memory with SIGBUS, and there is no error to return any more, only a
// process that dies.
//
// Only the committer's leader uses it.
type disk struct {
	dir  string
	min  int64
	free func(dir string) (int64, error) // nil if this system cannot tell

	written int64 // since free was last asked
	asked   int64 // when that was, in microseconds
	left    int64 // what it said
}

// How long an answer is good for: the reserve is far larger than either.
const (
	askEveryBytes  = 1 << 20
	askEveryMicros = 1_000_000
)

func (d *disk) admit(bytes int, now int64) error {
	if d.free == nil || d.min < 0 {
		return nil
	}
	d.written += int64(bytes)
	if d.asked == 0 || d.left < d.min || d.written >= askEveryBytes || now-d.asked >= askEveryMicros || now < d.asked {
		left, err := d.free(d.dir)
		if err != nil {
			return fmt.Errorf("find out how much of the disk is free: %w", err)
		}
		d.left, d.asked, d.written = left, now, 0
	}
	if d.left < d.min {
		return fmt.Errorf("%w: %d MiB are free in %q, %d MiB must be", store.ErrFull, d.left>>20, d.dir, d.min>>20)
	}
	return nil
}

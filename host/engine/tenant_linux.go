package engine

import (
	"time"

	"golang.org/x/sys/unix"
)

// processTime returns how long the process has computed, on all cores.
func processTime() time.Duration {
	var u unix.Rusage
	if unix.Getrusage(unix.RUSAGE_SELF, &u) != nil {
		return 0
	}
	return time.Duration(u.Utime.Nano() + u.Stime.Nano())
}

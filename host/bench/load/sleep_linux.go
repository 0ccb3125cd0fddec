package load

import (
	"syscall"
	"time"
)

// sleepFine may return early, when a signal arrives.
func sleepFine(d time.Duration) {
	t := syscall.NsecToTimespec(int64(d))
	_ = syscall.Nanosleep(&t, nil)
}

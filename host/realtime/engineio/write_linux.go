package engineio

import (
	"syscall"
	"unsafe"
)

// writeOnce is write(2) on a socket that does not block. The scheduler is not told
// of it: it would hand the processor over to whoever the write has made runnable,
// and getting it back costs up to a third of the write itself, which takes a few
// microseconds.
func writeOnce(fd uintptr, b []byte) (int, error) {
	n, _, errno := syscall.RawSyscall(syscall.SYS_WRITE, fd, uintptr(unsafe.Pointer(unsafe.SliceData(b))), uintptr(len(b)))
	if errno != 0 {
		return 0, errno
	}
	return int(n), nil
}

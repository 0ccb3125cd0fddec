//go:build darwin || freebsd || netbsd || openbsd || dragonfly

package engineio

import "syscall"

// writeOnce is write(2) on a socket that does not block.
func writeOnce(fd uintptr, b []byte) (int, error) { return syscall.Write(int(fd), b) }

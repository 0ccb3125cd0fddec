//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package gateway

import (
	"errors"
	"syscall"
)

// hungUp tells whether the other side of a socket will send nothing more, or has
// broken it off. Bytes that wait to be read say that it is there: what comes
// behind them cannot be seen yet. It fails for a socket that we have closed.
func hungUp(raw syscall.RawConn) (gone bool, err error) {
	// Control rather than Read: that would wait for whoever reads already.
	err = raw.Control(func(fd uintptr) {
		var b [1]byte
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		switch {
		case err == nil:
			gone = n == 0
		case errors.Is(err, syscall.EAGAIN), errors.Is(err, syscall.EINTR):
		default:
			gone = true
		}
	})
	return gone, err
}

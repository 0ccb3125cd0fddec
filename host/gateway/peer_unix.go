//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package gateway

import (
	"errors"
	"syscall"
)

// hungUp tells whether the other side of a socket will send nothing more, or has
// broken it off. Bytes that wait to be read say that it is there: what comes
// behind them cannot be seen yet.
func hungUp(raw syscall.RawConn) (gone bool) {
	// Control rather than Read: that would wait for whoever reads already.
	_ = raw.Control(func(fd uintptr) { // fails for a socket that we have closed
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
	return gone
}

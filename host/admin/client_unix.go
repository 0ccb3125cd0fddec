//go:build unix

package admin

import (
	"errors"
	"net"
	"syscall"
)

// gone tells whether the client has closed its side of a connection or broken it off.
// It may be called at any time, also while somebody reads or writes.
func gone(client net.Conn) (is bool) {
	if below, ok := client.(interface{ NetConn() net.Conn }); ok { // it is kept track of
		client = below.NetConn()
	}
	socket, ok := client.(syscall.Conn)
	if !ok {
		return false
	}
	raw, err := socket.SyscallConn()
	if err != nil {
		return true
	}
	// Control rather than Read: that would wait for whoever reads already.
	err = raw.Control(func(fd uintptr) {
		var b [1]byte
		n, _, err := syscall.Recvfrom(int(fd), b[:], syscall.MSG_PEEK|syscall.MSG_DONTWAIT)
		is = err == nil && n == 0 || err != nil && !errors.Is(err, syscall.EAGAIN) && !errors.Is(err, syscall.EINTR)
	})
	return is || err != nil // fails for a connection that this side has closed
}

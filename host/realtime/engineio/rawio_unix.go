//go:build linux || darwin || freebsd || netbsd || openbsd || dragonfly

package engineio

import (
	"crypto/tls"
	"errors"
	"io"
	"net"
	"syscall"
)

// rawConn returns the socket under a connection, nil if there is none that bytes
// may be written to as they are.
func rawConn(conn net.Conn) syscall.RawConn {
	for {
		if _, ok := conn.(*tls.Conn); ok {
			return nil
		}
		if socket, ok := conn.(syscall.Conn); ok {
			raw, err := socket.SyscallConn()
			if err != nil {
				return nil
			}
			return raw
		}
		wrapper, ok := conn.(interface{ NetConn() net.Conn })
		if !ok {
			return nil
		}
		conn = wrapper.NetConn()
	}
}

// readNow reads what is there; again tells that nothing is yet.
func readNow(fd uintptr, b []byte) (n int, again bool, err error) {
	for {
		n, err = syscall.Read(int(fd), b)
		switch {
		case err == nil && n == 0:
			return 0, false, io.EOF
		case err == nil:
			return n, false, nil
		case errors.Is(err, syscall.EINTR):
		default:
			return 0, errors.Is(err, syscall.EAGAIN), err
		}
	}
}

// writeNow writes what the socket takes at once; that may be nothing.
func writeNow(fd uintptr, b []byte) (n int, err error) {
	for {
		n, err = writeOnce(fd, b)
		switch {
		case err == nil:
			return n, nil
		case errors.Is(err, syscall.EINTR):
		case errors.Is(err, syscall.EAGAIN):
			return 0, nil
		default:
			return 0, err
		}
	}
}

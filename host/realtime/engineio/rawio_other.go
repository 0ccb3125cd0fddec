//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package engineio

import (
	"errors"
	"net"
	"syscall"
)

// rawConn finds no socket here: a goroutine writes what is sent.
func rawConn(net.Conn) syscall.RawConn { return nil }

func readNow(uintptr, []byte) (n int, again bool, err error) { return 0, false, errors.ErrUnsupported }

func writeNow(uintptr, []byte) (n int, err error) { return 0, errors.ErrUnsupported }

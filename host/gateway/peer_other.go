//go:build !(linux || darwin || freebsd || netbsd || openbsd || dragonfly)

package gateway

import "syscall"

// hungUp cannot tell on this system: requests go on to their deadline.
func hungUp(syscall.RawConn) (bool, error) { return false, nil }

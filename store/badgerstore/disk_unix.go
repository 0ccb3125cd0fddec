//go:build linux || darwin

package badgerstore

import "syscall"

// diskFree returns how many bytes an unprivileged process may still write.
var diskFree = func(dir string) (int64, error) {
	var st syscall.Statfs_t
	if err := syscall.Statfs(dir, &st); err != nil {
		return 0, err
	}
	return int64(st.Bavail) * int64(st.Bsize), nil
}

//go:build !linux && !darwin

package badgerstore

// diskFree is nil: what is free is not asked on this system.
var diskFree func(dir string) (int64, error)

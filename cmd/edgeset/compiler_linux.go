package main

import (
	"os"
	"syscall"
)

// self is the binary of this process, also if there is another one in its place by
// now, whose cache would not be ours.
func self() (string, error) { return "/proc/self/exe", nil }

// confine has this process end, and no other, when it takes too much memory. There
// may be systems without the one or the other.
func confine() {
	limit := syscall.Rlimit{Cur: compileMemory, Max: compileMemory}
	_ = syscall.Setrlimit(syscall.RLIMIT_DATA, &limit)
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0)
}

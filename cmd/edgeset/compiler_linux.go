package main

import (
	"os"
	"os/exec"
	"syscall"
)

// self is the binary of this process, also if there is another one in its place by
// now, whose cache would not be ours.
func self() (string, error) { return "/proc/self/exe", nil }

// behind is how much lower the priority of a compiler is: about a tenth of the time
// is left to it when all cores are wanted.
const behind = 10

// runBehind runs a command that gives way to other processes.
func runBehind(cmd *exec.Cmd) error {
	// Priorities belong to threads. Those of a group are all set at once.
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	if err := cmd.Start(); err != nil {
		return err
	}
	_ = syscall.Setpriority(syscall.PRIO_PGRP, cmd.Process.Pid, behind) // without it, it is only a nuisance
	return cmd.Wait()
}

// confine has this process killed, and no other, when it takes too much memory.
func confine() {
	limit := syscall.Rlimit{Cur: compileMemory, Max: compileMemory}
	// Each of them is a second line of defence: there may be systems without.
	_ = syscall.Setrlimit(syscall.RLIMIT_DATA, &limit)
	_ = os.WriteFile("/proc/self/oom_score_adj", []byte("1000"), 0)
}

package bench

import (
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"runtime"
	"strings"
)

// PrintEnvironment prints what figures depend on, a line each: the machine, the
// kernel, Go, the revision, and the versions of modules of this one. It is for
// commands that run inside of the repository.
func PrintEnvironment(ctx context.Context, out io.Writer, modules ...string) error {
	kernel, err := Output(ctx, "uname", "-srm")
	if err != nil {
		return err
	}
	line := func(name, value string) { fmt.Fprintf(out, "%-11s%s\n", name, value) }
	line("CPU", fmt.Sprintf("%s, %d cores, GOMAXPROCS %d", cpuModel(), runtime.NumCPU(), runtime.GOMAXPROCS(0)))
	line("kernel", kernel)
	line("Go", runtime.Version())
	// There is none in a source archive.
	if revision, err := Output(ctx, "git", "describe", "--always", "--dirty", "--abbrev=12", "--exclude=*"); err == nil {
		line("revision", revision)
	}
	for _, module := range modules {
		version, err := Output(ctx, "go", "list", "-m", module)
		if err != nil {
			return err
		}
		line("module", version)
	}
	return nil
}

// Output returns what a command prints, without the blanks around it. The error
// has what it said instead.
func Output(ctx context.Context, name string, args ...string) (string, error) {
	cmd := exec.CommandContext(ctx, name, args...)
	text, err := cmd.Output()
	if err != nil {
		var exit *exec.ExitError
		if errors.As(err, &exit) {
			err = fmt.Errorf("%w: %s", err, strings.TrimSpace(string(exit.Stderr)))
		}
		return "", fmt.Errorf("bench: %s: %w", cmd, err)
	}
	return strings.TrimSpace(string(text)), nil
}

func cpuModel() string {
	text, _ := os.ReadFile("/proc/cpuinfo") // not everywhere
	for line := range strings.Lines(string(text)) {
		if name, value, found := strings.Cut(line, ":"); found && strings.TrimSpace(name) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}

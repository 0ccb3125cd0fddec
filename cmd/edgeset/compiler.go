package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"runtime"
	"strings"
	"time"

	"github.com/edgeset/edgeset/host/engine"
)

// A plugin is compiled by a process of its own, "edgeset plugin compile -". What a
// hostile module may do to a compiler, that process suffers: it is ended when it
// takes too long or too much memory, and its garbage is gone when it is.

// stdinSource is the source of the plugin in that process.
const stdinSource = "-"

// What it may take.
const (
	compileTime   = 5 * time.Minute
	compileMemory = 2 << 30 // bytes
)

var errCompileTime = fmt.Errorf("compiling it takes more than %v", compileTime)

// compileApart compiles a plugin into a cache, in a process of its own. It is an
// engine's Compiler.
func compileApart(ctx context.Context, cacheDir string, wasm []byte) error {
	exe, err := self()
	if err != nil {
		return err
	}
	ctx, cancel := context.WithTimeoutCause(ctx, compileTime, errCompileTime)
	defer cancel()
	var stderr bytes.Buffer
	cmd := exec.CommandContext(ctx, exe, "plugin", "compile", "--cache", cacheDir, stdinSource)
	cmd.Args[0] = os.Args[0]
	cmd.Stdin, cmd.Stderr = bytes.NewReader(wasm), &stderr
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "EDGESET_") { // settings, and secrets, of the server
			cmd.Env = append(cmd.Env, v)
		}
	}
	if err := cmd.Run(); err != nil {
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		line, _, _ := strings.Cut(stderr.String(), "\n")
		if said, ok := strings.CutPrefix(line, errorPrefix); ok {
			return errors.New(said)
		}
		return fmt.Errorf("its compiler ended with %w: %s", err, line)
	}
	return nil
}

// compileStdin is what that process does.
func compileStdin(cache string) error {
	confine()
	// If the other process is no more, nobody else ends this one.
	time.AfterFunc(compileTime, func() {
		fmt.Fprintln(os.Stderr, errorPrefix+errCompileTime.Error())
		os.Exit(1)
	})
	wasm, err := io.ReadAll(os.Stdin)
	if err != nil {
		return err
	}
	e, err := engine.New(engine.Config{CacheDir: cache, Workers: runtime.GOMAXPROCS(0), Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	_, err = e.Compile(context.Background(), stdinSource, wasm)
	if load := (*engine.LoadError)(nil); errors.As(err, &load) {
		err = load.Err // the other process knows the plugin's name
	}
	return err
}

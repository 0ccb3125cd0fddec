package main

import (
	"context"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"time"
)

// Bounds of what a busy machine may need.
const (
	startTime = 2 * time.Minute
	stopTime  = 30 * time.Second
)

// A process is a server that was started here.
type process struct {
	cmd    *exec.Cmd
	log    string // file with what it printed
	exited chan struct{}
}

// start starts a server in a folder of its own and waits until it answers
// GET /empty.
func start(ctx context.Context, cmd *exec.Cmd, dir, addr string) (*process, error) {
	p := &process{cmd: cmd, log: filepath.Join(dir, "log"), exited: make(chan struct{})}
	out, err := os.Create(p.log)
	if err != nil {
		return nil, err
	}
	defer out.Close()
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, out, out
	if err := cmd.Start(); err != nil {
		return nil, fmt.Errorf("start %s: %w", cmd, err)
	}
	go func() {
		_ = cmd.Wait() // how it ended is in ProcessState
		close(p.exited)
	}()
	if err := p.ready(ctx, addr); err != nil {
		return nil, fmt.Errorf("%s: %w\n%s", cmd, err, p.stop())
	}
	return p, nil
}

func (p *process) ready(ctx context.Context, addr string) error {
	client := &http.Client{Timeout: time.Second}
	defer client.CloseIdleConnections()
	for deadline := time.Now().Add(startTime); time.Now().Before(deadline); {
		if resp, err := client.Get("http://" + addr + "/empty"); err == nil {
			_ = resp.Body.Close()
			if resp.StatusCode == http.StatusOK {
				return nil
			}
		}
		select {
		case <-p.exited:
			return fmt.Errorf("ended while it started: %v", p.cmd.ProcessState)
		case <-ctx.Done():
			return ctx.Err()
		case <-time.After(20 * time.Millisecond):
		}
	}
	return fmt.Errorf("not ready within %v", startTime)
}

// stop ends the process and returns the end of what it printed.
func (p *process) stop() string {
	_ = p.cmd.Process.Signal(syscall.SIGTERM) // an error: it has ended by itself
	select {
	case <-p.exited:
	case <-time.After(stopTime):
		_ = p.cmd.Process.Kill()
		<-p.exited
	}
	text, err := os.ReadFile(p.log)
	if err != nil {
		return err.Error()
	}
	lines := strings.Split(strings.TrimSpace(string(text)), "\n")
	return strings.Join(lines[max(0, len(lines)-10):], "\n")
}

// freeAddr returns a loopback address that nobody listens on.
func freeAddr() (string, error) {
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	defer l.Close()
	return l.Addr().String(), nil
}

package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A contender is a server that shares trails. dir is a fresh folder for its
// state, addr where it is to listen.
type contender struct {
	name string
	// durability is what an acknowledged upload survives by default, "process" or
	// "power", in the words of edgeset; edgeset is set to the same against it.
	durability string
	start      func(ctx context.Context, w *workshop, dir, addr, durability string) (*side, error)
}

var ours = contender{name: "edgeset", start: startOurs}

var peers = []contender{
	{"native", "process", startNative},
	{"http-wasm", "process", startGo("httpwasm")},
	{"extism-go-sdk", "process", startGo("extism")},
	{"workerd", "power", startWorkerd},
	{"node", "process", startNode},
}

// token is the access token at the peers that have one account.
const token = "5f3c9d1e8b7a4c60"

func startOurs(ctx context.Context, w *workshop, dir, addr, durability string) (*side, error) {
	admin, err := freeAddr()
	if err != nil {
		return nil, err
	}
	edgeset, data := filepath.Join(w.root, "bin", "edgeset"), filepath.Join(dir, "data")
	// Peers write no access log either.
	p, err := start(ctx, exec.Command(edgeset, "serve", "--listen", addr, "--admin", admin, "--data", data,
		"--cache", w.path("cache"), "--config", w.path("edgeset.toml"), "--durability", durability,
		"--access-log=false", "--log-level", "warn"), dir, addr)
	if err != nil {
		return nil, err
	}
	s := newSide("edgeset", addr, p)
	app, err := exec.CommandContext(ctx, edgeset, "app", "create", "--name", "bench", "--admin", admin, "--data", data).Output()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("edgeset app create: %w", err), s.close())
	}
	return s.account(app)
}

func startNative(ctx context.Context, w *workshop, dir, addr, durability string) (*side, error) {
	p, err := start(ctx, exec.Command(w.path("native"), "-listen", addr, "-data", filepath.Join(dir, "data"),
		"-cache", w.path("cache"), "-signing", filepath.Join(w.root, "build", "signing.wasm"), "-durability", durability), dir, addr)
	if err != nil {
		return nil, err
	}
	s := newSide("native", addr, p)
	app, err := os.ReadFile(p.log)
	if err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s.account(app)
}

// account makes an account with an application, and logs it in.
func (s *side) account(app []byte) (*side, error) {
	var made struct{ ID string }
	err := json.Unmarshal(app, &made)
	if err == nil {
		_, err = s.call("POST", "/v2/account/create?username=ann&password=correct+horse&api_key="+made.ID, "")
	}
	var login reply
	if err == nil {
		login, err = s.call("POST", "/v2/account/login?id=ann&password=correct+horse&device=bench&api_key="+made.ID, "")
	}
	if err != nil {
		return nil, errors.Join(fmt.Errorf("%s: account: %w", s.name, err), s.close())
	}
	s.token = login.AccessToken
	return s, nil
}

// withToken starts a peer that has one account.
func withToken(ctx context.Context, cmd *exec.Cmd, name, dir, addr string) (*side, error) {
	p, err := start(ctx, cmd, dir, addr)
	if err != nil {
		return nil, err
	}
	s := newSide(name, addr, p)
	s.token = token
	return s, nil
}

func startGo(name string) func(context.Context, *workshop, string, string, string) (*side, error) {
	return func(ctx context.Context, w *workshop, dir, addr, _ string) (*side, error) {
		return withToken(ctx, exec.Command(w.path(name), "-listen", addr, "-data", filepath.Join(dir, "data"),
			"-guest", w.path(name+".wasm"), "-token", token), name, dir, addr)
	}
}

// The binaries of npm packages that depend on the machine.
var (
	workerdFile = []string{"workerd", "node_modules", "@cloudflare", "workerd-*", "bin", "workerd"}
	nodeFile    = []string{"node", "node_modules", "node-*", "bin", "node"}
)

// installed finds the one file of a pattern.
func (w *workshop) installed(pattern ...string) (string, error) {
	found, err := filepath.Glob(w.peer(pattern...))
	if err != nil {
		return "", err
	}
	if len(found) != 1 {
		return "", fmt.Errorf("%s: %d such files, want 1: is it made for this machine?", w.peer(pattern...), len(found))
	}
	return found[0], nil
}

func startWorkerd(ctx context.Context, w *workshop, dir, addr, _ string) (*side, error) {
	binary, err := w.installed(workerdFile...)
	if err != nil {
		return nil, err
	}
	state := filepath.Join(dir, "state")
	if err := os.Mkdir(state, 0o700); err != nil {
		return nil, err
	}
	cmd := exec.Command(binary, "serve", w.peer("workerd", "config.capnp"), "--socket-addr", "http="+addr, "--directory-path", "disk="+state)
	cmd.Env = append(os.Environ(), "PEER_TOKEN="+token)
	return withToken(ctx, cmd, "workerd", dir, addr)
}

func startNode(ctx context.Context, w *workshop, dir, addr, _ string) (*side, error) {
	binary, err := w.installed(nodeFile...)
	if err != nil {
		return nil, err
	}
	_, port, _ := strings.Cut(addr, ":")
	return withToken(ctx, exec.Command(binary, w.peer("node", "server.js"), port, filepath.Join(dir, "state.db"), token), "node", dir, addr)
}

package main

import (
	"context"
	"encoding/json"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// A workshop is where the peers are built, and run.
type workshop struct {
	root string // of the repository
	dir  string // build/peers in it
}

func newWorkshop() (*workshop, error) {
	root, err := filepath.Abs(".")
	if err != nil {
		return nil, err
	}
	if _, err := os.Stat(filepath.Join(root, "host", "bench", "peers")); err != nil {
		return nil, fmt.Errorf("run this at the root of the repository: %w", err)
	}
	w := &workshop{root: root, dir: filepath.Join(root, "build", "peers")}
	return w, os.MkdirAll(w.path("cache"), 0o700)
}

// path is that of a file of the workshop.
func (w *workshop) path(name string) string { return filepath.Join(w.dir, name) }

// peer is the path of a file of a peer's source.
func (w *workshop) peer(name ...string) string {
	return filepath.Join(append([]string{w.root, "host", "bench", "peers"}, name...)...)
}

// manifest has edgeset serve what it ships with, and the plugin that does
// nothing.
const manifest = `[[deployment]]
name = "default"
hosts = ["*"]

[[deployment.plugin]]
name = "signing"
source = "embedded:signing"
grants = ["kv", "passwords"]

[[deployment.plugin]]
name = "sharing"
source = "embedded:sharing"
grants = ["kv"]

[[deployment.plugin]]
name = "empty"
source = %q
grants = ["kv"]
`

// build builds what is written in Go.
func (w *workshop) build(ctx context.Context) error {
	if err := os.WriteFile(w.path("edgeset.toml"), fmt.Appendf(nil, manifest, w.path("empty.wasm")), 0o644); err != nil {
		return err
	}
	for _, g := range []string{"empty", "httpwasm", "extism"} {
		if err := w.goBuild(ctx, []string{"GOOS=wasip1", "GOARCH=wasm"}, g+".wasm",
			"-buildmode=c-shared", "./host/bench/peers/"+g+"/guest"); err != nil {
			return err
		}
	}
	for _, g := range []string{"httpwasm", "extism"} {
		if err := w.goBuild(ctx, nil, g, "./host/bench/peers/"+g); err != nil {
			return err
		}
	}
	overlay, err := w.nativeMain()
	if err != nil {
		return err
	}
	return w.goBuild(ctx, nil, "native", "-overlay", overlay, "./plugins/sharing")
}

func (w *workshop) goBuild(ctx context.Context, env []string, out string, args ...string) error {
	cmd := exec.CommandContext(ctx, "go", append([]string{"build", "-trimpath", "-o", w.path(out)}, args...)...)
	cmd.Dir, cmd.Env = w.root, append(os.Environ(), env...)
	if text, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%s: %w\n%s", cmd, err, text)
	}
	return nil
}

// The main function of a plugin, and the one it gets instead to be a server.
const (
	pluginMain = "func main() {}"
	serverMain = `package main

import (
	"github.com/edgeset/edgeset/abi/guest"
	"github.com/edgeset/edgeset/host/bench/peers/native"
)

func main() { native.Main(guest.Served()) }
`
)

// nativeMain writes the overlay with which the sharing plugin is built as a
// server: a plugin is a main package, so nothing else can take its handlers in.
func (w *workshop) nativeMain() (overlay string, err error) {
	folder := filepath.Join(w.root, "plugins", "sharing")
	text, err := os.ReadFile(filepath.Join(folder, "main.go"))
	if err != nil {
		return "", err
	}
	if strings.Count(string(text), pluginMain) != 1 {
		return "", fmt.Errorf("%s/main.go: want %q in it once", folder, pluginMain)
	}
	replace := map[string]string{}
	for file, text := range map[string]string{
		"main.go":        strings.Replace(string(text), pluginMain, "", 1),
		"native_main.go": serverMain,
	} {
		// Not a name that ends in .go: "./..." would find it.
		to := w.path(file + ".overlay")
		replace[filepath.Join(folder, file)] = to
		if err := os.WriteFile(to, []byte(text), 0o644); err != nil {
			return "", err
		}
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return "", err
	}
	overlay = w.path("overlay.json")
	return overlay, os.WriteFile(overlay, list, 0o644)
}

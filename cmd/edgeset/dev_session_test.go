package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/deploy"
)

// A fakeHost takes a plugin's text for its description: its name, then what its
// routes take as credentials, then what it checks.
type fakeHost struct {
	mu       sync.Mutex
	versions int
	manifest string
	wasm     map[string][]byte
	refuses  error
}

func (h *fakeHost) guide() guide {
	return guide{gateway: "127.0.0.1:1", admin: "127.0.0.1:2", data: "/data"}
}

func (h *fakeHost) inspect(_ context.Context, spec *deploy.PluginSpec, wasm []byte) (*abi.Description, error) {
	if wasm == nil {
		return &abi.Description{Name: spec.Name, Credentials: []abi.CredentialSource{{Kind: "session", Header: "X-Session"}}}, nil
	}
	words := append(strings.Fields(string(wasm)), "", "")
	if words[0] == "bad" {
		return nil, errors.New("it is no plugin")
	}
	d := &abi.Description{Name: words[0], Version: "1.0.0", Grants: []string{"kv"}}
	r := abi.Route{Method: "GET", Pattern: "/" + words[0]}
	if words[1] != "" && words[1] != "-" {
		r.Auth = []string{words[1]}
	}
	if words[2] != "" {
		d.Credentials = []abi.CredentialSource{{Kind: words[2], Query: "key"}}
	}
	d.Routes = append(d.Routes, r)
	return d, nil
}

func (h *fakeHost) swap(_ context.Context, file, manifest string, wasm map[string][]byte) ([]swapped, error) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.refuses != nil {
		return nil, h.refuses
	}
	m, err := deploy.ParseManifest(file, manifest)
	if err != nil {
		return nil, err
	}
	h.versions++
	h.manifest, h.wasm = manifest, maps.Clone(wasm)
	var list []swapped
	for _, d := range m.Deployments {
		list = append(list, swapped{deployment: d.Name, version: h.versions, changed: true, took: 3 * time.Millisecond})
	}
	return list, nil
}

// A trial is a session on a fakeHost whose plugins are files.
type trial struct {
	*testing.T
	*session
	host *fakeHost
	dir  string
	out  *bytes.Buffer
}

// newTrial runs a session on files, or on the manifest among them.
func newTrial(t *testing.T, config string, files map[string]string) *trial {
	t.Helper()
	tr := &trial{T: t, host: &fakeHost{}, dir: realDir(t), out: new(bytes.Buffer)}
	writeFiles(t, tr.dir, files)
	view := viewOn(tr.out, false)
	view.now = func() time.Time { return noon }
	tr.session = &session{view: view, host: tr.host, signing: true, temp: t.TempDir()}
	if config != "" {
		tr.config = filepath.Join(tr.dir, config)
	} else {
		for _, name := range slices.Sorted(maps.Keys(files)) {
			p, err := newDevPlugin(name, filepath.Join(tr.dir, name))
			if err != nil {
				t.Fatal(err)
			}
			tr.plugins = append(tr.plugins, p)
		}
	}
	ctx, end := context.WithCancel(t.Context())
	var err error
	if tr.watcher, err = newWatcher(ctx, 10*time.Millisecond); err != nil {
		t.Fatal(err)
	}
	ended := make(chan struct{})
	go func() {
		tr.run(ctx)
		close(ended)
	}()
	t.Cleanup(func() {
		end()
		<-ended
	})
	return tr
}

// put puts a file in the place of the one there is, as a build does.
func (tr *trial) put(name, text string) {
	tr.Helper()
	writeFiles(tr.T, tr.dir, map[string]string{name + ".next": text})
	if err := os.Rename(filepath.Join(tr.dir, name+".next"), filepath.Join(tr.dir, name)); err != nil {
		tr.Fatal(err)
	}
}

// shows waits until something stands in the view.
func (tr *trial) shows(want string) {
	tr.Helper()
	for end := time.Now().Add(watchTime); !strings.Contains(tr.seen(), want); time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			tr.Fatalf("after %v the view has\n%s\nwant\n%s", watchTime, tr.seen(), want)
		}
	}
}

// seen is what stands in the view.
func (tr *trial) seen() string {
	tr.view.out.mu.Lock()
	defer tr.view.out.mu.Unlock()
	return tr.out.String()
}

// serves tells what the host has.
func (tr *trial) serves() (manifest, plugins string) {
	tr.host.mu.Lock()
	defer tr.host.mu.Unlock()
	var list []string
	for _, source := range slices.Sorted(maps.Keys(tr.host.wasm)) {
		list = append(list, source+"="+string(tr.host.wasm[source]))
	}
	return tr.host.manifest, strings.Join(list, ", ")
}

func TestPluginsAreSwappedAsTheyChange(t *testing.T) {
	t.Parallel()
	tr := newTrial(t, "", map[string]string{"a.wasm": "alpha", "b.wasm": "bad"})
	tr.shows("b cannot be used\n          it is no plugin\n")
	// What can be served is.
	tr.shows("swapped in 3.0 ms: version 1\n12:00:00  alpha 1.0.0 serves\n          GET    /alpha  curl http://127.0.0.1:1/alpha\n")
	tr.put("b.wasm", "beta")
	tr.shows("version 2\n12:00:00  beta 1.0.0 serves")
	tr.put("a.wasm", "bad")
	tr.shows("alpha cannot be used; version 2 serves on")
	if _, got := tr.serves(); got != "a.wasm=alpha, b.wasm=beta" {
		t.Errorf("it serves %s", got)
	}
	tr.put("a.wasm", "alpha -")
	tr.shows("version 3")
	tr.put("a.wasm", "alpha -")
	tr.shows("nothing new")
	if manifest, got := tr.serves(); got != "a.wasm=alpha -, b.wasm=beta" || strings.Contains(manifest, "signing") {
		t.Errorf("it serves %s by\n%s", got, manifest)
	}
}

func TestWhatWasRefusedIsTriedWithTheNextChange(t *testing.T) {
	t.Parallel()
	tr := newTrial(t, "", map[string]string{"a.wasm": "alpha"})
	tr.shows("version 1")
	tr.host.mu.Lock()
	tr.host.refuses = errors.New("two plugins serve\nGET /alpha")
	tr.host.mu.Unlock()
	tr.put("a.wasm", "alpha -")
	tr.shows("not swapped; version 1 serves on\n          two plugins serve\n          GET /alpha\n")
	tr.host.mu.Lock()
	tr.host.refuses = nil
	tr.host.mu.Unlock()
	tr.put("a.wasm", "alpha - ")
	tr.shows("version 2")
}

func TestCredentialsAreCheckedWhereTheyAreAskedFor(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, wasm string
		off        bool
		signing    bool
		curl       string
	}{
		{"open to anybody", "alpha", false, false, "curl http://127.0.0.1:1/alpha"},
		{"a credential", "alpha session", false, true, `curl -H "X-Session: $SESSION" http://127.0.0.1:1/alpha`},
		{"a credential, without signing", "alpha session", true, false, "curl http://127.0.0.1:1/alpha"},
		{"one that it checks itself", "alpha key key", false, false, `curl http://127.0.0.1:1/alpha"?key=$KEY"`},
		{"an operator's", "alpha operator", false, false, `curl -H "Authorization: Bearer $(cat /data/admin.token)" http://127.0.0.1:2/v1/deployments/dev/plugins/alpha/alpha`},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			tr := newTrial(t, "", map[string]string{"a.wasm": "bad"})
			tr.shows("cannot be used")
			tr.signing = !c.off
			tr.put("a.wasm", c.wasm)
			tr.shows("GET    /alpha  " + c.curl + "\n")
			manifest, _ := tr.serves()
			if got := strings.Contains(manifest, `source = "embedded:signing"`) || strings.Contains(manifest, `source = 'embedded:signing'`); got != c.signing {
				t.Errorf("signing %v, want %v:\n%s", got, c.signing, manifest)
			}
		})
	}
}

func TestAManifestIsWatchedAndItsPlugins(t *testing.T) {
	t.Parallel()
	manifest := func(name, source string) string {
		return fmt.Sprintf("[[deployment]]\nname = \"d\"\nhosts = [\"*.example.com\"]\n[[deployment.plugin]]\nname = %q\nsource = %q\ngrants = [\"kv\"]\n", name, source)
	}
	tr := newTrial(t, "edge.toml", map[string]string{"edge.toml": manifest("alpha", "a.wasm"), "a.wasm": "alpha", "sub/b.wasm": "beta"})
	tr.shows("swapped d in 3.0 ms: version 1\n12:00:00  alpha 1.0.0 serves\n          GET    /alpha  curl -H 'Host: any.example.com' http://127.0.0.1:1/alpha\n")
	tr.put("edge.toml", "[[deployment]]\nnom = 1\n")
	tr.shows("edge.toml cannot be used; d: version 1 serves on\n")
	tr.put("edge.toml", manifest("beta", "sub/none.wasm"))
	tr.shows("none.wasm: no such file or directory")
	tr.put("edge.toml", manifest("beta", "sub/b.wasm"))
	tr.shows("version 2\n12:00:00  beta 1.0.0 serves")
	tr.put("sub/b.wasm", "beta -")
	tr.shows("version 3")
	if got, plugins := tr.serves(); got != manifest("beta", "sub/b.wasm") || plugins != "sub/b.wasm=beta -" {
		t.Errorf("it serves %s by\n%s", plugins, got)
	}
	// A plugin that is not named any more is nobody's concern.
	tr.put("a.wasm", "bad")
	tr.put("sub/b.wasm", "beta - ")
	tr.shows("version 4")
	if text := tr.seen(); strings.Contains(text, "no plugin") {
		t.Errorf("%s", text)
	}
}

package main_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/edgeset/edgeset/host/artifact"
	"github.com/edgeset/edgeset/host/artifact/registrytest"
	"github.com/edgeset/edgeset/host/wasmtest"
)

// nobodysDocker is an environment in which nobody has logged in anywhere.
func nobodysDocker(t *testing.T) []string { return []string{"DOCKER_CONFIG=" + t.TempDir()} }

// ok runs the binary, which must succeed, and returns what it printed.
func ok(t *testing.T, env []string, args ...string) string {
	t.Helper()
	f := run(t, env, args...)
	if f.code != 0 {
		t.Fatal(f)
	}
	return f.stdout
}

func TestAPluginGoesThroughARegistry(t *testing.T) {
	t.Parallel()
	host := registrytest.Start(t)
	env, dir := nobodysDocker(t), t.TempDir()
	wasm := wasmtest.Build(t, "plugins/sharing")
	file := filepath.Join(dir, "sharing.wasm")
	if err := os.WriteFile(file, wasm, 0o600); err != nil {
		t.Fatal(err)
	}
	digest := artifact.DigestOf(wasm)
	key, other := filepath.Join(dir, "ann.key"), filepath.Join(dir, "ben.key")
	public := strings.TrimSpace(ok(t, env, "plugin", "keygen", key))
	ok(t, env, "plugin", "keygen", other)
	if info, err := os.Stat(key); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v; want mode 0600", info, err)
	}
	if text, err := os.ReadFile(key + ".pub"); err != nil || !strings.HasSuffix(string(text), "\n"+public+"\n") {
		t.Errorf("%q, %v; want %s", text, err, public)
	}
	if f := run(t, env, "plugin", "keygen", key); f.code != 1 || !strings.Contains(f.stderr, "file exists") {
		t.Errorf("%v\nwant the key left alone", f)
	}

	// Flags stand before and behind.
	ref := "oci://" + host + "/plugins/sharing:1.4"
	push := run(t, env, "plugin", "push", file, ref, "--sign", key, "--annotate", "org.opencontainers.image.version=1.4")
	pinned := strings.TrimSpace(push.stdout)
	if push.code != 0 || !strings.HasPrefix(pinned, ref+"@sha256:") || !strings.Contains(push.stderr, "pushed "+ref+": ") {
		t.Fatalf("%v\nwant the reference with its digest, and a line of progress", push)
	}
	if n := strings.Count(push.stderr, "\n"); n != 1 || strings.Contains(push.stderr, "\x1b") {
		t.Errorf("%v\nwant one line, as that is no terminal", push)
	}

	to := filepath.Join(dir, "pulled.wasm")
	pull := run(t, env, "plugin", "pull", "-o", to, "--plugin-keys", key+".pub", ref)
	if want := fmt.Sprintf("%s  %d  %s  %s\n", digest, len(wasm), to, pinned); pull.code != 0 || pull.stdout != want || !strings.Contains(pull.stderr, "pulled "+ref+": ") {
		t.Errorf("%v\nwant %s", pull, want)
	}
	if got, err := os.ReadFile(to); err != nil || !bytes.Equal(got, wasm) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	if text, err := os.ReadFile(to + ".minisig"); err != nil || !strings.Contains(string(text), "file:sharing.wasm") {
		t.Errorf("%s, %v", text, err)
	}

	nothing := filepath.Join(dir, "nothing.wasm")
	f := run(t, env, "plugin", "pull", pinned, "-o", nothing, "--plugin-keys", other+".pub")
	if f.code != 1 || !strings.Contains(f.stderr, "signature: it is signed by key ") || !strings.Contains(f.stderr, other+".pub") {
		t.Errorf("%v\nwant it refused", f)
	}
	if _, err := os.Stat(nothing); err == nil {
		t.Error("a plugin that was refused was written")
	}

	// A plugin in a registry is a source like others.
	cache := filepath.Join(dir, "cache")
	if out := ok(t, env, "plugin", "compile", "--cache", cache, pinned); !strings.HasPrefix(out, digest.Hex()+"  ") || !strings.HasSuffix(out, "  "+pinned+"\n") {
		t.Errorf("%s", out)
	}
	var found struct {
		Reference, Digest, Name, Signer string
		Verified                        bool
	}
	out := ok(t, env, "plugin", "inspect", ref, "--json", "--cache", cache, "--plugin-keys", key+".pub")
	if err := json.Unmarshal([]byte(out), &found); err != nil || found.Reference != pinned || found.Digest != string(digest) || found.Name != "sharing" || found.Signer == "" || !found.Verified {
		t.Errorf("%+v, %v", found, err)
	}

	// One that is not signed takes the signature of the one before with it.
	ok(t, env, "plugin", "push", file, ref)
	ok(t, env, "plugin", "pull", ref, "-o", to)
	if _, err := os.Stat(to + ".minisig"); err == nil {
		t.Error("the signature of another plugin is still there")
	}
	if f := run(t, env, "plugin", "pull", ref, "-o", nothing, "--plugin-keys", key+".pub"); f.code != 1 || !strings.Contains(f.stderr, "it is not signed") {
		t.Errorf("%v", f)
	}
}

func TestASignatureBesideAFileGoesWithIt(t *testing.T) {
	t.Parallel()
	host := registrytest.Start(t)
	env, dir := nobodysDocker(t), t.TempDir()
	file, key := filepath.Join(dir, "tiny.wasm"), filepath.Join(dir, "key")
	if err := os.WriteFile(file, []byte(smallest), 0o600); err != nil {
		t.Fatal(err)
	}
	ok(t, env, "plugin", "keygen", key)
	out := ok(t, env, "plugin", "sign", file, "--key", key)
	if !strings.HasSuffix(out, fmt.Sprintf("  %s  %s.minisig\n", artifact.DigestOf([]byte(smallest)), file)) {
		t.Errorf("%s", out)
	}
	keys, err := artifact.ReadKeys(key + ".pub")
	if err != nil {
		t.Fatal(err)
	}
	ref := "oci://" + host + "/tiny"
	ok(t, env, "plugin", "push", file, ref)
	parsed, err := artifact.ParseReference(ref)
	if err != nil {
		t.Fatal(err)
	}
	p, err := artifact.Pull(t.Context(), parsed, artifact.PullOptions{})
	if err != nil {
		t.Fatal(err)
	}
	if id, err := keys.Verify(p.Wasm, p.Signature); err != nil || !strings.HasPrefix(out, id+"  ") {
		t.Errorf("%q, %v", id, err)
	}
}

func TestPluginInspectTellsWhatAPluginAsksFor(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	cache := filepath.Join(dir, "cache")
	words := func(s string) string { return strings.Join(strings.Fields(s), " ") }
	out := words(ok(t, nil, "plugin", "inspect", "embedded:status", "--cache", cache))
	for _, want := range []string{
		"name status version ", " abi 1 source embedded:status digest sha256:", " signed no ",
		"grants that it asks for kv to keep state, in a key space of its own events to have sockets and streams",
		"routes POST /v1/status writes token json GET /v1/status reads token", "GET /v1/status/stream streams token",
		"sockets /v1/socket/ LISTEN token imports edge ", " kv_get ",
	} {
		if !strings.Contains(out, want) {
			t.Errorf("%s\nwant %s", out, want)
		}
	}
	plain := filepath.Join(dir, "plain.wasm")
	if err := os.WriteFile(plain, wasmtest.Build(t, "host/gateway/testdata/plain"), 0o600); err != nil {
		t.Fatal(err)
	}
	out = words(ok(t, nil, "plugin", "inspect", "--cache", cache, plain))
	for _, want := range []string{"abi extism:host/env, so the manifest has to name its routes source " + plain, "imports extism:host/env ", "exports "} {
		if !strings.Contains(out, want) {
			t.Errorf("%s\nwant %s", out, want)
		}
	}
	if strings.Contains(out, "routes POST") || !strings.Contains(out[strings.Index(out, "exports "):], " greet") {
		t.Errorf("%s\nwant its exports, and no routes", out)
	}
}

func TestPluginCommandsSayWhatIsWrong(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		if err := os.WriteFile(file, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return file
	}
	text, tiny, cache := write("text.wasm", "text"), write("tiny.wasm", smallest), filepath.Join(dir, "cache")
	huge := write("huge.wasm", "")
	if err := os.Truncate(huge, artifact.MaxSize+1); err != nil {
		t.Fatal(err)
	}
	nowhere := freeAddr(t)
	for _, c := range []struct {
		args   []string
		code   int
		stderr string
	}{
		{[]string{"push"}, 2, "plugin push: want a source and a reference"},
		{[]string{"push", tiny}, 2, "plugin push: want a source and a reference"},
		{[]string{"push", tiny, "registry.example/x"}, 2, `does not begin with "oci://"`},
		{[]string{"push", tiny, "oci://registry.example/x", "--annotate", "x"}, 2, "want KEY=VALUE"},
		{[]string{"push", tiny, "oci://registry.example/x", "--port", "1"}, 2, "port"},
		{[]string{"push", text, "oci://" + nowhere + "/x"}, 1, "not a WebAssembly module"},
		{[]string{"push", huge, "oci://" + nowhere + "/x"}, 1, "want a plugin of at most 67108864"},
		{[]string{"push", tiny, "oci://" + nowhere + "/x"}, 1, "push to oci://" + nowhere + "/x: "},
		{[]string{"push", tiny, "oci://" + nowhere + "/x", "--sign", filepath.Join(dir, "none.key")}, 1, "none.key"},
		{[]string{"push", "embedded:none", "oci://" + nowhere + "/x"}, 1, "embeds no such plugin"},
		{[]string{"push", tiny, "--help"}, 0, "--annotate"},
		{[]string{"pull"}, 2, "plugin pull: want one reference"},
		{[]string{"pull", tiny}, 2, `does not begin with "oci://"`},
		{[]string{"pull", "oci://" + nowhere + "/x"}, 1, "pull oci://" + nowhere + "/x: " + nowhere + " cannot be asked: "},
		{[]string{"pull", "oci://" + nowhere + "/x", "--plugin-keys", tiny}, 1, "tiny.wasm:1: "},
		{[]string{"inspect"}, 2, "plugin inspect: want one source"},
		{[]string{"inspect", tiny, text}, 2, "plugin inspect: want one source"},
		{[]string{"inspect", text, "--cache", cache}, 1, `text.wasm": not a WebAssembly module`},
		{[]string{"inspect", huge, "--cache", cache}, 1, "want a plugin of at most 67108864"},
		{[]string{"inspect", filepath.Join(dir, "none.wasm"), "--cache", cache}, 1, "none.wasm"},
		{[]string{"compile", "--cache", cache, "oci://" + nowhere + "/x"}, 1, "pull oci://" + nowhere + "/x: "},
		{[]string{"compile", "--cache", cache, "oci://x"}, 1, "it has no repository"},
		{[]string{"keygen"}, 2, "plugin keygen: want the name of a file"},
		{[]string{"keygen", filepath.Join(dir, "none", "key")}, 1, "none/key"},
		{[]string{"sign", tiny}, 2, "plugin sign: --key: want"},
		{[]string{"sign", "--key", tiny}, 2, "plugin sign: want the file"},
		{[]string{"sign", "--key", tiny, tiny}, 1, "tiny.wasm: minisign: "},
	} {
		f := run(t, nobodysDocker(t), append([]string{"plugin"}, c.args...)...)
		if f.code != c.code || !strings.Contains(f.stderr, c.stderr) || f.stdout != "" || strings.Contains(f.stderr, "goroutine ") {
			t.Errorf("%v\nwant exit status %d, %s", f, c.code, c.stderr)
		}
	}
}

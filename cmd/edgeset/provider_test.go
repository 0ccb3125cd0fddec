package main_test

import (
	"bufio"
	"encoding/json"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// oidcSecret is what a client of the provider proves itself by. It has characters
// that have to be encoded on the way.
const oidcSecret = "the secret: 100% & more/+"

// oidcClients are those that the provider knows, each with a way of its own to
// prove itself, and another algorithm of its tokens.
var oidcClients = []map[string]any{
	{"client_id": "edge basic", "client_secret": oidcSecret, "token_endpoint_auth_method": "client_secret_basic", "id_token_signed_response_alg": "RS256"},
	{"client_id": "edge-es256", "client_secret": oidcSecret, "token_endpoint_auth_method": "client_secret_basic", "id_token_signed_response_alg": "ES256"},
	{"client_id": "edge-public", "token_endpoint_auth_method": "none", "id_token_signed_response_alg": "EdDSA"},
}

// A provider is a process of the OpenID Connect provider in testdata/oidc.
type provider struct {
	t       testing.TB
	listen  string
	issuer  string
	back    string // redirect URI of its clients
	process *exec.Cmd
}

// needProvider ends a test for which Node or the provider's packages are missing.
func needProvider(t testing.TB) {
	t.Helper()
	needPackage(t, "testdata/oidc", "oidc-provider")
}

// needPackage ends a test for which Node, or a package that npm ci installs in a
// folder, is missing.
func needPackage(t testing.TB, dir, name string) {
	t.Helper()
	_, err := exec.LookPath("node")
	if err == nil {
		_, err = os.Stat(filepath.Join(dir, "node_modules", name))
	}
	if err != nil {
		if os.Getenv("EDGESET_REQUIRE_TOOLS") != "" {
			t.Fatalf("%v: this test needs Node and what npm ci installs in cmd/edgeset/%s", err, dir)
		}
		t.Skipf("%v: this test needs Node and what npm ci installs in cmd/edgeset/%s", err, dir)
	}
}

// newProvider starts a provider whose logins lead back to a server. What it calls
// itself may be other than its address.
func newProvider(t testing.TB, listen, issuer string, s *server) *provider {
	t.Helper()
	p := &provider{t: t, listen: listen, issuer: issuer, back: "http://" + s.listen + "/1.0/login/callback"}
	t.Cleanup(p.stop)
	p.start()
	return p
}

// start starts the provider, with keys that are new each time.
func (p *provider) start() {
	p.t.Helper()
	_, port, err := net.SplitHostPort(p.listen)
	if err != nil {
		p.t.Fatal(err)
	}
	var clients []any
	for _, c := range oidcClients {
		client := map[string]any{"redirect_uris": []string{p.back}}
		for name, value := range c {
			client[name] = value
		}
		clients = append(clients, client)
	}
	config := map[string]any{"port": json.Number(port), "issuer": p.issuer, "clients": clients}
	text, err := json.Marshal(config)
	if err != nil {
		p.t.Fatal(err)
	}
	cmd := exec.Command("node", "provider.js", string(text))
	cmd.Dir, cmd.Env = "testdata/oidc", environment("NODE_ENV=test")
	out, err := cmd.StdoutPipe()
	if err != nil {
		p.t.Fatal(err)
	}
	var stderr strings.Builder
	cmd.Stderr = &stderr
	if err := cmd.Start(); err != nil {
		p.t.Fatal(err)
	}
	p.process = cmd
	if line, err := bufio.NewReader(out).ReadString('\n'); err != nil || line != "http://"+p.listen+"\n" {
		p.stop()
		p.t.Fatalf("the provider did not start: %q, %v\n%s", line, err, &stderr)
	}
}

func (p *provider) stop() {
	if p.process != nil {
		p.process.Process.Kill()
		p.process.Wait() // it was killed
		p.process = nil
	}
}

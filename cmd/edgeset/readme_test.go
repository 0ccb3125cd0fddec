package main_test

import (
	"fmt"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// oidcManifest is that of the default deployment, and lets people sign in with the
// provider at an address, which is called "op".
func oidcManifest(at string, more ...string) string {
	return fmt.Sprintf(`
[[deployment]]
name = "default"
hosts = ["*"]
[[deployment.plugin]]
name = "sharing"
source = "embedded:sharing"
grants = ["kv"]
[[deployment.plugin]]
name = "signing"
source = "embedded:signing"
grants = ["kv", "passwords"]
egress = ["private:%s"]
[deployment.plugin.config]
oidc = "op"
oidc_op_issuer = "http://%[1]s"
oidc_op_client_id = "edge basic"
oidc_op_client_secret = %q
`, at, oidcSecret) + strings.Join(more, "")
}

// session is the token in the cookie of a browser that is logged in.
func (b *browser) session() string {
	b.t.Helper()
	for _, c := range b.http.Jar.Cookies(&url.URL{Scheme: "http", Host: b.server.listen, Path: "/"}) {
		if c.Name == "edgeset_session" {
			return c.Value
		}
	}
	b.fatalf("the browser has no session")
	return ""
}

// paste runs the shell blocks of sections of the README, as somebody who pastes
// them beside a server that "make run" has started.
func (s *server) paste(headings []string, env ...string) string {
	s.t.Helper()
	text, err := os.ReadFile("../../README.md")
	if err != nil {
		s.t.Fatal(err)
	}
	script := "set -euo pipefail\n"
	for _, heading := range headings {
		_, section, found := strings.Cut(string(text), "\n"+heading+"\n")
		if !found {
			s.t.Fatalf("the README has no heading %q", heading)
		}
		section, _, _ = strings.Cut(section, "\n##")
		for {
			_, rest, found := strings.Cut(section, "\n```sh\n")
			if !found {
				break
			}
			block, after, _ := strings.Cut(rest, "\n```")
			script, section = script+block+"\n", after
		}
	}
	dir := s.t.TempDir()
	if err := os.Mkdir(filepath.Join(dir, "bin"), 0o700); err != nil {
		s.t.Fatal(err)
	}
	if err := os.Symlink(edgeset(s.t), filepath.Join(dir, "bin", "edgeset")); err != nil {
		s.t.Fatal(err)
	}
	cmd := exec.Command("bash", "-c", strings.ReplaceAll(script, "127.0.0.1:8080", s.listen))
	cmd.Dir, cmd.Env = dir, environment(append(env, "EDGESET_ADMIN="+s.admin, "EDGESET_DATA="+s.data)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		s.fatalf("%s: %v\n%s", headings, err, out)
	}
	return string(out)
}

func TestTheReadmesFirstRequest(t *testing.T) {
	t.Parallel()
	s := newServer(t, "")
	out := s.paste([]string{"## A first request", "### Status updates (plugin `status`)", "### Posts and comments (plugin `posts`)"})
	for _, want := range []string{`"result":"ok"`, `"location":[[`, `"Heading home!"`, `"viewers":1`,
		`"payload":{"available":false}}]`, `"recipient_type":"all"`,
		`"city":"Oklahoma City"`, `<category domain="total">1</category>`, `{"total":1,`} {
		if !strings.Contains(out, want) {
			t.Errorf("%s\nwant %s", out, want)
		}
	}
}

func TestTheReadmesCredentials(t *testing.T) {
	t.Parallel()
	needProvider(t)
	at := freeAddr(t)
	s := newServer(t, oidcManifest(at))
	newProvider(t, at, "http://"+at, s)
	ann := s.browser()
	ann.loggedIn(ann.login("op", "ann", ""), "ann")
	out := s.paste([]string{"### Who is calling: credentials"}, "SESSION="+ann.session())
	var got []string
	for line := range strings.Lines(out) {
		var proof, scheme string
		if _, rest, found := strings.Cut(line, `"proof":"`); found {
			proof, _, _ = strings.Cut(rest, `"`)
		}
		if _, rest, found := strings.Cut(line, `"scheme":"`); found {
			scheme, _, _ = strings.Cut(rest, `"`)
		}
		got = append(got, strings.TrimSpace(proof+" "+scheme))
	}
	if want := "[token signature md5 signature hmac-sha256 signature ed25519 session openid]"; fmt.Sprint(got) != want {
		t.Errorf("%s\nthe proofs are %v, want %s", out, got, want)
	}
}

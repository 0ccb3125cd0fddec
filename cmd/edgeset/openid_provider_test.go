package main_test

import (
	"bufio"
	"fmt"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// python is the interpreter that Debian's package of python3-openid is for.
const python = "/usr/bin/python3"

// newOpenIDProvider starts the OpenID 2.0 provider in testdata/openid and returns
// its URL.
func newOpenIDProvider(t testing.TB) string {
	t.Helper()
	if out, err := exec.Command(python, "-c", "import openid").CombinedOutput(); err != nil {
		if os.Getenv("EDGESET_REQUIRE_TOOLS") != "" {
			t.Fatalf("%v: this test needs Debian's python3-openid\n%s", err, out)
		}
		t.Skipf("%v: this test needs Debian's python3-openid", err)
	}
	cmd := exec.Command(python, "testdata/openid/provider.py")
	var stderr strings.Builder
	cmd.Stderr = &stderr
	in, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		in.Close() // which ends it
		defer time.AfterFunc(stopTime, func() { cmd.Process.Kill() }).Stop()
		if err := cmd.Wait(); err != nil {
			t.Errorf("the provider: %v\n%s", err, &stderr)
		}
	})
	defer time.AfterFunc(startTime, func() { cmd.Process.Kill() }).Stop()
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the provider did not start: %v", err)
	}
	return strings.TrimSpace(line)
}

// signIn logs in with an OpenID and returns the page that this ends at.
func (b *browser) signIn(openid string, params ...string) reply {
	b.t.Helper()
	b.seen = nil
	page, _ := b.visit("/1.0/login/" + openid + "?" + values(params).Encode())
	return page
}

// answer goes to a provider and returns where it sends the browser back to, which
// the browser does not follow.
func (b *browser) answer(openid string) *url.URL {
	b.t.Helper()
	follow := b.http.CheckRedirect
	defer func() { b.http.CheckRedirect = follow }()
	b.http.CheckRedirect = func(r *http.Request, via []*http.Request) error {
		if strings.HasPrefix(r.URL.Path, "/1.0/login/callback") {
			b.seen = append(b.seen, r.URL.String())
			return http.ErrUseLastResponse
		}
		return nil
	}
	b.signIn(openid)
	u, err := url.Parse(b.callback())
	if err != nil {
		b.t.Fatal(err)
	}
	return u
}

// sessionToken is the token of the browser's session.
func (b *browser) sessionToken() string {
	for _, c := range b.http.Jar.Cookies(&url.URL{Scheme: "http", Host: b.server.listen, Path: "/"}) {
		if c.Name == "edgeset_session" {
			return c.Value
		}
	}
	return ""
}

// isSignedIn wants the page to show a session of somebody whom the provider in
// testdata/openid knows, and returns the account.
func (b *browser) isSignedIn(r reply, who string) string {
	b.t.Helper()
	expires, _ := r.at("expires").(float64)
	if r.status != 200 || r.text("nickname") != who+"-nick" || r.text("email") != who+"@example.org" ||
		!strings.EqualFold(r.text("name"), who+" of the test") || r.text("account") == "" || int64(expires) < time.Now().UnixMilli() {
		b.fatalf("%v\nwant the session of %s", r, who)
	}
	return r.text("account")
}

// withCookie asks who a session's token stands for.
func (s *server) withCookie(method, path, token string, headers ...string) reply {
	s.t.Helper()
	req, err := http.NewRequest(method, "http://"+s.listen+path, nil)
	if err != nil {
		s.t.Fatal(err)
	}
	req.Header.Set("Cookie", "edgeset_session="+token)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	r, err := s.client().send(req)
	if err != nil {
		s.fatalf("%s %s: %v", method, path, err)
	}
	return r
}

func values(params []string) url.Values {
	v := url.Values{}
	for i := 0; i < len(params); i += 2 {
		v.Set(params[i], params[i+1])
	}
	return v
}

// openIDManifest lets the signing plugin reach these addresses. A second
// deployment stands behind a proxy, which browsers reach by HTTPS.
func openIDManifest(listen ...string) string {
	for i := range listen {
		listen[i] = fmt.Sprintf("%q", "private:"+listen[i])
	}
	plugin := `
[[deployment.plugin]]
name = "signing"
source = "embedded:signing"
grants = ["kv", "passwords"]
instances = 4
egress = [` + strings.Join(listen, ", ") + `]
config = { login_starts = "1000" }
`
	return `
[[deployment]]
name = "default"
hosts = ["*"]` + plugin + `
[[deployment]]
name = "proxied"
hosts = ["inside.example"]
base_url = "https://edge.example/below"` + plugin
}

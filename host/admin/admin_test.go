package admin

import (
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

func TestTheTokenIsMadeOnce(t *testing.T) {
	t.Setenv(TokenEnv, "")
	dir := t.TempDir()
	if _, err := Token(dir, false); err == nil || !strings.Contains(err.Error(), TokenEnv) {
		t.Errorf("there is none: %v", err)
	}
	first, err := Token(dir, true)
	if err != nil {
		t.Fatal(err)
	}
	if len(first) < 40 {
		t.Errorf("token %q", first)
	}
	file := filepath.Join(dir, tokenFile)
	if info, err := os.Stat(file); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v %v", info.Mode(), err)
	}
	for _, create := range []bool{true, false} {
		if again, err := Token(dir, create); again != first || err != nil {
			t.Errorf("%q %v", again, err)
		}
	}
	t.Setenv(TokenEnv, "from the environment")
	if got, err := Token(dir, false); got != "from the environment" || err != nil {
		t.Errorf("%q %v", got, err)
	}
	t.Setenv(TokenEnv, "")
	if err := os.WriteFile(file, []byte(" \n"), 0o600); err != nil {
		t.Fatal(err)
	}
	if _, err := Token(dir, true); err == nil || !strings.Contains(err.Error(), "is empty: delete it") {
		t.Errorf("empty file: %v", err)
	}
	if _, err := Token(filepath.Join(dir, "none"), true); err == nil {
		t.Error("no folder: want an error")
	}
}

// serve serves the admin API without deployments. do sends "METHOD /path" with headers
// and returns the answer.
func serve(t *testing.T, token string) (s *Server, do func(line string, headers ...string) (int, http.Header, string)) {
	t.Helper()
	r := newRig(t, token, &fake{})
	return r.server, func(line string, headers ...string) (int, http.Header, string) {
		t.Helper()
		return r.do(line, "", headers...)
	}
}

func TestProbesAreOpen(t *testing.T) {
	s, do := serve(t, "secret")
	if status, _, body := do("GET /healthz"); status != 200 || body != "ok\n" {
		t.Errorf("%d %s", status, body)
	}
	if status, _, _ := do("GET /readyz"); status != 503 {
		t.Errorf("before it is ready: %d", status)
	}
	s.SetReady(true)
	if status, _, body := do("GET /readyz"); status != 200 || body != "ready\n" {
		t.Errorf("%d %s", status, body)
	}
	s.SetReady(false)
	if status, _, _ := do("GET /readyz"); status != 503 {
		t.Errorf("while it drains: %d", status)
	}
	if status, header, body := do("GET /metrics"); status != 200 || !strings.Contains(body, "edgeset_unmatched_requests_total 0") ||
		!strings.HasPrefix(header.Get("Content-Type"), "text/plain; version=0.0.4") {
		t.Errorf("%d %v %.200s", status, header, body)
	}
	if status, header, body := do("POST /healthz"); status != 405 || header.Get("Allow") != "GET, HEAD" || !strings.Contains(body, `"code":"method_not_allowed"`) {
		t.Errorf("%d %v %s", status, header, body)
	}
}

func TestOnlyTheTokenOpensTheRest(t *testing.T) {
	_, do := serve(t, "secret")
	for _, authorization := range []string{"", "secret", "Bearer", "Bearer ", "Bearer secre", "Bearer secrets", "Basic secret", "Bearer SECRET"} {
		status, header, body := do("GET /v1/deployments/d/plugins/p/x", "Authorization", authorization)
		if status != 401 || header.Get("WWW-Authenticate") != "Bearer" || !strings.Contains(body, `"code":"unauthenticated"`) {
			t.Errorf("%q: %d %s", authorization, status, body)
		}
	}
	for _, authorization := range []string{"Bearer secret", "bearer  secret"} {
		if status, _, body := do("GET /v1/deployments/d/plugins/p/x", "Authorization", authorization); status != 404 || !strings.Contains(body, "no deployment") {
			t.Errorf("%q: %d %s", authorization, status, body)
		}
	}
	_, open := serve(t, "")
	if status, _, _ := open("GET /v1/deployments/d/plugins/p/x", "Authorization", "Bearer "); status != 401 {
		t.Errorf("no token is no key: %d", status)
	}
}

func TestPathsThatLeadNowhere(t *testing.T) {
	_, do := serve(t, "secret")
	for _, path := range []string{
		"/", "/v1", "/v1/deployments/", "/v1/deployments/d/plugins/p", "/v1/deployments/a/b/plugins/p/x",
		"/v1/deployments/d/plugins/p/../../../x", "/healthz/../v1/deployments/d/plugins", "/v1/deployments/%00/plugins/%ff/%0a",
		"/v1/deployments//plugins//x", "/healthz/", "/metrics/x", "/v1/audit/", "/v2/audit", "/v1/deployments/d/versions/1/diff/x",
	} {
		status, _, body := do("GET "+path, "Authorization", "Bearer secret")
		if status != 404 || !strings.Contains(body, `"error":{"code":"not_found"`) {
			t.Errorf("%s: %d %s", path, status, body)
		}
		if status, _, _ := do("GET " + path); status != 401 {
			t.Errorf("%s, without the token: %d", path, status)
		}
	}
}

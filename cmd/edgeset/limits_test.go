package main_test

import (
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// limited is a manifest whose plugins get along, until a line is put in place of
// LIMIT.
const limited = `
[[deployment]]
name = "default"
hosts = ["*"]
# LIMIT of the deployment
[[deployment.plugin]]
name = "sharing"
source = "embedded:sharing"
grants = ["kv"]
[[deployment.plugin]]
name = "signing"
source = "embedded:signing"
grants = ["kv", "passwords"]
# LIMIT of the plugin
`

// limit starts the server again with a limit in its manifest.
func (s *server) limit(where, line string) {
	s.t.Helper()
	file := s.args[len(s.args)-1]
	if err := os.WriteFile(file, []byte(strings.Replace(limited, "# LIMIT of the "+where, line, 1)), 0o600); err != nil {
		s.t.Fatal(err)
	}
	s.restart()
}

func TestLimits(t *testing.T) {
	t.Parallel()
	s := newServer(t, limited)
	key := s.newApp()
	c := s.client()

	// A password is hashed for longer than that.
	s.limit("plugin", `deadline = "2ms"`)
	account := []string{"api_key", key, "username", "ann", "password", "correct horse"}
	refused(t, c.do("POST", "/v2/account/create", nil, account...), 504, "timeout")
	_, metrics := s.probe("/metrics")
	if !strings.Contains(metrics, `edgeset_timeouts_total{deployment="default",plugin="signing",route="POST /v2/account/create"} 1`) {
		s.errorf("the metrics do not count the timeout")
	}

	s.limit("plugin", "")
	c.post("/v2/account/create", account...) // nothing is left of the first try
	_, metrics = s.probe("/metrics")
	spent := regexp.MustCompile(`edgeset_fuel_total\{deployment="default",plugin="signing",route="POST /v2/account/create"\} (\S+)`).FindStringSubmatch(metrics)
	if spent == nil {
		s.fatalf("the metrics do not tell of fuel")
	}
	fuel, err := strconv.ParseFloat(spent[1], 64)
	if err != nil || fuel < 1000 {
		s.errorf("%s units of fuel were spent, want thousands", spent[1])
	}

	s.limit("deployment", "fuel_per_second = 1")
	login := []string{"api_key", key, "id", "ann", "password", "correct horse"}
	c.post("/v2/account/login", login...)
	r := c.do("POST", "/v2/account/login", nil, login...)
	refused(t, r, 503, "busy")
	if after, err := strconv.Atoi(r.header.Get("Retry-After")); err != nil || after < 1 {
		t.Errorf("Retry-After: %q", r.header.Get("Retry-After"))
	}
	if f := s.app("list"); f.code != 0 || !strings.Contains(f.stdout, key) {
		t.Errorf("%v\nwant the operator to get in", f)
	}
	text, err := os.ReadFile(s.log)
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{
		`msg=request .* status=504 .* route=/v2/account/create .* fuel=\d+`,
		`msg=request .* status=200 .* route=/v2/account/login .* fuel=[1-9]\d+`,
		`msg=request .* status=503 .* route=/v2/account/login .* fuel=0`,
	} {
		if !regexp.MustCompile(want).Match(text) {
			t.Errorf("no line of the log matches %s\n%s", want, text)
		}
	}
}

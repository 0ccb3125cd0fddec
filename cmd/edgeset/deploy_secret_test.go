package main_test

import (
	"bytes"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/host/wasmtest"
)

// setSecret sets a secret of the probe, as an operator does: through a pipe.
func (s *site) setSecret(name, value string) finished {
	s.t.Helper()
	return s.keepSecret(value, name, "--plugin", "probe")
}

// keepSecret has a value set, for whom the flags say.
func (s *site) keepSecret(value, name string, flags ...string) finished {
	s.t.Helper()
	var stdout, stderr bytes.Buffer
	args := append([]string{"secret", "set", name, "--deployment", "eu", "--admin", s.admin, "--data", s.data}, flags...)
	cmd := exec.CommandContext(s.t.Context(), edgeset(s.t), args...)
	cmd.Env, cmd.Stdin, cmd.Stdout, cmd.Stderr = environment(), strings.NewReader(value+"\n"), &stdout, &stderr
	_ = cmd.Run() // the exit status has it
	return finished{args: args, code: cmd.ProcessState.ExitCode(), stdout: stdout.String(), stderr: stderr.String()}
}

// setting is what the probe has as a setting.
func (s *site) setting(name string) string {
	s.t.Helper()
	r, err := s.ask("eu", "/p/setting/"+name)
	if err != nil || r.status != 200 {
		s.fatalf("%v, %v", r, err)
	}
	text, _ := r.doc.(string)
	return text
}

func TestASecretIsKeptApart(t *testing.T) {
	t.Parallel()
	const first, second = "correct-horse-battery", "staple-of-the-second-day"
	s := newSite(t)
	s.file("probe.wasm", wasmtest.Build(t, "host/rollout/testdata/probe"))
	file := s.file("eu.toml", []byte(`
[[deployment]]
name = "eu"
hosts = ["eu.test"]
[[deployment.plugin]]
name = "probe"
source = "probe.wasm"
grants = ["kv"]
deadline = "30s"
secrets = ["password"]
`))
	f := s.do("deploy", file)
	f.wants(t, 1, "", `deployment "eu": plugin "probe": `)
	if !strings.Contains(f.stderr, `secret "password" is not set`) {
		t.Errorf("%v\nwant the name of the secret", f)
	}
	s.setSecret("password", first).wants(t, 0, "", "")
	s.ok("deploy", file)
	if got := s.setting("password"); got != first {
		t.Errorf("the plugin has %q, want %q", got, first)
	}

	// Another value is there with the next deploy, of the same manifest.
	if got := s.outcomes(s.ok("deploy", file, "--json")); fmt.Sprint(got) != "[eu unchanged 1 1]" {
		t.Errorf("%q", got)
	}
	s.setSecret("password", second).wants(t, 0, "", "")
	if got := s.setting("password"); got != first {
		t.Errorf("the plugin has %q before a deploy", got)
	}
	if got := s.outcomes(s.ok("deploy", file, "--json")); fmt.Sprint(got) != "[eu swapped 2 1]" {
		t.Errorf("%q", got)
	}
	if got := s.setting("password"); got != second {
		t.Errorf("the plugin has %q, want %q", got, second)
	}
	if v := s.versions("eu"); v[0].Secrets["probe/password"] != 2 || v[1].Secrets["probe/password"] != 1 {
		t.Errorf("%+v", v)
	}
	s.restart()
	if got := s.setting("password"); got != second {
		t.Errorf("after a restart the plugin has %q, want %q", got, second)
	}
	// Nor do other deployments have it, nor other settings.
	if got := s.setting("passwort"); got != "none" {
		t.Errorf("%q", got)
	}
	s.ok("secret", "list", "--deployment", "eu").wants(t, 0, "probe   password  2 ", "")

	// A plugin that would tell it does not.
	s.forgive("the setting is ")
	if r, err := s.ask("eu", "/p/says/password"); err != nil || strings.Contains(string(r.raw), second) {
		t.Errorf("%v, %v", r, err)
	}
	s.logged("the setting is [secret].", 1)

	// It stands nowhere.
	for _, args := range [][]string{
		{"audit", "--json"}, {"audit"}, {"deploy", "show", "eu", "--json"}, {"deploy", "show", "eu", "2"}, {"deploy", "show", "eu", "2", "--toml"},
		{"deploy", "show", "eu", "2", "--json"}, {"deploy", "versions", "eu", "--json"}, {"deploy", "diff", "eu"}, {"secret", "list", "--deployment", "eu", "--json"},
	} {
		if f := s.ok(args...); strings.Contains(f.stdout+f.stderr, first) || strings.Contains(f.stdout+f.stderr, second) {
			t.Errorf("%v\nhas a secret", f)
		}
	}
	s.stop()
	if info, err := os.Stat(filepath.Join(s.data, "secret.key")); err != nil || info.Mode().Perm() != 0o600 {
		t.Errorf("%v, %v; want mode 0600", info, err)
	}
	err := filepath.WalkDir(filepath.Dir(s.data), func(path string, d fs.DirEntry, err error) error {
		if err != nil || !d.Type().IsRegular() {
			return err
		}
		content, err := os.ReadFile(path)
		if bytes.Contains(content, []byte(first)) || bytes.Contains(content, []byte(second)) {
			t.Errorf("a secret stands in %s", path)
		}
		return err
	})
	if err != nil {
		t.Error(err)
	}
	s.start()

	// One that a version names which serves cannot be removed; one that none names can.
	remove := []string{"secret", "remove", "password", "--deployment", "eu", "--plugin", "probe", "-m", "no more"}
	s.do(remove...).wants(t, 1, "", "409 Conflict")
	if got := s.setting("password"); got != second {
		t.Errorf("the plugin has %q", got)
	}
	e := s.audit()
	if e[0].Action != "secret remove" || e[0].Message != "probe/password: no more" || e[0].Deployment != "eu" || e[0].Error == "" || time.Since(e[0].At) > time.Hour {
		t.Errorf("in the audit log: %+v", e[:1])
	}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	without := strings.Replace(string(text), "secrets = [\"password\"]", "", 1)
	if without == string(text) {
		t.Fatalf("the manifest does not name the secret:\n%s", text)
	}
	writeFile(t, file, []byte(without))
	s.ok("deploy", file)
	s.ok(remove...).wants(t, 0, "", "")
	s.do(remove...).wants(t, 1, "", "404 Not Found")
	writeFile(t, file, text)
	s.do("deploy", file).wants(t, 1, "", "password")
}

func TestASecretOfTheOutboxIsKeptApart(t *testing.T) {
	t.Parallel()
	const value = "a-key-that-nobody-sees"
	s := newSite(t)
	d := tinies{name: "eu", mark: "a", more: "[[deployment.webhook]]\nname = \"sms\"\nurl = \"https://sms.example.com\"\nsecret = \"key\"\n"}
	file := s.manifest(d)
	f := s.do("deploy", file)
	f.wants(t, 1, "", `deployment "eu": outbox: `)
	if !strings.Contains(f.stderr, `secret "key" is not set`) {
		t.Errorf("%v\nwant the name of the secret", f)
	}
	s.ok("deploy", file, "--check", "--offline") // which knows of no secrets
	s.keepSecret(value, "key", "--outbox").wants(t, 0, "", "")
	s.ok("deploy", file)
	s.ok("secret", "list", "--deployment", "eu").wants(t, 0, "@outbox  key   1 ", "")
	s.ok("deploy", "show", "eu", "1").wants(t, 0, "@outbox/key, revision 1", "")
	s.do("secret", "remove", "--outbox", "key", "--deployment", "eu").wants(t, 1, "", "409 Conflict")
	s.restart()
	if got := s.mark(d); got != "a" {
		t.Errorf("after a restart %q answers", got)
	}
	d.more = ""
	s.deploy(d)
	s.ok("secret", "remove", "--outbox", "key", "--deployment", "eu").wants(t, 0, "", "")
	if e := s.audit(); e[0].Action != "secret remove" || e[0].Message != "@outbox/key" || e[0].Error != "" {
		t.Errorf("in the audit log: %+v", e[:1])
	}
}

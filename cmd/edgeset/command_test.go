package main_test

import (
	"encoding/json"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"
)

func TestCommands(t *testing.T) {
	t.Parallel()
	s := newServer(t, "", "--log-format", "json")
	key := s.newApp()
	dir := t.TempDir()
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
		return path
	}
	notAdmin := freeAddr(t)
	empty := filepath.Join(dir, "empty")
	cache, open := filepath.Join(dir, "cache"), filepath.Join(dir, "open")
	if err := os.Mkdir(open, 0o700); err != nil {
		t.Fatal(err)
	}
	if err := os.Chmod(open, 0o777); err != nil {
		t.Fatal(err)
	}

	for _, c := range []struct {
		name   string
		env    []string
		args   []string
		code   int
		stdout string // what it has in it
		stderr string
	}{
		{"nothing", nil, nil, 2, "", "edgeset serve"},
		{"help", nil, []string{"help"}, 0, "edgeset serve", ""},
		{"--help", nil, []string{"--help"}, 0, "edgeset app create", ""},
		{"-h", nil, []string{"-h"}, 0, "edgeset app create", ""},
		{"version", nil, []string{"version"}, 0, "edgeset ", ""},
		{"unknown command", nil, []string{"sing"}, 2, "", `no command "sing"`},
		{"app", nil, []string{"app"}, 2, "", "edgeset app create"},
		{"app --help", nil, []string{"app", "--help"}, 0, "edgeset app create", ""},
		{"app with an unknown command", nil, []string{"app", "paint"}, 2, "", `no command "paint"`},
		{"plugin", nil, []string{"plugin"}, 2, "", "edgeset plugin compile"},
		{"plugin --help", nil, []string{"plugin", "--help"}, 0, "edgeset plugin compile", ""},
		{"plugin with an unknown command", nil, []string{"plugin", "paint"}, 2, "", `no command "paint"`},
		{"plugin compile --help", nil, []string{"plugin", "compile", "--help"}, 0, "", "--cache"},
		{"plugin compile with an unknown flag", nil, []string{"plugin", "compile", "--port", "1"}, 2, "", "port"},
		{"plugin compile of no file", nil, []string{"plugin", "compile", "--cache", cache, filepath.Join(dir, "none.wasm")}, 1, "", "none.wasm"},
		{"plugin compile of a text", nil, []string{"plugin", "compile", "--cache", cache, file("text.wasm", "text")}, 1, "", `text.wasm": not a WebAssembly module`},
		{"plugin compile of half a module", nil, []string{"plugin", "compile", "--cache", cache, file("half.wasm", "\x00asm\x01\x00\x00\x00\x0a")}, 1, "", `half.wasm": malformed WebAssembly`},
		{"plugin compile of a plugin that is not embedded", nil, []string{"plugin", "compile", "--cache", cache, "embedded:none"}, 1, "", "embeds no such plugin, but posts, sharing, signing"},
		{"plugin compile with no manifest", nil, []string{"plugin", "compile", "--cache", cache, "--config", filepath.Join(dir, "none.toml")}, 1, "", "none.toml"},
		{"plugin compile into a cache of everybody", nil, []string{"plugin", "compile", "--cache", open, file("text.wasm", "text")}, 1, "", "chmod 0700"},
		{"serve --help", nil, []string{"serve", "--help"}, 0, "", "--listen"},
		{"app create --help", nil, []string{"app", "create", "--help"}, 0, "", "--name"},
		{"serve with an unknown flag", nil, []string{"serve", "--port", "1"}, 2, "", "port"},
		{"serve with an argument", nil, []string{"serve", "here"}, 2, "", `"here"`},
		{"serve with a flag that is no number", nil, []string{"serve", "--max-conns", "many"}, 2, "", "max-conns"},
		{"serve with no value", nil, []string{"serve", "--listen"}, 2, "", "listen"},
		{"app create with an argument", nil, []string{"app", "create", "MyApp"}, 2, "", `"MyApp"`},
		{"a variable that is no duration", []string{"EDGESET_DRAIN=soon"}, []string{"serve"}, 2, "", `EDGESET_DRAIN="soon"`},
		{"durability", nil, []string{"serve", "--durability", "none"}, 2, "", `"power"`},
		{"log level", nil, []string{"serve", "--log-level", "loud"}, 2, "", "--log-level"},
		{"log format", nil, []string{"serve", "--log-format", "xml"}, 2, "", "--log-format"},
		{"proxies", nil, []string{"serve", "--trusted-proxies", "here"}, 2, "", "--trusted-proxies"},
		{"smtp url", []string{"EDGESET_SMTP_URL=smtp://mail.example.com?tls=no"}, []string{"serve"}, 2, "", "serve: --smtp-url: mail server"},
		{"mail from", []string{"EDGESET_SMTP_URL=smtp://mail.example.com", "EDGESET_MAIL_FROM=nobody"}, []string{"serve"}, 2, "", `serve: --mail-from: "nobody"`},
		{"mail from without a server", nil, []string{"serve", "--mail-from", "a@b.example"}, 2, "", "want --smtp-url as well"},
		{"no manifest", nil, []string{"serve", "--config", filepath.Join(dir, "none.toml")}, 1, "", "none.toml"},
		{"a manifest with a mistake", nil, []string{"serve", "--config", file("a.toml", "[[deployment]]\nname = ")}, 1, "", "a.toml:2"},
		{"a manifest with an unknown key", nil, []string{"serve", "--config", file("b.toml", "[[deployment]]\nnom = \"x\"\n")}, 1, "", "nom"},
		{"a manifest with nothing", nil, []string{"serve", "--config", file("c.toml", "")}, 1, "", "deployment"},

		{"app create", nil, []string{"app", "create", "--name", "x", "--admin", s.admin, "--data", s.data}, 0, `"secret"`, ""},
		{"app create without name", nil, []string{"app", "create", "--admin", s.admin, "--data", s.data}, 2, "", "--name"},
		{"app show without id", nil, []string{"app", "show", "--admin", s.admin, "--data", s.data}, 2, "", "app show: --id"},
		{"app approve without id", nil, []string{"app", "approve", "--admin", s.admin, "--data", s.data}, 2, "", "app approve: --id"},
		{"app update without id", nil, []string{"app", "update", "--name", "x", "--admin", s.admin, "--data", s.data}, 2, "", "app update: --id"},
		{"app rotate without id", nil, []string{"app", "rotate", "--admin", s.admin, "--data", s.data}, 2, "", "app rotate: --id"},
		{"app update of nothing", nil, []string{"app", "update", "--id", key, "--admin", s.admin, "--data", s.data}, 2, "", "what to change"},
		{"app update --help", nil, []string{"app", "update", "--help"}, 0, "", "--ed25519-key"},
		{"app rotate --help", nil, []string{"app", "rotate", "--help"}, 0, "", "--grace"},
		{"app list --help", nil, []string{"app", "list", "--help"}, 0, "", "--state"},
		{"app approve with an argument", nil, []string{"app", "approve", "--id", key, "now"}, 2, "", `"now"`},
		{"app create with a rate that is no number", nil, []string{"app", "create", "--name", "x", "--rate", "many"}, 2, "", "rate"},
		{"app create with a key that is none", nil, []string{"app", "create", "--name", "x", "--ed25519-key", filepath.Join(dir, "none.pem")}, 2, "", "none.pem"},
		{"app create with a key of an empty file", nil, []string{"app", "create", "--name", "x", "--ed25519-key", file("empty.pem", "\n")}, 2, "", "empty.pem is empty"},
		{"app rotate with a grace that is none", nil, []string{"app", "rotate", "--id", key, "--grace", "soon"}, 2, "", `"soon"`},
		{"app rotate with a grace that is too long", nil, []string{"app", "rotate", "--id", key, "--grace", "721h", "--admin", s.admin, "--data", s.data}, 1, "", "grace: want"},
		{"app list of no state", nil, []string{"app", "list", "--state", "gone", "--admin", s.admin, "--data", s.data}, 1, "", "state: want"},
		{"app update to a bad origin", nil, []string{"app", "update", "--id", key, "--origins", "example.org", "--admin", s.admin, "--data", s.data}, 1, "", "origins: want"},
		{"app show of no application", nil, []string{"app", "show", "--id", "x", "--admin", s.admin, "--data", s.data}, 1, "", "404"},
		{"app revoke without id", nil, []string{"app", "revoke", "--admin", s.admin, "--data", s.data}, 2, "", "--id"},
		{"app create with a long name", nil, []string{"app", "create", "--name", strings.Repeat("x", 200), "--admin", s.admin, "--data", s.data}, 1, "", "400"},
		{"app create from the environment", []string{"EDGESET_ADMIN=" + s.admin, "EDGESET_DATA=" + s.data, "EDGESET_NAME=Env"}, []string{"app", "create"}, 0, `"Env"`, ""},
		{"a flag wins over the environment", []string{"EDGESET_NAME=Env"}, []string{"app", "create", "--name", "Flag", "--admin", s.admin, "--data", s.data}, 0, `"Flag"`, ""},
		{"app list", nil, []string{"app", "list", "--admin", s.admin, "--data", s.data}, 0, key, ""},
		{"app revoke of no application", nil, []string{"app", "revoke", "--id", "x/../y", "--admin", s.admin, "--data", s.data}, 1, "", "404"},
		{"app with no server", nil, []string{"app", "list", "--admin", notAdmin, "--data", s.data}, 1, "", notAdmin},
		{"app with other data", nil, []string{"app", "list", "--admin", s.admin, "--data", empty}, 1, "", "admin.token"},
		{"app with a wrong token", []string{"EDGESET_ADMIN_TOKEN=wrong"}, []string{"app", "list", "--admin", s.admin}, 1, "", "401"},
		{"app with another deployment", nil, []string{"app", "list", "--admin", s.admin, "--data", s.data, "--deployment", "other"}, 1, "", "404"},

		{"address in use", nil, []string{"serve", "--listen", s.listen, "--admin", freeAddr(t), "--data", empty}, 1, "", s.listen},
		{"admin address in use", nil, []string{"serve", "--listen", freeAddr(t), "--admin", s.admin, "--data", empty}, 1, "", s.admin},
		{"address in use, by the environment", []string{"EDGESET_LISTEN=" + s.listen, "EDGESET_ADMIN=" + freeAddr(t), "EDGESET_DATA=" + empty}, []string{"serve"}, 1, "", s.listen},
		{"no address", nil, []string{"serve", "--listen", "nowhere", "--admin", freeAddr(t), "--data", empty}, 1, "", "nowhere"},
		{"data that is a file", nil, []string{"serve", "--listen", freeAddr(t), "--admin", freeAddr(t), "--data", file("data", "")}, 1, "", "data"},
		{"data that is in use", nil, []string{"serve", "--listen", freeAddr(t), "--admin", freeAddr(t), "--data", s.data}, 1, "", s.data},
	} {
		t.Run(c.name, func(t *testing.T) {
			f := run(t, c.env, c.args...)
			if f.code != c.code {
				t.Errorf("%v\nwant exit status %d", f, c.code)
			}
			if !strings.Contains(f.stdout, c.stdout) || c.stdout == "" && f.stdout != "" {
				t.Errorf("%v\nwant on stdout %q", f, c.stdout)
			}
			if !strings.Contains(f.stderr, c.stderr) || c.stderr == "" && f.stderr != "" {
				t.Errorf("%v\nwant on stderr %q", f, c.stderr)
			}
			if strings.Contains(f.stderr, "goroutine ") {
				t.Errorf("%v\nhas a trace", f)
			}
		})
	}
	if _, err := os.Stat(empty); err == nil {
		t.Error("a server that could not start left its data folder behind")
	}
	// None of that was noticed by the server.
	s.client().newUser(key)

	t.Run("app list keeps secrets", func(t *testing.T) {
		f := s.app("list")
		var list struct{ Items []map[string]any }
		if err := json.Unmarshal([]byte(f.stdout), &list); err != nil || len(list.Items) < 4 || strings.Contains(f.stdout, "secret") {
			t.Errorf("%v: %v\nwant a list without secrets", f, err)
		}
	})

	t.Run("the admin token", func(t *testing.T) {
		name := filepath.Join(s.data, "admin.token")
		info, err := os.Stat(name)
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Fatalf("%v, %v; want mode 0600", info, err)
		}
		before, _ := os.ReadFile(name)
		s.restart()
		if after, _ := os.ReadFile(name); string(after) != string(before) {
			t.Error("a restart made another one")
		}
	})

	t.Run("health", func(t *testing.T) {
		for path, want := range map[string]string{"/healthz": "ok", "/readyz": "ready", "/metrics": "edgeset_requests_total{"} {
			if status, body := s.probe(path); status != 200 || !strings.Contains(body, want) {
				t.Errorf("%s: %d %.200s", path, status, body)
			}
		}
	})

	t.Run("a connection that asks for nothing does not hold up the end", func(t *testing.T) {
		conn, err := net.Dial("tcp", s.listen)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		begin := time.Now()
		s.restart()
		if took := time.Since(begin); took > 15*time.Second {
			t.Errorf("a restart took %v", took)
		}
	})

	t.Run("a request that runs is answered after SIGTERM", func(t *testing.T) {
		conn, err := net.Dial("tcp", s.listen)
		if err != nil {
			t.Fatal(err)
		}
		defer conn.Close()
		// The head is on its way; the body comes when the server drains.
		head := "POST /v2/account/create?api_key=" + key + " HTTP/1.1\r\nHost: x\r\nContent-Type: application/x-www-form-urlencoded\r\nContent-Length: 8\r\n\r\n"
		if _, err := conn.Write([]byte(head + "name")); err != nil {
			t.Fatal(err)
		}
		// A server that has not read the first byte yet cannot know of a request.
		time.Sleep(500 * time.Millisecond)
		answered := make(chan string, 1)
		go func() {
			waitUntilNotReady(s)
			conn.Write([]byte("=Ann"))
			b := make([]byte, 4096)
			n, _ := conn.Read(b)
			answered <- string(b[:n])
		}()
		s.stop()
		if answer := <-answered; !strings.HasPrefix(answer, "HTTP/1.1 200") || !strings.Contains(answer, `"Ann"`) {
			t.Errorf("got %q", answer)
		}
		s.start()
	})
}

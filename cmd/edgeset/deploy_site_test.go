package main_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/host/rollout"
	"github.com/edgeset/edgeset/host/wasmtest"
)

// A site is a server and the folder in which its operator keeps manifests and plugins.
type site struct {
	*server
	dir string
}

// quiet is a manifest of which nothing is noticed: it is there so that the plugins which
// the binary carries need not be loaded.
const quiet = "[[deployment]]\nname = \"quiet\"\nhosts = [\"quiet.test\"]\n[[deployment.plugin]]\nname = \"quiet\"\nsource = %q\n"

// newSite starts a server that serves nothing to speak of. What is compiled for it is
// kept, also for the next time that tests are run.
func newSite(t testing.TB, flags ...string) *site {
	t.Helper()
	file := filepath.Join(t.TempDir(), "quiet.wasm")
	writeFile(t, file, tiny{name: "quiet", mark: "quiet"}.wasm())
	return siteOf(t, fmt.Sprintf(quiet, file), flags...)
}

// siteOf starts a server with a manifest; "": what serves by default.
func siteOf(t testing.TB, manifest string, flags ...string) *site {
	t.Helper()
	flags = append([]string{"--cache", wasmtest.CacheDir(t), "--access-log=false"}, flags...)
	return &site{newServer(t, manifest, flags...), t.TempDir()}
}

// do runs a command of the binary against the server.
func (s *site) do(args ...string) finished {
	s.t.Helper()
	return run(s.t, nil, append(args, "--admin", s.admin, "--data", s.data)...)
}

// ok is do for what must succeed.
func (s *site) ok(args ...string) finished {
	s.t.Helper()
	f := s.do(args...)
	if f.code != 0 {
		s.fatalf("%v", f)
	}
	return f
}

// file writes a file into the folder.
func (s *site) file(name string, content []byte) string {
	s.t.Helper()
	name = filepath.Join(s.dir, name)
	writeFile(s.t, name, content)
	return name
}

func writeFile(t testing.TB, name string, content []byte) {
	t.Helper()
	if err := os.WriteFile(name, content, 0o600); err != nil {
		t.Fatal(err)
	}
}

// read reads a file of the folder.
func (s *site) read(name string) []byte {
	s.t.Helper()
	content, err := os.ReadFile(filepath.Join(s.dir, name))
	if err != nil {
		s.t.Fatal(err)
	}
	return content
}

// tinies is a deployment of tiny plugins, all with the same mark, each in a file beside
// the manifest. Its host is NAME.test.
type tinies struct {
	name, mark string
	plugins    []string // none: "p" and "q"
	more       string   // further keys of the deployment
}

// manifest writes a manifest and the plugins of it.
func (s *site) manifest(list ...tinies) string {
	s.t.Helper()
	var b strings.Builder
	for _, d := range list {
		fmt.Fprintf(&b, "[[deployment]]\nname = %q\nhosts = [\"%s.test\"]\n%s\n", d.name, d.name, d.more)
		for _, name := range d.names() {
			source := name + "-" + d.mark + ".wasm"
			s.file(source, tiny{name: name, mark: d.mark}.wasm())
			fmt.Fprintf(&b, "[[deployment.plugin]]\nname = %q\nsource = %q\n", name, source)
		}
	}
	return s.file("manifest.toml", []byte(b.String()))
}

func (d tinies) names() []string {
	if d.plugins == nil {
		return []string{"p", "q"}
	}
	return d.plugins
}

// deploy deploys a manifest of tiny plugins, which must succeed.
func (s *site) deploy(d tinies, flags ...string) finished {
	s.t.Helper()
	return s.ok(append([]string{"deploy", s.manifest(d)}, flags...)...)
}

// ask gets a path of a deployment, with headers in pairs.
func (s *site) ask(deployment, path string, headers ...string) (reply, error) {
	req, err := http.NewRequest("GET", "http://"+s.listen+path, nil)
	if err != nil {
		return reply{}, err
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	c := s.client()
	c.host = deployment + ".test"
	return c.send(req)
}

// mark returns the mark that all plugins of a deployment of tiny plugins answer with; ""
// if there is no deployment.
func (s *site) mark(d tinies, headers ...string) string {
	s.t.Helper()
	var marks []string
	for _, name := range d.names() {
		r, err := s.ask(d.name, "/"+name, headers...)
		switch {
		case err != nil:
			s.fatalf("%v", err)
		case r.status == 404:
			marks = append(marks, "")
		case r.text("plugin") != name || r.text("mark") == "":
			s.fatalf("%v\nwant an answer of plugin %s", r, name)
		default:
			marks = append(marks, r.text("mark"))
		}
	}
	if len(slices.Compact(slices.Clone(marks))) != 1 {
		s.fatalf("the plugins of %s are of several versions: %q", d.name, marks)
	}
	return marks[0]
}

func (s *site) wantMark(name, want string) {
	s.t.Helper()
	if got := s.mark(tinies{name: name}); got != want {
		s.fatalf("%s answers with mark %q, want %q", name, got, want)
	}
}

// status is what "edgeset deploy show" says of a deployment.
func (s *site) status(name string) (st rollout.Status) {
	s.t.Helper()
	s.decode(&st, "deploy", "show", name, "--json")
	return st
}

// versions are those of a deployment, the newest first.
func (s *site) versions(name string) (list []rollout.Version) {
	s.t.Helper()
	s.decode(&list, "deploy", "versions", name, "--json")
	return list
}

// audit is the newest of the audit log.
func (s *site) audit() []rollout.Entry {
	s.t.Helper()
	var page struct{ Entries []rollout.Entry }
	s.decode(&page, "audit", "--json", "--limit", "20")
	return page.Entries
}

// decode runs a command that prints JSON.
func (s *site) decode(v any, args ...string) {
	s.t.Helper()
	f := s.ok(args...)
	if err := json.Unmarshal([]byte(f.stdout), v); err != nil {
		s.fatalf("%v: %v", f, err)
	}
}

// outcomes decodes the result of a change, each outcome as "NAME ACTION VERSION BEFORE".
func (s *site) outcomes(f finished) (list []string) {
	s.t.Helper()
	var result rollout.Result
	if err := json.Unmarshal([]byte(f.stdout), &result); err != nil || f.code != 0 {
		s.fatalf("%v: %v", f, err)
	}
	for _, o := range result.Deployments {
		list = append(list, fmt.Sprint(o.Name, " ", o.Action, " ", o.Version, " ", o.Before))
	}
	return list
}

// until waits for something that comes by itself.
func (s *site) until(what string, cond func() bool) {
	s.t.Helper()
	for end := time.Now().Add(startTime); !cond(); time.Sleep(20 * time.Millisecond) {
		if time.Now().After(end) {
			s.fatalf("it takes too long until %s", what)
		}
	}
}

// post sends JSON to the admin API, as other clients than the binary may.
func (s *site) post(path, body string) (status int, text string) {
	s.t.Helper()
	return s.send(s.adminRequest("POST", path, strings.NewReader(body)))
}

func (s *site) send(req *http.Request) (status int, text string) {
	s.t.Helper()
	resp, err := s.http.Do(req)
	if err != nil {
		s.fatalf("%v", err)
	}
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		s.fatalf("%v", err)
	}
	return resp.StatusCode, string(b)
}

// adminRequest makes a request to the admin API that it lets in.
func (s *site) adminRequest(method, path string, body io.Reader) *http.Request {
	s.t.Helper()
	token, err := os.ReadFile(filepath.Join(s.data, "admin.token"))
	if err != nil {
		s.fatalf("%v", err)
	}
	req, err := http.NewRequest(method, "http://"+s.admin+path, body)
	if err != nil {
		s.fatalf("%v", err)
	}
	req.Header.Set("Authorization", "Bearer "+strings.TrimSpace(string(token)))
	return req
}

// forgive takes lines with a text out of the log before it is searched for errors: a
// test has a plugin make them.
func (s *site) forgive(text string) {
	s.t.Cleanup(func() { // runs before the server's own
		if s.process != nil {
			s.stop()
		}
		log, err := os.ReadFile(s.log)
		if err != nil {
			s.t.Fatal(err)
		}
		var kept []byte
		for line := range bytes.Lines(log) {
			if !bytes.Contains(line, []byte(text)) {
				kept = append(kept, line...)
			}
		}
		writeFile(s.t, s.log, kept)
	})
}

package main_test

import (
	"bufio"
	"bytes"
	"fmt"
	"net"
	"net/http"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/edgeset/edgeset/host/artifact"
)

// traffic is clients that ask a deployment of tiny plugins without a pause. Whatever
// happens to it, each answer is there, and has the mark, if they want one.
type traffic struct {
	requests atomic.Int64
	stop     func() error
}

func (s *site) traffic(deployment, mark string, paths ...string) *traffic {
	var tr traffic
	var clients sync.WaitGroup
	ended, failed := make(chan struct{}), make(chan error, 1)
	if paths == nil {
		paths = []string{"/p", "/q"}
	}
	for _, path := range paths {
		clients.Go(func() {
			for {
				select {
				case <-ended:
					return
				default:
				}
				r, err := s.ask(deployment, path)
				if err == nil && (r.status != 200 || mark != "" && r.text("mark") != mark) {
					err = fmt.Errorf("%v\nwant mark %s", r, mark)
				}
				if err != nil {
					select {
					case failed <- err:
					default:
					}
					return
				}
				tr.requests.Add(1)
			}
		})
	}
	tr.stop = sync.OnceValue(func() error {
		close(ended)
		clients.Wait()
		select {
		case err := <-failed:
			return err
		default:
			return nil
		}
	})
	s.t.Cleanup(func() { _ = tr.stop() })
	return &tr
}

// flows waits until it has been answered some more requests.
func (tr *traffic) flows(s *site) {
	s.t.Helper()
	before := tr.requests.Load()
	for end := time.Now().Add(callTime); tr.requests.Load() < before+10; time.Sleep(time.Millisecond) {
		if time.Now().After(end) {
			s.fatalf("nothing is answered any more: %v", tr.stop())
		}
	}
}

// isUntouched checks that a deployment serves its only version, alone.
func (s *site) isUntouched(name string) {
	s.t.Helper()
	st := s.status(name)
	if st.Current != 1 || len(st.Serving) != 1 || st.Serving[0].Version != 1 || st.Canary != nil || len(s.versions(name)) != 1 {
		s.errorf("%+v\nwant version 1 alone", st)
	}
	_, metrics := s.probe("/metrics")
	if n := strings.Count(metrics, fmt.Sprintf("\nedgeset_version_requests_total{deployment=%q,", name)); n != 1 ||
		!strings.Contains(metrics, fmt.Sprintf("\nedgeset_version_requests_total{deployment=%q,role=\"current\",version=\"1\"}", name)) {
		s.errorf("the metrics tell of %d versions, want version 1 alone", n)
	}
}

// A badPlugin is a plugin that is to be refused, as plugin "p" of deployment "eu".
type badPlugin struct {
	name string
	wasm []byte
	keys string   // further keys of the plugin in the manifest
	want []string // what the error says, beside the deployment and the plugin
}

func badPlugins() []badPlugin {
	good := tiny{name: "p", mark: "bad"}
	with := func(edit func(*tiny)) []byte { p := good; edit(&p); return p.wasm() }
	return []badPlugin{
		{"a text", []byte("<!doctype html>"), "", []string{"not a WebAssembly module"}},
		{"nothing", nil, "", []string{"not a WebAssembly module"}},
		{"half a module", good.wasm()[:40], "", []string{"malformed"}},
		{"a component", []byte("\x00asm\x0d\x00\x01\x00"), "", []string{"component"}},
		{"another ABI", with(func(p *tiny) { p.version = 2 }), "", []string{"built for ABI version 2, this host has version 1"}},
		{"no edge_call", with(func(p *tiny) { p.without = "edge_call" }), "", []string{`no export "edge_call"`}},
		{"no edge_alloc", with(func(p *tiny) { p.without = "edge_alloc" }), "", []string{"not edge_alloc"}},
		{"no edge_abi_version", with(func(p *tiny) { p.without = "edge_abi_version" }), "", []string{"not edge_abi_version"}},
		{"a trap in describe", with(func(p *tiny) { p.describe = trap() }), "", []string{"describe", "unreachable"}},
		{"a loop in describe", with(func(p *tiny) { p.describe = loop() }), `deadline = "300ms"`, []string{"describe"}},
		{"much memory at the start", with(func(p *tiny) { p.pages = 2000 }), "", []string{"memory"}},
		{"another name", tiny{name: "other", mark: "bad"}.wasm(), "", []string{`describes itself as "other"`}},
		{"a grant that is not given", with(func(p *tiny) { p.grants = []string{"kv"} }), `grants = ["events"]`, []string{`it needs grant "kv", which the manifest does not give`}},
		{"a host that it may not call", with(func(p *tiny) { p.grants = []string{"egress:mail.test"} }), `egress = ["other.test"]`, []string{`it needs to call "mail.test"`}},
		{"routes of another plugin", with(func(p *tiny) { p.path = "/q" }), "", []string{`plugin "q"`, `route GET "/q"`}},
		{"another digest", good.wasm(), `digest = "sha256:` + strings.Repeat("1", 64) + `"`, []string{"want digest sha256:1111"}},
	}
}

// manifestOf writes a manifest of deployment "eu" with a plugin "p" that stands in a
// file, and the plugin "q" that it has.
func (s *site) manifestOf(wasm []byte, keys string) string {
	s.t.Helper()
	s.file("p-bad.wasm", wasm)
	s.file("q-bad.wasm", tiny{name: "q", mark: "bad"}.wasm())
	return s.file("bad.toml", fmt.Appendf(nil, "[[deployment]]\nname = \"eu\"\nhosts = [\"eu.test\"]\n"+
		"[[deployment.plugin]]\nname = \"p\"\nsource = \"p-bad.wasm\"\n%s\n[[deployment.plugin]]\nname = \"q\"\nsource = \"q-bad.wasm\"\n", keys))
}

func TestABadPluginIsRefusedWhileTrafficFlows(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.deploy(tinies{name: "eu", mark: "one"})
	s.deploy(tinies{name: "us", mark: "one"})
	tr := s.traffic("eu", "one")
	refusedAs := func(f finished, want ...string) {
		t.Helper()
		f.wants(t, 1, "", `deployment "eu"`)
		for _, text := range append(want, `plugin "p"`) {
			if !strings.Contains(f.stderr, text) {
				t.Errorf("%v\nwant it to say %q", f, text)
			}
		}
		if strings.Contains(f.stderr, "goroutine ") {
			t.Errorf("%v\nhas a trace", f)
		}
		tr.flows(s)
	}
	for _, bad := range badPlugins() {
		t.Logf("%s", bad.name)
		f := s.do("deploy", s.manifestOf(bad.wasm, bad.keys), "-m", bad.name)
		refusedAs(f, bad.want...)
		if bad.name == "another digest" { // which the command has seen
			continue
		}
		e := s.audit()[0]
		if e.Action != "deploy" || e.Deployment != "eu" || e.Message != bad.name || e.Version != 0 || !strings.Contains(e.Error, bad.want[0]) {
			t.Errorf("%s: in the audit log: %+v", bad.name, e)
		}
		refusedAs(s.do("deploy", filepath.Join(s.dir, "bad.toml"), "--canary", "5%"), bad.want...)
	}
	s.isUntouched("eu")

	// What is wrong with a deployment.
	for _, c := range []struct{ more, want string }{
		{"hosts = [\"us.test\"]", `hosts: "us.test" belongs to deployment "`},
		{"[[deployment.probe]]\npath = \"/p\"\nstatus = 201", `probe "/p": answered with status 200, want 201`},
		{"[[deployment.probe]]\npath = \"/none\"", `probe "/none": answered with status 404, want 200`},
		{"[[deployment.probe]]\npath = \"/q\"\ncontains = \"more\"", `probe "/q": the answer does not contain "more"`},
	} {
		d := tinies{name: "eu", mark: "two", more: c.more}
		f := s.do("deploy", s.manifest(d))
		if strings.HasPrefix(c.more, "hosts") {
			text := strings.Replace(string(s.read("manifest.toml")), "hosts = [\"eu.test\"]\n", "", 1)
			f = s.do("deploy", s.file("manifest.toml", []byte(text)))
		}
		f.wants(t, 1, "", c.want)
		if !strings.Contains(f.stderr, `deployment "eu"`) || !strings.Contains(s.audit()[0].Error, c.want) {
			t.Errorf("%v\nwant the deployment, and the same in the audit log: %+v", f, s.audit()[0])
		}
		tr.flows(s)
	}
	s.isUntouched("eu")
	s.isUntouched("us")

	// And a good one still gets through.
	if err := tr.stop(); err != nil {
		s.errorf("%v", err)
	}
	t.Logf("%d requests were answered meanwhile", tr.requests.Load())
	s.deploy(tinies{name: "eu", mark: "two", more: "[[deployment.probe]]\npath = \"/p\"\ncontains = \"two\""}).wants(t, 0, "eu          swapped  2        1 ", "probing eu\n")
	s.wantMark("eu", "two")
}

// What the command refuses the host refuses as well, whoever sends it.
func TestAPluginIsCheckedByTheHostItself(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.deploy(tinies{name: "eu", mark: "one"})
	tr := s.traffic("eu", "one")

	// A plugin that is too big, as a file and as a body.
	big := tiny{name: "p", mark: "bad", filler: artifact.MaxSize}.wasm()
	s.do("deploy", s.manifestOf(big, "")).wants(t, 1, "", `deployment "eu": plugin "p": source: `)
	put := func(body []byte, digest artifact.Digest) (int, string) {
		t.Helper()
		return s.send(s.adminRequest(http.MethodPut, "/v1/plugins/"+string(digest), bytes.NewReader(body)))
	}
	// It is refused for its length, however little of it has come.
	conn, err := net.Dial("tcp", s.admin)
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	req := s.adminRequest(http.MethodPut, "/v1/plugins/"+string(artifact.DigestOf(big)), nil)
	fmt.Fprintf(conn, "PUT %s HTTP/1.1\r\nHost: x\r\nAuthorization: %s\r\nContent-Length: %d\r\n\r\n%s", req.URL.Path, req.Header.Get("Authorization"), len(big), big[:16<<10])
	_ = conn.SetReadDeadline(time.Now().Add(callTime))
	if resp, err := http.ReadResponse(bufio.NewReader(conn), req); err != nil || resp.StatusCode != 413 {
		t.Errorf("%v, %v\nwant 413", resp, err)
	}
	good := tiny{name: "p", mark: "bad"}.wasm()
	digest := artifact.DigestOf(good)
	if status, text := put(append(good, 0), digest); status != 422 || !strings.Contains(text, "which is not the one of the path") {
		t.Errorf("%d %s\nwant 422", status, text)
	}
	manifest := func(keys string) string {
		return fmt.Sprintf("[[deployment]]\nname = \"eu\"\nhosts = [\"eu.test\"]\n[[deployment.plugin]]\nname = \"p\"\nsource = \"p.wasm\"\n%s\n", keys)
	}
	post := func(keys, uploads, want string) {
		t.Helper()
		status, text := s.post("/v1/deploy", fmt.Sprintf(`{"manifest": %q, "uploads": {%s}}`, manifest(keys), uploads))
		if status != 422 || !strings.Contains(text, want) {
			t.Errorf("%d %s\nwant 422 and %q", status, text, want)
		}
		tr.flows(s)
	}
	upload := fmt.Sprintf(`"p.wasm": {"digest": %q}`, digest)
	post("", upload, "was not uploaded")
	post("", "", "the file was not uploaded with the manifest")
	if status, text := put(good, digest); status != 201 {
		t.Errorf("%d %s\nwant 201", status, text)
	}
	post(`digest = "sha256:`+strings.Repeat("1", 64)+`"`, upload, "want digest sha256:1111")
	s.isUntouched("eu")
	if err := tr.stop(); err != nil {
		s.errorf("%v", err)
	}
}

// A host with keys serves what one of them has signed, and nothing else but what its
// binary carries.
func TestAPluginThatNobodyTrustsIsRefused(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ours, theirs := filepath.Join(dir, "ours.key"), filepath.Join(dir, "theirs.key")
	ok(t, nil, "plugin", "keygen", ours)
	ok(t, nil, "plugin", "keygen", theirs)
	quietFile := filepath.Join(dir, "quiet.wasm")
	writeFile(t, quietFile, tiny{name: "quiet", mark: "quiet"}.wasm())
	ok(t, nil, "plugin", "sign", "--key", ours, quietFile)
	s := siteOf(t, fmt.Sprintf(quiet, quietFile), "--plugin-keys", ours+".pub")
	sign := func(key string, d tinies) {
		t.Helper()
		for _, name := range d.names() {
			ok(t, nil, "plugin", "sign", "--key", key, filepath.Join(s.dir, name+"-"+d.mark+".wasm"))
		}
	}
	one := tinies{name: "eu", mark: "one"}
	file := s.manifest(one)
	s.do("deploy", file).wants(t, 1, "", `source "p-one.wasm" is not signed`)
	sign(ours, one)
	s.ok("deploy", file)
	tr := s.traffic("eu", "one")
	if p := s.versions("eu")[0].Plugins[0]; p.Signer == "" {
		t.Errorf("%+v\nwant who has signed it", p)
	}

	two := tinies{name: "eu", mark: "two"}
	file = s.manifest(two)
	refusedAs := func(want string) {
		t.Helper()
		f := s.do("deploy", file)
		f.wants(t, 1, "", want)
		if !strings.Contains(f.stderr, `deployment "eu": plugin "p": `) || !strings.Contains(s.audit()[0].Error, want) {
			t.Errorf("%v\nwant deployment and plugin, and the same in the audit log: %+v", f, s.audit()[0])
		}
		tr.flows(s)
	}
	refusedAs(`source "p-two.wasm" is not signed`)
	sign(theirs, two)
	refusedAs("signed by key ")
	sign(ours, two)
	good := s.read("p-two.wasm.minisig")
	s.file("p-two.wasm.minisig", s.read("p-one.wasm.minisig")) // of another plugin
	refusedAs("signature")
	s.file("p-two.wasm.minisig", []byte("untrusted comment: x\nnothing\n"))
	refusedAs("signature")
	s.isUntouched("eu")
	if err := tr.stop(); err != nil {
		s.errorf("%v", err)
	}
	s.file("p-two.wasm.minisig", good)
	s.ok("deploy", file)
	s.wantMark("eu", "two")
	s.restart() // which checks them again
	s.wantMark("eu", "two")
}

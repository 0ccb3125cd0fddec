package main_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/host/artifact"
)

const deployManifest = `
[[deployment]]
name = "eu"
hosts = ["eu.example.com"]
[[deployment.plugin]]
name = "greeter"
source = "build/greeter.wasm"
[[deployment.plugin]]
name = "signing"
source = "embedded:signing"
`

const deployed = `{"event":{"stage":"resolve","deployment":"eu","plugin":"greeter","text":"build/greeter.wasm"}}
{"event":{"stage":"pull","deployment":"eu","plugin":"greeter","done":1048576,"total":2097152}}
{"event":{"stage":"pull","deployment":"eu","plugin":"greeter","done":2097152,"total":2097152}}

{"event":{"stage":"load","deployment":"eu","plugin":"signing"}}
{"event":{"stage":"later","text":"of another version"}}
{"result":{"deployments":[{"name":"eu","version":4,"before":3,"action":"swapped","swap":"1.2ms","diff":"--- a\n+++ b\n-x\u001b[2J\n+y\n"}],"revision":9}}
`

func TestDeployUploadsAndTellsWhatComes(t *testing.T) {
	t.Parallel()
	dir := written(t, map[string]string{"eu.toml": deployManifest, "build/greeter.wasm": "\x00asm", "build/greeter.wasm.minisig": "signed\n"})
	file := filepath.Join(dir, "eu.toml")
	digest := string(artifact.DigestOf([]byte("\x00asm")))
	a := newFakeAdmin(t)
	a.on("PUT /v1/plugins/"+digest, "201 {}")
	a.on("POST /v1/deploy", deployed)

	f := a.run("deploy", file, "-m", "for ann", "--if-match", "8")
	f.wants(t, 0, "DEPLOYMENT  ACTION   VERSION  BEFORE  SWAP\neu          swapped  4        3       1.2ms\n", "uploading")
	if !strings.Contains(f.stdout, "\n-x\\u001b[2J\n+y\n") {
		t.Errorf("%v\nwant the diff, and nothing that steers a terminal", f)
	}
	if want := "uploading build/greeter.wasm\nfinding eu/greeter: build/greeter.wasm\npulling eu/greeter\nloading eu/signing\n"; f.stderr != want {
		t.Errorf("%v\nwant on stderr %q", f, want)
	}
	got := a.requests()
	if len(got) != 3 || got[0].line != "HEAD /v1/plugins/"+digest || got[1].body != "\x00asm" {
		t.Fatalf("%+v\nwant HEAD, PUT and POST", got)
	}
	var body map[string]any
	if err := json.Unmarshal([]byte(got[2].body), &body); err != nil {
		t.Fatal(err)
	}
	by, _ := body["by"].(string)
	delete(body, "by")
	want := map[string]any{"manifest": deployManifest, "file": file, "message": "for ann",
		"uploads": map[string]any{"build/greeter.wasm": map[string]any{"digest": digest, "signature": "signed\n"}}}
	if fmt.Sprint(body) != fmt.Sprint(want) || !strings.Contains(by, "@") {
		t.Errorf("%v by %s\nwant %v", body, by, want)
	}
	if h := got[2].header; h.Get("If-Match") != `"8"` || h.Get("Accept") != "application/x-ndjson" {
		t.Errorf("%v", h)
	}

	// What the host has is not sent again.
	a.on("HEAD /v1/plugins/"+digest, "200 ")
	f = a.run("deploy", "--json", file, "--check")
	f.wants(t, 0, `"action": "swapped"`, "finding")
	var result struct{ Revision int }
	if err := json.Unmarshal([]byte(f.stdout), &result); err != nil || result.Revision != 9 {
		t.Errorf("%v: %v", f, err)
	}
	got = a.requests()
	if len(got) != 2 || !strings.Contains(got[1].body, `"check":true`) || got[1].header.Get("If-Match") != "" {
		t.Errorf("%+v\nwant HEAD and POST", got)
	}

	a.on("POST /v1/deploy", "200 "+deployed)
	a.run("deploy", file, "--canary", "5%", "--steps", "25%, 50%", "--every", "10m", "--insist").wants(t, 0, "swapped", "loading")
	if got = a.requests(); !strings.HasSuffix(got[1].body, `"canary":{"share":0.05,"steps":[0.25,0.5,1],"every":"10m0s"}}`) || !strings.Contains(got[1].body, `"insist":true`) {
		t.Errorf("%s", got[1].body)
	}
}

func TestDeployTellsWhatIsWrongBeforeItSendsAnything(t *testing.T) {
	t.Parallel()
	dir := written(t, map[string]string{
		"bad.toml":    "[[deployment]]\nname = \"eu\"\nhosts = [\"*\"]\ncolour = \"red\"\n",
		"none.toml":   deployManifest,
		"digest.toml": strings.Replace(strings.Replace(deployManifest, "build/greeter.wasm\"", "a.wasm\"\ndigest = \"sha256:"+strings.Repeat("a", 64)+"\"", 1), "none", "", 1),
		"a.wasm":      "\x00asm",
	})
	a := newFakeAdmin(t)
	for _, c := range []struct {
		args   []string
		code   int
		stderr string
	}{
		{[]string{"bad.toml"}, 1, "bad.toml:4:"},
		{[]string{"bad.toml", "--check"}, 1, "bad.toml:4:"},
		{[]string{"missing.toml"}, 1, "missing.toml"},
		{[]string{"none.toml"}, 1, `plugin "greeter": source: open ` + filepath.Join(dir, "build/greeter.wasm")},
		{[]string{"digest.toml"}, 1, "want digest sha256:aaaa"},
		{[]string{"none.toml", "bad.toml"}, 2, "want one manifest"},
		{[]string{"none.toml", "--offline"}, 2, "want --check"},
		{[]string{"none.toml", "--check", "--canary", "5%"}, 2, "--canary"},
		{[]string{"none.toml", "--canary", "0"}, 2, "want a share"},
		{[]string{"none.toml", "--canary", "101%"}, 2, "want a share"},
		{[]string{"none.toml", "--canary", "100%"}, 2, "no canary"},
		{[]string{"none.toml", "--canary", "NaN"}, 2, "want a share"},
		{[]string{"none.toml", "--canary", "5%", "--steps", "25%"}, 2, "--every"},
		{[]string{"none.toml", "--canary", "5%", "--every", "10m"}, 2, "--steps"},
		{[]string{"none.toml", "--canary", "5%", "--steps", "4%,100%", "--every", "10m"}, 2, "more than the one before"},
		{[]string{"none.toml", "--canary", "5%", "--steps", "half", "--every", "10m"}, 2, "--steps"},
		{[]string{"none.toml", "--steps", "50%", "--every", "10m"}, 2, "want --canary"},
		{[]string{"none.toml", "--colour"}, 2, "colour"},
		{[]string{"--", "--check"}, 1, "open --check"},
	} {
		args := slices.Clone(c.args)
		for i, arg := range args {
			if strings.HasSuffix(arg, ".toml") {
				args[i] = filepath.Join(dir, arg)
			}
		}
		a.run(append([]string{"deploy"}, args...)...).wants(t, c.code, "", c.stderr)
		if sent := a.lines(); sent != nil {
			t.Errorf("%q sent %q", c.args, sent)
		}
	}
}

func TestDeployTellsWhyTheHostDoesNot(t *testing.T) {
	t.Parallel()
	dir := written(t, map[string]string{"a.toml": strings.ReplaceAll(deployManifest, "build/greeter.wasm", "embedded:greeter")})
	file := filepath.Join(dir, "a.toml")
	a := newFakeAdmin(t)
	for _, c := range []struct{ answer, stderr string }{
		{`{"error":{"status":422,"code":"invalid","message":"deploy: a.toml:3: bad\ndeploy: a.toml:4: worse"}}`, "edgeset: deploy: a.toml:3: bad\ndeploy: a.toml:4: worse\n"},
		{`{"error":{"status":412,"code":"stale","message":"changed meanwhile"}}`, "edgeset: the admin API: 412 Precondition Failed: changed meanwhile\n"},
		{`409 {"error":{"code":"refused","message":"irreversible"}}`, "edgeset: the admin API: 409 Conflict: irreversible\n"},
		{`502 bad gateway`, "edgeset: the admin API: 502 Bad Gateway: bad gateway\n"},
		{`{"event":{"stage":"other"}}` + "\n", "breaks off"},
		{``, "breaks off"},
		{`<html>`, "the admin API: invalid character"},
	} {
		a.on("POST /v1/deploy", c.answer)
		a.run("deploy", file).wants(t, 1, "", c.stderr)
	}
	run(t, append(a.env(), "EDGESET_ADMIN_TOKEN=other"), "deploy", file).wants(t, 1, "", "401 Unauthorized: no token")
	run(t, []string{"EDGESET_ADMIN=" + freeAddr(t), "EDGESET_ADMIN_TOKEN=t0ken"}, "deploy", file).wants(t, 1, "", "connection refused")
}

// Who interrupts a deploy leaves, and the host sees that.
func TestDeployCanBeInterrupted(t *testing.T) {
	t.Parallel()
	file := filepath.Join(written(t, map[string]string{"a.toml": strings.ReplaceAll(deployManifest, "build/greeter.wasm", "embedded:greeter")}), "a.toml")
	ctx, interrupt := context.WithTimeout(t.Context(), time.Minute)
	defer interrupt()
	left := make(chan struct{})
	a := &fakeAdmin{t: t}
	a.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.Copy(io.Discard, r.Body)
		io.WriteString(w, `{"event":{"stage":"load","deployment":"eu"}}`+"\n")
		http.NewResponseController(w).Flush()
		interrupt()
		<-r.Context().Done()
		close(left)
	}))
	defer a.server.Close()
	a.runWith(ctx, "", "deploy", file).wants(t, 1, "", "interrupted")
	<-left
}

const (
	statusEU = `{"name":"eu","hosts":["a.example","b.example"],"revision":5,"current":3,"previous":2,"serving":[
{"version":3,"since":"2026-01-02T03:04:05Z","requests":1000,"errors":10,"traps":1,"p50_ms":0.25,"p99_ms":2.5},
{"version":4,"since":"2026-01-02T04:04:05Z","requests":50,"errors":0,"traps":0,"p50_ms":0.5,"p99_ms":3}],
"canary":{"version":4,"share":0.05,"steps":[0.25,1],"every":"10m0s","next":"2026-01-02T04:14:05Z"},
"migrations":[{"plugin":"status","from":1,"to":2,"done":1200,"phase":"copy"}]}`
	statusPlain = `{"name":"us","hosts":["*"],"revision":6,"current":1,"serving":[],"ended":"version 2 was taken back: errors"}`
	versionEU   = `{"deployment":"eu","version":2,"manifest":"[[deployment]]\nname = \"eu\"\n","plugins":[{"name":"signing","source":"embedded:signing",
"digest":"sha256:0123456789abcdef","size":12,"version":"1.0","schema":3,"signer":"KEY"}],"origin":"deploy","by":"ann@host","message":"a\nb",
"at":"2026-01-02T03:04:05Z","secrets":{"signing/smtp_password":2}}`
)

func TestWhatIsDeployedIsPrinted(t *testing.T) {
	t.Parallel()
	a := newFakeAdmin(t)
	a.on("GET /v1/deployments", `{"deployments":[`+statusEU+`,`+statusPlain+`],"revision":9}`)
	a.on("GET /v1/deployments/eu", statusEU)
	a.on("GET /v1/deployments/us", statusPlain)
	a.on("GET /v1/deployments/eu/versions", `[`+strings.Replace(versionEU, `"version":2`, `"version":4`, 1)+`,`+strings.Replace(versionEU, `"version":2`, `"version":3`, 1)+`,`+versionEU+`]`)
	a.on("GET /v1/deployments/eu/versions/2", versionEU)
	a.on("GET /v1/deployments/eu/versions/2?format=toml", "# two\n")
	a.on("GET /v1/deployments/eu/versions/3?format=toml", "# three\n")
	a.on("GET /v1/deployments/eu/versions/2/diff", "--- 2\n+++ 3\n")
	a.on("GET /v1/deployments/eu/versions/1/diff?with=4", "--- 1\n+++ 4\n")
	for _, c := range []struct {
		args   string
		code   int
		stdout string
		stderr string
	}{
		{"list", 0, `NAME  HOSTS                VERSION  CANARY     REQUESTS  ERRORS  P99    SINCE
eu    a.example,b.example  3        4 with 5%  1000      10      2.5ms  2026-01-02 03:04:05
us    *                    1        -          -         -       -      -
`, ""},
		{"list --json", 0, `"revision": 9`, ""},
		{"show eu", 0, `name       eu
hosts      a.example b.example
revision   5
version    3
canary     4 with 5%
steps      25% 100%, each 10m0s
next step  2026-01-02 04:14:05
migration  status from 1 to 2: copy, 1200 entries

serving   version 3            version 4
share     95%                  5%
requests  1000                 50
errors    10 (1%)              0 (0%)
traps     1                    0
p50       0.2ms                0.5ms
p99       2.5ms                3.0ms
since     2026-01-02 03:04:05  2026-01-02 04:04:05
`, ""},
		{"show us", 0, "last canary  version 2 was taken back: errors\n\nNo version serves.\n", ""},
		{"show eu --json", 0, `"phase": "copy"`, ""},
		{"show eu 2", 0, `deployment  eu
version     2
origin      deploy
by          ann@host
at          2026-01-02 03:04:05
message     a b
secret      signing/smtp_password, revision 2

PLUGIN   VERSION  SCHEMA  SIZE  DIGEST               SIGNER  SOURCE
signing  1.0      3       12    sha256:0123456789ab  KEY     embedded:signing

[[deployment]]
name = "eu"
`, ""},
		{"show --json eu 2", 0, `"by": "ann@host"`, ""},
		{"show eu 2 --toml", 0, "# two\n", ""},
		{"show eu --toml", 0, "# three\n", ""},
		{"show eu --toml --json", 2, "", "--toml or --json"},
		{"show eu 0", 2, "", `"0": want the number of a version`},
		{"show eu two", 2, "", `"two"`},
		{"show eu 1 2", 2, "", `unexpected argument "2"`},
		{"show eu 9", 1, "", "404"},
		{"show", 2, "", "want the name of a deployment"},
		{"versions eu", 0, `VERSION  STATE      AT                   ORIGIN  BY        MESSAGE
4        canary 5%  2026-01-02 03:04:05  deploy  ann@host  a b
3        current    2026-01-02 03:04:05  deploy  ann@host  a b
2        -          2026-01-02 03:04:05  deploy  ann@host  a b
`, ""},
		{"versions eu --json", 0, `"message": "a\nb"`, ""},
		{"versions no", 1, "", "404"},
		{"diff eu", 0, "--- 2\n+++ 3\n", ""},
		{"diff eu 2", 0, "--- 2\n+++ 3\n", ""},
		{"diff eu 1 4", 0, "--- 1\n+++ 4\n", ""},
		{"diff us", 1, "", "no version before"},
		{"watch us", 1, "taken back: errors", `the last canary of "us": version 2 was taken back: errors`},
		{"watch us --interval 1ms", 2, "", "--interval"},
		{"help", 0, "edgeset deploy rollback NAME [N]", ""},
		{"FILE --help", 0, "", "--canary"},
		{"rollback --help", 0, "", "--if-match"},
	} {
		a.run(append([]string{"deploy"}, strings.Fields(c.args)...)...).wants(t, c.code, c.stdout, c.stderr)
	}
	run(t, nil, "deploy").wants(t, 2, "", "edgeset deploy list")
}

func TestWatchEndsWithTheCanary(t *testing.T) {
	t.Parallel()
	a := newFakeAdmin(t)
	a.on("GET /v1/deployments/eu", statusEU, statusEU, strings.Replace(statusEU, `"share":0.05`, `"share":0.25`, 1),
		`{"name":"eu","hosts":["*"],"revision":7,"current":4,"serving":[],"ended":"version 4 was promoted"}`)
	f := a.run("deploy", "watch", "eu", "--interval", "100ms")
	f.wants(t, 0, "4 with 5%", "")
	if strings.Count(f.stdout, "4 with 5%") != 1 || !strings.Contains(f.stdout, "4 with 25%") || !strings.Contains(f.stdout, "version 4 was promoted") {
		t.Errorf("%v\nwant each state once", f)
	}
}

func TestChangesOfADeployment(t *testing.T) {
	t.Parallel()
	a := newFakeAdmin(t)
	for _, line := range []string{"POST /v1/deployments/eu/rollback", "POST /v1/deployments/eu/promote", "POST /v1/deployments/eu/abort", "DELETE /v1/deployments/eu"} {
		a.on(line, deployed)
	}
	for _, c := range []struct {
		args string
		line string
		body string // that it ends with
	}{
		{"rollback eu", "POST /v1/deployments/eu/rollback", `"}`},
		{"rollback eu 2 -m slow --insist", "POST /v1/deployments/eu/rollback", `"message":"slow","insist":true,"version":2}`},
		{"promote eu", "POST /v1/deployments/eu/promote", `"share":1}`},
		{"promote --to 25% eu", "POST /v1/deployments/eu/promote", `"share":0.25}`},
		{"abort eu --if-match 5", "POST /v1/deployments/eu/abort", `"}`},
		{"remove eu --yes -m gone", "DELETE /v1/deployments/eu?by=", ""},
	} {
		a.run(append([]string{"deploy"}, strings.Fields(c.args)...)...).wants(t, 0, "eu          swapped  4", "loading")
		got := a.requests()
		if len(got) != 1 || !strings.HasPrefix(got[0].line, c.line) || !strings.HasSuffix(got[0].body, c.body) {
			t.Errorf("%s: %+v", c.args, got)
		}
		if strings.Contains(c.args, "--if-match") && got[0].header.Get("If-Match") != `"5"` {
			t.Errorf("%s: %v", c.args, got[0].header)
		}
		if strings.HasPrefix(c.args, "remove") && !strings.Contains(got[0].line, "&message=gone") {
			t.Errorf("%s: %v", c.args, got[0].line)
		}
	}
	a.run("deploy", "remove", "eu").wants(t, 2, "", "want --yes")
	a.run("deploy", "promote", "eu", "--to", "0%").wants(t, 2, "", "--to")
	if sent := a.lines(); sent != nil {
		t.Errorf("%q", sent)
	}
	// A name is one segment of a path, whatever it is.
	a.run("deploy", "abort", "../x?y").wants(t, 1, "", "404")
	if sent := a.lines(); len(sent) != 1 || sent[0] != "POST /v1/deployments/..%2Fx%3Fy/abort" {
		t.Errorf("%q", sent)
	}
}

func TestACheckWithoutAHost(t *testing.T) {
	t.Parallel()
	edgeset(t)
	cache := filepath.Join(binary.dir, "cache")
	manifest := func(more string) string {
		return filepath.Join(written(t, map[string]string{
			"a.toml": "[[deployment]]\nname = \"eu\"\nhosts = [\"*\"]\n[[deployment.plugin]]\nname = \"sharing\"\nsource = \"embedded:sharing\"\n" + more,
			"b.wasm": "text",
		}), "a.toml")
	}
	a := newFakeAdmin(t)
	check := func(more string) finished {
		return a.run("deploy", manifest(more), "--check", "--offline", "--cache", cache)
	}
	const signing = "[[deployment.plugin]]\nname = \"signing\"\nsource = \"embedded:signing\"\n"
	f := check("grants = [\"kv\"]\n" + signing + "grants = [\"kv\", \"passwords\"]\nsecrets = [\"sms\"]\n")
	f.wants(t, 0, "DEPLOYMENT  PLUGIN   VERSION", "loading eu/sharing\n")
	if !strings.Contains(f.stdout, "\neu          sharing") || !strings.Contains(f.stdout, "\neu          signing") || !strings.Contains(f.stdout, "sha256:") {
		t.Errorf("%v", f)
	}
	check(signing).wants(t, 1, "", `plugin "signing": it needs grant "`)
	check("grants = [\"kv\"]\n").wants(t, 1, "", "no plugin of the deployment checks credentials")
	check("grants = [\"kv\"]\n[[deployment.plugin]]\nname = \"b\"\nsource = \"b.wasm\"\n").wants(t, 1, "", "not a WebAssembly module")
	if sent := a.lines(); sent != nil {
		t.Errorf("%q", sent)
	}
}

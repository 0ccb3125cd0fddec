package main_test

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// The way of an operator through all commands, with a server behind them.
func TestADeploymentFromOutside(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	eu := func(mark string) tinies { return tinies{name: "eu", mark: mark} }

	// The first version.
	f := s.deploy(eu("one"), "-m", "the first")
	f.wants(t, 0, "eu          created  1        -       ", "uploading p-one.wasm\n")
	for _, step := range []string{"finding eu/p: p-one.wasm\n", "loading eu/q\n", "checking\n", "recording\n", "swapping\n"} {
		if !strings.Contains(f.stderr, step) {
			t.Errorf("%v\nwant the step %q", f, step)
		}
	}
	s.wantMark("eu", "one")

	// A check changes nothing, and tells what would.
	before := s.status("eu")
	f = s.deploy(eu("two"), "--check")
	f.wants(t, 0, "eu          checked  -        1 ", "uploading p-two.wasm\n")
	if !strings.Contains(f.stdout, "\n-  source = \"p-one.wasm\"\n") && !strings.Contains(f.stdout, "\n-source = \"p-one.wasm\"\n") {
		t.Errorf("%v\nwant the diff", f)
	}
	s.wantMark("eu", "one")
	if after := s.status("eu"); after.Revision != before.Revision || after.Current != 1 || len(s.versions("eu")) != 1 {
		t.Errorf("%+v, and before %+v", after, before)
	}
	f = s.ok("deploy", s.manifest(eu("two")), "--check", "--offline")
	f.wants(t, 0, "eu          p       two ", "loading eu/p\n")

	// Lost updates.
	s.do("deploy", s.manifest(eu("two")), "--if-match", fmt.Sprint(before.Revision+7)).wants(t, 1, "", "412 Precondition Failed")
	s.wantMark("eu", "one")
	if got := s.outcomes(s.ok("deploy", s.manifest(eu("two")), "--if-match", fmt.Sprint(before.Revision), "--json")); fmt.Sprint(got) != "[eu swapped 2 1]" {
		t.Errorf("%q", got)
	}
	s.wantMark("eu", "two")
	if got := s.outcomes(s.ok("deploy", s.manifest(eu("two")), "--json")); fmt.Sprint(got) != "[eu unchanged 2 2]" {
		t.Errorf("%q", got)
	}

	// What is there.
	s.ok("deploy", "list").wants(t, 0, "eu     eu.test     2 ", "")
	s.ok("deploy", "show", "eu").wants(t, 0, "version   2\n", "")
	s.ok("deploy", "show", "eu", "1").wants(t, 0, "message     the first\n", "")
	s.ok("deploy", "show", "eu", "1", "--toml").wants(t, 0, `p-one.wasm`, "")
	s.ok("deploy", "diff", "eu").wants(t, 0, "--- eu@1\n+++ eu@2\n", "")
	s.ok("deploy", "diff", "eu", "2", "1").wants(t, 0, "--- eu@2\n+++ eu@1\n", "")
	if f := s.ok("deploy", "versions", "eu"); !strings.Contains(f.stdout, "\n2        current  ") || !strings.Contains(f.stdout, "\n1        -        ") {
		t.Errorf("%v", f)
	}

	// Back and forth.
	s.ok("deploy", "rollback", "eu", "-m", "two is slow").wants(t, 0, "eu          swapped  3        2 ", "loading eu/p\n")
	s.wantMark("eu", "one")
	s.ok("deploy", "rollback", "eu", "2").wants(t, 0, "eu          swapped  4        3 ", "swapping")
	s.wantMark("eu", "two")
	s.do("deploy", "rollback", "eu", "4").wants(t, 1, "", "version 4 serves already")
	s.do("deploy", "rollback", "eu", "77").wants(t, 1, "", "404 Not Found: rollout: deployment \"eu\": version 77: not found")
	s.do("deploy", "rollback", "nobody").wants(t, 1, "", `404 Not Found: rollout: deployment "nobody": not found`)
	s.do("deploy", "promote", "eu").wants(t, 1, "", "404 Not Found")
	s.do("deploy", "abort", "eu").wants(t, 1, "", "404 Not Found")

	// A restart serves the same.
	old := s.versions("eu")
	s.restart()
	s.wantMark("eu", "two")
	if list := s.versions("eu"); fmt.Sprint(list) != fmt.Sprint(old) || s.status("eu").Current != 4 {
		t.Errorf("%+v\nafter the restart, and before %+v", list, old)
	}

	// Gone, and back again.
	s.do("deploy", "remove", "eu").wants(t, 2, "", "want --yes")
	s.wantMark("eu", "two")
	s.ok("deploy", "remove", "eu", "--yes").wants(t, 0, "eu          removed  -        4 ", "swapping\n")
	s.wantMark("eu", "")
	s.restart()
	s.wantMark("eu", "")
	s.ok("deploy", "rollback", "eu").wants(t, 0, "eu          created  5        - ", "swapping\n")
	s.wantMark("eu", "two")

	// Who did all that.
	var told []string
	for _, e := range s.audit() {
		if e.Deployment != "eu" || e.By == "" || e.Remote != "127.0.0.1" || e.At.IsZero() {
			if e.By != "host" {
				t.Errorf("in the audit log: %+v", e)
			}
			continue
		}
		what := e.Action
		if e.Error != "" {
			what = "no " + what
		}
		told = append(told, what)
	}
	slices.Reverse(told)
	if got := strings.Join(told, ", "); !strings.HasPrefix(got, "deploy, ") || !strings.HasSuffix(got, "remove, rollback") || strings.Count(got, "deploy") < 2 {
		t.Errorf("the audit log tells of %s", got)
	}

	// Nobody is there.
	s.stop()
	for _, args := range [][]string{{"deploy", s.manifest(eu("three"))}, {"deploy", "list"}, {"deploy", "rollback", "eu"}, {"audit"}} {
		s.do(args...).wants(t, 1, "", s.admin+": connect: connection refused")
	}
	s.ok("deploy", s.manifest(eu("three")), "--check", "--offline").wants(t, 0, "eu          q       three ", "loading")
	s.start()
	s.wantMark("eu", "two")
}

// All that is wrong with a manifest is told at once, with its lines, before a plugin is
// sent.
func TestAManifestWithMistakesIsNotDeployed(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.deploy(tinies{name: "eu", mark: "one"})
	file := s.file("bad.toml", []byte(`
[[deployment]]
name = "eu"
hosts = ["eu.test", "http://eu.test"]
colour = "red"

[[deployment.plugin]]
name = "p"
source = "p-one.wasm"
digest = "sha256:12"
mount = "eu"
grants = ["kv", "fly"]
`))
	for _, flags := range [][]string{nil, {"--check"}, {"--check", "--offline"}} {
		f := s.do(append([]string{"deploy", file}, flags...)...)
		f.wants(t, 1, "", `want one of kv, passwords, events, blobs, mail, read:NAME, webhook:NAME`)
		for _, line := range []int{4, 5, 10, 11, 12} {
			if !strings.Contains(f.stderr, fmt.Sprintf("deploy: %s:%d: ", file, line)) {
				t.Errorf("%v\nwant a fault in line %d", f, line)
			}
		}
	}
	// Nor does the host itself take it, whoever sends it.
	status, text := s.post("/v1/deploy", fmt.Sprintf(`{"manifest": %q, "file": "their.toml"}`, "[[deployment]]\nname = \"eu\"\nhosts = [\"eu.test\"]\ncolour = \"red\"\n"))
	if status != 422 || !strings.Contains(text, "their.toml:4: ") {
		t.Errorf("%d %s\nwant 422 and the line", status, text)
	}
	s.wantMark("eu", "one")
	if st := s.status("eu"); st.Current != 1 {
		t.Errorf("%+v", st)
	}
	s.do("deploy", filepath.Join(s.dir, "none.toml")).wants(t, 1, "", "none.toml")
}

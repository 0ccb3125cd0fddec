package main_test

import (
	"fmt"
	"os"
	"regexp"
	"strings"
	"syscall"
	"testing"

	"github.com/edgeset/edgeset/host/wasmtest"
)

// What serves by default is a deployment like others.
func TestTheDefaultDeploymentIsReplaced(t *testing.T) {
	t.Parallel()
	s := siteOf(t, "")
	key := s.newApp()
	ann := s.client().newUser(key)
	ticket := ann.newTicket()
	if v := s.versions("default"); len(v) != 1 || v[0].Origin != "default" || v[0].Number != 1 || len(v[0].Plugins) < 4 {
		t.Errorf("%+v", v)
	}

	// The same with other settings: the state is that of the deployment.
	toml := s.ok("deploy", "show", "default", "--toml").stdout
	f := s.ok("deploy", s.file("same.toml", []byte(toml)), "--json")
	if got := s.outcomes(f); fmt.Sprint(got) != "[default unchanged 1 1]" {
		t.Errorf("%q, want what is shown to be the same", got)
	}
	changed := strings.Replace(toml, `name = "default"`, "name = \"default\"\ncores = 1.5", 1)
	if got := s.outcomes(s.ok("deploy", s.file("default.toml", []byte(changed)), "--json")); fmt.Sprint(got) != "[default swapped 2 1]" {
		t.Errorf("%q", got)
	}
	ann.get("/v2/tickets/" + ticket)

	// Another one altogether.
	s.file("p-one.wasm", tiny{name: "p", mark: "one"}.wasm())
	other := s.file("other.toml", []byte("[[deployment]]\nname = \"default\"\nhosts = [\"*\"]\n[[deployment.plugin]]\nname = \"p\"\nsource = \"p-one.wasm\"\n"))
	s.ok("deploy", other).wants(t, 0, "default     swapped  3        2 ", "swapping")
	for range 2 {
		if r, err := s.ask("anything", "/p"); err != nil || r.text("mark") != "one" {
			t.Errorf("%v, %v", r, err)
		}
		if r := ann.do("GET", "/v2/tickets/"+ticket, nil); r.status != 404 {
			t.Errorf("%v\nwant 404", r)
		}
		s.restart() // it is still that
	}
	s.ok("deploy", "rollback", "default", "2").wants(t, 0, "default     swapped  4        3 ", "swapping")
	ann.get("/v2/tickets/" + ticket)
	s.client().newUser(key)
	s.restart()
	ann.get("/v2/tickets/" + ticket)
}

// probes is a deployment of the probe, with a mark, for some hosts.
func probes(name, mark, hosts string) string {
	return fmt.Sprintf("[[deployment]]\nname = %q\nhosts = [%s]\n[[deployment.plugin]]\nname = \"probe\"\nsource = \"probe.wasm\"\n"+
		"grants = [\"kv\"]\ndeadline = \"30s\"\nmax_wait = \"30s\"\n[deployment.plugin.config]\nmark = %q\n", name, hosts, mark)
}

func TestDeploymentsShareNothingButTheHost(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.file("probe.wasm", wasmtest.Build(t, "host/rollout/testdata/probe"))
	f := s.ok("deploy", s.file("all.toml", []byte(probes("exact", "exact", `"a.wild.test", "b.test"`)+
		probes("wild", "wild", `"*.wild.test"`)+probes("deep", "deep", `"*.deep.wild.test"`)+probes("any", "any", `"*"`))), "--json")
	if got := s.outcomes(f); fmt.Sprint(got) != "[exact created 1 0 wild created 1 0 deep created 1 0 any created 1 0]" {
		t.Errorf("%q", got)
	}
	serves := func(host, mark string) {
		t.Helper()
		c := s.client()
		c.host = host
		if r := c.do("GET", "/p/mark", nil); r.text("first") != mark {
			t.Errorf("%s: %v\nwant deployment %s", host, r, mark)
		}
	}
	count := func(host, want string) {
		t.Helper()
		c := s.client()
		c.host = host
		if r := c.do("POST", "/p/count", nil); string(r.raw) != want {
			t.Errorf("%s: %v\nwant %s", host, r, want)
		}
	}
	for range 2 {
		for host, mark := range map[string]string{
			"a.wild.test": "exact", "A.Wild.Test": "exact", "a.wild.test:8080": "exact", "b.test": "exact", "b.wild.test": "wild", "x.a.wild.test": "wild",
			"x.deep.wild.test": "deep", "deep.wild.test": "wild", "wild.test": "any", "c.test": "any",
		} {
			serves(host, mark)
		}
		s.restart()
	}

	// State.
	count("b.test", "1")
	count("b.test", "2")
	count("x.wild.test", "1")
	count("a.wild.test", "3")

	// Metrics.
	_, metrics := s.probe("/metrics")
	for name, want := range map[string]int{"exact": 3, "wild": 1, "any": 0} {
		pattern := regexp.MustCompile(`(?m)^edgeset_requests_total\{[^}]*deployment="` + name + `"[^}]*route="POST /p/count"[^}]*\} (\d+)$`)
		found := "0"
		if m := pattern.FindStringSubmatch(metrics); m != nil {
			found = m[1]
		}
		if found != fmt.Sprint(want) {
			t.Errorf("the metrics tell of %s requests of %s, want %d", found, name, want)
		}
	}

	// A manifest that names one of them leaves the others alone.
	before := s.status("exact")
	s.ok("deploy", s.file("wild.toml", []byte(probes("wild", "wilder", `"*.wild.test"`))))
	serves("b.wild.test", "wilder")
	serves("b.test", "exact")
	if after := s.status("exact"); after.Revision != before.Revision || after.Current != 1 || !after.Serving[0].Since.Equal(before.Serving[0].Since) {
		t.Errorf("%+v, and before %+v", after, before)
	}
	s.ok("deploy", "remove", "deep", "--yes")
	serves("x.deep.wild.test", "wilder")
	count("x.deep.wild.test", "2")
	count("b.test", "4")

	// What no manifest names keeps its state.
	s.ok("deploy", "remove", "exact", "--yes")
	serves("b.test", "any")
	s.ok("deploy", "rollback", "exact")
	count("b.test", "5")
}

// hangUp rewrites the manifest that the server was started with, and tells it so.
func (s *site) hangUp(manifest string) {
	s.t.Helper()
	writeFile(s.t, s.args[len(s.args)-1], []byte(manifest))
	if err := s.process.Process.Signal(syscall.SIGHUP); err != nil {
		s.fatalf("%v", err)
	}
}

// logged waits until a text stands so often in the server's log.
func (s *site) logged(text string, times int) {
	s.t.Helper()
	s.until(fmt.Sprintf("the log says %q %d times", text, times), func() bool {
		log, err := os.ReadFile(s.log)
		return err == nil && strings.Count(string(log), text) >= times
	})
}

func TestTheManifestIsReadAgain(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	source := func(mark string) string {
		file := fmt.Sprintf("%s/p-%s.wasm", dir, mark)
		writeFile(t, file, tiny{name: "p", mark: mark}.wasm())
		return fmt.Sprintf("[[deployment.plugin]]\nname = \"p\"\nsource = %q\n", file)
	}
	manifest := func(name, mark string) string {
		return fmt.Sprintf("[[deployment]]\nname = %q\nhosts = [\"%s.test\"]\n%s", name, name, source(mark))
	}
	p := []string{"p"}
	s := siteOf(t, manifest("eu", "one")+manifest("us", "one"))
	serves := func(name, mark string) {
		t.Helper()
		s.until(fmt.Sprintf("%s answers with %q", name, mark), func() bool { return s.mark(tinies{name: name, plugins: p}) == mark })
	}
	serves("eu", "one")
	if v := s.versions("eu"); len(v) != 1 || v[0].Origin != "config" || v[0].By != "host" {
		t.Errorf("%+v", v)
	}
	tr := s.traffic("eu", "", "/p")

	// Of two that are changed and one that is new, and one with a mistake.
	s.hangUp(manifest("eu", "two") + manifest("us", "two") + manifest("asia", "one"))
	serves("asia", "one")
	serves("eu", "two")
	serves("us", "two")
	s.hangUp(manifest("eu", "three") + "colour = \"red\"\n")
	s.logged("the manifest was not reloaded", 1)
	s.hangUp(manifest("eu", "three") + strings.ReplaceAll(manifest("us", "three"), "p-three.wasm", "none.wasm"))
	s.logged("the manifest was not reloaded", 2)
	serves("eu", "two")

	// One that is taken out is gone; one that came through the admin API stays.
	s.deploy(tinies{name: "later", mark: "one", plugins: p})
	s.deploy(tinies{name: "eu", mark: "by-hand", plugins: p})
	serves("eu", "by-hand")
	s.hangUp(manifest("eu", "three") + manifest("us", "two"))
	serves("eu", "three")
	serves("asia", "")
	serves("us", "two")
	serves("later", "one")
	if st := s.status("us"); st.Current != 2 {
		t.Errorf("%+v\nwant us left alone", st)
	}
	if err := tr.stop(); err != nil {
		t.Error(err)
	}

	// A restart does not undo what was deployed by hand, and does what the manifest says
	// of the others.
	s.deploy(tinies{name: "eu", mark: "by-hand", plugins: p})
	s.stop()
	writeFile(t, s.args[len(s.args)-1], []byte(manifest("eu", "three")+manifest("us", "four")))
	s.start()
	serves("eu", "by-hand")
	serves("us", "four")
	serves("later", "one")
	s.logged("what the manifest says of it is not applied", 1)
	s.hangUp(manifest("eu", "three") + manifest("us", "four"))
	serves("eu", "three")
	// By hand again, and what was there before.
	s.ok("deploy", "rollback", "eu")
	serves("eu", "by-hand")
}

func TestPluginsStandBelowTheirMount(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	const plugin = "[[deployment.plugin]]\nname = %q\nsource = \"embedded:%s\"\ngrants = [\"kv\", \"passwords\", \"events\"]\n%s\n"
	manifest := "[[deployment]]\nname = \"default\"\nhosts = [\"*\"]\n" + fmt.Sprintf(plugin, "signing", "signing", "") + fmt.Sprintf(plugin, "sharing", "sharing", `mount = "/eu"`)
	s.ok("deploy", s.file("mount.toml", []byte(manifest)))
	user := s.client().newUser(s.newApp())
	r := user.post("/eu/v2/users/self/create_ticket", "duration", "14400000")
	ticket := r.text("response.id")
	invite := user.post("/eu/v2/tickets/"+ticket+"/create_invite", "type", "link")
	if want := "http://" + s.listen + "/eu/"; !strings.HasPrefix(invite.text("response.url"), want) {
		t.Errorf("%v\nwant a link below %s", invite, want)
	}
	link := strings.TrimPrefix(invite.text("response.url"), "http://"+s.listen)
	if !strings.HasSuffix(link, invite.text("response.id")) {
		t.Errorf("%v\nwant a link to the invite", invite)
	}
	s.client().get("/eu/v2/invites/" + invite.text("response.id"))
	if got := user.get("/eu/v2/users/self/tickets"); len(got.items("response.items")) != 1 {
		t.Errorf("%v", got)
	}
	// Errors have the form of the family that is mounted there, and nothing is left above.
	refused(t, user.do("GET", "/eu/v2/tickets/1", nil), 404, "ticket_id")
	refused(t, s.client().do("GET", "/eu/v2/tickets/"+ticket, nil), 401, "oauth_token")
	if r := user.do("GET", "/v2/tickets/"+ticket, nil); r.status != 404 {
		t.Errorf("%v\nwant 404", r)
	}

	// Mounted elsewhere it has the same state, and other links.
	s.ok("deploy", s.file("mount.toml", []byte(strings.Replace(manifest, `"/eu"`, `"/some/where"`, 1))))
	got := user.get("/some/where/v2/tickets/"+ticket, "invites", "true")
	if got.text("response.id") != ticket || !strings.Contains(string(got.raw), "/some/where/") || strings.Contains(string(got.raw), "/eu/") {
		t.Errorf("%v", got)
	}
	if r := user.do("GET", "/eu/v2/tickets/"+ticket, nil); r.status != 404 {
		t.Errorf("%v\nwant 404", r)
	}
}

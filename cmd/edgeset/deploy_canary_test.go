package main_test

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/host/wasmtest"
)

// The probe is a plugin for which a token is the name of an account. Its settings say
// what it answers. How long it takes on a busy machine is no reason to take it back.
const probeManifest = `
[[deployment]]
name = "eu"
hosts = ["eu.test"]
[deployment.canary]
min_requests = 40
max_p99 = 100.0
[[deployment.plugin]]
name = "probe"
source = "probe.wasm"
instances = 4
max_wait = "30s"
deadline = "30s"
grants = ["kv"]
[deployment.plugin.config]
mark = %q
fault = %q
`

// probeManifest writes the manifest of a version of the probe, with its plugin.
func (s *site) probeManifest(mark, fault string) string {
	s.t.Helper()
	s.file("probe.wasm", wasmtest.Build(s.t, "host/rollout/testdata/probe"))
	return s.file("probe.toml", fmt.Appendf(nil, probeManifest, mark, fault))
}

// probed is the mark that an account sees, "" if it is answered with 5xx.
func (s *site) probed(account string) string {
	s.t.Helper()
	r, err := s.ask("eu", "/p/mark", "Authorization", "Bearer "+account)
	switch {
	case err != nil:
		s.fatalf("%v", err)
	case r.status >= 500:
		return ""
	case r.status != 200 || r.text("account") != account || r.text("first") != r.text("last") || r.text("first") != r.header.Get("X-Mark"):
		s.fatalf("%v\nwant the whole answer of one version to %s", r, account)
	}
	return r.text("first")
}

var versionMetric = regexp.MustCompile(`(?m)^edgeset_version_(\w+)_total\{deployment="eu",role="(\w+)",version="(\d+)"\} (\d+)$`)

// counted are the metrics of the versions of deployment "eu", such as
// "requests canary 2".
func (s *site) counted() map[string]int {
	s.t.Helper()
	_, text := s.probe("/metrics")
	found := map[string]int{}
	for _, m := range versionMetric.FindAllStringSubmatch(text, -1) {
		n, err := strconv.Atoi(m[4])
		if err != nil {
			s.fatalf("%v", err)
		}
		found[m[1]+" "+m[2]+" "+m[3]] = n
	}
	return found
}

func TestACanaryGetsItsShareOfTheAccounts(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.ok("deploy", s.probeManifest("one", ""))
	s.ok("deploy", s.probeManifest("two", ""), "--canary", "20%").wants(t, 0, "eu          canary  2        1 ", "swapping")
	const accounts = 400
	seen := map[string]string{}
	ask := func() (asked map[string]int) {
		t.Helper()
		asked = map[string]int{}
		for i := range accounts {
			account := fmt.Sprint("user", i)
			mark := s.probed(account)
			if before := seen[account]; before != "" && before != mark {
				s.fatalf("%s is answered by %s, and before by %s", account, mark, before)
			}
			seen[account] = mark
			asked[mark]++
		}
		return asked
	}
	first := ask()
	if n := first["two"]; n < accounts/10 || n > accounts*3/10 || first["one"]+n != accounts {
		t.Errorf("%v of %d accounts, want about a fifth to have the canary", first, accounts)
	}
	if again := ask(); !maps.Equal(again, first) {
		t.Errorf("%v, and before %v", again, first)
	}
	got := s.counted()
	if got["requests current 1"] != 2*first["one"] || got["requests canary 2"] != 2*first["two"] || got["errors canary 2"] != 0 || got["traps canary 2"] != 0 {
		t.Errorf("metrics %v, and the clients have counted %v twice", got, first)
	}
	st := s.status("eu")
	if st.Current != 1 || st.Canary == nil || st.Canary.Version != 2 || st.Canary.Share != 0.2 || len(st.Serving) != 2 ||
		st.Serving[1].Requests != uint64(2*first["two"]) || st.Serving[1].P99 <= 0 || st.Serving[1].P50 > st.Serving[1].P99 {
		t.Errorf("%+v", st)
	}
	s.ok("deploy", "show", "eu").wants(t, 0, "canary    2 with 20%\n", "")
	s.ok("deploy", "versions", "eu").wants(t, 0, "canary 20%", "")
	s.do("deploy", s.probeManifest("three", "")).wants(t, 1, "", "version 2 is being tried as a canary: promote or abort it first")
	s.do("deploy", "rollback", "eu", "1").wants(t, 1, "", "409 Conflict")

	// A restart keeps it, and to whom it answers.
	s.restart()
	if again := ask(); !maps.Equal(again, first) {
		t.Errorf("%v after a restart, and before %v", again, first)
	}
	// Who has it keeps it when it is given to more.
	s.ok("deploy", "promote", "eu", "--to", "60%").wants(t, 0, "eu          shifted  2        1 ", "")
	had := maps.Clone(seen)
	clear(seen)
	if more := ask(); more["two"] < accounts/2 || more["one"] < accounts/4 {
		t.Errorf("%v of %d accounts, want about 60 %% to have the canary", more, accounts)
	}
	for account, mark := range had {
		if mark == "two" && seen[account] == "one" {
			t.Errorf("%s had the canary, and has it no more", account)
		}
	}
	s.ok("deploy", "abort", "eu", "-m", "seen enough").wants(t, 0, "eu          taken back  1        1 ", "")
	clear(seen)
	if all := ask(); all["one"] != accounts {
		t.Errorf("%v", all)
	}
	if st := s.status("eu"); st.Canary != nil || st.Ended != "version 2 was taken back: seen enough" || len(st.Serving) != 1 {
		t.Errorf("%+v", st)
	}
	if names := slices.Sorted(maps.Keys(s.counted())); strings.Contains(strings.Join(names, ","), "2") {
		t.Errorf("metrics of %q: want version 1 alone", names)
	}

	s.ok("deploy", s.probeManifest("two", ""), "--canary", "50%")
	s.ok("deploy", "promote", "eu").wants(t, 0, "eu          promoted  3        1 ", "")
	clear(seen)
	if all := ask(); all["two"] != accounts {
		t.Errorf("%v", all)
	}
	s.ok("deploy", "rollback", "eu").wants(t, 0, "eu          swapped  4        3 ", "loading")
	clear(seen)
	if all := ask(); all["one"] != accounts {
		t.Errorf("%v", all)
	}
}

// A canary that fails is taken back by the host, and says why, whichever way it fails.
func TestACanaryThatFailsIsTakenBack(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.forgive("as the manifest asks") // the trap
	s.ok("deploy", s.probeManifest("one", ""))
	for i, c := range []struct{ fault, why string }{
		{"error", "% of its "}, {"trap", "trapped"},
	} {
		s.ok("deploy", s.probeManifest("two", c.fault), "--canary", "30%")
		version := i + 2
		failed := map[string]bool{}
		n := 0
		s.until("the canary is taken back", func() bool {
			for range 20 {
				n++
				if account := fmt.Sprint("user", n%200); s.probed(account) == "" {
					failed[account] = true
				}
			}
			return s.status("eu").Canary == nil
		})
		st := s.status("eu")
		if st.Current != 1 || !strings.HasPrefix(st.Ended, fmt.Sprintf("version %d was taken back: ", version)) ||
			!strings.Contains(strings.ReplaceAll(st.Ended, " %", "%"), c.why) || !strings.Contains(st.Ended, "requests failed") {
			t.Errorf("%+v", st)
		}
		if len(failed) == 0 || len(failed) > 120 {
			t.Errorf("%d of 200 accounts had an error, want those that had the canary", len(failed))
		}
		for account := range failed {
			if got := s.probed(account); got != "one" {
				t.Errorf("%s is answered by %q", account, got)
			}
		}
		e := s.audit()[0]
		if e.Action != "abort" || e.By != "host" || e.Version != version || !strings.Contains(e.Message, "requests failed") {
			t.Errorf("in the audit log: %+v", e)
		}
		s.do("deploy", "watch", "eu").wants(t, 1, "last canary", "taken back")
	}
	s.restart()
	if st := s.status("eu"); st.Current != 1 || st.Canary != nil || !strings.Contains(st.Ended, "requests failed") {
		t.Errorf("%+v", st)
	}
}

// A canary that does well goes through its steps by itself.
func TestACanaryTakesItsSteps(t *testing.T) {
	t.Parallel()
	s := newSite(t)
	s.ok("deploy", s.probeManifest("one", ""))
	s.ok("deploy", s.probeManifest("two", ""), "--canary", "20%", "--steps", "50%,100%", "--every", "1s")
	n := 0
	asked := func() {
		for range 40 {
			n++
			if s.probed(fmt.Sprint("user", n%200)) == "" {
				s.fatalf("a request failed")
			}
		}
	}
	var shares []float64
	begin := time.Now()
	s.until("the canary takes over", func() bool {
		asked()
		st := s.status("eu")
		if st.Canary == nil {
			return true
		}
		if len(shares) == 0 || shares[len(shares)-1] != st.Canary.Share {
			shares = append(shares, st.Canary.Share)
		}
		return false
	})
	if took := time.Since(begin); took < 2*time.Second {
		t.Errorf("two steps of 1 s took %v", took)
	}
	if st := s.status("eu"); st.Current != 2 || st.Ended != "version 2 was promoted" || fmt.Sprint(shares) != "[0.2 0.5]" {
		t.Errorf("%+v, by way of %v", st, shares)
	}
	asked()
	if s.probed("ann") != "two" {
		t.Error("the version from before answers")
	}
	var told []string
	for _, e := range s.audit() {
		if e.Deployment == "eu" {
			told = append(told, fmt.Sprint(e.Action, " ", e.Version, " ", e.By == "host"))
		}
	}
	if fmt.Sprint(told) != "[promote 2 true promote 2 true deploy 2 false deploy 1 false]" {
		t.Errorf("the audit log tells of %q", told)
	}
	s.ok("deploy", "watch", "eu").wants(t, 0, "version 2 was promoted", "")
	s.restart()
	if s.probed("ann") != "two" || s.status("eu").Current != 2 {
		t.Error("a restart has another version serve")
	}
}

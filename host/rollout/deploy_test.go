package rollout

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/host/artifact"
)

func TestADeployMakesNumberedVersions(t *testing.T) {
	r := started(t)
	res := r.deploy(spec{name: "eu", mark: "a"})
	r.wants(res, "eu created 1 0")
	if res.Revision != 1 || res.Deployments[0].Swap == "" || res.Deployments[0].Diff != "" {
		t.Errorf("%+v", res)
	}
	r.wantMark("eu", "a")

	r.wants(r.deploy(spec{name: "eu", mark: "a"}), "eu unchanged 1 1")
	if _, revision := r.c.List(); revision != 1 {
		t.Errorf("a change that is none made revision %d", revision)
	}

	q := request(spec{name: "eu", mark: "b"})
	q.Check = true
	res = r.ask(q)
	r.wants(res, "eu checked 0 1")
	if !strings.Contains(res.Deployments[0].Diff, "-mark = \"a\"\n+mark = \"b\"\n") {
		t.Errorf("diff %s", res.Deployments[0].Diff)
	}
	r.wantMark("eu", "a")

	q.Check, q.Message, q.Remote = false, "for a try", "192.0.2.1"
	res = r.ask(q)
	r.wants(res, "eu swapped 2 1")
	r.wantMark("eu", "b")
	if res.Revision != 2 || !strings.Contains(res.Deployments[0].Diff, "--- eu@1\n+++ eu@2\n") {
		t.Errorf("%+v", res)
	}

	list, err := r.c.Versions(t.Context(), "eu")
	must(t, err)
	if len(list) != 2 {
		t.Fatalf("%+v", list)
	}
	v := list[0]
	if v.Number != 2 || v.Deployment != "eu" || v.Origin != FromDeploy || v.By != "ann" || v.Message != "for a try" || time.Since(v.At) > time.Hour {
		t.Errorf("%+v", v)
	}
	want := Plugin{Name: "probe", Source: "embedded:probe", Digest: string(artifact.DigestOf(probe(t, "one"))), Size: int64(len(probe(t, "one"))), Version: "one", Signer: byHost}
	if len(v.Plugins) != 1 || v.Plugins[0] != want || !strings.Contains(v.Manifest, want.Digest) {
		t.Errorf("%+v", v)
	}
	if one, err := r.c.Version(t.Context(), "eu", 1); err != nil || fmt.Sprint(*one) != fmt.Sprint(list[1]) || one.Number != 1 {
		t.Errorf("%+v, %v", one, err)
	}
	s := r.status("eu")
	if s.Current != 2 || s.Revision != 2 || len(s.Serving) != 1 || s.Serving[0].Version != 2 || s.Serving[0].Requests != 1 || fmt.Sprint(s.Hosts) != "[eu.test]" || s.Canary != nil {
		t.Errorf("%+v", s)
	}
	audit, err := r.c.Audit(t.Context(), "", 10)
	must(t, err)
	if len(audit) != 2 || audit[0].Action != "deploy" || audit[0].Version != 2 || audit[0].Message != "for a try" || audit[0].Remote != "192.0.2.1" || audit[0].ID <= audit[1].ID {
		t.Errorf("%+v", audit)
	}
	for _, number := range []int{0, -1, 3, 1 << 40} {
		_, err := r.c.Version(t.Context(), "eu", number)
		refused(t, err, ErrNotFound)
	}
	_, err = r.c.Versions(t.Context(), "e")
	refused(t, err, ErrNotFound)
}

func TestNothingChangesIfOneDeploymentOfAManifestIsBad(t *testing.T) {
	r := started(t)
	r.deploy(spec{name: "eu", mark: "a"}, spec{name: "us", mark: "a"})
	good, other := spec{name: "eu", mark: "b"}, spec{name: "asia", mark: "a"}
	no := filepath.Join(t.TempDir(), "no.wasm")
	_, err := r.library.Put([]byte("no Wasm"))
	must(t, err)
	uploads := map[string]Upload{
		"no.wasm":     {Digest: string(artifact.DigestOf([]byte("no Wasm")))},
		"absent.wasm": {Digest: string(artifact.DigestOf([]byte("absent")))},
		"odd.wasm":    {Digest: "sha256:../../x"},
	}
	for _, f := range []struct {
		bad  spec
		want []string
	}{
		{spec{name: "us", mark: "b", source: no}, []string{`deployment "us"`, `plugin "probe"`, "not uploaded"}},
		{spec{name: "us", mark: "b", source: "no.wasm"}, []string{`deployment "us"`, `plugin "probe"`}},
		{spec{name: "us", mark: "b", source: "absent.wasm"}, []string{`deployment "us"`, "was not uploaded"}},
		{spec{name: "us", mark: "b", source: "odd.wasm"}, []string{`deployment "us"`, "sha256:../../x"}},
		{spec{name: "us", mark: "b", source: "embedded:nobody"}, []string{`deployment "us"`, "probe"}},
		{spec{name: "us", mark: "b", source: "oci://127.0.0.1:1/x:1"}, []string{`deployment "us"`, "127.0.0.1:1"}},
		{spec{name: "us", mark: "b", plugin: `digest = "sha256:` + strings.Repeat("0", 64) + `"`}, []string{`deployment "us"`, "want digest sha256:0000"}},
		{spec{name: "us", mark: "b", plugin: `mount = "us"`}, []string{"m.toml:"}},
		{spec{name: "us", mark: "b", plugin: `secrets = ["absent"]`}, []string{`deployment "us"`, "absent"}},
		{spec{name: "us", mark: "b", hosts: "eu.test"}, []string{`"eu.test"`, `deployment "eu"`}},
		{spec{name: "other", mark: "b", hosts: "us.test"}, []string{`"us.test"`, `deployment "us"`}}, // of one that serves
	} {
		q := request(good, f.bad, other)
		q.Uploads = uploads
		_, err := r.c.Deploy(t.Context(), q)
		refused(t, err, nil, f.want...)
		r.wantMark("eu", "a")
		r.wantMark("us", "a")
		if list, revision := r.c.List(); len(list) != 2 || revision != 1 || list[0].Revision != 1 {
			t.Fatalf("%+v, revision %d", list, revision)
		}
		if audit, err := r.c.Audit(t.Context(), "", 1); err != nil || strings.Contains(f.want[0], "deployment") && !strings.Contains(audit[0].Error, f.want[0]) {
			t.Errorf("%+v, %v", audit, err)
		}
	}
	// Numbers are not used up by what was refused.
	r.wants(r.deploy(good, other), "eu swapped 2 1", "asia created 1 0")
	r.wantMark("us", "a")
	r.restart()
	for name, want := range map[string]string{"eu": "b", "us": "a", "asia": "a"} {
		r.wantMark(name, want)
	}
}

func TestPluginsOfFilesAndWhatIsDifferentInThem(t *testing.T) {
	r := started(t)
	var digests []string
	for _, build := range []string{"one", "two"} {
		d, err := r.library.Put(probe(t, build))
		must(t, err)
		digests = append(digests, string(d))
	}
	q := request(spec{name: "eu", mark: "a", source: "probe.wasm"})
	for i, want := range []string{"eu created 1 0", "eu swapped 2 1", "eu unchanged 2 2"} {
		q.Uploads = map[string]Upload{"probe.wasm": {Digest: digests[min(i, 1)]}}
		r.wants(r.ask(q), want)
		if a, err := r.call("GET /p/mark", "eu.test"); err != nil || a.Build != []string{"one", "two", "two"}[i] {
			t.Errorf("%+v, %v", a, err)
		}
	}
	// An older version is rebuilt of what it was built of.
	_, err := r.c.Rollback(t.Context(), "eu", 1, Change{})
	must(t, err)
	if a, err := r.call("GET /p/mark", "eu.test"); err != nil || a.Build != "one" {
		t.Errorf("%+v, %v", a, err)
	}
	r.restart()
	if a, err := r.call("GET /p/mark", "eu.test"); err != nil || a.Build != "one" {
		t.Errorf("%+v, %v", a, err)
	}
}

func TestAChangeOfWhatSomebodyElseHasChangedIsRefused(t *testing.T) {
	r := started(t)
	r.deploy(spec{name: "eu", mark: "a"})
	r.deploy(spec{name: "us", mark: "a"})
	r.deploy(spec{name: "us", mark: "b"}) // the host is at 3, eu at 1, us at 3
	q := request(spec{name: "eu", mark: "b"})
	q.Expect = 2
	_, err := r.c.Deploy(t.Context(), q)
	refused(t, err, ErrStale, "3", "2")
	_, err = r.c.Rollback(t.Context(), "us", 1, Change{Expect: 2})
	refused(t, err, ErrStale)
	_, err = r.c.Remove(t.Context(), "eu", Change{Expect: 3})
	refused(t, err, ErrStale)
	_, err = r.c.Promote(t.Context(), "us", 1, Change{Expect: 1})
	refused(t, err, ErrStale)
	q.Expect = 3
	r.ask(q)
	if s := r.status("eu"); s.Revision != 4 {
		t.Errorf("%+v", s)
	}
	_, err = r.c.Rollback(t.Context(), "us", 1, Change{Expect: 3})
	must(t, err)
	r.wantMark("us", "a")
	r.restart()
	if list, revision := r.c.List(); revision != 5 || list[0].Revision != 4 || list[1].Revision != 5 {
		t.Errorf("%+v, %d", list, revision)
	}
}

func TestARollbackMakesANewVersion(t *testing.T) {
	r := started(t)
	r.deploy(spec{name: "eu", mark: "a"})
	_, err := r.c.Rollback(t.Context(), "eu", 0, Change{})
	refused(t, err, ErrRefused, "no version served before")
	_, err = r.c.Rollback(t.Context(), "eu", 1, Change{})
	refused(t, err, ErrRefused, "serves already")
	_, err = r.c.Rollback(t.Context(), "nobody", 0, Change{})
	refused(t, err, ErrNotFound, `"nobody"`)
	r.deploy(spec{name: "eu", mark: "b"})
	r.deploy(spec{name: "eu", mark: "c"})
	for _, f := range []struct {
		to   int
		want string
		mark string
	}{
		{0, "eu swapped 4 3", "b"}, {0, "eu swapped 5 4", "c"}, {1, "eu swapped 6 5", "a"}, {4, "eu swapped 7 6", "b"},
		{2, "eu swapped 8 7", "b"}, // the same again is a version as well
	} {
		res, err := r.c.Rollback(t.Context(), "eu", f.to, Change{By: "bob"})
		must(t, err)
		r.wants(res, f.want)
		r.wantMark("eu", f.mark)
	}
	v, err := r.c.Version(t.Context(), "eu", 7)
	must(t, err)
	if v.Origin != FromRollback || v.By != "bob" || v.Message != "back to version 4" {
		t.Errorf("%+v", v)
	}
	_, err = r.c.Rollback(t.Context(), "eu", 9, Change{})
	refused(t, err, ErrNotFound, "version 9")
}

func TestARemovedDeploymentCanBeBroughtBack(t *testing.T) {
	r := started(t)
	r.deploy(spec{name: "eu", mark: "a"})
	r.deploy(spec{name: "eu", mark: "b"}, spec{name: "us", mark: "b"})
	count := func() string {
		t.Helper()
		a, err := r.call("POST /p/count", "eu.test")
		must(t, err)
		return fmt.Sprint(a.status, a.text)
	}
	if got := count(); got != "2001" {
		t.Fatal(got)
	}
	res, err := r.c.Remove(t.Context(), "eu", Change{})
	must(t, err)
	r.wants(res, "eu removed 0 2")
	if m := r.mark("eu"); m != "" {
		t.Errorf("it still answers: %s", m)
	}
	_, err = r.c.Remove(t.Context(), "eu", Change{})
	refused(t, err, ErrNotFound)
	if list, _ := r.c.List(); len(list) != 1 || list[0].Name != "us" {
		t.Errorf("%+v", list)
	}
	r.restart()
	if m := r.mark("eu"); m != "" {
		t.Errorf("a restart brings it back: %s", m)
	}
	if s := r.status("eu"); s.Current != 0 || len(s.Serving) != 0 || s.Revision != 3 {
		t.Errorf("%+v", s)
	}
	res, err = r.c.Rollback(t.Context(), "eu", 0, Change{})
	must(t, err)
	r.wants(res, "eu created 3 0")
	r.wantMark("eu", "b")
	if got := count(); got != "2002" {
		t.Errorf("its state: %s", got)
	}
	if list, err := r.c.Versions(t.Context(), "eu"); err != nil || len(list) != 3 {
		t.Errorf("%+v, %v", list, err)
	}
	_, err = r.c.Remove(t.Context(), "nobody", Change{})
	refused(t, err, ErrNotFound)
}

func TestVersionsAreKeptAsLongAsOneMayWantThem(t *testing.T) {
	r := started(t)
	r.deploy(spec{name: "eu", mark: "first"})
	// A canary that was taken back makes a version, and version 1 serves on.
	for n := 2; n <= keptVersions; n++ {
		q := request(spec{name: "eu", mark: fmt.Sprint(n)})
		q.Canary = &Canary{Share: 0.5}
		r.ask(q)
		_, err := r.c.Abort(t.Context(), "eu", Change{})
		must(t, err)
	}
	r.wants(r.deploy(spec{name: "eu", mark: "last"}), fmt.Sprintf("eu swapped %d 1", keptVersions+1))
	res, err := r.c.Rollback(t.Context(), "eu", 0, Change{}) // to version 1
	must(t, err)
	r.wants(res, fmt.Sprintf("eu swapped %d %d", keptVersions+2, keptVersions+1))
	r.wantMark("eu", "first")
	_, err = r.c.Rollback(t.Context(), "eu", 2, Change{})
	refused(t, err, ErrNotFound, "version 2", "the last 100")
	_, err = r.c.Rollback(t.Context(), "eu", 3, Change{})
	must(t, err)
	r.wantMark("eu", "3")
}

func TestAChangeThatIsGivenUpChangesNothing(t *testing.T) {
	r := started(t)
	r.deploy(spec{name: "eu", mark: "a"})
	stages := map[string]int{}
	q := request(spec{name: "eu", mark: "b"})
	q.Check, q.Progress = true, func(e Event) { stages[e.Stage]++ }
	r.ask(q)
	for _, stage := range []string{"resolve", "load", "check"} {
		if stages[stage] == 0 {
			t.Fatalf("no event %q in %v", stage, stages)
		}
		ctx, cancel := context.WithCancelCause(t.Context())
		gone := errors.New("the operator went away")
		q := request(spec{name: "eu", mark: "b"})
		q.Progress = func(e Event) {
			if e.Stage == stage {
				cancel(gone)
			}
		}
		if _, err := r.c.Deploy(ctx, q); err == nil {
			t.Errorf("%s: it was deployed", stage)
		}
		r.wantMark("eu", "a")
		if s := r.status("eu"); s.Current != 1 || s.Revision != 1 {
			t.Errorf("%s: %+v", stage, s)
		}
	}
	// What waits for its turn can be given up as well.
	q = request(spec{name: "eu", mark: "b"})
	q.Progress = func(e Event) {
		if e.Stage == "check" {
			ctx, cancel := context.WithTimeout(t.Context(), 10*time.Millisecond)
			defer cancel()
			if _, err := r.c.Remove(ctx, "eu", Change{}); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%v", err)
			}
		}
	}
	r.wants(r.ask(q), "eu swapped 2 1")
}

func TestAClosedControllerTakesNoChange(t *testing.T) {
	r := started(t)
	r.deploy(spec{name: "eu", mark: "a"})
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	must(t, r.gateway.Shutdown(ctx))
	must(t, <-r.served)
	must(t, r.c.Close(ctx))
	_, err := r.c.Deploy(ctx, request(spec{name: "eu", mark: "b"}))
	refused(t, err, ErrRefused, "stopping")
	must(t, r.store.Close())
	r.open()
	must(t, r.start("", FromDefault))
	r.wantMark("eu", "a")
}

func TestAPluginThatCannotBeReadAnyMore(t *testing.T) {
	r := started(t)
	two, err := r.library.Put(probe(t, "two"))
	must(t, err)
	q := request(spec{name: "eu", mark: "a", source: "two.wasm"})
	q.Uploads = map[string]Upload{"two.wasm": {Digest: string(two)}}
	r.ask(q)
	r.deploy(spec{name: "eu", mark: "b"})
	file := filepath.Join(r.dir, "plugins", two.Hex()+".wasm")
	must(t, os.WriteFile(file, []byte("damaged"), 0o600))
	r.forget()
	_, err = r.c.Rollback(t.Context(), "eu", 1, Change{})
	refused(t, err, nil, `plugin "probe"`, "damaged")
	must(t, os.Remove(file))
	_, err = r.c.Rollback(t.Context(), "eu", 1, Change{})
	refused(t, err, nil, `plugin "probe"`, "not in the library any more")
	r.wantMark("eu", "b")
}

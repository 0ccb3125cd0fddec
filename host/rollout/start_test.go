package rollout

import (
	"context"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/edgeset/edgeset/host/artifact"
	"github.com/edgeset/edgeset/host/deploy"
)

// again is the end of the process, and the next one with a manifest.
func (r *rig) again(manifest, origin string) error {
	r.t.Helper()
	r.close()
	r.open()
	return r.start(manifest, origin)
}

func (r *rig) origin(name string) string {
	r.t.Helper()
	v, err := r.c.Version(r.t.Context(), name, r.status(name).Current)
	must(r.t, err)
	return v.Origin
}

func TestTheDefaultIsForAHostThatHasServedNothing(t *testing.T) {
	r := newRig(t)
	def := manifest(spec{name: "default", mark: "default"})
	must(t, r.start(def, FromDefault))
	r.wantMark("default", "default")
	if s := r.status("default"); s.Current != 1 || s.Revision != 1 || r.origin("default") != FromDefault {
		t.Errorf("%+v", s)
	}
	must(t, r.again(def, FromDefault))
	if s := r.status("default"); s.Current != 1 || s.Revision != 1 {
		t.Errorf("an equal start made a version: %+v", s)
	}
	// A host with other plugins in it.
	r.embedded = fstest.MapFS{"probe.wasm": {Data: probe(t, "two")}}
	must(t, r.again(def, FromDefault))
	if a, err := r.call("GET /p/mark", "default.test"); err != nil || a.Build != "two" || r.status("default").Current != 2 {
		t.Errorf("%+v, %v", a, err)
	}
	r.wants(r.deploy(spec{name: "default", mark: "mine"}), "default swapped 3 2")
	must(t, r.again(def, FromDefault))
	r.wantMark("default", "mine")
	_, err := r.c.Remove(t.Context(), "default", Change{})
	must(t, err)
	r.deploy(spec{name: "eu", mark: "a"})
	must(t, r.again(def, FromDefault))
	if m := r.mark("default"); m != "" {
		t.Errorf("what was removed is back: %s", m)
	}
	r.wantMark("eu", "a")
}

func TestAManifestOfTheHostAndWhatWasDeployedSince(t *testing.T) {
	r := newRig(t)
	must(t, r.start(manifest(spec{name: "eu", mark: "a"}, spec{name: "us", mark: "a"}, spec{name: "old", mark: "a"}), FromConfig))
	r.wantMark("us", "a")
	r.deploy(spec{name: "eu", mark: "deployed"}, spec{name: "own", mark: "deployed"})
	// eu was changed through the API, us comes from the manifest, old is not in it any more.
	next := manifest(spec{name: "eu", mark: "b"}, spec{name: "us", mark: "b"}, spec{name: "new", mark: "b"})
	must(t, r.again(next, FromConfig))
	for name, want := range map[string]string{"eu": "deployed", "own": "deployed", "us": "b", "new": "b", "old": ""} {
		r.wantMark(name, want)
	}
	if !strings.Contains(r.log.String(), "SIGHUP applies it") {
		t.Error("nobody was told")
	}
	if s := r.status("us"); s.Current != 2 || r.origin("us") != FromConfig {
		t.Errorf("%+v", s)
	}
	if s := r.status("old"); s.Current != 0 {
		t.Errorf("%+v", s)
	}

	// Reload applies it, and takes away what came from it.
	m, err := deploy.ParseManifest("host.toml", manifest(spec{name: "eu", mark: "c"}, spec{name: "us", mark: "c"}))
	must(t, err)
	must(t, r.c.Reload(t.Context(), m))
	for name, want := range map[string]string{"eu": "c", "own": "deployed", "us": "c", "new": ""} {
		r.wantMark(name, want)
	}
	if r.origin("eu") != FromConfig || r.origin("own") != FromDeploy {
		t.Errorf("%s, %s", r.origin("eu"), r.origin("own"))
	}
	_, before := r.c.List()
	must(t, r.c.Reload(t.Context(), m))
	if _, revision := r.c.List(); revision != before {
		t.Errorf("the same manifest made revision %d of %d", revision, before)
	}
	m.Deployments[1].Hosts = []string{"eu.test"}
	refused(t, r.c.Reload(t.Context(), m), nil, "eu.test")
	r.wantMark("us", "c")
	// A rollback counts as a change through the API.
	_, err = r.c.Rollback(t.Context(), "us", 1, Change{})
	must(t, err)
	must(t, r.again(next, FromConfig))
	r.wantMark("us", "a")
	r.wantMark("eu", "b")
}

func TestAFileThatIsGoneAtTheStart(t *testing.T) {
	r := newRig(t)
	file := filepath.Join(t.TempDir(), "probe.wasm")
	must(t, os.WriteFile(file, probe(t, "one"), 0o600))
	must(t, r.start(manifest(spec{name: "eu", mark: "a", source: file}), FromConfig))
	must(t, os.Remove(file))
	must(t, r.again(manifest(spec{name: "eu", mark: "a", source: file}), FromConfig))
	r.wantMark("eu", "a")
	if s := r.status("eu"); s.Current != 1 || !strings.Contains(r.log.String(), "cannot be read anew") {
		t.Errorf("%+v", s)
	}
	// What the manifest asks for anew cannot be had.
	if err := r.again(manifest(spec{name: "eu", mark: "b", source: file}), FromConfig); err == nil || !strings.Contains(err.Error(), file) {
		t.Fatalf("%v", err)
	}
	must(t, r.again("", FromDefault))
	r.wantMark("eu", "a")
}

func TestAVersionThatCannotBeLoadedDoesNotStopTheOthers(t *testing.T) {
	r := started(t)
	two, err := r.library.Put(probe(t, "two"))
	must(t, err)
	q := request(spec{name: "eu", mark: "a", source: "two.wasm"}, spec{name: "us", mark: "a"})
	q.Uploads = map[string]Upload{"two.wasm": {Digest: string(two)}}
	r.ask(q)
	r.try(spec{name: "eu", mark: "b"}, Canary{Share: 0.5}) // which could be loaded
	q = request(spec{name: "us", mark: "b", source: "two.wasm"})
	q.Uploads, q.Canary = map[string]Upload{"two.wasm": {Digest: string(two)}}, &Canary{Share: 0.999999}
	r.ask(q)
	file := filepath.Join(r.dir, "plugins", two.Hex()+".wasm")
	must(t, os.WriteFile(file, []byte("damaged"), 0o600))
	r.forget()
	r.wantMark("us", "a")
	if m := r.mark("eu"); m != "" {
		t.Errorf("eu is answered by %s", m)
	}
	s := r.status("eu")
	if s.Current != 1 || len(s.Serving) != 0 || s.Canary != nil || !strings.Contains(r.log.String(), "does not serve") {
		t.Errorf("%+v", s)
	}
	if s := r.status("us"); s.Current != 1 || s.Canary != nil {
		t.Errorf("%+v", s)
	}
	r.wants(r.deploy(spec{name: "eu", mark: "c"}), "eu created 3 1")
	r.wantMark("eu", "c")
	// The bytes come back with the next deploy of them.
	must(t, os.Remove(file))
	_, err = r.library.Put(probe(t, "two"))
	must(t, err)
	res, err := r.c.Rollback(t.Context(), "eu", 1, Change{})
	must(t, err)
	r.wants(res, "eu swapped 4 3")
}

func TestAStartThatFailsLeavesNothingLoaded(t *testing.T) {
	r := started(t)
	two, err := r.library.Put(probe(t, "two"))
	must(t, err)
	r.deploy(spec{name: "asia", mark: "a"})
	for name, list := range map[string][]spec{
		"a host that is taken": {{name: "eu", mark: "a"}, {name: "us", mark: "a", hosts: "asia.test"}},
		"a plugin of another name": {{name: "eu", mark: "a"}, {name: "us", mark: "a", source: filepath.Join(r.dir, "plugins", two.Hex()+".wasm"),
			more: "[[deployment.plugin]]\nname = \"other\"\nsource = \"embedded:probe\"\n"}},
	} {
		if err := r.again(manifest(list...), FromConfig); err == nil {
			t.Fatalf("%s: it has started", name)
		}
		r.nothingLoaded()
		if list, revision := r.c.List(); len(list) != 0 || revision != 1 {
			t.Errorf("%s: %+v, %d", name, list, revision)
		}
	}
	must(t, r.again("", FromDefault))
	r.wantMark("asia", "a")
}

func TestWhatNoVersionNeedsIsDropped(t *testing.T) {
	r := started(t)
	r.deploy(spec{name: "eu", mark: "a"})
	used := artifact.DigestOf(probe(t, "one"))
	fresh, err := r.library.Put([]byte("just uploaded"))
	must(t, err)
	old, err := r.library.Put([]byte("long ago"))
	must(t, err)
	for _, d := range []artifact.Digest{used, old} {
		file := filepath.Join(r.dir, "plugins", d.Hex()+".wasm")
		past := r.status("eu").Serving[0].Since.Add(-2 * unusedTime)
		must(t, os.Chtimes(file, past, past))
	}
	_, err = r.c.Remove(t.Context(), "eu", Change{}) // its versions may be asked for again
	must(t, err)
	r.c.prune(t.Context())
	if !r.library.Has(used) || !r.library.Has(fresh) || r.library.Has(old) {
		t.Errorf("used %v, fresh %v, old %v", r.library.Has(used), r.library.Has(fresh), r.library.Has(old))
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	r.c.prune(ctx)
}

package gateway

import (
	"log/slog"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/host/deploy"
)

func TestAVersionIsProbedBeforeItServes(t *testing.T) {
	c := Config{Store: openStore(t), Log: slog.New(slog.DiscardHandler)}
	d := load(t, trial("api.example"))
	before := runtime.NumGoroutine()
	for _, f := range []struct {
		name  string
		probe deploy.ProbeSpec
		want  string // "": it answers as it should
	}{
		{"it answers", deploy.ProbeSpec{Path: "/t/items/none", Status: 404}, ""},
		{"another status", deploy.ProbeSpec{Path: "/t/items/none", Status: 200}, `probe "/t/items/none": answered with status 404, want 200: `},
		{"no such path", deploy.ProbeSpec{Path: "/x", Status: 200}, `answered with status 404, want 200: {"error"`},
		{"no credential", deploy.ProbeSpec{Path: "/t/private", Status: 401, Contains: "unauthenticated"}, ""},
		{"another text", deploy.ProbeSpec{Path: "/t/private", Status: 401, Contains: "welcome"}, `the answer does not contain "welcome": {"fault"`},
		{"a trap", deploy.ProbeSpec{Path: "/t/trap", Status: 200}, "answered with status 500, want 200"},
	} {
		t.Run(f.name, func(t *testing.T) {
			probed := *d
			probed.Spec.Probes = []deploy.ProbeSpec{f.probe}
			err := Probe(t.Context(), c, &probed)
			if f.want == "" && err != nil || f.want != "" && (err == nil || !strings.Contains(err.Error(), f.want)) {
				t.Errorf("got  %v\nwant %s", err, f.want)
			}
		})
	}
	for end := time.Now().Add(10 * time.Second); runtime.NumGoroutine() > before+2; time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("%d goroutines, and %d before", runtime.NumGoroutine(), before)
		}
	}
}

func TestAProbeWritesNothing(t *testing.T) {
	d := *load(t, trial())
	for path, want := range map[string]string{
		"/t/writes/k": "the route GET /t/writes/:key writes: want one that only reads",
		"/t/write/k":  "want 200", // a write of a route that is declared to read only fails
	} {
		d.Spec.Probes = []deploy.ProbeSpec{{Path: path, Status: 200}}
		s := openStore(t)
		err := Probe(t.Context(), Config{Store: s, Log: slog.New(slog.DiscardHandler)}, &d)
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", path, err)
		}
		if spaces, err := s.Spaces(t.Context()); err != nil || len(spaces) > 0 {
			t.Errorf("%s: something was written: %q, %v", path, spaces, err)
		}
	}
}

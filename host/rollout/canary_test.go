package rollout

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/host/deploy"
	"github.com/edgeset/edgeset/host/gateway"
)

// try deploys a canary.
func (r *rig) try(s spec, n Canary) *Result {
	r.t.Helper()
	q := request(s)
	q.Canary = &n
	return r.ask(q)
}

func TestACanaryGetsItsShareOfTheClients(t *testing.T) {
	r := started(t)
	r.deploy(spec{name: "eu", mark: "a"})
	r.wants(r.try(spec{name: "eu", mark: "b"}, Canary{Share: 0.25}), "eu canary 2 1")
	s := r.status("eu")
	if s.Current != 1 || s.Canary == nil || s.Canary.Version != 2 || s.Canary.Share != 0.25 || len(s.Serving) != 2 || s.Serving[1].Version != 2 {
		t.Fatalf("%+v", s)
	}
	client := func(i int) []string {
		if i%2 == 0 {
			return []string{"Authorization", fmt.Sprintf("Bearer account%d", i)}
		}
		return []string{"X-Forwarded-For", fmt.Sprintf("192.0.2.%d", i)}
	}
	marks := func(n int) (list []string, share float64) {
		t.Helper()
		for i := range n {
			m := r.mark("eu", client(i)...)
			list = append(list, m)
			if m == "b" {
				share += 1 / float64(n)
			}
		}
		return list, share
	}
	const clients = 250
	first, share := marks(clients)
	if share < 0.15 || share > 0.35 {
		t.Errorf("a share of %v", share)
	}
	again, _ := marks(clients)
	for i := range first {
		if first[i] != again[i] {
			t.Fatalf("%v was answered by %s, and now by %s", client(i), first[i], again[i])
		}
		// Accounts keep to a version wherever they call from.
		if i%2 == 0 {
			if m := r.mark("eu", append(client(i), "X-Forwarded-For", "198.51.100.7")...); m != first[i] {
				t.Fatalf("account %d: %s, and from another address %s", i, first[i], m)
			}
		}
	}
	s = r.status("eu")
	if a, b := s.Serving[0].Requests, s.Serving[1].Requests; a+b < 2*clients || b < clients/5 || s.Serving[1].Errors != 0 {
		t.Errorf("%+v", s.Serving)
	}

	q := request(spec{name: "eu", mark: "c"})
	_, err := r.c.Deploy(t.Context(), q)
	refused(t, err, ErrRefused, "version 2 is being tried")
	_, err = r.c.Rollback(t.Context(), "eu", 1, Change{})
	refused(t, err, ErrRefused)

	res, err := r.c.Promote(t.Context(), "eu", 0.6, Change{})
	must(t, err)
	r.wants(res, "eu shifted 2 1")
	more, share := marks(clients)
	if share < 0.5 || share > 0.7 {
		t.Errorf("a share of %v", share)
	}
	for i := range first {
		if first[i] == "b" && more[i] != "b" {
			t.Errorf("%v has lost the canary that others were given", client(i))
		}
	}

	// It survives a restart, with the same clients.
	r.restart()
	again, _ = marks(clients)
	if fmt.Sprint(again) != fmt.Sprint(more) {
		t.Error("after a restart others get the canary")
	}
	if s := r.status("eu"); s.Canary == nil || s.Canary.Share != 0.6 || s.Current != 1 || s.Revision != 3 {
		t.Errorf("%+v", s)
	}

	res, err = r.c.Promote(t.Context(), "eu", 1, Change{})
	must(t, err)
	r.wants(res, "eu promoted 2 1")
	if _, share = marks(50); share < 0.999 {
		t.Errorf("a share of %v", share)
	}
	if s := r.status("eu"); s.Canary != nil || s.Current != 2 || s.Ended != "version 2 was promoted" || len(s.Serving) != 1 || s.Serving[0].Version != 2 {
		t.Errorf("%+v", s)
	}
	res, err = r.c.Rollback(t.Context(), "eu", 0, Change{})
	must(t, err)
	r.wants(res, "eu swapped 3 2")
	r.wantMark("eu", "a")
}

func TestACanaryIsTakenBackByHand(t *testing.T) {
	r := started(t)
	for _, err := range []error{
		func() error { _, err := r.c.Promote(t.Context(), "eu", 1, Change{}); return err }(),
		func() error { _, err := r.c.Abort(t.Context(), "eu", Change{}); return err }(),
	} {
		refused(t, err, ErrNotFound)
	}
	// What was not there before is not tried, but serves.
	r.wants(r.try(spec{name: "eu", mark: "a"}, Canary{Share: 0.5}), "eu created 1 0")
	_, err := r.c.Abort(t.Context(), "eu", Change{})
	refused(t, err, ErrNotFound, "canary")
	r.wants(r.try(spec{name: "eu", mark: "a"}, Canary{Share: 0.5}), "eu unchanged 1 1")
	r.try(spec{name: "eu", mark: "b"}, Canary{Share: 0.999999})
	r.wantMark("eu", "b")
	res, err := r.c.Abort(t.Context(), "eu", Change{Message: "it is ugly"})
	must(t, err)
	r.wants(res, "eu taken back 1 1")
	r.wantMark("eu", "a")
	if s := r.status("eu"); s.Canary != nil || s.Current != 1 || s.Ended != "version 2 was taken back: it is ugly" {
		t.Errorf("%+v", s)
	}
	// Its number is not given again.
	r.wants(r.deploy(spec{name: "eu", mark: "c"}), "eu swapped 3 1")
	r.try(spec{name: "eu", mark: "d"}, Canary{Share: 0.5})
	res, err = r.c.Remove(t.Context(), "eu", Change{})
	must(t, err)
	r.wants(res, "eu removed 0 3")
	if m := r.mark("eu"); m != "" {
		t.Error(m)
	}
	r.restart()
	if s := r.status("eu"); s.Canary != nil || s.Current != 0 {
		t.Errorf("%+v", s)
	}
}

func TestACanaryThatMakesNoSenseIsRefused(t *testing.T) {
	r := started(t)
	r.deploy(spec{name: "eu", mark: "a"})
	zero := 0.0
	for _, n := range []Canary{
		{Share: 0}, {Share: 1}, {Share: -0.1}, {Share: 1.5}, {Share: zero / zero},
		{Share: 0.1, Steps: []float64{0.5}, Every: Duration(time.Minute)},
		{Share: 0.1, Steps: []float64{0.1, 1}, Every: Duration(time.Minute)},
		{Share: 0.1, Steps: []float64{0.5, 0.4, 1}, Every: Duration(time.Minute)},
		{Share: 0.1, Steps: []float64{zero / zero, 1}, Every: Duration(time.Minute)},
		{Share: 0.1, Steps: []float64{1}},
		{Share: 0.1, Steps: []float64{1}, Every: Duration(time.Millisecond)},
		{Share: 0.1, Steps: make([]float64, 1000), Every: Duration(time.Minute)},
	} {
		q := request(spec{name: "eu", mark: "b"})
		q.Canary = &n
		_, err := r.c.Deploy(t.Context(), q)
		refused(t, err, ErrRefused, "want")
	}
	for _, share := range []float64{0, -1, 1.01, zero / zero} {
		_, err := r.c.Promote(t.Context(), "eu", share, Change{})
		refused(t, err, ErrRefused, "want")
	}
	r.wantMark("eu", "a")
}

func TestABadCanaryIsTakenBackByItself(t *testing.T) {
	for fault, want := range map[string]string{"error": "(0 trapped)", "trap": "% of its", "slow": "p99"} {
		t.Run(fault, func(t *testing.T) {
			r := started(t)
			const rule = "[deployment.canary]\nmin_requests = 5\nmax_p99 = 1.1\n"
			r.deploy(spec{name: "eu", mark: "a", more: rule})
			r.try(spec{name: "eu", mark: "b", fault: fault, more: rule}, Canary{Share: 0.5, Steps: []float64{1}, Every: Duration(time.Hour)})
			n := 0
			eventually(t, "it is taken back", func() bool {
				n++
				_, err := r.call("GET /p/mark", "eu.test", "Authorization", fmt.Sprintf("Bearer account%d", n))
				must(t, err)
				return r.status("eu").Canary == nil
			})
			s := r.status("eu")
			if s.Current != 1 || !strings.HasPrefix(s.Ended, "version 2 was taken back: ") || !strings.Contains(s.Ended, want) {
				t.Errorf("%+v", s)
			}
			for i := range 50 {
				if m := r.mark("eu", "Authorization", fmt.Sprintf("Bearer account%d", i)); m != "a" {
					t.Fatalf("account %d: %s", i, m)
				}
			}
			audit, err := r.c.Audit(t.Context(), "", 1)
			must(t, err)
			if e := audit[0]; e.By != "host" || e.Action != "abort" || e.Version != 2 || !strings.Contains(s.Ended, e.Message) {
				t.Errorf("%+v", e)
			}
		})
	}
}

func TestAGoodCanaryGoesThroughItsSteps(t *testing.T) {
	r := started(t)
	const rule = "[deployment.canary]\nmin_requests = 1\nmax_p99 = 1000.0\n"
	r.deploy(spec{name: "eu", mark: "a", more: rule})
	r.try(spec{name: "eu", mark: "b", more: rule}, Canary{Share: 0.2, Steps: []float64{0.6, 1}, Every: Duration(time.Second)})
	n := 0
	eventually(t, "it is promoted", func() bool {
		n++
		r.mark("eu", "Authorization", fmt.Sprintf("Bearer account%d", n))
		return r.status("eu").Current == 2
	})
	if n := strings.Count(r.log.String(), "is=shifted share=0.6"); n != 1 {
		t.Errorf("%d times it got a share of 0.6", n)
	}
	audit, err := r.c.Audit(t.Context(), "", 2)
	must(t, err)
	if audit[0].Action != "promote" || audit[0].By != "host" || audit[1].Action != "promote" {
		t.Errorf("%+v", audit)
	}
	r.wantMark("eu", "b")
}

func TestHowACanaryIsJudged(t *testing.T) {
	rule := deploy.DefaultCanary()
	stats := func(requests, errors uint64, p99 float64) gateway.VersionStats {
		return gateway.VersionStats{Requests: requests, Errors: errors, P99: p99}
	}
	for _, f := range []struct {
		name            string
		current, canary gateway.VersionStats
		bad             bool
	}{
		{"nothing yet", stats(0, 0, 0), stats(0, 0, 0), false},
		{"as good", stats(1000, 0, 10), stats(1000, 0, 10), false},
		{"a little worse", stats(1000, 0, 10), stats(1000, 9, 10), false},
		{"at the limit", stats(1000, 10, 10), stats(1000, 20, 10), false},
		{"beyond it", stats(1000, 10, 10), stats(1000, 21, 10), true},
		{"too few requests", stats(1000, 0, 10), stats(99, 9, 10), false},
		{"just enough", stats(1000, 0, 10), stats(100, 2, 10), true},
		{"both are bad", stats(1000, 500, 10), stats(1000, 500, 10), false},
		{"most of the first fail", stats(1000, 0, 10), stats(10, 10, 10), true},
		{"nine are too few", stats(1000, 0, 10), stats(9, 9, 10), false},
		{"half of the first fail", stats(1000, 0, 10), stats(20, 10, 10), false},
		{"slow", stats(1000, 0, 10), stats(1000, 0, 25.1), true},
		{"not too slow", stats(1000, 0, 10), stats(1000, 0, 25), false},
		{"slow, and few to compare with", stats(999, 0, 10), stats(1000, 0, 100), false},
		{"slow, and few", stats(1000, 0, 10), stats(999, 0, 100), false},
	} {
		if why := judge(rule, f.current, f.canary); (why != "") != f.bad {
			t.Errorf("%s: %q", f.name, why)
		}
	}
}

func TestTwoCanariesThatChangeHosts(t *testing.T) {
	r := started(t)
	r.deploy(spec{name: "eu", mark: "a"}, spec{name: "us", mark: "a"})
	q := request(spec{name: "eu", mark: "b", hosts: "us.test"}, spec{name: "us", mark: "b", hosts: "eu.test"})
	q.Canary = &Canary{Share: 0.5}
	r.wants(r.ask(q), "eu canary 2 1", "us canary 2 1")
	// Either alone would take the other's host.
	_, err := r.c.Promote(t.Context(), "eu", 1, Change{})
	refused(t, err, nil, "us.test")
	if s := r.status("eu"); s.Current != 1 || s.Canary == nil {
		t.Errorf("%+v", s)
	}
	r.restart()
	if s := r.status("eu"); s.Current != 1 || s.Canary == nil {
		t.Errorf("%+v", s)
	}
}

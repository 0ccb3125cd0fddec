package main_test

import (
	"slices"
	"strings"
	"sync"
	"testing"
)

// However often and in whatever company an update is uploaded, it is there once, and
// told of once.
func TestStatusBatches(t *testing.T) {
	t.Parallel()
	cs, s := newStatusClients(t), newStatusServer(t)
	people := s.newPersons(3)
	ann, bob, cyd := people[0], people[1], people[2]
	ann.permits("*", "*", "all")
	socket, stream := cs.listening("a listener", bob), bob.stream()
	var all []string
	heard := func(list ...update) {
		t.Helper()
		ids := idsOf(list)
		all = append(all, ids...)
		socket.hears(ids...)
		stream.hears(t, ids...)
		if got := ann.allPages("/v1/status", "500"); !slices.Equal(got, all) {
			t.Fatalf("%d updates are stored, want the %d that were uploaded, in their order", len(got), len(all))
		}
		if got := bob.allPages("/v1/status/shared", "500"); !slices.Equal(got, all) {
			t.Fatalf("%d updates are shared, want the %d that were uploaded, in their order", len(got), len(all))
		}
	}
	many := newUpdates(1000, "location", "phone")
	for i, u := range many {
		u["type"] = []string{"location", "heart rate", "mood"}[i%3]
	}
	first := ann.uploads(many...)
	heard(many...)

	// Again, with other contents; half of another batch; the same several times in one.
	changed := slices.Clone(many)
	for i := range changed {
		changed[i] = update{"uuid": many[i].id(), "type": "x", "source": "y", "created_at": "2020-01-01", "payload": map[string]any{}}
	}
	if again := ann.uploads(changed...); string(again.raw) != string(first.raw) {
		t.Error("a repeated upload is answered otherwise than the first one")
	}
	fresh := newUpdates(500, "location", "watch")
	var mixed []update
	for i := range fresh {
		mixed = append(mixed, many[2*i], fresh[i])
	}
	ann.uploads(mixed...)
	heard(fresh...)
	u := newUpdate("mood", "web")
	r := ann.want(201, "POST", "/v1/status", []update{u, u, many[0], u, many[0]})
	ann.listed(r, ownFields, u.id(), many[0].id())
	heard(u)
	// A UUID is its uploader's.
	other := update{"uuid": u.id(), "type": "diary", "source": "web", "created_at": "2026-01-01", "payload": map[string]any{}}
	if r := cyd.uploads(other); r.text("0.type") != "diary" || r.text("0.gid_uuid") != cyd.gid {
		t.Errorf("%v\nwant cyd's own", r)
	}

	// One element that is wrong refuses them all.
	bad := newUpdates(1000, "location", "phone")
	bad[999]["uuid"] = "x"
	if r := ann.do("POST", "/v1/status", bad); r.status != 400 || r.text("error.detail.index") != "999" || r.text("error.detail.field") != "uuid" {
		t.Errorf("%v\nwant 400 of number 999", r)
	}
	ann.turnedDown(ann.do("POST", "/v1/status", newUpdates(2001, "location", "phone")), 413, "too_many", "")
	large := newUpdate("location", "phone")
	large["payload"] = map[string]string{"text": strings.Repeat("x", 33<<10)}
	ann.turnedDown(ann.do("POST", "/v1/status", []update{large}), 400, "too_large", "payload")
	heard()

	// The same from several devices at once.
	for range 5 {
		same := newUpdates(40, "location", "phone")
		var replies [4]reply
		var errs [4]error
		var group sync.WaitGroup
		for i := range replies {
			group.Go(func() { replies[i], errs[i] = ann.call("POST", "/v1/status", same) })
		}
		group.Wait()
		for i, r := range replies {
			if errs[i] != nil || r.status != 201 || string(r.raw) != string(replies[0].raw) {
				t.Fatalf("%v, %v\nwant 201, and the same for all", r, errs[i])
			}
		}
		heard(same...)
	}
	// And different ones: each batch stays together.
	batches := make([][]update, 8)
	var group sync.WaitGroup
	for i := range batches {
		batches[i] = newUpdates(50, "location", "phone")
		group.Go(func() {
			if r, err := ann.call("POST", "/v1/status", batches[i]); err != nil || r.status != 201 {
				t.Errorf("%v, %v\nwant 201", r, err)
			}
		})
	}
	group.Wait()
	stored := ann.allPages("/v1/status", "500")[len(all):]
	slices.SortFunc(batches, func(a, b []update) int {
		return slices.Index(stored, a[0].id()) - slices.Index(stored, b[0].id())
	})
	heard(slices.Concat(batches...)...)

	// More than is told at once is refused as a whole; all 2,000 small ones are not.
	for _, u := range bad {
		u["uuid"], u["payload"] = newUUID(), map[string]string{"text": strings.Repeat("\u2028", 1300)}
	}
	ann.turnedDown(ann.do("POST", "/v1/status", bad), 413, "too_large", "")
	most := newUpdates(2000, "location", "phone")
	ann.uploads(most...)
	heard(most...)
}

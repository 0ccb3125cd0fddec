package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/outbox"
	"github.com/edgeset/edgeset/host/rollout"
	"github.com/edgeset/edgeset/store"
	"github.com/edgeset/edgeset/store/badgerstore"
)

// An office is the deployment "eu", which delivers mail, and the plugin in it that is
// told what became of it.
type office struct {
	store store.Store

	mu       sync.Mutex
	refused  map[string]error // by recipient; the others get their mail
	outcomes []string
}

// Deliver implements outbox.Transport.
func (o *office) Deliver(_ context.Context, m *outbox.Message) error {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.refused[m.To]
}

// Close implements outbox.Transport.
func (o *office) Close() error { return nil }

// Channels implements outbox.Deployments.
func (o *office) Channels(deployment string) (outbox.Channels, outbox.Limits, func(), bool) {
	return o.ways(), outbox.Limits{}, func() {}, deployment == "eu"
}

func (o *office) ways() outbox.Channels { return outbox.Channels{"mail": o} }

// Tell implements outbox.Deployments.
func (o *office) Tell(ctx context.Context, deployment, _ string, told *abi.Outcome, settle func(store.Txn) error) error {
	err := o.store.Update(ctx, deployment, settle)
	if err == nil {
		o.mu.Lock()
		defer o.mu.Unlock()
		o.outcomes = append(o.outcomes, fmt.Sprintf("%s %t %s", told.To, told.Sent, told.Reason))
	}
	return err
}

// answers has all recipients get their mail but these.
func (o *office) answers(refused map[string]error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.refused = refused
}

func (o *office) told(outcome string) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	return slices.Contains(o.outcomes, outcome)
}

// eventually waits for a condition.
func eventually(t *testing.T, what string, holds func() bool) {
	t.Helper()
	for end := time.Now().Add(time.Minute); !holds(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatalf("after a minute: not %s", what)
		}
	}
}

// read gets what is at a path.
func read[T any](t *testing.T, r *rig, path string) (v T) {
	t.Helper()
	status, _, body := r.ask("GET "+path, "")
	if err := json.Unmarshal([]byte(body), &v); err != nil || status != 200 {
		t.Fatalf("%s: %d %s: %v", path, status, body, err)
	}
	return v
}

func TestOperatorsSeeAndChangeWhatIsDelivered(t *testing.T) {
	s, err := badgerstore.Open(badgerstore.Options{Dir: t.TempDir(), Durability: badgerstore.Process, MinFree: -1})
	if err != nil {
		t.Fatal(err)
	}
	later := outbox.Failed("451 try again")
	later.After = time.Hour
	o := &office{store: s, refused: map[string]error{"joe": outbox.Refused("550 no such mailbox"), "eve": outbox.Refused("550 go away"), "ann": later}}
	box := outbox.New(outbox.Config{Store: s, Deployments: o})
	intake := box.For("eu", o.ways(), outbox.Limits{})
	err = s.Update(t.Context(), "eu", func(txn store.Txn) error {
		for _, to := range []string{"bob", "joe", "eve", "ann"} {
			if added, err := intake.Add(txn, "sharing", &abi.Dispatch{Key: to, Via: "mail", To: to, Subject: "Hi " + to, Text: "Look"}, time.Now()); err != nil || !added {
				return fmt.Errorf("%s: %t, %w", to, added, err)
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	intake.Added(4)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- box.Run(ctx) }()
	t.Cleanup(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	var mu sync.Mutex
	var notes []rollout.Entry
	r := newOutboxRig(t, box, func(e rollout.Entry) {
		mu.Lock()
		defer mu.Unlock()
		notes = append(notes, e)
	})

	const path = "/v1/deployments/eu/outbox"
	states := func() map[string]OutboxEntry { // by recipient
		byName := map[string]OutboxEntry{}
		for _, e := range read[OutboxPage](t, r, path).Entries {
			byName[e.To] = e
		}
		return byName
	}
	holds := func(to string, state outbox.State, attempts int) func() bool {
		return func() bool { e := states()[to]; return e.State == state && e.Attempts >= attempts }
	}
	eventually(t, "sent", holds("bob", outbox.StateSent, 1))
	eventually(t, "failed", holds("joe", outbox.StateFailed, 1))
	eventually(t, "failed", holds("eve", outbox.StateFailed, 1))
	eventually(t, "tried", holds("ann", outbox.StateQueued, 1))
	eventually(t, "told", func() bool {
		return o.told("eve false 550 go away") && o.told("joe false 550 no such mailbox") && o.told("bob true ")
	})
	now := states()
	if e := now["ann"]; e.Plugin != "sharing" || e.Key != "ann" || e.Subject != "Hi ann" || e.Reason != "451 try again" || time.Until(e.Due) < 30*time.Minute || e.Until.Before(e.Due) || !e.Ended.IsZero() {
		t.Errorf("%+v", e)
	}

	// A page leads to the next, and a filter is kept to.
	seen := map[string]bool{}
	for after, pages := "", 0; pages == 0 || after != ""; pages++ {
		page := read[OutboxPage](t, r, path+"?limit=1&after="+after)
		if after = page.Next; len(page.Entries) > 1 || pages > 10 {
			t.Fatalf("page %d: %+v", pages, page)
		}
		for _, e := range page.Entries {
			seen[e.To] = true
		}
	}
	if len(seen) != 4 {
		t.Errorf("the pages have %v", slices.Collect(maps.Keys(seen)))
	}
	if list := read[OutboxPage](t, r, path+"?state=failed&via=mail&to=joe").Entries; len(list) != 1 || list[0].To != "joe" {
		t.Errorf("%+v", list)
	}
	if e := read[OutboxEntry](t, r, path+"/"+now["joe"].ID); e.Message == nil || e.Message.Text != "Look" || e.Reason != "550 no such mailbox" {
		t.Errorf("%+v", e)
	}

	// What has failed goes again, alone or all of it.
	o.answers(map[string]error{"ann": later})
	if status, _, body := r.ask("POST "+path+"/"+now["joe"].ID+"/retry", ""); status != 204 {
		t.Errorf("%d %s", status, body)
	}
	eventually(t, "sent", holds("joe", outbox.StateSent, 1))
	if status, _, body := r.ask("POST "+path+"/retry?via=mail", ""); status != 200 || body != `{"retried":1}`+"\n" {
		t.Errorf("%d %s", status, body)
	}
	eventually(t, "sent", holds("eve", outbox.StateSent, 1))
	// What waits can be ended.
	if status, _, body := r.ask("DELETE "+path+"/"+now["ann"].ID, ""); status != 204 {
		t.Errorf("%d %s", status, body)
	}
	eventually(t, "told", func() bool {
		return o.told("joe true ") && o.told("eve true ") && o.told("ann false discarded by an operator")
	})
	for line, want := range map[string]int{
		"POST " + path + "/" + now["bob"].ID + "/retry": 409, "DELETE " + path + "/" + now["bob"].ID: 409,
		"GET " + path + "/retry": 404, "GET " + path + "/" + strings.Repeat("a", len(now["bob"].ID)): 404, "DELETE " + path + "/none": 404,
	} {
		if status, _, body := r.ask(line, ""); status != want {
			t.Errorf("%s: %d %s, want %d", line, status, body, want)
		}
	}
	mu.Lock()
	if len(notes) != 6 || notes[0].Error != "" || notes[3].Error == "" {
		t.Errorf("the audit log has %+v", notes)
	}
	mu.Unlock()
	_, _, metrics := r.do("GET /metrics", "")
	for _, want := range []string{`edgeset_outbox_queued{deployment="eu",via="mail"} 0`, `edgeset_outbox_sent_total{deployment="eu",via="mail"} 3`,
		`edgeset_outbox_failed_total{deployment="eu",via="mail"} 3`, `edgeset_outbox_attempts_total{deployment="eu",via="mail"} 6`} {
		if !strings.Contains(metrics, want+"\n") {
			t.Errorf("want %s in\n%s", want, metrics)
		}
	}
}

package rollout

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/edgeset/edgeset/host/migrate"
	"github.com/edgeset/edgeset/host/migrate/testdata/ledger/book"
	"github.com/edgeset/edgeset/host/wasmtest"
	"github.com/edgeset/edgeset/store"
)

const ledgerManifest = `[[deployment]]
name = "eu"
hosts = ["eu.test"]
[[deployment.plugin]]
name = "ledger"
source = "ledger.wasm"
grants = ["kv"]
deadline = "30s"
`

// A schema is a build of the ledger.
type schema string

const (
	firstSchema  schema = "first"
	secondSchema schema = "second"
	// oneWay is the second one, which the first cannot work with.
	oneWay schema = "one way"
)

func ledger(t testing.TB, s schema) []byte {
	t.Helper()
	const dir = "host/migrate/testdata/ledger"
	switch s {
	case firstSchema:
		return wasmtest.Build(t, dir)
	case secondSchema:
		return wasmtest.BuildTags(t, dir, "second")
	}
	return wasmtest.BuildVariant(t, dir, wasmtest.Edit{File: dir + "/first.go", Old: "schema = 1", New: "schema = 2"},
		wasmtest.Edit{File: dir + "/book/book.go", Old: "guest.Keeps(1)", New: "guest.Keeps(2)"})
}

func (r *rig) ledger(s schema) *Request {
	r.t.Helper()
	d, err := r.library.Put(ledger(r.t, s))
	must(r.t, err)
	return &Request{File: "m.toml", Manifest: ledgerManifest, Uploads: map[string]Upload{"ledger.wasm": {Digest: string(d)}}}
}

// add adds one to some records, beginning with another one.
func (r *rig) add(from, n int) {
	r.t.Helper()
	for i := from; i < from+n; i++ {
		a, err := r.call(fmt.Sprintf("POST /ledger/%03d", i), "eu.test")
		must(r.t, err)
		if a.status >= 300 {
			r.t.Fatalf("%d %s", a.status, a.text)
		}
	}
}

// formats returns how many records have each schema, and the sum of all.
func (r *rig) formats() (count map[int]int, sum int) {
	r.t.Helper()
	count = map[int]int{}
	must(r.t, r.store.View(context.Background(), "eu", func(txn store.Txn) error {
		page, err := txn.Scan(store.Range{Start: []byte("ledger\x00record/"), End: []byte("ledger\x00record0")})
		for _, e := range page.Entries {
			n, schema, err := book.Read(e.Value)
			if err != nil {
				return err
			}
			count[schema]++
			sum += n
		}
		return err
	}))
	return count, sum
}

const records = 150

func TestDataAreMigratedBeforeAndAfterTheSwap(t *testing.T) {
	r := started(t)
	r.ask(r.ledger(firstSchema))
	r.add(0, records)
	q := r.ledger(secondSchema)
	var done int64
	q.Progress = func(e Event) {
		if e.Stage == "migrate" {
			done = e.Done
			if e.Deployment != "eu" || e.Plugin != "ledger" {
				t.Errorf("%+v", e)
			}
		}
		if e.Stage == "record" {
			// The version before still serves, and writes what it knows.
			if count, _ := r.formats(); count[2] != records {
				t.Errorf("before the swap %v", count)
			}
			r.add(10, 5)
		}
	}
	res := r.ask(q)
	r.wants(res, "eu swapped 2 1")
	if done != records {
		t.Errorf("%d records were migrated before", done)
	}
	r.add(12, 1)
	eventually(t, "all is migrated", func() bool { return len(r.status("eu").Migrations) == 0 })
	if count, sum := r.formats(); count[1] != 0 || count[2] != records || sum != records+6 {
		t.Errorf("%v, sum %d", count, sum)
	}
	v, err := r.c.Version(t.Context(), "eu", 2)
	must(t, err)
	if v.Plugins[0].Schema != 2 {
		t.Errorf("%+v", v.Plugins)
	}
	// There is a way back, and both work with what is there.
	_, err = r.c.Rollback(t.Context(), "eu", 0, Change{})
	must(t, err)
	r.add(0, 2)
	if count, sum := r.formats(); count[1] != 2 || sum != records+8 {
		t.Errorf("%v, sum %d", count, sum)
	}
}

func TestAMigrationGoesOnAfterTheEndOfTheProcess(t *testing.T) {
	r := started(t)
	r.ask(r.ledger(firstSchema))
	r.add(0, records)
	gone := errors.New("the operator went away")
	ctx, cancel := context.WithCancelCause(t.Context())
	q := r.ledger(secondSchema)
	q.Progress = func(e Event) {
		if e.Stage == "migrate" {
			cancel(gone)
		}
	}
	if _, err := r.c.Deploy(ctx, q); !errors.Is(err, gone) {
		t.Fatalf("%v", err)
	}
	if s := r.status("eu"); s.Current != 1 || len(s.Migrations) != 1 || s.Migrations[0].Phase != migrate.Before || s.Migrations[0].Done == 0 {
		t.Errorf("%+v", s)
	}
	r.restart()
	r.add(0, 3)
	r.ask(r.ledger(secondSchema))
	r.restart() // in the middle of the pass after, or behind it
	eventually(t, "all is migrated", func() bool { return len(r.status("eu").Migrations) == 0 })
	if count, sum := r.formats(); count[1] != 0 || count[2] != records || sum != records+3 {
		t.Errorf("%v, sum %d", count, sum)
	}
	if s := r.status("eu"); s.Current != 2 {
		t.Errorf("%+v", s)
	}
}

func TestACanaryOfAnotherSchema(t *testing.T) {
	r := started(t)
	r.ask(r.ledger(firstSchema))
	r.add(0, records)
	q := r.ledger(secondSchema)
	q.Canary = &Canary{Share: 0.5}
	r.wants(r.ask(q), "eu canary 2 1")
	if count, _ := r.formats(); count[2] != 0 {
		t.Errorf("a canary migrates: %v", count)
	}
	_, err := r.c.Promote(t.Context(), "eu", 1, Change{})
	must(t, err)
	eventually(t, "all is migrated", func() bool {
		count, _ := r.formats()
		return count[2] == records && len(r.status("eu").Migrations) == 0
	})
}

func TestWhatHasNoWayBackIsRefused(t *testing.T) {
	r := started(t)
	r.ask(r.ledger(firstSchema))
	r.add(0, 10)
	_, err := r.c.Deploy(t.Context(), r.ledger(oneWay))
	refused(t, err, ErrRefused, "no way back", `"eu"`, `"ledger"`)
	if !errors.Is(err, migrate.ErrIrreversible) {
		t.Errorf("%v", err)
	}
	q := r.ledger(oneWay)
	q.Insist, q.Canary = true, &Canary{Share: 0.5}
	_, err = r.c.Deploy(t.Context(), q)
	refused(t, err, ErrRefused, "beside the version that serves")
	r.add(0, 1)
	if s := r.status("eu"); s.Current != 1 || s.Revision != 1 {
		t.Errorf("%+v", s)
	}
	if count, _ := r.formats(); count[1] != 10 {
		t.Errorf("%v", count)
	}
	q.Canary = nil
	r.ask(q)
	eventually(t, "all is migrated", func() bool {
		count, _ := r.formats()
		return count[2] == 10 && len(r.status("eu").Migrations) == 0
	})
	_, err = r.c.Rollback(t.Context(), "eu", 1, Change{})
	refused(t, err, ErrRefused)
	if !errors.Is(err, migrate.ErrUnreadable) || !strings.Contains(err.Error(), "insist") {
		t.Errorf("%v", err)
	}
	_, err = r.c.Rollback(t.Context(), "eu", 1, Change{Insist: true})
	must(t, err)
	if s := r.status("eu"); s.Current != 3 {
		t.Errorf("%+v", s)
	}
}

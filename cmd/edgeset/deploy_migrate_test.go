package main_test

import (
	"fmt"
	"math/rand/v2"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/edgeset/edgeset/host/artifact"
	"github.com/edgeset/edgeset/host/wasmtest"
)

// ledger builds the plugin whose data have two schemas, such that it tells what stands
// in a record: a number, and "!" behind it in the second schema.
func ledger(t testing.TB, schema int) []byte {
	t.Helper()
	const dir = "host/migrate/testdata/ledger"
	return wasmtest.BuildVariant(t, dir,
		wasmtest.Edit{File: dir + "/main.go", Old: "book.Plugin(schema)", New: fmt.Sprintf("book.Plugin(%d)", schema)},
		wasmtest.Edit{File: dir + "/book/book.go", Old: `f.GET("/ledger/:name", share)`, New: `f.GET("/ledger/:name", tell)`},
		wasmtest.Edit{File: dir + "/book/tell.go", New: `package book

import "github.com/edgeset/edgeset/abi/guest"

func tell(w *guest.Response, r *guest.Request) error {
	value, _, err := r.KV().Get([]byte("record/" + r.Param("name")))
	w.Value().TextBytes(value)
	return err
}
`})
}

const ledgerManifest = `
[[deployment]]
name = "eu"
hosts = ["eu.test"]
[[deployment.plugin]]
name = "ledger"
source = "ledger.wasm"
grants = ["kv"]
instances = 4
deadline = "30s"
max_wait = "30s"
`

// A book is what is known of the records: of each, the least and the most that it may be.
type book struct {
	*site
	least, most []int
}

// add adds one to a record, unless the server is killed meanwhile.
func (b *book) add(i int) error {
	b.most[i]++
	c := b.client()
	c.host = "eu.test"
	r, err := c.call("POST", fmt.Sprintf("/ledger/%04d", i), nil)
	switch {
	case err != nil: // it is not known whether it was added
		return nil
	case r.status != 200:
		return fmt.Errorf("%v", r)
	}
	b.least[i]++
	return nil
}

// check compares all records, and returns how many are in the second schema.
func (b *book) check() (second int) {
	b.t.Helper()
	for i := range b.most {
		r, err := b.ask("eu", fmt.Sprintf("/ledger/%04d", i))
		if err != nil || r.status != 200 {
			b.fatalf("%v, %v", r, err)
		}
		text, migrated := strings.CutSuffix(fmt.Sprint(r.doc), "!")
		if migrated {
			second++
		}
		var n int
		if _, err := fmt.Sscan(text, &n); err != nil || n < b.least[i] || n > b.most[i] {
			b.fatalf("%v\nwant record %d to be from %d to %d", r, i, b.least[i], b.most[i])
		}
	}
	return second
}

// A migration that is killed goes on where it was, while the old version serves and
// writes, and none of what was written is lost.
func TestAMigrationIsKilled(t *testing.T) {
	t.Parallel()
	kills, records := 12, 1500
	if testing.Short() {
		kills, records = 4, 600
	}
	s := newSite(t)
	s.file("ledger.wasm", ledger(t, 1))
	s.ok("deploy", s.file("ledger.toml", []byte(ledgerManifest)))
	b := &book{s, make([]int, records), make([]int, records)}
	for i := range records {
		if err := b.add(i); err != nil {
			s.fatalf("%v", err)
		}
	}
	if n := b.check(); n != 0 {
		t.Fatalf("%d records are in the second schema before there is one", n)
	}

	wasm := ledger(t, 2)
	st := step{name: "deploy", method: "POST", path: "/v1/deploy", uploads: [][]byte{wasm}, body: map[string]any{
		"manifest": ledgerManifest, "uploads": map[string]any{"ledger.wasm": map[string]string{"digest": string(artifact.DigestOf(wasm))}}}}
	migrated, done := uint64(0), false
	for range kills {
		// Somebody writes all the while.
		var writer sync.WaitGroup
		var ended atomic.Bool
		var failed error
		writer.Go(func() {
			for !ended.Load() && failed == nil {
				failed = b.add(rand.IntN(records))
			}
		})
		// The upload, the plugin is found and loaded, it is checked and asked; then come
		// the batches.
		done = s.killedWhile(st, 6+rand.IntN(3), rand.N(30*time.Millisecond))
		ended.Store(true)
		writer.Wait()
		if failed != nil {
			s.fatalf("%v", failed)
		}
		s.start()
		if done {
			break
		}
		if got := s.versions("eu")[0].Number; got == 2 {
			done = true // it was made, and could not say so
			break
		}
		n, pending := b.check(), s.status("eu").Migrations
		t.Logf("%d of %d records are migrated; pending: %+v", n, records, pending)
		if len(pending) == 0 { // it was killed before the first batch, or behind the last one
			migrated = 0
			continue
		}
		if p := pending[0]; p.Plugin != "ledger" || p.From != 1 || p.To != 2 || p.Done < migrated || n > 0 && p.Done == 0 {
			s.fatalf("pending %+v, and before %d entries were done", p, migrated)
		}
		migrated = pending[0].Done
	}
	if !done {
		s.file("ledger.wasm", wasm)
		s.ok("deploy", s.file("ledger.toml", []byte(ledgerManifest))).wants(t, 0, "eu          swapped  2        1 ", "migrating eu/ledger\n")
	}
	if st := s.status("eu"); st.Current != 2 || len(s.versions("eu")) != 2 || s.versions("eu")[0].Plugins[0].Schema != 2 {
		t.Errorf("%+v", st)
	}
	// What the old version has written meanwhile is migrated behind the swap, and that is
	// killed as well.
	for range 3 {
		time.Sleep(rand.N(100 * time.Millisecond))
		s.kill()
		s.start()
	}
	s.until("nothing is left to migrate", func() bool { return len(s.status("eu").Migrations) == 0 && b.check() == records })
	s.restart()
	if n := b.check(); n != records {
		t.Errorf("%d of %d records are in the second schema", n, records)
	}
	// The plugin says that the first schema's can read that, so there is a way back.
	s.ok("deploy", "rollback", "eu")
	if err := b.add(0); err != nil {
		s.fatalf("%v", err)
	}
	if n := b.check(); n < records-1 {
		t.Errorf("%d of %d records are in the second schema", n, records)
	}
}

package migrate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/deploy"
	"github.com/edgeset/edgeset/host/edge"
	"github.com/edgeset/edgeset/host/engine"
	"github.com/edgeset/edgeset/host/extism"
	"github.com/edgeset/edgeset/host/migrate/testdata/ledger/book"
	"github.com/edgeset/edgeset/host/wasmtest"
	"github.com/edgeset/edgeset/store"
)

// builder loads the ledger as a deployment would.
func builder(t *testing.T) (load func(schema int, p *edge.Plugin) *deploy.Plugin) {
	e, err := engine.New(engine.Config{CacheDir: wasmtest.CacheDir(t), Logger: slog.New(slog.DiscardHandler)})
	check(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		check(t, e.Close(ctx))
	})
	tags := map[int]string{1: "", 2: "second"}
	return func(schema int, p *edge.Plugin) *deploy.Plugin {
		v, err := e.Load(t.Context(), wasmtest.BuildTags(t, "host/migrate/testdata/ledger", tags[schema]), engine.Options{
			Name: "ledger", Modules: []engine.Module{edge.Module{}, extism.Module()},
			Init: func() any {
				call := new(edge.Call)
				call.Start(context.Background(), p, "start")
				return call
			},
		})
		check(t, err)
		desc, err := deploy.Describe(t.Context(), v, p)
		check(t, err)
		return &deploy.Plugin{Spec: deploy.PluginSpec{Name: "ledger"}, Desc: desc, Edge: p, Runner: v}
	}
}

func TestAMigrationOfAPluginInWasm(t *testing.T) {
	load := builder(t)
	r := newRig(t)
	first := load(1, edgePlugin(nil))
	r.serve(first, true)
	for i := range 200 {
		r.add(first, fmt.Sprintf("%03d", i))
	}
	second := load(2, edgePlugin(nil))
	if want := (abi.Schema{Version: 2, Reads: 1, Keeps: 1, Migrates: true}); second.Desc.Schema != want {
		t.Fatalf("described as %+v", second.Desc.Schema)
	}
	p, err := NewPlan(t.Context(), r.store, space, "ledger", second.Desc.Schema, &first.Desc.Schema, false)
	if err != nil || !p.Before || !p.Migrates || !p.Canary {
		t.Fatalf("%+v, %v", p, err)
	}

	// One that traps leaves what the batches before have done.
	trapping := load(2, edgePlugin(map[string]string{"fault": "trap", "at": "100"}))
	var trap *engine.TrapError
	if err := r.run(r.job(trapping, Before)); !errors.As(err, &trap) || !bytes.Contains([]byte(err.Error()), []byte("as asked")) {
		t.Errorf("a trap: %v", err)
	}
	formats, _ := r.records()
	if s := r.state(); formats[2] == 0 || formats[2] > 100 || uint64(formats[2]) != s.Done || s.Phase != Before ||
		!bytes.HasPrefix(s.Cursor, fmt.Appendf(nil, "record/%03d", formats[2]-1)) {
		t.Errorf("%d records migrated, and the state is %+v", formats[2], s)
	}
	if list, err := Pending(t.Context(), r.store, space); err != nil || len(list) != 1 || list[0].Phase != Before {
		t.Errorf("pending %+v, %v", list, err)
	}

	// One that does not end is stopped.
	looping := load(2, edgePlugin(map[string]string{"fault": "loop", "at": "100"}))
	looping.Spec.Deadline = deploy.Duration(100 * time.Millisecond)
	if err := r.run(r.job(looping, Before)); !errors.Is(err, ErrSlow) {
		t.Errorf("a loop: %v", err)
	}

	check(t, r.run(r.job(second, Before)))
	r.add(first, "050") // while it still serves
	if !r.serve(second, true) {
		t.Error("no pass is due")
	}
	r.add(second, "051")
	check(t, r.run(r.job(second, After)))
	formats, values := r.records()
	if formats[1] != 0 || formats[2] != 200 || values["050"] != 2 || values["051"] != 2 || values["052"] != 1 {
		t.Errorf("formats %v, records %v", formats, values)
	}
	if s := r.state(); s.Low != 2 || s.Phase != "" {
		t.Errorf("%+v", s)
	}
}

func TestAPluginInWasmReadsAnother(t *testing.T) {
	load := builder(t)
	r := newRig(t)
	check(t, r.store.Update(t.Context(), space, func(txn store.Txn) error {
		return errors.Join(txn.Put([]byte("other\x00x"), []byte("its own"), 0), txn.Put([]byte("other\x00xy"), nil, 0))
	}))
	denied := load(1, edgePlugin(nil))
	if reply := r.request(denied, book.Share, "x"); reply.Status != 403 {
		t.Errorf("without the grant: %d %s", reply.Status, reply.Body)
	}
	p := edgePlugin(nil)
	p.Grants = append(p.Grants, "read:other")
	granted := load(1, p)
	for name, want := range map[string]string{"x": "true its own 2", "xy": "true  1", "y": "false  0"} {
		reply := r.request(granted, book.Share, name)
		found, _ := reply.Body.Get("found").Bool()
		value, _ := reply.Body.Get("value").Text()
		scanned, _ := reply.Body.Get("scanned").Int()
		if got := fmt.Sprint(found, " ", value, " ", scanned); reply.Status != 200 || got != want {
			t.Errorf("%s: %d, %q, want %q", name, reply.Status, got, want)
		}
	}
}

package migrate

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/deploy"
	"github.com/edgeset/edgeset/host/edge"
	"github.com/edgeset/edgeset/host/migrate/testdata/ledger/book"
	"github.com/edgeset/edgeset/host/native"
	"github.com/edgeset/edgeset/store"
	"github.com/edgeset/edgeset/store/badgerstore"
)

const space = "eu"

// A rig is a deployment whose one plugin is the ledger.
type rig struct {
	t     testing.TB
	dir   string
	store store.Store
}

func newRig(t testing.TB) *rig {
	r := &rig{t: t, dir: t.TempDir()}
	r.open()
	t.Cleanup(func() { check(t, r.store.Close()) })
	return r
}

func (r *rig) open() {
	r.t.Helper()
	var err error
	r.store, err = badgerstore.Open(badgerstore.Options{Dir: r.dir, Durability: badgerstore.Process, MinFree: -1})
	check(r.t, err)
}

// reopen is what a restart of the host does.
func (r *rig) reopen() {
	r.t.Helper()
	check(r.t, r.store.Close())
	r.open()
}

func check(t testing.TB, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// compiled is the ledger of a schema, compiled into the test.
func compiled(schema int, config map[string]string) *deploy.Plugin {
	p := book.Plugin(schema)
	return &deploy.Plugin{
		Spec: deploy.PluginSpec{Name: "ledger"}, Desc: p.Description(), Runner: native.New(p), Edge: edgePlugin(config),
	}
}

func edgePlugin(config map[string]string) *edge.Plugin {
	return &edge.Plugin{Name: "ledger", Config: config, Grants: []string{abi.GrantKV}, Log: slog.New(slog.DiscardHandler)}
}

// request sends a request to a plugin, and again while it conflicts.
func (r *rig) request(p *deploy.Plugin, route int, name string) (reply abi.Reply) {
	r.t.Helper()
	ctx := context.Background()
	var call edge.Call
	call.Start(ctx, p.Edge, "test")
	var params, w abi.Writer
	params.Array()
	params.Text(name)
	params.End()
	(&abi.Request{Kind: abi.CallRequest, Route: route, Method: "POST", Path: "/ledger/" + name, Params: params.Value(), Time: 1, ID: "test"}).Append(&w)
	for {
		lease, err := p.Runner.Lease(ctx, true)
		check(r.t, err)
		err = r.store.Update(ctx, space, func(txn store.Txn) error {
			call.Begin(txn)
			frame, _, err := lease.Call(ctx, &call, w.Value(), nil)
			if err != nil {
				return err
			}
			return abi.ReadReply(frame, &reply)
		})
		lease.Release()
		if !errors.Is(err, store.ErrConflict) {
			check(r.t, err)
			return reply
		}
	}
}

// add adds one to a record, in the format of the plugin.
func (r *rig) add(p *deploy.Plugin, name string) {
	r.t.Helper()
	if reply := r.request(p, book.Add, name); reply.BodyKind == abi.BodyError {
		r.t.Errorf("adding to %s: %s", name, reply.Body)
	}
}

// records returns how many records have each schema, and their values.
func (r *rig) records() (formats map[int]int, values map[string]int) {
	r.t.Helper()
	formats, values = map[int]int{}, map[string]int{}
	const front = "ledger\x00record/"
	check(r.t, r.store.View(context.Background(), space, func(txn store.Txn) error {
		page, err := txn.Scan(store.Range{Start: []byte(front), End: []byte("ledger\x00record0")})
		if page.More {
			r.t.Error("more records than a page has")
		}
		for _, e := range page.Entries {
			n, schema, err := book.Read(e.Value)
			if err != nil {
				return err
			}
			formats[schema]++
			values[string(e.Key[len(front):])] = n
		}
		return err
	}))
	return formats, values
}

// state returns what is known of the data.
func (r *rig) state() (s state) {
	r.t.Helper()
	check(r.t, r.store.View(context.Background(), space, func(txn store.Txn) (err error) {
		s, _, err = read(txn, "ledger")
		return err
	}))
	return s
}

func (r *rig) serve(p *deploy.Plugin, alone bool) (due bool) {
	r.t.Helper()
	due, err := Serve(context.Background(), r.store, space, "ledger", p.Desc.Schema, alone)
	check(r.t, err)
	return due
}

// job is a pass of a plugin.
func (r *rig) job(p *deploy.Plugin, phase string) Job {
	return Job{Store: r.store, Space: space, Plugin: p, Build: "sha256:1", Phase: phase}
}

// run makes a pass, within a time that is enough on any machine.
func (r *rig) run(j Job) error {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Minute)
	defer cancel()
	return Run(ctx, j)
}

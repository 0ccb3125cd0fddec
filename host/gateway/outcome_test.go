package gateway

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/deploy"
	"github.com/edgeset/edgeset/host/edge"
	"github.com/edgeset/edgeset/store"
)

// A tray is an outbox that keeps the keys of what is put into it.
type tray struct{ added atomic.Int64 }

func trayKey(key string) []byte { return []byte("\x00tray\x00" + key) }

func (o *tray) Add(txn store.Txn, _ string, d *abi.Dispatch, _ time.Time) (bool, error) {
	_, found, err := txn.Get(trayKey(d.Key))
	if err != nil || found {
		return false, err
	}
	return true, txn.Put(trayKey(d.Key), []byte(d.To), 0)
}

func (o *tray) Added(n int) { o.added.Add(int64(n)) }

func (r *rig) has(key []byte) (found bool) {
	r.t.Helper()
	err := r.store.View(context.Background(), "test", func(txn store.Txn) (err error) {
		_, found, err = txn.Get(key)
		return err
	})
	if err != nil {
		r.t.Fatal(err)
	}
	return found
}

// sending serves a plugin that dispatches into a tray.
func sending(t *testing.T, grants ...string) (*rig, *deploy.Deployment, *tray) {
	t.Helper()
	d := load(t, deploy.Spec{Name: "test", Hosts: []string{"*"}, Plugins: []deploy.PluginSpec{
		{Name: "sender", Source: "embedded:sender", Grants: append([]string{"kv"}, grants...)},
	}})
	box := &tray{}
	d.Plugins[0].Edge.Outbox = edge.Outbox(box)
	return serve(t, Config{}, d), d, box
}

func TestADispatchIsPartOfTheTransaction(t *testing.T) {
	r, _, box := sending(t, abi.GrantMail)
	r.do("POST /s/send/one", "").wants(200)
	if n := box.added.Load(); n != 1 || !r.has(trayKey("one")) {
		t.Errorf("%d are told of, and there is one: %t", n, r.has(trayKey("one")))
	}
	r.do("POST /s/send/one", "").wants(200) // known already
	r.do("POST /s/refuse/two", "").wants(409)
	if got := r.do("GET /s/send/three", "").wants(409).body; !errorSays(got, abi.ErrReadOnly) {
		t.Error(got)
	}
	if n := box.added.Load(); n != 1 || r.has(trayKey("two")) || r.has(trayKey("three")) {
		t.Errorf("%d are told of", n)
	}
}

func TestADispatchTakesAGrant(t *testing.T) {
	r, _, box := sending(t)
	if got := r.do("POST /s/send/one", "").wants(409).body; !errorSays(got, abi.ErrDenied) {
		t.Error(got)
	}
	if n := box.added.Load(); n != 0 {
		t.Errorf("%d are told of", n)
	}
}

func TestWhatACheckDispatchesIsKeptAsItsWritesAre(t *testing.T) {
	spec := trial()
	spec.Plugins[0].Grants = append(spec.Plugins[0].Grants, abi.GrantMail)
	d, box := load(t, spec), &tray{}
	d.Plugins[0].Edge.Outbox = box
	r := serve(t, Config{}, d)
	for i, c := range []struct {
		line   string
		status int
		kept   bool
	}{
		{"POST /t/signed/count?signed=mail-0", 200, true},
		{"POST /t/signed/refuse/k?signed=mail-1", 409, true},
		{"POST /t/signed/trap?signed=mail-2", 500, false},
	} {
		before := box.added.Load()
		r.do(c.line, "").wants(c.status)
		if has, told := r.has(trayKey(fmt.Sprint("mail-", i))), box.added.Load() == before+1; has != c.kept || told != c.kept {
			t.Errorf("%s: it is kept: %t, the outbox is told: %t; want %t", c.line, has, told, c.kept)
		}
	}
}

func TestAnOutcomeIsToldInOneTransaction(t *testing.T) {
	r, d, box := sending(t, abi.GrantMail)
	ctx := t.Context()
	settled := func(key string) []byte { return []byte("\x00settled\x00" + key) }
	tell := func(plugin, key string, settle error) error {
		return r.gateway.Tell(ctx, "test", plugin, &abi.Outcome{Key: key, Via: abi.GrantMail, To: "ann@example.com", Sent: true}, func(txn store.Txn) error {
			if settle != nil {
				return settle
			}
			return txn.Put(settled(key), []byte("x"), 0)
		})
	}
	told := func(key string, want bool) {
		t.Helper()
		if got := r.has(settled(key)); got != want {
			t.Errorf("%s is settled: %t", key, got)
		}
	}
	if err := tell("sender", "fine", nil); err != nil {
		t.Error(err)
	}
	told("fine", true)
	if got := r.do("GET /s/note/fine", "").wants(200).body; got != "sent" {
		t.Error(got)
	}
	unsettled := errors.New("told already")
	for key, settle := range map[string]error{"wrong": nil, "trap": nil, "unsettled": unsettled} {
		if err := tell("sender", key, settle); err == nil || settle != nil && !errors.Is(err, settle) {
			t.Errorf("%s: %v", key, err)
		}
		told(key, false)
		r.do("GET /s/note/"+key, "").wants(404)
	}
	if err := tell("sender", "more", nil); err != nil || box.added.Load() != 1 || !r.has(trayKey("another")) {
		t.Errorf("%v, %d are told of", err, box.added.Load())
	}
	// Who does not want to know, or is not there, holds nothing up.
	if err := tell("nobody", "lonely", nil); err != nil {
		t.Error(err)
	}
	told("lonely", true)
	deaf := altered(d, "sender", func(p *deploy.Plugin) { p.Desc.Outcomes = false })
	r.swap(Serving{Current: deaf})
	if err := tell("sender", "unheard", nil); err != nil {
		t.Error(err)
	}
	told("unheard", true)
	// A deployment that is not served may be again.
	r.swap()
	if err := tell("sender", "later", nil); err == nil {
		t.Error("nobody is there")
	}
	told("later", false)
}

func TestAPluginIsNotToldWhenTimeIsUp(t *testing.T) {
	r, _, _ := sending(t)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	err := r.gateway.Tell(ctx, "test", "sender", &abi.Outcome{Key: "late"}, func(store.Txn) error { return nil })
	if err == nil {
		t.Error("it is told")
	}
	r.do("GET /s/note/late", "").wants(404)
}

func TestWhatAPluginHasCompressedIsPassedOn(t *testing.T) {
	r, _, _ := sending(t)
	got := r.do("GET /s/packed", "", "Accept-Encoding", "gzip").wants(200)
	if got.header.Get("Content-Encoding") != "gzip" || got.body != "as if compressed" {
		t.Errorf("%q, %v", got.body, got.header)
	}
	// What the host renders is as the host says.
	got = r.do("GET /s/packed?value=x", "").wants(200)
	if got.header.Get("Content-Encoding") != "" || got.body != `"plain"` {
		t.Errorf("%q, %v", got.body, got.header)
	}
}

// errorSays tells whether the body of an answer has the text of an error.
func errorSays(body string, err error) bool { return strings.Contains(body, err.Error()) }

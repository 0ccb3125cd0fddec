// Package bed is what benchmarks over HTTP run on: a whole host on loopback, with
// the gateway, a store on disk and the plugins.
package bed

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"path"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
	"github.com/edgeset/edgeset/host/deploy"
	"github.com/edgeset/edgeset/host/edge"
	"github.com/edgeset/edgeset/host/engine"
	"github.com/edgeset/edgeset/host/gateway"
	"github.com/edgeset/edgeset/host/native"
	"github.com/edgeset/edgeset/host/wasmtest"
	"github.com/edgeset/edgeset/store"
	"github.com/edgeset/edgeset/store/badgerstore"
)

// space is the name of the deployment, and so of its state.
const space = "bench"

// A Bed is a host that serves the plugin signing and others. There is an
// application, and an account that is logged in.
type Bed struct {
	App     string // id of the application
	Secret  string // of the application
	Account string // id of the account
	Token   string // that requests carry

	tb      testing.TB
	gateway *gateway.Gateway
	plugins []*deploy.Plugin
	store   store.Store
	addr    string
	client  *fasthttp.HostClient
	ahead   atomic.Int64 // of the real clock
}

// New starts a host of signing and sharing, which ends with the benchmark. Both run
// in Wasm, except one that is given as compiled into this process.
func New(tb testing.TB, durability badgerstore.Durability, compiled ...*guest.Plugin) *Bed {
	tb.Helper()
	return NewOf(tb, durability, []string{"plugins/signing", "plugins/sharing"}, compiled...)
}

// NewOf is New for other plugins, whose source is in these folders of the
// repository; signing has to be among them.
func NewOf(tb testing.TB, durability badgerstore.Durability, folders []string, compiled ...*guest.Plugin) *Bed {
	tb.Helper()
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	state, err := badgerstore.Open(badgerstore.Options{Dir: tb.TempDir(), Durability: durability, Logger: quiet})
	must(tb, err)
	eng, err := engine.New(engine.Config{CacheDir: wasmtest.CacheDir(tb), Logger: quiet})
	must(tb, err)
	// A busy machine may take its time for what is slow.
	const deadline = deploy.Duration(time.Minute)
	grants := []string{abi.GrantKV, abi.GrantPasswords, abi.GrantEvents, abi.GrantBlobs}
	pictures := edge.NewPictures(0, 0)
	natively := map[string]*guest.Plugin{}
	for _, p := range compiled {
		natively[p.Description().Name] = p
	}
	dir, spec := tb.TempDir(), deploy.Spec{Name: space, Hosts: []string{"*"}}
	for _, folder := range folders {
		if name := path.Base(folder); natively[name] == nil {
			file := filepath.Join(dir, name+".wasm")
			must(tb, os.WriteFile(file, wasmtest.Build(tb, folder), 0o600))
			spec.Plugins = append(spec.Plugins, deploy.PluginSpec{Name: name, Source: file, Grants: grants, Deadline: deadline})
		}
	}
	loader := deploy.Loader{Engine: eng, Log: quiet, Pictures: pictures}
	d, err := loader.Load(tb.Context(), spec)
	must(tb, err)
	for name, p := range natively {
		d.Plugins = append(d.Plugins, &deploy.Plugin{
			Spec: deploy.PluginSpec{Name: name, Deadline: deadline}, Desc: p.Description(), Runner: native.New(p),
			Edge: &edge.Plugin{Name: name, Grants: grants, Log: quiet, Pictures: pictures},
		})
	}
	b := &Bed{tb: tb, store: state, plugins: d.Plugins}
	b.gateway = gateway.New(gateway.Config{Store: state, Log: quiet, Now: func() time.Time {
		return time.Now().Add(time.Duration(b.ahead.Load()))
	}})
	must(tb, b.gateway.Set([]*deploy.Deployment{d}))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(tb, err)
	served := make(chan error, 1)
	go func() { served <- b.gateway.Serve(l) }()
	b.addr = l.Addr().String()
	b.client = &fasthttp.HostClient{Addr: b.addr, MaxConns: 256}
	tb.Cleanup(func() {
		b.client.CloseIdleConnections()
		ctx := context.Background() // the benchmark's has ended
		must(tb, b.gateway.Shutdown(ctx))
		must(tb, <-served)
		must(tb, d.Close(ctx))
		must(tb, eng.Close(ctx))
		must(tb, state.Close())
	})
	b.login()
	return b
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// login makes an application, as the operator would, and an account.
func (b *Bed) login() {
	var app struct{ ID, Secret string }
	must(b.tb, json.Unmarshal(b.Operate("signing", "POST", "/apps", "", `{"name":"bench"}`), &app))
	b.App, b.Secret = app.ID, app.Secret
	b.Account, b.Token = b.Join("bench")
}

// Join makes one more account and logs it in. It returns the id of the account and
// the token that its requests carry.
func (b *Bed) Join(name string) (account, token string) {
	b.tb.Helper()
	q := url.Values{"api_key": {b.App}, "username": {name}, "id": {name}, "password": {"correct horse"}}
	b.Ask("", "POST", "/v2/account/create?"+q.Encode(), nil)
	var login struct {
		Response struct {
			Token string `json:"access_token"`
		}
	}
	must(b.tb, json.Unmarshal(b.Ask("", "POST", "/v2/account/login?"+q.Encode(), nil), &login))
	var self struct{ Response struct{ ID string } }
	must(b.tb, json.Unmarshal(b.Ask(login.Response.Token, "GET", "/v2/users/self", nil), &self))
	return self.Response.ID, login.Response.Token
}

// SetClock has the host's clock run that far ahead of the real one.
func (b *Bed) SetClock(ahead time.Duration) { b.ahead.Store(int64(ahead)) }

// Operate makes a request of the operator to a plugin, without HTTP, and returns
// the body of the answer.
func (b *Bed) Operate(plugin, method, path, query, body string) []byte {
	b.tb.Helper()
	var ctx fasthttp.RequestCtx
	ctx.Request.Header.SetMethod(method)
	ctx.Request.URI().SetQueryString(query)
	ctx.Request.SetBodyString(body)
	b.gateway.Operate(&ctx, space, plugin, path)
	if status := ctx.Response.StatusCode(); status >= 300 {
		b.tb.Fatalf("%s %s: %d %s", method, path, status, ctx.Response.Body())
	}
	return ctx.Response.Body()
}

// recordsOfTxn is how many records Fill writes in a transaction.
const recordsOfTxn = 200

// Fill has put write n records of a plugin into the store, each of at most five
// entries: as the plugin would, but many in a transaction.
func (b *Bed) Fill(plugin string, n int, put func(c *edge.Call, i int) error) {
	b.tb.Helper()
	var call edge.Call
	call.Start(b.tb.Context(), &edge.Plugin{Name: plugin, Grants: []string{abi.GrantKV}}, "")
	for first := 0; first < n; first += recordsOfTxn {
		must(b.tb, b.store.Update(b.tb.Context(), space, func(txn store.Txn) error {
			call.Begin(txn)
			for i := first; i < min(first+recordsOfTxn, n); i++ {
				if err := put(&call, i); err != nil {
					return err
				}
			}
			return call.Failure()
		}))
	}
}

// Settle lets the store finish with what Fill has written: it goes on to sort
// that in the background, for as long as some seconds.
func (b *Bed) Settle() { time.Sleep(5 * time.Second) }

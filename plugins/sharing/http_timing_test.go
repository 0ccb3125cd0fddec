//go:build !wasip1

package main

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/url"
	"os"
	"strconv"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi/guest"
	"github.com/edgeset/edgeset/host/bench"
	"github.com/edgeset/edgeset/host/deploy"
	"github.com/edgeset/edgeset/host/edge"
	"github.com/edgeset/edgeset/host/engine"
	"github.com/edgeset/edgeset/host/gateway"
	"github.com/edgeset/edgeset/host/native"
	"github.com/edgeset/edgeset/host/wasmtest"
	"github.com/edgeset/edgeset/store/badgerstore"
	"github.com/valyala/fasthttp"
)

// A bed is a whole host on loopback: the gateway, a store on disk, the signing
// plugin in Wasm, and this plugin either in Wasm or compiled natively.
type bed struct {
	tb     testing.TB
	addr   string
	client *fasthttp.HostClient
	token  string
	clock  atomic.Int64 // ms ahead of the real clock
}

func newBed(tb testing.TB, wasm bool, durability badgerstore.Durability) *bed {
	tb.Helper()
	quiet := slog.New(slog.NewTextHandler(io.Discard, nil))
	state, err := badgerstore.Open(badgerstore.Options{Dir: tb.TempDir(), Durability: durability, Logger: quiet})
	must(tb, err)
	eng, err := engine.New(engine.Config{CacheDir: wasmtest.CacheDir(tb), Logger: quiet})
	must(tb, err)
	dir := tb.TempDir()
	spec := deploy.Spec{Name: "bench", Hosts: []string{"*"}}
	for _, name := range []string{"signing", "sharing"} {
		if name == "signing" || wasm {
			file := dir + "/" + name + ".wasm"
			must(tb, os.WriteFile(file, wasmtest.Build(tb, "plugins/"+name), 0o600))
			spec.Plugins = append(spec.Plugins, deploy.PluginSpec{Name: name, Source: file, Grants: []string{"kv", "passwords"}})
		}
	}
	loader := deploy.Loader{Engine: eng, Log: quiet}
	d, err := loader.Load(tb.Context(), spec)
	must(tb, err)
	if !wasm {
		p := guest.Served()
		d.Plugins = append(d.Plugins, &deploy.Plugin{
			Spec: deploy.PluginSpec{Name: "sharing"}, Desc: p.Description(), Runner: native.New(p),
			Edge: &edge.Plugin{Name: "sharing", Grants: []string{"kv"}, Log: quiet},
		})
	}
	b := &bed{tb: tb}
	g := gateway.New(gateway.Config{Store: state, Log: quiet, Now: func() time.Time {
		return time.Now().Add(time.Duration(b.clock.Load()) * time.Millisecond)
	}})
	must(tb, g.Set([]*deploy.Deployment{d}))
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(tb, err)
	served := make(chan error, 1)
	go func() { served <- g.Serve(l) }()
	b.addr = l.Addr().String()
	b.client = &fasthttp.HostClient{Addr: b.addr, MaxConns: 256}
	tb.Cleanup(func() {
		b.client.CloseIdleConnections()
		ctx := tb.Context()
		_ = g.Shutdown(ctx)
		<-served
		_ = d.Close(ctx)
		_ = eng.Close(ctx)
		must(tb, state.Close())
	})
	b.login(g)
	return b
}

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// login makes an application, as the operator would, and an account.
func (b *bed) login(g *gateway.Gateway) {
	var ctx fasthttp.RequestCtx
	ctx.Request.Header.SetMethod("POST")
	ctx.Request.SetBodyString(`{"name":"bench"}`)
	g.Operate(&ctx, "bench", "signing", "/apps")
	var app struct{ ID string }
	must(b.tb, json.Unmarshal(ctx.Response.Body(), &app))
	q := url.Values{"api_key": {app.ID}, "username": {"bench"}, "id": {"bench"}, "password": {"correct horse"}}
	b.do("POST", "/v2/account/create?"+q.Encode(), nil)
	b.token = b.do("POST", "/v2/account/login?"+q.Encode(), nil).AccessToken
}

// fields are what the benchmarks read of replies.
type fields struct {
	ID          string
	AccessToken string `json:"access_token"`
	Next        int64
	Location    []json.RawMessage
}

func (b *bed) do(method, path string, body []byte) fields {
	req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
	defer fasthttp.ReleaseRequest(req)
	defer fasthttp.ReleaseResponse(resp)
	b.send(req, resp, method, path, body)
	var reply struct{ Response fields }
	if err := json.Unmarshal(resp.Body(), &reply); err != nil {
		b.tb.Fatalf("%s %s: %v: %s", method, path, err, resp.Body())
	}
	return reply.Response
}

func (b *bed) send(req *fasthttp.Request, resp *fasthttp.Response, method, path string, body []byte) {
	req.Header.SetMethod(method)
	req.SetRequestURI("http://" + b.addr + path)
	if b.token != "" {
		req.Header.Set("Authorization", "Bearer "+b.token)
	}
	req.SetBodyRaw(body)
	if err := b.client.Do(req, resp); err != nil {
		b.tb.Fatalf("%s %s: %v", method, path, err)
	}
	if resp.StatusCode() >= 300 {
		b.tb.Fatalf("%s %s: %d %s", method, path, resp.StatusCode(), resp.Body())
	}
}

// share makes a ticket and an invite to it.
func (b *bed) share() (ticket, code string) {
	ticket = b.do("POST", "/v2/users/self/create_ticket?duration=14400000", nil).ID
	code = b.do("POST", "/v2/tickets/"+ticket+"/create_invite?type=link&send=client", nil).ID
	return ticket, code
}

// rows writes a batch of points, step ms apart.
func rows(buf []byte, from int64, n int, step int64) []byte {
	buf = append(buf[:0], '[')
	for i := range int64(n) {
		if i > 0 {
			buf = append(buf, ',')
		}
		buf = fmt.Appendf(buf, "[%d,%d,%d,350,90,12,5,8]", from+i*step, 37772000+i*7, -122419000-i*9)
	}
	return append(buf, ']')
}

const sharers = 16

// appender returns a side that appends batches of 10 points, the sharers side
// by side, each to a ticket of its own.
func (b *bed) appender() bench.Side {
	type sharer struct {
		path string
		next int64
		body []byte
	}
	list := make([]sharer, sharers)
	for i := range list {
		ticket, _ := b.share()
		list[i] = sharer{path: "/v2/tickets/" + ticket + "/append_location", next: time.Now().UnixMilli() - 9*60_000}
	}
	return func(n int) {
		var left atomic.Int64
		left.Store(int64(n))
		var wg sync.WaitGroup
		for i := range list {
			wg.Go(func() {
				s := &list[i]
				req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
				defer fasthttp.ReleaseRequest(req)
				defer fasthttp.ReleaseResponse(resp)
				for left.Add(-1) >= 0 {
					s.body = rows(s.body, s.next, 10, 1)
					s.next += 10
					b.send(req, resp, "POST", s.path, s.body)
				}
			})
		}
		wg.Wait()
	}
}

// BenchmarkAppendOverHTTP compares append_location of 10 points from end to
// end, client included, with the plugin in Wasm and the same handlers native: as
// served by default, where an acknowledged point survives the loss of power, and
// without the waiting for the disk, where the processor is all that counts.
func BenchmarkAppendOverHTTP(b *testing.B) {
	for _, c := range []struct {
		name       string
		durability badgerstore.Durability
	}{
		{"http/append_location", badgerstore.Power},
		{"http/append_location_process", badgerstore.Process},
	} {
		b.Run(c.durability.String(), func(b *testing.B) {
			wasm, native := newBed(b, true, c.durability), newBed(b, false, c.durability)
			bench.Compare(b, c.name, "native", "µs", wasm.appender(), native.appender())
		})
	}
}

// BenchmarkViewOverHTTP compares the poll of a viewer who has seen all but the
// last batch.
func BenchmarkViewOverHTTP(b *testing.B) {
	viewer := func(bed *bed) bench.Side {
		ticket, code := bed.share()
		from := time.Now().UnixMilli() - 60_000
		bed.do("POST", "/v2/tickets/"+ticket+"/append_location", rows(nil, from, 10, 100))
		next := bed.do("GET", "/v2/invites/"+code+"?next=0", nil).Next
		bed.do("POST", "/v2/tickets/"+ticket+"/append_location", rows(nil, from+2000, 10, 100))
		return bed.getter("/v2/invites/" + code + "?next=" + strconv.FormatInt(next, 10))
	}
	wasm, native := newBed(b, true, badgerstore.Process), newBed(b, false, badgerstore.Process)
	bench.Compare(b, "http/view", "native", "µs", viewer(wasm), viewer(native))
}

func (b *bed) getter(path string) bench.Side {
	return func(n int) {
		var left atomic.Int64
		left.Store(int64(n))
		var wg sync.WaitGroup
		for range sharers {
			wg.Go(func() {
				req, resp := fasthttp.AcquireRequest(), fasthttp.AcquireResponse()
				defer fasthttp.ReleaseRequest(req)
				defer fasthttp.ReleaseResponse(resp)
				for left.Add(-1) >= 0 {
					b.send(req, resp, "GET", path, nil)
				}
			})
		}
		wg.Wait()
	}
}

// BenchmarkGrowth compares what a page costs on a ticket with a million points
// and on one with a thousand: ours is the large one.
func BenchmarkGrowth(b *testing.B) {
	bed := newBed(b, true, badgerstore.Process)
	// A ticket that began four hours ago and has been sharing since.
	const step, points = 14, 1_000_000
	bed.clock.Store(-step * points)
	large, largeCode := bed.share()
	small, smallCode := bed.share()
	from := time.Now().UnixMilli() - step*points
	bed.clock.Store(0)
	var body []byte
	for i := range int64(points / 1000) {
		body = rows(body, from+i*1000*step, 1000, step)
		bed.do("POST", "/v2/tickets/"+large+"/append_location", body)
	}
	body = rows(body, from+(points-1000)*step, 1000, step)
	bed.do("POST", "/v2/tickets/"+small+"/append_location", body)

	pages := func(code string) map[string]string {
		path := "/v2/invites/" + code + "?no_count=true"
		next := bed.do("GET", path+"&next=0&limit=0", nil).Next
		// Both have the same last batch to read.
		return map[string]string{
			"page/full_trail": path + "&next=0&full_trail=true",
			"page/last_batch": path + "&next=" + strconv.FormatInt(next-1, 10),
			"page/nothing":    path + "&next=" + strconv.FormatInt(next, 10),
		}
	}
	ours, theirs := pages(largeCode), pages(smallCode)
	for _, name := range []string{"page/full_trail", "page/last_batch", "page/nothing"} {
		if got, want := len(bed.do("GET", ours[name], nil).Location), len(bed.do("GET", theirs[name], nil).Location); got != want {
			b.Fatalf("%s: %d rows of a million, %d of a thousand: the pages are not comparable", name, got, want)
		}
		b.Run(name, func(b *testing.B) {
			bench.Compare(b, name, "1k points", "µs", bed.getter(ours[name]), bed.getter(theirs[name]))
		})
	}
}

// Package native is the peer that shows the price of Wasm: the gateway and the
// store of edgeset, with the handlers of the plugins compiled in.
//
// A plugin is a main package, which cannot be imported. So the benchmark builds
// the plugin's own package once more, with a main function that calls Main.
package native

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"net"
	"os"
	"os/signal"
	"path/filepath"
	"syscall"

	"github.com/valyala/fasthttp"

	"github.com/edgeset/edgeset/abi/guest"
	"github.com/edgeset/edgeset/host/bench/peers/empty"
	"github.com/edgeset/edgeset/host/deploy"
	"github.com/edgeset/edgeset/host/edge"
	"github.com/edgeset/edgeset/host/engine"
	"github.com/edgeset/edgeset/host/gateway"
	"github.com/edgeset/edgeset/host/native"
	"github.com/edgeset/edgeset/store/badgerstore"
)

// Main serves until SIGTERM. On its output it prints an application, as
// "edgeset app create" does.
func Main(sharing *guest.Plugin) {
	listen := flag.String("listen", "127.0.0.1:0", "address")
	data := flag.String("data", "", "folder of the state")
	cache := flag.String("cache", "", "folder of compiled plugins")
	signing := flag.String("signing", "", "Wasm file of the plugin that issues tokens")
	durability := flag.String("durability", "power", "what an acknowledged write survives")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := serve(ctx, sharing, *listen, *data, *cache, *signing, *durability); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(ctx context.Context, sharing *guest.Plugin, listen, data, cache, signing, durability string) error {
	log := slog.New(slog.NewTextHandler(os.Stderr, &slog.HandlerOptions{Level: slog.LevelWarn}))
	kind, err := badgerstore.ParseDurability(durability)
	if err != nil {
		return err
	}
	state, err := badgerstore.Open(badgerstore.Options{Dir: filepath.Join(data, "store"), Durability: kind, Logger: log})
	if err != nil {
		return err
	}
	defer state.Close()
	eng, err := engine.New(engine.Config{CacheDir: cache, Logger: log})
	if err != nil {
		return err
	}
	defer eng.Close(context.Background())
	loader := deploy.Loader{Engine: eng, Log: log}
	d, err := loader.Load(ctx, deploy.Spec{Name: "default", Hosts: []string{"*"}, Plugins: []deploy.PluginSpec{
		{Name: "signing", Source: signing, Grants: []string{"kv", "passwords"}},
	}})
	if err != nil {
		return err
	}
	defer d.Close(context.Background())
	for _, p := range []*guest.Plugin{sharing, empty.Plugin()} {
		name := p.Description().Name
		d.Plugins = append(d.Plugins, &deploy.Plugin{
			Spec: deploy.PluginSpec{Name: name}, Desc: p.Description(), Runner: native.New(p),
			Edge: &edge.Plugin{Name: name, Grants: []string{"kv"}, Log: log},
		})
	}
	g := gateway.New(gateway.Config{Store: state, Log: log})
	if err := g.Set([]*deploy.Deployment{d}); err != nil {
		return err
	}
	l, err := net.Listen("tcp", listen)
	if err != nil {
		return err
	}
	var app fasthttp.RequestCtx
	app.Request.Header.SetMethod("POST")
	app.Request.SetBodyString(`{"name":"bench"}`)
	g.Operate(&app, d.Spec.Name, "signing", "/apps")
	fmt.Printf("%s\n", app.Response.Body())
	go func() {
		<-ctx.Done()
		_ = g.Shutdown(context.Background())
	}()
	return g.Serve(l)
}

// Command extism serves the app with a guest of extism/go-sdk, behind the server
// that edgeset uses.
package main

import (
	"context"
	"encoding/json"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"runtime"
	"syscall"

	extism "github.com/extism/go-sdk"
	"github.com/tetratelabs/wazero"
	"github.com/valyala/fasthttp"

	"github.com/edgeset/edgeset/host/bench/peers/trail"
)

func main() {
	listen := flag.String("listen", "127.0.0.1:0", "address")
	data := flag.String("data", "", "folder of the state")
	guest := flag.String("guest", "", "Wasm file")
	token := flag.String("token", "", "access token of the one account")
	flag.Parse()
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, os.Interrupt)
	defer stop()
	if err := serve(ctx, *listen, *data, *guest, trail.Tokens{*token: "ann"}); err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
}

func serve(ctx context.Context, listen, data, guest string, tokens trail.Tokens) error {
	trails, err := trail.Open(data)
	if err != nil {
		return err
	}
	defer trails.Close()
	compiled, err := extism.NewCompiledPlugin(ctx, extism.Manifest{Wasm: []extism.Wasm{extism.WasmFile{Path: guest}}},
		extism.PluginConfig{EnableWasi: true}, functions())
	if err != nil {
		return err
	}
	defer compiled.Close(context.Background())
	// Plugins are not safe for concurrent use, and a new one takes milliseconds:
	// so they are compiled once, as the SDK's documentation says, and instances
	// are kept. As many as edgeset has by default.
	f := &front{trails: trails, tokens: tokens, idle: make(chan *extism.Plugin, 4*runtime.NumCPU())}
	for range cap(f.idle) {
		p, err := compiled.Instance(ctx, extism.PluginInstanceConfig{
			ModuleConfig: wazero.NewModuleConfig().WithSysWalltime().WithSysNanotime(),
		})
		if err != nil {
			return err
		}
		f.idle <- p
	}
	server := &fasthttp.Server{Handler: f.handle, NoDefaultServerHeader: true}
	go func() {
		<-ctx.Done()
		_ = server.Shutdown()
	}()
	return server.ListenAndServe(listen)
}

// front is what stands before the guest.
type front struct {
	trails *trail.Store
	tokens trail.Tokens
	idle   chan *extism.Plugin
}

var exports = map[trail.Kind]string{trail.Empty: "empty", trail.Append: "append", trail.View: "view"}

func (f *front) handle(c *fasthttp.RequestCtx) {
	r, ok := f.tokens.Route(string(c.Method()), string(c.Path()), string(c.Request.Header.Peek("Authorization")))
	switch {
	case !ok:
		c.SetStatusCode(fasthttp.StatusUnauthorized)
	case r.Kind == trail.Unknown:
		c.SetStatusCode(fasthttp.StatusNotFound)
	case r.Kind == trail.Create:
		f.create(c, r.Owner)
	case r.Kind == trail.Empty:
		if err := f.call(context.Background(), c, &r, nil); err != nil {
			c.Error(err.Error(), fasthttp.StatusInternalServerError)
		}
	default:
		f.transact(c, &r)
	}
}

// transact answers when what the guest wrote is committed.
func (f *front) transact(c *fasthttp.RequestCtx, r *trail.Request) {
	who, next := r.Owner, []byte(nil)
	if r.Kind == trail.View {
		who, next = c.RemoteIP().String()+" "+string(c.UserAgent()), c.QueryArgs().Peek("next")
	}
	input := append(append(append([]byte(r.ID), 0), who...), 0)
	input = append(append(append(input, next...), 0), c.PostBody()...)
	err := f.trails.Update(context.Background(), func(ctx context.Context) error { return f.call(ctx, c, r, input) })
	if err != nil {
		c.Error(err.Error(), fasthttp.StatusServiceUnavailable)
	}
}

func (f *front) call(ctx context.Context, c *fasthttp.RequestCtx, r *trail.Request, input []byte) error {
	p := <-f.idle
	defer func() { f.idle <- p }()
	code, out, err := p.CallWithContext(ctx, exports[r.Kind], input)
	switch {
	case code >= 400:
		c.SetStatusCode(int(code))
	case err != nil:
		return err
	default:
		c.SetContentType("application/json")
		c.SetBody(out)
	}
	return nil
}

// create is not compared, so no guest does it.
func (f *front) create(c *fasthttp.RequestCtx, owner string) {
	id, code, err := f.trails.Create(context.Background(), owner)
	if err != nil {
		c.Error(err.Error(), fasthttp.StatusInternalServerError)
		return
	}
	c.SetContentType("application/json")
	_ = json.NewEncoder(c).Encode(map[string]any{"result": "ok", "response": map[string]string{"type": "ticket", "id": id, "code": code}})
}

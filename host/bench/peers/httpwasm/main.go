// Command httpwasm serves the app with a guest of http-wasm, by way of its only
// adapter, that for net/http.
package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"os/signal"
	"syscall"

	"github.com/http-wasm/http-wasm-host-go/handler"
	wasm "github.com/http-wasm/http-wasm-host-go/handler/nethttp"
	"github.com/tetratelabs/wazero"

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
	code, err := os.ReadFile(guest)
	if err != nil {
		return err
	}
	trails, err := trail.Open(data)
	if err != nil {
		return err
	}
	defer trails.Close()
	// A guest made by the Go compiler is a reactor. Clocks are given, as an
	// operator would: the library's default is one that stands still.
	module := wazero.NewModuleConfig().WithStartFunctions("_initialize").WithSysWalltime().WithSysNanotime()
	m, err := wasm.NewMiddleware(ctx, code, handler.ModuleConfig(module), handler.Runtime(newRuntime))
	if err != nil {
		return err
	}
	defer m.Close(context.Background())
	server := &http.Server{Addr: listen, Handler: &front{
		trails: trails, tokens: tokens, guest: m.NewHandler(ctx, http.NotFoundHandler()),
	}}
	go func() {
		<-ctx.Done()
		_ = server.Shutdown(context.Background())
	}()
	if err := server.ListenAndServe(); !errors.Is(err, http.ErrServerClosed) {
		return err
	}
	return nil
}

// front is what stands before the guest.
type front struct {
	trails *trail.Store
	tokens trail.Tokens
	guest  http.Handler
}

func (f *front) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	r, ok := f.tokens.Route(req.Method, req.URL.Path, req.Header.Get("Authorization"))
	switch {
	case !ok:
		w.WriteHeader(http.StatusUnauthorized)
	case r.Kind == trail.Unknown:
		w.WriteHeader(http.StatusNotFound)
	case r.Kind == trail.Create:
		f.create(w, req.Context(), r.Owner)
	case r.Kind == trail.Empty:
		f.guest.ServeHTTP(w, req)
	default:
		f.transact(w, req, &r)
	}
}

// transact answers when what the guest wrote is committed.
func (f *front) transact(w http.ResponseWriter, req *http.Request, r *trail.Request) {
	if r.Kind == trail.Append {
		req.Header.Set("X-Account", r.Owner)
	} else {
		host, _, _ := net.SplitHostPort(req.RemoteAddr)
		req.Header.Set("X-Viewer", host+" "+req.UserAgent())
	}
	body, err := io.ReadAll(req.Body) // a call may run again
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	var held response
	err = f.trails.Update(req.Context(), func(ctx context.Context) error {
		again := req.WithContext(ctx)
		again.Body = io.NopCloser(bytes.NewReader(body))
		held = response{header: w.Header(), status: http.StatusOK}
		f.guest.ServeHTTP(&held, again)
		return nil
	})
	if err != nil {
		http.Error(w, err.Error(), http.StatusServiceUnavailable)
		return
	}
	w.WriteHeader(held.status)
	_, _ = w.Write(held.body)
}

// create is not compared, so no guest does it.
func (f *front) create(w http.ResponseWriter, ctx context.Context, owner string) {
	id, code, err := f.trails.Create(ctx, owner)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	_ = json.NewEncoder(w).Encode(map[string]any{"result": "ok", "response": map[string]string{"type": "ticket", "id": id, "code": code}})
}

// A response is held back until the commit.
type response struct {
	header http.Header
	status int
	body   []byte
}

func (r *response) Header() http.Header    { return r.header }
func (r *response) WriteHeader(status int) { r.status = status }

func (r *response) Write(b []byte) (int, error) {
	r.body = append(r.body, b...)
	return len(b), nil
}

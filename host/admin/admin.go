// Package admin is what operators talk to, on an address of its own: health,
// metrics, what is deployed and how to change it, and the routes that plugins declare
// for operators.
package admin

import (
	"context"
	"crypto/rand"
	"crypto/subtle"
	"encoding/base64"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/gateway"
	"github.com/edgeset/edgeset/host/rollout"
	"github.com/edgeset/edgeset/host/text"
	"github.com/prometheus/client_golang/prometheus"
	"github.com/valyala/fasthttp"
)

// tokenFile is the name, in the data folder, of the file with the admin token.
const tokenFile = "admin.token"

// TokenEnv names the environment variable that sets the admin token.
const TokenEnv = "EDGESET_ADMIN_TOKEN"

// Token returns the admin token: the one that the environment sets, else the
// one in the data folder, which is made on first use if create is true.
func Token(dataDir string, create bool) (string, error) {
	if t := os.Getenv(TokenEnv); t != "" {
		return t, nil
	}
	file := filepath.Join(dataDir, tokenFile)
	b, err := os.ReadFile(file)
	switch {
	case err == nil:
		if t := strings.TrimSpace(string(b)); t != "" {
			return t, nil
		}
		return "", fmt.Errorf("admin: %s is empty: delete it to have a new token made", file)
	case !errors.Is(err, fs.ErrNotExist) || !create:
		return "", fmt.Errorf("admin: token: %w (or set %s)", err, TokenEnv)
	}
	var random [32]byte
	rand.Read(random[:])
	t := base64.RawURLEncoding.EncodeToString(random[:])
	f, err := os.OpenFile(file, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if err != nil {
		return "", fmt.Errorf("admin: token: %w", err)
	}
	_, err = f.WriteString(t + "\n")
	if err := errors.Join(err, f.Sync(), f.Close()); err != nil {
		return "", fmt.Errorf("admin: token: %w", err)
	}
	return t, nil
}

// Config says what an admin API works on.
type Config struct {
	Gateway     *gateway.Gateway
	Deployments Deployments
	Library     Library
	Outbox      Outbox              // nil: the host has none
	Note        func(rollout.Entry) // puts a line into the audit log, of changes of the outbox; nil: none is kept
	Token       string              // who shows it is let in; "": nobody is
	Log         *slog.Logger
}

// A Server is the admin API.
type Server struct {
	config  Config
	token   []byte
	server  *fasthttp.Server
	routes  []route
	metrics *prometheus.Registry // of the outbox
	ready   atomic.Bool
	conns   gateway.Conns

	ctx     context.Context // of all changes
	cancel  context.CancelFunc
	changes sync.WaitGroup // those that are under way
}

// New makes an admin API.
func New(c Config) *Server {
	s := &Server{config: c, token: []byte(c.Token)}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	s.routes = s.table()
	s.metrics = newMetrics(c.Outbox)
	s.server = &fasthttp.Server{
		Handler: s.handle, NoDefaultServerHeader: true, CloseOnShutdown: true,
		HeaderReceived: s.announced, StreamRequestBody: true, DisablePreParseMultipartForm: true,
		MaxRequestBodySize: maxBody, ReadBufferSize: 16 << 10,
		ReadTimeout: 30 * time.Second, WriteTimeout: writeTime, IdleTimeout: time.Minute,
		Logger: connectionLog{c.Log},
	}
	return s
}

type connectionLog struct{ log *slog.Logger }

func (l connectionLog) Printf(format string, args ...any) {
	l.log.Debug("admin connection: " + fmt.Sprintf(format, args...))
}

// SetReady says whether /readyz answers that the host takes requests.
func (s *Server) SetReady(ready bool) { s.ready.Store(ready) }

// Serve takes connections until Shutdown.
func (s *Server) Serve(l net.Listener) error {
	if err := s.server.Serve(s.conns.Listener(l)); err != nil {
		return fmt.Errorf("admin: serve %s: %w", l.Addr(), err)
	}
	return nil
}

// Shutdown stops the API. A change that is under way is given up, unless it has come
// too far for that; it is waited for until ctx ends.
func (s *Server) Shutdown(ctx context.Context) error {
	s.cancel()
	err := s.conns.Shutdown(ctx, s.server)
	done := make(chan struct{})
	go func() {
		s.changes.Wait()
		close(done)
	}()
	select {
	case <-done:
	case <-ctx.Done():
		err = errors.Join(err, fmt.Errorf("a change is still under way: %w", context.Cause(ctx)))
	}
	if err != nil {
		return fmt.Errorf("admin: shutdown: %w", err)
	}
	return nil
}

// handle answers the paths that probes need, which are open to whoever reaches the
// address:
//
//	GET /healthz   200 while the process works
//	GET /readyz    200 while it takes requests, 503 while it starts and drains
//	GET /metrics   Prometheus
//
// and has who shows the token go on to the rest.
func (s *Server) handle(ctx *fasthttp.RequestCtx) {
	defer s.guard(ctx)
	path := string(ctx.Path())
	switch path {
	case "/healthz", "/readyz", "/metrics":
		defer finishBody(ctx)
		if !ctx.IsGet() && !ctx.IsHead() {
			wrongMethod(ctx, "GET, HEAD")
			return
		}
	}
	switch path {
	case "/healthz":
		ctx.SetBodyString("ok\n")
	case "/readyz":
		if !s.ready.Load() {
			ctx.SetStatusCode(503)
			ctx.SetBodyString("not ready\n")
			return
		}
		ctx.SetBodyString("ready\n")
	case "/metrics":
		ctx.SetContentType("text/plain; version=0.0.4; charset=utf-8")
		if err := s.config.Gateway.WritePrometheus(ctx, s.metrics); err != nil {
			ctx.ResetBody()
			problem(ctx, 500, "internal", err.Error())
		}
	default:
		s.operate(ctx, path)
	}
}

func (s *Server) operate(ctx *fasthttp.RequestCtx, path string) {
	if !s.admits(&ctx.Request.Header) {
		ctx.Response.Header.Set("WWW-Authenticate", "Bearer")
		problem(ctx, 401, "unauthenticated", "The admin API wants its token as \"Authorization: Bearer …\".")
		finishBody(ctx)
		return
	}
	if deployment, plugin, route, ok := pluginRoute(path); ok {
		s.config.Gateway.Operate(ctx, deployment, plugin, route)
		return
	}
	s.dispatch(ctx, path)
	finishBody(ctx)
}

// admits tells whether a request shows the token.
func (s *Server) admits(h *fasthttp.RequestHeader) bool {
	scheme, shown, _ := strings.Cut(string(h.Peek("Authorization")), " ")
	return strings.EqualFold(scheme, "Bearer") && len(s.token) > 0 &&
		subtle.ConstantTimeCompare([]byte(strings.TrimLeft(shown, " ")), s.token) == 1
}

// pluginRoute takes apart /v1/deployments/NAME/plugins/PLUGIN/…, a plugin's route for
// operators.
func pluginRoute(path string) (deployment, plugin, route string, ok bool) {
	rest, ok := strings.CutPrefix(path, "/v1/deployments/")
	deployment, rest, ok2 := strings.Cut(rest, "/plugins/")
	plugin, route, ok3 := strings.Cut(rest, "/")
	return deployment, plugin, "/" + route, ok && ok2 && ok3 && !strings.Contains(deployment, "/")
}

func wrongMethod(ctx *fasthttp.RequestCtx, allow string) {
	ctx.Response.Header.Set("Allow", allow)
	problem(ctx, 405, "method_not_allowed", "This path takes "+allow+".")
}

func problem(ctx *fasthttp.RequestCtx, status int, code, message string) {
	ctx.SetStatusCode(status)
	ctx.SetContentType("application/json")
	body, err := text.AppendErrorForm(nil, nil, &abi.Error{Status: status, Code: code, Message: message}, 0, "")
	if err != nil { // the form is ours, and is one
		panic(err)
	}
	ctx.SetBody(body)
}

// Package admin is what operators talk to, on an address of its own: health,
// metrics, and the routes that plugins declare for operators.
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
	"sync/atomic"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/gateway"
	"github.com/edgeset/edgeset/host/text"
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

// A Server is the admin API.
type Server struct {
	gateway *gateway.Gateway
	token   []byte
	server  *fasthttp.Server
	ready   atomic.Bool
	conns   gateway.Conns
}

// New makes an admin API that lets in who shows token.
func New(g *gateway.Gateway, token string, log *slog.Logger) *Server {
	s := &Server{gateway: g, token: []byte(token)}
	s.server = &fasthttp.Server{
		Handler: s.handle, NoDefaultServerHeader: true, CloseOnShutdown: true,
		MaxRequestBodySize: 4 << 20, ReadBufferSize: 16 << 10,
		ReadTimeout: 30 * time.Second, WriteTimeout: 30 * time.Second, IdleTimeout: time.Minute,
		Logger: connectionLog{log},
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

// Shutdown stops the API.
func (s *Server) Shutdown(ctx context.Context) error {
	if err := s.conns.Shutdown(ctx, s.server); err != nil {
		return fmt.Errorf("admin: shutdown: %w", err)
	}
	return nil
}

// handle answers
//
//	GET /healthz   200 while the process works
//	GET /readyz    200 while it takes requests, 503 while it starts and drains
//	GET /metrics   Prometheus
//	    /v1/deployments/NAME/plugins/PLUGIN/…   a plugin's routes for operators
//
// The first three are open to whoever reaches the address, as probes need them.
func (s *Server) handle(ctx *fasthttp.RequestCtx) {
	path := string(ctx.Path())
	switch path {
	case "/healthz", "/readyz", "/metrics":
		if !ctx.IsGet() && !ctx.IsHead() {
			ctx.Response.Header.Set("Allow", "GET, HEAD")
			problem(ctx, 405, "method_not_allowed", "This path takes GET, HEAD.")
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
		if err := s.gateway.WritePrometheus(ctx); err != nil {
			ctx.ResetBody()
			problem(ctx, 500, "internal", err.Error())
		}
	default:
		s.operate(ctx, path)
	}
}

func (s *Server) operate(ctx *fasthttp.RequestCtx, path string) {
	scheme, shown, _ := strings.Cut(string(ctx.Request.Header.Peek("Authorization")), " ")
	if !strings.EqualFold(scheme, "Bearer") || len(s.token) == 0 ||
		subtle.ConstantTimeCompare([]byte(strings.TrimLeft(shown, " ")), s.token) != 1 {
		ctx.Response.Header.Set("WWW-Authenticate", "Bearer")
		problem(ctx, 401, "unauthenticated", "The admin API wants its token as \"Authorization: Bearer …\".")
		return
	}
	rest, ok := strings.CutPrefix(path, "/v1/deployments/")
	deployment, rest, ok2 := strings.Cut(rest, "/plugins/")
	plugin, route, ok3 := strings.Cut(rest, "/")
	if !ok || !ok2 || !ok3 || strings.Contains(deployment, "/") {
		problem(ctx, 404, "not_found", "The admin API has nothing at this path.")
		return
	}
	s.gateway.Operate(ctx, deployment, plugin, "/"+route)
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

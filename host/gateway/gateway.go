// Package gateway is the front: it takes HTTP requests, finds the deployment
// and the route, asks who is calling, runs the plugin in a transaction, and
// renders what it answered.
//
// A request is one transaction. It is committed before the response leaves, and
// run again, a bounded number of times, if it met another one.
package gateway

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"net/netip"
	"sync"
	"sync/atomic"
	"time"

	"github.com/edgeset/edgeset/host/deploy"
	"github.com/edgeset/edgeset/store"
	"github.com/valyala/fasthttp"
)

// Config sets a gateway up. The zero value of a field is its default.
type Config struct {
	Store   store.Store
	Log     *slog.Logger
	Access  *slog.Logger // one line a request; nil: none
	Proxies []netip.Prefix
	Now     func() time.Time // the clock of requests; nil: time.Now

	MaxHeader   int           // bytes of a request's head; default 16 KiB
	MaxBody     int           // bytes of a body; default 4 MiB
	MaxUpload   int           // bytes of a body on a route that takes uploads; default 24 MiB
	Spool       string        // folder for what is being uploaded; default the system's
	MaxSpool    int64         // bytes of all that is being uploaded; default 1 GiB
	MaxConns    int           // connections at a time; default 65,536
	MaxConnsIP  int           // of one address; default no limit
	ReadTimeout time.Duration // for a whole request; default 30 s
	WriteLimit  time.Duration // for a whole response; default 30 s
	IdleTimeout time.Duration // between requests of a connection; default 75 s
}

// A Gateway serves deployments over HTTP.
type Gateway struct {
	config  Config
	store   store.Store
	log     *slog.Logger
	ctx     context.Context
	cancel  context.CancelFunc
	server  *fasthttp.Server
	metrics *metrics
	table   atomic.Pointer[table]
	mu      sync.Mutex // held while the table is changed
	// retiring are the sites that serve no more, until somebody has waited for the last
	// of their requests.
	retiring map[*deploy.Deployment]*site
	lives    lives
	spools   spoolDir
	ids      requestIDs
	pool     exchanges
	conns    Conns
	running  atomic.Int64 // requests
}

// New makes a gateway that serves nothing until it is given deployments.
func New(c Config) *Gateway {
	c.MaxHeader = or(c.MaxHeader, 16<<10)
	c.MaxBody = or(c.MaxBody, 4<<20)
	c.MaxUpload = or(c.MaxUpload, 24<<20)
	c.MaxSpool = or(c.MaxSpool, 1<<30)
	c.MaxConns = or(c.MaxConns, 1<<16)
	c.ReadTimeout = or(c.ReadTimeout, 30*time.Second)
	c.WriteLimit = or(c.WriteLimit, 30*time.Second)
	c.IdleTimeout = or(c.IdleTimeout, 75*time.Second)

	g := &Gateway{config: c, store: c.Store, log: c.Log, conns: Conns{limit: c.MaxConnsIP},
		spools: spoolDir{dir: c.Spool, limit: c.MaxSpool}}
	g.metrics = newMetrics(g)
	g.ctx, g.cancel = context.WithCancel(context.Background())
	g.ids.init()
	g.pool.New = func() any { return newExchange(g) }
	g.table.Store(&table{})
	g.retiring = map[*deploy.Deployment]*site{}
	g.server = &fasthttp.Server{
		Handler:               g.Handle,
		ErrorHandler:          g.broken,
		Name:                  "",
		NoDefaultServerHeader: true,
		NoDefaultContentType:  true,
		ReadBufferSize:        c.MaxHeader,
		StreamRequestBody:     true,
		HeaderReceived:        g.announced,
		ExpectHandler:         g.expect,
		Concurrency:           c.MaxConns,
		ReadTimeout:           c.ReadTimeout,
		WriteTimeout:          c.WriteLimit,
		IdleTimeout:           c.IdleTimeout,
		// A connection whose response is under way gets it and is then closed.
		CloseOnShutdown:              true,
		DisablePreParseMultipartForm: true,
		Logger:                       serverLog{c.Log},
	}
	return g
}

func or[T int | int64 | time.Duration](v, def T) T {
	if v == 0 {
		return def
	}
	return v
}

// Set makes these deployments the ones that are served, see Swap.
func (g *Gateway) Set(deployments []*deploy.Deployment) error {
	list := make([]Serving, len(deployments))
	for i, d := range deployments {
		list[i].Current = d
	}
	return g.Swap(list)
}

// Swap makes these the ones that are served, in one step: a request is answered as a
// whole by the version that has let it in, and no request is let in by a version that
// is not served any more. What is to be freed of that has to wait for Drain.
func (g *Gateway) Swap(list []Serving) error {
	g.mu.Lock()
	defer g.mu.Unlock()
	t, err := g.newTable(list)
	old := g.table.Load()
	if err != nil {
		g.lives.keep(old) // what was made for the new ones goes
		return err
	}
	g.table.Store(t)
	g.lives.keep(t)
	for _, svc := range old.services {
		for _, s := range svc.sites() {
			if !t.has(s) {
				g.retiring[s.deployment] = s
				s.retire()
			}
		}
	}
	return nil
}

// Check tells whether these could be served together.
func Check(list []Serving, log *slog.Logger) error {
	g := New(Config{Log: log})
	defer g.cancel()
	defer g.lives.close(g.ctx, "it was only checked")
	_, err := g.newTable(list)
	return err
}

// Serve takes connections until Shutdown.
func (g *Gateway) Serve(l net.Listener) error {
	if err := g.server.Serve(g.conns.Listener(l)); err != nil {
		return fmt.Errorf("gateway: serve %s: %w", l.Addr(), err)
	}
	return nil
}

// Shutdown stops taking connections and waits for the requests that run, until
// ctx ends.
func (g *Gateway) Shutdown(ctx context.Context) error {
	defer g.cancel()
	g.lives.close(ctx, "server shutting down") // polls wait in requests
	err := g.conns.Shutdown(ctx, g.server)
	if n := g.running.Load(); err != nil && n > 0 {
		return fmt.Errorf("gateway: shutdown: %d requests still run: %w", n, err)
	}
	if err != nil {
		g.log.Info("connections were cut whose request had not arrived", "after", err.Error())
	}
	return nil
}

// serverLog takes what fasthttp says of connections that break.
type serverLog struct{ log *slog.Logger }

func (l serverLog) Printf(format string, args ...any) {
	l.log.Debug("connection: " + fmt.Sprintf(format, args...))
}

// Package host wires the rooms below it into one server: the store, the engine,
// the deployments, the gateway in front and the admin API beside it.
package host

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"net"
	"net/netip"
	"os"
	"path/filepath"
	"time"

	"github.com/edgeset/edgeset/host/admin"
	"github.com/edgeset/edgeset/host/artifact"
	"github.com/edgeset/edgeset/host/deploy"
	"github.com/edgeset/edgeset/host/edge"
	"github.com/edgeset/edgeset/host/engine"
	"github.com/edgeset/edgeset/host/gateway"
	"github.com/edgeset/edgeset/host/outbox"
	"github.com/edgeset/edgeset/host/outbox/mail"
	"github.com/edgeset/edgeset/host/rollout"
	"github.com/edgeset/edgeset/host/secret"
	"github.com/edgeset/edgeset/store"
	"github.com/edgeset/edgeset/store/badgerstore"
)

// Config says what a host serves, and where.
type Config struct {
	Listen string // address of the gateway
	Admin  string // address of the admin API
	Data   string // folder of the state
	Cache  string // folder of compiled plugins, trusted like the binary; "": CacheIn(Data)
	// Compiler compiles plugins that are not in the cache, see engine.Config.
	Compiler   func(ctx context.Context, cacheDir string, wasm []byte) error
	Durability badgerstore.Durability
	// Manifest is what is served besides what was deployed before, see
	// rollout.Controller.Start; nil: nothing is. File is where it was read from, to be
	// read again by Reload; "": it is the default one.
	Manifest   *deploy.Manifest
	File       string
	Mail       *mail.Config   // how mail goes of deployments that do not say; nil: not at all
	Keys       *artifact.Keys // by which plugins must be signed; nil: they need not be
	Embedded   fs.FS          // plugins that the binary carries
	Proxies    []netip.Prefix
	MaxConns   int // connections of clients at a time; 0: the gateway's default
	MaxConnsIP int // of one address; 0: no limit
	Drain      time.Duration
	Log        *slog.Logger
	Access     *slog.Logger // nil: no access log
}

// A Host is a server with all that belongs to it.
type Host struct {
	config     Config
	store      store.Store
	engine     *engine.Engine
	library    *artifact.Library
	gateway    *gateway.Gateway
	outbox     *outbox.Outbox
	mail       outbox.Transport // nil: none
	controller *rollout.Controller
	admin      *admin.Server
	listener   net.Listener
	adminL     net.Listener
}

// New opens the state, loads the deployments and takes the addresses. Nothing
// is served before Run.
func New(ctx context.Context, c Config) (*Host, error) {
	h := &Host{config: c}
	if err := h.open(ctx); err != nil {
		// Whatever ended ctx, what was opened is closed.
		closed, cancel := context.WithTimeout(context.WithoutCancel(ctx), closeTime)
		defer cancel()
		return nil, errors.Join(err, h.close(closed))
	}
	return h, nil
}

func (h *Host) open(ctx context.Context) (err error) {
	c := h.config
	// Both addresses first: a second host by mistake should fail before it
	// touches anything.
	if h.listener, err = net.Listen("tcp", c.Listen); err != nil {
		return fmt.Errorf("host: listen: %w", err)
	}
	if h.adminL, err = net.Listen("tcp", c.Admin); err != nil {
		return fmt.Errorf("host: listen for the admin API: %w", err)
	}
	if err = os.MkdirAll(c.Data, 0o700); err != nil {
		return fmt.Errorf("host: data: %w", err)
	}
	token, err := admin.Token(c.Data, true)
	if err != nil {
		return err
	}
	if err = errors.Join(h.openStore(), h.openEngine()); err != nil {
		return err
	}
	// Files of uploads lose their names when they are made. One whose process was
	// killed in between has kept it. The store is ours alone by now, and so is this.
	spool := filepath.Join(c.Data, "spool")
	if err = errors.Join(os.RemoveAll(spool), os.Mkdir(spool, 0o700)); err != nil {
		return fmt.Errorf("host: data: %w", err)
	}
	h.gateway = gateway.New(gateway.Config{
		Store: h.store, Log: c.Log, Access: c.Access, Proxies: c.Proxies,
		MaxConns: c.MaxConns, MaxConnsIP: c.MaxConnsIP, Spool: spool,
	})
	if err = h.openOutbox(); err != nil {
		return err
	}
	if err = h.startController(ctx); err != nil {
		return err
	}
	h.admin = admin.New(admin.Config{Gateway: h.gateway, Deployments: h.controller, Library: h.library, Outbox: h.outbox, Note: h.controller.Note, Token: token, Log: c.Log})
	return nil
}

// openOutbox makes what delivers, and the host's own way for mail.
func (h *Host) openOutbox() error {
	c := h.config
	h.outbox = outbox.New(outbox.Config{Store: h.store, Deployments: h.gateway, Log: c.Log})
	if c.Mail == nil {
		return nil
	}
	transport, err := mail.New(*c.Mail)
	if err != nil {
		return fmt.Errorf("host: %w", err)
	}
	h.mail = transport
	return nil
}

// startController has serve what served before, and the manifest.
func (h *Host) startController(ctx context.Context) error {
	c := h.config
	key, err := secret.Key(c.Data)
	if err != nil {
		return err
	}
	vault, err := secret.New(key, h.store)
	if err != nil {
		return err
	}
	h.controller = rollout.New(rollout.Config{
		Store: h.store, Gateway: h.gateway, Library: h.library, Keys: c.Keys, Vault: vault, Log: c.Log,
		Loader: deploy.Loader{
			Engine: h.engine, Embedded: c.Embedded, Log: c.Log, Pictures: edge.NewPictures(0, 0), Mail: h.mail,
			Outbox: func(deployment string, ways outbox.Channels, limits outbox.Limits) edge.Outbox {
				return h.outbox.For(deployment, ways, limits)
			},
		},
	})
	m, origin := c.Manifest, rollout.FromConfig
	if c.File == "" {
		origin = rollout.FromDefault
	}
	if m == nil {
		m = &deploy.Manifest{}
	}
	return h.controller.Start(ctx, m, origin)
}

// Controller decides what the host serves, and Library has the plugins that it can.
func (h *Host) Controller() *rollout.Controller { return h.controller }
func (h *Host) Library() *artifact.Library      { return h.library }

// Reload reads the manifest again and has it serve. If it cannot be, what serves goes on.
func (h *Host) Reload(ctx context.Context) error {
	if h.config.File == "" {
		return errors.New("host: reload: the host was started without a manifest")
	}
	m, err := deploy.ReadManifest(h.config.File)
	if err != nil {
		return err
	}
	return h.controller.Reload(ctx, m)
}

func (h *Host) openStore() error {
	state, err := badgerstore.Open(badgerstore.Options{
		Dir: filepath.Join(h.config.Data, "store"), Durability: h.config.Durability, Logger: h.config.Log,
	})
	if err == nil {
		h.store = state
	}
	return err
}

// openEngine makes what plugins run in, and opens the library of those that can.
func (h *Host) openEngine() (err error) {
	c := h.config
	cache := c.Cache
	if cache == "" {
		cache = CacheIn(c.Data)
	}
	if h.engine, err = engine.New(engine.Config{CacheDir: cache, Compiler: c.Compiler, Logger: c.Log}); err != nil {
		return err
	}
	h.library, err = artifact.OpenLibrary(filepath.Join(c.Data, "plugins"))
	return err
}

// CacheIn returns the folder of compiled plugins in the folder of the state.
func CacheIn(data string) string { return filepath.Join(data, "cache") }

// Addr returns the address of the gateway, AdminAddr that of the admin API.
func (h *Host) Addr() net.Addr      { return h.listener.Addr() }
func (h *Host) AdminAddr() net.Addr { return h.adminL.Addr() }

// Run serves until ctx ends, then drains: /readyz says no, no connection is
// taken any more, and the requests that run are answered within Config.Drain.
func (h *Host) Run(ctx context.Context) error {
	failed := make(chan error, 2)
	go func() { failed <- h.gateway.Serve(h.listener) }()
	go func() { failed <- h.admin.Serve(h.adminL) }()
	delivering, stopDelivering := context.WithCancel(context.Background())
	defer stopDelivering()
	delivered := make(chan error, 1)
	go func() { delivered <- h.outbox.Run(delivering) }()
	h.admin.SetReady(true)
	h.config.Log.Info("serving", "listen", h.Addr().String(), "admin", h.AdminAddr().String(),
		"data", h.config.Data, "durability", h.config.Durability.String())

	var err error
	select {
	case <-ctx.Done():
		h.config.Log.Info("draining", "within", h.config.Drain.String())
	case err = <-failed:
	}
	h.admin.SetReady(false)
	drained, cancel := context.WithTimeout(context.Background(), h.config.Drain)
	defer cancel()
	// What is on its way is given a moment, beside the requests that run: what became of
	// it should be noted. The rest goes on its way at the next start.
	stopDelivering()
	err = errors.Join(err, h.gateway.Shutdown(drained))
	if undelivered := <-delivered; undelivered != nil { // and is as if the process had ended
		h.config.Log.Warn("what was being delivered did not end", "reason", undelivered.Error())
	}
	// Also when nothing is left of the time to drain: what was told to end needs a
	// moment to do so.
	closed, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	err = errors.Join(err, h.close(closed))
	if err == nil {
		h.config.Log.Info("stopped")
	}
	return err
}

// closeTime is how long closing may take. A guest that never returns would hold
// the process up for good.
const closeTime = 5 * time.Second

// close ends what was begun, in the reverse order.
func (h *Host) close(ctx context.Context) error {
	var errs []error
	if h.admin != nil {
		errs = append(errs, h.admin.Shutdown(ctx))
	}
	if h.controller != nil {
		errs = append(errs, h.controller.Close(ctx))
	}
	if h.mail != nil {
		errs = append(errs, h.mail.Close())
	}
	if h.engine != nil {
		errs = append(errs, h.engine.Close(ctx))
	}
	if h.store != nil {
		errs = append(errs, h.closeStore(ctx))
	}
	for _, l := range []net.Listener{h.listener, h.adminL} {
		if l != nil {
			if err := l.Close(); !errors.Is(err, net.ErrClosed) {
				errs = append(errs, err)
			}
		}
	}
	return errors.Join(errs...)
}

// closeStore waits for transactions that run, until ctx ends. The store survives
// the end of the process in any state.
func (h *Host) closeStore(ctx context.Context) error {
	closed := make(chan error, 1)
	go func() { closed <- h.store.Close() }()
	select {
	case err := <-closed:
		return err
	case <-ctx.Done():
		return fmt.Errorf("host: close the store: transactions still run: %w", context.Cause(ctx))
	}
}

package rollout

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"slices"
	"sync"
	"time"

	"github.com/edgeset/edgeset/host/artifact"
	"github.com/edgeset/edgeset/host/deploy"
	"github.com/edgeset/edgeset/host/engine"
	"github.com/edgeset/edgeset/host/gateway"
	"github.com/edgeset/edgeset/host/secret"
	"github.com/edgeset/edgeset/store"
)

// Config is what a Controller works with.
type Config struct {
	Store   store.Store
	Gateway *gateway.Gateway
	Loader  deploy.Loader // Read and Secrets are the controller's
	Library *artifact.Library
	Keys    *artifact.Keys // nil: plugins need not be signed
	Vault   *secret.Vault
	Log     *slog.Logger
	Drain   time.Duration // that requests may take to end on a version that serves no more; 0: DefaultDrain
}

// DefaultDrain is longer than a request may take.
const DefaultDrain = 30 * time.Second

// A Controller decides what a gateway serves. Its methods may be called concurrently;
// changes take turns.
type Controller struct {
	config Config
	loader deploy.Loader
	turn   chan struct{} // is full while something is changed

	mu       sync.RWMutex        // of what follows
	running  map[string]*running // written by whoever has the turn
	revision int64               // as well
	// By deployment: versions that serve no more and are not closed yet, and what stops
	// the migration that goes on.
	retiring  map[string]int
	migrating map[string]context.CancelFunc
	tenants   map[string]*engine.Tenant

	// Of whoever has the turn:
	ours   map[string]artifact.Digest // of what the host embeds, by source
	busy   map[string]bool            // deployments that a change is in the midst of
	unsure bool                       // whether the last change was recorded

	ctx        context.Context
	cancel     context.CancelFunc
	background sync.WaitGroup
}

// running is what serves of a deployment.
type running struct {
	record
	current, canary *version // nil: none
}

// A version is a Version that is loaded.
type version struct {
	*Version
	deployment *deploy.Deployment
}

// New returns a controller of which nothing serves before Start.
func New(c Config) *Controller {
	if c.Drain == 0 {
		c.Drain = DefaultDrain
	}
	o := &Controller{config: c, loader: c.Loader, turn: make(chan struct{}, 1), running: map[string]*running{},
		retiring: map[string]int{}, migrating: map[string]context.CancelFunc{}, tenants: map[string]*engine.Tenant{}, ours: map[string]artifact.Digest{}, busy: map[string]bool{}}
	o.ctx, o.cancel = context.WithCancel(context.Background())
	o.loader.Secrets = func(ctx context.Context, deployment, plugin string, names []string) (map[string]string, error) {
		values, _, err := c.Vault.Values(ctx, deployment, plugin, names)
		return values, err
	}
	o.loader.Tenant = o.tenant
	return o
}

// tenant is whom all versions of a deployment work for. It has the limits of the one
// that serves.
func (c *Controller) tenant(deployment string) *engine.Tenant {
	c.mu.Lock()
	defer c.mu.Unlock()
	t := c.tenants[deployment]
	if t == nil {
		t = engine.NewTenant(engine.TenantLimits{})
		c.tenants[deployment] = t
	}
	return t
}

// Close ends what goes on in the background and closes all that is loaded. The gateway
// must have been shut down.
func (c *Controller) Close(ctx context.Context) error {
	c.cancel()
	select {
	case c.turn <- struct{}{}: // and keeps it
	case <-ctx.Done():
		return fmt.Errorf("rollout: a change is still under way: %w", context.Cause(ctx))
	}
	done := make(chan struct{})
	go func() { c.background.Wait(); close(done) }()
	select {
	case <-done:
	case <-ctx.Done():
	}
	var errs []error
	for _, r := range c.running {
		for _, v := range []*version{r.current, r.canary} {
			if v != nil {
				errs = append(errs, v.deployment.Close(ctx))
			}
		}
	}
	return errors.Join(errs...)
}

// list is what the gateway is to serve, with some deployments as they are to be.
func (c *Controller) list(next map[string]*running) []gateway.Serving {
	var names []string
	for name := range c.running {
		if _, ok := next[name]; !ok {
			names = append(names, name)
		}
	}
	for name := range next {
		names = append(names, name)
	}
	slices.Sort(names)
	var list []gateway.Serving
	for _, name := range names {
		r, ok := next[name]
		if !ok {
			r = c.running[name]
		}
		if r.current == nil {
			continue // it was removed
		}
		s := gateway.Serving{Current: r.current.deployment}
		if r.canary != nil {
			s.Canary, s.Share = r.canary.deployment, r.Canary.Share
		}
		list = append(list, s)
	}
	return list
}

// install makes a change, which is recorded, what serves, and sees to the end of what
// does no more. It returns how long the step took in which that changed.
func (c *Controller) install(next map[string]*running, revision int64) (time.Duration, error) {
	c.mu.Lock()
	for name := range next {
		c.stopMigration(name)
	}
	c.mu.Unlock()
	begin := time.Now()
	if err := c.config.Gateway.Swap(c.list(next)); err != nil {
		return 0, err
	}
	took := time.Since(begin)
	for _, v := range c.replace(next, revision) {
		c.background.Go(func() { c.retire(v) })
	}
	for name := range next {
		c.migrateAfter(name)
	}
	return took, nil
}

// replace notes what serves, and returns what does no more.
func (c *Controller) replace(next map[string]*running, revision int64) (gone []*version) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for name, r := range next {
		if old := c.running[name]; old != nil {
			for _, v := range []*version{old.current, old.canary} {
				if v != nil && v != r.current && v != r.canary {
					gone = append(gone, v)
					c.retiring[name]++
				}
			}
		}
		if r.current != nil {
			c.tenants[name].SetLimits(r.current.deployment.Spec.Limits())
		}
		c.running[name] = r
	}
	c.revision = revision
	return gone
}

// closeTime is how long a version may take to be closed that nobody uses.
const closeTime = 10 * time.Second

// retire closes a version when its last request is answered, or the time for that is
// over.
func (c *Controller) retire(v *version) {
	log := c.config.Log.With("deployment", v.Deployment, "version", v.Number)
	ctx, cancel := context.WithTimeout(context.Background(), c.config.Drain)
	defer cancel()
	if err := c.config.Gateway.Drain(ctx, v.deployment); err != nil {
		log.Warn("requests are cut off by the end of their version", "error", err)
	}
	closed, cancel := context.WithTimeout(context.Background(), closeTime)
	defer cancel()
	err := v.deployment.Close(closed)
	if err == nil {
		// What was cut off ends now. The gateway keeps a version until somebody has seen that.
		err = c.config.Gateway.Drain(closed, v.deployment)
	}
	if err != nil {
		log.Warn("a version is not closed yet", "error", err)
		// What it still writes, a migration must not miss.
		_ = c.config.Gateway.Drain(c.ctx, v.deployment)
	} else {
		log.Info("version closed")
	}
	c.mu.Lock()
	c.retiring[v.Deployment]--
	c.mu.Unlock()
	c.migrateAfter(v.Deployment)
}

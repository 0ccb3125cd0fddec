package gateway

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/deploy"
	"github.com/edgeset/edgeset/host/realtime"
)

// A live is what of a deployment outlives its versions: the connections that
// clients keep open, and the hub that delivers to them. It is known by the
// deployment's name, so a swap of plugins drops no connection: the next event of a
// client is answered by the new version.
type live struct {
	gateway    *Gateway
	deployment string
	hub        *realtime.Hub
	cancel     func() // of the hub's subscription to the store

	mu        sync.Mutex
	endpoints map[place]*endpoint
}

// A place is where an endpoint is, and whose it is. A canary may have another plugin
// there than the current version.
type place struct{ path, plugin string }

// lives are those of all deployments, by name.
type lives struct {
	mu     sync.Mutex
	byName map[string]*live
}

// of returns the live of a deployment, and makes it if there is none.
func (ls *lives) of(g *Gateway, deployment string) *live {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	if l := ls.byName[deployment]; l != nil {
		return l
	}
	l := &live{gateway: g, deployment: deployment, endpoints: map[place]*endpoint{}}
	l.hub = realtime.NewHub(realtime.HubConfig{Log: g.log, Check: l.check})
	l.cancel = func() {}
	if g.store != nil { // a gateway that only checks has none
		l.cancel = g.store.Subscribe(deployment, l.hub.Publish)
	}
	if ls.byName == nil {
		ls.byName = map[string]*live{}
	}
	ls.byName[deployment] = l
	return l
}

// keep closes what the table has no more: deployments, and endpoints whose plugin
// is gone or another one. It does not wait for clients to take that.
func (ls *lives) keep(t *table) {
	ls.mu.Lock()
	defer ls.mu.Unlock()
	for name, l := range ls.byName {
		if s := t.byName(name); s != nil {
			l.keep(s)
			continue
		}
		delete(ls.byName, name)
		l.gateway.metrics.forget(name)
		go l.close("the deployment is gone")
	}
}

// keep closes what no version of the deployment has any more.
func (l *live) keep(svc *service) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for at, e := range l.endpoints {
		if !slices.ContainsFunc(svc.sites(), func(s *site) bool { return s.sockets[at.path] != nil && s.sockets[at.path].endpoint == e }) {
			delete(l.endpoints, at)
			go e.server.Shutdown()
		}
	}
	l.hub.Retain(func(plugin string) bool {
		return slices.ContainsFunc(svc.sites(), func(s *site) bool {
			return slices.ContainsFunc(s.deployment.Plugins, func(p *deploy.Plugin) bool { return p.Spec.Name == plugin })
		})
	}, "its plugin is gone")
}

// close closes all connections of all deployments. It waits until their clients have
// taken that and what they have asked for is answered, or ctx ends.
func (ls *lives) close(ctx context.Context, reason string) {
	ls.mu.Lock()
	list := slices.Collect(maps.Values(ls.byName))
	ls.mu.Unlock()
	var all sync.WaitGroup
	for _, l := range list {
		all.Go(func() { l.close(reason) })
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		all.Wait()
	}()
	select {
	case <-done:
	case <-ctx.Done():
	}
}

func (l *live) close(reason string) {
	l.cancel()
	l.mu.Lock()
	list := slices.Collect(maps.Values(l.endpoints))
	l.mu.Unlock()
	var all sync.WaitGroup
	for _, e := range list {
		all.Go(e.server.Shutdown)
	}
	l.hub.Close(reason)
	all.Wait()
}

// checkTime bounds the check of a credential beside a request.
const checkTime = 5 * time.Second

// check asks again who shows the credential of a subscription.
func (l *live) check(shown realtime.Credential) (fresh realtime.Credential, err error) {
	g := l.gateway
	x := g.begin(newEventCtx(peer{}))
	defer func() {
		if r := recover(); r != nil { // x does not go back into the pool
			err = fmt.Errorf("gateway: check of a credential: %v", r)
			x.life.end()
			x.leave()
			return
		}
		g.end(x)
	}()
	if !x.enter(func(t *table) *service { return t.byName(l.deployment) }) || x.site.authenticator == nil {
		return fresh, fmt.Errorf("gateway: deployment %q checks no credentials any more", l.deployment)
	}
	x.route = &route{Route: &abi.Route{}, plugin: &deploy.Plugin{}} // of no plugin that could be asked for it
	x.life.deadline = x.start.Add(checkTime)
	x.caller, err = x.site.authenticator.identify(x, abi.Credential{Kind: shown.Kind, Value: shown.Value, Family: shown.Family, Origin: shown.Origin})
	x.site.quota.spend(x.fuel, time.Now())
	if err != nil {
		return fresh, err
	}
	if x.caller.Account != shown.Caller.Account || x.caller.App != shown.Caller.App {
		return fresh, &abi.Error{Status: 401, Code: abi.HostUnauthenticated, Message: "The credential is somebody else's by now."}
	}
	return x.proof(), nil
}

// volatileTime is how often a credential is checked again that the cache of answers
// does not know, so that nobody says when it ends.
const volatileTime = 5 * time.Second

// proof returns what the caller of a request has shown, for a subscription that is
// to end with it.
func (x *exchange) proof() realtime.Credential {
	c := realtime.Credential{Caller: x.caller}
	if x.caller.IsZero() {
		return c
	}
	c.Kind, c.Value, c.Family, c.Origin = x.shown.Kind, strings.Clone(x.shown.Value), x.shown.Family, x.shown.Origin
	keys, ok := x.site.authenticator.cache.basis(x.shownID)
	if !ok {
		again := x.at.Add(volatileTime).UnixMicro()
		if c.Caller.Expires == 0 || again < c.Caller.Expires {
			c.Caller.Expires = again
		}
	}
	c.Keys, c.Generation = keys, x.shownAt
	return c
}

// offer tells the hub on behalf of whom the request may subscribe a connection.
func (x *exchange) offer() string { return x.site.live.hub.Offer(x.proof()) }

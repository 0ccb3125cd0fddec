package gateway

import (
	"context"
	"fmt"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"

	"github.com/cespare/xxhash/v2"
	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/deploy"
)

// A service is what answers for a deployment: its current version and, while one is
// tried, a canary beside it. It is a part of a table, and so never changes.
type service struct {
	*site                // of the current version
	canary *site         // nil: none is tried
	beside *versionStats // of the current version, since the canary is tried
	share  uint64        // of all clients that get the canary, in parts of shareUnit
}

// shareUnit is all clients.
const shareUnit = 1 << 32

// Serving says what is to answer for a deployment.
type Serving struct {
	Current *deploy.Deployment
	Canary  *deploy.Deployment // nil: none is tried
	Share   float64            // of the clients that get it, 0 to 1
}

// sites are those of a service.
func (s *service) sites() []*site {
	if s.canary == nil {
		return []*site{s.site}
	}
	return []*site{s.site, s.canary}
}

// A usage counts the requests that a site answers, so that nothing is taken from under
// them: one that has come in before the site was retired is answered by it, and
// whoever comes later finds the one that has taken its place.
type usage struct {
	refs    atomic.Int64 // and the bit retired
	drain   sync.Once
	drained chan struct{}
}

// retired is the bit of refs that says that nobody comes in any more.
const retired = 1 << 62

// enter fails once the site is retired.
func (u *usage) enter() bool {
	if u.refs.Add(1)&retired != 0 {
		u.leave()
		return false
	}
	return true
}

func (u *usage) leave() {
	if u.refs.Add(-1) == retired {
		u.drain.Do(func() { close(u.drained) })
	}
}

// retire lets nobody in any more.
func (u *usage) retire() {
	if u.refs.Or(retired) == 0 {
		u.drain.Do(func() { close(u.drained) })
	}
}

func (u *usage) isRetired() bool { return u.refs.Load()&retired != 0 }

// Drain waits until no request is answered by a deployment that is served no more, or
// ctx ends. It is called for each that Swap has replaced, until it returns without an
// error: the gateway keeps those with requests.
func (g *Gateway) Drain(ctx context.Context, d *deploy.Deployment) error {
	g.mu.Lock()
	s := g.retiring[d]
	g.mu.Unlock()
	if s == nil {
		return nil
	}
	select {
	case <-s.drained:
		g.mu.Lock()
		defer g.mu.Unlock()
		delete(g.retiring, d)
		g.metrics.drop(s, g.table.Load().byName(d.Spec.Name))
		return nil
	case <-ctx.Done():
		return fmt.Errorf("gateway: deployment %q: version %d still answers %d requests: %w",
			d.Spec.Name, d.Version, s.refs.Load()&^retired, context.Cause(ctx))
	}
}

// enter returns what find finds, whose current version stays until its site is left; nil
// if there is nothing.
func (g *Gateway) enter(find func(*table) *service) *service {
	for {
		svc := find(g.table.Load())
		if svc == nil || svc.site.enter() {
			return svc
		}
		// It has been retired since, and so the next table is there.
	}
}

// enter has the request answered by the current version of what find finds; it fails if
// there is nothing.
func (x *exchange) enter(find func(*table) *service) bool {
	svc := x.gateway.enter(find)
	if svc == nil {
		return false
	}
	x.service, x.site, x.entered = svc, svc.site, true
	return true
}

// leave ends what enter has begun.
func (x *exchange) leave() {
	x.quit()
	x.site, x.service = nil, nil
}

// quit lets the site go: the request has no use for its plugins any more, and is only
// counted and logged as one of it.
func (x *exchange) quit() {
	if x.entered {
		x.site.leave()
		x.entered = false
	}
}

// tried tells whether the request is one of those that the canary answers. Each account
// keeps to one version, and so does each address that calls without one.
func (x *exchange) tried() bool {
	svc := x.service
	if svc.canary == nil || x.site == svc.canary {
		return false
	}
	client := x.caller.Account
	if client == "" {
		client = unsafeString(x.remote)
	}
	// With the number of the version in it, not always the same ones are the first.
	x.scratch = append(strconv.AppendInt(x.scratch[:0], int64(svc.canary.deployment.Version), 10), ' ')
	x.scratch = append(x.scratch, client...)
	return xxhash.Sum64(x.scratch)>>32 < svc.share
}

// try has the canary answer the request if it is one of its own. What the canary does
// not serve, it answers as it would if it were the current version. It tells whether
// anything has changed.
func (x *exchange) try() bool {
	if !x.tried() {
		return false
	}
	_, r, params := x.service.canary.route(x)
	if x.route != nil && r != nil && !r.takesAs(x.route) || !x.tryCanary() {
		// A body that is read as the current version takes it is no good for the other.
		x.site.route(x) // which puts the parameters back
		return false
	}
	x.route, x.count = r, params
	return true
}

// tryCanary goes over to the canary if the request is one of its own. Who makes it is to
// be found out again: the other version may not ask, or may be told something else.
func (x *exchange) tryCanary() bool {
	if !x.tried() || !x.service.canary.enter() {
		return false
	}
	x.release()
	x.site.leave()
	x.site = x.service.canary
	x.caller, x.signed, x.shown = abi.Caller{}, abi.Credential{}, abi.Credential{}
	return true
}

// renew has a request whose body took its time answered by the version that serves by
// now, if that takes it in the same way: so a slow client does not hold up the end of
// the version that it has begun with.
func (x *exchange) renew() {
	if !x.site.isRetired() {
		return
	}
	old, svc := x.site, x.service
	name := old.deployment.Spec.Name
	if !x.enter(func(t *table) *service { return t.byName(name) }) {
		return
	}
	if _, r, params := x.site.route(x); r != nil && r.takesAs(x.route) {
		old.leave()
		x.route, x.count = r, params
		return
	}
	x.site.leave()
	x.site, x.service = old, svc
	old.route(x) // which puts the parameters back
}

// route finds the node of a request's path, in it the route, and how many parameters the
// path has; there may be none of each.
func (s *site) route(x *exchange) (n *node, r *route, params int) {
	if n, params = s.root.find(x.path, &x.params); n != nil {
		r = n.route(x.ctx.Method())
	}
	return n, r, params
}

// takesAs tells whether a route takes what another one has taken of a request.
func (r *route) takesAs(other *route) bool {
	return r.plugin.Spec.Name == other.plugin.Spec.Name && r.Pattern == other.Pattern && r.Body == other.Body && r.MaxBody == other.MaxBody
}

// mounted is a path below where its plugin is mounted.
func mounted(p *deploy.Plugin, path string) string {
	if p.Spec.Mount != "" && path == "/" {
		return p.Spec.Mount
	}
	return p.Spec.Mount + path
}

// inner is the request's path as its plugin knows it.
func (x *exchange) inner() []byte {
	mount := x.route.plugin.Spec.Mount
	if mount == "" || x.route.operator {
		return x.path
	}
	if len(x.path) == len(mount) {
		return []byte{'/'}
	}
	return x.path[len(mount):]
}

// Written tells that a commit beside requests has changed these keys, each with the
// name of its plugin: what was remembered of them is asked for again.
func (g *Gateway) Written(deployment string, keys [][]byte) {
	svc := g.table.Load().byName(deployment)
	if svc == nil || len(keys) == 0 {
		return
	}
	for _, s := range svc.sites() {
		if s.authenticator != nil {
			s.authenticator.cache.forget(keys)
		}
	}
	svc.live.hub.Written(keys)
}

// mountedFamily is a family of a plugin, below where that is mounted.
func mountedFamily(p *deploy.Plugin, f *abi.Family) *family {
	prefix := f.Prefix
	if mount := p.Spec.Mount; mount != "" {
		if prefix = mount + f.Prefix; f.Prefix == "/" {
			prefix = mount
		}
		if strings.HasPrefix(f.Docs, "/") {
			below := *f
			below.Docs = mount + f.Docs
			f = &below
		}
	}
	return &family{Family: f, plugin: p.Spec.Name, prefix: prefix}
}

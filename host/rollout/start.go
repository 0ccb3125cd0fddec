package rollout

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/deploy"
	"github.com/edgeset/edgeset/host/gateway"
	"github.com/edgeset/edgeset/host/migrate"
)

// Start has serve what served when the host was stopped, and what a manifest says beyond
// that: deployments that have never been, and those that came from such a manifest, or
// from the default, and are different in it now. What was deployed by the admin API
// since stays as it is, until Reload. origin is FromDefault or FromConfig.
//
// A deployment that cannot be loaded does not keep the others from serving, unless the
// manifest asks for it.
func (c *Controller) Start(ctx context.Context, m *deploy.Manifest, origin string) error {
	records, revision, err := c.read(ctx)
	if err != nil {
		return err
	}
	c.revision = revision
	if origin == FromDefault && len(records) > 0 {
		// The default is for a host that has never served anything else.
		m = &deploy.Manifest{Deployments: slices.DeleteFunc(slices.Clone(m.Deployments), func(s deploy.Spec) bool { return records[s.Name] == nil })}
	}
	stored, err := c.stored(ctx, records)
	if err != nil {
		return err
	}
	list, err := c.startPlan(ctx, m, origin, records, stored)
	if err != nil {
		return err
	}
	err = c.startLoad(ctx, list)
	if err == nil {
		err = c.startServing(ctx, list, origin, records)
	}
	if err != nil {
		for _, n := range list {
			err = errors.Join(err, n.close(ctx))
		}
		return err
	}
	c.background.Go(c.watch)
	return nil
}

// A starter is a deployment that is to serve from the start.
type starter struct {
	record
	name    string
	asked   bool // by the manifest: without it the host does not start
	fresh   bool // current is a version that is not recorded yet
	current *version
	canary  *version
	before  *Version // that current takes the place of, if it is fresh; nil: none
}

func (n *starter) versions() []*version {
	return slices.DeleteFunc([]*version{n.current, n.canary}, func(v *version) bool { return v == nil })
}

func (n *starter) close(ctx context.Context) (err error) {
	for _, v := range n.versions() {
		if v.deployment != nil {
			err = errors.Join(err, v.deployment.Close(context.WithoutCancel(ctx)))
		}
	}
	return err
}

// stored reads the versions that served when the host was stopped.
func (c *Controller) stored(ctx context.Context, records map[string]*record) (map[string]*starter, error) {
	list := map[string]*starter{}
	for name, r := range records {
		if r.Current == 0 {
			continue
		}
		n := &starter{record: *r, name: name}
		v, err := c.readVersion(ctx, name, r.Current)
		if err != nil {
			return nil, err
		}
		n.current = &version{Version: v}
		if r.Canary != nil {
			if v, err = c.readVersion(ctx, name, r.Canary.Version); err != nil {
				return nil, err
			}
			n.canary = &version{Version: v}
		}
		list[name] = n
	}
	return list, nil
}

// startPlan finds out what is to serve.
func (c *Controller) startPlan(ctx context.Context, m *deploy.Manifest, origin string, records map[string]*record, stored map[string]*starter) ([]*starter, error) {
	for _, spec := range m.Deployments {
		r, now := records[spec.Name], stored[spec.Name]
		if r != nil && (now == nil || now.current.Origin != FromDefault && now.current.Origin != FromConfig || now.canary != nil) {
			if origin == FromConfig {
				c.config.Log.Warn("a deployment was changed through the admin API; what the manifest says of it is not applied: SIGHUP applies it", "deployment", spec.Name)
			}
			continue
		}
		v, err := c.startVersion(ctx, spec, origin, now)
		if err != nil {
			return nil, err
		}
		if v == nil { // nothing is different
			now.asked = true
			continue
		}
		n := &starter{name: spec.Name, asked: true, fresh: true, current: &version{Version: v}}
		if r != nil {
			n.record = *r
		}
		if now != nil {
			n.before = now.current.Version
		}
		n.Previous, n.Last = n.Current, n.Last+1
		v.Number, n.Current, n.Since = n.Last, n.Last, v.At
		stored[spec.Name] = n
	}
	if origin == FromConfig {
		// What came from a manifest goes with it.
		for name, n := range stored {
			from := n.current.Origin == FromConfig || n.current.Origin == FromDefault
			if from && !slices.ContainsFunc(m.Deployments, func(s deploy.Spec) bool { return s.Name == name }) {
				c.config.Log.Info("a deployment is not in the manifest any more", "deployment", name)
				n.record = record{Last: n.Last, Previous: n.Current, Since: time.Now().UTC()}
				n.fresh, n.current, n.canary = true, nil, nil
			}
		}
	}
	return slices.SortedFunc(maps.Values(stored), func(a, b *starter) int {
		return strings.Compare(a.name, b.name)
	}), nil
}

// startVersion makes a version of a deployment of the manifest; nil if the one that
// served is the same.
func (c *Controller) startVersion(ctx context.Context, spec deploy.Spec, origin string, now *starter) (*Version, error) {
	if len(spec.Plugins) > 0 {
		spec.Plugins = slices.Clone(spec.Plugins)
	}
	plain := spec.TOML()
	plugins, err := c.resolve(ctx, &spec, sources{files: true}, func(Event) {})
	if err != nil {
		if now != nil && now.current.sameBut(plain) {
			c.config.Log.Warn("a plugin cannot be read anew; the one that served before serves on", "deployment", spec.Name, "error", err)
			return nil, nil
		}
		return nil, err
	}
	secrets, err := c.secrets(ctx, &spec)
	if err != nil {
		return nil, fmt.Errorf("rollout: deployment %q: %w", spec.Name, err)
	}
	v := &Version{Deployment: spec.Name, Manifest: spec.TOML(), Plugins: plugins, Origin: origin, By: "host",
		At: time.Now().UTC().Truncate(time.Millisecond), Secrets: secrets}
	if now != nil && now.current.Manifest == v.Manifest && maps.Equal(now.current.Secrets, secrets) {
		return nil, nil
	}
	return v, nil
}

// sameBut tells whether a version was made of the same text, whatever its plugins were
// pinned to.
func (v *Version) sameBut(manifest string) bool {
	spec, _, err := v.parse()
	if err != nil {
		return false
	}
	other, err := deploy.ParseManifest("", manifest)
	if err != nil {
		return false
	}
	for i := range spec.Plugins {
		if i < len(other.Deployments[0].Plugins) && other.Deployments[0].Plugins[i].Digest == "" {
			spec.Plugins[i].Digest = ""
		}
	}
	return spec.TOML() == manifest
}

// startLoad loads everything at once, or, if something of that cannot be loaded, all
// that can be.
func (c *Controller) startLoad(ctx context.Context, list []*starter) error {
	var versions []*version
	var specs []deploy.Spec
	for _, n := range list {
		for _, v := range n.versions() {
			spec, from, err := v.parse()
			if err == nil && !n.fresh {
				_, err = c.resolve(ctx, &spec, from, func(Event) {}) // for the signatures
			}
			if err != nil {
				if err = c.cannotStart(n, v, err); err != nil {
					return err
				}
				continue
			}
			versions, specs = append(versions, v), append(specs, spec)
		}
	}
	loader := c.loader
	loader.Read = c.reading()
	loaded, err := loader.LoadAll(ctx, specs)
	if err == nil {
		for i, v := range versions {
			v.deployment = loaded[i]
			v.complete(v.deployment)
		}
		return nil
	}
	if ctx.Err() != nil {
		return err
	}
	for _, n := range list {
		for _, v := range n.versions() {
			i := slices.Index(versions, v)
			if i < 0 {
				continue
			}
			if v.deployment, err = loader.Load(ctx, specs[i]); err != nil {
				if err = c.cannotStart(n, v, c.told(ctx, specs[i:i+1], err)); err != nil {
					return err
				}
				continue
			}
			v.complete(v.deployment)
		}
	}
	return nil
}

// cannotStart says what is done about a version that cannot be loaded: the others serve
// without it, unless it was asked for.
func (c *Controller) cannotStart(n *starter, v *version, err error) error {
	if n.asked {
		return err
	}
	c.config.Log.Error("a deployment that served before cannot be loaded, and does not serve", "deployment", v.Deployment, "version", v.Number, "error", err)
	return nil
}

// startServing records what is new and has everything serve.
func (c *Controller) startServing(ctx context.Context, list []*starter, origin string, records map[string]*record) error {
	next := map[string]*running{}
	w := &writing{records: map[string]*record{}}
	for name, r := range records {
		next[name] = &running{record: *r}
	}
	for _, n := range list {
		r := &running{record: n.record}
		if n.current != nil && n.current.deployment != nil {
			r.current = n.current
			r.canary = n.canary
		} else if n.canary != nil && n.canary.deployment != nil { // it is tried beside nothing
			if err := n.canary.deployment.Close(ctx); err != nil {
				return err
			}
		}
		if r.canary == nil || r.canary.deployment == nil {
			r.Canary, r.canary = nil, nil
		}
		name := n.name
		if n.fresh {
			if err := c.startCheck(ctx, n); err != nil {
				return err
			}
			w.revision = c.revision + 1
			r.Revision = w.revision
			w.records[name] = &r.record
			if n.current != nil {
				w.versions = append(w.versions, n.current.Version)
			}
			w.audit = append(w.audit, (&change{Change: Change{By: "host"}, action: origin}).entry(name, n.Last))
		}
		next[name] = r
	}
	if err := gateway.Check(c.list(next), c.config.Log); err != nil {
		return err
	}
	if err := c.startNoting(ctx, next); err != nil {
		return err
	}
	if w.revision > 0 {
		if err := c.write(ctx, w); err != nil {
			return fmt.Errorf("rollout: record what serves: %w", err)
		}
		c.revision = w.revision
	}
	_, err := c.install(next, c.revision)
	return err
}

// startCheck refuses a new version that cannot work with the data that are there, or
// after which there would be no way back.
func (c *Controller) startCheck(ctx context.Context, n *starter) error {
	if n.current == nil {
		return nil
	}
	for _, p := range n.current.deployment.Plugins {
		var serving *abi.Schema
		if n.before != nil {
			if i := slices.IndexFunc(n.before.Plugins, func(old Plugin) bool { return old.Name == p.Spec.Name }); i >= 0 {
				serving = &abi.Schema{Version: n.before.Plugins[i].Schema}
			}
		}
		if _, err := migrate.NewPlan(ctx, c.config.Store, n.name, p.Spec.Name, p.Desc.Schema, serving, false); err != nil {
			return fmt.Errorf("rollout: %w", err)
		}
	}
	return nil
}

// startNoting notes which plugins will write the data.
func (c *Controller) startNoting(ctx context.Context, next map[string]*running) error {
	for name, r := range next {
		for _, v := range []*version{r.current, r.canary} {
			if v == nil {
				continue
			}
			for _, p := range v.deployment.Plugins {
				if _, err := migrate.Serve(ctx, c.config.Store, name, p.Spec.Name, p.Desc.Schema, v == r.current && r.canary == nil); err != nil {
					return err
				}
			}
		}
	}
	return nil
}

// Reload makes the deployments of the host's manifest what serves, whatever was deployed
// since, and takes those away that came from it and are in it no more.
func (c *Controller) Reload(ctx context.Context, m *deploy.Manifest) error {
	turn, err := c.begin(ctx, "", 0)
	if err != nil {
		return err
	}
	defer turn.end()
	ch := &change{Change: Change{By: "host", Message: "the manifest was read again"}, action: "reload", origin: FromConfig, sources: map[string]sources{}}
	for _, spec := range m.Deployments {
		spec.Plugins = slices.Clone(spec.Plugins)
		ch.specs = append(ch.specs, spec)
		ch.sources[spec.Name] = sources{files: true}
	}
	for name, r := range c.running {
		if r.current != nil && (r.current.Origin == FromConfig || r.current.Origin == FromDefault) &&
			!slices.ContainsFunc(m.Deployments, func(s deploy.Spec) bool { return s.Name == name }) {
			ch.remove = append(ch.remove, name)
		}
	}
	_, err = c.apply(ctx, turn, ch)
	return err
}

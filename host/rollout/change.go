package rollout

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"strconv"
	"strings"
	"time"

	"github.com/edgeset/edgeset/host/deploy"
	"github.com/edgeset/edgeset/host/gateway"
	"github.com/edgeset/edgeset/host/secret"
	"github.com/edgeset/edgeset/store"
)

// A change makes new versions of deployments, or takes deployments away.
type change struct {
	Change
	action  string // as the audit log has it
	origin  string
	specs   []deploy.Spec
	sources map[string]sources // by deployment
	remove  []string
	canary  *Canary
	check   bool
	always  bool // make a version also where nothing is different
}

// A candidate is a version that is to be.
type candidate struct {
	spec    deploy.Spec
	old     *running // nil: there was none
	version *Version // nil: nothing is different
	loaded  *deploy.Deployment
	migrate []migration
	outcome Outcome
}

// Deploy makes the deployments of a manifest what serves.
func (c *Controller) Deploy(ctx context.Context, r *Request) (*Result, error) {
	if err := checkCanary(r.Canary); err != nil {
		return nil, err
	}
	m, err := deploy.ParseManifest(r.File, r.Manifest)
	if err != nil {
		return nil, &InvalidError{err}
	}
	ch := &change{Change: r.Change, action: "deploy", origin: FromDeploy, specs: m.Deployments, canary: r.Canary, check: r.Check, sources: map[string]sources{}}
	for _, spec := range m.Deployments {
		ch.sources[spec.Name] = sources{uploads: r.Uploads}
	}
	turn, err := c.begin(ctx, "", r.Expect)
	if err != nil {
		return nil, err
	}
	defer turn.end()
	return c.apply(ctx, turn, ch)
}

// Rollback makes an older version the current one again, as a new one; 0 stands for the
// one that served before.
func (c *Controller) Rollback(ctx context.Context, name string, number int, ch Change) (*Result, error) {
	turn, err := c.begin(ctx, name, ch.Expect)
	if err != nil {
		return nil, err
	}
	defer turn.end()
	r := c.running[name]
	if r == nil {
		return nil, fmt.Errorf("rollout: deployment %q: %w", name, ErrNotFound)
	}
	if number == 0 {
		if number = r.Previous; number == 0 {
			return nil, fmt.Errorf("rollout: deployment %q: %w: no version served before", name, ErrRefused)
		}
	}
	if number == r.Current {
		return nil, fmt.Errorf("rollout: deployment %q: %w: version %d serves already", name, ErrRefused, number)
	}
	old, err := c.readVersion(ctx, name, number)
	if err != nil {
		return nil, err
	}
	spec, from, err := old.parse()
	if err != nil {
		return nil, &InvalidError{err}
	}
	if ch.Message == "" {
		ch.Message = "back to version " + strconv.Itoa(number)
	}
	return c.apply(ctx, turn, &change{Change: ch, action: "rollback", origin: FromRollback, specs: []deploy.Spec{spec},
		sources: map[string]sources{name: from}, always: true})
}

// Remove takes a deployment away. Its state and its versions stay: a rollback brings it
// back.
func (c *Controller) Remove(ctx context.Context, name string, ch Change) (*Result, error) {
	turn, err := c.begin(ctx, name, ch.Expect)
	if err != nil {
		return nil, err
	}
	defer turn.end()
	if r := c.running[name]; r == nil || r.Current == 0 {
		return nil, fmt.Errorf("rollout: deployment %q: %w", name, ErrNotFound)
	}
	return c.apply(ctx, turn, &change{Change: ch, action: "remove", remove: []string{name}})
}

// parse returns the deployment that a version was made of, and where its plugins are.
func (v *Version) parse() (deploy.Spec, sources, error) {
	m, err := deploy.ParseManifest(fmt.Sprintf("%s@%d", v.Deployment, v.Number), v.Manifest)
	if err != nil {
		return deploy.Spec{}, sources{}, err
	}
	from := sources{pinned: map[string]Plugin{}}
	for _, p := range v.Plugins {
		from.pinned[p.Name] = p
	}
	return m.Deployments[0], from, nil
}

// apply makes a change, whose turn it is. What fails before anything is recorded leaves
// everything as it was.
func (c *Controller) apply(ctx context.Context, turn *turn, ch *change) (result *Result, err error) {
	if ch.Progress == nil {
		ch.Progress = func(Event) {}
	}
	defer func() {
		if err != nil {
			c.refused(ch, err)
		}
	}()
	for _, name := range ch.names() {
		if err := c.isFree(name); err != nil {
			return nil, err
		}
	}
	if err := c.pullAside(ctx, turn, ch); err != nil {
		return nil, &InvalidError{err}
	}
	candidates, err := c.plan(ctx, ch)
	if err != nil {
		return nil, err
	}
	defer func() {
		for _, n := range candidates {
			if n.loaded != nil { // and not installed
				err = errors.Join(err, n.loaded.Close(context.WithoutCancel(ctx)))
			}
		}
	}()
	if err := c.load(ctx, candidates, ch.Progress); err != nil {
		return nil, &InvalidError{err}
	}
	next := c.next(candidates, ch)
	if err := c.test(ctx, candidates, next, ch); err != nil {
		return nil, err
	}
	if err := c.planMigrations(ctx, candidates, ch); err != nil {
		return nil, err
	}
	if !ch.check && migrates(candidates, ch) {
		if err := turn.aside(ch.names(), func() error { return c.migrateBefore(ctx, candidates, ch) }); err != nil {
			return nil, err
		}
		// Others have had their turn.
		next = c.next(candidates, ch)
		if err := c.test(ctx, candidates, next, ch); err != nil {
			return nil, err
		}
	}
	result = &Result{Revision: c.revision}
	if !ch.check {
		if err := c.commit(ctx, candidates, next, ch, result); err != nil {
			return nil, err
		}
	}
	for _, n := range candidates {
		result.Deployments = append(result.Deployments, n.outcome)
	}
	for _, name := range ch.remove {
		result.Deployments = append(result.Deployments, Outcome{Name: name, Before: next[name].Previous, Action: "removed"})
	}
	ch.Progress(Event{Stage: "done"})
	return result, nil
}

// plan finds out which versions the change makes.
func (c *Controller) plan(ctx context.Context, ch *change) (list []*candidate, err error) {
	var errs []error
	for _, spec := range ch.specs {
		n := &candidate{spec: spec, old: c.running[spec.Name], outcome: Outcome{Name: spec.Name, Action: "unchanged"}}
		if n.old != nil && n.old.Canary != nil {
			return nil, fmt.Errorf("rollout: deployment %q: %w: version %d is being tried as a canary: promote or abort it first", spec.Name, ErrRefused, n.old.Canary.Version)
		}
		plugins, err := c.resolve(ctx, &n.spec, ch.sources[spec.Name], ch.Progress)
		if err != nil {
			errs = append(errs, err)
			continue
		}
		secrets, err := c.secrets(ctx, &n.spec)
		if err != nil {
			errs = append(errs, fmt.Errorf("deployment %q: %w", spec.Name, err))
			continue
		}
		n.version = &Version{Deployment: spec.Name, Number: 1, Manifest: n.spec.TOML(), Plugins: plugins, Origin: ch.origin,
			By: ch.By, Message: ch.Message, At: time.Now().UTC().Truncate(time.Millisecond), Secrets: secrets}
		if n.old != nil {
			n.version.Number = n.old.Last + 1
			n.outcome.Before = n.old.Current
			if now := n.old.current; now != nil {
				n.outcome.Diff = deploy.Diff(now.Manifest, n.version.Manifest, label(now.Version), label(n.version))
				if !ch.always && now.Manifest == n.version.Manifest && maps.Equal(now.Secrets, secrets) {
					n.version, n.outcome.Version = nil, n.old.Current
				}
			}
		}
		list = append(list, n)
	}
	if err := errors.Join(errs...); err != nil {
		return nil, &InvalidError{err}
	}
	return list, nil
}

// label is what a version is called in a diff.
func label(v *Version) string { return fmt.Sprintf("%s@%d", v.Deployment, v.Number) }

// secrets returns the revisions of the secrets that a deployment is given.
func (c *Controller) secrets(ctx context.Context, spec *deploy.Spec) (map[string]int, error) {
	var all map[string]int
	for owner, names := range spec.Secrets() {
		_, revisions, err := c.config.Vault.Values(ctx, spec.Name, owner, names)
		switch {
		case err != nil && owner == secret.Outbox:
			return nil, fmt.Errorf("outbox: %w", err)
		case err != nil:
			return nil, fmt.Errorf("plugin %q: %w", owner, err)
		}
		for name, n := range revisions {
			if all == nil {
				all = map[string]int{}
			}
			all[owner+"/"+name] = n
		}
	}
	return all, nil
}

// next is what will serve of the deployments that are changed.
func (c *Controller) next(list []*candidate, ch *change) map[string]*running {
	next := map[string]*running{}
	now := time.Now().UTC().Truncate(time.Millisecond)
	for _, n := range list {
		if n.version == nil {
			continue
		}
		r := &running{}
		if n.old != nil {
			*r = *n.old
		}
		r.Last, r.Revision = n.version.Number, c.revision+1
		made := &version{n.version, n.loaded}
		switch {
		case ch.canary != nil && r.current != nil:
			tried := Canary{Version: n.version.Number, Share: ch.canary.Share, Steps: ch.canary.Steps, Every: ch.canary.Every}
			if len(tried.Steps) > 0 {
				tried.Next = now.Add(time.Duration(tried.Every))
			}
			r.Canary, r.canary, r.Ended = &tried, made, ""
			n.outcome.Action = "canary"
		case r.current == nil:
			r.Current, r.Since, r.current = n.version.Number, now, made
			n.outcome.Action = "created"
		default:
			r.Previous, r.Current, r.Since, r.current = r.Current, n.version.Number, now, made
			n.outcome.Action = "swapped"
		}
		next[n.spec.Name] = r
		n.outcome.Version = n.version.Number
		if ch.check {
			n.outcome.Version, n.outcome.Action = 0, "checked"
		}
	}
	for _, name := range ch.remove {
		old := c.running[name]
		r := &running{record: old.record}
		r.Revision, r.Previous, r.Current, r.Since, r.Canary = c.revision+1, old.Current, 0, now, nil
		next[name] = r
	}
	return next
}

// test sees whether what is to serve can be served together, now and once canaries are
// promoted.
func (c *Controller) test(ctx context.Context, list []*candidate, next map[string]*running, ch *change) error {
	ch.Progress(Event{Stage: "check"})
	var specs []deploy.Spec
	for _, n := range list {
		specs = append(specs, n.spec)
	}
	if err := c.told(ctx, specs, c.tryOut(ctx, list, next, ch)); err != nil {
		return &InvalidError{err}
	}
	return nil
}

func (c *Controller) tryOut(ctx context.Context, list []*candidate, next map[string]*running, ch *change) error {
	serving := c.list(next)
	if err := gateway.Check(serving, c.config.Log); err != nil {
		return err
	}
	promoted := false
	for i, s := range serving {
		if s.Canary != nil {
			serving[i], promoted = gateway.Serving{Current: s.Canary}, true
		}
	}
	if promoted {
		if err := gateway.Check(serving, c.config.Log); err != nil {
			return fmt.Errorf("once the canary is promoted: %w", err)
		}
	}
	for _, n := range list {
		if n.loaded == nil {
			continue
		}
		ch.Progress(Event{Stage: "probe", Deployment: n.spec.Name})
		if err := gateway.Probe(ctx, gateway.Config{Store: c.config.Store, Log: c.config.Log}, n.loaded); err != nil {
			return fmt.Errorf("deployment %q: %w", n.spec.Name, err)
		}
	}
	return nil
}

// commit records the change and has it serve. From here on it is not given up, whoever
// goes away.
func (c *Controller) commit(ctx context.Context, list []*candidate, next map[string]*running, ch *change, result *Result) error {
	if len(next) == 0 {
		return nil
	}
	if ctx.Err() != nil {
		return context.Cause(ctx)
	}
	if err := c.noteWriters(ctx, list, ch); err != nil {
		return err
	}
	ctx = context.WithoutCancel(ctx)
	ch.Progress(Event{Stage: "record"})
	w := &writing{revision: c.revision + 1, records: map[string]*record{}}
	for name, r := range next {
		w.records[name] = &r.record
		w.audit = append(w.audit, ch.entry(name, r.Last))
	}
	for _, n := range list {
		if n.version != nil {
			w.versions = append(w.versions, n.version)
		}
	}
	if err := c.write(ctx, w); err != nil {
		if errors.Is(err, store.ErrCommitUnknown) {
			return fmt.Errorf("rollout: it is not known whether the change was recorded; what served before serves on until the host is started again: %w", err)
		}
		return fmt.Errorf("rollout: record the change: %w", err)
	}
	ch.Progress(Event{Stage: "swap"})
	took, err := c.install(next, w.revision)
	if err != nil { // which test has tried
		return errors.Join(fmt.Errorf("rollout: swap: %w", err), c.unwrite(ctx, w))
	}
	result.Revision = w.revision
	for _, n := range list {
		if n.version == nil {
			continue
		}
		n.loaded = nil // it is the gateway's now
		n.outcome.Swap = took.String()
		c.config.Log.Info("version serves", "deployment", n.spec.Name, "version", n.version.Number, "as", n.outcome.Action, "by", ch.By, "swap", took)
	}
	return nil
}

// unwrite puts the records back as they were before a change that cannot be made.
func (c *Controller) unwrite(ctx context.Context, w *writing) error {
	for name := range w.records {
		w.records[name] = &record{}
		if old := c.running[name]; old != nil {
			w.records[name] = &old.record
		}
	}
	w.versions, w.audit = nil, nil
	return c.write(ctx, w)
}

// names are the deployments that it changes.
func (ch *change) names() (names []string) {
	for _, spec := range ch.specs {
		names = append(names, spec.Name)
	}
	return append(names, ch.remove...)
}

// entry is what the audit log says of the change of a deployment.
func (ch *change) entry(name string, version int) Entry {
	return Entry{At: time.Now().UTC(), By: ch.By, Remote: ch.Remote, Action: ch.action, Deployment: name, Version: version, Message: ch.Message}
}

// refused records a change that was not made.
func (c *Controller) refused(ch *change, err error) {
	if ch.check {
		return
	}
	names := ch.names()
	c.mu.Lock()
	for _, name := range names {
		if c.running[name] == nil {
			delete(c.tenants, name)
		}
	}
	c.mu.Unlock()
	e := ch.entry(strings.Join(names, " "), 0)
	e.Error = err.Error()
	c.config.Log.Warn("a change was refused", "action", e.Action, "deployment", e.Deployment, "by", e.By, "error", err)
	c.Note(e)
}

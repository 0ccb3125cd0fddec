package rollout

import (
	"context"
	"errors"
	"maps"
	"slices"
	"sync"

	"github.com/edgeset/edgeset/host/artifact"
	"github.com/edgeset/edgeset/host/deploy"
	"github.com/edgeset/edgeset/host/secret"
)

// load loads what is new.
func (c *Controller) load(ctx context.Context, list []*candidate, tell func(Event)) error {
	var specs []deploy.Spec
	var fresh []*candidate
	for _, n := range list {
		if n.version != nil {
			specs, fresh = append(specs, n.spec), append(fresh, n)
		}
	}
	loaded, err := c.loadAll(ctx, specs, tell)
	if err != nil {
		return err
	}
	for i, n := range fresh {
		n.loaded = loaded[i]
		n.version.complete(n.loaded)
	}
	return nil
}

// complete fills in what is known of a version's plugins when they are loaded.
func (v *Version) complete(d *deploy.Deployment) {
	d.Version = v.Number
	for i, p := range d.Plugins {
		v.Plugins[i].Version, v.Plugins[i].Schema = p.Desc.Version, p.Desc.Schema.Version
	}
}

// loadAll is Loader.LoadAll with progress, which several goroutines make.
func (c *Controller) loadAll(ctx context.Context, specs []deploy.Spec, tell func(Event)) ([]*deploy.Deployment, error) {
	events, told := make(chan Event), make(chan struct{})
	go func() {
		defer close(told)
		for e := range events {
			tell(e)
		}
	}()
	defer func() { close(events); <-told }()
	loader := c.loader
	loader.Read = c.reading()
	loader.Loading = func(deployment, plugin string) {
		events <- Event{Stage: "load", Deployment: deployment, Plugin: plugin}
	}
	list, err := loader.LoadAll(ctx, specs)
	return list, c.told(ctx, specs, err)
}

// reading returns what reads plugins for one load: one that many deployments have is
// read once.
func (c *Controller) reading() func(context.Context, *deploy.PluginSpec) ([]byte, error) {
	var mu sync.Mutex
	reads := map[string]func() ([]byte, error){}
	return func(_ context.Context, p *deploy.PluginSpec) ([]byte, error) {
		mu.Lock()
		read := reads[p.Digest]
		if read == nil {
			read = sync.OnceValues(func() ([]byte, error) { return c.config.Library.Get(artifact.Digest(p.Digest)) })
			reads[p.Digest] = read
		}
		mu.Unlock()
		return read()
	}
}

// told is an error of plugins or channels, without the secrets that they may have said
// when they failed.
func (c *Controller) told(ctx context.Context, specs []deploy.Spec, err error) error {
	if err == nil {
		return nil
	}
	var all []string
	for _, spec := range specs {
		for owner, names := range spec.Secrets() {
			values, _, readErr := c.config.Vault.Values(context.WithoutCancel(ctx), spec.Name, owner, names)
			if readErr != nil {
				continue // then it was not given any
			}
			all = slices.AppendSeq(all, maps.Values(values))
		}
	}
	if text := secret.Redact(err.Error(), all); text != err.Error() {
		return errors.New(text)
	}
	return err
}

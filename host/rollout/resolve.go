package rollout

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"strings"

	"github.com/edgeset/edgeset/host/artifact"
	"github.com/edgeset/edgeset/host/deploy"
)

// sources says where the plugins of a change come from.
type sources struct {
	uploads map[string]Upload // of files, by source
	files   bool              // files are read: the manifest is one of this machine
	// pinned are the plugins of an older version, by name, whose bytes are in the
	// library; a source is not asked for them.
	pinned map[string]Plugin
	// pulled are those that have come from registries, by source.
	pulled map[string]find
}

// pullAside gets what has to come from registries, while others have their turn.
func (c *Controller) pullAside(ctx context.Context, turn *turn, ch *change) error {
	pulled, wanted := map[string]find{}, false
	for i := range ch.specs {
		name := ch.specs[i].Name
		from := ch.sources[name]
		if from.pinned != nil {
			continue
		}
		from.pulled = pulled
		ch.sources[name] = from
		for k := range ch.specs[i].Plugins {
			wanted = wanted || strings.HasPrefix(ch.specs[i].Plugins[k].Source, artifact.Scheme)
		}
	}
	if !wanted {
		return nil
	}
	return turn.aside(ch.names(), func() error { return c.pullAll(ctx, ch, pulled) })
}

// pullAll pulls each plugin of a change that is in a registry, once.
func (c *Controller) pullAll(ctx context.Context, ch *change, pulled map[string]find) error {
	var errs []error
	for i := range ch.specs {
		spec := &ch.specs[i]
		for k := range spec.Plugins {
			p := &spec.Plugins[k]
			if _, there := pulled[p.Source]; there || !strings.HasPrefix(p.Source, artifact.Scheme) {
				continue
			}
			f, err := c.pull(ctx, p, func(done, total int64) {
				ch.Progress(Event{Stage: "pull", Deployment: spec.Name, Plugin: p.Name, Text: p.Source, Done: done, Total: total})
			})
			if err != nil {
				errs = append(errs, fmt.Errorf("deployment %q: plugin %q: %w", spec.Name, p.Name, err))
				continue
			}
			pulled[p.Source] = f
		}
	}
	return errors.Join(errs...)
}

// resolve finds out which plugins the deployment is to have: it fills in their digests,
// and sees to it that the library has them. Each was signed by somebody who is trusted,
// if anybody has to.
func (c *Controller) resolve(ctx context.Context, spec *deploy.Spec, from sources, tell func(Event)) ([]Plugin, error) {
	plugins := make([]Plugin, len(spec.Plugins))
	var errs []error
	for i := range spec.Plugins {
		p := &spec.Plugins[i]
		tell(Event{Stage: "resolve", Deployment: spec.Name, Plugin: p.Name, Text: p.Source})
		found, err := c.fetch(ctx, p, from, func(done, total int64) {
			tell(Event{Stage: "pull", Deployment: spec.Name, Plugin: p.Name, Text: p.Source, Done: done, Total: total})
		})
		if err == nil && p.Digest != "" && p.Digest != string(found.pin) {
			err = fmt.Errorf("source %q is %s; want digest %s", p.Source, found.pin, p.Digest)
		}
		var signer string
		if err == nil {
			p.Digest = string(found.pin)
			signer, err = c.checkSignature(p.Source, &found)
		}
		if err != nil {
			errs = append(errs, fmt.Errorf("deployment %q: plugin %q: %w", spec.Name, p.Name, err))
			continue
		}
		plugins[i] = Plugin{Name: p.Name, Source: p.Source, Digest: p.Digest, Size: c.config.Library.Size(found.pin), Signer: signer, Signature: found.signature}
	}
	return plugins, errors.Join(errs...)
}

// A find is a plugin that is in the library.
type find struct {
	pin       artifact.Digest
	signature string
	ours      bool // it came with a host's binary, and is trusted as that is
}

// byHost is the signer of a plugin that came with a host's binary.
const byHost = "host"

// fetch gets a plugin from its source into the library.
func (c *Controller) fetch(ctx context.Context, p *deploy.PluginSpec, from sources, progress func(done, total int64)) (f find, err error) {
	if old, ok := from.pinned[p.Name]; ok {
		f = find{artifact.Digest(old.Digest), old.Signature, old.Signer == byHost}
		if !c.config.Library.Has(f.pin) {
			err = fmt.Errorf("%s, which it had, is not in the library any more", f.pin)
		}
		return f, err
	}
	var wasm []byte
	switch {
	case strings.HasPrefix(p.Source, deploy.EmbeddedScheme):
		f.ours, f.pin = true, c.ours[p.Source]
		if f.pin != "" && c.config.Library.Has(f.pin) {
			return f, nil
		}
		wasm, err = deploy.ReadSource(c.config.Loader.Embedded, p.Source)
	case strings.HasPrefix(p.Source, artifact.Scheme):
		if f, there := from.pulled[p.Source]; there && (p.Digest == "" || p.Digest == string(f.pin)) {
			return f, nil
		}
		return c.pull(ctx, p, progress)
	default:
		if up, ok := from.uploads[p.Source]; ok {
			f.signature = up.Signature
			if f.pin, err = artifact.ParseDigest(up.Digest); err == nil && !c.config.Library.Has(f.pin) {
				err = fmt.Errorf("source %q: %s was not uploaded", p.Source, f.pin)
			}
			return f, err
		}
		if !from.files {
			return f, fmt.Errorf("source %q: the file was not uploaded with the manifest: want uploads to have its digest", p.Source)
		}
		if wasm, err = deploy.ReadSource(nil, p.Source); err == nil {
			f.signature, err = readSignature(p.Source)
		}
	}
	if err == nil {
		f.pin, err = c.config.Library.Put(wasm)
	}
	if err == nil && f.ours {
		c.ours[p.Source] = f.pin
	}
	return f, err
}

// pull gets a plugin from a registry, unless it is pinned and there already.
func (c *Controller) pull(ctx context.Context, p *deploy.PluginSpec, progress func(done, total int64)) (f find, err error) {
	ref, err := artifact.ParseReference(p.Source)
	if err != nil {
		return f, err
	}
	if f.pin = artifact.Digest(p.Digest); f.pin != "" && c.config.Library.Has(f.pin) && c.config.Keys == nil {
		return f, nil
	}
	pulled, err := artifact.Pull(ctx, ref, artifact.PullOptions{Progress: progress})
	if err != nil {
		return f, err
	}
	f.signature = pulled.Signature
	f.pin, err = c.config.Library.Put(pulled.Wasm)
	return f, err
}

// readSignature reads the signature beside the file of a plugin; "" if there is none.
func readSignature(file string) (string, error) {
	text, err := os.ReadFile(file + ".minisig")
	if errors.Is(err, fs.ErrNotExist) {
		return "", nil
	}
	return string(text), err
}

// checkSignature finds out who has signed a plugin, if that is asked for.
func (c *Controller) checkSignature(source string, f *find) (signer string, err error) {
	switch {
	case f.ours:
		return byHost, nil
	case c.config.Keys == nil:
		return "", nil
	case f.signature == "":
		return "", fmt.Errorf("source %q is not signed, and this host wants a signature of one of its keys (--plugin-keys)", source)
	}
	wasm, err := c.config.Library.Get(f.pin)
	if err != nil {
		return "", err
	}
	return c.config.Keys.Verify(wasm, f.signature)
}

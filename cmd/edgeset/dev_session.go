package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/artifact"
	"github.com/edgeset/edgeset/host/deploy"
)

// A devHost serves what a session builds.
type devHost interface {
	// inspect compiles a plugin and asks it what it serves.
	inspect(ctx context.Context, spec *deploy.PluginSpec, wasm []byte) (*abi.Description, error)
	// swap has the deployments of a manifest serve in place of those of before. The
	// plugins are those whose source is no other than a file's or a folder's.
	swap(ctx context.Context, file, manifest string, plugins map[string][]byte) ([]swapped, error)
	// guide says where it serves.
	guide() guide
}

// swapped is what became of a deployment.
type swapped struct {
	deployment string
	version    int
	changed    bool
	took       time.Duration
}

// A session builds plugins, has them served, and does so again when they change.
type session struct {
	view    *view
	watcher *watcher
	host    devHost
	temp    string // folder for what is built
	config  string // the manifest's file; "": there is none
	signing bool   // add the plugin that checks credentials, where it is needed

	plugins  []*devPlugin
	specs    []deploy.Spec
	text     string           // of the manifest
	pending  bool             // there is something that is not served yet
	serving  map[string]int   // versions, by deployment
	shown    map[string]bool  // what was said of routes
	accounts map[string]bool  // deployments with an account to try
	checks   *abi.Description // of the plugin that ships with edgeset and checks credentials
}

// run goes on until ctx ends.
func (s *session) run(ctx context.Context) {
	s.serving, s.shown, s.accounts = map[string]int{}, map[string]bool{}, map[string]bool{}
	s.round(ctx, []string{everything})
	for {
		select {
		case <-ctx.Done():
			return
		case changed := <-s.watcher.changes:
			s.round(ctx, changed)
		}
	}
}

// round builds what has changed and has it served.
func (s *session) round(ctx context.Context, changed []string) {
	all := slices.Contains(changed, everything)
	if s.config != "" && (all || slices.Contains(changed, s.config)) {
		if err := s.readManifest(); err != nil {
			s.view.say(red, shortPath(s.config)+" cannot be used"+s.instead(), said(err)...)
		}
	}
	for _, p := range s.plugins {
		p.stale = p.stale || all || slices.ContainsFunc(changed, p.concern)
	}
	// What is read from here on is watched already: a change in between is told.
	errs := s.look(ctx)
	var built []string
	for i, p := range s.plugins {
		if !p.stale || ctx.Err() != nil {
			continue
		}
		p.stale = false
		how, err := "", errs[i]
		if err == nil {
			how, err = s.build(ctx, p)
		}
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			s.view.say(red, p.label()+" cannot be used"+s.instead(), said(err)...)
		default:
			built = append(built, how)
		}
	}
	s.deploy(ctx, strings.Join(built, ", "))
}

// look finds out what stale plugins are built from, and has it watched.
func (s *session) look(ctx context.Context) []error {
	errs := make([]error, len(s.plugins))
	var roots, folders []string
	for i, p := range s.plugins {
		if p.stale {
			errs[i] = p.list(ctx)
		}
		if p.known != nil {
			roots, folders = append(roots, p.known.roots...), append(folders, p.known.folders()...)
		} else {
			folders = append(folders, filepath.Dir(p.path))
		}
	}
	if s.config != "" {
		folders = append(folders, filepath.Dir(s.config))
	}
	plugins, config := slices.Clone(s.plugins), s.config
	// Of each its own answer as of now: the watcher asks while the next round is on.
	known := make([]func(string) bool, len(plugins))
	for i, p := range plugins {
		known[i] = (&devPlugin{path: p.path, folder: p.folder, known: p.known}).concern
	}
	err := s.watcher.watch(roots, folders, func(path string) bool {
		return path == config || slices.ContainsFunc(known, func(concern func(string) bool) bool { return concern(path) })
	})
	if err != nil {
		s.view.say(yellow, "not all changes will be noticed", said(err)...)
	}
	return errs
}

// build builds a plugin and has it ready to be served, and says how.
func (s *session) build(ctx context.Context, p *devPlugin) (string, error) {
	begin := time.Now()
	wasm, err := p.build(ctx, s.temp)
	if err != nil {
		return "", err
	}
	took := time.Since(begin)
	if p.same(wasm) {
		return fmt.Sprintf("built %s in %s, nothing new", p.label(), span(took)), nil
	}
	spec := s.specOf(p)
	desc := routed(spec)
	if len(spec.Routes) == 0 {
		if desc, err = s.host.inspect(ctx, spec, wasm); err != nil {
			return "", err
		}
	}
	p.good = &devBuild{wasm: wasm, desc: desc, took: time.Since(begin)}
	s.pending = true
	how := fmt.Sprintf("built %s in %s", p.label(), span(took))
	if !p.folder {
		how = "read " + shortPath(p.path)
	}
	if compiled := time.Since(begin) - took; compiled > 100*time.Millisecond {
		how += " (and " + span(compiled) + " to make machine code)"
	}
	return how, nil
}

// specOf is what the manifest says of a plugin.
func (s *session) specOf(p *devPlugin) *deploy.PluginSpec {
	if s.config != "" {
		for i := range s.specs {
			for k := range s.specs[i].Plugins {
				if spec := &s.specs[i].Plugins[k]; spec.Source == p.source {
					return spec
				}
			}
		}
	}
	return &deploy.PluginSpec{Name: p.label(), Source: p.source, Egress: []string{"*"}}
}

// deploy has what was built serve, and says so.
func (s *session) deploy(ctx context.Context, built string) {
	if !s.pending {
		if built != "" {
			s.view.say(faint, built)
		}
		return
	}
	uploads := map[string][]byte{}
	for _, p := range s.plugins {
		if p.good != nil {
			uploads[p.source] = p.good.wasm
		} else if s.config != "" {
			return // it was said why
		}
	}
	file := s.config
	if file == "" {
		spec := devSpec(s.plugins, s.signing)
		if len(spec.Plugins) == 0 {
			return
		}
		file, s.specs, s.text = "edgeset dev", []deploy.Spec{spec}, spec.TOML()
	}
	list, err := s.host.swap(ctx, file, s.text, uploads)
	if ctx.Err() != nil {
		return
	}
	if err != nil {
		s.view.say(red, "not swapped"+s.instead(), said(err)...)
		return
	}
	s.pending = false
	what := []string{}
	if built != "" {
		what = append(what, built)
	}
	for _, d := range list {
		s.serving[d.deployment] = d.version
		switch {
		case d.changed && s.config == "":
			what = append(what, fmt.Sprintf("swapped in %s: version %d", span(d.took), d.version))
		case d.changed:
			what = append(what, fmt.Sprintf("swapped %s in %s: version %d", d.deployment, span(d.took), d.version))
		}
	}
	if len(what) > 0 {
		s.view.say(green, strings.Join(what, ", "))
	}
	s.show(ctx)
}

// instead says what serves when the new does not.
func (s *session) instead() string {
	if len(s.serving) == 0 {
		return ""
	}
	var list []string
	for name, version := range s.serving {
		if s.config == "" {
			list = append(list, fmt.Sprintf("version %d serves on", version))
		} else {
			list = append(list, fmt.Sprintf("%s: version %d serves on", name, version))
		}
	}
	slices.Sort(list)
	return "; " + strings.Join(list, ", ")
}

// show says how to call routes that it has not said it of.
func (s *session) show(ctx context.Context) {
	for _, spec := range s.specs {
		g := s.host.guide()
		g.deployment = spec.Name
		if host := spec.Hosts[0]; host != "*" {
			g.host = strings.Replace(host, "*", "any", 1)
		}
		for _, ps := range spec.Plugins {
			i := slices.IndexFunc(s.plugins, func(p *devPlugin) bool { return p.source == ps.Source })
			if i < 0 {
				continue
			}
			g.mount = ps.Mount
			d := s.plugins[i].good.desc
			if asks(d) {
				g.credentials = s.credentials(ctx, &spec)
			}
			lines := g.lines(d)
			key := spec.Name + "\n" + ps.Name + "\n" + strings.Join(lines, "\n")
			if s.shown[key] || len(lines) == 0 {
				continue
			}
			s.shown[key] = true
			s.account(ctx, &g, d, &spec)
			s.view.say(bold, strings.TrimSpace(d.Name+" "+d.Version)+" serves", lines...)
		}
	}
}

// credentials are those that a deployment checks.
func (s *session) credentials(ctx context.Context, spec *deploy.Spec) []abi.CredentialSource {
	for i := range spec.Plugins {
		ps := &spec.Plugins[i]
		for _, p := range s.plugins {
			if p.source == ps.Source && len(p.good.desc.Credentials) > 0 {
				return p.good.desc.Credentials
			}
		}
		if ps.Source == embeddedSource+":"+signingPlugin {
			if s.checks == nil {
				d, err := s.host.inspect(ctx, ps, nil)
				if err != nil {
					return nil // no more than a hint is missing
				}
				s.checks = d
			}
			return s.checks.Credentials
		}
	}
	return nil
}

// account makes an account for who wants to try routes that want one, once, and says
// how to use it.
func (s *session) account(ctx context.Context, g *guide, d *abi.Description, spec *deploy.Spec) {
	checks := slices.ContainsFunc(spec.Plugins, func(p deploy.PluginSpec) bool { return p.Source == embeddedSource+":"+signingPlugin })
	takes := slices.ContainsFunc(d.Routes, func(r abi.Route) bool { return slices.Contains(r.Auth, "token") })
	if !checks || !takes || s.accounts[spec.Name] {
		return
	}
	a, err := newDevAccount(ctx, g)
	if err != nil {
		s.view.say(yellow, "there is no account to try "+d.Name+" with", said(err)...)
		return
	}
	s.accounts[spec.Name] = true
	s.view.say(bold, "an account to try it with", "TOKEN="+a.token, "API_KEY="+a.key+" USERNAME="+a.username+" PASSWORD="+a.password)
}

// readManifest reads the manifest, and keeps of its plugins those that it names still.
func (s *session) readManifest() error {
	text, err := os.ReadFile(s.config)
	if err != nil {
		return err
	}
	m, err := deploy.ParseManifest(shortPath(s.config), string(text))
	if err != nil {
		return err
	}
	var plugins []*devPlugin
	var errs []error
	for _, spec := range m.Deployments {
		for _, ps := range spec.Plugins {
			has := func(p *devPlugin) bool { return p.source == ps.Source }
			if ps.Source == "" || strings.HasPrefix(ps.Source, embeddedSource+":") || strings.HasPrefix(ps.Source, artifact.Scheme) ||
				slices.ContainsFunc(plugins, has) {
				continue
			}
			if i := slices.IndexFunc(s.plugins, has); i >= 0 {
				plugins = append(plugins, s.plugins[i])
				continue
			}
			path := ps.Source
			if !filepath.IsAbs(path) {
				path = filepath.Join(filepath.Dir(s.config), path)
			}
			p, err := newDevPlugin(ps.Source, path)
			if err != nil {
				errs = append(errs, fmt.Errorf("deployment %q: plugin %q: source: %w", spec.Name, ps.Name, err))
				continue
			}
			plugins = append(plugins, p)
		}
	}
	if err := errors.Join(errs...); err != nil {
		return err
	}
	s.plugins, s.specs, s.text, s.pending = plugins, m.Deployments, string(text), true
	return nil
}

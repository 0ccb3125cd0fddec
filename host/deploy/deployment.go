package deploy

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"os"
	"slices"
	"strings"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/edge"
	"github.com/edgeset/edgeset/host/engine"
	"github.com/edgeset/edgeset/host/extism"
)

const embeddedScheme = "embedded:"

// grants are what a manifest can give.
var grants = []string{abi.GrantKV, abi.GrantPasswords}

// A Runner answers calls: a version of a Wasm plugin, or, in benchmarks, the
// same handlers compiled natively.
type Runner interface {
	// Call answers one frame, appending the reply to dst. state is what the
	// plugin's host functions find.
	Call(ctx context.Context, state any, frame, dst []byte) ([]byte, error)
	// Invoke calls an exported function of an Extism plugin.
	Invoke(ctx context.Context, state any, export string) (int32, error)
	// Close waits for calls that run, until ctx ends, and frees the rest.
	Close(ctx context.Context) error
}

// A Deployment is a set of plugins that is ready to serve.
type Deployment struct {
	Spec    Spec
	Plugins []*Plugin
}

// A Plugin is one of them.
type Plugin struct {
	Spec      PluginSpec
	Desc      *abi.Description
	Functions []string // by route, of an Extism plugin; nil for one that speaks abi
	Edge      *edge.Plugin
	Runner    Runner
}

// Authenticates tells whether it is the one that checks credentials.
func (p *Plugin) Authenticates() bool { return len(p.Desc.Credentials) > 0 }

// A Loader makes deployments.
type Loader struct {
	Engine   *engine.Engine
	Embedded fs.FS // holds <plugin>.wasm
	Log      *slog.Logger
}

// Load loads all of a deployment's plugins. If one of them cannot be used, none
// is kept, and the error says which and why.
func (l *Loader) Load(ctx context.Context, spec Spec) (*Deployment, error) {
	d := &Deployment{Spec: spec}
	for _, ps := range spec.Plugins {
		p, err := l.plugin(ctx, ps)
		if err == nil {
			d.Plugins = append(d.Plugins, p)
			err = d.checkAuthenticator()
		}
		if err != nil {
			// Nobody calls what is closed here, so closing does not take long, and
			// is done even if ctx has ended.
			return nil, errors.Join(fmt.Errorf("deploy: deployment %q: plugin %q: %w", spec.Name, ps.Name, err),
				d.Close(context.WithoutCancel(ctx)))
		}
	}
	return d, nil
}

// Close closes all plugins.
func (d *Deployment) Close(ctx context.Context) error {
	var errs []error
	for _, p := range d.Plugins {
		errs = append(errs, p.Runner.Close(ctx))
		if p.Edge.Egress != nil {
			p.Edge.Egress.Close()
		}
	}
	return errors.Join(errs...)
}

func (d *Deployment) checkAuthenticator() error {
	var found []string
	for _, p := range d.Plugins {
		if p.Authenticates() {
			found = append(found, p.Spec.Name)
		}
	}
	if len(found) > 1 {
		return fmt.Errorf("plugins %s all check credentials: want one", strings.Join(found, " and "))
	}
	return nil
}

func (l *Loader) plugin(ctx context.Context, spec PluginSpec) (*Plugin, error) {
	wasm, err := l.source(spec.Source)
	if err != nil {
		return nil, err
	}
	p := &Plugin{Spec: spec, Edge: &edge.Plugin{
		Name: spec.Name, Config: spec.Config, Grants: spec.Grants, Log: l.Log,
	}}
	if len(spec.Egress) > 0 {
		if p.Edge.Egress, err = extism.NewEgress(spec.Egress); err != nil {
			return nil, fmt.Errorf("egress: %w", err)
		}
	}
	// While it is being initialised a plugin may log and read its settings.
	// Instances may start at the same time, and long after this one.
	starting := func() any {
		call := new(edge.Call)
		call.Start(context.WithoutCancel(ctx), p.Edge, "start")
		return call
	}
	v, err := l.Engine.Load(ctx, wasm, engine.Options{
		Name:        spec.Name,
		Modules:     []engine.Module{edge.Module{}, extism.Module()},
		MemoryLimit: int64(spec.Memory),
		Instances:   spec.Instances,
		Waiting:     spec.Waiting,
		MaxWait:     time.Duration(spec.MaxWait),
		Init:        starting,
	})
	if err != nil {
		return nil, err
	}
	p.Runner = v
	if err := p.describe(ctx, v); err != nil {
		return nil, errors.Join(err, v.Close(context.WithoutCancel(ctx)))
	}
	return p, nil
}

func (l *Loader) source(source string) ([]byte, error) {
	name, embedded := strings.CutPrefix(source, embeddedScheme)
	if !embedded {
		wasm, err := os.ReadFile(source)
		if err != nil {
			return nil, fmt.Errorf("source: %w; want the file of a plugin, or \"%sNAME\" for one that this host embeds", err, embeddedScheme)
		}
		return wasm, nil
	}
	if l.Embedded == nil {
		return nil, fmt.Errorf("source %q: this host embeds no plugins", source)
	}
	wasm, err := fs.ReadFile(l.Embedded, name+".wasm")
	if err != nil {
		have, _ := fs.Glob(l.Embedded, "*.wasm") // fails for a bad pattern only
		for i, file := range have {
			have[i] = strings.TrimSuffix(file, ".wasm")
		}
		return nil, fmt.Errorf("source %q: this host embeds no such plugin, but %s", source, listed(have))
	}
	return wasm, nil
}

// describe asks the plugin what it serves, or, of one that cannot say, takes
// the manifest's word.
func (p *Plugin) describe(ctx context.Context, v *engine.Version) error {
	if !v.HasExport(abi.ExportCall) {
		return p.describeExtism(v)
	}
	if len(p.Spec.Routes) > 0 {
		return errors.New("route: the plugin describes its routes itself; want none in the manifest")
	}
	desc, err := Describe(ctx, v, p.Edge)
	if err != nil {
		return err
	}
	if desc.Name != p.Spec.Name {
		return fmt.Errorf("it describes itself as %q; want that as its name in the manifest", desc.Name)
	}
	if len(desc.Routes) > maxRoutes {
		return fmt.Errorf("it describes %d routes: want at most %d", len(desc.Routes), maxRoutes)
	}
	for _, g := range desc.Grants {
		if !slices.Contains(p.Spec.Grants, g) {
			return fmt.Errorf("it needs grant %q, which the manifest does not give: grants = %q", g, p.Spec.Grants)
		}
	}
	p.Desc = desc
	return nil
}

// maxRoutes bounds the routes of a plugin: each has metrics of its own.
const maxRoutes = 1000

func listed(names []string) string {
	if len(names) == 0 {
		return "none"
	}
	return strings.Join(names, ", ")
}

// Describe asks a plugin what it says of itself.
func Describe(ctx context.Context, r Runner, p *edge.Plugin) (*abi.Description, error) {
	var call edge.Call
	call.Start(ctx, p, "describe")
	var w abi.Writer
	(&abi.Request{Kind: abi.CallDescribe}).Append(&w)
	frame, err := r.Call(ctx, &call, w.Value(), nil)
	if err != nil {
		return nil, fmt.Errorf("describe: %w", err)
	}
	var reply abi.Reply
	if err := abi.ReadReply(frame, &reply); err != nil {
		return nil, fmt.Errorf("describe: %w", err)
	}
	return abi.ReadDescription(reply.Body)
}

// describeExtism makes the description of a plugin that only knows
// extism:host/env.
func (p *Plugin) describeExtism(v *engine.Version) error {
	if len(p.Spec.Routes) == 0 {
		return fmt.Errorf("it has no export %q, so it is no edgeset plugin, and the manifest has no [[deployment.plugin.route]] for it", abi.ExportCall)
	}
	desc := &abi.Description{ABI: abi.Version, Name: p.Spec.Name}
	for _, r := range p.Spec.Routes {
		if r.Function == "" {
			return fmt.Errorf("route %s %s: function: want the name of an export of the plugin", r.Method, r.Pattern)
		}
		if !v.HasExport(r.Function) {
			return fmt.Errorf("route %s %s: function %q: the plugin has no such export", r.Method, r.Pattern, r.Function)
		}
		prefix, _, _ := strings.Cut(r.Pattern, ":")
		desc.Families = append(desc.Families, abi.Family{Prefix: "/" + strings.Trim(prefix, "/"), Errors: abi.DefaultErrors()})
		desc.Routes = append(desc.Routes, abi.Route{
			Method: r.Method, Pattern: r.Pattern, Family: len(desc.Families) - 1,
			Write: !r.ReadOnly, Auth: r.Auth, Body: abi.BodyMode(r.Body),
		})
		p.Functions = append(p.Functions, r.Function)
	}
	// Through the same check as a plugin's own word.
	var w abi.Writer
	desc.Append(&w)
	var err error
	p.Desc, err = abi.ReadDescription(w.Value())
	return err
}

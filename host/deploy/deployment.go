package deploy

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"log/slog"
	"maps"
	"os"
	"runtime"
	"slices"
	"strings"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/edge"
	"github.com/edgeset/edgeset/host/engine"
	"github.com/edgeset/edgeset/host/extism"
	"github.com/edgeset/edgeset/host/outbox"
	"github.com/edgeset/edgeset/host/secret"
)

// EmbeddedScheme begins a source that the host embeds.
const EmbeddedScheme = "embedded:"

// grants are what a manifest can give, besides what has a name in it.
var grants = []string{abi.GrantKV, abi.GrantPasswords, abi.GrantEvents, abi.GrantBlobs, abi.GrantMail}

// A Runner answers calls: a version of a Wasm plugin, or, in benchmarks, the
// same handlers compiled natively.
type Runner interface {
	// Lease waits until a call can be made, see engine.Version.Lease. The call's
	// state is what the plugin's host functions find.
	Lease(ctx context.Context, ahead bool) (engine.Lease, error)
	// Close waits for calls that run, until ctx ends, and frees the rest.
	Close(ctx context.Context) error
}

// A Deployment is a version of a deployment that is ready to serve.
type Deployment struct {
	Spec    Spec
	Version int // its number; 0: it has none
	Plugins []*Plugin
	Tenant  *engine.Tenant // whom its plugins work for
	// Channels are the ways in which it delivers what its plugins dispatch.
	Channels outbox.Channels

	own    []outbox.Transport // the channels that end with it
	outbox edge.Outbox        // of plugins that may dispatch; nil: there is none
}

// Limits are what its plugins may use together.
func (s *Spec) Limits() engine.TenantLimits {
	return engine.TenantLimits{Cores: s.Cores, Memory: int64(s.Memory), FuelPerSecond: s.FuelPerSecond}
}

// A Plugin is one of them.
type Plugin struct {
	Spec      PluginSpec
	Desc      *abi.Description
	Digest    string   // of its Wasm: "sha256:…"
	Functions []string // by route, of an Extism plugin; nil for one that speaks abi
	Edge      *edge.Plugin
	Runner    Runner
}

// DefaultDeadline bounds a request if neither manifest nor plugin says more. A
// caller waits 1 s for an instance at most, and then has nine for its work.
// It is shorter than a drain, which so finds every request answered.
const DefaultDeadline = 10 * time.Second

// Deadline returns how long a request to a route may take: what the plugin asks
// for, but no more than the manifest allows.
func (p *Plugin) Deadline(r *abi.Route) time.Duration {
	limit := DefaultDeadline
	if p.Spec.Deadline > 0 {
		limit = time.Duration(p.Spec.Deadline)
	}
	if r.Deadline > 0 {
		limit = min(limit, r.Deadline)
	}
	return limit
}

// Authenticates tells whether it is the one that checks credentials.
func (p *Plugin) Authenticates() bool { return len(p.Desc.Credentials) > 0 }

// A Loader makes deployments.
type Loader struct {
	Engine   *engine.Engine
	Embedded fs.FS // holds <plugin>.wasm
	Log      *slog.Logger
	Pictures *edge.Pictures // nil: plugins make none
	// Read returns the Wasm of a plugin, which has its digest if there is one; nil: its
	// source is read.
	Read func(ctx context.Context, p *PluginSpec) ([]byte, error)
	// Secrets returns the values of secrets of a plugin; nil: there are none.
	Secrets func(ctx context.Context, deployment, plugin string, names []string) (map[string]string, error)
	// Tenant returns whom the plugins of a deployment work for; nil: each version has
	// one of its own, with the limits of its manifest.
	Tenant func(deployment string) *engine.Tenant
	// Mail is how mail goes of a deployment whose manifest names no server; nil: not at
	// all. It is not closed with deployments.
	Mail outbox.Transport
	// Outbox takes what plugins of a deployment dispatch, to be delivered by its channels;
	// nil: they cannot.
	Outbox func(deployment string, ways outbox.Channels, limits outbox.Limits) edge.Outbox
	// Loading is told when a plugin begins to be loaded; nil: nobody wants to know. It
	// is called from several goroutines.
	Loading func(deployment, plugin string)
}

// Load loads all of a deployment's plugins. If one of them cannot be used, none
// is kept, and the error says which and why.
func (l *Loader) Load(ctx context.Context, spec Spec) (*Deployment, error) {
	list, err := l.LoadAll(ctx, []Spec{spec})
	if err != nil {
		return nil, err
	}
	return list[0], nil
}

// LoadAll loads deployments, as many plugins at a time as there are cores. If any
// of them cannot be used, none is kept, and the error says which and why.
func (l *Loader) LoadAll(ctx context.Context, specs []Spec) ([]*Deployment, error) {
	var loads errgroup.Group
	loads.SetLimit(runtime.GOMAXPROCS(0))
	list := make([]*Deployment, len(specs))
	errs := make([][]error, len(specs)) // told in the manifest's order
	for i, spec := range specs {
		n := len(spec.Plugins)
		d := &Deployment{Spec: spec, Plugins: make([]*Plugin, n), Tenant: l.tenant(&spec)}
		list[i], errs[i] = d, make([]error, n+1)
		if err := l.channels(ctx, d); err != nil {
			errs[i][n] = fmt.Errorf("deploy: deployment %q: outbox: %w", spec.Name, err)
		}
		for k, ps := range spec.Plugins {
			loads.Go(func() (err error) {
				if d.Plugins[k], err = l.plugin(ctx, d, ps); err != nil {
					errs[i][k] = fmt.Errorf("deploy: deployment %q: plugin %q: %w", spec.Name, ps.Name, err)
				}
				return nil
			})
		}
	}
	_ = loads.Wait() // errs has it
	var all []error
	for i, d := range list {
		d.Plugins = slices.DeleteFunc(d.Plugins, func(p *Plugin) bool { return p == nil })
		if err := d.checkAuthenticator(); err != nil {
			all = append(all, fmt.Errorf("deploy: deployment %q: %w", d.Spec.Name, err))
		}
		all = append(all, errs[i]...)
	}
	if err := errors.Join(all...); err != nil {
		for _, d := range list {
			// Nobody calls what is closed here, so closing does not take long, and
			// is done even if ctx has ended.
			err = errors.Join(err, d.Close(context.WithoutCancel(ctx)))
		}
		return nil, err
	}
	return list, nil
}

// Close closes all plugins, and the channels that nobody else has.
func (d *Deployment) Close(ctx context.Context) error {
	var errs []error
	for _, p := range d.Plugins {
		errs = append(errs, p.Runner.Close(ctx))
		if p.Edge.Egress != nil {
			p.Edge.Egress.Close()
		}
	}
	for _, t := range d.own {
		errs = append(errs, t.Close())
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

// wasm reads a plugin, which has to be the one that the manifest means. One that is
// read by its digest is left to be read by the engine, if that does not know it already.
func (l *Loader) wasm(ctx context.Context, spec *PluginSpec) (wasm []byte, digest string, err error) {
	switch {
	case l.Read != nil && spec.Digest != "":
		return nil, spec.Digest, nil
	case l.Read != nil:
		wasm, err = l.Read(ctx, spec)
	default:
		wasm, err = ReadSource(l.Embedded, spec.Source)
	}
	if err != nil {
		return nil, "", err
	}
	sum := sha256.Sum256(wasm)
	if digest = "sha256:" + hex.EncodeToString(sum[:]); spec.Digest != "" && digest != spec.Digest {
		return nil, "", fmt.Errorf("source %q is %s; want digest %s", spec.Source, digest, spec.Digest)
	}
	return wasm, digest, nil
}

// settings returns what a plugin can read of its manifest, and the log that it writes
// into, in which none of its secrets shall stand.
func (l *Loader) settings(ctx context.Context, deployment string, spec *PluginSpec) (map[string]string, *slog.Logger, error) {
	if len(spec.Secrets) == 0 {
		return spec.Config, l.Log, nil
	}
	if l.Secrets == nil {
		return nil, nil, fmt.Errorf("secrets = %q: this host keeps none", spec.Secrets)
	}
	values, err := l.Secrets(ctx, deployment, spec.Name, spec.Secrets)
	if err != nil {
		return nil, nil, err
	}
	log := secret.Redacted(l.Log, slices.Collect(maps.Values(values)))
	config := maps.Clone(spec.Config)
	if config == nil {
		config = map[string]string{}
	}
	maps.Copy(config, values)
	return config, log, nil
}

func (l *Loader) tenant(spec *Spec) *engine.Tenant {
	if l.Tenant == nil {
		return engine.NewTenant(spec.Limits())
	}
	return l.Tenant(spec.Name)
}

func (l *Loader) plugin(ctx context.Context, d *Deployment, spec PluginSpec) (*Plugin, error) {
	if l.Loading != nil {
		l.Loading(d.Spec.Name, spec.Name)
	}
	wasm, digest, err := l.wasm(ctx, &spec)
	if err != nil {
		return nil, err
	}
	config, log, err := l.settings(ctx, d.Spec.Name, &spec)
	if err != nil {
		return nil, err
	}
	p := &Plugin{Spec: spec, Digest: digest, Edge: &edge.Plugin{
		Name: spec.Name, Config: config, Grants: spec.Grants, Log: log, Pictures: l.Pictures,
	}}
	if spec.granted(abi.GrantMail) || spec.granted(abi.GrantWebhook) {
		p.Edge.Outbox = d.outbox
	}
	if len(spec.Egress) > 0 {
		if p.Edge.Egress, err = extism.NewEgress(spec.Egress); err != nil {
			return nil, fmt.Errorf("egress: %w", err)
		}
		instances := spec.Instances
		if instances == 0 {
			instances = engine.DefaultInstances()
		}
		p.Edge.Fetching = make(chan struct{}, max(1, instances/2))
	}
	// While it is being initialised a plugin may log and read its settings.
	// Instances may start at the same time, and long after this one.
	starting := func() any {
		call := new(edge.Call)
		call.Start(context.WithoutCancel(ctx), p.Edge, "start")
		return call
	}
	isolation := engine.PerInstance
	if spec.Isolation == perRequest {
		isolation = engine.PerRequest
	}
	v, err := l.Engine.Load(ctx, wasm, engine.Options{
		Digest: strings.TrimPrefix(digest, "sha256:"),
		Read:   func() ([]byte, error) { return l.Read(ctx, &spec) },
		Tenant: d.Tenant,
		Name:   spec.Name,
		Stderr: func(line string) {
			log.Warn("plugin output", slog.String("plugin", spec.Name), slog.String("line", line))
		},
		Modules:     []engine.Module{edge.Module{}, extism.Module()},
		MemoryLimit: int64(spec.Memory),
		Instances:   spec.Instances,
		Waiting:     spec.Waiting,
		MaxWait:     time.Duration(spec.MaxWait),
		Isolation:   isolation,
		NoSnapshot:  spec.Snapshot != nil && !*spec.Snapshot,
		Rehearsal:   describeFrame(),
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

// ReadSource reads the Wasm that a manifest names: "embedded:NAME", of those that
// the host embeds, or a file.
func ReadSource(have fs.FS, source string) ([]byte, error) {
	name, embedded := strings.CutPrefix(source, EmbeddedScheme)
	if !embedded {
		wasm, err := os.ReadFile(source)
		if err != nil {
			return nil, fmt.Errorf("source: %w; want the file of a plugin, or \"%sNAME\" for one that this host embeds", err, EmbeddedScheme)
		}
		return wasm, nil
	}
	if have == nil {
		return nil, fmt.Errorf("source %q: this host embeds no plugins", source)
	}
	wasm, err := fs.ReadFile(have, name+".wasm")
	if err != nil {
		names, _ := fs.Glob(have, "*.wasm") // fails for a bad pattern only
		for i, file := range names {
			names[i] = strings.TrimSuffix(file, ".wasm")
		}
		return nil, fmt.Errorf("source %q: this host embeds no such plugin, but %s", source, listed(names))
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
	ctx, cancel := context.WithTimeout(ctx, p.Deadline(&abi.Route{}))
	defer cancel()
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
		if host, egress := strings.CutPrefix(g, abi.GrantEgress); egress {
			if p.Edge.Egress == nil || !p.Edge.Egress.Covers(host) {
				return fmt.Errorf("it needs to call %q, which the manifest does not allow: egress = %q", host, p.Spec.Egress)
			}
			continue
		}
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
	lease, err := r.Lease(ctx, true)
	if err != nil {
		return nil, fmt.Errorf("describe: %w", err)
	}
	defer lease.Release()
	frame, _, err := lease.Call(ctx, &call, describeFrame(), nil)
	if err != nil {
		return nil, fmt.Errorf("describe: %w", err)
	}
	var reply abi.Reply
	if err := abi.ReadReply(frame, &reply); err != nil {
		return nil, fmt.Errorf("describe: %w", err)
	}
	return abi.ReadDescription(reply.Body)
}

func describeFrame() []byte {
	var w abi.Writer
	(&abi.Request{Kind: abi.CallDescribe}).Append(&w)
	return w.Value()
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
		if abi.BodyMode(r.Body) == abi.UploadBody {
			return fmt.Errorf("route %s %s: body %q: Extism has no functions for files; want json, form, raw, any or nothing", r.Method, r.Pattern, r.Body)
		}
		prefix, _, _ := strings.Cut(r.Pattern, ":")
		desc.Families = append(desc.Families, abi.Family{Prefix: "/" + strings.Trim(prefix, "/"), Errors: abi.DefaultErrors()})
		desc.Routes = append(desc.Routes, abi.Route{
			Method: r.Method, Pattern: r.Pattern, Family: len(desc.Families) - 1,
			Write: !r.ReadOnly, Auth: r.Auth, Body: abi.BodyMode(r.Body), Deadline: time.Duration(r.Deadline),
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

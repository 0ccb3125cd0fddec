package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/user"
	"path/filepath"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host"
	"github.com/edgeset/edgeset/host/admin"
	"github.com/edgeset/edgeset/host/deploy"
	"github.com/edgeset/edgeset/host/edge"
	"github.com/edgeset/edgeset/host/engine"
	"github.com/edgeset/edgeset/host/extism"
	"github.com/edgeset/edgeset/host/rollout"
	"github.com/edgeset/edgeset/plugins"
	"github.com/edgeset/edgeset/store/badgerstore"
)

// A serving host is the devHost of a session: a host like that of serve, in this
// process, and an engine beside it that looks into plugins before they are served.
type serving struct {
	host   *host.Host
	engine *engine.Engine
	view   *view
	data   string
}

// devConfig is what the command line says of it.
type devConfig struct{ listen, admin, data string }

// newServing opens the host. It serves nothing yet but what its state has.
func newServing(ctx context.Context, v *view, c devConfig) (*serving, error) {
	cache := devCache(c.data)
	h, err := host.New(ctx, host.Config{
		Listen: c.listen, Admin: c.admin, Data: c.data, Cache: cache, Compiler: compileApart, Drain: devDrain,
		Embedded: plugins.Wasm(), Durability: badgerstore.Process,
		Log: v.logs(), Access: v.access(),
	})
	if err != nil {
		return nil, err
	}
	e, err := engine.New(engine.Config{CacheDir: cache, Compiler: compileApart, Logger: v.logs()})
	if err != nil {
		ended, end := context.WithCancel(ctx)
		end()
		return nil, errors.Join(err, h.Run(ended))
	}
	return &serving{host: h, engine: e, view: v, data: c.data}, nil
}

// devCache is the folder of compiled plugins: one for all sessions, so that the
// plugins that ship with edgeset are compiled once.
func devCache(data string) string {
	dir, err := os.UserCacheDir()
	if err == nil {
		dir = filepath.Join(dir, "edgeset")
		err = os.MkdirAll(dir, 0o700)
	}
	if err != nil {
		return host.CacheIn(data)
	}
	return dir
}

// run serves until ctx ends.
func (s *serving) run(ctx context.Context) error {
	err := s.host.Run(ctx)
	return errors.Join(err, s.engine.Close(context.WithoutCancel(ctx))) // nobody calls it any more
}

// guide implements devHost.
func (s *serving) guide() guide {
	g := guide{gateway: s.host.Addr().String(), admin: s.host.AdminAddr().String(), data: s.data}
	if os.Getenv(admin.TokenEnv) != "" {
		g.tokenEnv = admin.TokenEnv
	}
	return g
}

// inspect implements devHost.
func (s *serving) inspect(ctx context.Context, spec *deploy.PluginSpec, wasm []byte) (*abi.Description, error) {
	if wasm == nil {
		var err error
		if wasm, err = deploy.ReadSource(plugins.Wasm(), spec.Source); err != nil {
			return nil, err
		}
	}
	p := &edge.Plugin{Name: spec.Name, Config: spec.Config, Grants: spec.Grants, Log: s.view.logs()}
	v, err := s.engine.Load(ctx, wasm, engine.Options{
		Name: spec.Name, Modules: []engine.Module{edge.Module{}, extism.Module()}, MemoryLimit: int64(spec.Memory), Instances: 1,
		Init: func() any {
			call := new(edge.Call)
			call.Start(context.WithoutCancel(ctx), p, "start")
			return call
		},
	})
	if load := (*engine.LoadError)(nil); errors.As(err, &load) {
		return nil, load.Err
	} else if err != nil {
		return nil, err
	}
	ctx, cancel := context.WithTimeout(ctx, deploy.DefaultDeadline)
	defer cancel()
	if !v.HasExport(abi.ExportCall) {
		err = fmt.Errorf("it has no export %q: want a plugin made with abi/guest; or a manifest (--config) with its routes, if it is one for Extism", abi.ExportCall)
		return nil, errors.Join(err, v.Close(ctx))
	}
	d, err := deploy.Describe(ctx, v, p)
	if closed := v.Close(context.WithoutCancel(ctx)); err == nil { // what it does not end is of no use
		err = closed
	}
	return d, err
}

// swap implements devHost.
func (s *serving) swap(ctx context.Context, file, manifest string, wasm map[string][]byte) ([]swapped, error) {
	r := &rollout.Request{File: file, Manifest: manifest, Uploads: map[string]rollout.Upload{}}
	r.By = "edgeset dev"
	if u, err := user.Current(); err == nil {
		r.By = u.Username + " (edgeset dev)"
	}
	told := map[string]bool{}
	r.Progress = func(e rollout.Event) {
		if key := e.Stage + e.Deployment + e.Plugin; (e.Stage == "pull" || e.Stage == "migrate") && !told[key] {
			told[key] = true
			s.view.say(faint, e.Stage+" "+e.Plugin+" …")
		}
	}
	for source, b := range wasm {
		digest, err := s.host.Library().Put(b)
		if err != nil {
			return nil, err
		}
		r.Uploads[source] = rollout.Upload{Digest: string(digest)}
	}
	result, err := s.host.Controller().Deploy(ctx, r)
	if err != nil {
		return nil, err
	}
	var list []swapped
	for _, o := range result.Deployments {
		took, err := time.ParseDuration(o.Swap)
		if err != nil && o.Swap != "" {
			return nil, fmt.Errorf("swap of deployment %q: %w", o.Name, err)
		}
		list = append(list, swapped{deployment: o.Name, version: o.Version, changed: o.Action != "unchanged", took: took})
	}
	return list, nil
}

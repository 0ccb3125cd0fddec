package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/deploy"
)

// A devPlugin is a plugin that is built anew when its sources change.
type devPlugin struct {
	source string   // as the manifest names it
	path   string   // of the folder of its package, or of a file of Wasm
	folder bool     // it is a folder
	known  *sources // what the package is built from
	stale  bool     // it has changed since it was built last
	good   *devBuild
}

// A devBuild is what came of building a plugin.
type devBuild struct {
	wasm []byte
	desc *abi.Description
	took time.Duration // to build and to compile it
}

// newDevPlugin returns the plugin in a folder or in a file of Wasm.
func newDevPlugin(source, path string) (*devPlugin, error) {
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, err
	}
	info, err := os.Stat(path)
	if err != nil {
		return nil, fmt.Errorf("%w; want the folder of a plugin's package", err)
	}
	// As the Go tool will name it. A folder that has changed its place is another one.
	if real, err := filepath.EvalSymlinks(path); err == nil && info.IsDir() {
		path = real
	}
	return &devPlugin{source: source, path: path, folder: info.IsDir(), stale: true}, nil
}

// label is what to call it: as it calls itself, or as its folder or file is called.
func (p *devPlugin) label() string {
	if p.good != nil && p.good.desc != nil {
		return p.good.desc.Name
	}
	return strings.TrimSuffix(filepath.Base(p.path), ".wasm")
}

// concern tells whether a change of a path may change the plugin.
func (p *devPlugin) concern(path string) bool {
	if p.folder && p.known != nil {
		return p.known.concern(path)
	}
	return path == p.path
}

// list finds out what it is built from.
func (p *devPlugin) list(ctx context.Context) (err error) {
	if p.folder {
		p.known, err = listSources(ctx, p.path)
	}
	return err
}

// build makes the Wasm, in a folder for such, and returns it.
func (p *devPlugin) build(ctx context.Context, temp string) ([]byte, error) {
	file := p.path
	if p.folder {
		dir, err := os.MkdirTemp(temp, "build-")
		if err != nil {
			return nil, err
		}
		defer os.RemoveAll(dir)
		file = filepath.Join(dir, "plugin.wasm")
		if err := buildPlugin(ctx, p.path, file); err != nil {
			return nil, err
		}
	}
	return os.ReadFile(file)
}

// same tells whether the plugin has not changed by being built again.
func (p *devPlugin) same(wasm []byte) bool { return p.good != nil && bytes.Equal(p.good.wasm, wasm) }

// devDeployment is the name of the deployment that is made of plugins without a manifest.
const devDeployment = "dev"

// devSpec is a deployment of plugins for who develops them: for all hosts and web
// origins, each with the grants that it asks for, and with the plugin that checks
// credentials if one of them needs it.
func devSpec(plugins []*devPlugin, signing bool) deploy.Spec {
	spec := deploy.Spec{Name: devDeployment, Hosts: []string{"*"}, Origins: []string{"*"}}
	wanted, checked := false, false
	for _, p := range plugins {
		if p.good == nil {
			continue
		}
		d := p.good.desc
		wanted, checked = wanted || asks(d), checked || len(d.Credentials) > 0
		spec.Plugins = append(spec.Plugins, deploy.PluginSpec{
			Name: d.Name, Source: p.source, Grants: slices.Clone(d.Grants), Egress: []string{"*"},
		})
	}
	if signing && wanted && !checked {
		spec.Plugins = append(spec.Plugins, deploy.DefaultManifest(signingPlugin).Deployments[0].Plugins...)
	}
	return spec
}

// signingPlugin is the plugin that ships with edgeset and checks credentials.
const signingPlugin = "signing"

// routed is what a manifest says of a plugin that cannot say it itself.
func routed(spec *deploy.PluginSpec) *abi.Description {
	d := &abi.Description{Name: spec.Name}
	for _, r := range spec.Routes {
		d.Routes = append(d.Routes, abi.Route{Method: r.Method, Pattern: r.Pattern, Auth: r.Auth, Body: abi.BodyMode(r.Body), Write: !r.ReadOnly})
	}
	return d
}

// said are the lines of an error: of the Go tool, what it printed.
func said(err error) []string {
	var build *buildError
	if errors.As(err, &build) {
		return strings.Split(build.text, "\n")
	}
	return strings.Split(err.Error(), "\n")
}

package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"strings"

	"github.com/edgeset/edgeset/host"
	"github.com/edgeset/edgeset/host/deploy"
	"github.com/edgeset/edgeset/host/edge"
	"github.com/edgeset/edgeset/host/engine"
	"github.com/edgeset/edgeset/host/gateway"
	"github.com/edgeset/edgeset/host/secret"
	"github.com/edgeset/edgeset/plugins"
)

// checkOffline does what a host does with a manifest before it serves it, in this
// process: it finds, compiles, loads and describes the plugins and makes a table of all
// routes. What takes a host's state it cannot know: secrets have no meaning, signatures
// and migrations are left out.
func checkOffline(ctx context.Context, o operator, m *deploy.Manifest, dir, cache string, asJSON bool) (err error) {
	files, err := readFiles(m, dir)
	if err != nil {
		return err
	}
	if cache == "" {
		cache = host.CacheIn(*o.data)
	}
	if err := os.MkdirAll(cache, 0o700); err != nil {
		return err
	}
	log := slog.New(slog.DiscardHandler)
	e, err := engine.New(engine.Config{CacheDir: cache, Compiler: compileApart, Logger: log})
	if err != nil {
		return err
	}
	p := newProgress(os.Stderr)
	defer p.end()
	l := deploy.Loader{
		Engine: e, Embedded: plugins.Wasm(), Log: log, Pictures: edge.NewPictures(0, 0),
		Read: func(ctx context.Context, spec *deploy.PluginSpec) ([]byte, error) {
			if wasm, ok := files[spec.Source]; ok {
				return wasm, nil
			}
			found, err := readSource(ctx, spec.Source)
			return found.Wasm, err
		},
		Secrets: func(_ context.Context, _, owner string, names []string) (map[string]string, error) {
			value := ""
			if owner == secret.Outbox { // where none would be a fault
				value = strings.Repeat("0", 32)
			}
			values := map[string]string{}
			for _, name := range names {
				values[name] = value
			}
			return values, nil
		},
		Loading: func(deployment, plugin string) { p.show("loading "+deployment+"/"+plugin, "") },
	}
	list, err := l.LoadAll(ctx, m.Deployments)
	if err != nil {
		return errors.Join(err, e.Close(context.WithoutCancel(ctx)))
	}
	serving := make([]gateway.Serving, len(list))
	for i, d := range list {
		serving[i].Current = d
	}
	err = gateway.Check(serving, log)
	p.end()
	if err == nil {
		err = printChecked(list, asJSON)
	}
	for _, d := range list {
		err = errors.Join(err, d.Close(context.WithoutCancel(ctx)))
	}
	return errors.Join(err, e.Close(context.WithoutCancel(ctx)))
}

// A checked plugin is one that could serve.
type checked struct {
	Deployment string   `json:"deployment"`
	Plugin     string   `json:"plugin"`
	Version    string   `json:"version,omitempty"`
	Digest     string   `json:"digest"`
	Routes     int      `json:"routes"`
	Grants     []string `json:"grants,omitempty"` // that it needs
	Wants      []string `json:"wants,omitempty"`  // that it can do without
}

func printChecked(list []*deploy.Deployment, asJSON bool) error {
	found := []checked{}
	var rows [][]string
	for _, d := range list {
		for _, p := range d.Plugins {
			c := checked{d.Spec.Name, p.Spec.Name, p.Desc.Version, p.Digest, len(p.Desc.Routes), p.Desc.Grants, p.Desc.Wants}
			found = append(found, c)
			rows = append(rows, []string{c.Deployment, c.Plugin, c.Version, shortDigest(c.Digest), fmt.Sprint(c.Routes), strings.Join(c.Grants, ","), strings.Join(c.Wants, ",")})
		}
	}
	if asJSON {
		return printJSON(found)
	}
	return columns(os.Stdout, "DEPLOYMENT PLUGIN VERSION DIGEST ROUTES GRANTS WANTS", rows)
}

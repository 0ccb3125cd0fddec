package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/edgeset/edgeset/host"
	"github.com/edgeset/edgeset/host/deploy"
	"github.com/edgeset/edgeset/host/engine"
	"github.com/edgeset/edgeset/plugins"
)

const pluginUsage = `edgeset plugin works on plugins.

  edgeset plugin compile [SOURCE...]   compile plugins ahead of time, into the cache of a server

A SOURCE is the file of a plugin, "embedded:NAME" for one that edgeset embeds, or
"embedded" for all of these. Without any, what "edgeset serve" with the same
--config would load is compiled.
`

func plugin(args []string) error {
	if len(args) == 0 {
		fmt.Fprint(os.Stderr, pluginUsage)
		return errUsage
	}
	switch args[0] {
	case "compile":
		return pluginCompile(args[1:])
	case "help", "-h", "--help":
		fmt.Print(pluginUsage)
		return nil
	}
	fmt.Fprintf(os.Stderr, "edgeset plugin: there is no command %q\n\n%s", args[0], pluginUsage)
	return errUsage
}

// pluginCompile prints a line for each plugin: its digest, the bytes of its code,
// whether it was compiled or cached, the time that took, and its source.
func pluginCompile(args []string) error {
	f := newFlags("plugin compile", "compile plugins ahead of time: files, \"embedded:NAME\", \"embedded\", or those of the manifest")
	config := f.String("config", "", "manifest with the plugins (TOML); none: the plugins that ship with edgeset")
	data := f.String("data", "data", "folder of the state")
	cache := f.String("cache", "", "folder of compiled plugins; none: \"cache\" in the folder of the state")
	sources, err := f.parseWithArgs(args)
	if err != nil {
		return err
	}
	if *cache == "" {
		*cache = host.CacheIn(*data)
	}
	if len(sources) == 1 && sources[0] == stdinSource {
		return compileStdin(*cache)
	}
	if len(sources) == 0 {
		if sources, err = manifestSources(*config); err != nil {
			return err
		}
	}
	if err := os.MkdirAll(*cache, 0o700); err != nil {
		return err
	}
	e, err := engine.New(engine.Config{CacheDir: *cache, Compiler: compileApart, Logger: slog.New(slog.DiscardHandler)})
	if err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	var errs []error
	for _, source := range sources {
		if source == embeddedSource {
			for _, name := range plugins.Names {
				errs = append(errs, compileSource(ctx, e, embeddedSource+":"+name))
			}
			continue
		}
		errs = append(errs, compileSource(ctx, e, source))
	}
	return errors.Join(append(errs, e.Close(ctx))...)
}

// embeddedSource stands for all plugins that edgeset embeds.
const embeddedSource = "embedded"

func compileSource(ctx context.Context, e *engine.Engine, source string) error {
	wasm, err := deploy.ReadSource(plugins.Wasm(), source)
	if err != nil {
		return err
	}
	begin := time.Now()
	c, err := e.Compile(ctx, source, wasm)
	if err != nil {
		return err
	}
	how := "compiled"
	if c.Cached {
		how = "cached"
	}
	fmt.Printf("%s  %d  %s  %v  %s\n", c.Digest, c.Size, how, time.Since(begin).Round(time.Millisecond), source)
	return nil
}

// manifestSources lists the sources of all plugins of a manifest, each once.
func manifestSources(config string) (sources []string, err error) {
	m := deploy.DefaultManifest(plugins.Names...)
	if config != "" {
		if m, err = deploy.ReadManifest(config); err != nil {
			return nil, err
		}
	}
	seen := map[string]bool{}
	for _, d := range m.Deployments {
		for _, p := range d.Plugins {
			if !seen[p.Source] {
				seen[p.Source] = true
				sources = append(sources, p.Source)
			}
		}
	}
	return sources, nil
}

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

  edgeset plugin new NAME                write a plugin to start from
  edgeset plugin compile [SOURCE...]     compile plugins ahead of time, into the cache of a server
  edgeset plugin inspect SOURCE          tell what a plugin serves, and what it asks for
  edgeset plugin push SOURCE REFERENCE   put a plugin into an OCI registry; prints where it is, with its digest
  edgeset plugin pull REFERENCE          fetch a plugin from an OCI registry into a file
  edgeset plugin keygen FILE             make a key to sign plugins with: FILE, and FILE.pub for those who trust it
  edgeset plugin sign FILE...            sign plugins: FILE.minisig beside each of them

A SOURCE is the file of a plugin, "embedded:NAME" for one that edgeset embeds, or a
REFERENCE to one in a registry, "oci://HOST[:PORT]/REPOSITORY[:TAG][@sha256:DIGEST]".
"embedded" is all that edgeset embeds, to be compiled; without any SOURCE, what
"edgeset serve" with the same --config would load is compiled.

"edgeset plugin COMMAND --help" tells the flags of a command.
`

func plugin(args []string) error {
	if len(args) == 0 {
		fmt.Fprint(os.Stderr, pluginUsage)
		return errUsage
	}
	switch args[0] {
	case "compile":
		return pluginCompile(args[1:])
	case "inspect":
		return pluginInspect(args[1:])
	case "push":
		return pluginPush(args[1:])
	case "pull":
		return pluginPull(args[1:])
	case "keygen":
		return pluginKeygen(args[1:])
	case "sign":
		return pluginSign(args[1:])
	case "new":
		return pluginNew(args[1:])
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
	f := newFlags("plugin compile", "compile plugins ahead of time: files, \"embedded:NAME\", \"embedded\", \"oci://…\", or those of the manifest")
	config := f.String("config", "", "manifest with the plugins (TOML); none: the plugins that ship with edgeset")
	data := f.String("data", "data", "folder of the state")
	cache := f.String("cache", "", "folder of compiled plugins; none: \"cache\" in the folder of the state")
	sources, err := f.parseAnywhere(args)
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
	p, err := readSource(ctx, source)
	if err != nil {
		return err
	}
	begin := time.Now()
	c, err := e.Compile(ctx, source, p.Wasm)
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

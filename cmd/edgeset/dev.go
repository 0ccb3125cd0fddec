package main

import (
	"context"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"golang.org/x/sync/errgroup"
)

// devDrain is how long requests that run may take when the session ends.
const devDrain = 5 * time.Second

// dev serves plugins while their author works on them: it builds them, and builds and
// swaps them again when their sources change.
func dev(args []string) error {
	f := newFlags("dev", "serve plugins while you write them: edgeset dev [FLAGS] [DIR...]; each DIR is the package of a plugin in Go, none: this folder")
	config := f.String("config", "", "manifest of the deployments (TOML), in which the source of a plugin can be a folder; none: one deployment of the DIRs, with all that they ask for")
	listen := f.String("listen", "127.0.0.1:8080", "address of the gateway")
	adminAt := f.String("admin", "127.0.0.1:8081", "address of the admin API")
	data := f.String("data", "", "folder of the state; none: one that is removed at the end")
	noSigning := f.Bool("no-signing", false, "do not add the plugin signing where a route wants a credential")
	dirs, err := f.parseWithArgs(args)
	if err != nil {
		return err
	}
	s := &session{view: newView(os.Stdout), signing: !*noSigning}
	if s.plugins, s.config, err = devSources(dirs, *config); err != nil {
		return err
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT, syscall.SIGHUP)
	defer stop()
	context.AfterFunc(ctx, stop) // a second signal ends the process where it stands

	// What is built, and the state, unless it is to stay.
	if s.temp, err = os.MkdirTemp("", "edgeset-dev-"); err != nil {
		return err
	}
	defer os.RemoveAll(s.temp)
	kept := *data != ""
	if !kept {
		*data = filepath.Join(s.temp, "data")
	} else if *data, err = filepath.Abs(*data); err != nil {
		return err
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	if s.watcher, err = newWatcher(ctx, watchQuiet); err != nil {
		return err
	}
	h, err := newServing(ctx, s.view, devConfig{listen: *listen, admin: *adminAt, data: *data})
	if err != nil {
		return err
	}
	defer s.view.flush()
	s.host = h
	where := "the state is gone at the end"
	if kept {
		where = "the state is kept in " + shortPath(*data)
	}
	g := h.guide()
	s.view.say(bold, fmt.Sprintf("serving on http://%s, admin on http://%s; %s; Ctrl-C ends it", g.gateway, g.admin, where))

	// The host ends when nothing is swapped any more; without it there is nothing to
	// build for.
	parts, ctx := errgroup.WithContext(ctx)
	serving, end := context.WithCancel(context.WithoutCancel(ctx))
	parts.Go(func() error {
		defer end()
		s.run(ctx)
		return nil
	})
	parts.Go(func() error { return h.run(serving) })
	return parts.Wait()
}

// devSources are the plugins in folders, or else the file of the manifest.
func devSources(dirs []string, config string) (plugins []*devPlugin, file string, err error) {
	if config != "" {
		if len(dirs) > 0 {
			return nil, "", misused("dev: %q: with --config the manifest names the folders: as the source of a plugin", dirs[0])
		}
		if file, err = filepath.Abs(config); err == nil {
			_, err = os.Stat(file)
		}
		if err != nil {
			return nil, "", fmt.Errorf("dev: --config: %w", err)
		}
		return nil, file, nil
	}
	if len(dirs) == 0 {
		dirs = []string{"."}
	}
	seen := map[string]bool{}
	for _, dir := range dirs {
		if strings.HasPrefix(dir, "-") {
			return nil, "", misused("dev: %q: flags stand before the folders", dir)
		}
		p, err := newDevPlugin(dir, dir)
		switch {
		case err != nil:
			return nil, "", fmt.Errorf("dev: %w", err)
		case seen[p.path]:
			return nil, "", misused("dev: %q: the folder is there twice", dir)
		}
		seen[p.path] = true
		p.source = p.path
		plugins = append(plugins, p)
	}
	return plugins, "", nil
}

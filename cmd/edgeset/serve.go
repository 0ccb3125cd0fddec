package main

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/netip"
	"os"
	"os/signal"
	"runtime/debug"
	"strings"
	"syscall"
	"time"

	"github.com/edgeset/edgeset/host"
	"github.com/edgeset/edgeset/host/artifact"
	"github.com/edgeset/edgeset/host/deploy"
	"github.com/edgeset/edgeset/host/outbox/mail"
	"github.com/edgeset/edgeset/plugins"
	"github.com/edgeset/edgeset/store/badgerstore"
)

func serve(args []string) error {
	f := newFlags("serve", "serve the deployments of a manifest, or the default one")
	config := f.String("config", "", "manifest of the deployments (TOML); none: the plugins that ship with edgeset, on all hosts")
	listen := f.String("listen", "127.0.0.1:8080", "address of the gateway")
	admin := f.String("admin", "127.0.0.1:8081", "address of the admin API")
	data := f.String("data", "data", "folder of the state")
	keys := f.String("plugin-keys", "", "file of minisign public keys, by one of which each plugin must be signed that edgeset does not embed; none: none has to be")
	cache := f.String("cache", "", "folder of compiled plugins, trusted like the binary itself; none: \"cache\" in the folder of the state")
	durability := f.String("durability", "power", "what an acknowledged write survives: \"power\" loss, or the end of the \"process\"")
	drain := f.Duration("drain", 20*time.Second, "how long requests that run may take after SIGTERM")
	accessLog := f.Bool("access-log", true, "log every request")
	logFormat := f.String("log-format", "text", "\"text\" or \"json\"")
	logLevel := f.String("log-level", "info", "\"debug\", \"info\", \"warn\" or \"error\"")
	proxies := f.String("trusted-proxies", "", "networks whose X-Forwarded-For and X-Forwarded-Proto are believed, such as 10.0.0.0/8,::1/128")
	maxConns := f.Int("max-conns", 65536, "connections at a time")
	maxConnsIP := f.Int("max-conns-per-ip", 0, "connections of one address at a time; 0: no limit")
	smtp := f.String("smtp-url", "", "server that takes mail, smtp://[user:password@]host[:port] or smtps://…, for deployments whose manifest names none; what has a password in it is better said by the environment")
	from := f.String("mail-from", "", "from whom that mail is, \"Name <address@example.com>\"; none: the user of --smtp-url if that is an address, or else no-reply at the server")
	if err := f.parse(args); err != nil {
		return err
	}
	log, err := logger(*logFormat, *logLevel)
	if err != nil {
		return misused("serve: %v", err)
	}
	c := host.Config{
		Listen: *listen, Admin: *admin, Data: *data, Cache: *cache, Compiler: compileApart, Drain: *drain, Embedded: plugins.Wasm(),
		MaxConns: *maxConns, MaxConnsIP: *maxConnsIP, Log: log,
	}
	if *accessLog {
		c.Access = log
	}
	if c.Durability, err = badgerstore.ParseDurability(*durability); err != nil {
		return misused("serve: --durability: %v", err)
	}
	if c.Proxies, err = networks(*proxies); err != nil {
		return misused("serve: --trusted-proxies: %v", err)
	}
	if c.Mail, err = mailConfig(*smtp, *from); err != nil {
		return misused("serve: %v", err)
	}
	if *keys != "" {
		if c.Keys, err = artifact.ReadKeys(*keys); err != nil {
			return err
		}
	}
	c.Manifest = deploy.DefaultManifest(plugins.Names...)
	if *config != "" {
		c.File = *config
		if c.Manifest, err = deploy.ReadManifest(*config); err != nil {
			return err
		}
	}
	if os.Getenv("GOGC") == "" {
		debug.SetGCPercent(gcPercent)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	hangups := make(chan os.Signal, 1)
	signal.Notify(hangups, syscall.SIGHUP) // from now on: it would end the process
	defer signal.Stop(hangups)
	h, err := host.New(ctx, c)
	if err != nil {
		return err
	}
	go reload(ctx, h, hangups, log)
	return h.Run(ctx)
}

// mailConfig says how mail goes of deployments that do not say; nil: not at all.
func mailConfig(server, from string) (*mail.Config, error) {
	if server == "" {
		if from != "" {
			return nil, errors.New("--mail-from: want --smtp-url as well")
		}
		return nil, nil
	}
	c, err := mail.ParseServer(server)
	switch {
	case err != nil && misplaced(server):
		return nil, errors.New("--smtp-url: want smtp://[user:password@]host[:port] or smtps://…, with what is special in user and password percent-encoded, such as '/' as %2F")
	case err != nil:
		return nil, fmt.Errorf("--smtp-url: %w", err)
	}
	if c.From = from; from == "" {
		c.From = deploy.DefaultFrom(c)
	}
	if err := deploy.CheckFrom(c.From); err != nil {
		return nil, fmt.Errorf("--mail-from: %w", err)
	}
	return &c, nil
}

// misplaced tells whether what stands before an @ has come to lie in a part of a URL that
// messages may repeat, and a password with it.
func misplaced(server string) bool {
	_, rest, ok := strings.Cut(server, "://")
	if !ok {
		rest = "/" + server
	}
	at := strings.LastIndexByte(rest, '@')
	return at >= 0 && strings.ContainsAny(rest[:at], "/?#")
}

// reload has the manifest read again whenever SIGHUP comes. If it cannot be served, what
// serves goes on.
func reload(ctx context.Context, h *host.Host, hangups <-chan os.Signal, log *slog.Logger) {
	for {
		select {
		case <-ctx.Done():
			return
		case <-hangups:
			if err := h.Reload(ctx); err != nil {
				log.Warn("the manifest was not reloaded", "reason", err.Error())
			}
		}
	}
}

// gcPercent is how much garbage may come up before it is collected, in percent of what
// is in use. That counts the store's memtables as a whole, of which only what is filled
// takes memory: with Go's 100 a server that has little else in use keeps some 100 MB of
// garbage, which 5,000 clients leave behind when they connect. There are no pointers in
// memtables, so it costs next to nothing to collect more often: no difference was seen
// in requests over HTTP.
const gcPercent = 50

// logger makes the log, on stderr.
func logger(format, level string) (*slog.Logger, error) {
	var opts slog.HandlerOptions
	var l slog.Level
	if err := l.UnmarshalText([]byte(level)); err != nil {
		return nil, fmt.Errorf("--log-level: %q: want debug, info, warn or error", level)
	}
	opts.Level = l
	switch format {
	case "text":
		return slog.New(slog.NewTextHandler(os.Stderr, &opts)), nil
	case "json":
		return slog.New(slog.NewJSONHandler(os.Stderr, &opts)), nil
	}
	return nil, fmt.Errorf("--log-format: %q: want text or json", format)
}

func networks(list string) (nets []netip.Prefix, err error) {
	for s := range strings.SplitSeq(list, ",") {
		if s = strings.TrimSpace(s); s == "" {
			continue
		}
		n, err := netip.ParsePrefix(s)
		if err != nil {
			return nil, err
		}
		nets = append(nets, n)
	}
	return nets, nil
}

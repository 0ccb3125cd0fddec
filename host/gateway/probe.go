package gateway

import (
	"context"
	"errors"
	"fmt"
	"net"
	"strings"
	"unicode"

	"github.com/edgeset/edgeset/host/deploy"
	"github.com/valyala/fasthttp"
)

// Probe asks a version that does not serve yet what its manifest says that it answers.
// The version works on the deployment's state as it is, and a probe only reads, so that
// nobody notices.
func Probe(ctx context.Context, c Config, d *deploy.Deployment) error {
	if len(d.Spec.Probes) == 0 {
		return nil
	}
	c.Access = nil
	g := New(c)
	defer g.lives.close(ctx, "probed")
	defer g.cancel()
	alone := *d
	alone.Spec.Hosts = []string{"*"}
	if err := g.Swap([]Serving{{Current: &alone}}); err != nil {
		return err
	}
	var errs []error
	for _, p := range d.Spec.Probes {
		if err := g.probe(strings.TrimPrefix(d.Spec.Hosts[0], "*."), p); err != nil {
			errs = append(errs, fmt.Errorf("probe %q: %w", p.Path, err))
		}
	}
	return errors.Join(errs...)
}

// maxShown bounds what is shown of an answer that was not expected.
const maxShown = 300

// shown is the beginning of an answer, fit for a terminal.
func shown(body []byte) string {
	return strings.Map(func(r rune) rune {
		if !unicode.IsPrint(r) {
			return unicode.ReplacementChar
		}
		return r
	}, string(body[:min(len(body), maxShown)]))
}

func (g *Gateway) probe(host string, p deploy.ProbeSpec) error {
	switch {
	case host == "*":
		host = "localhost"
	case strings.Contains(host, ":"):
		host = "[" + host + "]"
	}
	ctx := new(fasthttp.RequestCtx)
	ctx.Init(new(fasthttp.Request), &net.TCPAddr{IP: net.IPv4(127, 0, 0, 1)}, nil)
	ctx.Request.SetRequestURI(p.Path)
	ctx.Request.Header.SetHost(host)
	if _, r := g.match(&ctx.Request.Header); r != nil && (r.Write || r.Stream) {
		return fmt.Errorf("the route GET %s writes: want one that only reads", r.Pattern)
	}
	g.Handle(ctx)
	body := ctx.Response.Body()
	switch status := ctx.Response.StatusCode(); {
	case status != p.Status:
		return fmt.Errorf("answered with status %d, want %d: %s", status, p.Status, shown(body))
	case !strings.Contains(string(body), p.Contains):
		return fmt.Errorf("the answer does not contain %q: %s", p.Contains, shown(body))
	}
	return nil
}

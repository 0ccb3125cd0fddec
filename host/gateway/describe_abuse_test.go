package gateway

import (
	"io"
	"log/slog"
	"slices"
	"strings"
	"testing"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/deploy"
	"github.com/edgeset/edgeset/host/edge"
)

func TestNamesThatAreNotFitForLogsAndMetricsAreRefused(t *testing.T) {
	chat, trial := load(t, chat()), load(t, trial())
	for _, name := range []string{"\xff", "a\x1b[31m", "a\nb", "a\x00", "\u009b2J", "\u202eabc"} {
		for what, d := range map[string]*deploy.Deployment{
			"an event": altered(chat, "chat", func(p *deploy.Plugin) {
				p.Desc.Sockets[0].Events = slices.Clone(p.Desc.Sockets[0].Events)
				p.Desc.Sockets[0].Events[0].Name = name
			}),
			"a socket": altered(chat, "chat", func(p *deploy.Plugin) { p.Desc.Sockets[0].Path = "/" + name + "/" }),
			"a route":  altered(trial, "trial", func(p *deploy.Plugin) { p.Desc.Routes[0].Pattern = "/" + name }),
			"a credential": altered(trial, "guard", func(p *deploy.Plugin) {
				p.Desc.Credentials = append(slices.Clone(p.Desc.Credentials), abi.CredentialSource{Kind: name, Header: "X"})
			}),
		} {
			err := check(t, d)
			if err == nil || strings.Contains(err.Error(), name) {
				t.Errorf("%s called %q: %v", what, name, err)
			}
		}
	}
}

// check is Check without its panics.
func check(t *testing.T, d *deploy.Deployment) (err error) {
	defer func() {
		if r := recover(); r != nil {
			t.Errorf("panic: %v", r)
		}
	}()
	return Check([]Serving{{Current: d}}, slog.New(slog.DiscardHandler))
}

// FuzzDescription has a table built of whatever a plugin says of itself. Nothing of that
// may cost the process, nor the metrics of others.
func FuzzDescription(f *testing.F) {
	seed := abi.Description{ABI: abi.Version, Name: "seed",
		Families: []abi.Family{{Prefix: "/", Errors: abi.DefaultErrors()}, {Prefix: "/s", Errors: abi.DefaultErrors(), Codes: [][2]string{{"busy", "full"}}}},
		Routes: []abi.Route{
			{Method: "GET", Pattern: "/s/:a/b", ETag: true}, {Method: "POST", Pattern: "/s/*rest", Family: 1, Body: abi.UploadBody, MaxBody: 9, Write: true},
			{Method: "GET", Pattern: "/s/stream", Stream: true, Write: true, Auth: []string{"token"}}, {Method: "PUT", Pattern: "/s", Auth: []string{"operator"}},
		},
		Sockets: []abi.Socket{{Path: "/s/socket/", Events: []abi.SocketEvent{{Name: "join", Auth: []string{"token"}, Field: "token"}, {Name: "leave"}}}},
	}
	var w abi.Writer
	seed.Append(&w)
	f.Add([]byte(w.Value()))
	f.Fuzz(func(t *testing.T, text []byte) {
		desc, err := abi.ReadDescription(text)
		if err != nil {
			return
		}
		desc.Credentials = append(desc.Credentials, abi.CredentialSource{Kind: "token", Header: "Authorization"})
		d := &deploy.Deployment{Spec: deploy.Spec{Name: "test", Hosts: []string{"*"}}, Plugins: []*deploy.Plugin{
			{Spec: deploy.PluginSpec{Name: desc.Name, Mount: "/at"}, Desc: desc, Edge: &edge.Plugin{Name: desc.Name}},
		}}
		g := New(Config{Log: slog.New(slog.DiscardHandler)})
		defer g.cancel()
		defer g.lives.close(g.ctx, "the end")
		if err := g.Set([]*deploy.Deployment{d}); err != nil {
			return
		}
		if err := g.WritePrometheus(io.Discard); err != nil {
			t.Fatal(err)
		}
		site := g.table.Load().any.site
		for _, r := range site.routes() {
			var params [maxParams][]byte
			if n, _ := site.root.find([]byte(r.Pattern), &params); n != nil {
				site.family([]byte(r.Pattern))
				n.allow()
			}
		}
	})
}

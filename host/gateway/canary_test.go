package gateway

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/deploy"
)

// canary serves a deployment with a canary that all clients get.
func (r *rig) canary(current, canary *deploy.Deployment) {
	r.t.Helper()
	if err := r.gateway.Swap([]Serving{{Current: current, Canary: canary, Share: 1}}); err != nil {
		r.t.Fatal(err)
	}
}

// routeOf returns a route of a plugin's description.
func routeOf(p *deploy.Plugin, method, pattern string) *abi.Route {
	i := slices.IndexFunc(p.Desc.Routes, func(r abi.Route) bool { return r.Method == method && r.Pattern == pattern })
	return &p.Desc.Routes[i]
}

func TestARouteOfACanaryThatAsksForNoCredentialIsToldOfNoCaller(t *testing.T) {
	d := load(t, trial())
	r := serve(t, Config{}, d)
	r.do("POST /g/grant/ann", "").wants(204)
	r.canary(d, altered(d, "trial", func(p *deploy.Plugin) { routeOf(p, "GET", "/t/private").Auth = nil }))
	got := r.do("GET /t/private", "", "Authorization", "Bearer ann").wants(200)
	if account := got.field("account"); account != "" {
		t.Errorf("the plugin is told of %q, whom it has not asked for", account)
	}
}

func TestASignatureThatACanaryDoesNotAskForIsNotUsedUp(t *testing.T) {
	d := load(t, trial())
	r := serve(t, Config{}, d)
	r.canary(d, altered(d, "trial", func(p *deploy.Plugin) {
		route := routeOf(p, "GET", "/t/signed")
		route.Auth, route.Optional = []string{"token"}, true
	}))
	for range 2 { // a word that is checked is used up
		got := r.do("GET /t/signed", "", "X-Signed", "once").wants(200)
		if proof := got.field("proof"); proof != "" {
			t.Errorf("proof %q of a request to a route that takes tokens", proof)
		}
	}
}

func TestAnEventThatOnlyTheCanaryTakesIsAnsweredByIt(t *testing.T) {
	d := load(t, chat())
	before := altered(d, "chat", func(p *deploy.Plugin) {
		s := &p.Desc.Sockets[0]
		s.Events = slices.DeleteFunc(slices.Clone(s.Events), func(e abi.SocketEvent) bool { return e.Name == "greet" })
	})
	without := altered(d, "chat", func(p *deploy.Plugin) { p.Desc.Sockets = nil })
	for name, current := range map[string]*deploy.Deployment{"the event is new": before, "the socket is new": without} {
		t.Run(name, func(t *testing.T) {
			r := serve(t, Config{}, current)
			r.canary(current, d)
			c := r.connect("/chat/socket/")
			c.silent() // but for the answer to a greeting
			eventually(t, "the canary's statistics have the event", func() bool { stats, _ := r.gateway.Stats(d); return stats.Requests > 0 })
		})
	}
}

func TestAPollThatWaitsHoldsNoVersionUp(t *testing.T) {
	d := load(t, chat())
	r := serve(t, Config{}, d)
	const path = "/chat/socket/?EIO=4&transport=polling"
	open := r.do("GET "+path, "").wants(200).body
	_, id, _ := strings.Cut(open, `"sid":"`)
	id, _, _ = strings.Cut(id, `"`)
	r.do("POST "+path+"&sid="+id, "40").wants(200)
	r.do("GET "+path+"&sid="+id, "").wants(200)
	polled := make(chan reply, 1)
	go func() {
		got, err := r.try("GET "+path+"&sid="+id, "")
		if err != nil {
			t.Error(err)
		}
		polled <- got
	}()
	running := r.gateway.running.Load
	eventually(t, "the poll waits", func() bool { return running() == 1 })
	next := same(d)
	if err := r.gateway.Set([]*deploy.Deployment{next}); err != nil {
		t.Fatal(err)
	}
	began := time.Now()
	if err := r.gateway.Drain(t.Context(), d); err != nil {
		t.Fatal(err)
	}
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the version before is kept for %v", took)
	}
	// It is answered by the next one.
	r.do("POST "+path+"&sid="+id, `42["greet","ann"]`).wants(200)
	if got := (<-polled).wants(200); !strings.Contains(got.body, "greeted ann") {
		t.Errorf("the poll brings %q", got.body)
	}
}

func TestHowLongAPollWaitsIsNotHowLongAVersionTakes(t *testing.T) {
	d := load(t, chat())
	r := serve(t, Config{}, d)
	c := r.connect("/chat/socket/")
	c.silent()
	r.do("GET /chat/socket/?EIO=4&transport=polling", "").wants(200)
	eventually(t, "the event is counted", func() bool { stats, _ := r.gateway.Stats(d); return stats.Requests > 0 })
	if stats, _ := r.gateway.Stats(d); stats.Requests != 1 {
		t.Errorf("%d requests are counted: want the event alone", stats.Requests)
	}
}

func TestACredentialThatRestsOnAnotherPluginIsForgottenBesideACanary(t *testing.T) {
	d := load(t, trial())
	r := serve(t, Config{}, d)
	canary := altered(d, "guard", func(p *deploy.Plugin) { p.Spec.Grants = []string{"kv", "read:trial"} })
	if err := r.gateway.Swap([]Serving{{Current: d, Canary: canary}}); err != nil { // nobody gets it yet
		t.Fatal(err)
	}
	cache := &r.gateway.table.Load().byName("test").canary.authenticator.cache
	before := cache.generation()
	r.do("PUT /t/kv/x", "1").wants(204)
	if cache.generation() == before {
		t.Error("the canary's cache is not told of a key that its answers may rest on")
	}
	bare := altered(d, "guard", func(p *deploy.Plugin) { p.Desc.Credentials = nil })
	bare = altered(bare, "trial", func(p *deploy.Plugin) {
		for i := range p.Desc.Routes {
			if p.Desc.Routes[i].Auth != nil && !slices.Contains(p.Desc.Routes[i].Auth, operatorKind) {
				p.Desc.Routes[i].Auth = nil
			}
		}
	})
	bare = altered(bare, "guard", func(p *deploy.Plugin) {
		for i := range p.Desc.Routes {
			if !slices.Contains(p.Desc.Routes[i].Auth, operatorKind) {
				p.Desc.Routes[i].Auth = nil
			}
		}
	})
	// A version that checks nothing, beside one that does.
	if err := r.gateway.Swap([]Serving{{Current: bare, Canary: canary}}); err != nil {
		t.Fatal(err)
	}
	before = cache.generation()
	r.do("PUT /t/kv/x", "2").wants(204)
	if cache.generation() == before {
		t.Error("the canary's cache is not told of what a version writes that checks no credentials")
	}
}

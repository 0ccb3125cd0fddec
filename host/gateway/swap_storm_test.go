package gateway

import (
	"bufio"
	"context"
	"flag"
	"io"
	"math/rand/v2"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/edgeset/edgeset/host/deploy"
)

var stormTime = flag.Duration("storm", time.Second, "how long clients of all kinds meet swaps and canaries")

// TestSwapsAmidClientsOfAllKinds swaps versions and canaries while clients ask for all
// that there is, break off, and misbehave. None of them is answered with an error that
// is not its own, and no version is held for ever.
func TestSwapsAmidClientsOfAllKinds(t *testing.T) {
	spec := trial()
	spec.Plugins = append(spec.Plugins, chat().Plugins[1])
	d := load(t, spec)
	r := serve(t, Config{}, d)
	r.do("POST /g/grant/ann", "").wants(204)
	r.do("POST /g/grant/bob", "").wants(204)

	var clients, drains sync.WaitGroup
	stop := make(chan struct{})
	client := func(run func(n int)) {
		clients.Go(func() {
			for n := 0; ; n++ {
				select {
				case <-stop:
					return
				default:
					run(n)
				}
			}
		})
	}
	for line, want := range map[string]int{
		"GET /t/echo/a/b": 200, "HEAD /t/echo/a/b": 200, "OPTIONS /t/echo/a/b": 204, "PATCH /t/echo": 405, "GET /x": 404, "GET /t//../t/count": 200,
		"GET /t/trap": 500, "GET /t/private": 401, "POST /t/count": 200, "POST /t/echo": 200, "POST /g/grant/eve": 204, "GET /chat/socket/?EIO=4&transport=polling": 200,
	} {
		client(func(int) {
			got, err := r.try(line, "")
			if err != nil || got.status != want {
				t.Errorf("%s: %d %q, %v", line, got.status, got.body, err)
			}
		})
	}
	client(func(n int) {
		who := []string{"ann", "bob"}[n%2]
		if got, err := r.try("GET /t/private", "", "Authorization", "Bearer "+who); err != nil || got.status != 200 || got.field("account") != who {
			t.Errorf("%s: %+v, %v", who, got, err)
		}
	})
	client(func(int) { // the plugin's route for operators
		if got := r.operate("POST", "trial", "/t/operated", ""); got.status != 200 {
			t.Errorf("%+v", got)
		}
	})
	client(func(int) { // a body that takes its time
		r.converse(t, "POST /t/raw HTTP/1.1\r\nHost: x\r\nContent-Length: 40000\r\n\r\n", strings.Repeat("x", 20000), strings.Repeat("y", 20000), 200)
	})
	client(func(int) { // one that is too large, of a client that asks first
		r.converse(t, "POST /t/echo HTTP/1.1\r\nHost: x\r\nExpect: 100-continue\r\nContent-Length: 90000\r\n\r\n", "", "", 413)
	})
	client(func(n int) { // those who go away
		requests := []string{"GET /t/sleep/300 HTTP/1.1\r\nHost: x\r\n\r\n", "POST /t/raw HTTP/1.1\r\nHost: x\r\nContent-Length: 90000\r\n\r\nxyz", "GET /chat/x/stream?token=ann HTTP/1.1\r\nHost: x\r\n\r\n"}
		c, err := net.Dial("tcp", r.addr)
		if err != nil {
			t.Error(err)
			return
		}
		defer c.Close()
		_, _ = io.WriteString(c, requests[n%len(requests)])
		time.Sleep(time.Duration(rand.IntN(20)) * time.Millisecond)
	})
	socket := r.connect("/chat/socket/")
	client(func(int) { socket.silent() })

	current, canary := d, (*deploy.Deployment)(nil)
	var sites []*site
	drain := func(old *deploy.Deployment, s *site) {
		sites = append(sites, s)
		drains.Go(func() {
			ctx, cancel := context.WithTimeout(context.Background(), 20*time.Second)
			defer cancel()
			if err := r.gateway.Drain(ctx, old); err != nil {
				t.Error(err)
			}
		})
	}
	swaps := 0
	for end := time.Now().Add(*stormTime); time.Now().Before(end); swaps++ {
		now := r.gateway.table.Load().byName("test")
		next := Serving{Current: current, Canary: canary, Share: rand.Float64()}
		switch {
		case canary == nil && rand.IntN(2) == 0:
			next.Current = same(current)
			next.Current.Version = current.Version + swaps + 1
		case canary == nil:
			next.Canary = same(current)
			next.Canary.Version = current.Version + swaps + 1
		case rand.IntN(3) == 0:
			next.Current, next.Canary = canary, nil
		case rand.IntN(2) == 0:
			next.Canary = nil
		}
		if err := r.gateway.Swap([]Serving{next}); err != nil {
			t.Fatal(err)
		}
		for _, s := range now.sites() {
			if s.deployment != next.Current && s.deployment != next.Canary {
				drain(s.deployment, s)
			}
		}
		current, canary = next.Current, next.Canary
		time.Sleep(time.Duration(rand.IntN(4)) * time.Millisecond)
	}
	close(stop)
	clients.Wait()
	drains.Wait()
	for _, s := range sites {
		if n := s.refs.Load(); n != retired {
			t.Errorf("version %d is held by %d requests that are over", s.deployment.Version, n&^retired)
		}
	}
	eventually(t, "nobody uses what serves", func() bool { return r.gateway.table.Load().byName("test").refs.Load() == 0 })
	t.Logf("%d swaps, %d versions came to their end", swaps, len(sites))
}

// converse sends a request in pieces, and checks the status.
func (r *rig) converse(t *testing.T, head, first, rest string, want int) {
	c, err := net.Dial("tcp", r.addr)
	if err != nil {
		t.Error(err)
		return
	}
	defer c.Close()
	_ = c.SetDeadline(time.Now().Add(20 * time.Second))
	_, _ = io.WriteString(c, head+first)
	time.Sleep(10 * time.Millisecond)
	_, _ = io.WriteString(c, rest)
	resp, err := http.ReadResponse(bufio.NewReader(c), nil)
	if err != nil {
		t.Error(err)
		return
	}
	defer resp.Body.Close()
	if b, err := io.ReadAll(resp.Body); err != nil || resp.StatusCode != want {
		t.Errorf("%s: %d %q, %v", head[:20], resp.StatusCode, b, err)
	}
}

package wasmtest_test

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/valyala/fasthttp"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/deploy"
	"github.com/edgeset/edgeset/host/edge"
	"github.com/edgeset/edgeset/host/engine"
	"github.com/edgeset/edgeset/host/gateway"
	"github.com/edgeset/edgeset/host/wasmtest"
	"github.com/edgeset/edgeset/plugins"
	"github.com/edgeset/edgeset/store/badgerstore"
)

func TestAMixedAnswerIsSeen(t *testing.T) {
	for _, c := range []struct {
		header, body, mark string
		mixed              bool
	}{
		{"", "", "", false},
		{"", "anything", "", false},
		{"one", "", "one", false},
		{"one", `{"build":"build=one/first","build_last":"build=one/last"}`, "one", false},
		{"", `{"build":"build=one/first","m":"no (build=one/message)","build_last":"build=one/last"}`, "one", false},
		{"two", `{"build":"build=one/first","build_last":"build=one/last"}`, "two", true},
		{"", `{"build":"build=one/first","build_last":"build=two/last"}`, "one", true},
		{"", `{"build":"build=one/first","m":"no (build=two/message)","build_last":"build=one/last"}`, "one", true},
		{"one", `{"build":"build=one/first","half":`, "one", true},
		{"one", `of an answer","build_last":"build=one/last"}`, "one", true},
		{"one,two", "", "one", true},
	} {
		if mark, mixed := wasmtest.MarkOf(c.header, []byte(c.body)); mark != c.mark || mixed != c.mixed {
			t.Errorf("%q, %s: %q, %v; want %q, %v", c.header, c.body, mark, mixed, c.mark, c.mixed)
		}
	}
}

// site is a gateway that serves the plugins of one mark or another.
type site struct {
	t       *testing.T
	gateway *gateway.Gateway
	engine  *engine.Engine
	url     string
	token   string
}

func newSite(t *testing.T) *site {
	t.Helper()
	quiet := slog.New(slog.DiscardHandler)
	state, err := badgerstore.Open(badgerstore.Options{Dir: t.TempDir(), Durability: badgerstore.Process, Logger: quiet})
	must(t, err)
	e, err := engine.New(engine.Config{CacheDir: wasmtest.CacheDir(t), Logger: quiet})
	must(t, err)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	s := &site{t: t, engine: e, url: "http://" + l.Addr().String(), gateway: gateway.New(gateway.Config{Store: state, Log: quiet})}
	served := make(chan error, 1)
	go func() { served <- s.gateway.Serve(l) }()
	t.Cleanup(func() {
		http.DefaultClient.CloseIdleConnections()
		ctx := context.Background() // the test's has ended
		must(t, s.gateway.Shutdown(ctx))
		must(t, <-served)
		must(t, e.Close(ctx))
		must(t, state.Close())
	})
	return s
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// serve has the gateway serve all plugins, marked, in the place of what it served.
func (s *site) serve(mark string) {
	s.t.Helper()
	// A busy machine may take its time.
	const deadline = deploy.Duration(time.Minute)
	files, spec := fstest.MapFS{}, deploy.Spec{Name: "test", Hosts: []string{"*"}}
	for _, name := range plugins.Names {
		files[name+".wasm"] = &fstest.MapFile{Data: wasmtest.Marked(s.t, name, mark)}
		spec.Plugins = append(spec.Plugins, deploy.PluginSpec{Name: name, Source: "embedded:" + name, Deadline: deadline, MaxWait: deadline,
			Grants: []string{abi.GrantKV, abi.GrantPasswords, abi.GrantEvents, abi.GrantBlobs}})
	}
	loader := deploy.Loader{Engine: s.engine, Embedded: files, Log: slog.New(slog.DiscardHandler), Pictures: edge.NewPictures(0, 0)}
	d, err := loader.Load(s.t.Context(), spec)
	must(s.t, err)
	s.t.Cleanup(func() { must(s.t, d.Close(context.Background())) })
	must(s.t, s.gateway.Set([]*deploy.Deployment{d}))
}

// An answer is what a client got.
type answer struct {
	status int
	header http.Header
	body   string
}

func (s *site) ask(line, body string, headers ...string) answer {
	s.t.Helper()
	method, path, _ := strings.Cut(line, " ")
	req, err := http.NewRequestWithContext(s.t.Context(), method, s.url+path, strings.NewReader(body))
	must(s.t, err)
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	if s.token != "" {
		req.Header.Set("Authorization", "Bearer "+s.token)
	}
	resp, err := http.DefaultClient.Do(req)
	must(s.t, err)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	must(s.t, err)
	return answer{resp.StatusCode, resp.Header, string(b)}
}

// login makes an application, as the operator would, and an account, and has it logged in.
func (s *site) login() {
	s.t.Helper()
	var ctx fasthttp.RequestCtx
	ctx.Request.Header.SetMethod("POST")
	ctx.Request.SetBodyString(`{"name":"test"}`)
	s.gateway.Operate(&ctx, "test", "signing", "/apps")
	var app struct{ ID string }
	must(s.t, json.Unmarshal(ctx.Response.Body(), &app))
	q := url.Values{"api_key": {app.ID}, "username": {"ada"}, "id": {"ada"}, "password": {"correct horse"}}
	s.ask("POST /v2/account/create?"+q.Encode(), "")
	var login struct {
		Response struct {
			Token string `json:"access_token"`
		}
	}
	got := s.ask("POST /v2/account/login?"+q.Encode(), "")
	must(s.t, json.Unmarshal([]byte(got.body), &login))
	if s.token = login.Response.Token; s.token == "" {
		s.t.Fatalf("no token in %s", got.body)
	}
}

func TestEveryAnswerTellsWhichBuildMadeIt(t *testing.T) {
	s := newSite(t)
	s.serve("one")
	s.login()
	const form = "application/x-www-form-urlencoded"
	for _, mark := range []string{"one", "two"} {
		if mark != "one" {
			s.serve(mark)
		}
		for _, c := range []struct {
			line, body, kind string
			status           int
			marks            int // in the body
			wants            string
		}{
			{"GET /v2/users/self", "", "", 200, 2, `"result":"ok"`},
			{"POST /v2/account/password", "password=x", form, 400, 3, `"result":"failure"`},
			{"GET /v2/users/none", "", "", 404, 3, `"result":"failure"`},
			{"GET /1.0/signing", "", "", 200, 2, "</html>"},
			{"POST /v2/users/self/create_ticket", "duration=3600", form, 200, 2, `"result":"ok"`},
			{"GET /v2/users/self/tickets", "", "", 200, 2, `"tickets"`},
			{"GET /v2/tickets/none", "", "", 404, 3, `"ticket_id"`},
			{"GET /v1/status", "", "", 200, 2, "["},
			{"GET /v1/identities/me", "", "", 200, 2, `"gid_uuid"`},
			{"GET /v1/groups/none", "", "", 404, 3, `"error"`},
			{"POST /v1/status", "{", "application/json", 400, 2, `"error"`}, // the host's own
			{"GET /v1/nothing", "", "", 404, 2, `"error"`},                  // the host's own
			{"GET /1.0/posts.json", "", "", 200, 2, `"total"`},
			{"GET /1.0/posts.plist", "", "", 200, 2, "</plist>"},
			{"GET /1.0/posts.rss", "", "", 200, 2, "</rss>"},
			{"GET /1.0/posts.atom", "", "", 200, 2, "</feed>"},
			{"GET /1.0/posts", "", "", 400, 3, `"format_missing"`},
			{"GET /1.0/documentation", "", "", 200, 2, "</html>"},
		} {
			got := s.ask(c.line, c.body, "Content-Type", c.kind)
			if got.status != c.status || !strings.Contains(got.body, c.wants) {
				t.Errorf("%s: %d %s, want %d and %s", c.line, got.status, got.body, c.status, c.wants)
			}
			header := strings.Join(got.header.Values(wasmtest.MarkHeader), ",")
			if found, mixed := wasmtest.MarkOf(header, []byte(got.body)); found != mark || mixed {
				t.Errorf("%s: mark %q, mixed %v, want %q: %s %s", c.line, found, mixed, mark, header, got.body)
			}
			if n := strings.Count(got.body, "build="+mark+"/"); n != c.marks {
				t.Errorf("%s: %d marks, want %d: %s", c.line, n, c.marks, got.body)
			}
			if kind := got.header.Get("Content-Type"); strings.HasPrefix(kind, "application/json") && !json.Valid([]byte(got.body)) {
				t.Errorf("%s: %q is no JSON", c.line, got.body)
			}
		}
	}
}

package edge

import (
	"context"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/extism"
	"github.com/edgeset/edgeset/store"
)

// fetcher returns a plugin that may reach a server, and the server's URL.
func fetcher(t *testing.T, serve http.HandlerFunc) (*Plugin, string) {
	t.Helper()
	server := httptest.NewServer(serve)
	t.Cleanup(server.Close)
	p := plugin("p")
	var err error
	if p.Egress, err = extism.NewEgress([]string{"private:" + strings.TrimPrefix(server.URL, "http://")}); err != nil {
		t.Fatal(err)
	}
	t.Cleanup(p.Egress.Close)
	return p, server.URL
}

// fetch makes an outbound request in a call of its own.
func fetch(t *testing.T, s store.Store, p *Plugin, f *abi.Fetch) (reply *abi.FetchReply) {
	t.Helper()
	with(t, s, p, func(c *Call) {
		var err error
		reply, err = c.Fetch(f)
		must(t, err)
	})
	return reply
}

func TestFetch(t *testing.T) {
	p, url := fetcher(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/away" {
			http.Redirect(w, r, "/", http.StatusFound)
			return
		}
		body, _ := io.ReadAll(r.Body)
		w.Header().Set("X-Was", r.Method+" "+r.Header.Get("A")+" "+strings.Join(r.Header.Values("B"), ","))
		w.WriteHeader(http.StatusTeapot)
		w.Write(body)
	})
	s := open(t)
	var headers abi.Writer
	headers.FixedArray(6)
	for _, text := range []string{"a", "1", "b", "2", "B", "3"} {
		headers.Text(text)
	}
	r := fetch(t, s, p, &abi.Fetch{Method: "POST", URL: url, Headers: abi.Pairs(headers.Value()), Body: []byte("body")})
	if was, _ := r.Headers.GetFold("x-was"); r.Error != "" || r.Status != 418 || was != "POST 1 2,3" || string(r.Body) != "body" || r.URL != url {
		t.Errorf("%+v, %q", r, was)
	}
	if r = fetch(t, s, p, &abi.Fetch{URL: url}); r.Status != 418 || len(r.Body) != 0 {
		t.Errorf("%+v", r)
	}
	if r = fetch(t, s, p, &abi.Fetch{URL: url + "/away"}); r.Status != 302 || r.URL != url+"/away" {
		t.Errorf("%+v", r)
	}
	if r = fetch(t, s, p, &abi.Fetch{URL: url + "/away", Follow: true}); r.Status != 418 || r.URL != url+"/" {
		t.Errorf("%+v", r)
	}
	if r = fetch(t, s, p, &abi.Fetch{Method: "POST", URL: url, Body: []byte("body"), MaxReply: 3}); !strings.Contains(r.Error, "larger than 3 bytes") || r.Denied {
		t.Errorf("%+v", r)
	}

	// What keeps a reply from coming, the plugin is told.
	for _, tt := range []struct {
		f      abi.Fetch
		denied bool
	}{
		{abi.Fetch{URL: "http://other.example/"}, true},
		{abi.Fetch{URL: "file:///etc/passwd"}, true},
		{abi.Fetch{URL: "http://other.example/" + strings.Repeat("x", 5000)}, true},
		{abi.Fetch{URL: "http://%"}, false},
		{abi.Fetch{Method: "CONNECT", URL: url}, false},
	} {
		if r := fetch(t, s, p, &tt.f); r.Error == "" || len(r.Error) > maxFetchError || r.Denied != tt.denied || r.Status != 0 {
			t.Errorf("%.100s: %+v", tt.f.URL, r)
		}
	}
	if r := fetch(t, s, plugin("none"), &abi.Fetch{URL: url}); !r.Denied {
		t.Errorf("without any egress: %+v", r)
	}
	var c Call
	c.Start(t.Context(), p, "start")
	defer c.End()
	if r, err := c.Fetch(&abi.Fetch{URL: url}); err != nil || r.Error == "" || r.Denied {
		t.Errorf("at the start: %+v, %v", r, err)
	}
}

// A request that waits for a server keeps an instance from serving others: so as
// many may do so at a time as the plugin's share, and the next one fails at once.
func TestFetchingIsBounded(t *testing.T) {
	arrived, release := make(chan struct{}, 2), make(chan struct{})
	p, url := fetcher(t, func(_ http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/slow" {
			arrived <- struct{}{}
			<-release
		}
	})
	p.Fetching = make(chan struct{}, 2)
	s := open(t)
	done := make(chan *abi.FetchReply, 2)
	for range 2 {
		go func() { done <- fetch(t, s, p, &abi.Fetch{URL: url + "/slow"}) }()
		<-arrived
	}
	begin := time.Now()
	r := fetch(t, s, p, &abi.Fetch{URL: url})
	if !strings.Contains(r.Error, "2 outbound requests") || r.Denied {
		t.Errorf("a third: %+v", r)
	}
	with(t, s, p, func(c *Call) { // of Extism's kind
		if _, err := c.HTTP(&extism.HTTPRequest{Method: "GET", URL: url}); err == nil {
			t.Error("a third is made")
		}
	})
	if took := time.Since(begin); took > time.Second {
		t.Errorf("they failed after %v, want at once", took)
	}
	close(release)
	for range 2 {
		if r := <-done; r.Status != 200 {
			t.Errorf("%+v", r)
		}
	}
	// Neither those that succeed nor those that fail keep their place.
	for range 5 {
		if r := fetch(t, s, p, &abi.Fetch{URL: "http://other.example/"}); !r.Denied {
			t.Errorf("%+v", r)
		}
		if r := fetch(t, s, p, &abi.Fetch{URL: url}); r.Status != 200 {
			t.Errorf("%+v", r)
		}
	}
}

// Whatever the first run was told, a second is told, too: also that no reply came.
func TestARerunHasTheRecordedReplies(t *testing.T) {
	var hits atomic.Int64
	p, url := fetcher(t, func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, hits.Add(1)) })
	p.Fetching = make(chan struct{}, 1)
	s := open(t)
	var c Call
	c.Start(t.Context(), p, "")
	defer c.End()
	run := func() (told string) {
		must(t, s.Update(t.Context(), "space", func(txn store.Txn) error {
			c.Begin(txn)
			for i, f := range []abi.Fetch{
				{Method: "POST", URL: url, Body: []byte("a")}, {URL: "http://other.example/"}, {Method: "POST", URL: url, Body: []byte("b")},
				{URL: url}, {Method: "POST", URL: url, Body: []byte("b")},
			} {
				if i == 3 { // all places are taken, this once
					p.Fetching <- struct{}{}
				}
				r, err := c.Fetch(&f)
				must(t, err)
				if i == 3 {
					<-p.Fetching
				}
				told += fmt.Sprintf("%s %v %s\n", r.Error, r.Denied, r.Body)
			}
			return nil
		}))
		return told
	}
	first := run()
	if second := run(); second != first || hits.Load() != 3 {
		t.Errorf("%d requests; first\n%sthen\n%s", hits.Load(), first, second)
	}
}

// slow returns how a call asks a server that does not answer.
func slow(t *testing.T, ctx context.Context) (ask func() (*abi.FetchReply, error)) {
	t.Helper()
	release := make(chan struct{})
	p, url := fetcher(t, func(http.ResponseWriter, *http.Request) { <-release })
	t.Cleanup(func() { close(release) })
	p.Fetching = make(chan struct{}, 1)
	c := new(Call)
	c.Start(ctx, p, "test")
	t.Cleanup(c.End)
	return func() (reply *abi.FetchReply, err error) {
		must(t, open(t).View(t.Context(), "space", func(txn store.Txn) error {
			c.Begin(txn)
			reply, err = c.Fetch(&abi.Fetch{URL: url})
			return nil
		}))
		if len(p.Fetching) != 0 {
			t.Error("it keeps its place")
		}
		return reply, err
	}
}

func TestFetchEndsWithTheCall(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	time.AfterFunc(20*time.Millisecond, cancel)
	if reply, err := slow(t, ctx)(); err == nil {
		t.Errorf("%+v, want an error", reply)
	}
}

// Before its time is up, a call is told that no reply came.
func TestFetchLeavesTheCallTimeToSayThatItFailed(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), 3*time.Second)
	defer cancel()
	reply, err := slow(t, ctx)()
	if err != nil || reply.Error == "" || ctx.Err() != nil {
		t.Errorf("%+v, %v; the call: %v", reply, err, ctx.Err())
	}
}

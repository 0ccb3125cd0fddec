package admin

import (
	"context"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"log/slog"
	"net"
	"net/http"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/edgeset/edgeset/host/artifact"
	"github.com/edgeset/edgeset/host/gateway"
	"github.com/edgeset/edgeset/host/rollout"
	"github.com/edgeset/edgeset/host/secret"
)

// A fake is what the admin API works on in these tests. It knows one deployment, "eu",
// with versions 1 to 3.
type fake struct {
	mu      sync.Mutex
	call    string // the last change that was asked for
	change  rollout.Change
	request *rollout.Request
	value   string // of a secret
	audit   string // what was asked of the audit log

	err error // what a change ends with
	// during is what a change does before it ends, if it is not nil.
	during func(ctx context.Context, progress func(rollout.Event)) error

	plugins map[artifact.Digest][]byte
}

var made = rollout.Result{Revision: 8, Deployments: []rollout.Outcome{{Name: "eu", Version: 4, Before: 3, Action: "swapped", Diff: "-a\n+b\n"}}}

func (f *fake) changed(ctx context.Context, call string, ch rollout.Change) (*rollout.Result, error) {
	f.mu.Lock()
	f.call, f.change = call, ch
	f.change.Progress = nil
	f.mu.Unlock()
	if f.during != nil {
		if err := f.during(ctx, ch.Progress); err != nil {
			return nil, err
		}
	}
	if f.err != nil {
		return nil, f.err
	}
	return &made, nil
}

func (f *fake) Deploy(ctx context.Context, r *rollout.Request) (*rollout.Result, error) {
	f.mu.Lock()
	f.request = r
	f.mu.Unlock()
	return f.changed(ctx, "deploy", r.Change)
}

func (f *fake) Rollback(ctx context.Context, name string, number int, ch rollout.Change) (*rollout.Result, error) {
	return f.changed(ctx, "rollback "+name+" "+fmt.Sprint(number), ch)
}

func (f *fake) Promote(ctx context.Context, name string, share float64, ch rollout.Change) (*rollout.Result, error) {
	return f.changed(ctx, "promote "+name+" "+fmt.Sprint(share), ch)
}

func (f *fake) Abort(ctx context.Context, name string, ch rollout.Change) (*rollout.Result, error) {
	return f.changed(ctx, "abort "+name, ch)
}

func (f *fake) Remove(ctx context.Context, name string, ch rollout.Change) (*rollout.Result, error) {
	return f.changed(ctx, "remove "+name, ch)
}

func (f *fake) List() ([]rollout.Status, int64) {
	s, _ := f.Status("eu")
	return []rollout.Status{s}, 7
}

func (f *fake) Status(name string) (rollout.Status, bool) {
	return rollout.Status{Name: name, Hosts: []string{"*"}, Revision: 5, Current: 3, Serving: []rollout.Serving{{Version: 3}}}, name == "eu"
}

func (f *fake) Versions(_ context.Context, name string) ([]rollout.Version, error) {
	if name != "eu" {
		return nil, errNone
	}
	return []rollout.Version{{Number: 3}, {Number: 2}, {Number: 1}}, nil
}

func (f *fake) Version(_ context.Context, name string, number int) (*rollout.Version, error) {
	if name != "eu" || number > 3 {
		return nil, errNone
	}
	return &rollout.Version{Deployment: name, Number: number, Manifest: "[[deployment]]\nname = \"eu\"\n# " + fmt.Sprint(number) + "\n"}, nil
}

func (f *fake) Audit(_ context.Context, before string, limit int) ([]rollout.Entry, error) {
	f.audit = before + "/" + fmt.Sprint(limit)
	if limit == 2 {
		return []rollout.Entry{{ID: "9", Action: "deploy"}, {ID: "8", Action: "abort"}}, nil
	}
	return nil, nil
}

func (f *fake) SetSecret(ctx context.Context, deployment, plugin, name, value string, ch rollout.Change) error {
	f.value = value
	_, err := f.changed(ctx, "set "+deployment+" "+plugin+" "+name, ch)
	return err
}

func (f *fake) DeleteSecret(ctx context.Context, deployment, plugin, name string, ch rollout.Change) error {
	_, err := f.changed(ctx, "delete "+deployment+" "+plugin+" "+name, ch)
	return err
}

func (f *fake) Secrets(_ context.Context, deployment string) ([]secret.Entry, error) {
	if deployment != "eu" {
		return nil, nil
	}
	return []secret.Entry{{Plugin: "signing", Name: "smtp_password", Revision: 2, At: time.Unix(1, 0).UTC()}}, nil
}

func (f *fake) Put(wasm []byte) (artifact.Digest, error) {
	if f.plugins == nil {
		return "", fs.ErrPermission
	}
	d := artifact.DigestOf(wasm)
	f.plugins[d] = wasm
	return d, nil
}

func (f *fake) Get(d artifact.Digest) ([]byte, error) {
	if wasm, ok := f.plugins[d]; ok {
		return wasm, nil
	}
	return nil, fs.ErrNotExist
}

// asked returns the last change that was asked for.
func (f *fake) asked() (string, rollout.Change) {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.call, f.change
}

// A rig is an admin API that serves, and a client of it.
type rig struct {
	t      *testing.T
	server *Server
	addr   string
	client *http.Client
}

func newRig(t *testing.T, token string, f *fake) *rig {
	t.Helper()
	return newRigOf(t, Config{Deployments: f, Library: f, Token: token})
}

// newRigOf is a rig of an API that works on more than a fake.
func newRigOf(t *testing.T, c Config) *rig {
	t.Helper()
	c.Log = slog.New(slog.DiscardHandler)
	c.Gateway = gateway.New(gateway.Config{Log: c.Log})
	s := New(c)
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	served := make(chan error, 1)
	go func() { served <- s.Serve(l) }()
	transport := &http.Transport{}
	t.Cleanup(func() {
		transport.CloseIdleConnections()
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		if err := s.Shutdown(ctx); err != nil {
			t.Error(err)
		}
		if err := <-served; err != nil {
			t.Error(err)
		}
	})
	return &rig{t, s, l.Addr().String(), &http.Client{Transport: transport, Timeout: time.Minute}}
}

// do sends "METHOD /path" with a body and headers.
func (r *rig) do(line, body string, headers ...string) (int, http.Header, string) {
	r.t.Helper()
	resp := r.send(context.Background(), line, strings.NewReader(body), headers...)
	defer resp.Body.Close()
	b, err := io.ReadAll(resp.Body)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp.StatusCode, resp.Header, string(b)
}

// ask is do with the token.
func (r *rig) ask(line, body string, headers ...string) (int, http.Header, string) {
	r.t.Helper()
	return r.do(line, body, append(headers, "Authorization", "Bearer "+string(r.server.token))...)
}

func (r *rig) send(ctx context.Context, line string, body io.Reader, headers ...string) *http.Response {
	r.t.Helper()
	resp, err := r.try(ctx, line, body, headers...)
	if err != nil {
		r.t.Fatal(err)
	}
	return resp
}

func (r *rig) try(ctx context.Context, line string, body io.Reader, headers ...string) (*http.Response, error) {
	r.t.Helper()
	method, path, _ := strings.Cut(line, " ")
	req, err := http.NewRequestWithContext(ctx, method, "http://"+r.addr+path, body)
	if err != nil {
		r.t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Add(headers[i], headers[i+1])
	}
	return r.client.Do(req)
}

var errNone = errors.Join(errors.New("rollout: there is no such version"), rollout.ErrNotFound)

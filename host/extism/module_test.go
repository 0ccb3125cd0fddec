package extism_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"slices"
	"strings"
	"testing"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/engine"
	"github.com/edgeset/edgeset/host/extism"
	"github.com/edgeset/edgeset/host/wasmtest"
)

// call is an Env in memory, and the engine state of the calls that it serves.
type call struct {
	state  extism.State
	vars   map[string][]byte
	kv     map[string][]byte
	logged []string
	http   func(*extism.HTTPRequest) (*extism.HTTPResponse, error)
	kvErr  error
}

func (c *call) Extism() *extism.State { return &c.state }

func (c *call) Config(key string) (string, bool) {
	value, found := map[string]string{"color": "teal", "empty": ""}[key]
	return value, found
}

func (c *call) Log(level abi.LogLevel, message string) {
	c.logged = append(c.logged, fmt.Sprintf("%d:%s", level, message))
}

func (c *call) VarGet(name string) ([]byte, error) { return c.vars[name], nil }

func (c *call) VarSet(name string, value []byte) error {
	if value == nil {
		delete(c.vars, name)
	} else {
		c.vars[name] = slices.Clone(value)
	}
	return nil
}

func (c *call) HTTP(r *extism.HTTPRequest) (*extism.HTTPResponse, error) { return c.http(r) }

func (c *call) KVGet(key []byte) ([]byte, bool, error) {
	value, found := c.kv[string(key)]
	return value, found, c.kvErr
}

func (c *call) KVPut(key, value []byte) error {
	if c.kvErr == nil {
		c.kv[string(key)] = slices.Clone(value)
	}
	return c.kvErr
}

func (c *call) KVDelete(key []byte) error {
	delete(c.kv, string(key))
	return c.kvErr
}

func newCall() *call { return &call{vars: map[string][]byte{}, kv: map[string][]byte{}} }

// run calls an export with an input and returns the output.
func (c *call) run(t *testing.T, v *engine.Version, export, input string) (code int32, output string, err error) {
	t.Helper()
	c.state.Reset(c, []byte(input))
	code, _, err = v.Invoke(t.Context(), c, export)
	return code, string(c.state.Output()), err
}

func loadEverything(t *testing.T) *engine.Version {
	t.Helper()
	e, err := engine.New(engine.Config{CacheDir: wasmtest.CacheDir(t), Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { e.Close(context.Background()) })
	v, err := e.Load(t.Context(), wasmtest.Build(t, "host/extism/testdata/everything"),
		engine.Options{Name: "everything", Modules: []engine.Module{extism.Module()}})
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestAPluginOfTheGoPDK(t *testing.T) {
	v := loadEverything(t)
	large := strings.Repeat("0123456789", 200_000) + "x"
	c := newCall()
	c.http = func(r *extism.HTTPRequest) (*extism.HTTPResponse, error) {
		if r.Method != "POST" || r.URL != "https://example.com/ask" || r.Header.Get("X-Asked") != "yes" || string(r.Body) != "the question" {
			t.Errorf("request %+v", r)
		}
		return &extism.HTTPResponse{Status: 201, Header: http.Header{"X-Answer": {"a", "b"}}, Body: []byte("forty-two")}, nil
	}
	tests := []struct {
		export, input string
		code          int32
		output        string
	}{
		{"echo", "", 0, ""},
		{"echo", "1234567", 0, "1234567"},
		{"echo", "12345678", 0, "12345678"},
		{"echo", "123456789", 0, "123456789"},
		{"echo", large, 0, large},
		{"echo", "small again", 0, "small again"},
		{"config", "color", 0, "true teal"},
		{"config", "none", 0, "false "},
		{"config", "empty", 0, "false "}, // the PDK takes it so
		{"count", "a", 0, "1 a"},
		{"count", "b", 0, "2 b"},
		{"count", "c", 0, "3 c"},
		{"count", "d", 0, "1 d"},
		{"fetch", "https://example.com/ask", 0, "201 a,b forty-two forty-two"},
		{"store", "value", 0, "value"},
		{"store", strings.Repeat("v", 100_000), 0, strings.Repeat("v", 100_000)},
		{"churn", "", 0, ""},
	}
	for _, tt := range tests {
		code, output, err := c.run(t, v, tt.export, tt.input)
		if err != nil || code != tt.code || output != tt.output {
			t.Errorf("%s(%.20q…): %d, %.60q…, %v: want %d, %.60q…", tt.export, tt.input, code, output, err, tt.code, tt.output)
		}
	}

	if code, _, err := c.run(t, v, "fail", "way"); err != nil || code != 7 || c.state.Error() != "no way" {
		t.Errorf("fail: %d, %q, %v", code, c.state.Error(), err)
	}
	if _, _, err := c.run(t, v, "echo", ""); err != nil || c.state.Error() != "" {
		t.Errorf("the error of the call before is still there: %q, %v", c.state.Error(), err)
	}

	c.logged = nil
	if _, _, err := c.run(t, v, "logs", ""); err != nil {
		t.Error(err)
	}
	if want := []string{"0:level 1", "1:level 2", "2:level 3", "3:level 4", "1:"}; !slices.Equal(c.logged, want) {
		t.Errorf("logged %q, want %q", c.logged, want)
	}

	// churn needs more than one block, and far less than the sum of them.
	c.state.Limit = 64 << 10
	if code, _, err := c.run(t, v, "churn", ""); err != nil || code != 0 {
		t.Errorf("churn in 64 KiB: %d, %v", code, err)
	}
	c.state.Limit = 1 << 20
	if _, _, err := c.run(t, v, "echo", large); err == nil {
		t.Error("echo of 2 MB in a memory of 1 MiB: want an error")
	}
}

func TestErrorsOfTheHostEndTheCall(t *testing.T) {
	v := loadEverything(t)
	c := newCall()
	c.http = func(*extism.HTTPRequest) (*extism.HTTPResponse, error) {
		return nil, fmt.Errorf("egress: %w", abi.ErrDenied)
	}
	if _, _, err := c.run(t, v, "fetch", "https://example.com/"); !errors.Is(err, abi.ErrDenied) {
		t.Errorf("fetch: %v, want it to say denied", err)
	}
	if _, _, err := c.run(t, v, "fetch", "https://example.com/?"+strings.Repeat("x", 64<<10)); err == nil || !strings.Contains(err.Error(), "at most 65536 are sent") {
		t.Errorf("fetch of a long URL: %v", err)
	}
	if _, _, err := c.run(t, v, "config", strings.Repeat("x", 1<<20)); err == nil || !strings.Contains(err.Error(), "a name of 1048576 bytes") {
		t.Errorf("a long name: %v", err)
	}
	c.kvErr = abi.ErrDenied
	if _, _, err := c.run(t, v, "store", "x"); !errors.Is(err, abi.ErrDenied) {
		t.Errorf("store: %v, want it to say denied", err)
	}
	if _, _, err := v.Invoke(t.Context(), nil, "echo"); err == nil || !strings.Contains(err.Error(), "outside of a call") {
		t.Errorf("without a state: %v", err)
	}
	c = newCall()
	c.state.Reset(nil, []byte("color"))
	if _, _, err := v.Invoke(t.Context(), c, "config"); err == nil || !strings.Contains(err.Error(), "not to be had here") {
		t.Errorf("without an Env: %v", err)
	}
}

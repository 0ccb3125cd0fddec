package engine_test

import (
	"context"
	"io"
	"log/slog"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/engine"
	"github.com/edgeset/edgeset/host/wasmtest"
)

// host is a module of host functions for tests.
type host struct {
	name  string
	funcs []hostFunc
}

type hostFunc struct {
	name    string
	params  []api.ValueType
	results []api.ValueType
	fn      api.GoModuleFunc
}

func (h host) Instantiate(ctx context.Context, rt wazero.Runtime) error {
	b := rt.NewHostModuleBuilder(h.name)
	for _, f := range h.funcs {
		b.NewFunctionBuilder().WithGoModuleFunction(f.fn, f.params, f.results).Export(f.name)
	}
	_, err := b.Instantiate(ctx)
	return err
}

const (
	i32 = api.ValueTypeI32
	i64 = api.ValueTypeI64
)

func types(n int, t api.ValueType) []api.ValueType {
	list := make([]api.ValueType, n)
	for i := range list {
		list[i] = t
	}
	return list
}

// denyAll is the hosts' modules as hello imports them, which refuse everything.
func denyAll() []engine.Module {
	code := abi.CodeDenied
	deny := api.GoModuleFunc(func(_ context.Context, _ api.Module, stack []uint64) { stack[0] = api.EncodeI64(int64(code)) })
	edge := host{name: abi.Module}
	for name, params := range map[string]int{
		"kv_get": 4, "kv_get_many": 4, "kv_put": 5, "kv_put_stamped": 7, "kv_delete": 2, "kv_scan": 8,
		"password_hash": 4, "password_verify": 4,
	} {
		edge.funcs = append(edge.funcs, hostFunc{name, types(params, i32), types(1, i64), deny})
	}
	nothing := api.GoModuleFunc(func(context.Context, api.Module, []uint64) {})
	zero := api.GoModuleFunc(func(_ context.Context, _ api.Module, stack []uint64) { stack[0] = 0 })
	edge.funcs = append(edge.funcs, hostFunc{"take", types(1, i32), nil, nothing})

	env := host{name: "extism:host/env", funcs: []hostFunc{
		{"alloc", types(1, i64), types(1, i64), zero},
		{"free", types(1, i64), nil, nothing},
		{"length", types(1, i64), types(1, i64), zero},
		{"length_unsafe", types(1, i64), types(1, i64), zero},
		{"load_u8", types(1, i64), types(1, i32), zero},
		{"load_u64", types(1, i64), types(1, i64), zero},
		{"store_u8", []api.ValueType{i64, i32}, nil, nothing},
		{"store_u64", types(2, i64), nil, nothing},
		{"config_get", types(1, i64), types(1, i64), zero},
		{"get_log_level", nil, types(1, i32), zero},
		{"log_info", types(1, i64), nil, nothing},
		{"log_debug", types(1, i64), nil, nothing},
		{"log_warn", types(1, i64), nil, nothing},
		{"log_error", types(1, i64), nil, nothing},
	}}
	return []engine.Module{edge, env}
}

var quiet = slog.New(slog.NewTextHandler(io.Discard, nil))

// newEngine returns an Engine that is closed, with all its versions, when the
// test ends.
func newEngine(t testing.TB, c engine.Config) *engine.Engine {
	t.Helper()
	if c.Logger == nil {
		c.Logger = quiet
	}
	e, err := engine.New(c)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := e.Close(context.Background()); err != nil {
			t.Error(err)
		}
	})
	return e
}

// goEngine returns an Engine for plugins in Go, which take seconds to compile.
func goEngine(t testing.TB) *engine.Engine {
	return newEngine(t, engine.Config{CacheDir: wasmtest.CacheDir(t)})
}

// request is the frame of a call of one of hello's routes.
func request(route int, params ...string) []byte {
	var p, w abi.Writer
	p.FixedArray(len(params))
	for _, s := range params {
		p.Text(s)
	}
	q := abi.Request{Kind: abi.CallRequest, Route: route, Method: "GET", Path: "/hello", Params: p.Value()}
	q.Append(&w)
	return w.Value()
}

package edge

import (
	"context"
	"errors"
	"log/slog"
	"testing"
	"time"

	"github.com/edgeset/edgeset/host/engine"
	"github.com/edgeset/edgeset/host/extism"
	"github.com/edgeset/edgeset/host/wasmtest"
	"github.com/edgeset/edgeset/store"
)

func TestPointersThatAreNoneAreRefused(t *testing.T) {
	e, err := engine.New(engine.Config{CacheDir: wasmtest.CacheDir(t), Logger: slog.New(slog.DiscardHandler)})
	must(t, err)
	t.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 10*time.Second)
		defer cancel()
		if err := e.Close(ctx); err != nil {
			t.Error(err)
		}
	})
	v, err := e.Load(t.Context(), wasmtest.Build(t, "host/edge/testdata/liar"), engine.Options{
		Name: "liar", Modules: []engine.Module{Module{}, extism.Module()},
	})
	must(t, err)
	s := open(t)
	liar := plugin("liar")
	liar.Grants = append(liar.Grants, "read:key")
	call := func(export string) (code int32, err error) {
		var c Call
		c.Start(t.Context(), liar, "")
		return code, s.Update(t.Context(), "space", func(txn store.Txn) error {
			c.Begin(txn)
			code, _, err = v.Invoke(t.Context(), &c, export)
			return err
		})
	}
	if code, err := call("lie"); code != 0 || err != nil {
		t.Errorf("lie %d was not refused: %v", code, err)
	}
	if n, err := call("takes"); n != 1000 || err != nil {
		t.Errorf("take: %d %v", n, err)
	}
	var trap *engine.TrapError
	if _, err := call("steals"); !errors.As(err, &trap) {
		t.Errorf("take to nowhere: %v", err)
	}
	// One that goes on asking is stopped when its time is up.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	var c Call
	c.Start(ctx, plugin("liar"), "")
	if _, _, err := v.Invoke(ctx, &c, "persists"); !errors.Is(err, context.Canceled) {
		t.Errorf("after the end: %v", err)
	}
	// Outside of a call there is nobody to ask.
	if _, _, err := v.Invoke(t.Context(), nil, "takes"); !errors.As(err, &trap) {
		t.Errorf("without a call: %v", err)
	}
	if n, err := call("takes"); n != 1000 || err != nil {
		t.Errorf("afterwards: %d %v", n, err)
	}
}

package engine_test

import (
	"context"
	"testing"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/engine"
	"github.com/edgeset/edgeset/host/wasmtest"
)

const helloDir = "host/engine/testdata/hello"

func loadHello(t testing.TB, e *engine.Engine, o engine.Options) *engine.Version {
	t.Helper()
	o.Name, o.Modules = "hello", denyAll()
	v, err := e.Load(context.Background(), wasmtest.Build(t, helloDir), o)
	if err != nil {
		t.Fatal(err)
	}
	return v
}

func TestCall(t *testing.T) {
	v := loadHello(t, goEngine(t), engine.Options{})
	reply, _, err := v.Call(t.Context(), nil, request(1, "Ada"), []byte("kept"))
	if err != nil {
		t.Fatal(err)
	}
	if string(reply[:4]) != "kept" {
		t.Fatalf("reply %q: want it appended to what was there", reply)
	}
	var r abi.Reply
	if err := abi.ReadReply(reply[4:], &r); err != nil {
		t.Fatal(err)
	}
	if got, _ := r.Body.Get("greeting").Text(); got != "Hello, Ada" || r.Status != 200 {
		t.Fatalf("status %d, greeting %q", r.Status, got)
	}
}

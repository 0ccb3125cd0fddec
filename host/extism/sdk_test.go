package extism_test

import (
	"context"
	"io"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"

	sdk "github.com/extism/go-sdk"
	"github.com/tetratelabs/wazero"

	"github.com/edgeset/edgeset/host/engine"
	"github.com/edgeset/edgeset/host/extism"
	"github.com/edgeset/edgeset/host/wasmtest"
)

// The plugins that Extism tests its Go host with, made with its kits for C,
// TinyGo, Rust and Haskell, do here what they do there.
func TestPluginsDoWhatTheyDoInExtismsOwnHost(t *testing.T) {
	dir, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", "github.com/extism/go-sdk").Output()
	if err != nil {
		t.Fatal(err)
	}
	e, err := engine.New(engine.Config{CacheDir: wasmtest.CacheDir(t), Logger: slog.New(slog.NewTextHandler(io.Discard, nil))})
	if err != nil {
		t.Fatal(err)
	}
	defer e.Close(context.Background())
	cache, err := wazero.NewCompilationCacheWithDir(wasmtest.CacheDir(t))
	if err != nil {
		t.Fatal(err)
	}
	defer cache.Close(context.Background())
	tests := []struct{ file, export, input string }{
		{"alloc", "run_test", ""},
		{"config", "run_test", ""},
		{"fail", "run_test", ""},
		{"hello", "run_test", ""},
		{"hello_haskell", "testing", "Ada"},
		{"input_offset", "input_offset_length", "an input"},
		{"log", "run_test", ""},
		{"noop", "run_test", ""},
		{"replace", "run_test", "some text to replace"},
		{"var", "run_test", ""},
	}
	for _, tt := range tests {
		t.Run(tt.file, func(t *testing.T) {
			wasm, err := os.ReadFile(filepath.Join(strings.TrimSpace(string(dir)), "wasm", tt.file+".wasm"))
			if err != nil {
				t.Fatal(err)
			}
			theirs, err := sdk.NewPlugin(t.Context(), sdk.Manifest{
				Wasm:   []sdk.Wasm{sdk.WasmData{Data: wasm}},
				Config: map[string]string{"color": "teal"},
			}, sdk.PluginConfig{EnableWasi: true, RuntimeConfig: wazero.NewRuntimeConfig().WithCompilationCache(cache)}, nil)
			if err != nil {
				t.Fatal(err)
			}
			defer theirs.Close(context.Background())
			theirs.SetLogger(func(sdk.LogLevel, string) {})
			v, err := e.Load(t.Context(), wasm, engine.Options{Name: tt.file, Modules: []engine.Module{extism.Module()}})
			if err != nil {
				t.Fatal(err)
			}
			c := newCall()
			for range 3 { // state that is kept from call to call shows
				wantCode, want, wantErr := theirs.Call(tt.export, []byte(tt.input))
				code, got, err := c.run(t, v, tt.export, tt.input)
				if err != nil {
					t.Fatal(err)
				}
				message := ""
				if wantErr != nil {
					message = wantErr.Error()
				}
				if uint32(code) != wantCode || got != string(want) || c.state.Error() != message {
					t.Errorf("%d, %q, error %q: Extism's host has %d, %q, %q", code, got, c.state.Error(), wantCode, want, message)
				}
			}
		})
	}
}

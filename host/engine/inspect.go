package engine

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sort"
	"strings"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
	"github.com/tetratelabs/wazero/imports/wasi_snapshot_preview1"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/rewrite"
)

// pageSize is the unit of a WebAssembly memory.
const pageSize = 64 << 10

// prepare checks that the bytes are something that can be compiled at all, and
// returns what is to be compiled instead of them.
func prepare(wasm []byte) (*rewrite.Module, error) {
	magic, version := []byte("\x00asm"), []byte{1, 0, 0, 0}
	if len(wasm) < 8 || !bytes.Equal(wasm[:4], magic) {
		return nil, errors.New("not a WebAssembly module: want it to begin with \"\\0asm\"")
	}
	if !bytes.Equal(wasm[4:8], version) {
		return nil, fmt.Errorf("WebAssembly of version %#x, perhaps a component: want a core module, version 1 (GOOS=wasip1, wasm32-wasip1)", wasm[4:8])
	}
	return rewrite.Plugin(wasm)
}

// instantiateHost gives a runtime what guests import: WASI, and the modules.
func instantiateHost(ctx context.Context, rt wazero.Runtime, modules []Module) error {
	if _, err := wasi_snapshot_preview1.Instantiate(ctx, rt); err != nil {
		return err
	}
	if err := fuelModule(ctx, rt); err != nil {
		return err
	}
	for _, m := range modules {
		if err := m.Instantiate(ctx, rt); err != nil {
			return fmt.Errorf("host module: %w", err)
		}
	}
	return nil
}

// checkImports names everything that a plugin imports and this host has not,
// where instantiating would stop at the first.
func checkImports(rt wazero.Runtime, code wazero.CompiledModule) error {
	var missing []string
	for _, def := range code.ImportedFunctions() {
		module, name, _ := def.Import()
		var have api.FunctionDefinition
		if m := rt.Module(module); m != nil {
			have = m.ExportedFunctionDefinitions()[name]
		}
		switch {
		case have == nil:
			missing = append(missing, fmt.Sprintf("%s.%s", module, name))
		case signature(have) != signature(def):
			missing = append(missing, fmt.Sprintf("%s.%s as %s (this host has %s)", module, name, signature(def), signature(have)))
		}
	}
	for _, def := range code.ImportedMemories() {
		module, name, _ := def.Import()
		missing = append(missing, fmt.Sprintf("memory %s.%s", module, name))
	}
	if len(missing) == 0 {
		return nil
	}
	sort.Strings(missing)
	const shown = 8
	if n := len(missing); n > shown {
		missing = append(missing[:shown], fmt.Sprintf("%d more", n-shown))
	}
	return fmt.Errorf("imports that this host does not have: %s", strings.Join(missing, ", "))
}

func signature(def api.FunctionDefinition) string {
	names := func(types []api.ValueType) string {
		s := make([]string, len(types))
		for i, t := range types {
			s[i] = api.ValueTypeName(t)
		}
		return "(" + strings.Join(s, ", ") + ")"
	}
	return names(def.ParamTypes()) + " → " + names(def.ResultTypes())
}

// exports is what a plugin can be asked.
type exports struct {
	functions map[string]api.FunctionDefinition
	fast      bool // exports edge_call, and all that goes with it
}

// The signatures of the exports that the engine calls.
const (
	signatureNone  = "() → ()"
	signatureCode  = "() → (i32)"
	signatureAlloc = "(i32) → (i32)"
	signatureCall  = "(i32) → (i64)"
	signatureMain  = "(i32, i32) → ()"
)

// inspect finds out in which lanes a plugin can be called.
func inspect(code wazero.CompiledModule) (exports, error) {
	x := exports{functions: code.ExportedFunctions()}
	for name := range x.functions {
		if strings.HasPrefix(name, rewrite.Reserved) {
			delete(x.functions, name)
		}
	}
	if _, x.fast = x.functions[abi.ExportCall]; !x.fast {
		return x, nil
	}
	for name, want := range map[string]string{
		abi.ExportCall:    signatureCall,
		abi.ExportAlloc:   signatureAlloc,
		abi.ExportVersion: signatureCode,
	} {
		def, ok := x.functions[name]
		if !ok {
			return x, fmt.Errorf("exports %s but not %s %s", abi.ExportCall, name, want)
		}
		if got := signature(def); got != want {
			return x, fmt.Errorf("export %s is %s: want %s", name, got, want)
		}
	}
	if _, ok := code.ExportedMemories()[memoryExport]; !ok {
		return x, fmt.Errorf("exports %s but not its memory, as %q", abi.ExportCall, memoryExport)
	}
	return x, nil
}

// checkVersion refuses a plugin that was built for another contract, before it
// is sent a frame that it would misread.
func checkVersion(got int32) error {
	if got != abi.Version {
		return fmt.Errorf("plugin was built for ABI version %d, this host has version %d", got, abi.Version)
	}
	return nil
}

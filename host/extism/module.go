// Package extism lets plugins run that were written for Extism, with any of its
// plug-in development kits: it is the import module extism:host/env, natively.
//
// Extism's own hosts run a kernel, itself a Wasm module, beside every plugin,
// and each 8 bytes of input and output pass through it. Here the kernel's memory
// is a byte slice of the host's, and its functions are Go functions without
// reflection that allocate nothing.
//
// Every offset and length comes from an untrusted guest and is checked. A
// function that cannot do what it was asked ends the call with a panic, which
// the engine turns into its *TrapError.
package extism

import (
	"context"
	"errors"
	"fmt"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/engine"
)

// Names of the import modules.
const (
	envModule  = "extism:host/env"
	userModule = "extism:host/user"
)

// Module returns the import modules of Extism plugins: extism:host/env, and in
// extism:host/user functions for the key space.
func Module() engine.Module { return module{} }

type module struct{}

// Instantiate implements engine.Module.
func (module) Instantiate(ctx context.Context, rt wazero.Runtime) error {
	e, u := rt.NewHostModuleBuilder(envModule), rt.NewHostModuleBuilder(userModule)
	for _, f := range envWords {
		f.export(e, f.adapt())
	}
	for _, f := range envBlocks {
		f.export(e, f.watched())
	}
	for _, f := range user {
		f.export(u, f.watched())
	}
	if _, err := e.Instantiate(ctx); err != nil {
		return err
	}
	_, err := u.Instantiate(ctx)
	return err
}

// A function is one import. It finds its parameters on the stack, and leaves
// its result there.
type function struct {
	name    string
	params  []api.ValueType
	results []api.ValueType
	call    func(s *State, stack []uint64)
}

func (f function) export(b wazero.HostModuleBuilder, fn api.GoFunc) {
	b.NewFunctionBuilder().WithGoFunction(fn, f.params, f.results).Export(f.name)
}

func (f function) adapt() api.GoFunc {
	return func(ctx context.Context, stack []uint64) { f.call(current(ctx), stack) }
}

// watched is adapt for a function that may take long for one call: it ends a
// guest that is through with its time. A guest's own work is measured, but what
// the host does for it is not.
func (f function) watched() api.GoFunc {
	return func(ctx context.Context, stack []uint64) {
		if ctx.Err() != nil {
			panic(fmt.Errorf("extism: %s: the call is over: %w", f.name, context.Cause(ctx)))
		}
		f.call(current(ctx), stack)
	}
}

var errNoState = errors.New("extism: a function of extism:host/env was called outside of a call that has a State")

// current returns the State of the running call.
func current(ctx context.Context) *State {
	if c, ok := engine.State(ctx).(interface{ Extism() *State }); ok {
		if s := c.Extism(); s != nil {
			return s
		}
	}
	panic(errNoState)
}

const (
	i32 = api.ValueTypeI32
	i64 = api.ValueTypeI64
)

func types(t ...api.ValueType) []api.ValueType { return t }

// The functions of extism:host/env. Offsets and lengths are i64.

// envWords take no longer than an instruction or two.
var envWords = []function{
	{"free", types(i64), nil, func(s *State, st []uint64) { s.mem.release(st[0]) }},
	{"length", types(i64), types(i64), func(s *State, st []uint64) { st[0] = s.mem.length(st[0]) }},
	{"length_unsafe", types(i64), types(i64), func(s *State, st []uint64) { st[0] = s.mem.length(st[0]) }},
	{"load_u8", types(i64), types(i32), func(s *State, st []uint64) { st[0] = uint64(s.mem.load8(st[0])) }},
	{"load_u64", types(i64), types(i64), func(s *State, st []uint64) { st[0] = s.mem.load64(st[0]) }},
	{"store_u8", types(i64, i32), nil, func(s *State, st []uint64) { s.mem.store8(st[0], byte(st[1])) }},
	{"store_u64", types(i64, i64), nil, func(s *State, st []uint64) { s.mem.store64(st[0], st[1]) }},
	{"memory_bytes", nil, types(i64), func(s *State, st []uint64) { st[0] = uint64(len(s.mem.buf)) }},

	{"input_length", nil, types(i64), func(s *State, st []uint64) { st[0] = uint64(len(s.input)) }},
	{"input_load_u8", types(i64), types(i32), inputLoad8},
	{"input_load_u64", types(i64), types(i64), func(s *State, st []uint64) { st[0] = load64(s.input, st[0]) }},
	{"output_set", types(i64, i64), nil, outputSet},
	{"output_offset", nil, types(i64), func(s *State, st []uint64) { st[0] = s.output }},
	{"output_length", nil, types(i64), func(s *State, st []uint64) { st[0] = s.outputLen }},
	{"error_set", types(i64), nil, errorSet},
	{"error_get", nil, types(i64), func(s *State, st []uint64) { st[0] = s.err }},

	{"http_status_code", nil, types(i32), func(s *State, st []uint64) { st[0] = uint64(uint32(s.response.Status)) }},
	{"get_log_level", nil, types(i32), func(_ *State, st []uint64) { st[0] = levelDebug }},
}

// envBlocks move blocks, or reach for the world outside.
var envBlocks = []function{
	{"alloc", types(i64), types(i64), func(s *State, st []uint64) { st[0] = s.mem.alloc(st[0]) }},
	{"reset", nil, nil, func(s *State, _ []uint64) { s.forget() }},
	{"input_offset", nil, types(i64), inputOffset},
	{"input_set", types(i64, i64), nil, inputSet},
	{"config_get", types(i64), types(i64), configGet},
	{"var_get", types(i64), types(i64), varGet},
	{"var_set", types(i64, i64), nil, varSet},
	{"http_request", types(i64, i64), types(i64), httpRequest},
	{"http_headers", nil, types(i64), httpHeaders},
	{"log_trace", types(i64), nil, logAt(abi.LogDebug)},
	{"log_debug", types(i64), nil, logAt(abi.LogDebug)},
	{"log_info", types(i64), nil, logAt(abi.LogInfo)},
	{"log_warn", types(i64), nil, logAt(abi.LogWarn)},
	{"log_error", types(i64), nil, logAt(abi.LogError)},
}

// levelDebug is the level of Extism below which plugins need not even ask: the
// host's log decides about the others.
const levelDebug = 1

// inputOffset puts the input into the memory, for the few plugins that want to
// find it there; the others read it where it is.
func inputOffset(s *State, stack []uint64) {
	if s.inputAt == 0 && len(s.input) > 0 {
		s.inputAt = s.store("input_offset", s.input)
	}
	stack[0] = s.inputAt
}

func inputLoad8(s *State, stack []uint64) {
	var b byte
	if offset := stack[0]; offset < uint64(len(s.input)) {
		b = s.input[offset]
	}
	stack[0] = uint64(b)
}

// inputSet makes what stands in the memory the input. The block may change
// later, so the input is a copy.
func inputSet(s *State, stack []uint64) {
	b, ok := s.mem.slice(stack[0], stack[1])
	if !ok {
		panic(fmt.Errorf("extism: input_set: %d bytes at %d are not in the memory", stack[1], stack[0]))
	}
	s.input, s.inputAt = append([]byte(nil), b...), stack[0]
}

func outputSet(s *State, stack []uint64) {
	if _, ok := s.mem.slice(stack[0], stack[1]); !ok && stack[1] > 0 {
		panic(fmt.Errorf("extism: output_set: %d bytes at %d are not in the memory", stack[1], stack[0]))
	}
	s.output, s.outputLen = stack[0], stack[1]
}

func errorSet(s *State, stack []uint64) {
	if stack[0] != 0 {
		s.load("error_set", stack[0])
	}
	s.err = stack[0]
}

func configGet(s *State, stack []uint64) {
	value, found := s.ask("config_get").Config(s.text("config_get", stack[0]))
	stack[0] = 0
	if found {
		stack[0] = s.store("config_get", []byte(value))
	}
}

func varGet(s *State, stack []uint64) {
	value, err := s.ask("var_get").VarGet(s.text("var_get", stack[0]))
	if err != nil {
		panic(fmt.Errorf("extism: var_get: %w", err))
	}
	stack[0] = 0
	if value != nil {
		stack[0] = s.store("var_get", value)
	}
}

func varSet(s *State, stack []uint64) {
	name := s.text("var_set", stack[0])
	var value []byte
	if stack[1] != 0 {
		value = s.load("var_set", stack[1])
	}
	if err := s.ask("var_set").VarSet(name, value); err != nil {
		panic(fmt.Errorf("extism: var_set %q: %w", name, err))
	}
	// Plugins leave freeing these to the host, here and in logAt.
	s.mem.release(stack[0])
	s.mem.release(stack[1])
}

func logAt(level abi.LogLevel) func(*State, []uint64) {
	return func(s *State, stack []uint64) {
		line := s.load("log", stack[0])
		s.ask("log").Log(level, string(line[:min(len(line), maxText)]))
		s.mem.release(stack[0])
	}
}

// maxText bounds names and lines of the log, which are copied: far more than any
// are long.
const maxText = 64 << 10

// text returns a name that a guest passed as an argument.
func (s *State) text(function string, offset uint64) string {
	b := s.load(function, offset)
	if len(b) > maxText {
		panic(fmt.Errorf("extism: %s: a name of %d bytes: at most %d are taken", function, len(b), maxText))
	}
	return string(b)
}

// load returns the block that a guest passed as an argument. Offset 0 is what
// allocating no bytes gives, so it is empty.
func (s *State) load(function string, offset uint64) []byte {
	if offset == 0 {
		return nil
	}
	b, ok := s.mem.block(offset)
	if !ok {
		panic(fmt.Errorf("extism: %s: no block begins at offset %d", function, offset))
	}
	return b
}

// store makes a block for a guest to read.
func (s *State) store(function string, b []byte) uint64 {
	offset := s.mem.put(b)
	if offset == 0 {
		panic(fmt.Errorf("extism: %s: %d bytes do not fit into the memory of %d", function, len(b), s.mem.limit))
	}
	return offset
}

func (s *State) ask(function string) Env {
	if s.env == nil {
		panic(fmt.Errorf("extism: %s: not to be had here", function))
	}
	return s.env
}

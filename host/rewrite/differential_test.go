package rewrite_test

import (
	"context"
	"errors"
	"fmt"
	"hash/crc32"
	"math"
	"math/rand/v2"
	"slices"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/edgeset/edgeset/host/rewrite"
)

// A lab runs programs in several worlds and compares what comes of them.
type lab struct {
	t     testing.TB
	plain *world
	ours  []*world // rewritten; they differ in how much fuel the host gives

	compared, trapped, spent int // calls
}

// grants are how much fuel the host gives, each time, in a world of a lab.
var grants = []int32{0, 50, 3000}

func newLab(t testing.TB) *lab {
	t.Helper()
	config := wazero.NewRuntimeConfigCompiler()
	l := &lab{t: t, plain: newWorld(t, config)}
	l.plain.env()
	for _, grant := range grants {
		w := newWorld(t, config)
		w.rewrite = asPlugin
		w.refuel = func(api.Module) int32 { return grant }
		w.env()
		l.ours = append(l.ours, w)
	}
	return l
}

// errHost is the error of a host function.
var errHost = errors.New("the host says no")

// env provides what random modules import. What it returns depends on nothing
// but what came before, which it notes, together with what the memory held.
func (w *world) env() {
	builder := w.rt.NewHostModuleBuilder("env")
	for _, f := range envFuncs {
		handle := func(_ context.Context, mod api.Module, stack []uint64) {
			params := slices.Clone(stack[:len(f.params)])
			for i, t := range f.params {
				if t == i32 {
					params[i] = uint64(uint32(params[i]))
				}
			}
			memory, _ := mod.Memory().Read(0, mod.Memory().Size())
			w.trace = append(w.trace, fmt.Sprintf("%s %#x %#x", f.name, params, crc32.ChecksumIEEE(memory)))
			if len(f.params) > 0 && uint32(params[len(params)-1]) == 255 {
				panic(errHost)
			}
			n := uint64(len(w.trace)) * 7919
			switch {
			case len(f.results) == 0:
			case f.results[0] == f64:
				stack[0] = math.Float64bits(float64(n) / 16)
			default:
				stack[0] = uint64(uint32(n))
			}
		}
		builder.NewFunctionBuilder().
			WithGoModuleFunction(api.GoModuleFunc(handle), f.params, f.results).Export(f.name)
	}
	if _, err := builder.Instantiate(w.ctx); err != nil {
		w.t.Fatal(err)
	}
}

// A call is one call of an export.
type call struct {
	export string
	args   []uint64
}

// An outcome is all that can be seen of a call.
type outcome struct {
	results []uint64
	err     string
	trace   []string
	memory  uint32 // its checksum
	size    uint32
	globals []uint64
}

// run calls an export.
func (w *world) run(mod api.Module, c call, globals []string) outcome {
	w.trace = nil
	var o outcome
	var err error
	o.results, err = mod.ExportedFunction(c.export).Call(w.ctx, c.args...)
	o.err, o.trace = kind(err), w.trace
	if mem := mod.Memory(); mem != nil {
		o.size = mem.Size()
		view, _ := mem.Read(0, o.size)
		o.memory = crc32.ChecksumIEEE(view)
	}
	for _, name := range globals {
		o.globals = append(o.globals, mod.ExportedGlobal(name).Get())
	}
	return o
}

func (o outcome) equal(p outcome) bool {
	return slices.Equal(o.results, p.results) && o.err == p.err && slices.Equal(o.trace, p.trace) &&
		o.memory == p.memory && o.size == p.size && slices.Equal(o.globals, p.globals)
}

// outOfBounds is the trap that may come early: what it leaves in memory and in
// globals is open.
const outOfBounds = "wasm error: out of bounds memory access"

// compare makes calls, one after the other, in all worlds. steps is the global
// that bounds each.
func (l *lab) compare(wasm []byte, calls []call, steps string, globals []string) {
	l.t.Helper()
	instances := l.start(wasm)
	for _, c := range calls {
		if l.t.Failed() {
			break
		}
		if trap := l.call(instances, c, steps, append(globals, steps)); trap == outOfBounds {
			used := instances
			instances = l.start(wasm)
			l.close(used)
		}
	}
	l.close(instances)
}

// start makes an instance in each world.
func (l *lab) start(wasm []byte) (instances []api.Module) {
	l.t.Helper()
	for _, w := range append([]*world{l.plain}, l.ours...) {
		mod, err := w.instantiate(wasm, "")
		if err != nil {
			l.t.Errorf("instantiate: %v", err)
			continue
		}
		instances = append(instances, mod)
	}
	return instances
}

func (l *lab) close(instances []api.Module) {
	l.t.Helper()
	for _, mod := range instances {
		if err := mod.Close(l.plain.ctx); err != nil {
			l.t.Error(err)
		}
	}
}

// call makes a call in each world, and returns how it ended.
func (l *lab) call(instances []api.Module, c call, steps string, globals []string) string {
	l.t.Helper()
	for _, mod := range instances {
		mod.ExportedGlobal(steps).(api.MutableGlobal).Set(200)
	}
	want := l.plain.run(instances[0], c, globals)
	var spent int64
	for i, mod := range instances[1:] {
		w := l.ours[i]
		fuel := mod.ExportedGlobal(rewrite.FuelExport)
		w.granted = 0
		before := int32(fuel.Get())
		got := w.run(mod, c, globals)
		if want.err == outOfBounds {
			got.memory, got.globals = want.memory, want.globals
		}
		if !got.equal(want) {
			l.t.Errorf("%s %#x:\n%+v, rewritten\n%+v", c.export, c.args, want, got)
		}
		// What is spent does not depend on how it was granted.
		n := w.granted + int64(before) - int64(int32(fuel.Get()))
		if i == 0 {
			spent = n
		} else if n != spent && want.err == "" {
			l.t.Errorf("%s %#x: it cost %d, and %d if %d is granted at a time", c.export, c.args, spent, n, grants[i])
		}
	}
	l.compared++
	if want.err != "" {
		l.trapped++
	} else if spent > 0 {
		l.spent++
	}
	return want.err
}

// randomBytes are for dice.
func randomBytes(seed uint64, n int) []byte {
	rng := rand.New(rand.NewPCG(seed, 0))
	data := make([]byte, n)
	for i := range data {
		data[i] = byte(rng.Uint32())
	}
	return data
}

// randomCalls makes some calls of each of the functions f0, f1, ….
func randomCalls(d *dice, types []funcType) (calls []call) {
	for range 3 {
		for i, t := range types {
			c := call{export: fmt.Sprintf("f%d", i)}
			for _, p := range t.params {
				v := pick(d, interesting)
				switch p {
				case i32:
					c.args = append(c.args, uint64(uint32(v)))
				case f32:
					c.args = append(c.args, uint64(math.Float32bits(float32(v)/4)))
				case f64:
					c.args = append(c.args, math.Float64bits(float64(v)/4))
				default:
					c.args = append(c.args, uint64(v))
				}
			}
			calls = append(calls, c)
		}
	}
	return calls
}

// TestRandomModules compares random modules with what they are rewritten to.
func TestRandomModules(t *testing.T) {
	l := newLab(t)
	modules := 250
	if testing.Short() {
		modules = 60
	}
	for seed := range uint64(modules) {
		l.random(randomBytes(seed, 2500))
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
	}
	t.Logf("%d calls, %d of them trapped, %d cost fuel", l.compared, l.trapped, l.spent)
	if l.compared < 10*modules/2 || l.trapped > l.compared*2/3 || l.spent < l.compared/4 {
		t.Error("the programs are not what they are meant to be")
	}
}

func (l *lab) random(data []byte) {
	l.t.Helper()
	d := &dice{data: data}
	wasm, types := randomModule(d)
	calls := randomCalls(&dice{data: randomBytes(uint64(len(data)), 200)}, types)
	l.compare(wasm, calls, stepsExport, stateExports)
	ours, err := asPlugin(wasm)
	if err != nil {
		l.t.Error(err)
	} else if err := rewrite.Verify(ours); err != nil {
		l.t.Error(err)
	}
}

// TestRandomGo compares random functions of Go's form with what they are
// rewritten to.
func TestRandomGo(t *testing.T) {
	l := newLab(t)
	modules := 250
	if testing.Short() {
		modules = 60
	}
	var functions, structured int
	for seed := range uint64(modules) {
		n, changed := l.randomGo(randomBytes(seed, 600))
		if t.Failed() {
			t.Fatalf("seed %d", seed)
		}
		functions += n
		structured += changed
	}
	t.Logf("%d of %d functions were given a structure; %d calls, %d of them trapped", structured, functions, l.compared, l.trapped)
	if structured < functions/4 || structured > functions*3/4 || l.trapped > l.compared/2 {
		t.Error("the programs are not what they are meant to be")
	}
}

func (l *lab) randomGo(data []byte) (functions, structured int) {
	l.t.Helper()
	wasm, calls := randomGo(&dice{data: data})
	l.compare(wasm, calls, stepsExport, []string{"regs"})
	m, err := rewrite.Parse(wasm)
	if err != nil {
		l.t.Error(err)
		return 0, 0
	}
	functions = len(m.Funcs)
	if structured, err = rewrite.StructureGo(m); err != nil {
		l.t.Error(err)
	}
	ours, err := asPlugin(wasm)
	if err != nil {
		l.t.Error(err)
	} else if err := rewrite.Verify(ours); err != nil {
		l.t.Error(err)
	}
	return functions, structured
}

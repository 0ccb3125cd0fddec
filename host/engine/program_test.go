package engine_test

import (
	"bytes"
	"context"
	"strings"
	"sync"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"

	"github.com/edgeset/edgeset/host/engine"
	"github.com/edgeset/edgeset/host/wasmtest"
)

// settings is a module that tells a guest the first byte of the version's settings.
type settings struct{}

func (settings) Instantiate(ctx context.Context, rt wazero.Runtime) error {
	tell := api.GoFunc(func(ctx context.Context, stack []uint64) { stack[0] = uint64(engine.State(ctx).(string)[0]) })
	_, err := rt.NewHostModuleBuilder("settings").NewFunctionBuilder().
		WithGoFunction(tell, nil, types(1, i32)).Export("tell").Instantiate(ctx)
	return err
}

const opStore8 = 0x3a

// curious is a guest that puts its setting into memory when it is initialised; the
// export tells returns it. One that only looks keeps nothing of it.
func curious(looks bool) []byte {
	initialise := append(i32Const(64), opCall, 0, opStore8, 0, 0, opEnd)
	if !looks {
		initialise = append(append(i32Const(64), i32Const('?')...), opStore8, 0, 0, opEnd)
	}
	return guest{
		pages:   1,
		imports: []imported{{"settings", "tell", nil, types(1, i32)}},
		exports: map[string]fn{
			"_initialize": {nil, nil, initialise},
			"tells":       {nil, types(1, i32), append(i32Const(64), opLoad8, 0, 0, opEnd)},
		},
	}.wasm()
}

func TestVersionsOfAPluginShareCodeAndImage(t *testing.T) {
	e := goEngine(t)
	wasm := wasmtest.Build(t, stateDir)
	v, w := loadGuest(t, e, engine.Options{}, wasm), loadGuest(t, e, engine.Options{Instances: 1}, wasm)
	if !v.SharesCode(w) || !v.SharesImage(w) {
		t.Fatalf("code shared: %v, image shared: %v", v.SharesCode(w), v.SharesImage(w))
	}
	if known, idle := e.Programs(); known != 1 || idle != 0 {
		t.Errorf("%d programs, %d idle: want one in use", known, idle)
	}
	a, b := start(t, v), start(t, w)
	for n := range int32(3) {
		for _, s := range []engine.Single{a, b} {
			if code := invoke(t, s, "counts"); code != n {
				t.Errorf("call %d has the count %d: instances share more than their image", n, code)
			}
		}
	}
	invoke(t, a, "hides")
	if bytes.Contains(b.Memory(), secret()) || bytes.Contains(start(t, w).Memory(), secret()) {
		t.Error("what one version's instance has written is in the other's memory")
	}
	if err := v.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if code := invoke(t, start(t, w), "checks"); code != 0 {
		t.Errorf("after the other was closed: %d", code)
	}
}

func TestVersionsThatDifferInWhatTheyCanHaveShareNoProgram(t *testing.T) {
	e := newEngine(t, engine.Config{})
	wasm := fast(i64Const(1024 << 32)).wasm()
	v := loadGuest(t, e, engine.Options{}, wasm)
	for what, w := range map[string]*engine.Version{
		"memory":              loadGuest(t, e, engine.Options{MemoryLimit: 1 << 20}, wasm),
		"modules":             loadGuest(t, e, engine.Options{}, wasm, settings{}),
		"modules of its own":  loadGuest(t, e, engine.Options{}, wasm, denyAll()...),
		"too many modules":    loadGuest(t, e, engine.Options{}, wasm, module("a"), module("b"), module("c"), module("d"), module("e")),
		"bytes of the plugin": loadGuest(t, e, engine.Options{}, fast(i64Const(1025<<32)).wasm()),
	} {
		if v.SharesCode(w) {
			t.Errorf("%s: the program is shared", what)
		}
	}
}

// A module is one without functions.
type module string

func (m module) Instantiate(ctx context.Context, rt wazero.Runtime) error {
	_, err := rt.NewHostModuleBuilder(string(m)).Instantiate(ctx)
	return err
}

func TestAnImageThatKnowsASettingStaysWithItsVersion(t *testing.T) {
	e := newEngine(t, engine.Config{})
	wasm := curious(true)
	var all []*engine.Version
	for _, setting := range []string{"a", "b", "a"} {
		all = append(all, loadGuest(t, e, engine.Options{Init: setting}, wasm, settings{}))
	}
	for n, want := range []byte("aba") {
		v := all[n]
		if !v.Warm() || !v.SharesCode(all[0]) {
			t.Fatalf("warm: %v; code shared: %v", v.Warm(), v.SharesCode(all[0]))
		}
		if code := invoke(t, start(t, v), "tells"); byte(code) != want || v.Image()[64] != want {
			t.Errorf("version %d was told %q, and its image has %q: want %q", n, code, v.Image()[64], want)
		}
		if other := all[(n+1)%len(all)]; v.SharesImage(other) {
			t.Errorf("versions %d and %d share an image", n, (n+1)%len(all))
		}
	}
	// One that does not look may have any image.
	wasm = curious(false)
	v := loadGuest(t, e, engine.Options{Init: "a"}, wasm, settings{})
	w := loadGuest(t, e, engine.Options{Init: "b"}, wasm, settings{})
	if !v.SharesImage(w) {
		t.Error("an image is not shared that has nothing of the version in it")
	}
}

func TestColdImagesAreShared(t *testing.T) {
	e := newEngine(t, engine.Config{})
	wasm := curious(true)
	v := loadGuest(t, e, engine.Options{Init: "a", NoSnapshot: true}, wasm, settings{})
	w := loadGuest(t, e, engine.Options{Init: "b", NoSnapshot: true}, wasm, settings{})
	if v.Warm() || !v.SharesImage(w) {
		t.Fatalf("warm: %v; image shared: %v", v.Warm(), v.SharesImage(w))
	}
	if a, b := invoke(t, start(t, v), "tells"), invoke(t, start(t, w), "tells"); a != 'a' || b != 'b' {
		t.Errorf("told %q and %q", a, b)
	}
}

func TestARehearsalIsPartOfWhatIsShared(t *testing.T) {
	e := newEngine(t, engine.Config{})
	wasm := fast(i64Const(1024 << 32)).wasm()
	v := loadGuest(t, e, engine.Options{Rehearsal: []byte("a")}, wasm)
	w := loadGuest(t, e, engine.Options{Rehearsal: []byte("b")}, wasm)
	if v.SharesImage(w) || !v.SharesCode(w) {
		t.Errorf("image shared: %v; code shared: %v", v.SharesImage(w), v.SharesCode(w))
	}
}

func TestAProgramIsKeptForAWhile(t *testing.T) {
	e := newEngine(t, engine.Config{})
	wasm := fast(i64Const(1024 << 32)).wasm()
	v := loadGuest(t, e, engine.Options{}, wasm)
	closeVersion(t, v)
	w := loadGuest(t, e, engine.Options{}, wasm)
	if !w.SharesCode(v) || !w.SharesImage(v) {
		t.Error("the program was not kept")
	}
	e.EndKeeping()
	if known, idle := e.Programs(); known != 1 || idle != 0 {
		t.Fatalf("%d programs, %d idle: one is in use and must stay", known, idle)
	}
	if _, _, err := w.Call(t.Context(), nil, []byte("x"), nil); err != nil {
		t.Error(err)
	}
	closeVersion(t, w)
	e.EndKeeping()
	if known, idle := e.Programs(); known != 0 || idle != 0 {
		t.Errorf("%d programs, %d idle, after the time is over", known, idle)
	}
	if u := loadGuest(t, e, engine.Options{}, wasm); u.SharesCode(v) {
		t.Error("a closed program is used")
	}
}

func TestOnlyThoseUsedLastAreKept(t *testing.T) {
	e := newEngine(t, engine.Config{})
	plugin := func(n int) []byte { return fast(i64Const(int64(1024+n) << 32)).wasm() }
	for n := range 2 * engine.KeptPrograms {
		closeVersion(t, loadGuest(t, e, engine.Options{}, plugin(n)))
	}
	if known, idle := e.Programs(); known != engine.KeptPrograms || idle != known {
		t.Errorf("%d programs, %d idle: want %d", known, idle, engine.KeptPrograms)
	}
	// The last comes back, and then goes again, as one that is very large.
	v := loadGuest(t, e, engine.Options{}, plugin(2*engine.KeptPrograms-1))
	if known, _ := e.Programs(); known != engine.KeptPrograms {
		t.Error("the last one is not kept")
	}
	v.Pretend(engine.KeptSize + 1)
	closeVersion(t, v)
	if known, idle := e.Programs(); known != 0 || idle != 0 {
		t.Errorf("%d programs, %d idle: together they are too large to be kept", known, idle)
	}
}

func TestAVersionThatFailsKeepsNothing(t *testing.T) {
	e := newEngine(t, engine.Config{})
	wasm := guest{pages: 1, exports: map[string]fn{"_initialize": {nil, nil, code(opUnreachable)}}}.wasm()
	if _, err := load(e, engine.Options{}, wasm); err == nil {
		t.Fatal("loaded")
	}
	if known, idle := e.Programs(); known != idle {
		t.Errorf("%d programs, %d idle: one is in use by nobody", known, idle)
	}
}

func TestADigestIsTakenOnlyIfItIsOne(t *testing.T) {
	e := newEngine(t, engine.Config{CacheDir: t.TempDir()})
	wasm := fast(i64Const(1024 << 32)).wasm()
	digest := loadGuest(t, e, engine.Options{}, wasm).Digest()
	if v := loadGuest(t, e, engine.Options{Digest: digest}, wasm); v.Digest() != digest {
		t.Errorf("digest %s, want %s", v.Digest(), digest)
	}
	other := strings.Repeat("0", 64)
	for _, wrong := range []string{"sha256:" + digest, digest[1:], strings.ToUpper(digest), other} {
		if _, err := load(e, engine.Options{Digest: wrong}, wasm); err == nil || !strings.Contains(err.Error(), wrong) {
			t.Errorf("%s: error %v", wrong, err)
		}
	}
}

func TestLoadsAndClosesSideBySide(t *testing.T) {
	e := newEngine(t, engine.Config{})
	plugins := [][]byte{curious(true), curious(false)}
	var all sync.WaitGroup
	for g := range 8 {
		all.Go(func() {
			for n := range 20 {
				k := (g + n) % 2
				v, err := load(e, engine.Options{Init: string(rune('a' + g))}, plugins[k], settings{})
				if err != nil {
					t.Error(err)
					return
				}
				want := int32('a' + g)
				if k == 1 {
					want = '?'
				}
				if code, _, err := v.Invoke(t.Context(), nil, "tells"); err != nil || code != want {
					t.Errorf("told %q, %v: want %q", code, err, want)
				}
				if n%5 == 0 {
					e.EndKeeping()
				}
				closeVersion(t, v)
			}
		})
	}
	all.Wait()
	if known, idle := e.Programs(); known != idle {
		t.Errorf("%d programs, %d idle: some are in use by nobody", known, idle)
	}
}

func closeVersion(t testing.TB, v *engine.Version) {
	t.Helper()
	if err := v.Close(t.Context()); err != nil {
		t.Error(err)
	}
}

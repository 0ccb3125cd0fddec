package rewrite_test

import (
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/api"
)

// The core test suite of the WebAssembly standard, in the form that wazero has
// it for its own tests: modules, and for each file of the suite a list of what
// to do with them.
const (
	wazeroModule = "github.com/tetratelabs/wazero"
	specDir      = "internal/integration_test/spectest"
)

// suites are the versions of the suite.
var suites = []struct {
	version  string
	features api.CoreFeatures
	rewrite  rewriter
	// least is how many assertions of a kind there have to be, so that the test
	// cannot pass by running none.
	least map[string]int
}{
	{
		// Data that is written later takes instructions which came later.
		"v1", api.CoreFeaturesV1, codeOnly,
		map[string]int{
			"module": 780, "assert_return": 15_700, "assert_trap": 450, "assert_exhaustion": 15,
			"assert_invalid": 980, "assert_malformed": 660, "assert_unlinkable": 95, "assert_uninstantiable": 2,
		},
	},
	{
		"v2", api.CoreFeaturesV2, asPlugin,
		map[string]int{
			"module": 1590, "assert_return": 45_700, "assert_trap": 2400, "assert_exhaustion": 15,
			"assert_invalid": 2140, "assert_malformed": 710, "assert_unlinkable": 80, "assert_uninstantiable": 15,
		},
	},
}

// TestSpec runs the suite twice, side by side: as it is, and rewritten.
func TestSpec(t *testing.T) {
	root := moduleDir(t, wazeroModule)
	for _, suite := range suites {
		t.Run(suite.version, func(t *testing.T) {
			dir := filepath.Join(root, specDir, suite.version, "testdata")
			files, err := filepath.Glob(filepath.Join(dir, "*.json"))
			if err != nil {
				t.Fatal(err)
			}
			var mu sync.Mutex
			counts := make(map[string]int)
			t.Run("files", func(t *testing.T) {
				for _, file := range files {
					name := strings.TrimSuffix(filepath.Base(file), ".json")
					t.Run(name, func(t *testing.T) {
						t.Parallel()
						s := newScript(t, root, file)
						s.plain, s.ours = worlds(t, suite.features, suite.rewrite)
						s.run()
						mu.Lock()
						defer mu.Unlock()
						for kind, n := range s.counts {
							counts[kind] += n
						}
					})
				}
			})
			for _, kind := range slices.Sorted(maps.Keys(counts)) {
				t.Logf("%s: %d", kind, counts[kind])
			}
			for kind, n := range suite.least {
				if counts[kind] < n {
					t.Errorf("%s: %d were run, want %d or more", kind, counts[kind], n)
				}
			}
		})
	}
}

// moduleDir finds a module in the module cache.
func moduleDir(t testing.TB, module string) string {
	t.Helper()
	out, err := exec.Command("go", "list", "-m", "-f", "{{.Dir}}", module).Output()
	if err != nil {
		t.Fatalf("find %s: %v", module, err)
	}
	return strings.TrimSpace(string(out))
}

// A script is one file of the suite, run in both worlds.
type script struct {
	t           *testing.T
	root, dir   string
	commands    []command
	plain, ours *world
	last        pair
	named       map[string]pair
	counts      map[string]int
}

// A pair is an instance in each world.
type pair struct{ plain, ours api.Module }

type command struct {
	Type       string
	Line       int
	Name, As   string
	Filename   string
	Text       string
	ModuleType string `json:"module_type"`
	Action     struct {
		Type, Module, Field string
		Args                []specValue
	}
	Expected []specValue
}

func newScript(t *testing.T, root, file string) *script {
	t.Helper()
	s := &script{t: t, root: root, dir: filepath.Dir(file), named: make(map[string]pair), counts: make(map[string]int)}
	text, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	var content struct{ Commands []command }
	if err := json.Unmarshal(text, &content); err != nil {
		t.Fatal(err)
	}
	s.commands = content.Commands
	return s
}

func (s *script) errorf(c *command, format string, args ...any) {
	s.t.Helper()
	s.t.Errorf("line %d: %s: %s", c.Line, c.Type, fmt.Sprintf(format, args...))
}

func (s *script) run() {
	// What the modules of the suite print with, and more that they import. It is
	// the host's, and so not rewritten.
	wasm, err := os.ReadFile(filepath.Join(s.root, specDir, "testdata", "spectest.wasm"))
	if err != nil {
		s.t.Fatal(err)
	}
	for _, w := range []*world{s.plain, s.ours} {
		if _, err := w.rt.InstantiateWithConfig(w.ctx, wasm, wazero.NewModuleConfig().WithName("spectest")); err != nil {
			s.t.Fatal(err)
		}
	}
	for i := range s.commands {
		c := &s.commands[i]
		if c.ModuleType == "text" {
			continue // about the text format
		}
		switch c.Type {
		case "module":
			as := ""
			if i+1 < len(s.commands) && s.commands[i+1].Type == "register" {
				as = s.commands[i+1].As
			}
			s.module(c, as)
		case "register": // done with the module
		case "assert_return", "action":
			s.returns(c)
		case "assert_trap", "assert_exhaustion":
			s.traps(c)
		case "assert_malformed", "assert_invalid", "assert_unlinkable", "assert_uninstantiable":
			s.refused(c)
		default:
			s.errorf(c, "not known")
		}
		s.counts[c.Type]++
	}
}

func (s *script) instantiate(wasm []byte, as string) (plain, ours api.Module, errs [2]error) {
	plain, errs[0] = s.plain.instantiate(wasm, as)
	ours, errs[1] = s.ours.instantiate(wasm, as)
	return plain, ours, errs
}

func (s *script) read(c *command) []byte {
	s.t.Helper()
	wasm, err := os.ReadFile(filepath.Join(s.dir, c.Filename))
	if err != nil {
		s.t.Fatal(err)
	}
	return wasm
}

func (s *script) module(c *command, as string) {
	plain, ours, errs := s.instantiate(s.read(c), as)
	if errs != [2]error{} {
		s.t.Fatalf("line %d: %v", c.Line, errs)
	}
	s.last = pair{plain, ours}
	if c.Name != "" {
		s.named[c.Name] = s.last
	}
}

// invoke performs an action in both worlds.
func (s *script) invoke(c *command) (plain, ours []uint64, errs [2]error) {
	s.t.Helper()
	on := s.last
	if c.Action.Module != "" {
		on = s.named[c.Action.Module]
	}
	if c.Action.Type == "get" {
		return []uint64{on.plain.ExportedGlobal(c.Action.Field).Get()}, []uint64{on.ours.ExportedGlobal(c.Action.Field).Get()}, errs
	}
	var args []uint64
	for _, a := range c.Action.Args {
		args = append(args, a.bits(s.t)...)
	}
	plain, errs[0] = s.plain.function(on.plain, c.Action.Field).Call(s.plain.ctx, args...)
	ours, errs[1] = s.ours.function(on.ours, c.Action.Field).Call(s.ours.ctx, args...)
	return plain, ours, errs
}

func (s *script) returns(c *command) {
	plain, ours, errs := s.invoke(c)
	if errs != [2]error{} {
		s.errorf(c, "%s: %v", c.Action.Field, errs)
		return
	}
	if !slices.Equal(plain, ours) {
		s.errorf(c, "%s: %#x, rewritten %#x", c.Action.Field, plain, ours)
	}
	rest := ours
	for i := range c.Expected {
		want := &c.Expected[i]
		n := len(want.lanes(s.t)) * want.width() / 64
		n = max(n, 1)
		if len(rest) < n || !want.matches(s.t, rest[:n]) {
			s.errorf(c, "%s: rewritten %#x, want %v", c.Action.Field, ours, c.Expected)
			return
		}
		rest = rest[n:]
	}
	if len(rest) > 0 && c.Type != "action" {
		s.errorf(c, "%s: rewritten %#x, want %v", c.Action.Field, ours, c.Expected)
	}
}

func (s *script) traps(c *command) {
	_, _, errs := s.invoke(c)
	trap := kind(errs[0])
	if trap != kind(errs[1]) || trap != "stack overflow" && !strings.HasPrefix(trap, "wasm error: ") {
		s.errorf(c, "%s: %q, rewritten %q", c.Action.Field, kind(errs[0]), kind(errs[1]))
	}
}

func (s *script) refused(c *command) {
	_, _, errs := s.instantiate(s.read(c), "")
	// A table segment that does not fit is no error of wazero's, since the suite
	// wants the segments before it to be there.
	late := c.Type == "assert_uninstantiable" && c.Text == "out of bounds table access"
	for _, err := range errs {
		if (err == nil) != late {
			s.errorf(c, "%s: %v", c.Filename, errs)
			return
		}
	}
}

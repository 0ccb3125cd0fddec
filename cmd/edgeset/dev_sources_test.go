package main

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// writeFiles writes files below a folder, each with the folders that it lies in.
func writeFiles(t *testing.T, dir string, files map[string]string) {
	t.Helper()
	for name, text := range files {
		file := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(file), 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
	}
}

// realDir is a temporary folder under the name that the Go tool gives it.
func realDir(t *testing.T) string {
	t.Helper()
	dir, err := filepath.EvalSymlinks(t.TempDir())
	if err != nil {
		t.Fatal(err)
	}
	return dir
}

func TestAPluginsSourcesAreAllThatItsAuthorMayEdit(t *testing.T) {
	t.Parallel()
	dir := realDir(t)
	writeFiles(t, dir, map[string]string{
		"app/go.mod":             "module app\n\ngo 1.24\n\nrequire example.org/lib v0.0.0\n\nreplace example.org/lib => ../lib\n",
		"app/plugin/main.go":     "package main\n\nimport (\n\t_ \"embed\"\n\n\t_ \"app/inner\"\n\t_ \"example.org/lib/used\"\n)\n\n//go:embed texts/*.txt all:pages\nvar _ []byte\n\nfunc main() {}\n",
		"app/plugin/texts/a.txt": "a",
		"app/plugin/pages/x/y":   "y",
		"app/inner/inner.go":     "package inner\n",
		"app/other/other.go":     "package other\n",
		"lib/go.mod":             "module example.org/lib\n\ngo 1.24\n",
		"lib/used/used.go":       "package used\n",
		"lib/unused/unused.go":   "package unused\n",
	})
	s, err := listSources(t.Context(), filepath.Join(dir, "app/plugin"))
	if err != nil {
		t.Fatal(err)
	}
	for path, want := range map[string]bool{
		"app/plugin/main.go": true, "app/plugin/new.go": true, "app/inner/inner.go": true, "lib/used/new.go": true,
		"app/go.mod": true, "app/go.sum": true, "lib/go.mod": true,
		"app/plugin/texts/b.txt": true, "app/plugin/pages/x/z": true, "app/plugin/pages/new/z": true,
		"app/other/other.go": false, "lib/unused/unused.go": false, "app/plugin/main_test.go": false,
		"app/plugin/notes.txt": false, "app/plugin/texts/b.md": false, "app/plugin/.main.go.swp": false,
		"app/plugin/main.go~": false, "app/plugin/#main.go#": false, "app/plugin/4913": false, "elsewhere.go": false,
	} {
		if got := s.concern(filepath.Join(dir, path)); got != want {
			t.Errorf("%s: %v, want %v", path, got, want)
		}
	}
	if want := []string{filepath.Join(dir, "app")}; !slices.Equal(s.roots, want) {
		t.Errorf("the roots are %q, want %q", s.roots, want)
	}
	for _, path := range []string{"app", "app/plugin", "app/plugin/texts", "app/plugin/pages/x", "app/inner", "lib", "lib/used"} {
		if !slices.Contains(s.folders(), filepath.Join(dir, path)) {
			t.Errorf("%s is not among the folders %q", path, s.folders())
		}
	}
}

func TestAPackageThatIsMissingMayBeAnywhere(t *testing.T) {
	t.Parallel()
	dir := realDir(t)
	writeFiles(t, dir, map[string]string{
		"go.mod":  "module app\n\ngo 1.24\n",
		"main.go": "package main\n\nimport _ \"app/soon\"\n\nfunc main() {}\n",
	})
	s, err := listSources(t.Context(), dir)
	if err != nil || !s.concern(filepath.Join(dir, "soon", "soon.go")) {
		t.Errorf("%v: the file that is missing is no concern", err)
	}
	// Of a go.mod that cannot be read no more is known than where it is.
	writeFiles(t, dir, map[string]string{"go.mod": "modul app\n"})
	s, err = listSources(t.Context(), dir)
	var build *buildError
	if !errors.As(err, &build) || !s.concern(filepath.Join(dir, "go.mod")) || !s.concern(filepath.Join(dir, "main.go")) {
		t.Errorf("%v; want a mistake in go.mod, which is watched", err)
	}
}

func TestAPluginIsBuilt(t *testing.T) {
	t.Parallel()
	dir := realDir(t)
	writeFiles(t, dir, map[string]string{"go.mod": "module app\n\ngo 1.24\n", "main.go": "package main\n\nfunc main() {}\n"})
	file := filepath.Join(t.TempDir(), "plugin.wasm")
	if err := buildPlugin(t.Context(), dir, file); err != nil {
		t.Fatal(err)
	}
	if wasm, err := os.ReadFile(file); err != nil || !strings.HasPrefix(string(wasm), "\x00asm") {
		t.Errorf("%v: it is no Wasm", err)
	}
}

func TestAMistakeIsToldWithItsPlace(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		files map[string]string
		want  string
	}{
		"a type": {map[string]string{"main.go": "package main\n\nfunc main() { no() }\n"}, "main.go:3:15: undefined: no"},
		"a type in another package": {map[string]string{
			"main.go":    "package main\n\nimport _ \"app/in\"\n\nfunc main() {}\n",
			"in/file.go": "package in\n\nvar x int = \"x\"\n",
		}, "in/file.go:3:13: cannot use"},
		"syntax":       {map[string]string{"main.go": "package main\n\nfunc main( {}\n"}, "main.go:3:"},
		"no such path": {map[string]string{"main.go": "package main\n\nimport _ \"app/none\"\n\nfunc main() {}\n"}, "main.go:3:8: package app/none"},
		"no command":   {map[string]string{"main.go": "package app\n"}, "exactly one main package"},
		"no file":      {nil, "no Go files"},
	} {
		dir := realDir(t)
		writeFiles(t, dir, map[string]string{"go.mod": "module app\n\ngo 1.24\n"})
		writeFiles(t, dir, c.files)
		err := buildPlugin(t.Context(), dir, filepath.Join(t.TempDir(), "plugin.wasm"))
		var build *buildError
		if !errors.As(err, &build) {
			t.Errorf("%s: %v, want a *buildError", name, err)
			continue
		}
		// A place can be opened from here.
		for line := range strings.Lines(build.text) {
			if at := errorPlace.FindStringSubmatch(line); at != nil {
				if _, err := os.Stat(at[1]); err != nil {
					t.Errorf("%s: %s: %v", name, line, err)
				}
			}
		}
		if !strings.Contains(build.text, c.want) {
			t.Errorf("%s: %s\nwant %s", name, build.text, c.want)
		}
	}
}

func TestALongListOfMistakesIsCut(t *testing.T) {
	t.Parallel()
	text := placed(strings.Repeat("./x.go:1:1: no\n", 3*maxBuildOutput), t.TempDir())
	if lines := strings.Split(text, "\n"); len(lines) != maxBuildOutput+1 || !strings.Contains(lines[maxBuildOutput], "80 more lines") {
		t.Errorf("%d lines, the last of them %q", len(lines), lines[len(lines)-1])
	}
}

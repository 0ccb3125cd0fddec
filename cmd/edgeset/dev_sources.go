package main

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"time"
)

// goCommand is the Go tool for a plugin, in the folder of its package. It gets none
// of this process's settings, among which there may be secrets.
func goCommand(ctx context.Context, dir string, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, "go", args...)
	cmd.Dir = dir
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "EDGESET_") && !strings.HasPrefix(v, "PWD=") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, "GOOS=wasip1", "GOARCH=wasm", "CGO_ENABLED=0", "PWD="+dir)
	// The tool ends its compilers when it is interrupted, not when it is killed.
	cmd.Cancel = func() error { return cmd.Process.Signal(os.Interrupt) }
	cmd.WaitDelay = 5 * time.Second
	return cmd
}

// Sources are the files that a plugin is built from, as far as its author may edit
// them: those of the packages of local modules that it needs.
type sources struct {
	roots  []string        // folders of modules: all below is watched, as a package may come up there
	dirs   map[string]bool // folders of packages
	files  map[string]bool // go.mod, go.sum, go.work
	embeds []embedded
	places map[string]bool // folders of files that are embedded
	// broken: a package is missing or cannot be read, so that any file in Go may be
	// the one that is missing.
	broken bool
}

// embedded is a pattern of a "//go:embed".
type embedded struct{ dir, pattern string }

// holds tells whether the file is in the pattern, or in a folder that is.
func (e embedded) holds(path string) bool {
	rel, err := filepath.Rel(e.dir, path)
	if err != nil || rel == "." || strings.HasPrefix(rel, "..") {
		return false
	}
	for rel = filepath.ToSlash(rel); rel != "."; rel = filepath.ToSlash(filepath.Dir(rel)) {
		if ok, _ := filepath.Match(e.pattern, rel); ok { // a bad pattern does not build
			return true
		}
	}
	return false
}

// concern tells whether a change of a path may change the plugin.
func (s *sources) concern(path string) bool {
	if s.files[path] || s.dirs[path] {
		return true
	}
	name := filepath.Base(path)
	for _, e := range s.embeds {
		if e.holds(path) && !passing(name) {
			return true
		}
	}
	if passing(name) || strings.HasSuffix(name, "_test.go") {
		return false
	}
	ext := filepath.Ext(name)
	return (ext == ".go" || ext == ".s") && (s.broken || s.dirs[filepath.Dir(path)])
}

// folders are those that all of it lies in, beside the roots.
func (s *sources) folders() []string {
	all := maps.Clone(s.places)
	maps.Copy(all, s.dirs)
	for file := range s.files {
		all[filepath.Dir(file)] = true
	}
	return slices.Sorted(maps.Keys(all))
}

// passing tells that a file is an editor's own: a lock, a swap file, a backup.
func passing(name string) bool {
	return strings.HasPrefix(name, ".") || strings.HasPrefix(name, "#") || strings.HasSuffix(name, "~") ||
		strings.HasSuffix(name, ".tmp") || strings.HasSuffix(name, ".swp")
}

// listed is a package as "go list -json" has it.
type listed struct {
	Dir           string
	Standard      bool
	EmbedPatterns []string
	EmbedFiles    []string
	Incomplete    bool
	Module        *struct {
		Path, Dir, GoMod, Version string
		Main                      bool
		Replace                   *struct{ Version string }
	}
}

// local tells whether its module lies in a folder of somebody who works on it, and
// not in the cache of modules.
func (p *listed) local() bool {
	switch {
	case p.Standard || p.Dir == "":
		return false
	case p.Module == nil:
		return true
	case p.Module.Replace != nil:
		return p.Module.Replace.Version == ""
	}
	return p.Module.Main
}

// listSources asks the Go tool what the package in a folder is built from. It fails
// only where there is no package at all: what does not build is to be watched, too.
func listSources(ctx context.Context, dir string) (*sources, error) {
	s := &sources{dirs: map[string]bool{dir: true}, files: map[string]bool{}, places: map[string]bool{}}
	cmd := goCommand(ctx, dir, "list", "-e", "-deps", "-json=Dir,Standard,EmbedPatterns,EmbedFiles,Incomplete,Module", ".")
	var out, stderr bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &stderr
	if err := cmd.Run(); err != nil {
		s.broken, s.roots = true, []string{dir}
		for _, name := range []string{"go.mod", "go.sum"} { // it may be these that are wrong
			s.files[filepath.Join(moduleRoot(dir), name)] = true
		}
		if ctx.Err() == nil && stderr.Len() > 0 {
			err = &buildError{text: placed(stderr.String(), dir)}
		}
		return s, err
	}
	for d := json.NewDecoder(&out); ; {
		var p listed
		if err := d.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			return s, fmt.Errorf("go list in %s: %w", dir, err)
		}
		s.broken = s.broken || p.Incomplete
		if !p.local() {
			continue
		}
		s.dirs[p.Dir] = true
		for _, pattern := range p.EmbedPatterns {
			s.embeds = append(s.embeds, embedded{p.Dir, strings.TrimPrefix(pattern, "all:")})
		}
		for _, file := range p.EmbedFiles {
			s.places[filepath.Dir(filepath.Join(p.Dir, file))] = true
		}
		if m := p.Module; m != nil && m.Dir != "" {
			s.files[m.GoMod] = true
			if m.Main {
				s.files[filepath.Join(m.Dir, "go.sum")] = true
				if !slices.Contains(s.roots, m.Dir) {
					s.roots = append(s.roots, m.Dir)
				}
			}
		}
	}
	if len(s.roots) == 0 {
		s.roots = []string{dir}
	}
	if work, err := goCommand(ctx, dir, "env", "GOWORK").Output(); err == nil {
		if file := strings.TrimSpace(string(work)); file != "" && file != "off" {
			s.files[file] = true
		}
	}
	return s, nil
}

// moduleRoot returns the folder with the go.mod of a folder; the folder itself if
// there is none.
func moduleRoot(dir string) string {
	for at := dir; ; at = filepath.Dir(at) {
		if _, err := os.Stat(filepath.Join(at, "go.mod")); err == nil {
			return at
		}
		if at == filepath.Dir(at) {
			return dir
		}
	}
}

// A buildError is what the Go tool says of sources that do not build.
type buildError struct{ text string }

func (e *buildError) Error() string { return e.text }

// maxBuildOutput bounds what is shown of the Go tool's output, in lines.
const maxBuildOutput = 40

// buildPlugin builds the package in a folder to a file of Wasm. What does not
// compile is a *buildError.
func buildPlugin(ctx context.Context, dir, file string) error {
	cmd := goCommand(ctx, dir, "build", "-buildvcs=false", "-buildmode=c-shared", "-o", file, ".")
	var out bytes.Buffer
	cmd.Stdout, cmd.Stderr = &out, &out
	err := cmd.Run()
	switch {
	case err == nil:
	case ctx.Err() != nil:
		return context.Cause(ctx)
	case errors.Is(err, exec.ErrNotFound):
		return fmt.Errorf("build %s: %w: want Go installed, see https://go.dev/dl", dir, err)
	case out.Len() > 0:
		return &buildError{text: placed(out.String(), dir)}
	default:
		return fmt.Errorf("build %s: %w", dir, err)
	}
	return nil
}

var errorPlace = regexp.MustCompile(`^([^\s:][^:]*\.(?:go|mod|sum|s)):(\d+)`)

// placed is the Go tool's output with files named as they are seen from the folder
// that the author works in.
func placed(text, dir string) string {
	lines := strings.Split(strings.TrimSpace(text), "\n")
	if more := len(lines) - maxBuildOutput; more > 0 {
		lines = append(lines[:maxBuildOutput], fmt.Sprintf("(and %d more lines)", more))
	}
	for i, line := range lines {
		if at := errorPlace.FindStringSubmatch(line); at != nil {
			file := at[1]
			if !filepath.IsAbs(file) {
				file = filepath.Join(dir, file)
			}
			lines[i] = shortPath(file) + line[len(at[1]):]
		}
	}
	return strings.Join(lines, "\n")
}

// shortPath is a path from the folder that the author works in, if that is shorter.
func shortPath(path string) string {
	if here, err := os.Getwd(); err == nil {
		if rel, err := filepath.Rel(here, path); err == nil && len(rel) < len(path) {
			return rel
		}
	}
	return path
}

package main

import (
	"context"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strings"
	"syscall"
	"text/template"
)

// The files of a new plugin: each is named as it is here, less ".tmpl".
//
//go:embed template/*.tmpl
var pluginTemplate embed.FS

// module is what this is published as.
const module = "github.com/edgeset/edgeset"

var (
	pluginName     = regexp.MustCompile(`^[a-z][a-z0-9-]{0,22}$`)
	releaseVersion = regexp.MustCompile(`^v\d+\.\d+\.\d+$`)
	goDirective    = regexp.MustCompile(`(?m)^go (\S+)$`)
)

// pluginNew writes a plugin to start from.
func pluginNew(args []string) error {
	f := newFlags("plugin new", "write a plugin to start from: edgeset plugin new NAME")
	dir := f.String("dir", "", "folder to write it into; none: one of its name")
	checkout := f.String("checkout", "", "folder with the sources of edgeset; none: the one that this binary or the plugin lies in")
	rest, err := f.parseWithArgs(args)
	if err != nil {
		return err
	}
	if len(rest) == 0 {
		return misused("plugin new: want a name for the plugin")
	}
	name := rest[0]
	if err := f.parse(rest[1:]); err != nil { // flags may stand behind the name
		return err
	}
	if !pluginName.MatchString(name) {
		return misused("plugin new: %q: want 1 to 23 of a-z, 0-9 and '-', a letter first", name)
	}
	if *dir == "" {
		*dir = name
	}
	return newPluginFiles(name, *dir, *checkout)
}

func newPluginFiles(name, dir, checkout string) error {
	dir, err := filepath.Abs(dir)
	if err != nil {
		return err
	}
	there, err := os.ReadDir(dir)
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("plugin new: %w", err)
	}
	if len(there) > 0 {
		return fmt.Errorf("plugin new: %s is not empty: want a folder that is new", dir)
	}
	fill, sums, err := pluginModule(dir, checkout)
	if err != nil {
		return fmt.Errorf("plugin new: %w", err)
	}
	fill["Name"] = name
	if err := os.Mkdir(dir, 0o755); err != nil && !errors.Is(err, fs.ErrExist) {
		return fmt.Errorf("plugin new: %w", err)
	}
	templates, err := template.ParseFS(pluginTemplate, "template/*.tmpl")
	if err != nil {
		return err
	}
	for _, t := range templates.Templates() {
		var text strings.Builder
		if err := t.Execute(&text, fill); err != nil {
			return err
		}
		if err := os.WriteFile(filepath.Join(dir, strings.TrimSuffix(t.Name(), ".tmpl")), []byte(text.String()), 0o644); err != nil {
			return fmt.Errorf("plugin new: %w", err)
		}
	}
	if sums != nil {
		if err := os.WriteFile(filepath.Join(dir, "go.sum"), sums, 0o644); err != nil {
			return fmt.Errorf("plugin new: %w", err)
		}
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM, syscall.SIGINT)
	defer stop()
	if out, err := goCommand(ctx, dir, "mod", "tidy").CombinedOutput(); err != nil {
		if errors.Is(err, exec.ErrNotFound) {
			err = fmt.Errorf("%w: want Go installed, see https://go.dev/dl", err)
		}
		return fmt.Errorf("plugin new: %s is written, but \"go mod tidy\" in it: %w\n%s", dir, err, strings.TrimSpace(string(out)))
	}
	fmt.Printf("%s is a plugin that counts visits. Now:\n\n  cd %s\n  edgeset dev     # serves it, and each change of it\n  go test ./...   # tests it\n",
		name, shellQuoted(shortPath(dir)))
	return nil
}

// pluginModule finds out what the go.mod of a plugin in a folder says of edgeset, and
// what its go.sum may begin with. A binary of a release needs nothing but its
// version; any other, its sources.
func pluginModule(dir, checkout string) (fill map[string]any, sums []byte, err error) {
	fill = map[string]any{"Module": module, "Version": version(), "Go": "1.26.0"}
	found := checkout
	if found == "" {
		if found = checkoutAbove(dir); found == "" {
			if exe, err := os.Executable(); err == nil {
				found = checkoutAbove(filepath.Dir(exe))
			}
		}
		if found == "" && releaseVersion.MatchString(version()) {
			return fill, nil, nil
		}
		if found == "" {
			return nil, nil, fmt.Errorf("this edgeset (%s) is no release: want --checkout, the folder with its sources", version())
		}
	}
	if found, err = filepath.Abs(found); err != nil {
		return nil, nil, err
	}
	if !isCheckout(found) {
		return nil, nil, fmt.Errorf("--checkout %s: want the folder with the go.mod of %s", found, module)
	}
	mod, err := os.ReadFile(filepath.Join(found, "go.mod"))
	if err != nil {
		return nil, nil, err
	}
	if at := goDirective.FindSubmatch(mod); at != nil {
		fill["Go"] = string(at[1])
	}
	fill["Version"], fill["Replace"] = "v0.0.0", found
	if rel, err := filepath.Rel(found, dir); err == nil && filepath.IsLocal(rel) { // both move together
		back, err := filepath.Rel(dir, found)
		if err != nil {
			return nil, nil, err
		}
		fill["Replace"] = back
	}
	if strings.ContainsAny(fill["Replace"].(string), " \"'`\t") {
		fill["Replace"] = fmt.Sprintf("%q", fill["Replace"])
	}
	sums, err = os.ReadFile(filepath.Join(found, "go.sum"))
	return fill, sums, err
}

// checkoutAbove returns the folder with the sources of edgeset that a folder lies in;
// "" if there is none.
func checkoutAbove(dir string) string {
	for ; ; dir = filepath.Dir(dir) {
		if isCheckout(dir) {
			return dir
		}
		if dir == filepath.Dir(dir) {
			return ""
		}
	}
}

var modulePath = regexp.MustCompile(`(?m)^module ` + regexp.QuoteMeta(module) + `\s*$`)

func isCheckout(dir string) bool {
	mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	return err == nil && modulePath.Match(mod)
}

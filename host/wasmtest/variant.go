package wasmtest

import (
	"crypto/sha256"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// An Edit changes a source file for one build: the file itself stays as it is.
type Edit struct {
	File string // relative to the module's root: "plugins/sharing/envelope.go"
	Old  string // a text that stands in it once; "": there is no such file, and New is the whole of it
	New  string
}

// BuildVariant is Build with some of the sources changed: those of the plugin, or
// of a package that it imports.
func BuildVariant(t testing.TB, pkgDir string, edits ...Edit) []byte {
	t.Helper()
	key := fmt.Sprintf("%s %x", pkgDir, sha256.Sum256(fmt.Appendf(nil, "%q", edits)))
	return once(t, key, "a variant of "+pkgDir, func() ([]byte, error) { return compile(pkgDir, "", edits) })
}

// writeOverlay writes the edited files into dir, and the file that tells the go
// command which ones they stand for.
func writeOverlay(dir, root string, edits []Edit) (file string, err error) {
	texts := map[string]string{}
	for _, e := range edits {
		if !filepath.IsLocal(e.File) {
			return "", fmt.Errorf("edit of %q: want a path relative to the module's root", e.File)
		}
		source := filepath.Join(root, e.File)
		text, edited := texts[source]
		if !edited {
			b, err := os.ReadFile(source)
			switch {
			case e.Old != "" && err != nil:
				return "", fmt.Errorf("edit: %w", err)
			case e.Old == "" && err == nil:
				return "", fmt.Errorf("edit of %s: it is there already: want an edit that says what to replace", e.File)
			}
			text = string(b)
		}
		if e.Old == "" {
			texts[source] = e.New
			continue
		}
		if n := strings.Count(text, e.Old); n != 1 {
			return "", fmt.Errorf("edit of %s: %q stands there %d times: want it once", e.File, e.Old, n)
		}
		texts[source] = strings.Replace(text, e.Old, e.New, 1)
	}
	var overlay struct{ Replace map[string]string }
	overlay.Replace = map[string]string{}
	for source, text := range texts {
		edited := filepath.Join(dir, fmt.Sprintf("%d.go", len(overlay.Replace)))
		if err := os.WriteFile(edited, []byte(text), 0o600); err != nil {
			return "", err
		}
		overlay.Replace[source] = edited
	}
	b, err := json.Marshal(overlay)
	if err != nil {
		return "", err
	}
	file = filepath.Join(dir, "overlay.json")
	return file, os.WriteFile(file, b, 0o600)
}

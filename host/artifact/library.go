package artifact

import (
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"time"
)

// A Library keeps plugins in a folder, each in a file that is named by its digest:
// <hex>.wasm. A file comes there whole, by being renamed, and never changes. Its
// methods may be called concurrently; the folder belongs to one process.
type Library struct {
	dir string
	// mu has those who put plugins in, who hold it together, keep off who takes some
	// out: what is just being put in is not in use yet.
	mu sync.RWMutex
}

// Endings of the names of files.
const (
	wasmEnding = ".wasm"
	newEnding  = ".new" // is being written
)

// OpenLibrary opens the library in a folder, which is made if it is not there, and
// removes what a process that was ended has not finished writing.
func OpenLibrary(dir string) (*Library, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("artifact: library: %w", err)
	}
	l := &Library{dir: dir}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("artifact: library: %w", err)
	}
	for _, e := range entries {
		if e.Type().IsRegular() && strings.HasSuffix(e.Name(), newEnding) {
			if err := os.Remove(filepath.Join(dir, e.Name())); err != nil {
				return nil, fmt.Errorf("artifact: library: %w", err)
			}
		}
	}
	return l, nil
}

func (l *Library) file(d Digest) string { return filepath.Join(l.dir, d.Hex()+wasmEnding) }

// Put keeps a plugin. When it returns without an error, the plugin stays, also if
// power fails.
func (l *Library) Put(wasm []byte) (Digest, error) {
	if len(wasm) > MaxSize {
		return "", fmt.Errorf("artifact: library: a plugin of %d bytes: want at most %d", len(wasm), MaxSize)
	}
	l.mu.RLock()
	defer l.mu.RUnlock()
	d := DigestOf(wasm)
	if err := l.put(d, wasm); err != nil {
		return "", fmt.Errorf("artifact: library: keep plugin %s: %w", d, err)
	}
	return d, nil
}

func (l *Library) put(d Digest, wasm []byte) error {
	// One that is there already counts as new, so that Prune leaves it alone. One
	// that is damaged is replaced.
	now := time.Now()
	if _, err := l.Get(d); err == nil && os.Chtimes(l.file(d), now, now) == nil {
		return syncDir(l.dir)
	}
	f, err := os.CreateTemp(l.dir, d.Hex()+".*"+newEnding)
	if err != nil {
		return err
	}
	_, err = f.Write(wasm)
	if err == nil {
		err = f.Sync()
	}
	err = errors.Join(err, f.Close())
	if err == nil {
		err = os.Rename(f.Name(), l.file(d))
	}
	if err != nil {
		return errors.Join(err, os.Remove(f.Name()))
	}
	return syncDir(l.dir)
}

// syncDir makes the names in a folder durable.
func syncDir(dir string) error {
	f, err := os.Open(dir)
	if err != nil {
		return err
	}
	return errors.Join(f.Sync(), f.Close())
}

// Get returns a plugin. The error is fs.ErrNotExist if the library does not have it;
// bytes that are not those that were put in are never returned.
func (l *Library) Get(d Digest) ([]byte, error) {
	if _, err := ParseDigest(string(d)); err != nil {
		return nil, fmt.Errorf("artifact: library: %w", err)
	}
	wasm, err := os.ReadFile(l.file(d))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, fmt.Errorf("artifact: library %s has no plugin %s: %w", l.dir, d, fs.ErrNotExist)
	}
	if err != nil {
		return nil, fmt.Errorf("artifact: library: %w", err)
	}
	if got := DigestOf(wasm); got != d {
		return nil, fmt.Errorf("artifact: library: %s is damaged: it has digest %s; put the plugin in again, or remove the file", l.file(d), got)
	}
	return wasm, nil
}

// Has tells whether the library has a plugin.
func (l *Library) Has(d Digest) bool {
	if _, err := ParseDigest(string(d)); err != nil {
		return false
	}
	info, err := os.Stat(l.file(d))
	return err == nil && info.Mode().IsRegular()
}

// Size returns the bytes of a plugin; 0 if the library has it not.
func (l *Library) Size(d Digest) int64 {
	info, err := os.Stat(l.file(d))
	if err != nil {
		return 0
	}
	return info.Size()
}

// Prune removes the plugins that are not used and were put in longer ago than older.
func (l *Library) Prune(used map[Digest]bool, older time.Duration) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	entries, err := os.ReadDir(l.dir)
	if err != nil {
		return fmt.Errorf("artifact: library: %w", err)
	}
	var errs []error
	for _, e := range entries {
		digits, ok := strings.CutSuffix(e.Name(), wasmEnding)
		d, err := ParseDigest(digestScheme + digits)
		if !ok || err != nil || used[d] {
			continue
		}
		if info, err := e.Info(); err != nil || time.Since(info.ModTime()) <= older {
			continue // also if somebody else has removed it
		}
		errs = append(errs, os.Remove(l.file(d)))
	}
	if err := errors.Join(errs...); err != nil {
		return fmt.Errorf("artifact: library: remove what is not used: %w", err)
	}
	return nil
}

package engine

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/tetratelabs/wazero"
	"github.com/tetratelabs/wazero/experimental"
)

// tempPrefix begins the names of what is not finished.
const tempPrefix = "next-"

// fill compiles a plugin into the cache.
//
// wazero names a file after the module that it was given, so that the code of
// the whole module has to be put where wazero looks for that of its outline. The
// name is found by having the outline compiled as well, which takes no time.
func (c *codeCache) fill(ctx context.Context, digest string, wasm []byte, workers int) error {
	m, err := prepare(wasm)
	if err != nil {
		return err
	}
	whole := m.Encode()
	outline := m.Outline(sha256.Sum256(whole)).Encode()
	temp, err := os.MkdirTemp(c.dir, tempPrefix)
	if err != nil {
		return err
	}
	defer os.RemoveAll(temp)
	code, err := compileTo(ctx, filepath.Join(temp, "whole"), whole, workers)
	if err != nil {
		return err
	}
	size, sum, err := checksum(code)
	if err != nil {
		return err
	}
	place, err := compileTo(ctx, filepath.Join(temp, "outline"), outline, 1)
	if err != nil {
		return err
	}
	name, err := filepath.Rel(filepath.Join(temp, "outline"), place)
	if err != nil {
		return err
	}
	if err := os.MkdirAll(filepath.Dir(filepath.Join(c.dir, name)), 0o700); err != nil {
		return err
	}
	if err := os.Rename(code, filepath.Join(c.dir, name)); err != nil {
		return err
	}
	if err := c.write(entry{Digest: digest, Code: name, Size: size, Sum: sum}, outline); err != nil {
		return err
	}
	c.prune()
	return nil
}

// compileTo compiles a module into an empty folder, and returns the only file
// that is then there.
func compileTo(ctx context.Context, dir string, wasm []byte, workers int) (file string, err error) {
	cache, err := wazero.NewCompilationCacheWithDir(dir)
	if err != nil {
		return "", err
	}
	rt := wazero.NewRuntimeWithConfig(ctx, wazero.NewRuntimeConfig().WithCompilationCache(cache))
	defer func() { err = errors.Join(err, rt.Close(ctx), cache.Close(ctx)) }()
	code, err := rt.CompileModule(experimental.WithCompilationWorkers(ctx, workers), wasm)
	if err != nil {
		return "", err
	}
	if err := code.Close(ctx); err != nil {
		return "", err
	}
	files, err := filepath.Glob(filepath.Join(dir, "*", "*"))
	if err != nil || len(files) != 1 {
		return "", fmt.Errorf("wazero's cache has %d files of one module: %w", len(files), err)
	}
	return files[0], nil
}

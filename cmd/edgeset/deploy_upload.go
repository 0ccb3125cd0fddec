package main

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/edgeset/edgeset/host/artifact"
	"github.com/edgeset/edgeset/host/deploy"
	"github.com/edgeset/edgeset/host/rollout"
)

// isFile tells whether the source of a plugin is a file.
func isFile(source string) bool {
	return !strings.HasPrefix(source, embeddedSource+":") && !strings.Contains(source, "://")
}

// inFolder is the file that a manifest in a folder means.
func inFolder(dir, source string) string {
	if filepath.IsAbs(source) {
		return source
	}
	return filepath.Join(dir, source)
}

// A fileError is one of a plugin whose source is a file.
func fileError(d *deploy.Spec, p *deploy.PluginSpec, err error) error {
	return fmt.Errorf("deployment %q: plugin %q: source: %w", d.Name, p.Name, err)
}

// readFiles reads the plugins of a manifest whose sources are files, each once.
func readFiles(m *deploy.Manifest, dir string) (map[string][]byte, error) {
	found := map[string][]byte{}
	var errs []error
	for i := range m.Deployments {
		d := &m.Deployments[i]
		for k := range d.Plugins {
			p := &d.Plugins[k]
			if !isFile(p.Source) {
				continue
			}
			wasm, ok := found[p.Source]
			if !ok {
				var err error
				if wasm, err = readBounded(inFolder(dir, p.Source), artifact.MaxSize); err != nil {
					errs = append(errs, fileError(d, p, err))
					continue
				}
				found[p.Source] = wasm
			}
			if have := string(artifact.DigestOf(wasm)); p.Digest != "" && have != p.Digest {
				errs = append(errs, fileError(d, p, fmt.Errorf("%s is %s; want digest %s", inFolder(dir, p.Source), have, p.Digest)))
			}
		}
	}
	return found, errors.Join(errs...)
}

// readBounded reads a file that is not larger than limit.
func readBounded(file string, limit int64) ([]byte, error) {
	f, err := os.Open(file)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	var b bytes.Buffer
	if info, err := f.Stat(); err == nil && info.Mode().IsRegular() {
		b.Grow(int(min(info.Size(), limit)) + bytes.MinRead)
	}
	n, err := b.ReadFrom(io.LimitReader(f, limit+1))
	if err == nil && n > limit {
		err = fmt.Errorf("%s is larger than %d bytes", file, limit)
	}
	return b.Bytes(), err
}

// upload gives the host those plugins of a manifest whose sources are files, and that it
// does not have.
func (o operator) upload(ctx context.Context, m *deploy.Manifest, dir string, p *progress) (map[string]rollout.Upload, error) {
	files, err := readFiles(m, dir)
	if err != nil {
		return nil, err
	}
	uploads := map[string]rollout.Upload{}
	for source, wasm := range files {
		signature, err := artifact.ReadSignature(inFolder(dir, source))
		if err != nil {
			return nil, err
		}
		digest := string(artifact.DigestOf(wasm))
		uploads[source] = rollout.Upload{Digest: digest, Signature: signature}
		path := apiPath("plugins", digest)
		_, err = o.do(ctx, call{method: "HEAD", path: path})
		var missing *refusal
		if errors.As(err, &missing) && missing.status == 404 {
			err = o.put(ctx, path, source, wasm, p)
		}
		if err != nil {
			return nil, err
		}
	}
	return uploads, nil
}

// uploadTime is how long the upload of a plugin may take.
const uploadTime = 15 * time.Minute

func (o operator) put(ctx context.Context, path, source string, wasm []byte, p *progress) error {
	size := int64(len(wasm))
	body := &counted{Reader: bytes.NewReader(wasm), tell: func(done int64) {
		p.show("uploading "+printable(source), part(done, size))
	}}
	_, err := o.do(ctx, call{method: "PUT", path: path, body: body, size: size, timeout: uploadTime})
	if err != nil {
		return fmt.Errorf("upload %s: %w", source, err)
	}
	return nil
}

// counted tells how much of it was read.
type counted struct {
	io.Reader
	tell func(done int64)
	done int64
}

func (c *counted) Read(p []byte) (int, error) {
	n, err := c.Reader.Read(p)
	c.done += int64(n)
	c.tell(c.done)
	return n, err
}

package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"strings"
	"time"

	"github.com/edgeset/edgeset/host/artifact"
	"github.com/edgeset/edgeset/host/deploy"
	"github.com/edgeset/edgeset/plugins"
)

// readSource reads a plugin wherever it is: in a registry, embedded, or in a file,
// beside which its signature may stand. Only one of a registry has a Reference.
func readSource(ctx context.Context, source string) (p artifact.Pulled, err error) {
	if strings.HasPrefix(source, artifact.Scheme) {
		ref, err := artifact.ParseReference(source)
		if err != nil {
			return p, err
		}
		return fetch(ctx, ref)
	}
	info, err := os.Stat(source)
	isFile := err == nil
	if isFile && info.Size() > artifact.MaxSize {
		return p, fmt.Errorf("source: %s has %d bytes: want a plugin of at most %d", source, info.Size(), artifact.MaxSize)
	}
	if p.Wasm, err = deploy.ReadSource(plugins.Wasm(), source); err != nil {
		return p, err
	}
	if isFile {
		p.Signature, err = artifact.ReadSignature(source)
	}
	return p, err
}

// fetch pulls a plugin and shows how far that has come.
func fetch(ctx context.Context, ref artifact.Reference) (artifact.Pulled, error) {
	bar := newTransfer(os.Stderr, "pulled", ref)
	p, err := artifact.Pull(ctx, ref, artifact.PullOptions{Progress: bar.report})
	bar.end(err)
	return p, err
}

// A transfer shows how far the bytes of a plugin have come: on a terminal a line that
// is drawn anew, elsewhere one line at the end.
type transfer struct {
	out      *os.File
	terminal bool
	verb     string // "pulled"
	what     string
	begin    time.Time
	drawn    time.Time // the last time
	done     int64
}

// drawEvery is how often the line is drawn, at most.
const drawEvery = 100 * time.Millisecond

func newTransfer(out *os.File, verb string, ref artifact.Reference) *transfer {
	ref.Digest = "" // so that the line fits on a terminal
	info, err := out.Stat()
	terminal := err == nil && info.Mode()&os.ModeCharDevice != 0 && os.Getenv("TERM") != "dumb"
	return &transfer{out: out, terminal: terminal, verb: verb, what: ref.String(), begin: time.Now()}
}

func (t *transfer) report(done, total int64) {
	t.done = done
	if now := time.Now(); t.terminal && (now.Sub(t.drawn) >= drawEvery || done == total) {
		t.drawn = now
		fmt.Fprintf(t.out, "\r\x1b[K%s: %s of %s (%d %%)", t.what, mebibytes(done), mebibytes(total), 100*done/max(1, total))
	}
}

// end takes the line away, and says what was done if it was done.
func (t *transfer) end(err error) {
	if t.terminal && !t.drawn.IsZero() {
		fmt.Fprint(t.out, "\r\x1b[K")
	}
	if err == nil && t.done > 0 {
		fmt.Fprintf(t.out, "%s %s: %s in %v\n", t.verb, t.what, mebibytes(t.done), time.Since(t.begin).Round(time.Millisecond))
	}
}

func mebibytes(n int64) string { return fmt.Sprintf("%.1f MiB", float64(n)/(1<<20)) }

// pluginPull prints a line: the plugin's digest, its size, the file that it is in, and
// the reference with the digest of what was pulled.
func pluginPull(args []string) error {
	f := newFlags("plugin pull", "fetch a plugin from an OCI registry: pull oci://HOST[:PORT]/REPOSITORY[:TAG][@sha256:DIGEST]")
	out := f.String("o", "", "file to write it to; none: the last word of the repository, with .wasm behind it")
	trusted := f.String("plugin-keys", "", "file of minisign public keys, one of which must have signed it; none: its signature is not looked at")
	rest, err := f.parseAnywhere(args)
	if err != nil {
		return err
	}
	if len(rest) != 1 {
		return misused("plugin pull: want one reference, such as oci://registry.example/plugins/signing:1.4")
	}
	ref, err := artifact.ParseReference(rest[0])
	if err != nil {
		return misused("plugin pull: %v", err)
	}
	keys, err := readKeys(*trusted)
	if err != nil {
		return err
	}
	ctx, stop := interruptible()
	defer stop()
	p, err := fetch(ctx, ref)
	if err != nil {
		return err
	}
	if keys != nil {
		if _, err := keys.Verify(p.Wasm, p.Signature); err != nil {
			return fmt.Errorf("%s: %w", ref, err)
		}
	}
	file := *out
	if file == "" {
		file = path.Base(ref.Repository) + ".wasm"
	}
	if err := writePlugin(file, p); err != nil {
		return err
	}
	fmt.Printf("%s  %d  %s  %s\n", artifact.DigestOf(p.Wasm), len(p.Wasm), file, p.Reference)
	return nil
}

// readKeys reads the keys that are trusted; it returns nil if no file is named.
func readKeys(file string) (*artifact.Keys, error) {
	if file == "" {
		return nil, nil
	}
	return artifact.ReadKeys(file)
}

// writePlugin writes a plugin, and its signature beside it. The signature of what was
// in that file before does not stay.
func writePlugin(file string, p artifact.Pulled) error {
	if err := writeWhole(file, p.Wasm); err != nil {
		return err
	}
	if p.Signature != "" {
		return writeWhole(file+artifact.SignatureEnding, []byte(p.Signature))
	}
	if err := os.Remove(file + artifact.SignatureEnding); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return err
	}
	return nil
}

// writeWhole writes a file so that whoever reads it finds all of it.
func writeWhole(file string, data []byte) error {
	next, err := os.CreateTemp(filepath.Dir(file), filepath.Base(file)+".*")
	if err != nil {
		return err
	}
	_, err = next.Write(data)
	if err == nil {
		err = next.Chmod(0o644)
	}
	err = errors.Join(err, next.Close())
	if err == nil {
		err = os.Rename(next.Name(), file)
	}
	if err != nil {
		return errors.Join(err, os.Remove(next.Name()))
	}
	return nil
}

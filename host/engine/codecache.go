package engine

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"hash/crc32"
	"io"
	"io/fs"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"time"

	"golang.org/x/sys/cpu"

	"github.com/edgeset/edgeset/host/rewrite"
)

// A codeCache keeps what plugins were compiled to, in a folder:
//
//	<key>/                   what this host makes of plugins on this machine
//	  <digest>.plugin        an entry: the outline of a plugin, and what is its code
//	  wazero-…/<name>        the machine code, in wazero's own form
//
// Processes may share the folder. Files come into it whole, by being renamed, and
// whatever is missing in it, or damaged, is compiled again.
type codeCache struct {
	root string
	dir  string // root/<key>
}

// errDamaged is the error of an entry that is there and cannot be used.
var errDamaged = errors.New("damaged")

func openCodeCache(root string) (*codeCache, error) {
	if err := secureDir(root); err != nil {
		return nil, err
	}
	c := &codeCache{root: root, dir: filepath.Join(root, cacheKey())}
	if err := os.Mkdir(c.dir, 0o700); err != nil && !errors.Is(err, fs.ErrExist) {
		return nil, fmt.Errorf("engine: compilation cache: %w", err)
	}
	return c, nil
}

// cacheKey tells apart what differs in what becomes of the same plugin: the
// rewriting, wazero, the compiler of this host, and the features of the CPU that
// wazero makes use of. Others must not be part of it: what one machine has
// compiled is to run on others.
func cacheKey() string {
	var wazero string
	if info, ok := debug.ReadBuildInfo(); ok {
		for _, m := range info.Deps {
			if m.Path == "github.com/tetratelabs/wazero" {
				wazero = fmt.Sprintf("%s %+v", m.Version, m.Replace)
			}
		}
	}
	x86, arm := &cpu.X86, &cpu.ARM64
	sum := sha256.Sum256(fmt.Append(nil, rewrite.Version(), wazero, runtime.Version(), runtime.GOOS, runtime.GOARCH,
		x86.HasSSE41, x86.HasBMI1, x86.HasBMI2, x86.HasPOPCNT, arm.HasATOMICS))
	return hex.EncodeToString(sum[:8])
}

// An entry is the first line of its file, as JSON. The outline follows, and the
// checksum of both.
type entry struct {
	Digest string `json:"digest"` // of the plugin
	Code   string `json:"code"`   // file of the machine code, in the cache's folder
	Size   int64  `json:"size"`   // of that file
	Sum    uint32 `json:"sum"`    // its checksum
}

func (c *codeCache) file(digest string) string { return filepath.Join(c.dir, digest+".plugin") }

// read returns the outline of a plugin whose machine code is there. The error is
// fs.ErrNotExist if the plugin was never compiled, or its code was deleted, and
// errDamaged if something is wrong with the files.
func (c *codeCache) read(digest string) (outline []byte, e entry, err error) {
	data, err := os.ReadFile(c.file(digest))
	if err != nil {
		return nil, e, err
	}
	body, sum := data[:max(0, len(data)-crc32.Size)], data[max(0, len(data)-crc32.Size):]
	line, outline, ok := bytes.Cut(body, []byte{'\n'})
	if !ok || crc32.Checksum(body, castagnoli) != binary.LittleEndian.Uint32(sum) {
		return nil, e, fmt.Errorf("%w: %s", errDamaged, c.file(digest))
	}
	if err := json.Unmarshal(line, &e); err != nil || e.Digest != digest || !filepath.IsLocal(e.Code) {
		return nil, e, fmt.Errorf("%w: %s is not the entry of this plugin", errDamaged, c.file(digest))
	}
	code := filepath.Join(c.dir, e.Code)
	size, crc, err := checksum(code)
	if err != nil {
		return nil, e, err
	}
	if size != e.Size || crc != e.Sum {
		return nil, e, fmt.Errorf("%w: %s", errDamaged, code)
	}
	// What was used last is deleted last. A cache that was filled for others to
	// read only is as good.
	now := time.Now()
	_ = os.Chtimes(c.file(digest), now, now)
	_ = os.Chtimes(code, now, now)
	return outline, e, nil
}

// write makes the entry of a plugin whose machine code is in the cache already.
func (c *codeCache) write(e entry, outline []byte) error {
	line, err := json.Marshal(e)
	if err != nil {
		return err
	}
	data := append(append(line, '\n'), outline...)
	data = binary.LittleEndian.AppendUint32(data, crc32.Checksum(data, castagnoli))
	next, err := os.CreateTemp(c.dir, tempPrefix)
	if err != nil {
		return err
	}
	_, err = next.Write(data)
	if err = errors.Join(err, next.Close()); err == nil {
		err = os.Rename(next.Name(), c.file(e.Digest))
	}
	if err != nil {
		_ = os.Remove(next.Name()) // the error says enough
	}
	return err
}

// castagnoli is the checksum that processors have an instruction for. It tells
// of accidents: against anybody who can write to the cache nothing would help.
var castagnoli = crc32.MakeTable(crc32.Castagnoli)

func checksum(file string) (size int64, sum uint32, err error) {
	f, err := os.Open(file)
	if err != nil {
		return 0, 0, err
	}
	defer f.Close()
	crc := crc32.New(castagnoli)
	size, err = io.CopyBuffer(struct{ io.Writer }{crc}, struct{ io.Reader }{f}, make([]byte, 256<<10))
	return size, crc.Sum32(), err
}

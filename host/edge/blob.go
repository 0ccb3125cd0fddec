package edge

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"io"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/store"
)

// A blob is kept in the space of its deployment, beside the keys of its plugin, where
// the plugin's own keys do not reach: they have a zero byte behind the plugin's name,
// variables a one, and these a two.
//
//	name 2 m id          → its size; there is one if the blob is kept
//	name 2 d id number   → a chunk of it
//	name 2 r id link     a name that is linked to it
//
// It is written in the transaction that links the first name, and deleted in the one
// that unlinks the last. So nothing has to be swept up: an upload that breaks off, a
// request that is refused and a crash leave nothing behind.
const (
	blobMark  = 2
	blobSize  = 'm'
	blobChunk = 'd'
	blobLink  = 'r'
)

// chunkSize is how many bytes of a blob stand in an entry: large enough to be kept
// apart from small entries, and small enough for what a client wants a part of.
const chunkSize = 256 << 10

// An Upload is a file that came with a request.
type Upload struct {
	abi.File
	Content *io.SectionReader
}

// uploads are the files of a request, and the blobs that were made of them, for all of
// its runs.
type uploads struct {
	files  []Upload
	kept   map[int]abi.Blob                 // by file
	images map[string]*abi.Image            // by the record of the query
	fresh  map[abi.BlobID]*io.SectionReader // that a name may be linked to

	wanted    *abi.ImageQuery // that the last run has failed for
	wantedKey string
}

// Upload has the call know the files of its request.
func (c *Call) Upload(files []Upload) { c.uploads = uploads{files: files} }

func appendBlobKey(dst []byte, plugin string, kind byte, id *abi.BlobID) []byte {
	dst = append(append(dst, plugin...), blobMark, kind)
	return append(dst, id[:]...)
}

func (c *Call) blobKey(kind byte, id *abi.BlobID) []byte {
	c.key = appendBlobKey(c.key[:0], c.plugin.Name, kind, id)
	return c.key
}

func (c *Call) chunkKey(id *abi.BlobID, n int64) []byte {
	c.key = binary.BigEndian.AppendUint32(c.blobKey(blobChunk, id), uint32(n))
	return c.key
}

// file returns a file of the request.
func (c *Call) file(index int) (*Upload, error) {
	if !c.plugin.granted(abi.GrantBlobs) {
		return nil, abi.ErrDenied
	}
	if index < 0 || index >= len(c.uploads.files) {
		return nil, abi.ErrArgument
	}
	return &c.uploads.files[index], nil
}

// offer lets names be linked to a blob for as long as the request lasts.
func (c *Call) offer(id abi.BlobID, content *io.SectionReader) {
	if c.uploads.fresh == nil {
		c.uploads.fresh = map[abi.BlobID]*io.SectionReader{}
	}
	c.uploads.fresh[id] = content
}

// KeepFile implements abi.Host.
func (c *Call) KeepFile(index int) (abi.Blob, error) {
	f, err := c.file(index)
	if err != nil {
		return abi.Blob{}, err
	}
	if b, made := c.uploads.kept[index]; made {
		return b, nil
	}
	h := sha256.New()
	if _, err := io.Copy(h, io.NewSectionReader(f.Content, 0, f.Size)); err != nil {
		c.failure = fmt.Errorf("edge: read the upload %q: %w", f.Name, err)
		return abi.Blob{}, abi.ErrHost
	}
	b := abi.Blob{ID: abi.BlobID(h.Sum(nil)), Size: f.Size}
	if c.uploads.kept == nil {
		c.uploads.kept = map[int]abi.Blob{}
	}
	c.uploads.kept[index] = b
	c.offer(b.ID, f.Content)
	return b, nil
}

// checkBlob checks a call that changes what is linked to a blob.
func (c *Call) checkBlob(name []byte) error {
	switch {
	case c.txn == nil || !c.plugin.granted(abi.GrantBlobs):
		return abi.ErrDenied
	case c.ReadOnly:
		return abi.ErrReadOnly
	case len(name) == 0 || len(name) > abi.MaxBlobName:
		return abi.ErrKey
	}
	return nil
}

// LinkBlob implements abi.Host.
func (c *Call) LinkBlob(id abi.BlobID, name []byte) error {
	if err := c.checkBlob(name); err != nil {
		return err
	}
	_, found, err := c.get(c.blobKey(blobSize, &id))
	if err != nil {
		return err
	}
	if !found {
		content := c.uploads.fresh[id]
		if content == nil {
			return abi.ErrArgument
		}
		if err := c.writeBlob(&id, content); err != nil {
			// The plugin may go on, and nobody would ever find the chunks.
			for at := int64(0); at < content.Size(); at += chunkSize {
				if err := c.txn.Delete(c.chunkKey(&id, at/chunkSize)); err != nil {
					return c.whole(err)
				}
			}
			return err
		}
	}
	return c.storeError(c.txn.Put(append(c.blobKey(blobLink, &id), name...), nil, 0))
}

func (c *Call) writeBlob(id *abi.BlobID, content *io.SectionReader) error {
	size := content.Size()
	room := make([]byte, min(size, chunkSize))
	for at := int64(0); at < size; at += chunkSize {
		chunk := room[:min(size-at, chunkSize)]
		if _, err := content.ReadAt(chunk, at); err != nil && !errors.Is(err, io.EOF) {
			c.failure = fmt.Errorf("edge: read a blob: %w", err)
			return abi.ErrHost
		}
		if err := c.storeError(c.txn.Put(c.chunkKey(id, at/chunkSize), chunk, 0)); err != nil {
			return err
		}
	}
	return c.storeError(c.txn.Put(c.blobKey(blobSize, id), binary.BigEndian.AppendUint64(nil, uint64(size)), 0))
}

// UnlinkBlob implements abi.Host.
func (c *Call) UnlinkBlob(id abi.BlobID, name []byte) error {
	if err := c.checkBlob(name); err != nil {
		return err
	}
	link := append(c.blobKey(blobLink, &id), name...)
	_, found, err := c.get(link)
	if err != nil || !found {
		return err
	}
	if err := c.storeError(c.txn.Delete(link)); err != nil {
		return err
	}
	// All that begin with the id, which has a fixed size. A name may begin with any byte.
	start := c.blobKey(blobLink, &id)
	c.end = append(append(c.end[:0], start...), bytes.Repeat([]byte{0xff}, abi.MaxBlobName+1)...)
	page, err := c.txn.Scan(store.Range{Start: start, End: c.end, Limit: 1, KeysOnly: true})
	if err != nil || len(page.Entries) > 0 {
		return c.storeError(err)
	}
	return c.whole(c.deleteBlob(&id))
}

// whole has the call fail as a whole with what leaves a blob half deleted: nobody would
// ever find the rest.
func (c *Call) whole(err error) error {
	if err != nil && c.failure == nil {
		c.failure = fmt.Errorf("edge: plugin %q: a part of a blob cannot be deleted: %w", c.plugin.Name, store.ErrTooLarge)
	}
	return err
}

func (c *Call) deleteBlob(id *abi.BlobID) error {
	size, _, err := c.FindBlob(*id)
	if err != nil {
		return err
	}
	for n := int64(0); n*chunkSize < size; n++ {
		if err := c.storeError(c.txn.Delete(c.chunkKey(id, n))); err != nil {
			return err
		}
	}
	return c.storeError(c.txn.Delete(c.blobKey(blobSize, id)))
}

// FindBlob implements abi.Host.
func (c *Call) FindBlob(id abi.BlobID) (size int64, found bool, err error) {
	if c.txn == nil || !c.plugin.granted(abi.GrantBlobs) {
		return 0, false, abi.ErrDenied
	}
	record, found, err := c.get(c.blobKey(blobSize, &id))
	if err != nil || !found {
		return 0, false, err
	}
	if len(record) != 8 {
		c.failure = fmt.Errorf("edge: blob %s has a size of %d bytes", id, len(record))
		return 0, false, abi.ErrHost
	}
	return int64(binary.BigEndian.Uint64(record)), true, nil
}

// ErrNoBlob is the failure of reading a blob that has been deleted meanwhile.
var ErrNoBlob = errors.New("edge: the blob is not kept any more")

// AppendBlob appends the part of a plugin's blob from an offset to dst: at most to the
// end of a chunk, so that a page of it is kept in memory and not the whole.
func AppendBlob(dst []byte, txn store.Txn, plugin string, id abi.BlobID, offset, limit int64) ([]byte, error) {
	key := binary.BigEndian.AppendUint32(appendBlobKey(nil, plugin, blobChunk, &id), uint32(offset/chunkSize))
	chunk, found, err := txn.Get(key)
	if err != nil {
		return dst, err
	}
	from := offset % chunkSize
	if !found || from >= int64(len(chunk)) {
		return dst, fmt.Errorf("%w: %s of plugin %q, at byte %d", ErrNoBlob, id, plugin, offset)
	}
	chunk = chunk[from:]
	return append(dst, chunk[:min(int64(len(chunk)), limit)]...), nil
}

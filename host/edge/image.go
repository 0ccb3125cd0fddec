package edge

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"
	"strings"

	"golang.org/x/sync/semaphore"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/picture"
)

// Pictures bounds the memory that decoding pictures takes, of all plugins of a host
// together. A request waits for its share of it for as long as it may last.
type Pictures struct {
	limits picture.Limits
	memory int64
	share  *semaphore.Weighted // of the memory for decoding
	files  *semaphore.Weighted // and of that for what is decoded
}

// maxFiles is how many bytes of files wait in memory to be decoded.
const maxFiles = 64 << 20

// NewPictures returns one that takes pictures of as many pixels, and has as many bytes
// for decoding them; 0 is the default of each.
func NewPictures(pixels, memory int64) *Pictures {
	if memory == 0 {
		memory = 512 << 20
	}
	return &Pictures{limits: picture.Limits{Pixels: pixels}, memory: memory, share: semaphore.NewWeighted(memory), files: semaphore.NewWeighted(maxFiles)}
}

// take and give bound the memory of files that are about to be decoded.
func (p *Pictures) take(ctx context.Context, size int64) error {
	return p.files.Acquire(ctx, min(size, maxFiles))
}
func (p *Pictures) give(size int64) { p.files.Release(min(size, maxFiles)) }

// make reads a picture and makes renditions of it.
func (p *Pictures) make(ctx context.Context, content []byte, boxes []picture.Box) (*picture.Picture, error) {
	info, err := picture.Inspect(content, p.limits)
	if err != nil {
		return nil, err
	}
	weight := info.Memory(boxes...)
	if weight > p.memory {
		return nil, &picture.Error{Code: picture.CodeTooLarge, Message: fmt.Sprintf(
			"the picture takes %d MiB of memory to decode; at most %d are given to one", weight>>20, p.memory>>20)}
	}
	if err := p.share.Acquire(ctx, weight); err != nil {
		return nil, err
	}
	defer p.share.Release(weight)
	return picture.Make(content, boxes, p.limits)
}

// ErrUnprepared is the failure of a run that has asked for a picture which is not made
// yet. Prepare makes it, and then the call is run again: it takes a hundred times as
// long as the rest, and in a transaction it would meet everybody else.
var ErrUnprepared = errors.New("edge: a picture has to be made before the call goes on")

// maxImages bounds how many pictures a request has made: they are the most expensive
// thing that a plugin can ask for.
const maxImages = 8

// Image implements abi.Host.
func (c *Call) Image(q *abi.ImageQuery) (*abi.Image, error) {
	if _, err := c.file(q.File); err != nil {
		return nil, err
	}
	if c.plugin.Pictures == nil {
		return nil, abi.ErrDenied
	}
	var w abi.Writer
	q.Append(&w)
	key := string(w.Value())
	if m := c.uploads.images[key]; m != nil {
		return m, nil
	}
	if len(c.uploads.images) == maxImages {
		return nil, abi.ErrTooLarge
	}
	c.uploads.wanted, c.uploads.wantedKey = q, key
	c.failure = ErrUnprepared
	return nil, abi.ErrHost
}

// Prepare makes the picture that the last run has asked for, outside of any run.
func (c *Call) Prepare() error {
	u := &c.uploads
	m, err := c.makeImage(&u.files[u.wanted.File], u.wanted)
	if err != nil {
		return err
	}
	if u.images == nil {
		u.images = map[string]*abi.Image{}
	}
	u.images[u.wantedKey] = m
	return nil
}

func (c *Call) makeImage(f *Upload, q *abi.ImageQuery) (*abi.Image, error) {
	if err := c.plugin.Pictures.take(c.ctx, f.Size); err != nil {
		return nil, err
	}
	defer c.plugin.Pictures.give(f.Size)
	content := make([]byte, f.Size)
	if _, err := f.Content.ReadAt(content, 0); err != nil && !errors.Is(err, io.EOF) {
		return nil, fmt.Errorf("edge: read the upload %q: %w", f.Name, err)
	}
	boxes := make([]picture.Box, len(q.Renditions))
	for i, r := range q.Renditions {
		boxes[i] = picture.Box(r)
	}
	made, err := c.plugin.Pictures.make(c.ctx, content, boxes)
	var refused *picture.Error
	if errors.As(err, &refused) {
		// Errors are not sentences, and messages are.
		message := strings.ToUpper(refused.Message[:1]) + refused.Message[1:] + "."
		return &abi.Image{Code: refused.Code, Message: message}, nil
	}
	if err != nil {
		return nil, err
	}
	m := &abi.Image{Format: made.Format, Width: made.Width, Height: made.Height}
	for _, r := range made.Renditions {
		b := abi.Blob{ID: sha256.Sum256(r.JPEG), Size: int64(len(r.JPEG)), Width: r.Width, Height: r.Height}
		c.offer(b.ID, io.NewSectionReader(bytes.NewReader(r.JPEG), 0, b.Size))
		m.Renditions = append(m.Renditions, b)
	}
	return m, nil
}

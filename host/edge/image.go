package edge

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"io"

	"golang.org/x/sync/semaphore"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/picture"
)

// Pictures bounds the memory that decoding pictures takes, of all plugins of a host
// together. A request waits for its share of it for as long as it may last.
type Pictures struct {
	limits picture.Limits
	memory int64
	share  *semaphore.Weighted
}

// NewPictures returns one that takes pictures of as many pixels, and has as many bytes
// for decoding them; 0 is the default of each.
func NewPictures(pixels, memory int64) *Pictures {
	if memory == 0 {
		memory = 512 << 20
	}
	return &Pictures{limits: picture.Limits{Pixels: pixels}, memory: memory, share: semaphore.NewWeighted(memory)}
}

// make reads a picture and makes renditions of it.
func (p *Pictures) make(ctx context.Context, content []byte, boxes []picture.Box) (*picture.Picture, error) {
	info, err := picture.Inspect(content, p.limits)
	if err != nil {
		return nil, err
	}
	weight := min(info.Memory(boxes...)+int64(len(content)), p.memory)
	if err := p.share.Acquire(ctx, weight); err != nil {
		return nil, err
	}
	defer p.share.Release(weight)
	return picture.Make(content, boxes, p.limits)
}

// Image implements abi.Host.
func (c *Call) Image(q *abi.ImageQuery) (*abi.Image, error) {
	f, err := c.file(q.File)
	if err != nil {
		return nil, err
	}
	if c.plugin.Pictures == nil {
		return nil, abi.ErrDenied
	}
	var w abi.Writer
	q.Append(&w)
	return once(&c.memo, question("image", w.Value()), func() (*abi.Image, error) { return c.makeImage(f, q) })
}

func (c *Call) makeImage(f *Upload, q *abi.ImageQuery) (*abi.Image, error) {
	content := make([]byte, f.Size)
	if _, err := f.Content.ReadAt(content, 0); err != nil && !errors.Is(err, io.EOF) {
		c.failure = fmt.Errorf("edge: read the upload %q: %w", f.Name, err)
		return nil, abi.ErrHost
	}
	boxes := make([]picture.Box, len(q.Renditions))
	for i, r := range q.Renditions {
		boxes[i] = picture.Box(r)
	}
	made, err := c.plugin.Pictures.make(c.ctx, content, boxes)
	var refused *picture.Error
	if errors.As(err, &refused) {
		return &abi.Image{Code: refused.Code, Message: refused.Message}, nil
	}
	if err != nil {
		return nil, c.over(err)
	}
	m := &abi.Image{Format: made.Format, Width: made.Width, Height: made.Height}
	for _, r := range made.Renditions {
		b := abi.Blob{ID: sha256.Sum256(r.JPEG), Size: int64(len(r.JPEG)), Width: r.Width, Height: r.Height}
		c.offer(b.ID, io.NewSectionReader(bytes.NewReader(r.JPEG), 0, b.Size))
		m.Renditions = append(m.Renditions, b)
	}
	return m, nil
}

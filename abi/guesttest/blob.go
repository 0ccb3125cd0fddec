package guesttest

import (
	"bytes"
	"crypto/sha256"
	"image"
	"image/color"
	_ "image/gif" // formats that a test may upload
	"image/jpeg"
	_ "image/png"
	"maps"

	"github.com/edgeset/edgeset/abi"
)

// A File is what a test uploads with a form.
type File struct {
	Field   string
	Name    string // "" is file.bin
	Type    string
	Content []byte
}

// A blob is what is kept, and the names that are linked to it.
type blob struct {
	content []byte
	names   map[string]bool
}

// Blobs returns how many blobs are kept.
func (h *Host) Blobs() int { return len(h.blobs) }

// Blob returns the bytes of a blob that is kept; nil if it is not.
func (h *Host) Blob(id abi.BlobID) []byte { return h.blobs[id].content }

// files returns what a request frame says of the files.
func files(list []File) []abi.File {
	var all []abi.File
	for _, f := range list {
		if f.Name == "" {
			f.Name = "file.bin"
		}
		all = append(all, abi.File{Field: f.Field, Name: f.Name, Type: f.Type, Size: int64(len(f.Content))})
	}
	return all
}

// Image implements abi.Host. It scales by leaving out pixels: quickly, and not well.
func (x *txn) Image(q *abi.ImageQuery) (*abi.Image, error) {
	if q.File < 0 || q.File >= len(x.files) {
		return nil, abi.ErrArgument
	}
	content := x.files[q.File].Content
	picture, format, err := image.Decode(bytes.NewReader(content))
	if err != nil {
		code := abi.ImageBad
		if format == "" {
			code = abi.ImageUnsupported
		}
		return &abi.Image{Code: code, Message: "The file is no picture: " + err.Error() + "."}, nil
	}
	size := picture.Bounds().Size()
	m := &abi.Image{Format: format, Width: size.X, Height: size.Y}
	for _, box := range q.Renditions {
		width, height := fit(size.X, size.Y, box)
		small := image.NewRGBA(image.Rect(0, 0, width, height))
		for y := range height {
			for i := range width {
				at := picture.Bounds().Min.Add(image.Pt(i*size.X/width, y*size.Y/height))
				small.Set(i, y, color.RGBAModel.Convert(picture.At(at.X, at.Y)))
			}
		}
		var out bytes.Buffer
		if err := jpeg.Encode(&out, small, nil); err != nil {
			return nil, err
		}
		b := x.fresh(out.Bytes())
		b.Width, b.Height = width, height
		m.Renditions = append(m.Renditions, b)
	}
	return m, nil
}

// fit returns the size of a picture that is made to fit into a box.
func fit(width, height int, box abi.Rendition) (int, int) {
	if width <= box.Width && height <= box.Height {
		return width, height
	}
	if width*box.Height > height*box.Width {
		return box.Width, max(1, height*box.Width/width)
	}
	return max(1, width*box.Height/height), box.Height
}

// fresh makes a blob that a name can be linked to for as long as the request lasts.
func (x *txn) fresh(content []byte) abi.Blob {
	id := abi.BlobID(sha256.Sum256(content))
	if x.pending == nil {
		x.pending = map[abi.BlobID][]byte{}
	}
	x.pending[id] = content
	return abi.Blob{ID: id, Size: int64(len(content))}
}

// KeepFile implements abi.Host.
func (x *txn) KeepFile(index int) (abi.Blob, error) {
	if index < 0 || index >= len(x.files) {
		return abi.Blob{}, abi.ErrArgument
	}
	return x.fresh(x.files[index].Content), nil
}

// LinkBlob implements abi.Host.
func (x *txn) LinkBlob(id abi.BlobID, name []byte) error {
	b, found := x.blobView[id]
	switch {
	case x.readOnly:
		return abi.ErrReadOnly
	case len(name) == 0 || len(name) > abi.MaxBlobName:
		return abi.ErrKey
	case !found && x.pending[id] == nil:
		return abi.ErrArgument
	case !found:
		b.content = x.pending[id]
	}
	b.names = maps.Clone(b.names)
	if b.names == nil {
		b.names = map[string]bool{}
	}
	b.names[string(name)] = true
	x.blobView[id] = b
	return nil
}

// UnlinkBlob implements abi.Host.
func (x *txn) UnlinkBlob(id abi.BlobID, name []byte) error {
	if x.readOnly {
		return abi.ErrReadOnly
	}
	b, found := x.blobView[id]
	if !found || !b.names[string(name)] {
		return nil
	}
	b.names = maps.Clone(b.names)
	if delete(b.names, string(name)); len(b.names) == 0 {
		delete(x.blobView, id)
		return nil
	}
	x.blobView[id] = b
	return nil
}

// FindBlob implements abi.Host.
func (x *txn) FindBlob(id abi.BlobID) (int64, bool, error) {
	b, found := x.blobView[id]
	return int64(len(b.content)), found, nil
}

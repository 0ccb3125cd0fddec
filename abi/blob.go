package abi

import (
	"encoding/base64"
)

// A BlobID names a blob by what is in it: the SHA-256 of its bytes.
type BlobID [32]byte

// String returns the id in 43 characters that are fit for URLs.
func (id BlobID) String() string { return base64.RawURLEncoding.EncodeToString(id[:]) }

// ParseBlobID reads what String returns.
func ParseBlobID(s string) (id BlobID, ok bool) {
	if len(s) != base64.RawURLEncoding.EncodedLen(len(id)) {
		return id, false
	}
	_, err := base64.RawURLEncoding.Strict().Decode(id[:], []byte(s))
	return id, err == nil
}

// A Blob is a sequence of bytes that the host keeps for a plugin, and whose bytes
// the plugin does not see.
type Blob struct {
	ID            BlobID
	Size          int64
	Width, Height int // of a picture
}

// Limits of blobs.
const (
	MaxBlobName = 200 // bytes of a name that is linked to a blob
	MaxBoxes    = 8   // renditions of a picture
	MaxBox      = 8192
)

// A File is a part of a form that came with a file name. What it says of itself is
// not to be trusted.
type File struct {
	Field string // name of the field
	Name  string // what the client calls the file
	Type  string // what the client says it is: a media type
	Size  int64
}

const fileFields = 4

// Append writes the file as a record.
func (f *File) Append(w *Writer) {
	w.FixedArray(fileFields)
	w.Text(f.Field)
	w.Text(f.Name)
	w.Text(f.Type)
	w.Int(f.Size)
}

// ReadFiles reads the files of a request frame; null is none.
func ReadFiles(v Value) []File {
	var list []File
	for it := v.Items(); it.Next(); {
		r := it.Value().Read()
		n := r.Array()
		f := File{Field: r.Text(), Name: r.Text(), Type: r.Text(), Size: r.Int()}
		r.Skip(n - fileFields)
		if n >= fileFields && r.Done() {
			list = append(list, f)
		}
	}
	return list
}

// An ImageQuery asks for renditions of a picture that was uploaded.
type ImageQuery struct {
	File       int // index in the request's files
	Renditions []Rendition
}

// A Rendition is a JPEG of a picture: the largest that fits into a box without
// being larger than the picture itself, upright, and without anything that the
// camera wrote beside the pixels.
type Rendition struct{ Width, Height int }

// An Image is what the host has found in a file.
type Image struct {
	// Code and Message say why it is no picture that can be used: Code is
	// ImageBad, ImageTooLarge or ImageUnsupported, and "" if there is nothing wrong.
	Code, Message string

	Format        string // "jpeg", "png", "gif" or "webp"
	Width, Height int    // as it is to be looked at
	Renditions    []Blob // in the order in which they were asked for
}

// Codes of an Image.
const (
	ImageBad         = "bad_image"         // broken, truncated, or more than a picture
	ImageTooLarge    = "image_too_large"   // of too many bytes or pixels
	ImageUnsupported = "unsupported_image" // of another format
)

const (
	imageQueryFields = 2
	imageFields      = 6
	blobFields       = 4
)

// Append writes the question as a record.
func (q *ImageQuery) Append(w *Writer) {
	w.FixedArray(imageQueryFields)
	w.Int(int64(q.File))
	w.FixedArray(len(q.Renditions))
	for _, b := range q.Renditions {
		w.FixedArray(2)
		w.Int(int64(b.Width))
		w.Int(int64(b.Height))
	}
}

// ReadImageQuery takes the record of a question apart and checks it.
func ReadImageQuery(record []byte) (*ImageQuery, error) {
	r := Value(record).Read()
	n := r.Array()
	q := &ImageQuery{File: int(r.Int())}
	boxes := r.Array()
	if n < imageQueryFields || q.File < 0 || boxes > MaxBoxes {
		return nil, ErrFrame
	}
	for range boxes {
		sides := r.Array()
		b := Rendition{Width: int(r.Int()), Height: int(r.Int())}
		r.Skip(sides - 2)
		if sides < 2 || b.Width < 1 || b.Height < 1 || b.Width > MaxBox || b.Height > MaxBox {
			return nil, ErrFrame
		}
		q.Renditions = append(q.Renditions, b)
	}
	r.Skip(n - imageQueryFields)
	if !r.Done() {
		return nil, ErrFrame
	}
	return q, nil
}

// Append writes the image as a record.
func (m *Image) Append(w *Writer) {
	w.FixedArray(imageFields)
	w.Text(m.Code)
	w.Text(m.Message)
	w.Text(m.Format)
	w.Int(int64(m.Width))
	w.Int(int64(m.Height))
	w.FixedArray(len(m.Renditions))
	for i := range m.Renditions {
		m.Renditions[i].Append(w)
	}
}

// ReadImage takes the record of an image apart.
func ReadImage(record []byte) (*Image, error) {
	r := Value(record).Read()
	n := r.Array()
	if n < imageFields {
		return nil, ErrFrame
	}
	m := &Image{Code: r.Text(), Message: r.Text(), Format: r.Text(), Width: int(r.Int()), Height: int(r.Int())}
	for it := r.Value().Items(); it.Next(); {
		b, err := ReadBlob(it.Value())
		if err != nil {
			return nil, err
		}
		m.Renditions = append(m.Renditions, b)
	}
	r.Skip(n - imageFields)
	if !r.Done() {
		return nil, ErrFrame
	}
	return m, nil
}

// Append writes the blob as a record.
func (b *Blob) Append(w *Writer) {
	w.FixedArray(blobFields)
	w.Bytes(b.ID[:])
	w.Int(b.Size)
	w.Int(int64(b.Width))
	w.Int(int64(b.Height))
}

// ReadBlob takes the record of a blob apart.
func ReadBlob(record []byte) (b Blob, err error) {
	r := Value(record).Read()
	n := r.Array()
	id := r.Bytes()
	b.Size, b.Width, b.Height = r.Int(), int(r.Int()), int(r.Int())
	r.Skip(n - blobFields)
	if n < blobFields || copy(b.ID[:], id) != len(b.ID) || len(id) != len(b.ID) || !r.Done() {
		return Blob{}, ErrFrame
	}
	return b, nil
}

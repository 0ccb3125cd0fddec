package picture

import (
	"bytes"
	"errors"
	"image"
	"image/gif"
	"image/jpeg"
	"image/png"
	"io"

	"golang.org/x/image/webp"
)

// decode makes pixels of content, and checks that they are those that its
// structure announced.
func (o *outline) decode(content []byte) (image.Image, error) {
	var img image.Image
	var err error
	r := bytes.NewReader(content[:o.end])
	switch o.Format {
	case "jpeg":
		img, err = jpeg.Decode(r)
	case "png":
		img, err = png.Decode(r)
	case "gif":
		var parts []io.Reader
		for _, p := range o.parts {
			parts = append(parts, bytes.NewReader(p))
		}
		img, err = gif.Decode(io.MultiReader(parts...))
	default:
		img, err = webp.Decode(r)
	}
	if err != nil {
		return nil, o.refusal(err)
	}
	whole := image.Rect(0, 0, o.width, o.height)
	if img.Bounds() != whole && (o.Format != "gif" || !img.Bounds().In(whole)) {
		return nil, bad("the %s is broken: it has other sizes in its pixels than in its header", o.name())
	}
	return img, nil
}

// refusal is what a client is told of a decoder's error.
func (o *outline) refusal(err error) error {
	var (
		jpegKind jpeg.UnsupportedError
		pngKind  png.UnsupportedError
	)
	switch {
	case errors.As(err, &jpegKind):
		return unsupported("the JPEG is of a kind that is not taken: %s", string(jpegKind))
	case errors.As(err, &pngKind):
		return unsupported("the PNG is of a kind that is not taken: %s", string(pngKind))
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return o.short("its pixels do")
	}
	return bad("the %s is broken: %s", o.name(), err)
}

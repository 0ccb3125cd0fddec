// Package picture turns what a stranger uploaded into pictures that are safe to
// show: JPEGs made from the pixels alone. Nothing else of an upload gets into
// them, be it where a camera stood, a thumbnail of what was cut away, or a
// script behind the last pixel.
//
// An upload is read twice. The first time only its structure is: what format it
// is, how large, where it ends and what a decoder would need for it. Most of
// what is hostile is refused then, before memory of any size is taken. Only
// what is left is decoded.
package picture

import (
	"fmt"
	"math"
)

// Limits bound what is taken. What is zero takes its default.
type Limits struct {
	Bytes  int64 // of an upload; 24 MiB
	Pixels int64 // that a decoder makes of it; 50 million
}

// A Box is what a rendition has to fit into.
type Box struct{ Width, Height int }

// A Rendition is a picture as JPEG, without any metadata.
type Rendition struct {
	JPEG          []byte
	Width, Height int
}

// A Picture is what Make makes of an upload.
type Picture struct {
	Format        string // "jpeg", "png", "gif" or "webp"
	Width, Height int    // as shown: with the orientation applied
	Renditions    []Rendition
}

// Info is what can be said about a picture without decoding it.
type Info struct {
	Format        string // "jpeg", "png", "gif" or "webp"
	Width, Height int    // as shown: with the orientation applied
	Pixels        int64

	decoding int64 // bytes that the decoder may take
}

// The codes of an Error.
const (
	CodeBad         = "bad_image"         // broken, or not whole, or not only a picture
	CodeTooLarge    = "image_too_large"   // above a limit
	CodeUnsupported = "unsupported_image" // of a format or a kind that is not taken
)

// An Error is why a picture is refused. The client is to blame for it, and
// Message is for the client to read.
type Error struct{ Code, Message string }

func (e *Error) Error() string { return e.Code + ": " + e.Message }

func bad(format string, args ...any) error {
	return &Error{CodeBad, fmt.Sprintf(format, args...)}
}

func tooLarge(format string, args ...any) error {
	return &Error{CodeTooLarge, fmt.Sprintf(format, args...)}
}

func unsupported(format string, args ...any) error {
	return &Error{CodeUnsupported, fmt.Sprintf(format, args...)}
}

const (
	// maxSide bounds width and height: a JPEG cannot be larger. Decoders of other
	// formats hold whole rows besides the picture, which have to be short.
	maxSide = 1<<16 - 1
	// maxBoxes bounds the renditions of one call.
	maxBoxes = 16
)

// Inspect reads the structure of a picture: enough to know its format and size,
// that it is whole, and that nothing follows it. It takes next to no memory.
// What it refuses is an *Error.
func Inspect(content []byte, limits Limits) (Info, error) {
	o, err := read(content, limits)
	if err != nil {
		return Info{}, err
	}
	return o.Info, nil
}

// Make decodes content and makes a JPEG for each box: the largest that fits,
// never enlarged. Transparent parts become white. The same content gives the
// same bytes for the same box, whatever the other boxes are and on every
// machine. What is refused for the sake of content is an *Error.
//
// A decode takes these bytes of memory a pixel at most: a baseline JPEG 3, a
// progressive one 15 (most cameras' 1.5 and 7.5; of RGB 7 and 19, of CMYK 8 and
// 24), GIF 1, PNG 4 or with 16 bits 8 (interlaced twice as many), WebP 5, or
// lossy 2, with transparency 8. See Info.Memory.
func Make(content []byte, boxes []Box, limits Limits) (*Picture, error) {
	if err := check(boxes); err != nil {
		return nil, err
	}
	o, err := read(content, limits)
	if err != nil {
		return nil, err
	}
	p := &Picture{Format: o.Format, Width: o.Width, Height: o.Height}
	if p.Renditions, err = o.render(content, boxes); err != nil {
		return nil, err
	}
	return p, nil
}

// render decodes and scales. The decoders are of the standard library and of
// golang.org/x/image. They are to be trusted, but a mistake that lets an upload
// take the host down would cost too much: a panic is an error about the picture
// like any other.
func (o *outline) render(content []byte, boxes []Box) (r []Rendition, err error) {
	defer func() {
		if p := recover(); p != nil {
			r, err = nil, bad("the %s is broken: its decoder gave up", o.name())
		}
	}()
	img, err := o.decode(content)
	if err != nil {
		return nil, err
	}
	return renditions(img, o, boxes)
}

// Memory is an upper bound of the bytes that Make takes for the picture, besides
// its content: the weight for a semaphore that bounds how much is decoded at a
// time.
func (i Info) Memory(boxes ...Box) int64 {
	// Planes as scaled and turned, the JPEG while it grows, and rows in between.
	const pixel, rest = 10, 1 << 20
	n := i.decoding + rest
	for _, b := range boxes {
		w, h := fit(i.Width, i.Height, b)
		n += pixel * int64(w) * int64(h)
	}
	return n
}

func check(boxes []Box) error {
	if len(boxes) > maxBoxes {
		return fmt.Errorf("picture: %d boxes for one picture; at most %d", len(boxes), maxBoxes)
	}
	for _, b := range boxes {
		if b.Width < 1 || b.Height < 1 {
			return fmt.Errorf("picture: a box of %d × %d; want 1 × 1 or more", b.Width, b.Height)
		}
	}
	return nil
}

// fit is the largest size of the shape w × h that fits into b, but not more than
// w × h.
func fit(w, h int, b Box) (int, int) {
	if w <= b.Width && h <= b.Height {
		return w, h
	}
	// Both sides are below 1<<16, and a box that binds is smaller than its side.
	if w*min(b.Height, maxSide) >= h*min(b.Width, maxSide) {
		return b.Width, max(1, (2*h*b.Width+w)/(2*w))
	}
	return max(1, (2*w*b.Height+h)/(2*h)), b.Height
}

func (l Limits) orDefault() Limits {
	if l.Bytes <= 0 {
		l.Bytes = 24 << 20
	}
	if l.Pixels <= 0 {
		l.Pixels = 50e6
	}
	// Sums of a few times as many bytes stay far below an overflow.
	l.Pixels = min(l.Pixels, math.MaxInt32)
	return l
}

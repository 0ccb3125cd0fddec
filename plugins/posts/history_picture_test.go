//go:build !wasip1

package main_test

import (
	"bytes"
	"crypto/sha256"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/gif"
	"image/jpeg"
	"image/png"
	"strings"
	"testing"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/abi/guest"
	"github.com/edgeset/edgeset/abi/guesttest"
)

// A picture is one that may be uploaded: of one colour, so that it is known again.
type picture struct {
	content       []byte
	width, height int
	colour        color.RGBA
	names         map[string]string // of its renditions, in their URLs
	refused       string            // the code of its refusal
}

func (p *picture) digest() [32]byte { return sha256.Sum256(p.content) }

// resembles tells whether a JPEG is the picture, made to fit into a box.
func (p *picture) resembles(content []byte, box int64) error {
	got, err := jpeg.Decode(bytes.NewReader(content))
	if err != nil {
		return fmt.Errorf("the picture is no JPEG: %w", err)
	}
	width, height := within(box, *p)
	size := got.Bounds().Size()
	if abs(size.X-int(width)) > 1 || abs(size.Y-int(height)) > 1 {
		return fmt.Errorf("the picture is of %v, want %d by %d", size, width, height)
	}
	is := color.RGBAModel.Convert(got.At(0, 0)).(color.RGBA)
	if abs(int(is.R)-int(p.colour.R))+abs(int(is.G)-int(p.colour.G))+abs(int(is.B)-int(p.colour.B)) > 24 {
		return fmt.Errorf("the picture is of the colour %v, want %v", is, p.colour)
	}
	return nil
}

func abs(n int) int { return max(n, -n) }

// newPictures makes the pictures of the histories. The last good one is what the
// plugin made of another, so that an original may be the rendition of another post.
func newPictures(t testing.TB) []picture {
	encoders := []func(*bytes.Buffer, image.Image) error{
		func(b *bytes.Buffer, m image.Image) error { return png.Encode(b, m) },
		func(b *bytes.Buffer, m image.Image) error { return gif.Encode(b, m, nil) },
		func(b *bytes.Buffer, m image.Image) error { return jpeg.Encode(b, m, nil) },
	}
	var list []picture
	for i, size := range [][2]int{{8, 8}, {10, 6}, {9, 13}, {200, 40}, {40, 300}, {700, 10}, {1700, 4}} {
		p := picture{width: size[0], height: size[1], names: map[string]string{}, colour: color.RGBA{uint8(i%3) * 127, uint8(i/3%3) * 127, 200, 255}}
		// A colour of the palette that GIF takes.
		if i%3 == 1 {
			p.colour = color.RGBA{0, 0, 255, 255}
		}
		m := image.NewRGBA(image.Rect(0, 0, p.width, p.height))
		draw.Draw(m, m.Bounds(), image.NewUniform(p.colour), image.Point{}, draw.Src)
		var b bytes.Buffer
		if err := encoders[i%3](&b, m); err != nil {
			t.Fatal(err)
		}
		p.content = b.Bytes()
		list = append(list, p)
	}
	c := guesttest.New(t, guest.Served())
	names := func(p *picture, ext string) {
		r := c.Do(newUpload(p, "image", callers["one"], map[string][]string{"udid": {"u"}}))
		if r.Status != 201 {
			t.Fatalf("the upload of a picture: %s", r)
		}
		for rendition := range renditions {
			p.names[rendition] = strings.TrimPrefix(r.Text(rendition), "http://edge.test/1.0/images/")
		}
		p.names["original"] = abi.BlobID(p.digest()).String() + ext
	}
	for i := range list {
		names(&list[i], []string{".png", ".gif", ".jpg"}[i%3])
	}
	again := picture{width: 40, height: 300, colour: list[4].colour, names: map[string]string{}}
	again.content = c.Do(guesttest.Request{Path: "/1.0/images/" + list[4].names["medium"]}).Raw
	names(&again, ".jpg")
	list = append(list, again)
	return append(list,
		picture{content: []byte("<svg xmlns='http://www.w3.org/2000/svg'/>"), refused: abi.ImageUnsupported},
		picture{content: list[0].content[:len(list[0].content)/2], refused: abi.ImageBad},
		picture{content: list[2].content[:len(list[2].content)/2], refused: abi.ImageBad},
	)
}

func newUpload(p *picture, field string, caller abi.Caller, form map[string][]string) guesttest.Request {
	q := guesttest.Request{Method: "POST", Path: "/1.0/posts", Form: form, Caller: &caller}
	if p != nil {
		q.Files = []guesttest.File{{Field: field, Name: "picture", Type: "application/octet-stream", Content: p.content}}
	}
	return q
}

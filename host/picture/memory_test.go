package picture_test

import (
	"bytes"
	"image"
	"image/color"
	"image/gif"
	"testing"

	"github.com/edgeset/edgeset/host/picture"
)

// What Memory says is an upper bound, but not one that is far too high.
func TestMemoryBoundsWhatIsAllocated(t *testing.T) {
	src := quarters(360, 280, color.NRGBA{9, 9, 9, 99})
	plane := component(src, func(r, g, b uint8) uint8 { return g })
	subsampled := asJPEG(t, src)
	for name, content := range map[string][]byte{
		"jpeg":               subsampled,
		"jpeg, gray":         asJPEG(t, plane),
		"jpeg, RGB":          planar(t, 0, plane, plane, plane),
		"jpeg, full colours": planar(t, 1, plane, plane, plane),
		"jpeg, CMYK":         planar(t, 0, plane, plane, plane, plane),
		"jpeg, YCCK":         planar(t, 2, plane, plane, plane, plane),
		"jpeg, progressive":  progressive(t, 360, 280),
		"png":                asPNG(t, src),
		"png, 16 bits":       asPNG(t, converted(src, image.NewNRGBA64)),
		"png, gray, 16 bits": asPNG(t, converted(src, image.NewGray16)),
		"png, palette":       asPNG(t, frame(image.Point{}, 360, 280, black)),
		"png, interlaced":    adam7(src),
		"gif":                asGIF(t, &gif.GIF{Image: []*image.Paletted{frame(image.Point{}, 360, 280, black)}, Delay: []int{0}}),
		"webp, lossy, alpha": fromBase64(t, webpLossyAlpha),
		"webp, lossless":     fromBase64(t, webpLossless),
	} {
		boxes := []picture.Box{{50, 50}, {5000, 5000}}
		info, err := picture.Inspect(content, picture.Limits{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		n := allocated(func() {
			if _, err := picture.Make(content, boxes, picture.Limits{}); err != nil {
				t.Errorf("%s: %v", name, err)
			}
		})
		if bound := info.Memory(boxes...); int64(n) > bound || int64(n) < bound/8 && info.Pixels > 1000 {
			t.Errorf("%s: %d bytes were allocated; Memory says %d", name, n, bound)
		}
		if info.Memory() > info.Memory(boxes...) {
			t.Errorf("%s: renditions take no memory", name)
		}
	}
}

// progressive is a progressive JPEG of one scan, which says that every block has
// the mean of the one before: the first code of the usual tables, of two zeros.
func progressive(t testing.TB, w, h int) []byte {
	tables := asJPEG(t, image.NewYCbCr(image.Rect(0, 0, 8, 8), image.YCbCrSubsampleRatio444))
	start, scan := bytes.Index(tables, []byte{0xff, 0xc4}), bytes.Index(tables, []byte{0xff, 0xda})
	header := segment(0xda, string([]byte{3, 1, 0, 2, 0x11, 3, 0x11, 0, 0, 0}))
	return jpegOf(tables[2:bytes.Index(tables, []byte{0xff, 0xc0})], sof(0xc2, w, h, 3), tables[start:scan], header,
		make([]byte, (w+7)/8*((h+7)/8)*3*2/8+1))
}

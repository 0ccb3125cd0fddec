package picture_test

import (
	"bytes"
	"image"
	"image/color"
	"image/jpeg"
	"testing"

	"github.com/edgeset/edgeset/host/picture"
)

// photo is a JPEG of 12 megapixels as a telephone makes them: gradients, edges
// and the noise of a sensor.
func photo(b *testing.B) []byte {
	m := image.NewYCbCr(image.Rect(0, 0, 4000, 3000), image.YCbCrSubsampleRatio420)
	noise := uint32(1)
	for y := range 3000 {
		for x := range 4000 {
			noise = noise*1664525 + 1013904223
			v := x*160/4000 + y*60/3000 + int(noise>>29)
			if (x/300+y/200)%3 == 0 {
				v += 25
			}
			m.Y[m.YOffset(x, y)] = byte(v)
		}
	}
	for y := range 1500 {
		for x := range 2000 {
			m.Cb[y*m.CStride+x], m.Cr[y*m.CStride+x] = byte(100+x*50/2000), byte(110+y*40/1500)
		}
	}
	var out bytes.Buffer
	if err := jpeg.Encode(&out, m, &jpeg.Options{Quality: 92}); err != nil {
		b.Fatal(err)
	}
	return out.Bytes()
}

func BenchmarkMakeOf12MegapixelsInThreeSizes(b *testing.B) {
	content := photo(b)
	boxes := []picture.Box{{160, 160}, {640, 640}, {1600, 1600}}
	b.SetBytes(int64(len(content)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := picture.Make(content, boxes, picture.Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}

// What the decoder of the standard library takes of that.
func BenchmarkDecodeOf12Megapixels(b *testing.B) {
	content := photo(b)
	b.SetBytes(int64(len(content)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := jpeg.Decode(bytes.NewReader(content)); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkInspectOf12Megapixels(b *testing.B) {
	content := photo(b)
	b.SetBytes(int64(len(content)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := picture.Inspect(content, picture.Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}

func BenchmarkMakeOfAScreenshot(b *testing.B) {
	m := image.NewNRGBA(image.Rect(0, 0, 2560, 1440))
	for y := range 1440 {
		for x := range 2560 {
			m.SetNRGBA(x, y, color.NRGBA{byte(x / 16 * 16), byte(y / 8), byte(x ^ y), 255})
		}
	}
	content := asPNG(b, m)
	b.SetBytes(int64(len(content)))
	b.ReportAllocs()
	for b.Loop() {
		if _, err := picture.Make(content, []picture.Box{{160, 160}, {640, 640}, {1600, 1600}}, picture.Limits{}); err != nil {
			b.Fatal(err)
		}
	}
}

package picture_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/draw"
	"image/gif"
	"image/jpeg"
	"strings"
	"testing"

	"github.com/edgeset/edgeset/host/picture"
)

func makeOne(t testing.TB, content []byte, box picture.Box) (*picture.Picture, image.Image) {
	t.Helper()
	p, err := picture.Make(content, []picture.Box{box}, picture.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	r := p.Renditions[0]
	m, err := jpeg.Decode(bytes.NewReader(r.JPEG))
	if err != nil {
		t.Fatal(err)
	}
	if m.Bounds() != image.Rect(0, 0, r.Width, r.Height) {
		t.Fatalf("a JPEG of %v is said to be of %d × %d", m.Bounds(), r.Width, r.Height)
	}
	return p, m
}

// near tells whether the colours of two pixels are about the same.
func near(a, b color.Color, tolerance int) bool {
	x, y := color.NRGBAModel.Convert(a).(color.NRGBA), color.NRGBAModel.Convert(b).(color.NRGBA)
	for _, d := range []int{int(x.R) - int(y.R), int(x.G) - int(y.G), int(x.B) - int(y.B)} {
		if max(d, -d) > tolerance {
			return false
		}
	}
	return true
}

// corners checks the colours in the middles of the quarters, row by row.
func corners(t *testing.T, m image.Image, tolerance int, want ...color.NRGBA) {
	t.Helper()
	s := m.Bounds().Size()
	for i, c := range want {
		x, y := s.X*(1+2*(i%2))/4, s.Y*(1+2*(i/2))/4
		if got := m.At(x, y); !near(got, c, tolerance) {
			t.Errorf("%v at %d, %d of %v; want about %v", color.NRGBAModel.Convert(got), x, y, s, c)
		}
	}
}

func gray(c color.NRGBA) color.NRGBA {
	y := color.GrayModel.Convert(c).(color.Gray).Y
	return color.NRGBA{y, y, y, 255}
}

func TestEveryKindOfPictureIsTaken(t *testing.T) {
	opaque, clear := quarters(24, 16, black), quarters(24, 16, color.NRGBA{})
	cmyk := func(transform int) []byte {
		// Adobe's samples are of the paper that is left white.
		k := component(opaque, func(r, g, b uint8) uint8 { return max(r, g, b) })
		ink := func(pick func(r, g, b uint8) uint8) *image.Gray {
			return component(opaque, func(r, g, b uint8) uint8 {
				if max(r, g, b) == 0 {
					return 255
				}
				return uint8(int(pick(r, g, b)) * 255 / int(max(r, g, b)))
			})
		}
		c, m, y := ink(func(r, g, b uint8) uint8 { return r }), ink(func(r, g, b uint8) uint8 { return g }), ink(func(r, g, b uint8) uint8 { return b })
		if transform == 2 {
			for i := range c.Pix {
				c.Pix[i], m.Pix[i], y.Pix[i] = color.RGBToYCbCr(255-c.Pix[i], 255-m.Pix[i], 255-y.Pix[i])
			}
		}
		return planar(t, transform, c, m, y, k)
	}
	interlaced := func() []byte {
		rows := frame(image.Point{}, 24, 16, black)
		i := 0
		for _, pass := range [][2]int{{0, 8}, {4, 8}, {2, 4}, {1, 2}} {
			for y := pass[0]; y < 16; y += pass[1] {
				copy(rows.Pix[i*24:][:24], frame(image.Point{}, 24, 16, black).Pix[y*24:])
				i++
			}
		}
		b := asGIF(t, &gif.GIF{Image: []*image.Paletted{rows}, Delay: []int{0}})
		b[bytes.Index(b, []byte{0x2c, 0, 0, 0, 0, 24, 0, 16})+9] |= 0x40
		return b
	}
	for _, c := range []struct {
		name, format string
		content      []byte
		last         color.NRGBA
		gray         bool
	}{
		{"a baseline JPEG", "jpeg", asJPEG(t, opaque), black, false},
		{"a gray JPEG", "jpeg", asJPEG(t, converted(opaque, image.NewGray)), black, true},
		{"a progressive JPEG", "jpeg", fromBase64(t, jpegProgressive), black, false},
		{"an RGB JPEG", "jpeg", fromBase64(t, jpegRGB), black, false},
		{"a JPEG with restarts and full colours", "jpeg", fromBase64(t, jpegRestarts), black, false},
		{"a CMYK JPEG", "jpeg", cmyk(0), black, false},
		{"a YCCK JPEG", "jpeg", cmyk(2), black, false},
		{"an RGB JPEG of three scans", "jpeg", planar(t, 0,
			component(opaque, func(r, g, b uint8) uint8 { return r }),
			component(opaque, func(r, g, b uint8) uint8 { return g }),
			component(opaque, func(r, g, b uint8) uint8 { return b })), black, false},
		{"a PNG", "png", asPNG(t, converted(opaque, image.NewRGBA)), black, false},
		{"a PNG with transparency", "png", asPNG(t, clear), white, false},
		{"a gray PNG", "png", asPNG(t, converted(opaque, image.NewGray)), black, true},
		{"a gray PNG of 16 bits", "png", asPNG(t, converted(opaque, image.NewGray16)), black, true},
		{"a PNG of 16 bits", "png", asPNG(t, converted(opaque, image.NewRGBA64)), black, false},
		{"a PNG of 16 bits with transparency", "png", asPNG(t, converted(clear, image.NewNRGBA64)), white, false},
		{"a PNG with a palette", "png", asPNG(t, frame(image.Point{}, 24, 16, black)), black, false},
		{"a PNG with transparency in its palette", "png", asPNG(t, frame(image.Point{}, 24, 16, color.NRGBA{})), white, false},
		{"an interlaced PNG", "png", adam7(opaque), black, false},
		{"a PNG with one transparent colour", "png", afterHeader(asPNG(t, converted(opaque, image.NewRGBA)), chunk("tRNS", "\x00\x00\x00\x00\x00\x00")), white, false},
		{"an animated PNG", "png", afterHeader(asPNG(t, opaque), chunk("acTL", "\x00\x00\x00\x01\x00\x00\x00\x00")), black, false},
		{"a GIF", "gif", asGIF(t, &gif.GIF{Image: []*image.Paletted{frame(image.Point{}, 24, 16, black)}, Delay: []int{0}}), black, false},
		{"an interlaced GIF", "gif", interlaced(), black, false},
		{"an animated GIF with transparency", "gif", asGIF(t, &gif.GIF{
			Image: []*image.Paletted{frame(image.Point{}, 24, 16, color.NRGBA{}), frame(image.Point{}, 24, 16, black)}, Delay: []int{0, 0}}), white, false},
		{"a lossy WebP", "webp", fromBase64(t, webpLossy), black, false},
		{"a lossless WebP", "webp", fromBase64(t, webpLossless), black, false},
		{"a lossy WebP with transparency", "webp", fromBase64(t, webpLossyAlpha), white, false},
		{"a lossless WebP with transparency", "webp", fromBase64(t, webpLosslessAlpha), white, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			p, m := makeOne(t, c.content, picture.Box{Width: 100, Height: 100})
			if p.Format != c.format || p.Width != 24 || p.Height != 16 {
				t.Errorf("got %s, %d × %d", p.Format, p.Width, p.Height)
			}
			want := []color.NRGBA{red, green, blue, c.last}
			if c.gray {
				for i := range want {
					want[i] = gray(want[i])
				}
			}
			corners(t, m, 20, want...)
			info, err := picture.Inspect(c.content, picture.Limits{})
			if err != nil || info.Format != c.format || info.Width != 24 || info.Height != 16 || info.Pixels != 24*16 {
				t.Errorf("%+v, %v", info, err)
			}
			_, m = makeOne(t, c.content, picture.Box{Width: 12, Height: 12})
			if m.Bounds().Size() != image.Pt(12, 8) {
				t.Errorf("scaled to %v", m.Bounds())
			}
			corners(t, m, 45, want...)
		})
	}
}

// adam7 is an interlaced PNG.
func adam7(m *image.NRGBA) []byte {
	w, h := m.Rect.Dx(), m.Rect.Dy()
	var rows []byte
	for _, p := range [][4]int{{0, 0, 8, 8}, {4, 0, 8, 8}, {0, 4, 4, 8}, {2, 0, 4, 4}, {0, 2, 2, 4}, {1, 0, 2, 2}, {0, 1, 1, 2}} {
		for y := p[1]; y < h && p[0] < w; y += p[3] {
			rows = append(rows, 0)
			for x := p[0]; x < w; x += p[2] {
				c := m.NRGBAAt(x, y)
				rows = append(rows, c.R, c.G, c.B)
			}
		}
	}
	header := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, uint32(w)), uint32(h))
	header = append(header, 8, 2, 0, 0, 1)
	return bytes.Join([][]byte{[]byte("\x89PNG\r\n\x1a\n"), chunk("IHDR", string(header)), chunk("IDAT", string(deflated(rows))), chunk("IEND", "")}, nil)
}

func TestAPictureIsShownAsItsOrientationSays(t *testing.T) {
	src := quarters(48, 32, black)
	for o, want := range map[uint16][]color.NRGBA{
		0: {red, green, blue, black},
		1: {red, green, blue, black},
		2: {green, red, black, blue},
		3: {black, blue, green, red},
		4: {blue, black, red, green},
		5: {red, blue, green, black},
		6: {blue, red, black, green},
		7: {black, green, blue, red},
		8: {green, black, red, blue},
		9: {red, green, blue, black},
	} {
		for _, order := range []binary.AppendByteOrder{binary.LittleEndian, binary.BigEndian} {
			exif := tiff(order, o)
			lossless := fromBase64(t, webpLossless)
			for name, content := range map[string][]byte{
				"jpeg":          afterStart(asJPEG(t, src), segment(0xe0, "JFIF\x00\x01\x01\x00\x00\x01\x00\x01\x00\x00"), segment(0xe1, "Exif\x00\x00"+string(exif))),
				"png":           afterHeader(asPNG(t, src), chunk("eXIf", string(exif))),
				"webp":          riff(canvas(8, 24, 16), lossless[12:], riffChunk("EXIF", exif)),
				"webp, as JPEG": riff(canvas(8, 24, 16), lossless[12:], riffChunk("EXIF", append([]byte("Exif\x00\x00"), exif...))),
			} {
				t.Run(fmt.Sprint(name, " ", order, " ", o), func(t *testing.T) {
					p, m := makeOne(t, content, picture.Box{Width: 24, Height: 24})
					size := image.Pt(24, 16)
					if o >= 5 && o <= 8 {
						size = image.Pt(16, 24)
					}
					if m.Bounds().Size() != size {
						t.Errorf("got %v; want %v", m.Bounds().Size(), size)
					}
					if portrait := o >= 5 && o <= 8; portrait != (p.Height > p.Width) {
						t.Errorf("%d × %d", p.Width, p.Height)
					}
					info, err := picture.Inspect(content, picture.Limits{})
					if err != nil || info.Width != p.Width || info.Height != p.Height {
						t.Errorf("%+v, %v; the picture has %d × %d", info, err, p.Width, p.Height)
					}
					corners(t, m, 30, want...)
				})
			}
		}
	}
}

func TestABrokenOrientationDoesNotMatter(t *testing.T) {
	good := tiff(binary.LittleEndian, 6)
	src := asJPEG(t, quarters(24, 16, black))
	for n := range len(good) {
		exif := bytes.Clone(good[:n])
		if n < 34 {
			p, _ := makeOne(t, afterStart(src, segment(0xe1, "Exif\x00\x00"+string(exif))), picture.Box{Width: 9, Height: 9})
			if p.Width != 24 {
				t.Errorf("turned by %d bytes of EXIF data", n)
			}
		}
		for _, v := range []byte{0, 0x7f, 0xff} {
			exif := bytes.Clone(good)
			exif[n] = v
			makeOne(t, afterStart(src, segment(0xe1, "Exif\x00\x00"+string(exif))), picture.Box{Width: 9, Height: 9})
		}
	}
}

func TestARenditionIsTheLargestThatFits(t *testing.T) {
	for _, c := range []struct{ w, h, boxW, boxH, wantW, wantH int }{
		{400, 300, 160, 160, 160, 120},
		{300, 400, 160, 160, 120, 160},
		{400, 300, 400, 300, 400, 300},
		{400, 300, 4000, 3000, 400, 300},
		{400, 300, 4000, 30, 40, 30},
		{400, 300, 399, 3000, 399, 299},
		{1, 1, 160, 160, 1, 1},
		{2000, 1, 160, 160, 160, 1},
		{1, 2000, 160, 160, 1, 160},
		{2000, 3, 1, 1, 1, 1},
		{333, 777, 1, 1, 1, 1},
		{333, 777, 100, 776, 100, 233},
		{37, 41, 1 << 40, 40, 36, 40},
	} {
		_, m := makeOne(t, asPNG(t, quarters(c.w, c.h, black)), picture.Box{Width: c.boxW, Height: c.boxH})
		if got := m.Bounds().Size(); got != image.Pt(c.wantW, c.wantH) {
			t.Errorf("%d × %d in a box of %d × %d is %v; want %d × %d", c.w, c.h, c.boxW, c.boxH, got, c.wantW, c.wantH)
		}
	}
}

func TestEveryBoxHasItsRendition(t *testing.T) {
	content := asJPEG(t, quarters(320, 200, black))
	boxes := []picture.Box{{80, 80}, {4000, 4000}, {160, 160}, {80, 80}, {320, 200}}
	p, err := picture.Make(content, boxes, picture.Limits{})
	if err != nil {
		t.Fatal(err)
	}
	want := [][2]int{{80, 50}, {320, 200}, {160, 100}, {80, 50}, {320, 200}}
	for i, r := range p.Renditions {
		if r.Width != want[i][0] || r.Height != want[i][1] {
			t.Errorf("%d × %d for %v", r.Width, r.Height, boxes[i])
		}
	}
	p, err = picture.Make(content, nil, picture.Limits{})
	if err != nil || len(p.Renditions) != 0 || p.Width != 320 {
		t.Errorf("%+v, %v", p, err)
	}
	for _, boxes := range [][]picture.Box{{{0, 10}}, {{10, -1}}, make([]picture.Box, 100)} {
		var refused *picture.Error
		if _, err := picture.Make(content, boxes, picture.Limits{}); err == nil || errors.As(err, &refused) {
			t.Errorf("boxes %v: %v; want an error that is not about the picture", boxes, err)
		}
	}
}

func TestTheSameContentGivesTheSameBytes(t *testing.T) {
	for name, content := range map[string][]byte{
		"jpeg": afterStart(asJPEG(t, quarters(301, 203, black)), segment(0xe1, "Exif\x00\x00"+string(tiff(binary.BigEndian, 6)))),
		"png":  asPNG(t, quarters(301, 203, color.NRGBA{9, 99, 199, 77})),
		"webp": fromBase64(t, webpLossyAlpha),
	} {
		alone := map[picture.Box][]byte{}
		boxes := []picture.Box{{8, 8}, {20, 30}, {77, 77}, {300, 300}}
		for _, b := range boxes {
			p, _ := makeOne(t, content, b)
			alone[b] = p.Renditions[0].JPEG
		}
		p, err := picture.Make(content, boxes, picture.Limits{})
		if err != nil {
			t.Fatal(err)
		}
		for i, b := range boxes {
			if !bytes.Equal(p.Renditions[i].JPEG, alone[b]) {
				t.Errorf("%s: the rendition for %v depends on what else is asked for", name, b)
			}
		}
	}
}

func TestAFrameIsShownInItsPlaceOnTheScreen(t *testing.T) {
	g := &gif.GIF{Image: []*image.Paletted{frame(image.Pt(8, 16), 16, 16, black)}, Delay: []int{0},
		Config: image.Config{Width: 32, Height: 32, ColorModel: color.Palette{red, green, blue, black, color.NRGBA{}}}}
	_, m := makeOne(t, asGIF(t, g), picture.Box{Width: 32, Height: 32})
	for at, want := range map[image.Point]color.NRGBA{
		{3, 3}: white, {16, 8}: white, {3, 24}: white, {28, 24}: white,
		{12, 20}: red, {20, 20}: green, {12, 28}: blue, {20, 28}: black,
	} {
		if got := m.At(at.X, at.Y); !near(got, want, 40) {
			t.Errorf("%v at %v; want about %v", got, at, want)
		}
	}
}

// Nothing that an upload has besides its pixels is to be found in what is shown.
func TestMetadataIsGone(t *testing.T) {
	const secret = "N 47.3769 E 8.5417 SECRET-MARK"
	src := quarters(64, 48, black)
	webp := fromBase64(t, webpLossy)
	for name, content := range map[string][]byte{
		"jpeg": append(afterStart(asJPEG(t, src),
			segment(0xe1, "Exif\x00\x00"+string(tiff(binary.BigEndian, 3))+secret), segment(0xe1, "http://ns.adobe.com/xap/1.0/\x00"+secret),
			segment(0xe2, "ICC_PROFILE\x00"+secret), segment(0xed, "Photoshop 3.0\x00"+secret), segment(0xfe, secret)),
			afterStart(asJPEG(t, src), segment(0xfe, secret))...),
		"png": afterHeader(asPNG(t, src), chunk("tEXt", "Comment\x00"+secret), chunk("iTXt", "XML:com.adobe.xmp\x00\x00\x00\x00\x00"+secret),
			chunk("eXIf", string(tiff(binary.BigEndian, 3))+secret), chunk("prVt", secret)),
		"gif": append(bytes.TrimSuffix(asGIF(t, &gif.GIF{Image: []*image.Paletted{frame(image.Point{}, 24, 16, black)}, Delay: []int{0}}), []byte{0x3b}),
			append([]byte{0x21, 0xfe, byte(len(secret))}, secret+"\x00\x3b"...)...),
		"webp": riff(canvas(0x2c, 24, 16), riffChunk("ICCP", []byte(secret)), webp[12:],
			riffChunk("EXIF", append(tiff(binary.BigEndian, 3), secret...)), riffChunk("XMP ", []byte(secret))),
	} {
		if !bytes.Contains(content, []byte(secret)) {
			t.Fatalf("%s: nothing to hide", name)
		}
		p, err := picture.Make(content, []picture.Box{{16, 16}, {500, 500}}, picture.Limits{})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		for _, r := range p.Renditions {
			// The segments of the JPEG that there are: tables, the frame, one scan.
			var markers []string
			for at := 2; r.JPEG[at+1] != 0xda; at += 2 + int(binary.BigEndian.Uint16(r.JPEG[at+2:])) {
				markers = append(markers, fmt.Sprintf("%x", r.JPEG[at+1]))
			}
			if got := strings.Join(markers, " "); got != "db c0 c4" {
				t.Errorf("%s: segments %s; want db c0 c4", name, got)
			}
			for _, word := range []string{"SECRET", "Exif", "ICC_PROFILE", "adobe", "Photoshop", "JFIF"} {
				if bytes.Contains(r.JPEG, []byte(word)) {
					t.Errorf("%s: %q is in a rendition", name, word)
				}
			}
			if n := bytes.Count(r.JPEG, []byte("\xff\xd9")); n != 1 || !bytes.HasSuffix(r.JPEG, []byte("\xff\xd9")) {
				t.Errorf("%s: %d end markers", name, n)
			}
		}
	}
}

// A picture that is scaled has the brightness that it had, and no waves at its
// sides.
func TestScalingKeepsWhatThereIsToSee(t *testing.T) {
	m := image.NewNRGBA(image.Rect(0, 0, 303, 201))
	draw.Draw(m, m.Rect, image.NewUniform(color.NRGBA{120, 90, 200, 255}), image.Point{}, draw.Src)
	content := asPNG(t, m)
	for _, box := range []int{1, 2, 10, 57, 150, 151, 302} {
		_, got := makeOne(t, content, picture.Box{Width: box, Height: box})
		for y := range got.Bounds().Dy() {
			for x := range got.Bounds().Dx() {
				if !near(got.At(x, y), color.NRGBA{120, 90, 200, 255}, 3) {
					t.Fatalf("box %d: %v at %d, %d", box, color.NRGBAModel.Convert(got.At(x, y)), x, y)
				}
			}
		}
	}
	// A fine pattern becomes its mean.
	for y := range 201 {
		for x := range 303 {
			m.SetNRGBA(x, y, color.NRGBA{uint8(255 * ((x + y) % 2)), uint8(255 * ((x + y) % 2)), uint8(255 * ((x + y) % 2)), 255})
		}
	}
	content = asPNG(t, m)
	for _, box := range []int{10, 57, 100} {
		_, got := makeOne(t, content, picture.Box{Width: box, Height: box})
		for y := range got.Bounds().Dy() {
			for x := range got.Bounds().Dx() {
				if !near(got.At(x, y), color.NRGBA{128, 128, 128, 255}, 12) {
					t.Fatalf("box %d: %v at %d, %d", box, color.NRGBAModel.Convert(got.At(x, y)), x, y)
				}
			}
		}
	}
}

// Brightness is stored in a narrower range in a WebP than in a JPEG.
func TestALossyWebPHasItsFullContrast(t *testing.T) {
	_, m := makeOne(t, fromBase64(t, webpContrast), picture.Box{Width: 64, Height: 64})
	corners(t, m, 4, red, green, blue, black)
}

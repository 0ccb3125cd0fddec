package picture_test

import (
	"bytes"
	"encoding/binary"
	"errors"
	"fmt"
	"image"
	"image/color"
	"image/gif"
	"runtime"
	"slices"
	"strings"
	"testing"

	"github.com/edgeset/edgeset/host/picture"
)

// refused checks that content is refused with a code, by Make, and says why.
func refused(t *testing.T, content []byte, code string) string {
	t.Helper()
	p, err := picture.Make(content, []picture.Box{{64, 64}}, picture.Limits{})
	var e *picture.Error
	if !errors.As(err, &e) {
		t.Errorf("%d bytes: %+v, %v; want %s", len(content), p, err, code)
		return ""
	}
	if e.Code != code || e.Message == "" {
		t.Errorf("%d bytes: %v; want %s", len(content), e, code)
	}
	return e.Message
}

// allocated is how many bytes are allocated while f runs. Other tests of the
// package do not run at the same time.
func allocated(f func()) uint64 {
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	f()
	runtime.ReadMemStats(&after)
	return after.TotalAlloc - before.TotalAlloc
}

func ihdr(w, h uint32, depth, kind byte) []byte {
	b := binary.BigEndian.AppendUint32(binary.BigEndian.AppendUint32(nil, w), h)
	return chunk("IHDR", string(append(b, depth, kind, 0, 0, 0)))
}

func pngOf(chunks ...[]byte) []byte {
	return append([]byte("\x89PNG\r\n\x1a\n"), bytes.Join(append(chunks, chunk("IEND", "")), nil)...)
}

// sof is the header of a frame of components that are sampled alike.
func sof(marker byte, w, h, components int) []byte {
	b := []byte{8, byte(h >> 8), byte(h), byte(w >> 8), byte(w), byte(components)}
	for i := range components {
		b = append(b, byte(i+1), 0x11, 0)
	}
	return segment(marker, string(b))
}

func sos(components ...byte) []byte {
	b := []byte{byte(len(components))}
	for _, c := range components {
		b = append(b, c, 0)
	}
	return segment(0xda, string(append(b, 0, 63, 0)))
}

func jpegOf(parts ...[]byte) []byte {
	return append(append([]byte{0xff, 0xd8}, bytes.Join(parts, nil)...), 0xff, 0xd9)
}

func gifOf(screenW, screenH int, blocks ...[]byte) []byte {
	b := append([]byte("GIF89a"), byte(screenW), byte(screenW>>8), byte(screenH), byte(screenH>>8), 0x80, 0, 0)
	b = append(b, 0, 0, 0, 255, 255, 255)
	return append(append(b, bytes.Join(blocks, nil)...), 0x3b)
}

// gifFrame is a frame of one pixel, whatever it says of its size.
func gifFrame(x, y, w, h int) []byte {
	b := []byte{0x2c, byte(x), byte(x >> 8), byte(y), byte(y >> 8), byte(w), byte(w >> 8), byte(h), byte(h >> 8), 0}
	return append(b, 2, 2, 0x44, 0x01, 0)
}

// vp8l is the header of a lossless WebP, without the pixels.
func vp8l(w, h int) []byte {
	return binary.LittleEndian.AppendUint32([]byte{0x2f}, uint32(w-1)|uint32(h-1)<<14)
}

// What is small to upload and large to decode is refused, and refusing it takes
// no memory to speak of.
func TestBombsAreRefusedCheaply(t *testing.T) {
	scan := append(sos(1), 0x12, 0x34, 0x56)
	for _, c := range []struct {
		name, code string
		content    []byte
	}{
		{"a PNG of 3.6 gigapixels", picture.CodeTooLarge, pngOf(ihdr(60000, 60000, 8, 6), chunk("IDAT", "x"))},
		{"a PNG of 2^62 pixels", picture.CodeTooLarge, pngOf(ihdr(1<<31, 1<<31, 8, 6), chunk("IDAT", "x"))},
		{"a PNG that is one long row", picture.CodeTooLarge, pngOf(ihdr(40e6, 1, 16, 6), chunk("IDAT", "x"))},
		{"a PNG that is one long column", picture.CodeTooLarge, pngOf(ihdr(1, 70000, 8, 0), chunk("IDAT", "x"))},
		{"a PNG with no height", picture.CodeBad, pngOf(ihdr(100, 0, 8, 0), chunk("IDAT", "x"))},
		{"a PNG with two headers", picture.CodeBad, pngOf(ihdr(1, 1, 8, 0), ihdr(9000, 9000, 8, 0), chunk("IDAT", "x"))},
		{"a PNG whose header is not the first", picture.CodeBad, pngOf(chunk("tEXt", "a"), ihdr(1, 1, 8, 0), chunk("IDAT", "x"))},
		{"a PNG with a chunk of 4 GB", picture.CodeBad, pngOf(ihdr(1, 1, 8, 0), []byte("\xff\xff\xff\xffIDAT"))},
		{"a PNG without pixels", picture.CodeBad, pngOf(ihdr(1, 1, 8, 0))},
		{"a PNG of very many chunks", picture.CodeBad, pngOf(ihdr(1, 1, 8, 0), bytes.Repeat(chunk("tEXt", ""), 1<<16), chunk("IDAT", "x"))},
		{"a JPEG of 4.3 gigapixels", picture.CodeTooLarge, jpegOf(sof(0xc0, 65535, 65535, 3), scan)},
		{"a JPEG with no height", picture.CodeBad, jpegOf(sof(0xc0, 100, 0, 1), scan)},
		{"a JPEG with two frames", picture.CodeBad, jpegOf(sof(0xc0, 8, 8, 1), sof(0xc0, 9000, 5000, 1), scan)},
		{"a JPEG with two components", picture.CodeUnsupported, jpegOf(sof(0xc0, 8, 8, 2), scan)},
		{"a JPEG with 200 components", picture.CodeUnsupported, jpegOf(sof(0xc0, 8, 8, 200), scan)},
		{"a lossless JPEG", picture.CodeUnsupported, jpegOf(sof(0xc3, 8, 8, 1), scan)},
		{"a progressive JPEG of 101 scans", picture.CodeBad, jpegOf(sof(0xc2, 1000, 1000, 1), bytes.Repeat(scan, 101))},
		{"a large progressive JPEG of 30 scans", picture.CodeBad, jpegOf(sof(0xc2, 7000, 7000, 1), bytes.Repeat(scan, 30))},
		{"a baseline JPEG of two scans for the same", picture.CodeBad, jpegOf(sof(0xc0, 1000, 1000, 1), scan, scan)},
		{"a JPEG without colours for its brightness", picture.CodeBad, jpegOf(sof(0xc0, 1000, 1000, 3), scan)},
		{"a JPEG whose scan is before its frame", picture.CodeBad, jpegOf(scan, sof(0xc0, 8, 8, 1))},
		{"a JPEG whose scan is of an unknown component", picture.CodeBad, jpegOf(sof(0xc0, 8, 8, 1), sos(9))},
		{"a JPEG of nothing", picture.CodeBad, jpegOf(segment(0xfe, "hello"))},
		{"a JPEG in a JPEG", picture.CodeBad, jpegOf(sof(0xc0, 8, 8, 1), []byte{0xff, 0xd8}, scan)},
		{"a GIF of 4.3 gigapixels", picture.CodeTooLarge, gifOf(65535, 65535, gifFrame(0, 0, 1, 1))},
		{"a GIF whose frame is larger than its screen", picture.CodeBad, gifOf(10, 10, gifFrame(0, 0, 65535, 65535))},
		{"a GIF whose frame is beside its screen", picture.CodeBad, gifOf(10, 10, gifFrame(10, 0, 1, 1))},
		{"a GIF whose frame is empty", picture.CodeBad, gifOf(10, 10, gifFrame(0, 0, 0, 1))},
		{"a GIF whose screen is empty", picture.CodeBad, gifOf(0, 10, gifFrame(0, 0, 1, 1))},
		{"a GIF without a frame", picture.CodeBad, gifOf(10, 10)},
		{"a GIF with bytes between its blocks", picture.CodeBad, gifOf(10, 10, []byte("<script>"), gifFrame(0, 0, 1, 1))},
		{"a WebP canvas of 281 terapixels", picture.CodeTooLarge, riff(canvas(0, 1<<24, 1<<24), riffChunk("VP8L", vp8l(1, 1)))},
		{"a WebP of 268 megapixels", picture.CodeTooLarge, riff(riffChunk("VP8L", vp8l(1<<14, 1<<14)))},
		{"a small WebP canvas for a large picture", picture.CodeBad, riff(canvas(0, 10, 10), riffChunk("VP8L", vp8l(6000, 6000)))},
		{"a large WebP canvas for a small picture", picture.CodeBad, riff(canvas(0x10, 6000, 6000), riffChunk("ALPH", []byte{1, 2}), riffChunk("VP8L", vp8l(1, 1)))},
		{"an animated WebP", picture.CodeUnsupported, fromBase64(t, webpAnimated)},
		{"an animated WebP that hides it", picture.CodeUnsupported, riff(canvas(0, 10, 10), riffChunk("ANMF", nil))},
		{"a WebP of two pictures", picture.CodeBad, riff(riffChunk("VP8L", vp8l(1, 1)), riffChunk("VP8L", vp8l(6000, 6000)))},
		{"a WebP of no picture", picture.CodeBad, riff(canvas(0, 10, 10))},
		{"a WebP whose chunk is longer than itself", picture.CodeBad, riff([]byte("VP8L\xff\xff\xff\xff12345678"))},
		{"a WebP of a film's frame", picture.CodeBad, riff(riffChunk("VP8 ", []byte{1, 0, 0, 0x9d, 1, 0x2a, 8, 0, 8, 0}))},
		{"more bytes than the limit", picture.CodeTooLarge, make([]byte, 24<<20+1)},
	} {
		t.Run(c.name, func(t *testing.T) {
			n := allocated(func() { refused(t, c.content, c.code) })
			if n > 64<<10 {
				t.Errorf("%d bytes were allocated to refuse %d", n, len(c.content))
			}
			if _, err := picture.Inspect(c.content, picture.Limits{}); err == nil {
				t.Error("it passes Inspect")
			}
		})
	}
}

func TestLimitsAreTheCallers(t *testing.T) {
	content := asPNG(t, quarters(40, 30, black))
	for _, c := range []struct {
		limits picture.Limits
		ok     bool
	}{
		{picture.Limits{Pixels: 1200}, true},
		{picture.Limits{Pixels: 1199}, false},
		{picture.Limits{Bytes: int64(len(content))}, true},
		{picture.Limits{Bytes: int64(len(content)) - 1}, false},
	} {
		_, err := picture.Make(content, []picture.Box{{10, 10}}, c.limits)
		var e *picture.Error
		if (err == nil) != c.ok || err != nil && (!errors.As(err, &e) || e.Code != picture.CodeTooLarge) {
			t.Errorf("%+v: %v", c.limits, err)
		}
	}
}

// What is packed beside the pixels, or behind the first frame, is not unpacked.
func TestWhatIsNotShownCostsNothing(t *testing.T) {
	bomb := string(deflated(make([]byte, 4<<20)))
	small := asPNG(t, quarters(64, 64, black))
	packed := afterHeader(small, chunk("iCCP", "x\x00\x00"+bomb), chunk("zTXt", "x\x00\x00"+bomb), chunk("iTXt", "x\x00\x01\x00\x00\x00"+bomb))
	if n := allocated(func() { makeOne(t, packed, picture.Box{Width: 10, Height: 10}) }); n > 1<<20 {
		t.Errorf("%d bytes were allocated for a small PNG with packed metadata", n)
	}
	if n := allocated(func() {
		refused(t, pngOf(ihdr(64, 64, 8, 0), chunk("IDAT", bomb)), picture.CodeBad)
	}); n > 1<<20 {
		t.Errorf("%d bytes were allocated for a small PNG with too many pixels", n)
	}

	g := &gif.GIF{}
	for range 500 {
		g.Image, g.Delay = append(g.Image, image.NewPaletted(image.Rect(0, 0, 32, 32), color.Palette{red, green})), append(g.Delay, 1)
	}
	many := asGIF(t, g)
	if n := allocated(func() { makeOne(t, many, picture.Box{Width: 10, Height: 10}) }); n > 1<<20 {
		t.Errorf("%d bytes were allocated for the first of 500 frames", n)
	}
}

// whole is a picture of every format, each larger than a few bytes.
func whole(t testing.TB) map[string][]byte {
	noise := quarters(120, 90, color.NRGBA{1, 2, 3, 40})
	for i := range noise.Pix {
		if i%4 != 3 {
			noise.Pix[i] += byte(i * i * 7 % 31)
		}
	}
	return map[string][]byte{
		"jpeg":              asJPEG(t, noise),
		"jpeg, gray":        asJPEG(t, converted(noise, image.NewGray)),
		"jpeg, progressive": fromBase64(t, jpegProgressive),
		"jpeg, restarts":    fromBase64(t, jpegRestarts),
		"png":               asPNG(t, noise),
		"png, interlaced":   adam7(noise),
		"gif": asGIF(t, &gif.GIF{Image: []*image.Paletted{frame(image.Point{}, 60, 40, black), frame(image.Point{}, 60, 40, black)},
			Delay: []int{0, 0}}),
		"webp, lossy":    fromBase64(t, webpLossyAlpha),
		"webp, lossless": fromBase64(t, webpLosslessAlpha),
	}
}

func TestWhatIsNotWholeIsRefused(t *testing.T) {
	for name, content := range whole(t) {
		cuts := []int{1, 2, 3, len(content) - 1, len(content) - 2}
		for i := range 50 {
			cuts = append(cuts, len(content)*i/50)
		}
		for _, n := range cuts {
			cut := content[:n]
			_, err := picture.Make(cut, []picture.Box{{64, 64}}, picture.Limits{})
			var e *picture.Error
			if !errors.As(err, &e) || e.Code == picture.CodeTooLarge || e.Code == picture.CodeUnsupported && n >= 12 {
				t.Errorf("%s: %d of %d bytes: %v", name, n, len(content), err)
			}
			// With an end that says that all is well.
			switch {
			case n < len(content)/2 || n >= len(content)-9:
				continue
			case name == "jpeg, progressive": // Between two scans it is whole, if vague.
			case strings.HasPrefix(name, "jpeg"):
				refused(t, append(bytes.Clone(cut), 0xff, 0xd9), picture.CodeBad)
			case strings.HasPrefix(name, "png"):
				refused(t, append(bytes.Clone(cut), chunk("IEND", "")...), picture.CodeBad)
			case name == "gif":
				refused(t, append(bytes.Clone(cut), 0x3b), picture.CodeBad)
			default:
				cut = bytes.Clone(cut)
				binary.LittleEndian.PutUint32(cut[4:], uint32(len(cut)-8))
				refused(t, cut, picture.CodeBad)
			}
		}
	}
}

func TestWhatIsBrokenIsRefusedOrShown(t *testing.T) {
	for name, content := range whole(t) {
		for i := range 120 {
			broken := bytes.Clone(content)
			broken[i*len(content)/120] ^= byte(1 << (i % 8))
			_, err := picture.Make(broken, []picture.Box{{64, 64}}, picture.Limits{})
			var e *picture.Error
			if err != nil && !errors.As(err, &e) {
				t.Errorf("%s: byte %d changed: %v", name, i*len(content)/120, err)
			}
		}
	}
	content := asPNG(t, quarters(24, 16, black))
	content[len(content)-30]++
	if got := refused(t, content, picture.CodeBad); !strings.Contains(got, "the PNG is broken") {
		t.Errorf("a PNG with a wrong checksum: %q", got)
	}
}

func box(kind, data string) []byte {
	return append(binary.BigEndian.AppendUint32(nil, uint32(8+len(data))), kind+data...)
}

// sefd is what Samsung's cameras append: blocks and a directory of them.
func sefd(blocks ...string) []byte {
	var b []byte
	var starts []int
	for _, s := range blocks {
		starts = append(starts, len(b))
		b = append(b, "\x00\x00\x01\x0a"+s...)
	}
	at := len(b)
	directory := binary.LittleEndian.AppendUint32(binary.LittleEndian.AppendUint32([]byte("SEFH"), 107), uint32(len(blocks)))
	for i, s := range blocks {
		directory = append(directory, 0, 0, 1, 0x0a)
		directory = binary.LittleEndian.AppendUint32(directory, uint32(at-starts[i]))
		directory = binary.LittleEndian.AppendUint32(directory, uint32(4+len(s)))
	}
	b = append(b, directory...)
	return append(binary.LittleEndian.AppendUint32(b, uint32(len(directory))), "SEFT"...)
}

func TestWhatFollowsAPicture(t *testing.T) {
	preview := asJPEG(t, quarters(8, 8, black))
	movie := slices.Concat(box("ftyp", "mp42\x00\x00\x00\x00"), box("moov", "tracks"), box("mdat", "frames"))
	extras := sefd("Image_UTC_Data1469998688756", "MotionPhoto_Data"+string(movie))
	script := []byte("<script>alert(document.domain)</script>")
	unpointed := bytes.Replace(extras, []byte("SEFH"), []byte("SEFX"), 1)
	for _, c := range []struct {
		name        string
		behind      []byte
		jpeg, other bool // whether it is taken behind a JPEG, and behind others
	}{
		{"zeros", make([]byte, 5000), true, true},
		{"0xff", bytes.Repeat([]byte{0xff}, 5000), true, true},
		{"a script", script, false, false},
		{"one byte", []byte{1}, false, false},
		{"a script behind zeros", append(make([]byte, 100), script...), false, false},
		{"a ZIP archive", []byte("PK\x03\x04abcdefgh"), false, false},
		{"a JPEG", preview, true, false},
		{"two JPEGs and padding", slices.Concat(preview, make([]byte, 9), preview, []byte{0xff, 0xff}), true, false},
		{"0xff and a JPEG", append([]byte{0xff, 0xff, 0xff}, preview...), true, false},
		{"a JPEG and a script", append(bytes.Clone(preview), script...), false, false},
		{"half a JPEG", preview[:len(preview)/2], false, false},
		{"a movie", movie, true, false},
		{"zeros and a movie", append(make([]byte, 7), movie...), true, false},
		{"a JPEG, a movie and a JPEG", slices.Concat(preview, movie, preview), true, false},
		{"a movie and a script", append(bytes.Clone(movie), script...), false, false},
		{"a movie with a box that is no movie's", append(bytes.Clone(movie), box("<scr", "ipt>")...), false, false},
		{"a movie without tracks", append(box("ftyp", "mp42"), box("mdat", string(script))...), false, false},
		{"half a movie", movie[:len(movie)-1], false, false},
		{"a movie of 64 bits", slices.Concat(box("ftyp", "mp42"), box("moov", ""), []byte("\x00\x00\x00\x01mdat\x00\x00\x00\x00\x00\x00\x00\x12hi")), true, false},
		{"a movie of far too many bits", slices.Concat(box("ftyp", "mp42"), box("moov", ""), []byte("\x00\x00\x00\x01mdat\xff\xff\xff\xff\xff\xff\xff\xffhi")), false, false},
		{"a movie whose box is shorter than its header", slices.Concat(box("ftyp", "mp42"), box("moov", ""), []byte("\x00\x00\x00\x07mdat")), false, false},
		{"a movie up to the end", slices.Concat(box("ftyp", "mp42"), box("moov", ""), []byte("\x00\x00\x00\x00mdat and so on")), true, false},
		{"Samsung's extras", extras, true, false},
		{"a JPEG and Samsung's extras", append(bytes.Clone(preview), extras...), true, false},
		{"a script and Samsung's extras", append(bytes.Clone(script), extras...), false, false},
		{"Samsung's extras without a directory", unpointed, false, false},
		{"Samsung's end alone", []byte("SEFT"), false, false},
		{"Samsung's extras with a gap", bytes.Replace(extras, binary.LittleEndian.AppendUint32(nil, 4+27), binary.LittleEndian.AppendUint32(nil, 4+26), 1), false, false},
	} {
		for format, content := range map[string][]byte{
			"jpeg": asJPEG(t, quarters(24, 16, black)),
			"png":  asPNG(t, quarters(24, 16, black)),
			"gif":  asGIF(t, &gif.GIF{Image: []*image.Paletted{frame(image.Point{}, 24, 16, black)}, Delay: []int{0}}),
			"webp": fromBase64(t, webpLossless),
		} {
			t.Run(c.name+" behind a "+format, func(t *testing.T) {
				content := append(bytes.Clone(content), c.behind...)
				if want := format == "jpeg" && c.jpeg || format != "jpeg" && c.other; want {
					makeOne(t, content, picture.Box{Width: 10, Height: 10})
				} else if got := refused(t, content, picture.CodeBad); !strings.Contains(got, fmt.Sprint(len(c.behind))) && !strings.Contains(got, "bytes follow the end") {
					t.Error(got)
				}
			})
		}
	}
}

func TestWhatIsNoPictureIsNamed(t *testing.T) {
	for want, content := range map[string]string{
		"HEIC":       "\x00\x00\x00\x18ftypheic\x00\x00\x00\x00mif1heic",
		"AVIF":       "\x00\x00\x00\x1cftypavif\x00\x00\x00\x00",
		"video":      "\x00\x00\x00\x1cftypisom\x00\x00\x00\x00",
		"BMP":        "BM\x46\x00\x00\x00\x00\x00",
		"TIFF":       "II*\x00\x08\x00\x00\x00",
		"raw camera": "MM\x00*\x00\x00\x00\x08",
		"SVG":        "\xef\xbb\xbf\n <SVG xmlns='http://www.w3.org/2000/svg'>",
		"an SVG":     "<?xml version='1.0'?><svg>",
		"XML":        "<?xml version='1.0'?><rss>",
		"HTML":       "\n<!DOCTYPE html><title>",
		"an HTML":    "<script>alert(1)</script>",
		"PDF":        "%PDF-1.7\n",
		"ZIP":        "PK\x03\x04",
		"JPEG XL":    "\xff\x0a",
		"no picture": "just a text",
		"no WebP":    "RIFF\x04\x00\x00\x00WAVE",
		"no picture of a known format; JPEG, PNG, GIF and WebP": "\xff",
	} {
		if got := refused(t, []byte(content), picture.CodeUnsupported); !strings.Contains(got, want) || !strings.Contains(got, "JPEG, PNG, GIF and WebP") {
			t.Errorf("%q: %q; want a word about %s", content, got, want)
		}
	}
	refused(t, nil, picture.CodeBad)
	refused(t, fromBase64(t, jpegArithmetic), picture.CodeUnsupported)
	// What comes before a picture makes it none.
	refused(t, append([]byte("\n"), asPNG(t, quarters(8, 8, black))...), picture.CodeUnsupported)
	refused(t, append([]byte("<html>"), asJPEG(t, quarters(8, 8, black))...), picture.CodeUnsupported)
}

// FuzzMake gives Make any bytes at all: what comes is a picture or an Error.
func FuzzMake(f *testing.F) {
	for _, content := range whole(f) {
		f.Add(content)
	}
	f.Add(fromBase64(f, webpAnimated))
	f.Add(fromBase64(f, webpLossy))
	f.Add(fromBase64(f, jpegRGB))
	src := asJPEG(f, quarters(8, 8, black))
	f.Add(afterStart(src, segment(0xe1, "Exif\x00\x00"+string(tiff(binary.LittleEndian, 6)))))
	f.Add(slices.Concat(src, src, sefd("a", "b")))
	f.Add(slices.Concat(src, box("ftyp", "mp42"), box("moov", "")))
	f.Fuzz(func(t *testing.T, content []byte) {
		limits := picture.Limits{Bytes: 64 << 10, Pixels: 64 << 10}
		boxes := []picture.Box{{7, 9}, {40, 40}, {300, 300}}
		info, infoErr := picture.Inspect(content, limits)
		p, err := picture.Make(content, boxes, limits)
		var refused *picture.Error
		if err != nil {
			if !errors.As(err, &refused) || refused.Message == "" {
				t.Fatalf("%v; want an Error", err)
			}
			return
		}
		if infoErr != nil || info.Format != p.Format || info.Width != p.Width || info.Height != p.Height {
			t.Fatalf("%+v, %v of what becomes %s, %d × %d", info, infoErr, p.Format, p.Width, p.Height)
		}
		for i, r := range p.Renditions {
			if r.Width > boxes[i].Width || r.Height > boxes[i].Height || r.Width > p.Width || r.Height > p.Height {
				t.Fatalf("%d × %d for %v", r.Width, r.Height, boxes[i])
			}
			again, err := picture.Make(r.JPEG, nil, picture.Limits{})
			if err != nil || again.Width != r.Width || again.Height != r.Height {
				t.Fatalf("the rendition: %+v, %v", again, err)
			}
		}
	})
}

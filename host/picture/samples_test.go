package picture_test

import (
	"bytes"
	"compress/zlib"
	"encoding/base64"
	"encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"testing"
)

// Pictures of the kinds that the standard library does not make. All are of
// 24 × 16 pixels: red and green, and below them blue and black, which is
// transparent where there is transparency.
const (
	webpLossy = "UklGRmIAAABXRUJQVlA4IFYAAABQAwCdASoYABAALk02m02hJCQkBABMS1AE6I//A8y9DTnUAAD+9CJukhf4if/0K+f/IMf/33W8//8gP+bf/w" +
		"9SeL//+QHx3/1W5PcOfJUJcGYgSDAAAA=="
	webpLossless   = "UklGRkIAAABXRUJQVlA4TDUAAAAvF8ADAB8gEEiC2J9nRIEAIUKH/w5FAoEkov2J5pj/gDnnAGG20SQnOcn7H0FE/6Pa9lSBJwA="
	webpLossyAlpha = "UklGRpQAAABXRUJQVlA4WAoAAAAQAAAAFwAADwAAQUxQSBUAAAABDzD/ERFCSEB44P9a1YSI/k9Av0wAVlA4IFgAAABQAwCdASoYABAALk02m0" +
		"2hJCQkBABMS1AE6I//A8y9N6Q2oAD+9CJukhf4hR//kGP/77ref/+QH/Nv/4epPF///ID47/6rcnuHPkqEup7++f/+EMYQyAAA"
	webpLosslessAlpha = "UklGRkIAAABXRUJQVlA4TDUAAAAvF8ADEB8gEEiC2J9nRIEAIUKH/w5FAoEkov2J5pj/AHnnAGG20SQnOcn7H0FE/6Pa9lSBJwA="
	webpAnimated      = "UklGRuIAAABXRUJQVlA4WAoAAAASAAAAFwAADwAAQU5JTQYAAAD/////AABBTk1GbAAAAAAAAAAAABcAAA8AAGQAAAJWUDggVAAAAFADAJ0BKh" +
		"gAEAAuaUikUiIlpaWFgGhLUAWH7/8D0a2huyEQAP7wxvz/9oe/3tIf+4/8TG+t//uwXln/t5j3N//3sFff/m/PfTh8zWCMVSwRocAAAEFOTUZC" +
		"AAAABgAABAAACwAABwAAZAAAAkFMUEgJAAAAAQcQERGIiP4HAFZQOCAYAAAAMAEAnQEqDAAIAAIANCWkAANwAP77/VAA"
	jpegProgressive = "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAYEBQYFBAYGBQYHBwYIChAKCgkJChQODwwQFxQYGBcUFhYaHSUfGhsjHBYWICwgIyYnKSopGR8tMC" +
		"0oMCUoKSj/2wBDAQcHBwoIChMKChMoGhYaKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCj/wgARCAAQ" +
		"ABgDASIAAhEBAxEB/8QAGAAAAwEBAAAAAAAAAAAAAAAAAAUHBAb/xAAWAQEBAQAAAAAAAAAAAAAAAAAEBQb/2gAMAwEAAhADEAAAAULLk8Cm00" +
		"kZCzX/xAAWEAEBAQAAAAAAAAAAAAAAAAAEEAD/2gAIAQEAAQUCw6qf/8QAIBEAAQMCBwAAAAAAAAAAAAAAEQAEBQISFBVBYWKh4f/aAAgBAwEB" +
		"PwGQkse3qb2g6ncrKefXq//EAB4RAAEBCQAAAAAAAAAAAAAAAAATAQIDBAUVYqHh/9oACAECAQE/AZygJQWvqa6W7I//xAAWEAEBAQAAAAAAAA" +
		"AAAAAAAAACEAD/2gAIAQEABj8Cypn/xAAWEAEBAQAAAAAAAAAAAAAAAADBEAD/2gAIAQEAAT8hwtSf/9oADAMBAAIAAwAAABAYz//EABkRAAID" +
		"AQAAAAAAAAAAAAAAAAEREDFRQf/aAAgBAwEBPxDEf0SCiGK4D//EABoRAAIDAQEAAAAAAAAAAAAAAAERACEx4fD/2gAIAQIBAT8Q34lVdIEeF2" +
		"f/xAAXEAADAQAAAAAAAAAAAAAAAAAQIIHw/9oACAEBAAE/EE7KD//Z"
	jpegArithmetic = "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAAYEBQYFBAYGBQYHBwYIChAKCgkJChQODwwQFxQYGBcUFhYaHSUfGhsjHBYWICwgIyYnKSopGR8tMC" +
		"0oMCUoKSj/2wBDAQcHBwoIChMKChMoGhYaKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCgoKCj/yQARCAAQ" +
		"ABgDASIAAhEBAxEB/8wACgAQEAUBEBEF/9oADAMBAAIRAxEAPwD/AJoK9wa6IFIAK4aIgAEZK3OKdcxYXbmgqpoEzXBdrg7Fmkf63OScRPIjCW" +
		"b6TqBrAwaamHFz+S401yemjMr4tU4qCP1qAYHmNg2vXy64oRH/2Q=="
	jpegRGB = "/9j/7gAOQWRvYmUAZAAAAAAA/9sAQwAGBAUGBQQGBgUGBwcGCAoQCgoJCQoUDg8MEBcUGBgXFBYWGh0lHxobIxwWFiAsICMmJykqKRkfLTAtKD" +
		"AlKCko/8AAEQgAEAAYA1IRAEcRAEIRAP/EABcAAQEBAQAAAAAAAAAAAAAAAAgEAAn/xAAcEAEAAAcBAAAAAAAAAAAAAAAABQhDRoGEw8H/2gAM" +
		"A1IARwBCAAA/AEQN43jnN9aW3xIWUq6tTsw5kMzOejowiiVPPiKJU8+DNOhZ25wQoRlf/9k="
	jpegRestarts = "/9j/4AAQSkZJRgABAQAAAQABAAD/2wBDAA0JCgsKCA0LCgsODg0PEyAVExISEyccHhcgLikxMC4pLSwzOko+MzZGNywtQFdBRkxOUlNSMj5aYV" +
		"pQYEpRUk//2wBDAQ4ODhMREyYVFSZPNS01T09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT09PT0//wAARCAAQ" +
		"ABgDAREAAhEBAxEB/8QAGAAAAgMAAAAAAAAAAAAAAAAAAwcEBQb/xAAYEAEAAwEAAAAAAAAAAAAAAAAABUOBwf/EABgBAAMBAQAAAAAAAAAAAA" +
		"AAAAAFBgME/8QAHhEBAAAFBQAAAAAAAAAAAAAAAAMEBUFDBoGCwcL/3QAEAAH/2gAMAwEAAhEDEQA/AKMrXj//0IkTbnSKYs21jh5eX//RMmUe" +
		"/9LFrxyv/9NfSVe8Pq3j36ZQ7v/UWAD/2Q=="

	// Lossy, of 64 × 64 pixels.
	webpContrast = "UklGRooAAABXRUJQVlA4IH4AAACwBgCdASpAAEAAPlEijUQjoiEYDfwAOAUEoIcAGPSPH8A/CvZS+AfiB+wHGBdzcz8BS8Z063WujIHdSPpwAA" +
		"D+MkDjDBXueaHJccQDVD41r+1P3z0gg7v50Ar1e8q1n7pgRbhcq9698YYeTDpoFtw06S6QYS1hqig25GZAAAA="
)

func fromBase64(t testing.TB, s string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(s)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

var (
	red   = color.NRGBA{230, 20, 20, 255}
	green = color.NRGBA{20, 220, 20, 255}
	blue  = color.NRGBA{20, 20, 230, 255}
	black = color.NRGBA{0, 0, 0, 255}
	white = color.NRGBA{255, 255, 255, 255}
)

// quarters is the picture that the constants have, of any size.
func quarters(w, h int, last color.NRGBA) *image.NRGBA {
	m := image.NewNRGBA(image.Rect(0, 0, w, h))
	for y := range h {
		for x := range w {
			c := [2][2]color.NRGBA{{red, green}, {blue, last}}[2*y/h][2*x/w]
			m.SetNRGBA(x, y, c)
		}
	}
	return m
}

// converted is src with the pixels of another kind.
func converted[I interface {
	image.Image
	Set(x, y int, c color.Color)
}](src image.Image, make func(image.Rectangle) I) image.Image {
	dst := make(src.Bounds())
	for y := range src.Bounds().Dy() {
		for x := range src.Bounds().Dx() {
			dst.Set(x, y, src.At(x, y))
		}
	}
	return dst
}

func asPNG(t testing.TB, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, m); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func asJPEG(t testing.TB, m image.Image) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, m, &jpeg.Options{Quality: 95}); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func asGIF(t testing.TB, g *gif.GIF) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := gif.EncodeAll(&b, g); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

// frame is quarters as a frame of a GIF at a place on its screen.
func frame(at image.Point, w, h int, last color.NRGBA) *image.Paletted {
	src := quarters(w, h, last)
	m := image.NewPaletted(image.Rect(0, 0, w, h), color.Palette{red, green, blue, black, color.NRGBA{}})
	for y := range h {
		for x := range w {
			m.Set(x, y, src.At(x, y))
		}
	}
	m.Rect = m.Rect.Add(at)
	return m
}

// tiff is EXIF data with an orientation, after some other tags.
func tiff(order binary.AppendByteOrder, orientation uint16) []byte {
	magic := "II*\x00"
	if order == binary.AppendByteOrder(binary.BigEndian) {
		magic = "MM\x00*"
	}
	b := order.AppendUint32([]byte(magic), 8)
	b = order.AppendUint16(b, 3)
	entry := func(tag, kind uint16, count uint32, value uint16) {
		b = order.AppendUint16(order.AppendUint16(b, tag), kind)
		b = order.AppendUint16(order.AppendUint16(order.AppendUint32(b, count), value), 0)
	}
	entry(0x010f, 2, 4, 0x4142)
	entry(0x0112, 3, 1, orientation)
	entry(0x0128, 3, 1, 2)
	return order.AppendUint32(b, 0)
}

// segment is a segment of a JPEG.
func segment(marker byte, data string) []byte {
	return append(binary.BigEndian.AppendUint16([]byte{0xff, marker}, uint16(len(data)+2)), data...)
}

// afterStart puts segments behind the first marker of a JPEG.
func afterStart(jpeg []byte, segments ...[]byte) []byte {
	return bytes.Join([][]byte{jpeg[:2], bytes.Join(segments, nil), jpeg[2:]}, nil)
}

// chunk is a chunk of a PNG.
func chunk(kind, data string) []byte {
	b := binary.BigEndian.AppendUint32(nil, uint32(len(data)))
	b = append(b, kind+data...)
	return binary.BigEndian.AppendUint32(b, crc32.ChecksumIEEE(b[4:]))
}

// afterHeader puts chunks behind the first one of a PNG.
func afterHeader(png []byte, chunks ...[]byte) []byte {
	const header = 8 + 12 + 13
	return bytes.Join([][]byte{png[:header], bytes.Join(chunks, nil), png[header:]}, nil)
}

// riff is a WebP of chunks.
func riff(chunks ...[]byte) []byte {
	body := append([]byte("WEBP"), bytes.Join(chunks, nil)...)
	return append(binary.LittleEndian.AppendUint32([]byte("RIFF"), uint32(len(body))), body...)
}

// riffChunk is a chunk of a WebP.
func riffChunk(kind string, data []byte) []byte {
	b := append(binary.LittleEndian.AppendUint32([]byte(kind), uint32(len(data))), data...)
	return append(b, make([]byte, len(data)&1)...)
}

// canvas is the header of a WebP that has more than pixels.
func canvas(flags byte, w, h int) []byte {
	b := []byte{flags, 0, 0, 0, byte(w - 1), byte((w - 1) >> 8), byte((w - 1) >> 16), byte(h - 1), byte((h - 1) >> 8), byte((h - 1) >> 16)}
	return riffChunk("VP8X", b)
}

// planar is a JPEG of components that are scans of their own, each as it was
// encoded as a gray JPEG. What Adobe's segment says is transform, if it is not
// negative.
func planar(t testing.TB, transform int, components ...*image.Gray) []byte {
	t.Helper()
	b := []byte{0xff, 0xd8}
	if transform >= 0 {
		b = append(b, segment(0xee, "Adobe\x00\x64\x00\x00\x00\x00"+string(rune(transform)))...)
	}
	size := components[0].Rect.Size()
	header := []byte{8, byte(size.Y >> 8), byte(size.Y), byte(size.X >> 8), byte(size.X), byte(len(components))}
	for i := range components {
		header = append(header, byte(i+1), 0x11, 0)
	}
	for i, c := range components {
		gray := asJPEG(t, c)
		tables, scan := bytes.Index(gray, []byte{0xff, 0xc0}), bytes.Index(gray, []byte{0xff, 0xda})
		huffman := bytes.Index(gray, []byte{0xff, 0xc4})
		if i == 0 {
			b = append(b, gray[2:tables]...)
			b = append(b, segment(0xc0, string(header))...)
			b = append(b, gray[huffman:scan]...)
		}
		b = append(b, segment(0xda, string([]byte{1, byte(i + 1), 0, 0, 63, 0}))...)
		b = append(b, gray[scan+2+8:len(gray)-2]...)
	}
	return append(b, 0xff, 0xd9)
}

// component makes a plane of what f gives for each pixel of m.
func component(m image.Image, f func(r, g, b uint8) uint8) *image.Gray {
	out := image.NewGray(m.Bounds())
	for y := range out.Rect.Dy() {
		for x := range out.Rect.Dx() {
			c := color.NRGBAModel.Convert(m.At(x, y)).(color.NRGBA)
			out.SetGray(x, y, color.Gray{Y: f(c.R, c.G, c.B)})
		}
	}
	return out
}

// deflated is the data of an IDAT chunk.
func deflated(rows []byte) []byte {
	var b bytes.Buffer
	w := zlib.NewWriter(&b)
	w.Write(rows)
	w.Close()
	return b.Bytes()
}

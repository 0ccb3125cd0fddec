package main_test

import (
	"bytes"
	"encoding/base64"
	bin "encoding/binary"
	"hash/crc32"
	"image"
	"image/color"
	"image/gif"
	"image/jpeg"
	"image/png"
	"strings"
	"testing"
)

// Red on the left, blue on the right, 40 by 20: WebP without and with losses.
const (
	webpLossless = "UklGRioAAABXRUJQVlA4TB4AAAAvJ8AEAA8wFKdAPg73/EcLBAKEA/+1BgRE9D9K2AM="
	webpLossy    = "UklGRm4AAABXRUJQVlA4IGIAAABQBACdASooABQAPrVKn0mnJCKhMAgA4BaJQBg/UgoAH2AV//uAAGAgnvLAAP7r3i/ENP/vz/+emf3L/W3sZ9iPFX+gu/pHhcEf+5IPApO/A9kI9JY5ofYnJuPyRI6HAJi0AA=="
)

// twoColours is red in its left half and blue in the right one. A seed makes it
// another one.
func twoColours(width, height int, seed uint8) image.Image {
	m := image.NewRGBA(image.Rect(0, 0, width, height))
	for y := range height {
		for x := range width {
			c := color.RGBA{220, seed % 16 * 2, 20, 255}
			if x >= width/2 {
				c = color.RGBA{20, seed / 16 * 2, 220, 255}
			}
			m.SetRGBA(x, y, c)
		}
	}
	return m
}

// photo is a JPEG.
func photo(t testing.TB, width, height int, seed uint8) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := jpeg.Encode(&b, twoColours(width, height, seed), nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func pngPhoto(t testing.TB, width, height int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := png.Encode(&b, twoColours(width, height, 0)); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func gifPhoto(t testing.TB, width, height int) []byte {
	t.Helper()
	var b bytes.Buffer
	if err := gif.Encode(&b, twoColours(width, height, 0), nil); err != nil {
		t.Fatal(err)
	}
	return b.Bytes()
}

func webpPhoto(t testing.TB, text string) []byte {
	t.Helper()
	b, err := base64.StdEncoding.DecodeString(text)
	if err != nil {
		t.Fatal(err)
	}
	return b
}

// privateText stands in all metadata of a cameraPhoto.
const privateText = "Canary-of-the-metadata"

// cameraPhoto is a JPEG as a telephone makes it that is held upright: orientation
// 6, where it was taken, and notes of several kinds.
func cameraPhoto(t testing.TB, width, height int) []byte {
	t.Helper()
	tiff := []byte("II*\x00\x08\x00\x00\x00")
	field := func(tag, kind uint16, count uint32, value []byte) {
		tiff = bin.LittleEndian.AppendUint16(tiff, tag)
		tiff = bin.LittleEndian.AppendUint16(tiff, kind)
		tiff = bin.LittleEndian.AppendUint32(tiff, count)
		tiff = append(tiff, value...)
	}
	at := func(offset int) []byte { return bin.LittleEndian.AppendUint32(nil, uint32(offset)) }
	const first, gps = 8, 8 + 2 + 3*12 + 4
	const values = gps + 2 + 4*12 + 4
	tiff = append(tiff, 3, 0)
	field(0x0112, 3, 1, []byte{6, 0, 0, 0})                              // Orientation
	field(0x013b, 2, uint32(len(privateText)+1), at(values+48))          // Artist
	field(0x8825, 4, 1, at(gps))                                         // GPSInfo
	tiff = append(tiff, 0, 0, 0, 0, 4, 0)                                // no other one; the one of GPS
	field(1, 2, 2, []byte("N\x00\x00\x00"))                              // GPSLatitudeRef
	field(2, 5, 3, at(values))                                           // GPSLatitude
	field(3, 2, 2, []byte("W\x00\x00\x00"))                              // GPSLongitudeRef
	field(4, 5, 3, at(values+24))                                        // GPSLongitude
	tiff = append(tiff, 0, 0, 0, 0)                                      // no other one
	for _, n := range []uint32{35, 1, 28, 1, 3, 1, 97, 1, 31, 1, 2, 1} { // degrees, minutes, seconds
		tiff = bin.LittleEndian.AppendUint32(tiff, n)
	}
	tiff = append(append(tiff, privateText...), 0)

	segment := func(marker byte, content string) []byte {
		s := []byte{0xff, marker}
		s = bin.BigEndian.AppendUint16(s, uint16(len(content)+2))
		return append(s, content...)
	}
	plain := photo(t, width, height, 0)
	var b []byte
	b = append(b, plain[:2]...)
	b = append(b, segment(0xe1, "Exif\x00\x00"+string(tiff))...)
	b = append(b, segment(0xe1, "http://ns.adobe.com/xap/1.0/\x00<x:xmpmeta>"+privateText+"</x:xmpmeta>")...)
	b = append(b, segment(0xed, "Photoshop 3.0\x00"+privateText)...)
	b = append(b, segment(0xfe, privateText)...)
	return append(b, plain[2:]...)
}

// hugePNG has the header of a picture of so many pixels, and next to no content.
func hugePNG(width, height uint32) []byte {
	var b bytes.Buffer
	b.WriteString("\x89PNG\r\n\x1a\n")
	chunk := func(name string, content []byte) {
		var n [4]byte
		bin.BigEndian.PutUint32(n[:], uint32(len(content)))
		b.Write(n[:])
		body := append([]byte(name), content...)
		b.Write(body)
		bin.BigEndian.PutUint32(n[:], crc32.ChecksumIEEE(body))
		b.Write(n[:])
	}
	header := bin.BigEndian.AppendUint32(nil, width)
	header = bin.BigEndian.AppendUint32(header, height)
	chunk("IHDR", append(header, 8, 2, 0, 0, 0))
	// What inflates to an empty text.
	chunk("IDAT", []byte{0x78, 0x9c, 0x03, 0x00, 0x00, 0x00, 0x00, 0x01})
	chunk("IEND", nil)
	return b.Bytes()
}

// servedPhoto decodes a picture that the server has made, and wants nothing in it
// but the picture.
func servedPhoto(t testing.TB, r reply) image.Image {
	t.Helper()
	if r.status != 200 || r.header.Get("Content-Type") != "image/jpeg" {
		t.Fatalf("%s: %d %v, want a JPEG", r.what, r.status, r.header)
	}
	m, err := jpeg.Decode(bytes.NewReader(r.raw))
	if err != nil {
		t.Fatalf("%s: %v", r.what, err)
	}
	for rest := r.raw[2:]; ; {
		if len(rest) < 4 || rest[0] != 0xff {
			t.Fatalf("%s: no segment begins with % x", r.what, rest[:min(4, len(rest))])
		}
		marker, size := rest[1], int(bin.BigEndian.Uint16(rest[2:]))
		if marker == 0xda {
			break
		}
		if marker > 0xe0 && marker <= 0xef || marker == 0xfe {
			t.Errorf("%s: has the segment %#x: %.40q", r.what, marker, rest[4:])
		}
		rest = rest[2+size:]
	}
	for _, sign := range []string{"Exif", "GPS", "xmp", privateText} {
		if strings.Contains(string(r.raw), sign) {
			t.Errorf("%s: has %s in it", r.what, sign)
		}
	}
	if !bytes.HasSuffix(r.raw, []byte{0xff, 0xd9}) {
		t.Errorf("%s: ends in % x", r.what, r.raw[len(r.raw)-2:])
	}
	return m
}

// isRed and isBlue tell what half of twoColours a place is in; x and y are in
// eighths.
func isRed(m image.Image, x, y int) bool {
	r, _, b := pixel(m, x, y)
	return r > 180 && b < 80
}

func isBlue(m image.Image, x, y int) bool {
	r, _, b := pixel(m, x, y)
	return b > 180 && r < 80
}

func pixel(m image.Image, x, y int) (r, g, b uint32) {
	bounds := m.Bounds()
	r, g, b, _ = m.At(bounds.Min.X+bounds.Dx()*x/8, bounds.Min.Y+bounds.Dy()*y/8).RGBA()
	return r >> 8, g >> 8, b >> 8
}

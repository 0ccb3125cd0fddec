package picture

import "encoding/binary"

const pngMagic = "\x89PNG\r\n\x1a\n"

// maxChunks bounds the chunks of a PNG, as the decoder takes some kilobytes for
// each that it passes over. Encoders write one for 8 KiB of data or more.
const maxChunks = 1 << 16

// readPNG walks over the chunks. Their order and checksums are the decoder's to
// check, which neither inflates nor keeps any chunk but those of the pixels.
func (o *outline) readPNG(b []byte) error {
	var depth, kind byte
	var interlaced, transparent, pixels bool
	for at, n := len(pngMagic), 1; ; n++ {
		if len(b)-at < 12 {
			return o.short("its IEND chunk")
		}
		length, name := int64(binary.BigEndian.Uint32(b[at:])), string(b[at+4:at+8])
		if length > int64(len(b)-at-12) {
			return o.short("a chunk does")
		}
		data := b[at+8 : at+8+int(length)]
		at += 12 + len(data)
		if n > maxChunks {
			return bad("the PNG has more than %d chunks", maxChunks)
		}
		if (name == "IHDR") != (n == 1) {
			return bad("the PNG is broken: its IHDR chunk has to be the first and the only one")
		}
		switch name {
		case "IHDR":
			if len(data) != 13 {
				return bad("the PNG is broken: its IHDR chunk has %d bytes", len(data))
			}
			if err := o.size(int64(binary.BigEndian.Uint32(data)), int64(binary.BigEndian.Uint32(data[4:]))); err != nil {
				return err
			}
			depth, kind, interlaced = data[8], data[9], data[12] != 0
		case "tRNS":
			transparent = true
		case "eXIf":
			o.orientation = orientation(data)
		case "IDAT":
			pixels = true
		case "IEND":
			if !pixels {
				return bad("the PNG is broken: it has no pixels")
			}
			o.end = at
			o.decoding = pngMemory(o.Pixels, depth, kind, transparent, interlaced) + 16*int64(o.width) // Two rows.
			return nil
		}
	}
}

// pngMemory is what the decoder makes of pixels of so many bits a sample, and of
// a kind: 0 for gray, 3 for a palette, others for colours or transparency.
func pngMemory(pixels int64, depth, kind byte, transparent, interlaced bool) int64 {
	n := pixels
	if kind != 3 && (kind != 0 || transparent) {
		n *= 4
	}
	if depth == 16 {
		n *= 2
	}
	if interlaced {
		n *= 2 // All passes together are as large as the picture.
	}
	return n
}

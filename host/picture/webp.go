package picture

import "encoding/binary"

// readWebP walks over the chunks of the RIFF file.
func (o *outline) readWebP(b []byte) error {
	size := int64(binary.LittleEndian.Uint32(b[4:]))
	size += size & 1
	if size < 4 {
		return bad("the WebP is broken: its header states %d bytes", size)
	}
	if size > int64(len(b)-8) {
		return o.short("as many bytes as its header states")
	}
	o.end = 8 + int(size)
	b = b[:o.end]
	var canvas, pixels bool
	for at := 12; at < len(b); {
		if len(b)-at < 8 {
			return bad("the WebP is broken: %d bytes are left for a chunk", len(b)-at)
		}
		kind, length := string(b[at:at+4]), int64(binary.LittleEndian.Uint32(b[at+4:]))
		if length+length&1 > int64(len(b)-at-8) {
			return bad("the WebP is broken: its chunk %q goes beyond its end", kind)
		}
		data := b[at+8 : at+8+int(length)]
		switch kind {
		case "VP8X":
			if canvas || at != 12 || len(data) != 10 {
				return bad("the WebP is broken: a header of %d bytes at byte %d", len(data), at)
			}
			canvas = true
			if data[0]&2 != 0 {
				return unsupported("the WebP is animated; still pictures are taken")
			}
			if err := o.size(1+int64(uint24(data[4:])), 1+int64(uint24(data[7:]))); err != nil {
				return err
			}
		case "ANIM", "ANMF":
			return unsupported("the WebP is animated; still pictures are taken")
		case "ALPH":
			// Compressed, it is decoded as a picture of its own.
			o.decoding += o.Pixels + lossless(o.Pixels, len(data))
		case "VP8 ", "VP8L":
			if pixels {
				return bad("the WebP is broken: it has more than one picture")
			}
			pixels = true
			width, height, ok := webpSize(kind, data)
			if !ok {
				return bad("the WebP is broken: its chunk %q has no proper header", kind)
			}
			if canvas && (width != int64(o.width) || height != int64(o.height)) {
				return bad("the WebP is broken: its canvas has %d × %d pixels, its picture %d × %d", o.width, o.height, width, height)
			}
			if err := o.size(width, height); err != nil {
				return err
			}
			if kind == "VP8L" {
				o.decoding += lossless(o.Pixels, len(data))
			} else {
				o.studio = true
				o.decoding += 2 * (width + 15) * (height + 15)
			}
		case "EXIF":
			if hasPrefix(data, exifMagic) {
				data = data[len(exifMagic):]
			}
			o.orientation = orientation(data)
		}
		at += 8 + int(length+length&1)
	}
	if !pixels {
		return bad("the WebP is broken: it has no picture")
	}
	return nil
}

// webpSize reads the size from the header of a lossy or lossless picture.
func webpSize(kind string, b []byte) (width, height int64, ok bool) {
	const side = 1<<14 - 1
	if kind == "VP8L" {
		if len(b) < 5 || b[0] != 0x2f {
			return 0, 0, false
		}
		bits := binary.LittleEndian.Uint32(b[1:])
		return 1 + int64(bits&side), 1 + int64(bits>>14&side), true
	}
	// The first bit is 0 for a picture that stands for itself.
	if len(b) < 10 || b[0]&1 != 0 || string(b[3:6]) != "\x9d\x01\x2a" {
		return 0, 0, false
	}
	return int64(binary.LittleEndian.Uint16(b[6:])) & side, int64(binary.LittleEndian.Uint16(b[8:])) & side, true
}

// lossless is what the decoder of lossless pictures takes: four bytes a pixel
// and what tells the tiles, and trees of codes, which take up to 250 times the
// bytes they are stored in, but not more than 2,600 × 53 KB.
func lossless(pixels int64, size int) int64 {
	return 13*pixels/2 + min(250*int64(size), 140e6)
}

func uint24(b []byte) uint32 {
	return uint32(b[0]) | uint32(b[1])<<8 | uint32(b[2])<<16
}

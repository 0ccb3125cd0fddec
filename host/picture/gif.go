package picture

import "encoding/binary"

// Blocks of a GIF, and the extension that says what is transparent.
const (
	gifExtension = 0x21
	gifFrame     = 0x2c
	gifTrailer   = 0x3b
	gifControl   = 0xf9
)

// readGIF walks over the blocks up to the trailer. The decoder is given the
// first frame alone, without what stands before and behind it.
func (o *outline) readGIF(b []byte) error {
	const header = 13
	if len(b) < header {
		return o.short("its header does")
	}
	if err := o.size(int64(binary.LittleEndian.Uint16(b[6:])), int64(binary.LittleEndian.Uint16(b[8:]))); err != nil {
		return err
	}
	at := header + colours(b[10])
	if at > len(b) {
		return o.short("its table of colours does")
	}
	table, control := at, []byte(nil)
	for {
		if at >= len(b) {
			return o.short("its trailer")
		}
		start := at
		switch b[at] {
		case gifTrailer:
			if o.parts == nil {
				return bad("the GIF is broken: it has no frame")
			}
			o.end = at + 1
			return nil
		case gifExtension:
			if at = skipBlocks(b, at+2); at < 0 {
				return o.short("an extension does")
			}
			if b[start+1] == gifControl && o.parts == nil {
				control = b[start:at]
			}
		case gifFrame:
			const descriptor = 10
			if len(b)-at < descriptor {
				return o.short("a frame does")
			}
			// One byte is the size of codes; blocks of data follow.
			if at = skipBlocks(b, at+descriptor+colours(b[at+9])+1); at < 0 {
				return o.short("a frame does")
			}
			if o.parts != nil {
				continue
			}
			if err := o.gifFrame(b[start:at]); err != nil {
				return err
			}
			o.parts = [][]byte{b[:table], control, b[start:at], {gifTrailer}}
		default:
			return bad("the GIF is broken: a block of kind %#02x at byte %d", b[at], at)
		}
	}
}

// gifFrame checks a frame against the screen, which is the picture.
func (o *outline) gifFrame(b []byte) error {
	var n [4]int
	for i := range n {
		n[i] = int(binary.LittleEndian.Uint16(b[1+2*i:]))
	}
	left, top, width, height := n[0], n[1], n[2], n[3]
	if width == 0 || height == 0 || left+width > o.width || top+height > o.height {
		return bad("the GIF is broken: its first frame, %d × %d at %d, %d, is not on its screen of %d × %d", width, height, left, top, o.width, o.height)
	}
	o.decoding = int64(width) * int64(height)
	return nil
}

// colours is the size of the colour table that a byte of flags announces.
func colours(flags byte) int {
	if flags&0x80 == 0 {
		return 0
	}
	return 3 << (flags&7 + 1)
}

// skipBlocks is where the blocks of data at at end, -1 if they do not.
func skipBlocks(b []byte, at int) int {
	for at < len(b) {
		n := int(b[at])
		if at += 1 + n; n == 0 {
			return at
		}
	}
	return -1
}

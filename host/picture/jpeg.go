package picture

import (
	"bytes"
	"encoding/binary"
)

// Markers of a JPEG; those from rst0 to rst7 stand inside of a scan.
const (
	sof0 = 0xc0
	dht  = 0xc4
	jpg  = 0xc8
	dac  = 0xcc
	sof3 = 0xcf // the last of sixteen that are frames, but for the three above
	rst0 = 0xd0
	rst7 = 0xd7
	soi  = 0xd8
	eoi  = 0xd9
	sos  = 0xda

	app0  = 0xe0
	app1  = 0xe1
	app14 = 0xee
)

const (
	// maxScans bounds the scans of a progressive JPEG, each of which has the
	// decoder go over the whole picture for a few bytes. Encoders make about ten.
	maxScans = 100
	// maxScanned bounds scans times pixels for the same reason: 20 scans of 50
	// million pixels, 83 of 12 million.
	maxScanned = 1e9
)

// A frame is what a JPEG says about its pixels.
type frame struct {
	ids         []byte // of the components
	progressive bool
	seen        [4]bool // components that a scan has brought
}

// readJPEG walks over the segments and scans. It looks for markers as the
// decoder does, so that both see the same picture.
func (o *outline) readJPEG(b []byte) error {
	var f *frame
	scans, oriented := 0, false
	jfif, adobe := false, -1 // What tells whether three colours are RGB.
	for at := 2; ; {
		m, next := marker(b, at)
		if next < 0 {
			return o.short("its end marker")
		}
		at = next
		if m == eoi {
			o.end = at
			break
		}
		if rst0 <= m && m <= rst7 {
			continue
		}
		if m < sof0 || m == soi {
			return bad("the JPEG is broken: marker %#02x at byte %d", m, at-1)
		}
		if len(b)-at < 2 {
			return o.short("a segment does")
		}
		n := int(binary.BigEndian.Uint16(b[at:]))
		if n < 2 {
			return bad("the JPEG is broken: a segment of %d bytes at byte %d", n, at)
		}
		if n > len(b)-at {
			return o.short("a segment does")
		}
		segment := b[at+2 : at+n]
		at += n
		switch {
		case m == sos:
			if f == nil {
				return bad("the JPEG is broken: pixels come before their size")
			}
			scans++
			if scans > maxScans || int64(scans)*o.Pixels > maxScanned {
				return bad("the JPEG has more than %d scans for %d × %d pixels", scans-1, o.width, o.height)
			}
			if err := f.scan(segment); err != nil {
				return err
			}
		case m == dac:
			return unsupported("the JPEG is coded arithmetically; baseline and progressive JPEGs are taken")
		case m == jpg:
			return unsupported("the JPEG is of an extended kind; baseline and progressive JPEGs are taken")
		case m <= sof3 && m != dht:
			if f != nil {
				return bad("the JPEG is broken: it states its size twice")
			}
			var err error
			if f, err = o.frame(m, segment); err != nil {
				return err
			}
		case m == app0 && len(segment) >= 5:
			jfif = hasPrefix(segment, "JFIF\x00")
		case m == app14 && len(segment) >= 12 && hasPrefix(segment, "Adobe"):
			adobe = int(segment[11])
		case m == app1 && !oriented && hasPrefix(segment, exifMagic):
			oriented = true
			o.orientation = orientation(segment[len(exifMagic):])
		}
	}
	if f == nil || scans == 0 {
		return bad("the JPEG is broken: it has no pixels")
	}
	for i := range f.ids {
		if !f.seen[i] {
			return bad("the JPEG is broken: one of its %d colour components is missing", len(f.ids))
		}
	}
	if len(f.ids) == 4 || len(f.ids) == 3 && !jfif && (adobe == 0 || string(f.ids) == "RGB") {
		o.decoding += 4 * o.Pixels // The decoder copies them into one plane.
	}
	return nil
}

// marker finds the next marker at or behind at, and where it ends: -1 if there
// is none. Zeros behind 0xff are data of a scan, and further 0xff are padding.
func marker(b []byte, at int) (byte, int) {
	for {
		i := bytes.IndexByte(b[at:], 0xff)
		if i < 0 {
			return 0, -1
		}
		for at += i + 1; at < len(b) && b[at] == 0xff; at++ {
		}
		if at == len(b) {
			return 0, -1
		}
		if at++; b[at-1] != 0 {
			return b[at-1], at
		}
	}
}

// frame reads the header of a frame, which is where the size is stated.
func (o *outline) frame(m byte, segment []byte) (*frame, error) {
	if m > sof0+2 {
		return nil, unsupported("the JPEG is of a rare kind (SOF%d); baseline and progressive JPEGs are taken", m-sof0)
	}
	if len(segment) < 6 || len(segment) != 6+3*int(segment[5]) {
		return nil, bad("the JPEG is broken: its frame header has %d bytes", len(segment))
	}
	if segment[0] != 8 {
		return nil, unsupported("the JPEG has %d bits a sample; 8 are taken", segment[0])
	}
	components := int(segment[5])
	if components != 1 && components != 3 && components != 4 {
		return nil, unsupported("the JPEG has %d colour components; 1, 3 and 4 are taken", components)
	}
	width, height := int64(binary.BigEndian.Uint16(segment[3:])), int64(binary.BigEndian.Uint16(segment[1:]))
	if err := o.size(width, height); err != nil {
		return nil, err
	}
	f := &frame{progressive: m == sof0+2}
	// The decoder makes room for whole blocks, which are of 8 × 8 samples and
	// as many to a unit as the sampling factors of the first component say.
	h0, v0 := int64(segment[7]>>4), int64(segment[7]&15)
	if components == 1 {
		h0, v0 = 1, 1
	}
	var samples int64
	for c := segment[6:]; len(c) > 0; c = c[3:] {
		f.ids = append(f.ids, c[0])
		h, v := int64(c[1]>>4), int64(c[1]&15)
		if components == 1 {
			h, v = 1, 1
		}
		if h < 1 || h > 4 || v < 1 || v > 4 {
			return nil, bad("the JPEG is broken: sampling factors %d and %d", h, v)
		}
		samples += (width + 8*h0 - 1) / (8 * h0) * ((height + 8*v0 - 1) / (8 * v0)) * h * v * 64
	}
	o.decoding = samples
	if f.progressive {
		o.decoding += 4 * samples // Coefficients are kept until the last scan.
	}
	return f, nil
}

// scan checks the header of a scan against the frame: which components it
// brings. A sequential JPEG brings each component once.
func (f *frame) scan(segment []byte) error {
	if len(segment) < 1 || len(segment) != 4+2*int(segment[0]) || segment[0] == 0 {
		return bad("the JPEG is broken: a scan header has %d bytes", len(segment))
	}
	for c := segment[1 : 1+2*segment[0]]; len(c) > 0; c = c[2:] {
		i := bytes.IndexByte(f.ids, c[0])
		if i < 0 {
			return bad("the JPEG is broken: a scan is of a component %d that there is not", c[0])
		}
		if f.seen[i] && !f.progressive {
			return bad("the JPEG is broken: it has the pixels of a colour component twice")
		}
		f.seen[i] = true
	}
	return nil
}

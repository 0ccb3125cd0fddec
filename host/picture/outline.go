package picture

import (
	"bytes"
)

// An outline is what the structure of a picture tells: what its users see, and
// what decoding it needs.
type outline struct {
	Info
	width, height int  // as stored: before the orientation is applied
	orientation   int  // 1 to 8, as EXIF has it
	end           int  // bytes of content that are the picture
	studio        bool // colours are in the range of television: 16 to 235

	parts [][]byte // what the decoder of a GIF is given: the first frame

	limits Limits
}

// read reads the structure of content.
func read(content []byte, limits Limits) (*outline, error) {
	limits = limits.orDefault()
	if int64(len(content)) > limits.Bytes {
		return nil, tooLarge("the picture has %d bytes; at most %d are taken", len(content), limits.Bytes)
	}
	o := &outline{orientation: 1, limits: limits}
	var err error
	switch {
	case len(content) == 0:
		return nil, bad("the file is empty")
	case hasPrefix(content, "\xff\xd8\xff"):
		o.Format = "jpeg"
		err = o.readJPEG(content)
	case hasPrefix(content, pngMagic):
		o.Format = "png"
		err = o.readPNG(content)
	case hasPrefix(content, "GIF87a"), hasPrefix(content, "GIF89a"):
		o.Format = "gif"
		err = o.readGIF(content)
	case hasPrefix(content, "RIFF") && len(content) >= 12 && string(content[8:12]) == "WEBP":
		o.Format = "webp"
		err = o.readWebP(content)
	default:
		if what := foreign(content); what != "" {
			return nil, unsupported("this is %s; JPEG, PNG, GIF and WebP pictures are taken", what)
		}
		return nil, unsupported("this is no picture of a known format; JPEG, PNG, GIF and WebP are taken")
	}
	if err != nil {
		return nil, err
	}
	if err := checkTrailer(content[o.end:], o.Format == "jpeg"); err != nil {
		return nil, err
	}
	o.Width, o.Height = o.width, o.height
	if o.orientation > 4 { // Lying on a side.
		o.Width, o.Height = o.height, o.width
	}
	return o, nil
}

// size takes the size that a header states, unless it is out of bounds.
func (o *outline) size(width, height int64) error {
	switch {
	case width <= 0 || height <= 0:
		return bad("the picture is %d pixels wide and %d high", width, height)
	case width > maxSide || height > maxSide:
		return tooLarge("the picture is %d pixels wide and %d high; at most %d each are taken", width, height, maxSide)
	case width*height > o.limits.Pixels:
		return tooLarge("the picture has %d × %d = %d pixels; at most %d are taken", width, height, width*height, o.limits.Pixels)
	}
	o.width, o.height, o.Pixels = int(width), int(height), width*height
	return nil
}

func (o *outline) name() string {
	return map[string]string{"jpeg": "JPEG", "png": "PNG", "gif": "GIF", "webp": "WebP"}[o.Format]
}

// short is the error about a picture that ends before it is complete.
func (o *outline) short(missing string) error {
	return bad("the %s ends before %s: the file is not whole", o.name(), missing)
}

func hasPrefix(b []byte, prefix string) bool {
	return len(b) >= len(prefix) && string(b[:len(prefix)]) == prefix
}

// foreign names a format that is known but not taken, "" if it is not known.
func foreign(b []byte) string {
	for _, f := range []struct{ magic, name string }{
		{"BM", "a BMP picture"},
		{"II*\x00", "a TIFF or raw camera picture"},
		{"MM\x00*", "a TIFF or raw camera picture"},
		{"\x00\x00\x01\x00", "an icon (ICO)"},
		{"\x00\x00\x00\x0cJXL ", "a JPEG XL picture"},
		{"\xff\x0a", "a JPEG XL picture"},
		{"\x00\x00\x00\x0cjP  ", "a JPEG 2000 picture"},
		{"\xff\x4f\xff\x51", "a JPEG 2000 picture"},
		{"8BPS", "a Photoshop document"},
		{"%PDF-", "a PDF document"},
		{"%!PS", "a PostScript document"},
		{"PK\x03\x04", "a ZIP archive or an office document"},
		{"\x1f\x8b", "a gzip archive"},
		{"\x1aE\xdf\xa3", "a video (Matroska or WebM)"},
		{"RIFF", "a RIFF file that is no WebP"},
		{"\xff\xd8", "a JPEG that is broken at its third byte"},
	} {
		if hasPrefix(b, f.magic) {
			return f.name
		}
	}
	if len(b) >= 12 && string(b[4:8]) == "ftyp" {
		switch brand := string(b[8:12]); brand {
		case "heic", "heix", "heim", "heis", "hevc", "hevx", "mif1", "msf1":
			return "a HEIC picture"
		case "avif", "avis":
			return "an AVIF picture"
		default:
			return "a video or another file of the MP4 family"
		}
	}
	text := bytes.ToLower(bytes.TrimLeft(bytes.TrimPrefix(b[:min(len(b), 512)], []byte("\xef\xbb\xbf")), " \t\r\n"))
	switch {
	case hasPrefix(text, "<svg"), hasPrefix(text, "<?xml") && bytes.Contains(text, []byte("<svg")):
		return "an SVG drawing"
	case hasPrefix(text, "<?xml"):
		return "an XML document"
	case hasPrefix(text, "<!doctype html"), hasPrefix(text, "<html"), hasPrefix(text, "<head"), hasPrefix(text, "<body"), hasPrefix(text, "<script"):
		return "an HTML page"
	}
	return ""
}

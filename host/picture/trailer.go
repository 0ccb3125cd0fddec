package picture

import (
	"encoding/binary"
	"math"
)

// checkTrailer refuses bytes behind the end of a picture: a file that is a
// picture and something else at once is made to deceive. What cameras append is
// no deceit: padding, and behind a JPEG further JPEGs (previews, gain maps and
// depths), the video of a motion photo, and Samsung's list of extras.
func checkTrailer(b []byte, jpeg bool) error {
	size := len(b)
	if jpeg {
		b = b[:samsung(b)]
	}
	for len(b) > 0 {
		n := padding(b)
		if n == 0 && jpeg {
			n = max(jpegLength(b), movieLength(b))
		}
		if n == 0 {
			return bad("%d bytes follow the end of the picture that belong to no picture", size)
		}
		b = b[n:]
	}
	return nil
}

// padding counts the zeros and 0xff at the start of b that are not the start of
// a JPEG or a movie.
func padding(b []byte) int {
	n := 0
	for n < len(b) && (b[n] == 0 || b[n] == 0xff) && !hasPrefix(b[n:], "\xff\xd8") && !startsMovie(b[n:]) {
		n++
	}
	return n
}

// jpegLength is the length of the JPEG at the start of b, 0 if there is none.
func jpegLength(b []byte) int {
	o := &outline{limits: Limits{Pixels: math.MaxInt32}}
	if !hasPrefix(b, "\xff\xd8\xff") || o.readJPEG(b) != nil {
		return 0
	}
	return o.end
}

func startsMovie(b []byte) bool {
	return len(b) >= 8 && string(b[4:8]) == "ftyp"
}

// movieLength is the length of the MP4 file at the start of b, 0 if there is
// none: boxes that state their own length.
func movieLength(b []byte) int {
	if !startsMovie(b) {
		return 0
	}
	at, tracks := 0, false
boxes:
	for len(b)-at >= 8 {
		switch string(b[at+4 : at+8]) {
		case "moov":
			tracks = true
		case "ftyp", "mdat", "free", "skip", "wide", "uuid", "meta", "udta", "moof", "mfra", "sidx", "styp", "pdin":
		default:
			break boxes
		}
		n, header := uint64(binary.BigEndian.Uint32(b[at:])), uint64(8)
		switch {
		case n == 0: // Up to the end.
			n = uint64(len(b) - at)
		case n == 1 && len(b)-at >= 16:
			n, header = binary.BigEndian.Uint64(b[at+8:]), 16
		}
		if n < header || n > uint64(len(b)-at) {
			return 0
		}
		at += int(n)
	}
	if !tracks {
		return 0
	}
	return at
}

// samsung is where Samsung's extras start that b ends in, len(b) if it does not.
// They are blocks, a directory (SEFH) that tells how far before it each starts
// and how long it is, the directory's length, and SEFT.
func samsung(b []byte) int {
	const head, entry, tail = 12, 12, 8
	none := len(b)
	if len(b) < head+tail || string(b[len(b)-4:]) != "SEFT" {
		return none
	}
	n := int64(binary.LittleEndian.Uint32(b[len(b)-tail:]))
	if n < head || n > int64(len(b)-tail) {
		return none
	}
	at := len(b) - tail - int(n)
	directory := b[at : at+int(n)]
	if !hasPrefix(directory, "SEFH") || int64(binary.LittleEndian.Uint32(directory[8:]))*entry != n-head {
		return none
	}
	// The blocks have to be without gaps, from the first of them to the directory.
	first, total := int64(0), int64(0)
	for e := directory[head:]; len(e) > 0; e = e[entry:] {
		back, size := int64(binary.LittleEndian.Uint32(e[4:])), int64(binary.LittleEndian.Uint32(e[8:]))
		if back > int64(at) || size > back {
			return none
		}
		first, total = max(first, back), total+size
	}
	if total != first {
		return none
	}
	return at - int(first)
}

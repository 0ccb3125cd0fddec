package picture

import "encoding/binary"

// exifMagic stands before EXIF data in a JPEG, and in some WebP files.
const exifMagic = "Exif\x00\x00"

// orientation reads how a picture is to be turned from EXIF data: the one tag
// that is needed, from the one directory that has it. What is broken or absent
// is 1: as it is. A camera's mistake in there is no reason to refuse a picture.
func orientation(tiff []byte) int {
	const (
		tag   = 0x0112
		short = 3 // the type: 16 bits
	)
	var order binary.ByteOrder
	switch {
	case hasPrefix(tiff, "II*\x00"):
		order = binary.LittleEndian
	case hasPrefix(tiff, "MM\x00*"):
		order = binary.BigEndian
	default:
		return 1
	}
	if len(tiff) < 8 {
		return 1
	}
	at := int64(order.Uint32(tiff[4:]))
	if at < 8 || at+2 > int64(len(tiff)) {
		return 1
	}
	entries := tiff[at+2:]
	for n := order.Uint16(tiff[at:]); n > 0 && len(entries) >= 12; n-- {
		if order.Uint16(entries) == tag {
			v := int(order.Uint16(entries[8:]))
			if order.Uint16(entries[2:]) != short || order.Uint32(entries[4:]) != 1 || v < 1 || v > 8 {
				return 1
			}
			return v
		}
		entries = entries[12:]
	}
	return 1
}

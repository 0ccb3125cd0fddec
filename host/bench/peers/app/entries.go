package app

import "encoding/binary"

// AppendEntry appends an entry of a Scan to the frame in which a host hands them
// to its guest: each key and each value behind its length.
func AppendEntry(dst, key, value []byte) []byte {
	dst = append(binary.LittleEndian.AppendUint32(dst, uint32(len(key))), key...)
	return append(binary.LittleEndian.AppendUint32(dst, uint32(len(value))), value...)
}

// EachEntry yields the entries of a frame until yield returns false.
func EachEntry(frame []byte, yield func(key, value []byte) bool) {
	take := func() []byte {
		n := binary.LittleEndian.Uint32(frame)
		b := frame[4 : 4+n]
		frame = frame[4+n:]
		return b
	}
	for len(frame) > 0 {
		key := take()
		if !yield(key, take()) {
			return
		}
	}
}

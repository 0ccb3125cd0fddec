package badgerstore

// Keys as Badger sees them:
//
//	0x01 len(space) space key
//
// The length, of one byte, makes every space a prefix of its own: no name and key
// can be read as another name and another key, and all keys of a space lie
// together. The first byte keeps keys out of "!badger!", the prefix that Badger
// keeps for itself: with the length in front, a space whose name has 33 bytes
// ('!') and begins with "badger!" would fall into it.
const kindEntry byte = 0x01

// maxPrefix is the longest prefix that appendSpace returns.
const maxPrefix = 2 + 255

// appendSpace appends the prefix that all keys of a space have.
func appendSpace(dst []byte, space string) []byte {
	dst = append(dst, kindEntry, byte(len(space)))
	return append(dst, space...)
}

// splitKey takes a key of Badger's apart. It returns false for a key that is no
// entry of a space.
func splitKey(raw []byte) (space, key []byte, ok bool) {
	if len(raw) < 2 || raw[0] != kindEntry || raw[1] == 0 {
		return nil, nil, false
	}
	end := 2 + int(raw[1])
	if len(raw) <= end {
		return nil, nil, false
	}
	return raw[2:end], raw[end:], true
}

// appendAfter appends the first key behind all keys that begin with prefix. A
// space's prefix begins with kindEntry, so there always is one.
func appendAfter(dst, prefix []byte) []byte {
	end := len(prefix)
	for prefix[end-1] == 0xff {
		end--
	}
	dst = append(dst, prefix[:end]...)
	dst[len(dst)-1]++
	return dst
}

package text

import "bytes"

// FindCookie returns the value of the first cookie of that name in the value of
// a Cookie header, without the quotes it may stand in, and nil if there is
// none. The result points into header.
func FindCookie(header, name []byte) []byte {
	for len(header) > 0 {
		cookie, rest, _ := bytes.Cut(header, []byte{';'})
		header = rest
		key, value, found := bytes.Cut(cookie, []byte{'='})
		if !found || !bytes.Equal(bytes.Trim(key, " \t"), name) {
			continue
		}
		if value = bytes.Trim(value, " \t"); value == nil { // bytes.Trim leaves nothing of nothing
			return []byte{}
		}
		if n := len(value); n >= 2 && value[0] == '"' && value[n-1] == '"' {
			value = value[1 : n-1]
		}
		return value
	}
	return nil
}

package main

import (
	"crypto/rand"
	"crypto/sha1"

	"github.com/edgeset/edgeset/abi/guest"
)

// A gid is a UUID: of an identity, a group, an update or a permission.
type gid [16]byte

// uuidText is the length of a UUID as text.
const uuidText = 36

const (
	lowerHex = "0123456789abcdef"
	upperHex = "0123456789ABCDEF"
)

// write writes the UUID as text with these digits.
func (g *gid) write(b *[uuidText]byte, digits string) {
	at := 0
	for i, c := range g {
		if i == 4 || i == 6 || i == 8 || i == 10 {
			b[at] = '-'
			at++
		}
		b[at], b[at+1] = digits[c>>4], digits[c&15]
		at += 2
	}
}

func (g gid) String() string {
	var b [uuidText]byte
	g.write(&b, lowerHex)
	return string(b[:])
}

// parseUUID reads a UUID of 8-4-4-4-12 digits in any case. upper tells whether it is
// written in upper case throughout.
func parseUUID(text string) (id gid, upper, ok bool) {
	if len(text) != uuidText {
		return gid{}, false, false
	}
	var digit, lower int
	for i := range len(text) {
		c := text[i]
		if i == 8 || i == 13 || i == 18 || i == 23 {
			if c != '-' {
				return gid{}, false, false
			}
			continue
		}
		var value byte
		switch {
		case c-'0' <= 9:
			value = c - '0'
		case c-'a' <= 5:
			value = c - 'a' + 10
			lower++
		case c-'A' <= 5:
			value = c - 'A' + 10
			upper = true
		default:
			return gid{}, false, false
		}
		id[digit>>1] = id[digit>>1]<<4 | value
		digit++
	}
	return id, upper && lower == 0, true
}

// identities is the namespace in which the UUIDs of identities are made from the ids of
// accounts. It stays as it is for ever.
var identities = gid{0x5f, 0x0d, 0x3c, 0x91, 0x6a, 0x42, 0x4e, 0x8b, 0x9d, 0x17, 0xc2, 0xe4, 0x70, 0x35, 0xa8, 0x1e}

// identityOf returns the identity of an account: a UUID of version 5, so that no table
// has to say whose is whose.
func identityOf(account string) gid {
	b := make([]byte, 0, 64)
	b = append(append(b, identities[:]...), account...)
	sum := sha1.Sum(b)
	return gid(sum[:16]).marked(5)
}

// newUUID draws a UUID of version 4.
func newUUID() (id gid) {
	rand.Read(id[:])
	return id.marked(4)
}

// marked sets the version and the variant.
func (g gid) marked(version byte) gid {
	g[6] = g[6]&0x0f | version<<4
	g[8] = g[8]&0x3f | 0x80
	return g
}

// me returns the caller's identity.
func me(r *guest.Request) gid { return identityOf(r.Caller().Account) }

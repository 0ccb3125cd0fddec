package main

import (
	"crypto/rand"

	"github.com/edgeset/edgeset/abi/guest"
)

// A code names an invite, and whoever has it may view: 40 random bits, written
// as eight letters and digits that cannot be mistaken for each other.
type code uint64

const (
	codeLetters = "23456789ABCDEFGHJKLMNPQRSTUVWXYZ"
	codeSize    = 5 // bytes of a code in a key
	codeBits    = 8 * codeSize
)

// String writes a code as XXXX-XXXX.
func (c code) String() string {
	var b [9]byte
	for i := len(b) - 1; i >= 0; i-- {
		if i == 4 {
			b[i] = '-'
			continue
		}
		b[i] = codeLetters[c&31]
		c >>= 5
	}
	return string(b[:])
}

// parseCode reads a code in either case, with the dash or without.
func parseCode(s string) (c code, ok bool) {
	letters := 0
	for i := 0; i < len(s); i++ {
		if s[i] == '-' {
			continue
		}
		v := letterValue(s[i])
		if v < 0 || letters == 8 {
			return 0, false
		}
		c = c<<5 | code(v)
		letters++
	}
	return c, letters == 8
}

func letterValue(b byte) int {
	if 'a' <= b && b <= 'z' {
		b -= 'a' - 'A'
	}
	for i := 0; i < len(codeLetters); i++ {
		if codeLetters[i] == b {
			return i
		}
	}
	return -1
}

func (c code) append(b []byte) []byte {
	return append(b, byte(c>>32), byte(c>>24), byte(c>>16), byte(c>>8), byte(c))
}

// readCode reads the code that begins at b.
func readCode(b []byte) code {
	return code(b[0])<<32 | code(b[1])<<24 | code(b[2])<<16 | code(b[3])<<8 | code(b[4])
}

// newCode draws a code that no invite has.
func newCode(kv *guest.KV) (code, error) {
	for {
		var b [codeSize]byte
		rand.Read(b[:])
		c := readCode(b[:])
		if _, taken, err := kv.Get(codeKey(nil, keyInvite, c)); !taken || err != nil {
			return c, err
		}
	}
}

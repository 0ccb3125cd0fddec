// Package text is where text becomes values and values become text. Guests
// never see any: the host parses JSON bodies, forms and queries natively into
// the MessagePack of package abi, and renders replies from it.
//
// Everything here reads what strangers wrote. Every function takes any bytes
// without panicking, its recursion is bounded, and its output is at most a
// small multiple of its input.
package text

import "strconv"

// A SyntaxError tells where a text is not what it should be.
type SyntaxError struct {
	Offset int    // in bytes, from 0
	Msg    string // what is wrong there, fit to be shown to the client
}

// Error makes *SyntaxError an error.
func (e *SyntaxError) Error() string { return "at byte " + strconv.Itoa(e.Offset) + ": " + e.Msg }

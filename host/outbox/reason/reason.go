// Package reason says in a line why something could not be delivered.
package reason

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"os"
	"strings"
	"unicode"
)

const maxLine = 300 // bytes

// Of says why a connection did not do what was wanted within ctx.
func Of(ctx context.Context, err error) string {
	wrong, isWrong := errors.AsType[*tls.CertificateVerificationError](err)
	switch {
	case errors.Is(ctx.Err(), context.Canceled):
		return "cut off"
	case errors.Is(err, context.DeadlineExceeded), errors.Is(err, os.ErrDeadlineExceeded):
		return "no answer in time"
	case errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF):
		return "the server has closed the connection"
	case isWrong:
		return Line("the server's certificate is not good: " + wrong.Err.Error())
	}
	return Line(err.Error())
}

// Line makes what another server says fit to be shown: one line, and not a long one.
func Line(s string) string {
	s = strings.Join(strings.FieldsFunc(strings.ToValidUTF8(s, "?"), func(c rune) bool {
		return unicode.IsSpace(c) || !unicode.IsPrint(c)
	}), " ")
	if len(s) > maxLine {
		s = strings.ToValidUTF8(s[:maxLine], "") + "…"
	}
	return s
}

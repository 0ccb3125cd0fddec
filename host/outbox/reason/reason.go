// Package reason says in a line why something could not be delivered.
package reason

import (
	"context"
	"crypto/tls"
	"errors"
	"io"
	"os"
	"slices"
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

// Public is Line for those who are not to know where servers are: without URLs, paths,
// names of hosts and addresses of networks. Mail addresses and codes stay.
func Public(s string) string {
	var b strings.Builder
	for s != "" {
		n := strings.IndexFunc(s, isEdge)
		if n < 0 {
			n = len(s)
		}
		if word := s[:n]; isPlace(word) {
			b.WriteString("…")
		} else {
			b.WriteString(word)
		}
		s = s[n:]
		if n = strings.IndexFunc(s, func(c rune) bool { return !isEdge(c) }); n < 0 {
			n = len(s)
		}
		b.WriteString(s[:n])
		s = s[n:]
	}
	return Line(b.String())
}

// isEdge tells what stands between words.
func isEdge(c rune) bool {
	return unicode.IsSpace(c) || !unicode.IsPrint(c) || strings.ContainsRune("\"'`<>(){}[],;|", c)
}

// isPlace tells whether a word may say where something is.
func isPlace(word string) bool {
	word = strings.Trim(word, ".:!?")
	host, port, _ := strings.Cut(word, ":")
	switch {
	case strings.ContainsAny(word, `/\`), strings.Count(word, ":") > 1:
		return true
	case strings.Contains(word, "@"):
		return false
	case isNumber(port) && host != "" && !isNumber(host):
		return true
	}
	return strings.Contains(word, ".") && !isStatus(word)
}

// isStatus tells whether a word is a status of RFC 3463, such as 5.1.1.
func isStatus(word string) bool {
	parts := strings.Split(strings.TrimPrefix(word, "#"), ".")
	return len(parts) == 3 && !slices.ContainsFunc(parts, func(p string) bool { return !isNumber(p) })
}

func isNumber(s string) bool { return s != "" && strings.Trim(s, "0123456789") == "" }

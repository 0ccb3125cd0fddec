package reason

import (
	"context"
	"crypto/tls"
	"errors"
	"fmt"
	"io"
	"net"
	"os"
	"strings"
	"testing"
	"unicode/utf8"
)

func TestAReasonIsForPeople(t *testing.T) {
	gone, cancel := context.WithCancel(t.Context())
	cancel()
	for _, c := range []struct {
		ctx  context.Context
		err  error
		want string
	}{
		{t.Context(), fmt.Errorf("read: %w", io.EOF), "the server has closed the connection"},
		{t.Context(), &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, "no answer in time"},
		{gone, &net.OpError{Op: "read", Err: os.ErrDeadlineExceeded}, "cut off"},
		{t.Context(), &tls.CertificateVerificationError{Err: errors.New("unknown\nauthority")}, "the server's certificate is not good: unknown authority"},
		{t.Context(), errors.New("no such host"), "no such host"},
	} {
		if got := Of(c.ctx, c.err); got != c.want {
			t.Errorf("%v: %q, want %q", c.err, got, c.want)
		}
	}
}

func FuzzLineIsOneLine(f *testing.F) {
	f.Add("550 no\r\nsuch \x1b[31muser")
	f.Add("\xff\xfe" + strings.Repeat("é", 200))
	f.Fuzz(func(t *testing.T, s string) {
		line := Line(s)
		if !utf8.ValidString(line) || len(line) > maxLine+len("…") || strings.ContainsFunc(line, func(c rune) bool { return c < ' ' || c == 0x7f }) {
			t.Fatalf("%q", line)
		}
	})
}

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

func TestWhatIsPublicDoesNotSayWhereServersAre(t *testing.T) {
	for text, want := range map[string]string{
		"550 5.1.1 <bo@example.com>: User unknown.":                       "550 5.1.1 <bo@example.com>: User unknown.",
		"554 5.7.1 relay3.mail.internal[10.1.2.3]: denied, see https://x": "554 5.7.1 …[…]: denied, see …",
		"dial tcp [2001:db8::1]:587: refused by relay:587":                "dial tcp […]:587: refused by …",
		`{"error":"no such number","host":"sms.internal:80"}`:             `{"error":"no such number","host":"…"}`,
		"500 cannot POST /hooks/token\r\nat 12:30":                        "500 cannot POST … at 12:30",
		"450 4.2.2 full": "450 4.2.2 full",
	} {
		if got := Public(text); got != want {
			t.Errorf("%q: got %q, want %q", text, got, want)
		}
	}
}

func FuzzLineIsOneLine(f *testing.F) {
	f.Add("550 no\r\nsuch \x1b[31muser")
	f.Add("\xff\xfe" + strings.Repeat("é", 200))
	f.Fuzz(func(t *testing.T, s string) {
		line := Line(s)
		if public := Public(s); public != Line(public) {
			t.Fatalf("%q", public)
		}
		if !utf8.ValidString(line) || len(line) > maxLine+len("…") || strings.ContainsFunc(line, func(c rune) bool { return c < ' ' || c == 0x7f }) {
			t.Fatalf("%q", line)
		}
	})
}

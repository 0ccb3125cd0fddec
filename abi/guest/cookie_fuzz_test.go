package guest_test

import (
	"strings"
	"testing"

	"github.com/edgeset/edgeset/abi/guest"
	"github.com/edgeset/edgeset/abi/guesttest"
)

// cookie returns what a plugin reads of a cookie from a header.
func cookie(t *testing.T, header, name string) (value string) {
	t.Helper()
	p := guest.New("trial", "1.0.0")
	p.Family("/", nil).GET("/", func(w *guest.Response, r *guest.Request) error {
		value = r.Cookie(name)
		return nil
	})
	r := guesttest.New(t, p).Do(guesttest.Request{Path: "/", Headers: map[string]string{"cookie": header}})
	if r.Status != 200 {
		t.Fatal(r)
	}
	return value
}

func TestCookie(t *testing.T) {
	for _, c := range []struct{ header, name, want string }{
		{"", "a", ""},
		{"a=1", "a", "1"},
		{"a=1; b=2", "b", "2"},
		{"a=1;b=2", "b", "2"},
		{"  a=1 ;  b=2  ", "b", "2"},
		{"a=1; a=2", "a", "1"},
		{"b; a=1", "b", ""},
		{"a==1=", "a", "=1="},
		{"aa=1; a=2", "a", "2"},
		{"A=1; a=2", "a", "2"},
		{"x=a=1; a=2", "a", "2"},
		{"a=; a=2", "a", ""},
		{";;=;a=1;", "a", "1"},
	} {
		if got := cookie(t, c.header, c.name); got != c.want {
			t.Errorf("%q of %q: got %q, want %q", c.name, c.header, got, c.want)
		}
	}
}

func FuzzCookie(f *testing.F) {
	f.Add("edgeset_session=x; a=b", "edgeset_session")
	f.Add("a==;=; a ;\x00a=\xff", "a")
	f.Fuzz(func(t *testing.T, header, name string) {
		got := cookie(t, header, name)
		if strings.Contains(got, ";") || got != "" && !strings.Contains(header, name+"="+got) {
			t.Fatalf("%q of %q: got %q", name, header, got)
		}
		// What follows changes nothing.
		if got != "" && cookie(t, header+";"+name+"=other", name) != got {
			t.Fatalf("%q of %q: not the first", name, header)
		}
		if !strings.ContainsAny(name, "=; \t\n\v\f\r\u0085\u00a0") && strings.TrimSpace(name) == name && name != "" &&
			!strings.Contains(header, name) && cookie(t, header+";"+name+"=x", name) != "x" {
			t.Fatalf("%q at the end of %q is not found", name, header)
		}
	})
}

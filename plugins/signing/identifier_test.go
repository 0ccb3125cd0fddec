package main

import (
	"strings"
	"testing"

	"github.com/edgeset/edgeset/abi"
)

func TestNormalize(t *testing.T) {
	for _, c := range [][2]string{
		// The examples of the specification, appendix A.1.
		{"example.com", "http://example.com/"},
		{"http://example.com", "http://example.com/"},
		{"https://example.com/", "https://example.com/"},
		{"http://example.com/user", "http://example.com/user"},
		{"http://example.com/user/", "http://example.com/user/"},
		{"http://example.com/", "http://example.com/"},

		{"bobsmith.myopenid.com", "http://bobsmith.myopenid.com/"},
		{" bob.example\n", "http://bob.example/"},
		{"bob.example/#me", "http://bob.example/"},
		{"http://bob.example#me#you", "http://bob.example/"},
		{"HTTP://BOB.Example/Bob", "http://bob.example/Bob"},
		{"xri://bob.example", "http://bob.example/"},
		{"XRI://https://bob.example", "https://bob.example/"},
		{"bob.example:80/", "http://bob.example/"},
		{"https://bob.example:443", "https://bob.example/"},
		{"https://bob.example:80", "https://bob.example:80/"},
		{"http://bob.example:", "http://bob.example/"},
		{"bob.example:8080/x", "http://bob.example:8080/x"},
		{"bob.example/a/./b/../c", "http://bob.example/a/c"},
		{"bob.example/../..", "http://bob.example/"},
		{"bob.example/a/..", "http://bob.example/"},
		{"bob.example/a/.", "http://bob.example/a/"},
		{"bob.example//a", "http://bob.example//a"},
		{"bob.example/%7ebob%2f%c3%a9", "http://bob.example/~bob%2F%C3%A9"},
		{"bob.example/é", "http://bob.example/%C3%A9"},
		{"bob.example/?q=%41&r=%zz", "http://bob.example/?q=A&r=%25zz"},
		{"bob.example?", "http://bob.example/?"},
		{"bob.example?http://x.example", "http://bob.example/?http://x.example"},
		{"localhost:8080", "http://localhost:8080/"},
		{"127.0.0.1", "http://127.0.0.1/"},
		{"http://[2001:DB8:0::1]:8080/", "http://[2001:db8::1]:8080/"},
	} {
		got, err := normalize(c[0])
		if err != nil || got != c[1] {
			t.Errorf("%q: got %q, %v, want %q", c[0], got, err, c[1])
		}
	}
}

func TestNoOpenID(t *testing.T) {
	for _, s := range []string{
		"", " ", "#", "xri://", "=bob", "@example*bob", "+bob", "$bob", "!bob", "(bob)", "xri://=bob", "XRI://@bob",
		"bob", "http://", "http://bob/", "https:///path", "ftp://bob.example/", "javascript:alert(1)", "mailto:bob@bob.example",
		"bob@bob.example", "http://user:secret@bob.example/", "http://bob.example:port/", "http://bob.example:80:80/",
		"http://bob..example/", "http://.example/", "http://bücher.example/", "http://bob.example\r\nX: y", "bob.example/a b",
		"http://bob_.exa mple/", "http://bob.example/%zz", "http://[fe80::1%25eth0]/", "http://[::1/", "\xff.example",
		"bob.example/" + strings.Repeat("x", maxIdentifier), strings.Repeat("x", 64) + ".example",
		strings.Repeat("x.", 130) + "example",
	} {
		got, err := normalize(s)
		if e, ok := err.(*abi.Error); !ok || e.Status != 400 || e.Code != "bad_openid" {
			t.Errorf("%q: got %q, %v, want it refused", s, got, err)
		}
	}
}

func TestIdentifierFromPath(t *testing.T) {
	for _, c := range [][2]string{
		{"https:/bob.example/", "https://bob.example/"},
		{"http:/bob.example", "http://bob.example"},
		{"HTTP:/bob.example", "HTTP://bob.example"},
		{"https://bob.example/", "https://bob.example/"},
		{"xri:/=bob", "xri://=bob"},
		{"bob.example/http:/x", "bob.example/http:/x"},
		{"https:/", "https:/"},
		{"", ""},
	} {
		if got := fromPath(c[0]); got != c[1] {
			t.Errorf("%q: got %q, want %q", c[0], got, c[1])
		}
	}
}

func TestLocalPath(t *testing.T) {
	for _, c := range [][2]string{
		{"", ""}, {"/", "/"}, {"/photos?page=2#top", "/photos?page=2#top"}, {"/a b", "/a%20b"}, {"/é", "/%C3%A9"}, {"/a:b", "/a:b"},
	} {
		if got, err := localPath(c[0]); err != nil || got != c[1] {
			t.Errorf("%q: got %q, %v, want %q", c[0], got, err, c[1])
		}
	}
	for _, s := range []string{
		"photos", "//evil.example", "/a//evil.example", `/\evil.example`, `\\evil.example`, "http://evil.example/", "javascript:alert(1)",
		"/\t/evil.example", "/a\r\nSet-Cookie: x=y", "/\x7f", "/\xff", "/%zz", " /photos", "/" + strings.Repeat("x", maxIdentifier),
	} {
		if got, err := localPath(s); err == nil {
			t.Errorf("%q: got %q, want it refused", s, got)
		}
	}
}

func FuzzNormalize(f *testing.F) {
	for _, s := range []string{"example.com", "=bob", "xri://https://a.b:443/%7E/../é?%zz#x", "http://[::1]:80//..?"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		once, err := normalize(s)
		if err != nil {
			return
		}
		if twice, err := normalize(once); err != nil || twice != once {
			t.Fatalf("%q: %q becomes %q, %v", s, once, twice, err)
		}
		if !strings.HasPrefix(once, "http://") && !strings.HasPrefix(once, "https://") || len(once) > maxIdentifier ||
			strings.ContainsFunc(once, func(c rune) bool { return c <= ' ' || c >= 0x7f || c == '#' }) {
			t.Fatalf("%q: got %q", s, once)
		}
	})
}

func FuzzLocalPath(f *testing.F) {
	f.Add("/photos?x=/y")
	f.Add("/./%2f/evil.example")
	f.Fuzz(func(t *testing.T, s string) {
		got, err := localPath(s)
		if err != nil || got == "" {
			return
		}
		if got[0] != '/' || strings.HasPrefix(got, "//") || strings.ContainsFunc(got, func(c rune) bool { return c <= ' ' || c >= 0x7f || c == '\\' }) {
			t.Fatalf("%q: got %q", s, got)
		}
	})
}

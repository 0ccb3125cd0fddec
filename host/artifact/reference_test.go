package artifact

import (
	"strings"
	"testing"
)

func TestAReferenceIsRead(t *testing.T) {
	for s, want := range map[string]Reference{
		"oci://127.0.0.1:5000/edgeset/signing:1.4":        {Host: "127.0.0.1:5000", Repository: "edgeset/signing", Tag: "1.4"},
		"oci://example.org/signing":                       {Host: "example.org", Repository: "signing"},
		"oci://[::1]:5000/a/b_c/d__e-f.g:v1":              {Host: "[::1]:5000", Repository: "a/b_c/d__e-f.g", Tag: "v1"},
		"oci://localhost/x:_T.1-a":                        {Host: "localhost", Repository: "x", Tag: "_T.1-a"},
		"oci://example.org/x@" + emptyDigest:              {Host: "example.org", Repository: "x", Digest: emptyDigest},
		"oci://example.org:443/x/y:latest@" + emptyDigest: {Host: "example.org:443", Repository: "x/y", Tag: "latest", Digest: emptyDigest},
	} {
		r, err := ParseReference(s)
		if err != nil || r != want || r.String() != s {
			t.Errorf("%s: %+v, %v", s, r, err)
		}
	}
	if r, err := ParseReference("oci://Example.ORG/x"); err != nil || r.Host != "example.org" {
		t.Errorf("a host in capitals: %+v, %v", r, err)
	}
}

func TestAReferenceThatIsNoneIsRefused(t *testing.T) {
	for s, want := range map[string]string{
		"":                         `does not begin with "oci://"`,
		"example.org/x:1":          `does not begin with "oci://"`,
		"https://example.org/x":    `does not begin with "oci://"`,
		"OCI://example.org/x":      `does not begin with "oci://"`,
		"oci://":                   "no repository",
		"oci://example.org":        "no repository",
		"oci://example.org/":       `repository ""`,
		"oci:///x":                 `host ""`,
		"oci://user:pw@host/x":     `host "user:pw@host"`,
		"oci://exa mple/x":         `host "exa mple"`,
		"oci://a..b/x":             `host "a..b"`,
		"oci://-a/x":               `host "-a"`,
		"oci://a:0/x":              `host "a:0"`,
		"oci://a:65536/x":          `host "a:65536"`,
		"oci://a:080/x":            `host "a:080"`,
		"oci://a:/x":               `host "a:"`,
		"oci://[::1/x":             `host "[::1"`,
		"oci://::1/x":              `host "::1"`,
		"oci://[127.0.0.1]/x":      "host",
		"oci://[fe80::1%25eth0]/x": "host",
		"oci://a/X":                `repository "X"`,
		"oci://a/x/":               `repository "x/"`,
		"oci://a/../x":             `repository "../x"`,
		"oci://a/x//y":             `repository "x//y"`,
		"oci://a/x?tag=1":          `repository "x?tag=1"`,
		"oci://a/x:":               `tag ""`,
		"oci://a/x:a b":            `tag "a b"`,
		"oci://a/x:-a":             `tag "-a"`,
		"oci://a/x:a:b":            `tag "a:b"`,
		"oci://a/x@sha256:12":      `digest "sha256:12"`,
		"oci://a/x@":               `digest ""`,
		"oci://a/x@sha512:" + strings.Repeat("0", 128): "want \"sha256:\"",
		"oci://a/" + strings.Repeat("x", 256):          "at most 255 bytes",
		"oci://a/x:" + strings.Repeat("x", 129):        "too many",
		"oci://" + strings.Repeat("x", 256) + "/x":     "no name or address",
		"oci://a/\x1b[2J":                              `repository "\x1b[2J"`,
	} {
		r, err := ParseReference(s)
		if err == nil || r != (Reference{}) || !strings.Contains(err.Error(), want) || !strings.Contains(err.Error(), "want \"oci://HOST") {
			t.Errorf("%q: %+v\ngot  %v\nwant %s", s, r, err, want)
		}
	}
}

func TestAPlainConnectionIsOnlyForThisMachine(t *testing.T) {
	for host, want := range map[string]bool{
		"localhost": true, "localhost:5000": true, "127.0.0.1": true, "127.3.2.1:80": true, "[::1]": true, "[::1]:80": true,
		"[::ffff:127.0.0.1]": true,
		"example.org":        false, "10.0.0.1:5000": false, "localhost.example.org": false, "127.example.org": false, "[::2]": false,
	} {
		if r, err := ParseReference("oci://" + host + "/x"); err != nil || r.local() != want {
			t.Errorf("%s: %v, %v", host, r.local(), err)
		}
	}
}

func FuzzParseReference(f *testing.F) {
	f.Add("oci://127.0.0.1:5000/edgeset/signing:1.4")
	f.Add("oci://[::1]:5000/a__b@" + emptyDigest)
	f.Add("oci://a/b:c@sha256:")
	f.Add("embedded:signing")
	f.Fuzz(func(t *testing.T, s string) {
		r, err := ParseReference(s)
		if err != nil {
			if len(err.Error()) > 4000 {
				t.Fatalf("an error of %d bytes", len(err.Error()))
			}
			return
		}
		if again, err := ParseReference(r.String()); err != nil || again != r {
			t.Fatalf("%q is read as %+v, which is written as %q and read as %+v, %v", s, r, r.String(), again, err)
		}
		if strings.ContainsAny(r.Repository, "?#% \\") || strings.Contains(r.Repository, "..") || strings.ContainsAny(r.Host, "/@?# ") {
			t.Fatalf("%q is read as %+v", s, r)
		}
	})
}

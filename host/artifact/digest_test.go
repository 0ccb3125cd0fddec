package artifact

import (
	"strings"
	"testing"
)

const emptyDigest = "sha256:e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

func TestADigestIsThatOfSHA256(t *testing.T) {
	if d := DigestOf(nil); d != emptyDigest || d.Hex() != emptyDigest[len("sha256:"):] {
		t.Errorf("%s, %s", d, d.Hex())
	}
	if d, err := ParseDigest(emptyDigest); err != nil || d != DigestOf([]byte{}) {
		t.Errorf("%s, %v", d, err)
	}
}

func TestADigestHasOneForm(t *testing.T) {
	digits := emptyDigest[len("sha256:"):]
	for _, s := range []string{
		"", digits, "sha256:", "sha256:" + digits[1:], emptyDigest + "0", "sha512:" + digits, "SHA256:" + digits,
		"sha256:" + strings.ToUpper(digits), "sha256:" + digits[1:] + "g", "sha256:../../../" + digits[9:], " " + emptyDigest,
		"sha256:" + strings.Repeat("x", 1<<20),
	} {
		d, err := ParseDigest(s)
		if err == nil || d != "" || !strings.Contains(err.Error(), "64 hexadecimal digits") || len(err.Error()) > 300 {
			t.Errorf("%.80q: %q, %v", s, d, err)
		}
	}
}

func FuzzParseDigest(f *testing.F) {
	f.Add(emptyDigest)
	f.Add("sha256:")
	f.Add("")
	f.Fuzz(func(t *testing.T, s string) {
		d, err := ParseDigest(s)
		if err != nil {
			if len(err.Error()) > 1000 {
				t.Fatalf("an error of %d bytes", len(err.Error()))
			}
			return
		}
		if string(d) != s || len(d.Hex()) != 64 || strings.ContainsAny(d.Hex(), "./\\:") {
			t.Fatalf("%q is read as %q", s, d)
		}
	})
}

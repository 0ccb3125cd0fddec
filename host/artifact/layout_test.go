package artifact

import (
	"strings"
	"testing"
	"unicode"
	"unicode/utf8"
)

func TestTheSameIsPackedTheSame(t *testing.T) {
	o := PushOptions{Signature: "signed", Annotations: map[string]string{"b": "1", "a": "2"}, Created: fuzzTime}
	one, _, _, err := pack([]byte(tiny), o)
	if err != nil {
		t.Fatal(err)
	}
	two, _, _, err := pack([]byte(tiny), o)
	if err != nil || one.desc.Digest != two.desc.Digest {
		t.Errorf("%s and %s, %v", one.desc.Digest, two.desc.Digest, err)
	}
	if layer, err := findLayer(one.data); err != nil || layer.Annotations[SignatureAnnotation] != "signed" || layer.Size != int64(len(tiny)) {
		t.Errorf("%+v, %v", layer, err)
	}
}

func FuzzFindLayer(f *testing.F) {
	manifest, _, _, err := pack([]byte(tiny), PushOptions{Signature: "signed", Created: fuzzTime})
	if err != nil {
		f.Fatal(err)
	}
	f.Add(manifest.data)
	f.Add([]byte(`{"layers":[{"mediaType":"application/wasm","size":-1}]}`))
	f.Add([]byte(`{"layers":null}`))
	f.Add([]byte("\xff"))
	f.Fuzz(func(t *testing.T, text []byte) {
		layer, err := findLayer(text)
		if err != nil {
			if s := err.Error(); strings.IndexFunc(s, unicode.IsControl) >= 0 || !utf8.ValidString(s) || len(s) > 2000 {
				t.Fatalf("that is nothing to print: %q", s)
			}
			return
		}
		if _, err := ParseDigest(string(layer.Digest)); err != nil || layer.Size < 0 || layer.Size > MaxSize {
			t.Fatalf("%+v, %v", layer, err)
		}
	})
}

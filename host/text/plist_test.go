package text_test

import (
	"errors"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/text"
)

const (
	plistHead = xmlHead + `<!DOCTYPE plist PUBLIC "-//Apple//DTD PLIST 1.0//EN" "http://www.apple.com/DTDs/PropertyList-1.0.dtd">` + "\n" + `<plist version="1.0">`
	plistEnd  = "</plist>\n"
)

func TestPropertyListsAreRendered(t *testing.T) {
	for _, c := range []struct {
		name  string
		write func(w *abi.Writer)
		want  string
	}{
		{"null", func(w *abi.Writer) { w.Nil() }, `<string></string>`},
		{"null in an array", func(w *abi.Writer) { w.Array(); w.Nil(); w.End() }, `<array><string></string></array>`},
		{"null in a dict", func(w *abi.Writer) {
			w.Map()
			w.Key("a")
			w.Nil()
			w.Key("b")
			w.Int(1)
			w.Key("c")
			w.Nil()
			w.End()
		}, `<dict><key>b</key><integer>1</integer></dict>`},
		{"nothing else in a dict", func(w *abi.Writer) { w.Map(); w.Key("a"); w.Nil(); w.End() }, `<dict/>`},
		{"an empty dict", func(w *abi.Writer) { w.Map(); w.End() }, `<dict/>`},
		{"an empty array", func(w *abi.Writer) { w.Array(); w.End() }, `<array/>`},
		{"booleans", func(w *abi.Writer) { w.Array(); w.Bool(true); w.Bool(false); w.End() }, `<array><true/><false/></array>`},
		{"the least integer", func(w *abi.Writer) { w.Int(math.MinInt64) }, `<integer>-9223372036854775808</integer>`},
		{"the largest integer", func(w *abi.Writer) { w.Uint(math.MaxUint64) }, `<integer>18446744073709551615</integer>`},
		{"a fraction", func(w *abi.Writer) { w.Float(-0.25) }, `<real>-0.25</real>`},
		{"a whole float", func(w *abi.Writer) { w.Float(1e15) }, `<real>1000000000000000</real>`},
		{"a large float", func(w *abi.Writer) { w.Float(1e300) }, `<real>1e+300</real>`},
		{"minus zero", func(w *abi.Writer) { w.Float(math.Copysign(0, -1)) }, `<real>-0</real>`},
		{"a float of 32 bits", func(w *abi.Writer) { w.Raw(abi.Value("\xca\x3d\xcc\xcc\xcd")) }, `<real>0.1</real>`},
		{"no number", func(w *abi.Writer) { w.Float(math.NaN()) }, `<real>nan</real>`},
		{"infinity", func(w *abi.Writer) { w.Float(math.Inf(1)) }, `<real>+infinity</real>`},
		{"minus infinity", func(w *abi.Writer) { w.Float(math.Inf(-1)) }, `<real>-infinity</real>`},
		{"a Number that is an integer", func(w *abi.Writer) { w.Number([]byte("-9223372036854775808")) }, `<integer>-9223372036854775808</integer>`},
		{"a Number that is the largest integer", func(w *abi.Writer) { w.Number([]byte("18446744073709551615")) }, `<integer>18446744073709551615</integer>`},
		{"a Number beyond it", func(w *abi.Writer) { w.Number([]byte("18446744073709551616")) }, `<real>18446744073709552000</real>`},
		{"a Number below the least", func(w *abi.Writer) { w.Number([]byte("-9223372036854775809")) }, `<real>-9223372036854776000</real>`},
		{"a Number with a point", func(w *abi.Writer) { w.Number([]byte("1.00")) }, `<real>1</real>`},
		{"a Number with an exponent", func(w *abi.Writer) { w.Number([]byte("1E2")) }, `<real>100</real>`},
		{"an exact Number", func(w *abi.Writer) { w.Number([]byte("0.1000000000000000000001")) }, `<real>0.1</real>`},
		{"a tiny Number", func(w *abi.Writer) { w.Number([]byte("1e-999")) }, `<real>0</real>`},
		{"a Number beyond every float", func(w *abi.Writer) { w.Number([]byte("1e999")) }, `<real>+infinity</real>`},
		{"a Number below every float", func(w *abi.Writer) { w.Number([]byte("-" + strings.Repeat("9", 999))) }, `<real>-infinity</real>`},
		{"an empty string", func(w *abi.Writer) { w.Text("") }, `<string></string>`},
		{"text", func(w *abi.Writer) { w.Text("<b>&\"'\t\n\r]]>\x00\x1f\xff\ufffe") }, "<string>&lt;b&gt;&amp;\"'\t\n&#13;]]&gt;\ufffd\ufffd\ufffd\ufffd</string>"},
		{"rare text", func(w *abi.Writer) { w.Text(rare) }, "<string>" + rare + "</string>"},
		{"a key", func(w *abi.Writer) { w.Map(); w.Key("<&\x01"); w.Text("x"); w.End() }, "<dict><key>&lt;&amp;\ufffd</key><string>x</string></dict>"},
		{"an empty key", func(w *abi.Writer) { w.Map(); w.Key(""); w.Text("x"); w.End() }, "<dict><key></key><string>x</string></dict>"},
		{"bytes", func(w *abi.Writer) { w.Bytes([]byte{0xfb, 0xff, 1, 2}) }, `<data>+/8BAg==</data>`},
		{"no bytes", func(w *abi.Writer) { w.Bytes(nil) }, `<data></data>`},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, err := text.AppendPlist([]byte("kept"), value(c.write))
			if want := "kept" + plistHead + c.want + plistEnd; err != nil || string(out) != want {
				t.Errorf("got %s, %v, want %s", out, err, want)
			}
			wellFormed(t, out[len("kept"):])
		})
	}
}

func TestPropertyListsOfMalformedValuesAreRefused(t *testing.T) {
	for name, v := range map[string]string{
		"nothing":                  "",
		"two values":               "\x01\x01",
		"the tag never used":       "\xc1",
		"an array cut short":       "\x92\x01",
		"an array without head":    "\xdd\x00",
		"a lying array":            "\xdd\xff\xff\xff\xff\x01",
		"a lying string":           "\xdb\xff\xff\xff\xffx",
		"lying bytes":              "\xc6\xff\xff\xff\xffx",
		"a lying map":              "\xdf\xff\xff\xff\xff\xa1a\x01",
		"an integer cut short":     "\xcf\x00",
		"a float cut short":        "\xcb\x00",
		"a key that is no string":  "\x81\x01\x01",
		"a key that is null":       "\x81\xc0\x01",
		"a lying key":              "\x81\xd9\xffx",
		"a dict cut short":         "\x81\xa1a",
		"an unknown extension":     "\xd4\x07x",
		"a number that is none":    "\xd5\x01,1",
		"a number cut short":       "\xc7\x05\x011",
		"nesting beyond the limit": strings.Repeat("\x91", 1000),
		"65 arrays":                strings.Repeat("\x91", 64) + "\x90",
		"65 dicts":                 strings.Repeat("\x81\xa1a", 64) + "\x80",
	} {
		t.Run(name, func(t *testing.T) {
			out, err := text.AppendPlist([]byte("kept"), abi.Value(v))
			if !errors.Is(err, text.ErrValue) || string(out) != "kept" {
				t.Errorf("got %q, %v", out, err)
			}
		})
	}
	t.Run("64 arrays are not", func(t *testing.T) {
		out, err := text.AppendPlist(nil, abi.Value(strings.Repeat("\x91", 63)+"\x90"))
		if err != nil || strings.Count(string(out), "<array>") != 63 {
			t.Errorf("got %s, %v", out, err)
		}
	})
}

func FuzzAppendPlist(f *testing.F) {
	var w abi.Writer
	for seed := range uint64(50) {
		w.Reset(nil)
		randomValue(rand.New(rand.NewPCG(seed, 8)), &w, 3)
		f.Add([]byte(w.Value()))
	}
	f.Add([]byte(strings.Repeat("\xe0", 100)))
	f.Fuzz(func(t *testing.T, b []byte) {
		v := abi.Value(b)
		out, err := text.AppendPlist([]byte("kept"), v)
		switch {
		case (err == nil) != v.Valid():
			t.Fatalf("% x: valid is %t, and the error is %v", b, v.Valid(), err)
		case err != nil && string(out) != "kept":
			t.Fatalf("% x: refused, and wrote %q", b, out)
		case err == nil:
			out = out[len("kept"):]
			wellFormed(t, out)
			readPlist(t, out)
			if len(out) > 22*len(b)+len(plistHead+plistEnd) {
				t.Fatalf("% x: %d bytes became %d", b, len(b), len(out))
			}
		}
	})
}

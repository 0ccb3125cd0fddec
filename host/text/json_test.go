package text_test

import (
	"encoding/hex"
	"encoding/json"
	"errors"
	"math"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/text"
)

// documents are seeds and cases at once: each must read as encoding/json reads
// it, and again after it was rendered.
var documents = []string{
	`null`, `true`, `false`, ` [ ] `, `{}`, `{"a":{}}`, "\t[1 ,\r\n2]", `""`,
	`{"a":1,"b":[true,false,null],"c":{"d":"e"}}`,
	`{"twice":1,"twice":2}`, `{"":0}`,
	// Integers at the edges of their encodings.
	`[0,127,128,255,256,32767,32768,65535,65536,2147483647,2147483648,4294967295,4294967296]`,
	`[-1,-32,-33,-128,-129,-32768,-32769,-2147483648,-2147483649]`,
	`[9223372036854775807,9223372036854775808,-9223372036854775808,-9223372036854775809]`,
	`[18446744073709551615,18446744073709551616,19999999999999999999,99999999999999999999,36893488147419103232]`,
	`-0`, `-0.0`, `-0e5`, `0e999999999999999999999`, `0.000`, `[1.0,1e2,1E+2,100e-2]`,
	// Floats that hold the decimal, and decimals that no float holds.
	`[0.1,0.2,0.3,37.772,-122.419,1e22,1e23,1e21,1e-6,1e-7,5e-324,1.7976931348623157e308,2.2250738585072014e-308]`,
	`[0.1000000000000000055511151231257827,1e309,1e-400,1e999999,123456789012345678901234567890]`,
	`[9007199254740993.0,9007199254740992.0,0.30000000000000004,0.30000000000000005,123456789012345.6789]`,
	`[1.7976931348623159e308,4.9e-324,3e-324,1e-323,2.5e-324,100000000000000000000,1000000000000000128]`,
	`[12345678901234567e-3,1.2345678901234567,12345678.901234567,0.00000000000000000000000000012]`,
	// Strings.
	`"plain text that is longer than eight bytes, and longer than thirty-one"`,
	`"\"\\\/\b\f\n\r\t\u0000\u001f\u0041\u00e9\u20ac\ud83d\ude00"`,
	`"\ud83d"`, `"\ude00\ud83d"`, `"\ud83d\u0041"`, `"\ud83d\n"`, `"\ud83d\ud83d\ude00"`,
	`"grüße, Жизнь, 日本語, 😀"`, "\"\u2028\u2029<>&\x7f\"", `"01234567\n"`, `"0123456\u00e9\"x"`,
	`{"k\u0065y":"v\u0061lue"}`,
}

// refused are documents that are not JSON, with what is said of them.
var refused = []struct{ name, src, want string }{
	{"nothing", ``, "at byte 0: want a value, got the end"},
	{"only white space", ` `, "at byte 1: want a value, got the end"},
	{"a byte order mark", "\ufeff1", "at byte 0: document begins with a byte order mark; send it without"},
	{"two documents", `1 2`, "at byte 2: want the end of the document, got '2'"},
	{"a trailing comma in an array", `[1,]`, "at byte 3: want a value, got ']'"},
	{"a trailing comma in an object", `{"a":1,}`, "at byte 7: want a string as the key of an object, got '}'"},
	{"a comma alone", `[,]`, "at byte 1: want a value, got ','"},
	{"no comma", `[1 2]`, "at byte 3: want ',' or ']' in an array, got '2'"},
	{"an open array", `[1`, "at byte 2: want ',' or ']' in an array, got the end"},
	{"an open object", `{"a":1`, "at byte 6: want ',' or '}' in an object, got the end"},
	{"no colon", `{"a" 1}`, "at byte 5: want ':' behind a key, got '1'"},
	{"no value", `{"a":}`, "at byte 5: want a value, got '}'"},
	{"a bare key", `{a:1}`, "at byte 1: want a string as the key of an object, got 'a'"},
	{"single quotes", `'a'`, `at byte 0: want a value, got '\''`},
	{"a word cut short", `[tru]`, "at byte 1: want a value: is it true?"},
	{"a word that runs on", `nulll`, "at byte 4: want the end of the document, got 'l'"},
	{"a leading zero", `[01]`, "at byte 1: number begins with a needless zero"},
	{"a leading plus", `+1`, "at byte 0: want a value, got '+'"},
	{"a minus alone", `-`, "at byte 1: want a digit behind '-', got the end"},
	{"no digit behind the point", `1.`, "at byte 2: want a digit behind the point, got the end"},
	{"no digit before the point", `.5`, "at byte 0: want a value, got '.'"},
	{"no digit in the exponent", `1e+`, "at byte 3: want a digit in the exponent, got the end"},
	{"not a number", `NaN`, "at byte 0: want a value, got 'N'"},
	{"an endless number", strings.Repeat("1", 1001), "at byte 0: number is longer than 1000 characters"},
	{"an endless exponent", "1e" + strings.Repeat("0", 1000) + "1", "at byte 0: number is longer than 1000 characters"},
	{"an open string", `"abc`, "at byte 4: string is not closed"},
	{"a string that ends in a backslash", `"abc\`, "at byte 4: string is not closed"},
	{"a control character", "\"a\nb\"", `at byte 2: control character '\n' in a string; write it as an escape`},
	{"an unknown escape", `"a\x"`, `at byte 2: unknown escape: want one of \" \\ \/ \b \f \n \r \t \u`},
	{"a short escape", `"\u12"`, `at byte 1: want four hexadecimal digits behind \u`},
	{"a string that is not UTF-8", "[\"abc\xff\"]", "at byte 5: string is not UTF-8"},
	{"a key that is not UTF-8", "{\"\xc3\":1}", "at byte 2: string is not UTF-8"},
	{"not UTF-8 behind an escape", "\"\\n\xed\xa0\x80\"", "at byte 3: string is not UTF-8"},
	{"not UTF-8 outside a string", "[\xff]", "at byte 1: want a value, got a byte that is not UTF-8"},
	{"too deep", strings.Repeat("[", 65), "at byte 64: nested deeper than 64"},
}

func parse(t testing.TB, src string) abi.Value {
	t.Helper()
	v, err := text.ParseJSON(nil, []byte(src), abi.MaxDepth)
	if err != nil {
		t.Fatalf("%s: %v", src, err)
	}
	return v
}

func render(t testing.TB, v abi.Value) string {
	t.Helper()
	out, err := text.AppendJSON(nil, v)
	if err != nil {
		t.Fatalf("% x: %v", []byte(v), err)
	}
	return string(out)
}

func TestDocumentsReadAsInEncodingJSON(t *testing.T) {
	for _, src := range documents {
		sameAsReference(t, []byte(src))
	}
}

func TestRefusalsSayWhatIsWrongAndWhere(t *testing.T) {
	for _, c := range refused {
		t.Run(c.name, func(t *testing.T) {
			out, err := text.ParseJSON([]byte("kept"), []byte(c.src), abi.MaxDepth)
			var syntax *text.SyntaxError
			if !errors.As(err, &syntax) || err.Error() != c.want {
				t.Errorf("got %v, want %s", err, c.want)
			}
			if string(out) != "kept" {
				t.Errorf("dst is %q afterwards", out)
			}
		})
	}
}

// sameAsReference compares a document with what encoding/json makes of it.
func sameAsReference(t *testing.T, src []byte) {
	got, err := text.ParseJSON([]byte("before"), src, abi.MaxDepth)
	if !utf8.Valid(src) || !json.Valid(src) {
		if err == nil {
			t.Fatalf("%q was taken", src)
		}
		return
	}
	if err != nil {
		switch {
		case strings.Contains(err.Error(), "nested deeper than 64") && depthOf(src) > abi.MaxDepth:
		case strings.Contains(err.Error(), "longer than 1000 characters") && len(src) > abi.MaxNumber:
		default:
			t.Fatalf("%q: %v", src, err)
		}
		return
	}
	if depthOf(src) > abi.MaxDepth {
		t.Fatalf("%q is nested too deep and was taken", src)
	}
	if string(got[:6]) != "before" {
		t.Fatalf("%q: overwrote what stood in dst", src)
	}
	v := abi.Value(got[6:])
	if !v.Valid() {
		t.Fatalf("%q: became % x, which is not valid", src, []byte(v))
	}
	want := referenceOf(t, src)
	if have := modelOf(t, v); !reflect.DeepEqual(have, want) {
		t.Fatalf("%q: read as\n%#v, want\n%#v", src, have, want)
	}
	again := []byte(render(t, v))
	if !json.Valid(again) {
		t.Fatalf("%q: rendered as %q", src, again)
	}
	if have := referenceOf(t, again); !reflect.DeepEqual(have, want) {
		t.Fatalf("%q: rendered as %q", src, again)
	}
}

// depthOf returns how deep a document is nested.
func depthOf(src []byte) (deepest int) {
	depth, inside := 0, false
	for i := 0; i < len(src); i++ {
		switch c := src[i]; {
		case inside && c == '\\':
			i++
		case c == '"':
			inside = !inside
		case inside:
		case c == '[' || c == '{':
			depth++
			deepest = max(deepest, depth)
		case c == ']' || c == '}':
			depth--
		}
	}
	return deepest
}

func TestParsedBytes(t *testing.T) {
	for _, c := range []struct{ name, src, want string }{
		{"integers are signed and as short as can be", `[7,128,-33,70000]`, "94 07 d10080 d0df d200011170"},
		{"beyond a signed integer comes an unsigned one", `9223372036854775808`, "cf8000000000000000"},
		{"minus zero is a float", `-0`, "cb8000000000000000"},
		{"one and a half is a float", `1.5`, "cb3ff8000000000000"},
		{"what no float holds stays text", `0.30000000000000005`, "c7 13 01 302e3330303030303030303030303030303035"},
		{"a short string has a head of one byte", `"hi"`, "a26869"},
		{"also one that was longer as text", `"\u0068\u0069\u0069\u0069\u0069\u0069"`, "a6686969696969"},
		{"fifteen elements have a head of one byte", `[` + strings.Repeat(`1,`, 14) + `1]`, "9f" + strings.Repeat("01", 15)},
		{"sixteen one of five", `[[2],` + strings.Repeat(`1,`, 14) + `1]`, "dd00000010 9102" + strings.Repeat("01", 15)},
		{"keys that repeat are passed on", `{"a":1,"a":2}`, "82 a16101 a16102"},
	} {
		t.Run(c.name, func(t *testing.T) {
			if got, want := hex.EncodeToString(parse(t, c.src)), strings.ReplaceAll(c.want, " ", ""); got != want {
				t.Errorf("%s: got %s, want %s", c.src, got, want)
			}
		})
	}
}

func TestParsedNumbersHaveTheBytesOfTheWriter(t *testing.T) {
	for _, n := range []int64{0, 1, 127, 128, 255, 256, 32767, 32768, 65535, 65536, 1<<31 - 1, 1 << 31, 1<<32 - 1, 1 << 32,
		math.MaxInt64, -1, -32, -33, -128, -129, -32768, -32769, -1 << 31, -1<<31 - 1, math.MinInt64} {
		var w abi.Writer
		w.Int(n)
		src := render(t, w.Value())
		if got := parse(t, src); string(got) != string(w.Value()) {
			t.Errorf("%s: parsed as % x, written as % x", src, []byte(got), []byte(w.Value()))
		}
	}
}

func TestWideContainers(t *testing.T) {
	for _, n := range []int{14, 15, 16, 17, 255, 256, 70000} {
		array := "[" + strings.TrimSuffix(strings.Repeat("[1,\"x\"],", n), ",") + "]"
		if v := parse(t, array); v.Len() != n || render(t, v) != array {
			t.Errorf("array of %d elements came back with %d", n, v.Len())
		}
		object := "{" + strings.TrimSuffix(strings.Repeat(`"k":{"l":[]},`, n), ",") + "}"
		if v := parse(t, object); v.Len() != n || render(t, v) != object {
			t.Errorf("object of %d entries came back with %d", n, v.Len())
		}
	}
}

func TestStopsAtEveryOffset(t *testing.T) {
	for n := range 40 {
		for _, middle := range []string{`\n`, `\"`, `\u00e9`, `é`, `日`} {
			src := `"` + strings.Repeat("a", n) + middle + strings.Repeat("b", 40-n) + `"`
			sameAsReference(t, []byte(src))
		}
	}
}

func TestDepthIsCounted(t *testing.T) {
	nested := func(n int) []byte { return []byte(strings.Repeat(`[`, n) + strings.Repeat(`]`, n)) }
	for _, c := range []struct{ limit, depth, asked int }{{0, 0, 0}, {1, 1, 1}, {3, 3, 3}, {64, 64, 64}, {64, 64, 1000}, {0, 0, -5}} {
		if c.depth > 0 {
			if _, err := text.ParseJSON(nil, nested(c.limit), c.asked); err != nil {
				t.Errorf("depth %d with limit %d: %v", c.limit, c.asked, err)
			}
		}
		if _, err := text.ParseJSON(nil, nested(c.limit+1), c.asked); err == nil {
			t.Errorf("depth %d with limit %d was taken", c.limit+1, c.asked)
		}
		if _, err := text.ParseJSON(nil, []byte("1"), c.asked); err != nil {
			t.Errorf("a number with limit %d: %v", c.asked, err)
		}
	}
}

func TestRendered(t *testing.T) {
	for _, c := range []struct {
		name  string
		write func(w *abi.Writer)
		want  string
	}{
		{"null", func(w *abi.Writer) { w.Nil() }, `null`},
		{"a whole float", func(w *abi.Writer) { w.Float(1e15) }, `1000000000000000`},
		{"a large float", func(w *abi.Writer) { w.Float(1e21) }, `1e+21`},
		{"a float below it", func(w *abi.Writer) { w.Float(123456789e12) }, `123456789000000000000`},
		{"a small float", func(w *abi.Writer) { w.Float(1.5e-9) }, `1.5e-9`},
		{"a float with a long exponent", func(w *abi.Writer) { w.Float(1.5e-100) }, `1.5e-100`},
		{"zero", func(w *abi.Writer) { w.Float(0) }, `0`},
		{"minus zero", func(w *abi.Writer) { w.Float(math.Copysign(0, -1)) }, `-0`},
		{"no number", func(w *abi.Writer) { w.Float(math.NaN()) }, `null`},
		{"infinity", func(w *abi.Writer) { w.Float(math.Inf(-1)) }, `null`},
		{"a float of 32 bits", func(w *abi.Writer) { w.Raw(abi.Value("\xca\x3d\xcc\xcc\xcd")) }, `0.1`},
		{"the largest integer", func(w *abi.Writer) { w.Uint(math.MaxUint64) }, `18446744073709551615`},
		{"a number kept as text", func(w *abi.Writer) { w.Number([]byte("1.00e-999")) }, `1.00e-999`},
		{"bytes", func(w *abi.Writer) { w.Bytes([]byte{0xfb, 0xff, 1, 2}) }, `"+/8BAg=="`},
		{"controls", func(w *abi.Writer) { w.Text("\x00\b\f\n\r\t\x1f\x7f\"\\/<>&") }, `"\u0000\b\f\n\r\t\u001f` + "\x7f" + `\"\\/<>&"`},
		{"line separators", func(w *abi.Writer) { w.Text("a\u2028b\u2029c") }, `"a\u2028b\u2029c"`},
		{"text that is not UTF-8", func(w *abi.Writer) { w.Text("a\xffb\xc3") }, "\"a\ufffdb\ufffd\""},
		{"U+FFFD itself", func(w *abi.Writer) { w.Text("a\ufffdb") }, "\"a\ufffdb\""},
		{"an unknown extension", func(w *abi.Writer) { w.Raw(abi.Value("\xd4\x07x")) }, `null`},
		{"a number that is none", func(w *abi.Writer) { w.Raw(abi.Value("\xd5\x01,1")) }, `null`},
	} {
		t.Run(c.name, func(t *testing.T) {
			var w abi.Writer
			c.write(&w)
			if got := render(t, w.Value()); got != c.want {
				t.Errorf("got %s, want %s", got, c.want)
			}
		})
	}
}

func TestMalformedValuesAreRefused(t *testing.T) {
	for name, v := range map[string]string{
		"nothing":                 "",
		"two values":              "\x01\x01",
		"the tag never used":      "\xc1",
		"an array cut short":      "\x92\x01",
		"an array without head":   "\xdd\x00",
		"a lying array":           "\xdd\xff\xff\xff\xff\x01",
		"a lying string":          "\xdb\xff\xff\xff\xffx",
		"lying bytes":             "\xc6\xff\xff\xff\xffx",
		"a lying extension":       "\xc9\xff\xff\xff\xff\x01",
		"an extension cut short":  "\xc7\x00",
		"a float cut short":       "\xcb\x00",
		"a key that is no string": "\x81\x01\x01",
		"a lying key":             "\x81\xd9\xffx",
		"an object cut short":     "\x81\xa1a",
		"nesting beyond limit":    strings.Repeat("\x91", 1000),
		"65 arrays":               strings.Repeat("\x91", 64) + "\x90",
	} {
		t.Run(name, func(t *testing.T) {
			out, err := text.AppendJSON([]byte("kept"), abi.Value(v))
			if !errors.Is(err, text.ErrValue) || string(out) != "kept" {
				t.Errorf("got %q, %v", out, err)
			}
		})
	}
}

func TestErrorForms(t *testing.T) {
	full := &abi.Error{Status: 404, Code: "not_found", Message: `no "x"`, Detail: parse(t, `{"id":7}`)}
	bare := &abi.Error{Status: 500, Code: "internal", Message: "m"}
	for _, c := range []struct {
		name, form string
		e          *abi.Error
		want       string
	}{
		{"every placeholder has its type", `{"s":"$status","c":"$code","m":"$message","d":"$detail","t":"$time","r":"$request"}`, full,
			`{"s":404,"c":"not_found","m":"no \"x\"","d":{"id":7},"t":1700000000123,"r":"req-1"}`},
		{"a detail that is not there leaves no entry", `{"d":"$detail","c":"$code","e":"$detail","f":1,"g":"$detail"}`, bare, `{"c":"internal","f":1}`},
		{"nor does the only one", `{"error":{"d":"$detail"}}`, bare, `{"error":{}}`},
		{"in an array it is null", `["$detail",{"x":["$code"]}]`, bare, `[null,{"x":["internal"]}]`},
		{"only whole values are placeholders", `{"$code":"$codes","a":"code: $code","b":"$"}`, full, `{"$code":"$codes","a":"code: $code","b":"$"}`},
		{"the form may be a placeholder itself", `"$message"`, bare, `"m"`},
		{"without a form there is a default", `null`, full, `{"error":{"code":"not_found","message":"no \"x\"","detail":{"id":7}}}`},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, err := text.AppendErrorForm([]byte("kept"), parse(t, c.form), c.e, 1700000000123, "req-1")
			if err != nil || string(out) != "kept"+c.want {
				t.Errorf("got %s, %v, want %s", out, err, c.want)
			}
		})
	}
	t.Run("a placeholder in what fills another stays as it is", func(t *testing.T) {
		e := &abi.Error{Message: "$code", Detail: parse(t, `"$message"`)}
		out, err := text.AppendErrorForm(nil, parse(t, `["$message","$detail"]`), e, 0, "")
		if err != nil || string(out) != `["$code","$message"]` {
			t.Errorf("got %s, %v", out, err)
		}
	})
	t.Run("a malformed form is refused", func(t *testing.T) {
		if out, err := text.AppendErrorForm([]byte("kept"), abi.Value("\x92\x01"), bare, 0, ""); !errors.Is(err, text.ErrValue) || string(out) != "kept" {
			t.Errorf("got %q, %v", out, err)
		}
	})
}

func TestSteadyStateAllocatesNothing(t *testing.T) {
	src := []byte(strings.Join([]string{`[`, strings.Join(documents, ","), `]`}, ""))
	value, err := text.ParseJSON(nil, src, abi.MaxDepth)
	if err != nil {
		t.Fatal(err)
	}
	out := []byte(render(t, value))
	if n := testing.AllocsPerRun(100, func() { value, _ = text.ParseJSON(value[:0], src, abi.MaxDepth) }); n > 0 {
		t.Errorf("ParseJSON allocates %v times", n)
	}
	if n := testing.AllocsPerRun(100, func() { out, _ = text.AppendJSON(out[:0], value) }); n > 0 {
		t.Errorf("AppendJSON allocates %v times", n)
	}
}

func FuzzParseJSON(f *testing.F) {
	for _, src := range documents {
		f.Add([]byte(src))
	}
	for _, c := range refused {
		f.Add([]byte(c.src))
	}
	f.Fuzz(sameAsReference)
}

func FuzzAppendJSON(f *testing.F) {
	for _, src := range documents {
		f.Add([]byte(parse(f, src)))
	}
	f.Add([]byte("\x83\xa1a\xa7$detail\xa1b\xa5$code\xa1c\xa5$time"))
	f.Add([]byte("\xc4\x03abc"))
	f.Add([]byte("\xca\x00\x00\x00\x01"))
	f.Add([]byte("\xd5\x01-1"))
	f.Fuzz(func(t *testing.T, b []byte) {
		v := abi.Value(b)
		out, err := text.AppendJSON([]byte("[1,"), v)
		switch {
		case err != nil && string(out) != "[1,":
			t.Fatalf("% x: refused, and wrote %q", b, out)
		case err != nil && v.Valid():
			t.Fatalf("% x: refused although it is valid", b)
		case err == nil && !json.Valid(append(out, ']')):
			t.Fatalf("% x: rendered as %q", b, out)
		}
		for _, d := range []abi.Value{nil, v} {
			out, err := text.AppendErrorForm(nil, v, &abi.Error{Code: string(b), Detail: d}, 1, string(b))
			if err == nil && !json.Valid(out) {
				t.Fatalf("% x: rendered as an error form: %q", b, out)
			}
		}
	})
}

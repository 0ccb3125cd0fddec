package text_test

import (
	"bytes"
	"encoding/xml"
	"errors"
	"fmt"
	"io"
	"math"
	"math/rand/v2"
	"strings"
	"testing"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/text"
)

const xmlHead = "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"

// value returns what write writes.
func value(write func(w *abi.Writer)) abi.Value {
	var w abi.Writer
	write(&w)
	return w.Value()
}

func TestElementsAreRendered(t *testing.T) {
	for _, c := range []struct{ name, tree, want string }{
		{"an empty element", `["a",null]`, `<a/>`},
		{"attributes", `["a",["b","1","c:d","2"]]`, `<a b="1" c:d="2"/>`},
		{"no attributes", `["a",[]]`, `<a/>`},
		{"children in their order", `["a",null,"x",["b",null,"y"],"z",["c",null]]`, `<a>x<b>y</b>z<c/></a>`},
		{"an attribute and text", `["link",["rel","self"],"x"]`, `<link rel="self">x</link>`},
		{"numbers", `["a",null,1,-7,18446744073709551615," ",0.5,1e21,1e-7]`, `<a>1-718446744073709551615 0.51e+211e-7</a>`},
		{"a number kept as text", `["a",null,0.1000000000000000000001]`, `<a>0.1000000000000000000001</a>`},
		{"booleans", `["a",null,true,false]`, `<a>truefalse</a>`},
		{"null is nothing", `["a",null,null]`, `<a/>`},
		{"empty text is nothing", `["a",null,"",null,""]`, `<a/>`},
		{"a prefix", `["atom:link",["xml:lang","en"]]`, `<atom:link xml:lang="en"/>`},
		{"odd names", `["_a-b.c_1",["A-1.","x","_","y"]]`, `<_a-b.c_1 A-1.="x" _="y"/>`},
		{"text", `["a",null,"<b>&amp;\"'</b>"]`, `<a>&lt;b&gt;&amp;amp;"'&lt;/b&gt;</a>`},
		{"the end of a CDATA section", `["a",null,"]]>","]]",">"]`, `<a>]]&gt;]]&gt;</a>`},
		{"white space in text", `["a",null," \t\n\r\n "]`, "<a> \t\n&#13;\n </a>"},
		{"an attribute", `["a",["b","<>&\"'\t\n\r x"]]`, `<a b="&lt;&gt;&amp;&#34;'&#9;&#10;&#13; x"/>`},
		{"what XML cannot express", `["a",["b","\u0000\u001f"],"\u0000\b\u000b\f\u001f\ufffe\uffff"]`, "<a b=\"\ufffd\ufffd\">" + strings.Repeat("\ufffd", 7) + "</a>"},
		{"what is rare but allowed", `["a",null,"` + rare + `"]`, "<a>" + rare + "</a>"},
		{"marks at every distance", `["a",null,"&2345678<2345678>2345678&1234567<1&1<1234>12345"]`, `<a>&amp;2345678&lt;2345678&gt;2345678&amp;1234567&lt;1&amp;1&lt;1234&gt;12345</a>`},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, err := text.AppendXML([]byte("kept"), parse(t, c.tree))
			if want := "kept" + xmlHead + c.want; err != nil || string(out) != want {
				t.Errorf("got %s, %v, want %s", out, err, want)
			}
			wellFormed(t, out[len("kept"):])
		})
	}
}

// rare is text of characters that are seldom seen and allowed.
const rare = "\u007f\u0085\u00a0\u00ad\u0300\u05d0\u200e\u200f\u2028\u2029\u202e\u2067\ud7ff\ue000\ufdd0\ufeff\ufffd\U00010000\U0001f600\U0001f469\u200d\U0001f4bb\U0001fffe\U0010ffff"

func TestElementsOfOtherBytes(t *testing.T) {
	element := func(write func(w *abi.Writer)) abi.Value {
		return value(func(w *abi.Writer) { w.Array(); w.Text("a"); w.Nil(); write(w); w.End() })
	}
	for _, c := range []struct {
		name string
		v    abi.Value
		want string
	}{
		{"text that is not UTF-8", element(func(w *abi.Writer) { w.Text("a\xffb\xc3") }), "<a>a\ufffdb\ufffd</a>"},
		{"surrogates", element(func(w *abi.Writer) { w.Text("\xed\xa0\x80") }), "<a>\ufffd\ufffd\ufffd</a>"},
		{"no number", element(func(w *abi.Writer) { w.Float(math.NaN()) }), "<a>NaN</a>"},
		{"infinity", element(func(w *abi.Writer) { w.Float(math.Inf(1)); w.Float(math.Inf(-1)) }), "<a>INF-INF</a>"},
		{"a float of 32 bits", element(func(w *abi.Writer) { w.Raw(abi.Value("\xca\x3d\xcc\xcc\xcd")) }), "<a>0.1</a>"},
	} {
		t.Run(c.name, func(t *testing.T) {
			out, err := text.AppendXML(nil, c.v)
			if err != nil || string(out) != xmlHead+c.want {
				t.Errorf("got %s, %v, want %s", out, err, c.want)
			}
		})
	}
}

func TestOtherTreesAreRefused(t *testing.T) {
	var most []string
	for i := range text.MaxAttributes {
		most = append(most, fmt.Sprintf(`"x%d","y"`, i))
	}
	for name, tree := range map[string]string{
		"null":                          `null`,
		"text":                          `"a"`,
		"a map":                         `{"a":1}`,
		"an empty array":                `[]`,
		"a name alone":                  `["a"]`,
		"no name":                       `[1,null]`,
		"an empty name":                 `["",null]`,
		"a name with a space":           `["a b",null]`,
		"a name that begins with 1":     `["1a",null]`,
		"a name that begins with -":     `["-a",null]`,
		"a name that begins with .":     `[".a",null]`,
		"a name that begins with :":     `[":a",null]`,
		"a name that ends with :":       `["a:",null]`,
		"a name with two prefixes":      `["a:b:c",null]`,
		"a name with :1":                `["a:1",null]`,
		"a name with >":                 `["a>",null]`,
		"a name beyond ASCII":           `["é",null]`,
		"a name below a letter":         `["a@",null]`,
		"a map of attributes":           `["a",{"b":"c"}]`,
		"text for attributes":           `["a","b"]`,
		"an attribute without value":    `["a",["b"]]`,
		"an attribute that is a number": `["a",["b",1]]`,
		"an attribute that is null":     `["a",["b",null]]`,
		"an attribute of no name":       `["a",["","c"]]`,
		"an attribute named =":          `["a",["b=\"x\"","c"]]`,
		"an attribute twice":            `["a",["b","1","c","2","b","3"]]`,
		"an attribute twice in a row":   `["a",["b","1","b","1"]]`,
		"too many attributes":           `["a",[` + strings.Join(append(most, `"x","y"`), ",") + `]]`,
		"a child that is a map":         `["a",null,{}]`,
		"a child that is no element":    `["a",null,[]]`,
		"a grandchild with a bad name":  `["a",null,["b",null,["c d",null]]]`,
	} {
		t.Run(name, func(t *testing.T) {
			out, err := text.AppendXML([]byte("kept"), parse(t, tree))
			if !errors.Is(err, text.ErrValue) || string(out) != "kept" {
				t.Errorf("got %q, %v", out, err)
			}
		})
	}
	for name, v := range map[string]string{
		"nothing":                  "",
		"two elements":             "\x92\xa1a\xc0\x92\xa1a\xc0",
		"an element cut short":     "\x93\xa1a\xc0",
		"text cut short":           "\x93\xa1a\xc0\xa2x",
		"a number cut short":       "\x93\xa1a\xc0\xcd\x01",
		"a name cut short":         "\x92\xa3a",
		"attributes cut short":     "\x92\xa1a\x92\xa1b\xa9c",
		"bytes":                    "\x93\xa1a\xc0\xc4\x01x",
		"an unknown extension":     "\x93\xa1a\xc0\xd4\x07x",
		"a lying element":          "\xdd\xff\xff\xff\xff\xa1a\xc0",
		"lying attributes":         "\x92\xa1a\xdd\xff\xff\xff\xfe\xa1b\xa1c",
		"65 elements":              strings.Repeat("\x93\xa1a\xc0", 64) + "\x92\xa1a\xc0",
		"attributes at depth 65":   strings.Repeat("\x93\xa1a\xc0", 63) + "\x92\xa1a\x90",
		"nesting beyond the limit": strings.Repeat("\x93\xa1a\xc0", 1000),
	} {
		t.Run(name, func(t *testing.T) {
			out, err := text.AppendXML([]byte("kept"), abi.Value(v))
			if !errors.Is(err, text.ErrValue) || string(out) != "kept" {
				t.Errorf("got %q, %v", out, err)
			}
		})
	}
	t.Run("the most attributes are not", func(t *testing.T) {
		out, err := text.AppendXML(nil, parse(t, `["a",[`+strings.Join(most, ",")+`]]`))
		if err != nil || strings.Count(string(out), "=") != text.MaxAttributes+2 {
			t.Errorf("got %s, %v", out, err)
		}
	})
	t.Run("64 elements are not", func(t *testing.T) {
		out, err := text.AppendXML(nil, abi.Value(strings.Repeat("\x93\xa1a\xc0", 63)+"\x92\xa1a\xc0"))
		if err != nil || strings.Count(string(out), "</a>") != 63 {
			t.Errorf("got %s, %v", out, err)
		}
	})
}

// wellFormed fails unless encoding/xml reads document to its end, and no element
// has an attribute twice, which it does not look at.
func wellFormed(t testing.TB, document []byte) {
	t.Helper()
	dec := xml.NewDecoder(bytes.NewReader(document))
	for {
		token, err := dec.Token()
		if err == io.EOF {
			return
		}
		if err != nil {
			t.Fatalf("%s: %v", document, err)
		}
		element, _ := token.(xml.StartElement)
		seen := map[xml.Name]bool{}
		for _, a := range element.Attr {
			if seen[a.Name] {
				t.Fatalf("%s: %v comes twice", document, a.Name)
			}
			seen[a.Name] = true
		}
	}
}

func FuzzAppendXML(f *testing.F) {
	var w abi.Writer
	for seed := range uint64(50) {
		w.Reset(nil)
		randomElement(rand.New(rand.NewPCG(seed, 8)), &w, 3)
		f.Add([]byte(w.Value()))
	}
	f.Add([]byte("\x92\xa1a\x92\xa1b\xa3\r\r\r"))
	f.Add([]byte("\x97\xa1a\xc0\xcb\x7f\xf0\x00\x00\x00\x00\x00\x00\xca\x00\x00\x00\x01\xc3\xd5\x01-1\xe0"))
	f.Fuzz(func(t *testing.T, b []byte) {
		v := abi.Value(b)
		out, err := text.AppendXML([]byte("kept"), v)
		switch {
		case err != nil && string(out) != "kept":
			t.Fatalf("% x: refused, and wrote %q", b, out)
		case err == nil && !v.Valid():
			t.Fatalf("% x: rendered as %q although it is not valid", b, out)
		case err == nil:
			out = out[len("kept"):]
			wellFormed(t, out)
			if len(out) > 5*len(b)+len(xmlHead) {
				t.Fatalf("% x: %d bytes became %d", b, len(b), len(out))
			}
		}
	})
}

package text_test

import (
	"bytes"
	"encoding/binary"
	"encoding/hex"
	"encoding/xml"
	"fmt"
	"io"
	"math"
	"math/big"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/text"
	"howett.net/plist"
)

// Documents are compared with what other parsers make of them in a form of
// their own, in which equal trees are equal texts and strings are hexadecimal.

// randomText returns text of everything that may come up in one, and of bytes
// that may not.
func randomText(r *rand.Rand) string {
	pieces := []string{"]]>", "<![CDATA[", "&amp;", "&#0;", "<!--", "-->", "<?", `"`, "'", "&", "<", ">", "\r", "\r\n", "\n", "\t", "  ",
		"שלום", "مرحبا", "\u202e\u2067", "👩‍💻", "日本語", "é", "\u2028", "\u0085", "\ufeff", "\ufffe", "\uffff", "\xff", "\xed\xa0\x80", "\xc0\x80", "\xf4\x90\x80\x80", "\xe2\x80", "plain text"}
	var b []byte
	for range r.IntN(12) {
		switch r.IntN(5) {
		case 0:
			b = append(b, byte(r.IntN(0x20)))
		case 1:
			b = append(b, byte(r.IntN(0x100)))
		case 2:
			b = append(b, string(rune(r.IntN(0x110000)))...)
		default:
			b = append(b, pieces[r.IntN(len(pieces))]...)
		}
	}
	return string(b)
}

// clean is text with what XML 1.0 cannot express (section 2.2) as U+FFFD.
func clean(s string) string {
	return strings.Map(func(r rune) rune {
		if r == '\t' || r == '\n' || r == '\r' || ' ' <= r && r <= 0xd7ff || 0xe000 <= r && r <= 0xfffd || r >= 0x10000 {
			return r
		}
		return 0xfffd
	}, s)
}

func hexOf(s string) string { return hex.EncodeToString([]byte(clean(s))) }

// randomValue writes a random value, and returns what a property list has for it.
func randomValue(r *rand.Rand, w *abi.Writer, depth int) string {
	kinds := 12
	if depth == 0 {
		kinds = 9
	}
	switch r.IntN(kinds) {
	case 0:
		w.Nil()
		return "s"
	case 1:
		if b := r.IntN(2) == 0; b {
			w.Bool(b)
			return "t"
		}
		w.Bool(false)
		return "f"
	case 2:
		n := int64(r.Uint64()) >> r.IntN(64)
		w.Int(n)
		return fmt.Sprintf("i%d", n)
	case 3:
		n := r.Uint64() >> r.IntN(64)
		w.Uint(n)
		return fmt.Sprintf("i%d", n)
	case 4:
		f := math.Float64frombits(r.Uint64())
		switch r.IntN(10) {
		case 0:
			f = []float64{math.NaN(), math.Inf(1), math.Inf(-1), 0, math.Copysign(0, -1), math.MaxFloat64, math.SmallestNonzeroFloat64}[r.IntN(7)]
		case 1, 2, 3:
			f = float64(r.IntN(1e9)) / 1e3
		}
		w.Float(f)
		return canonReal(f)
	case 5:
		digits := strings.TrimLeft(strconv.FormatUint(r.Uint64(), 10)[r.IntN(19):]+strings.Repeat("7", r.IntN(4)), "0")
		number := []string{"", "-"}[r.IntN(2)] + digits
		if digits == "" {
			number = "0"
		}
		number += []string{"", "", ".50", "e5", "E+300", "e-400", ".000000000000000000000000000000000000001"}[r.IntN(7)]
		w.Number([]byte(number))
		if n, ok := new(big.Int).SetString(number, 10); ok && (n.IsInt64() || n.IsUint64()) {
			return "i" + n.String()
		}
		f, _ := strconv.ParseFloat(number, 64)
		return canonReal(f)
	case 6:
		b := make([]byte, r.IntN(100))
		for i := range b {
			b[i] = byte(r.Uint32())
		}
		w.Bytes(b)
		return "d" + hex.EncodeToString(b)
	case 7, 8:
		s := randomText(r)
		w.Text(s)
		return "s" + hexOf(s)
	case 9:
		want := "["
		w.Array()
		for range r.IntN(6) {
			want += randomValue(r, w, depth-1) + ","
		}
		w.End()
		return want + "]"
	}
	var want []string
	w.Map()
	for i := range r.IntN(6) {
		key := fmt.Sprint(i) + randomText(r)
		w.Key(key)
		start := w.Len()
		if v := randomValue(r, w, depth-1); !w.Value()[start:].IsNil() {
			want = append(want, hexOf(key)+":"+v+",")
		}
	}
	w.End()
	slices.Sort(want)
	return "{" + strings.Join(want, "") + "}"
}

func canonReal(f float64) string {
	if f != f {
		return "rnan"
	}
	return fmt.Sprintf("r%016x", math.Float64bits(f))
}

// canon is the form of what howett.net/plist reads.
func canon(t testing.TB, v any) string {
	switch v := v.(type) {
	case bool:
		return strconv.FormatBool(v)[:1]
	case float32: // as libplist writes what fits
		return canonReal(float64(v))
	case int64, uint64:
		return fmt.Sprintf("i%d", v)
	case float64:
		return canonReal(v)
	case string:
		return "s" + hex.EncodeToString([]byte(v))
	case []byte:
		return "d" + hex.EncodeToString(v)
	case []any:
		out := "["
		for _, e := range v {
			out += canon(t, e) + ","
		}
		return out + "]"
	case map[string]any:
		var entries []string
		for k, e := range v {
			entries = append(entries, hex.EncodeToString([]byte(k))+":"+canon(t, e)+",")
		}
		slices.Sort(entries)
		return "{" + strings.Join(entries, "") + "}"
	}
	t.Fatalf("howett.net/plist reads %T", v)
	return ""
}

func readPlist(t testing.TB, document []byte) string {
	t.Helper()
	var v any
	if _, err := plist.Unmarshal(document, &v); err != nil {
		t.Fatalf("howett.net/plist: %v\n%s", err, document)
	}
	return canon(t, v)
}

// randomElement writes a random element, and returns its form.
func randomElement(r *rand.Rand, w *abi.Writer, depth int) string {
	name := func() string {
		const first, other = "abcXYZ_", "abcXYZ_-.019"
		s := string(first[r.IntN(len(first))])
		for range r.IntN(5) {
			s += string(other[r.IntN(len(other))])
		}
		return s
	}
	qualified := func() string {
		if r.IntN(3) == 0 {
			return name() + ":" + name()
		}
		return name()
	}
	self := qualified()
	want := "(" + self
	var attributes []string
	for i := range r.IntN(10) {
		attribute, value := qualified()+fmt.Sprint(i), randomText(r)
		attributes = append(attributes, attribute, value)
		want += " " + attribute + "=" + hexOf(value)
	}
	w.Element(self, attributes...)
	want += ";"
	children := 6
	if depth == 0 {
		children = 5
	}
	for range r.IntN(5) {
		switch r.IntN(children) {
		case 0:
			w.Nil()
		case 1:
			n := int64(r.Uint64()) >> r.IntN(64)
			w.Int(n)
			want += hexOf(fmt.Sprint(n))
		case 2:
			b := r.IntN(2) == 0
			w.Bool(b)
			want += hexOf(fmt.Sprint(b))
		case 3, 4:
			s := randomText(r)
			w.Text(s)
			want += hexOf(s)
		case 5:
			want += randomElement(r, w, depth-1)
		}
	}
	w.End()
	return want + ")"
}

// readXML returns the form of what encoding/xml reads.
func readXML(t testing.TB, document []byte) string {
	t.Helper()
	full := func(n xml.Name) string {
		if n.Space == "" {
			return n.Local
		}
		return n.Space + ":" + n.Local
	}
	var out strings.Builder
	dec := xml.NewDecoder(bytes.NewReader(document))
	for {
		token, err := dec.RawToken()
		if err == io.EOF {
			break
		}
		if err != nil {
			t.Fatalf("encoding/xml: %v\n%s", err, document)
		}
		switch token := token.(type) {
		case xml.StartElement:
			out.WriteString("(" + full(token.Name))
			for _, a := range token.Attr {
				out.WriteString(" " + full(a.Name) + "=" + hex.EncodeToString([]byte(a.Value)))
			}
			out.WriteByte(';')
		case xml.EndElement:
			out.WriteByte(')')
		case xml.CharData:
			if out.Len() > 0 { // what stands in front of the root is white space
				out.WriteString(hex.EncodeToString(token))
			}
		}
	}
	return out.String()
}

// randomDocuments returns documents, and what they say.
func randomDocuments(t testing.TB, n int, render func([]byte, abi.Value) ([]byte, error), random func(*rand.Rand, *abi.Writer, int) string) (docs [][]byte, want []string) {
	var w abi.Writer
	for seed := range uint64(n) {
		w.Reset(nil)
		r := rand.New(rand.NewPCG(seed, 7))
		want = append(want, random(r, &w, 3))
		doc, err := render(nil, w.Value())
		if err != nil {
			t.Fatalf("seed %d: %v: % x", seed, err, []byte(w.Value()))
		}
		docs = append(docs, doc)
	}
	return docs, want
}

// rounds is how many documents are read by parsers that are fast.
func rounds() int {
	if testing.Short() {
		return 300
	}
	return 5000
}

func TestPropertyListsSayTheSameToOtherParsers(t *testing.T) {
	docs, want := randomDocuments(t, rounds(), text.AppendPlist, randomValue)
	for i, doc := range docs {
		wellFormed(t, doc)
		if got := readPlist(t, doc); got != want[i] {
			t.Fatalf("%s\nhowett.net/plist reads %s\nwant %s", doc, got, want[i])
		}
	}
	t.Run("plistlib of Python", func(t *testing.T) { comparePython(t, "plist", docs, want) })
	t.Run("libplist", func(t *testing.T) {
		plistutil := need(t, "plistutil")
		for i, doc := range docs[:min(len(docs), 100)] {
			dir := t.TempDir()
			in, out := filepath.Join(dir, "in"), filepath.Join(dir, "out")
			if err := os.WriteFile(in, doc, 0o600); err != nil {
				t.Fatal(err)
			}
			if msg, err := exec.CommandContext(t.Context(), plistutil, "-f", "bin", "-i", in, "-o", out).CombinedOutput(); err != nil {
				t.Fatalf("%s: %v: %s\n%s", plistutil, err, msg, doc)
			}
			binary, err := os.ReadFile(out)
			if err != nil {
				t.Fatalf("%v\n%s", err, doc)
			}
			if got := readPlist(t, binary); got != want[i] {
				t.Fatalf("%s\nplistutil reads %s\nwant %s", doc, got, want[i])
			}
		}
	})
	t.Run("libxml2 with a DTD", func(t *testing.T) { lint(t, docs, "--dtdvalid", "testdata/plist.dtd") })
}

func TestElementsSayTheSameToOtherParsers(t *testing.T) {
	docs, want := randomDocuments(t, rounds(), text.AppendXML, randomElement)
	for i, doc := range docs {
		wellFormed(t, doc)
		if got := readXML(t, doc); got != want[i] {
			t.Fatalf("%s\nencoding/xml reads %s\nwant %s", doc, got, want[i])
		}
	}
	t.Run("expat", func(t *testing.T) { comparePython(t, "xml", docs, want) })
	t.Run("libxml2", func(t *testing.T) { lint(t, docs) })
}

// comparePython compares what parsers of Python read.
func comparePython(t *testing.T, kind string, docs [][]byte, want []string) {
	cmd := exec.CommandContext(t.Context(), need(t, "/usr/bin/python3"), "testdata/canon.py", kind)
	var in bytes.Buffer
	for _, doc := range docs {
		in.Write(binary.BigEndian.AppendUint32(nil, uint32(len(doc))))
		in.Write(doc)
	}
	cmd.Stdin, cmd.Stderr = &in, os.Stderr
	out, err := cmd.Output()
	lines := strings.Split(string(out), "\n")
	if err != nil {
		t.Fatalf("testdata/canon.py: %v at\n%s", err, docs[min(len(lines), len(docs))-1])
	}
	for i := range docs {
		if lines[i] != want[i] {
			t.Fatalf("%s\nPython reads %s\nwant %s", docs[i], lines[i], want[i])
		}
	}
}

// lint has xmllint read documents.
func lint(t *testing.T, docs [][]byte, options ...string) {
	dir, args := t.TempDir(), append(options, "--noout", "--nonet")
	xmllint := need(t, "xmllint")
	for i, doc := range docs[:min(len(docs), 500)] {
		name := filepath.Join(dir, fmt.Sprintf("%d.xml", i))
		if err := os.WriteFile(name, doc, 0o600); err != nil {
			t.Fatal(err)
		}
		args = append(args, name)
	}
	if out, err := exec.CommandContext(t.Context(), xmllint, args...).CombinedOutput(); err != nil {
		t.Fatalf("xmllint: %v: %s", err, out)
	}
}

// need returns the path of a program. Where everything is to be tested it must
// be there.
func need(t *testing.T, program string) string {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil && os.Getenv("EDGESET_REQUIRE_TOOLS") == "" {
		t.Skipf("%s is not installed, and EDGESET_REQUIRE_TOOLS is not set", program)
	}
	if err != nil {
		t.Fatal(err)
	}
	return path
}

func TestDocumentsAreRenderedWithoutAllocation(t *testing.T) {
	list, feed := feedPage()
	for _, c := range []struct {
		name   string
		render func([]byte, abi.Value) ([]byte, error)
		v      abi.Value
	}{{"AppendPlist", text.AppendPlist, list}, {"AppendXML", text.AppendXML, feed}} {
		out, err := c.render(nil, c.v)
		if err != nil {
			t.Fatal(err)
		}
		if n := testing.AllocsPerRun(100, func() { out, _ = c.render(out[:0], c.v) }); n > 0 {
			t.Errorf("%s allocates %v times", c.name, n)
		}
	}
}

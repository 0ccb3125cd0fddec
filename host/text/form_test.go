package text_test

import (
	"bytes"
	"errors"
	"io"
	"mime/multipart"
	"net/http"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"unicode/utf8"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/text"
)

// list returns pairs as they stand: name, value, name, value.
func list(p abi.Pairs) (out []string) {
	p.Each(func(name, value []byte) bool {
		out = append(out, string(name), string(value))
		return true
	})
	return out
}

func TestQueries(t *testing.T) {
	for _, c := range []struct {
		name, query string
		want        []string
		err         string
	}{
		{"nothing", "", nil, ""},
		{"fields in their order", "b=1&a=2&b=3", []string{"b", "1", "a", "2", "b", "3"}, ""},
		{"no value", "a&b=&=c", []string{"a", "", "b", "", "", "c"}, ""},
		{"empty fields are passed over", "&&a=1&", []string{"a", "1"}, ""},
		{"escapes", "a+b=%C3%a9%2B%26+&%61=1", []string{"a b", "é+& ", "a", "1"}, ""},
		{"further equal signs", "a=b=c", []string{"a", "b=c"}, ""},
		{"a semicolon separates nothing", "a=1;b=2", []string{"a", "1;b=2"}, ""},
		{"a long escaped value", "a=" + strings.Repeat("%41", 300), []string{"a", strings.Repeat("A", 300)}, ""},
		{"a percent sign alone", "a=1&b=5%", nil, "at byte 7: want two hexadecimal digits behind '%'; a '%' itself is written %25"},
		{"a bad escape", "a%zz=1", nil, "at byte 1: want two hexadecimal digits behind '%'; a '%' itself is written %25"},
		{"an escape across a border", "a=%4&1=2", nil, "at byte 2: want two hexadecimal digits behind '%'; a '%' itself is written %25"},
		{"not UTF-8", "a=1&b=%ff", nil, "at byte 6: field is not UTF-8"},
		{"too many fields", strings.Repeat("a&", 1001), nil, "at byte 2000: more than 1000 fields"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var w abi.Writer
			err := text.AppendQuery(&w, []byte(c.query))
			if c.err != "" {
				if err == nil || err.Error() != c.err {
					t.Errorf("got %v, want %s", err, c.err)
				}
				return
			}
			if err != nil || !w.Value().Valid() {
				t.Fatalf("got % x, %v", []byte(w.Value()), err)
			}
			if got := list(abi.Pairs(w.Value())); !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func FuzzAppendQuery(f *testing.F) {
	for _, s := range []string{"", "a=1&b=2", "a+b=%C3%A9&&=", "%", "a=%f", "a=%ff", "x;y", strings.Repeat("a&", 1002), "a=%41&a=%42"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, query string) {
		var w abi.Writer
		err := text.AppendQuery(&w, []byte(query))
		if strings.Contains(query, ";") {
			return // net/url refuses it
		}
		values, wantErr := url.ParseQuery(query)
		want, fields := url.Values{}, 0
		for k, vs := range values {
			want[k] = vs
			fields += len(vs)
			for _, v := range vs {
				if !utf8.ValidString(k) || !utf8.ValidString(v) {
					wantErr = errors.New("not UTF-8")
				}
			}
		}
		if fields > text.MaxFields {
			wantErr = errors.New("too many")
		}
		if (err != nil) != (wantErr != nil) {
			t.Fatalf("%q: got %v, net/url %v", query, err, wantErr)
		}
		if err != nil {
			return
		}
		if !w.Value().Valid() {
			t.Fatalf("%q: became % x", query, []byte(w.Value()))
		}
		got := url.Values{}
		abi.Pairs(w.Value()).Each(func(k, v []byte) bool { got.Add(string(k), string(v)); return true })
		if !reflect.DeepEqual(got, want) {
			t.Fatalf("%q: got %q, want %q", query, got, want)
		}
	})
}

func TestQueriesAllocateNothing(t *testing.T) {
	var w abi.Writer
	room := make([]byte, 0, 1024)
	query := []byte("since=1469998688756&name=J%C3%BCrgen+M&limit=20")
	if n := testing.AllocsPerRun(100, func() {
		w.Reset(room)
		if err := text.AppendQuery(&w, query); err != nil {
			t.Fatal(err)
		}
	}); n > 0 {
		t.Errorf("AppendQuery allocates %v times", n)
	}
}

func TestCookies(t *testing.T) {
	for _, c := range []struct{ name, header, want string }{
		{"the only one", "sid=abc", "abc"},
		{"among others", "a=1; sid=abc; b=2", "abc"},
		{"without spaces", "a=1;sid=abc", "abc"},
		{"in quotes", `sid="abc"`, "abc"},
		{"the first counts", "sid=1; sid=2", "1"},
		{"with equal signs", "sid=YQ==", "YQ=="},
		{"names that only look alike", "xsid=1; SID=2; sid2=3; sid", "(none)"},
		{"empty", "sid=", ""},
		{"a quote alone", `sid="`, `"`},
		{"nothing", "", "(none)"},
		{"rubbish", ";;=;==; sid = x ", "x"},
	} {
		t.Run(c.name, func(t *testing.T) {
			got := text.FindCookie([]byte(c.header), []byte("sid"))
			if s := string(got); got == nil && c.want != "(none)" || got != nil && s != c.want {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
}

func FuzzFindCookie(f *testing.F) {
	f.Add("a=1; sid=abc")
	f.Add(`sid="x"; sid=y`)
	f.Add("sid= 0")
	f.Fuzz(func(t *testing.T, header string) {
		got := text.FindCookie([]byte(header), []byte("sid"))
		// net/http drops values with characters it dislikes and keeps spaces
		// before a value; where it finds a cookie under that name, it is ours.
		cookies, err := http.ParseCookie(header)
		if err != nil || strings.ContainsAny(header, "\r\n") { // never in a header
			return
		}
		for _, c := range cookies {
			if c.Name == "sid" {
				if got == nil || strings.Trim(string(got), " \t") != strings.Trim(c.Value, " \t") {
					t.Fatalf("%q: got %q, net/http %q", header, got, c.Value)
				}
				return
			}
		}
	})
}

// form is a multipart body with the boundary "b", written with LF for CRLF.
func form(s string) []byte { return []byte(strings.ReplaceAll(s, "\n", "\r\n")) }

func TestMultipart(t *testing.T) {
	photo := "--b\nContent-Disposition: form-data; name=\"photo\"; filename=\"../me.jpg\"\nContent-Type: image/jpeg\n\n\xff\xd8\n--b--\n"
	for _, c := range []struct {
		name   string
		body   []byte
		limits text.MultipartLimits
		want   []string
		err    string
	}{
		{name: "two fields", body: form("--b\nContent-Disposition: form-data; name=\"a\"\n\n1\n--b\nContent-Disposition: form-data; name=\"ü\"\n\nx\ny\n--b--\n"),
			want: []string{"a", "1", "ü", "x\r\ny"}},
		{name: "no fields", body: form("--b--\n")},
		{name: "an encoding that is none", body: form("--b\nContent-Disposition: form-data; name=a\nContent-Transfer-Encoding: 8bit\n\né\n--b--\n"), want: []string{"a", "é"}},
		{name: "an encoding", body: form("--b\nContent-Disposition: form-data; name=a\nContent-Transfer-Encoding: base64\n\nYQ==\n--b--\n"),
			err: `multipart form: part 1: content in transfer encoding "base64"; want it as it is`},
		{name: "a file where none is taken", body: form(photo), err: `multipart form: field "photo" is a file, and files are not taken here`},
		{name: "a file field left empty", body: form("--b\nContent-Disposition: form-data; name=\"photo\"; filename=\"\"\n\n\n--b--\n")},
		{name: "a file without a name", body: form("--b\nContent-Disposition: form-data; name=\"photo\"; filename=\"\"\n\nx\n--b--\n"),
			limits: text.MultipartLimits{File: func(text.File) error { return nil }}, err: `multipart form: field "photo" is a file, and files are not taken here`},
		{name: "a body cut short", body: form("--b\nContent-Disposition: form-data; name=\"a\"\n\n1"), err: `multipart form: field "a": unexpected EOF`},
		{name: "no form", body: []byte("hello"), err: "multipart form: part 1: multipart: NextPart: unexpected EOF"},
		{name: "a part without a name", body: form("--b\nContent-Disposition: form-data\n\n1\n--b--\n"), err: "multipart form: part 1: Content-Disposition has no name"},
		{name: "a part that is no field", body: form("--b\nContent-Type: text/plain\n\n1\n--b--\n"), err: "multipart form: part 1: want a header Content-Disposition: form-data"},
		{name: "text that is not UTF-8", body: form("--b\nContent-Disposition: form-data; name=\"a\"\n\n\xff\n--b--\n"), err: `multipart form: field "a" is not UTF-8`},
		{name: "too much text", body: form("--b\nContent-Disposition: form-data; name=\"a\"\n\n12345\n--b--\n"), limits: text.MultipartLimits{Text: 5},
			err: "multipart form: text fields take more than 5 bytes"},
		{name: "just enough text", body: form("--b\nContent-Disposition: form-data; name=\"a\"\n\n1234\n--b--\n"), limits: text.MultipartLimits{Text: 5},
			want: []string{"a", "1234"}},
		{name: "too many parts", body: form(strings.Repeat("--b\nContent-Disposition: form-data; name=\"a\"\n\n1\n", 3) + "--b--\n"), limits: text.MultipartLimits{Fields: 2},
			err: "multipart form: more than 2 parts"},
		{name: "too large headers", body: form("--b\nContent-Disposition: form-data; name=\"a\"\nX: " + strings.Repeat("x", 8<<10) + "\n\n1\n--b--\n"),
			err: "multipart form: part 1: headers take more than 8192 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var w abi.Writer
			err := text.AppendMultipart(&w, bytes.NewReader(c.body), "b", c.limits)
			if c.err != "" {
				if err == nil || err.Error() != c.err || !errors.Is(err, text.ErrMultipart) {
					t.Errorf("got %v, want %s", err, c.err)
				}
				return
			}
			if err != nil || !w.Value().Valid() {
				t.Fatalf("got % x, %v", []byte(w.Value()), err)
			}
			if got := list(abi.Pairs(w.Value())); !reflect.DeepEqual(got, c.want) {
				t.Errorf("got %q, want %q", got, c.want)
			}
		})
	}
	t.Run("a file goes to who takes it", func(t *testing.T) {
		var w abi.Writer
		var got []string
		err := text.AppendMultipart(&w, bytes.NewReader(form(photo)), "b", text.MultipartLimits{File: func(f text.File) error {
			content, err := io.ReadAll(f.Content)
			got = []string{f.Field, f.Name, f.ContentType, string(content)}
			return err
		}})
		if want := []string{"photo", "me.jpg", "image/jpeg", "\xff\xd8"}; err != nil || !reflect.DeepEqual(got, want) {
			t.Errorf("got %q, %v, want %q", got, err, want)
		}
	})
	t.Run("an error of its taker is passed on", func(t *testing.T) {
		var w abi.Writer
		full := errors.New("disk full")
		err := text.AppendMultipart(&w, bytes.NewReader(form(photo)), "b", text.MultipartLimits{File: func(text.File) error { return full }})
		if err != full {
			t.Errorf("got %v", err)
		}
	})
	for _, boundary := range []string{"", strings.Repeat("b", 71)} {
		var w abi.Writer
		if err := text.AppendMultipart(&w, bytes.NewReader(nil), boundary, text.MultipartLimits{}); !errors.Is(err, text.ErrMultipart) {
			t.Errorf("boundary %q: %v", boundary, err)
		}
	}
}

func FuzzAppendMultipart(f *testing.F) {
	f.Add(form("--b\nContent-Disposition: form-data; name=\"a\"\n\n1\n--b--\n"), "n", "v")
	f.Add(form("--b\nContent-Disposition: form-data; name=\"a\"; filename=\"\"\n\n\n--b--\n"), "", "\r\n--b")
	f.Add(form("--b\nContent-Disposition: form-data; name*=utf-8''x\nContent-Transfer-Encoding: quoted-printable\n\n=41\n--b"), "a", "é")
	f.Add([]byte{}, `a\"b`, "")
	f.Add([]byte{}, "\x01", "")
	f.Fuzz(func(t *testing.T, body []byte, name, value string) {
		var w abi.Writer
		if err := text.AppendMultipart(&w, bytes.NewReader(body), "b", text.MultipartLimits{}); err == nil {
			readable(t, w.Value())
		}
		// What a client writes by the book comes through as it is.
		var b bytes.Buffer
		mw := multipart.NewWriter(&b)
		control := strings.ContainsFunc(name, func(r rune) bool { return r < ' ' || r == 0x7f })
		if control || !utf8.ValidString(name) || !utf8.ValidString(value) || len(name) > 1000 {
			return
		}
		for range 2 {
			if err := mw.WriteField(name, value); err != nil {
				t.Fatal(err)
			}
		}
		mw.Close()
		w.Reset(nil)
		if err := text.AppendMultipart(&w, &b, mw.Boundary(), text.MultipartLimits{Text: 10 << 20}); err != nil {
			t.Fatalf("%q: %v", b.Bytes(), err)
		}
		readable(t, w.Value())
		if got := list(abi.Pairs(w.Value())); !reflect.DeepEqual(got, []string{name, value, name, value}) {
			t.Fatalf("%q, %q: got %q", name, value, got)
		}
	})
}

// readable checks that v is pairs of text.
func readable(t *testing.T, v abi.Value) {
	if !v.Valid() || v.Len()%2 != 0 || len(list(abi.Pairs(v))) != v.Len() {
		t.Fatalf("% x is not pairs", []byte(v))
	}
	for _, s := range list(abi.Pairs(v)) {
		if !utf8.ValidString(s) {
			t.Fatalf("%q is not UTF-8", s)
		}
	}
}

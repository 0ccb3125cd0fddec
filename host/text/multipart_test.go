package text_test

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math/rand/v2"
	"mime/multipart"
	"reflect"
	"strings"
	"testing"
	"testing/iotest"

	"github.com/edgeset/edgeset/abi"
	"github.com/edgeset/edgeset/host/text"
)

// upload is what a form says: its fields, and of each file its field, name, type
// and content.
type upload struct {
	fields, files []string
	cut           bool // a file ended before its end
}

func readUpload(t *testing.T, body io.Reader, boundary string) (upload, error) {
	t.Helper()
	var w abi.Writer
	var u upload
	err := text.AppendMultipart(&w, body, boundary, text.MultipartLimits{File: func(f text.File) error {
		content, err := io.ReadAll(f.Content)
		u.cut = u.cut || errors.Is(err, io.ErrUnexpectedEOF)
		u.files = append(u.files, f.Field, f.Name, f.ContentType, string(content))
		return err
	}})
	if err == nil {
		readable(t, w.Value())
		u.fields = list(abi.Pairs(w.Value()))
	}
	return u, err
}

// randomForm returns a form as a client writes it by the book, and what it says.
// The contents are as long as the buffers of a parser or hardly more, and full of
// what looks like a boundary.
func randomForm(t *testing.T, r *rand.Rand) (body []byte, boundary string, want upload) {
	var b bytes.Buffer
	w := multipart.NewWriter(&b)
	boundary = "b" + strings.Repeat("-", r.IntN(60)) + "c"
	if err := w.SetBoundary(boundary); err != nil {
		t.Fatal(err)
	}
	pieces := []string{"\r\n", "\r", "\n", "--", "--" + boundary[:len(boundary)-1], "\r\n--" + boundary[:len(boundary)-1], "\r\n--", "-", "\x00\xff", "text"}
	content := func() string {
		var s strings.Builder
		if r.IntN(3) == 0 {
			s.WriteString(strings.Repeat("x", []int{4096, 8192, 32768}[r.IntN(3)]-r.IntN(100)))
		}
		for range r.IntN(20) {
			s.WriteString(pieces[r.IntN(len(pieces))])
		}
		return s.String()
	}
	for i := range r.IntN(8) {
		name := fmt.Sprintf(`field "%d" ü\`, i)
		part, value := io.Writer(nil), content()
		var err error
		if r.IntN(2) == 0 {
			value = strings.ToValidUTF8(value, "?")
			part, err = w.CreateFormField(name)
			want.fields = append(want.fields, name, value)
		} else {
			file := fmt.Sprintf("%d ü;\".jpg", i)
			part, err = w.CreateFormFile(name, file)
			want.files = append(want.files, name, file, "application/octet-stream", value)
		}
		if err != nil {
			t.Fatal(err)
		}
		io.WriteString(part, value)
	}
	w.Close()
	return b.Bytes(), boundary, want
}

func TestUploadsComeThroughAsTheyAre(t *testing.T) {
	for seed := range uint64(rounds() / 10) {
		body, boundary, want := randomForm(t, rand.New(rand.NewPCG(seed, 9)))
		for name, r := range map[string]io.Reader{
			"at once":         bytes.NewReader(body),
			"byte by byte":    iotest.OneByteReader(bytes.NewReader(body)),
			"in halves":       iotest.HalfReader(bytes.NewReader(body)),
			"with its end":    iotest.DataErrReader(bytes.NewReader(body)),
			"in small pieces": &pieces{bytes.NewReader(body), rand.New(rand.NewPCG(seed, 10))},
		} {
			if got, err := readUpload(t, r, boundary); err != nil || !reflect.DeepEqual(got, want) {
				t.Fatalf("seed %d, read %s: %v\ngot  %#v\nwant %#v", seed, name, err, got, want)
			}
		}
	}
}

// pieces reads a few bytes at a time, and sometimes none.
type pieces struct {
	r    io.Reader
	rand *rand.Rand
}

func (p *pieces) Read(b []byte) (int, error) {
	return p.r.Read(b[:min(len(b), p.rand.IntN(100))])
}

// upload of two fields around a file.
const photoForm = "--b\nContent-Disposition: form-data; name=\"a\"\n\n1\n" +
	"--b\nContent-Disposition: form-data; name=\"photo\"; filename=\"me.jpg\"\nContent-Type: image/jpeg\n\n\xff\xd8\n-\n" +
	"--b\nContent-Disposition: form-data; name=\"b\"\n\n2\n--b--"

func TestUploadsThatBreakOffAreRefused(t *testing.T) {
	body, broken := form(photoForm), errors.New("connection reset")
	for n := range len(body) {
		got, err := readUpload(t, bytes.NewReader(body[:n]), "b")
		if err == nil || !errors.Is(err, text.ErrMultipart) && !got.cut {
			t.Errorf("the first %d bytes: %v, %#v", n, err, got)
		}
		_, err = readUpload(t, io.MultiReader(bytes.NewReader(body[:n]), iotest.ErrReader(broken)), "b")
		if err == nil || bytes.HasSuffix(body[:n], []byte("\n")) && !errors.Is(err, broken) { // or half a line is to blame
			t.Errorf("a failure behind %d bytes: %v", n, err)
		}
	}
	if got, err := readUpload(t, bytes.NewReader(body), "b"); err != nil || len(got.fields) != 4 || len(got.files) != 4 {
		t.Errorf("all of it: %#v, %v", got, err)
	}
}

func TestFilesInAnEncodingAreRefused(t *testing.T) {
	for _, encoding := range []string{"quoted-printable", "Base64"} {
		body := form("--b\nContent-Disposition: form-data; name=f; filename=a.jpg\nContent-Transfer-Encoding: " + encoding + "\n\n=4\n--b--\n")
		want := fmt.Sprintf("multipart form: part 1: content in transfer encoding %q; want it as it is", encoding)
		if got, err := readUpload(t, bytes.NewReader(body), "b"); err == nil || err.Error() != want || len(got.files) > 0 {
			t.Errorf("%#v, %v, want %s", got, err, want)
		}
	}
}

func TestFilesMayBeLeftUnread(t *testing.T) {
	for _, n := range []int64{0, 1, 5} {
		var w abi.Writer
		err := text.AppendMultipart(&w, bytes.NewReader(form(photoForm)), "b", text.MultipartLimits{File: func(f text.File) error {
			_, err := io.CopyN(io.Discard, f.Content, n)
			return err
		}})
		if got := list(abi.Pairs(w.Value())); err != nil || !reflect.DeepEqual(got, []string{"a", "1", "b", "2"}) {
			t.Errorf("%d bytes read: %q, %v", n, got, err)
		}
	}
}

func TestUploadsAreBounded(t *testing.T) {
	file := "--b\nContent-Disposition: form-data; name=\"photo\"; filename=\"me.jpg\"\n\n" + strings.Repeat("x", 1000) + "\n"
	for _, c := range []struct {
		name   string
		limits text.MultipartLimits
		files  int
		err    string
	}{
		{"as many files as may be", text.MultipartLimits{Fields: 3}, 3, ""},
		{"one more", text.MultipartLimits{Fields: 2}, 2, "multipart form: more than 2 parts"},
		{"files do not count as text", text.MultipartLimits{Text: 1}, 3, ""},
		{"headers", text.MultipartLimits{Header: 10}, 0, "multipart form: part 1: headers take more than 10 bytes"},
	} {
		t.Run(c.name, func(t *testing.T) {
			var w abi.Writer
			files := 0
			c.limits.File = func(f text.File) error {
				files++
				return nil
			}
			err := text.AppendMultipart(&w, bytes.NewReader(form(strings.Repeat(file, 3)+"--b--\n")), "b", c.limits)
			if files != c.files || c.err == "" && err != nil || c.err != "" && (err == nil || err.Error() != c.err) {
				t.Errorf("%d files, %v", files, err)
			}
		})
	}
}

func TestFileNamesAreBaseNames(t *testing.T) {
	for _, c := range []struct{ disposition, want string }{
		{`filename="a.jpg"`, "a.jpg"},
		{`filename="/etc/passwd"`, "passwd"},
		{`filename="../../a.jpg"`, "a.jpg"},
		{`filename="a/"`, "a"},
		{`filename="a\"b.jpg"`, `a"b.jpg`},
		{`filename="C:\dir\a.jpg"`, `C:\dir\a.jpg`},
		{`filename*=utf-8''%C3%BC.jpg`, "ü.jpg"},
		{`filename*=utf-8''..%2F..%2Fa.jpg`, "a.jpg"},
		{`filename*0="a"; filename*1=".jpg"`, "a.jpg"},
	} {
		got, err := readUpload(t, bytes.NewReader(form("--b\nContent-Disposition: form-data; name=f; "+c.disposition+"\n\nx\n--b--\n")), "b")
		if err != nil || len(got.files) != 4 || got.files[1] != c.want {
			t.Errorf("%s: %q, %v, want %q", c.disposition, got.files, err, c.want)
		}
	}
}

func FuzzUpload(f *testing.F) {
	f.Add(form(photoForm))
	f.Add(form("--b\nContent-Disposition: form-data; name=\"a\"; filename=\"\"\n\n\n--b--\n"))
	f.Add(form("--b\nContent-Disposition: form-data; name=a; filename=b\nContent-Transfer-Encoding: quoted-printable\n\n=4\n--b--"))
	f.Add([]byte("--b\nContent-Disposition: form-data; name=a; filename*=utf-8''%ff\n\nx\n--b--"))
	f.Add(form("preamble\n--b \nContent-Disposition: form-data; name=a\n\n\n--b--\nepilogue"))
	f.Fuzz(func(t *testing.T, body []byte) {
		want, wantErr := readUpload(t, bytes.NewReader(body), "b")
		for i := 1; i < len(want.files); i += 4 {
			if name := want.files[i]; name == "" || name != "/" && strings.Contains(name, "/") {
				t.Fatalf("%q: a file named %q", body, name)
			}
		}
		for _, r := range []io.Reader{iotest.OneByteReader(bytes.NewReader(body)), iotest.DataErrReader(bytes.NewReader(body))} {
			got, err := readUpload(t, r, "b")
			if !reflect.DeepEqual(got, want) || fmt.Sprint(err) != fmt.Sprint(wantErr) {
				t.Fatalf("%q: %#v, %v; in pieces %#v, %v", body, want, wantErr, got, err)
			}
		}
	})
}

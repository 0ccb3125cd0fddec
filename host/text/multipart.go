package text

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"mime"
	"mime/multipart"
	"net/textproto"
	"strings"
	"unicode/utf8"

	"github.com/edgeset/edgeset/abi"
)

// MultipartLimits bounds a multipart form. What is zero takes its default.
type MultipartLimits struct {
	Fields int // parts; MaxFields
	Header int // bytes of names and values of one part's headers; 8 KiB
	Text   int // bytes of all text fields together, names included; 1 MiB

	// File takes a part that comes with a file name: the content is read in it
	// or not at all. If it is nil, such a part is refused.
	File func(f File) error
}

// A File is a part of a form that came with a file name.
type File struct {
	Field       string // name of the field
	Name        string // what the client calls it: a base name, untrusted
	ContentType string // what the client says it is, "" if it does not
	Content     io.Reader
}

// ErrMultipart is what errors of AppendMultipart wrap that the client is to
// blame for; others come from MultipartLimits.File.
var ErrMultipart = errors.New("multipart form")

// AppendMultipart writes the text fields of a multipart/form-data body as the
// array that abi.Pairs reads. After an error w is of no use until it is reset.
func AppendMultipart(w *abi.Writer, body io.Reader, boundary string, limits MultipartLimits) error {
	orDefault(&limits.Fields, MaxFields)
	orDefault(&limits.Header, 8<<10)
	orDefault(&limits.Text, 1<<20)
	if boundary == "" || len(boundary) > 70 { // RFC 2046, 5.1.1
		return fmt.Errorf("%w: want a boundary of 1 to 70 characters in Content-Type", ErrMultipart)
	}
	parts := multipart.NewReader(io.MultiReader(body, strings.NewReader("\r\n"), cutShort{}), boundary)
	left := limits.Text
	var content bytes.Buffer
	w.Array()
	for n := 1; ; n++ {
		part, err := parts.NextRawPart()
		if err == io.EOF {
			w.End()
			return nil
		}
		if err != nil {
			return fmt.Errorf("%w: part %d: %w", ErrMultipart, n, err)
		}
		if n > limits.Fields {
			return fmt.Errorf("%w: more than %d parts", ErrMultipart, limits.Fields)
		}
		if headerSize(part.Header) > limits.Header {
			return fmt.Errorf("%w: part %d: headers take more than %d bytes", ErrMultipart, n, limits.Header)
		}
		field, file, hasFile, err := disposition(part.Header)
		if err != nil {
			return fmt.Errorf("%w: part %d: %w", ErrMultipart, n, err)
		}
		if hasFile {
			// A browser sends a file field that was left empty with no name
			// and no content.
			if file == "" {
				if one, _ := io.ReadFull(part, make([]byte, 1)); one == 0 {
					continue
				}
			}
			if file == "" || limits.File == nil {
				return fmt.Errorf("%w: field %q is a file, and files are not taken here", ErrMultipart, field)
			}
			if err := limits.File(File{field, part.FileName(), part.Header.Get("Content-Type"), part}); err != nil {
				return err
			}
			continue
		}
		content.Reset()
		left -= len(field)
		_, err = content.ReadFrom(io.LimitReader(part, int64(max(left, 0))+1))
		if err != nil {
			return fmt.Errorf("%w: field %q: %w", ErrMultipart, field, err)
		}
		if left -= content.Len(); left < 0 {
			return fmt.Errorf("%w: text fields take more than %d bytes", ErrMultipart, limits.Text)
		}
		if !utf8.Valid(content.Bytes()) {
			return fmt.Errorf("%w: field %q is not UTF-8", ErrMultipart, field)
		}
		w.Text(field)
		w.TextBytes(content.Bytes())
	}
}

// cutShort stands behind a body, and a line break in front of it, as the last line
// may lack its own. Who reads it has not seen the last boundary: package multipart
// would take a body that ends in the headers of a part for a whole one.
type cutShort struct{}

// Read makes cutShort an io.Reader.
func (cutShort) Read([]byte) (int, error) { return 0, io.ErrUnexpectedEOF }

func orDefault(n *int, def int) {
	if *n == 0 {
		*n = def
	}
}

func headerSize(h textproto.MIMEHeader) (size int) {
	for name, values := range h {
		for _, v := range values {
			size += len(name) + len(v)
		}
	}
	return size
}

// disposition reads what a part says of itself, and checks that the part can be
// read.
func disposition(h textproto.MIMEHeader) (field, file string, hasFile bool, err error) {
	if e := h.Get("Content-Transfer-Encoding"); e != "" && e != "7bit" && e != "8bit" && e != "binary" {
		return "", "", false, fmt.Errorf("content in transfer encoding %q; want it as it is", e)
	}
	kind, params, err := mime.ParseMediaType(h.Get("Content-Disposition"))
	if err != nil || kind != "form-data" {
		return "", "", false, errors.New("want a header Content-Disposition: form-data")
	}
	field, named := params["name"]
	switch {
	case !named:
		return "", "", false, errors.New("Content-Disposition has no name")
	case !utf8.ValidString(field):
		return "", "", false, errors.New("name is not UTF-8")
	}
	file, hasFile = params["filename"]
	return field, file, hasFile, nil
}
